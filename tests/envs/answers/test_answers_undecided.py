"""Limits of algebra: processor time instead of the clock, a second try, and a verdict for undecided pairs."""

import os
import signal
import time
import warnings

import pytest

from textmdp.envs.answers import Outcome, decide, equivalent, grade, symbolic, symbolic_worker
from textmdp.envs.answers.grading import _decide

pytest.importorskip("math_verify")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the worker needs os.fork")
ROOTS = (r"\sqrt{8}", r"2\sqrt{2}")


def ask_child(judge, monkeypatch, **limits):
    monkeypatch.setattr(symbolic_worker, "judge", judge)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
        return symbolic_worker.ask_child("1", "2", **limits)


@pytest.fixture
def tries(monkeypatch):
    """Replace the worker's answers; the list has those to come, and `asked` the processor time of each question."""
    _decide.cache_clear()
    answers, asked = [], []

    def ask_once(self, gold, answer, seconds):
        asked.append(seconds)
        return answers.pop(0)

    monkeypatch.setattr(symbolic.Worker, "_ask_once", ask_once)
    yield answers, asked
    _decide.cache_clear()


def test_a_question_that_computes_is_ended_by_its_processor_time(monkeypatch):
    def loop(gold, answer):
        while True:
            pass

    assert ask_child(loop, monkeypatch, seconds=0.05) is None


def test_waiting_costs_no_processor_time(monkeypatch):
    # The child is stopped for longer than its processor time lasts, as on a machine that is busy with other work.
    def wait(gold, answer):
        time.sleep(0.3)
        return True

    assert ask_child(wait, monkeypatch, seconds=0.1) is True


def test_the_second_try_has_more_time(tries):
    answers, asked = tries
    answers += [None, True]
    assert decide(*ROOTS) is Outcome.RIGHT
    assert asked == list(symbolic.PROCESSOR_SECONDS)
    assert asked[1] > asked[0]


def test_undecided_is_neither_right_nor_wrong_and_is_not_remembered(tries):
    answers, asked = tries
    answers += [None, None, None, None, None, None]
    assert decide(*ROOTS) is Outcome.UNDECIDED
    assert not equivalent(*ROOTS)
    verdict = grade(ROOTS[0], rf"\boxed{{{ROOTS[1]}}}")
    assert verdict.undecided
    assert not verdict.correct
    assert verdict.answer == ROOTS[1]
    answers.append(True)
    assert decide(*ROOTS) is Outcome.RIGHT
    assert len(asked) == 7


def test_final_answers_that_cannot_be_compared_are_undecided(tries):
    answers, asked = tries
    answers += [None, None]
    verdict = grade(ROOTS[0], rf"\boxed{{{ROOTS[0]}}} so \boxed{{{ROOTS[1]}}}")
    assert (verdict.outcome, verdict.answer, verdict.reason) == (Outcome.UNDECIDED, None, "conflict")
    assert len(asked) == 2, "no further question after one that is undecided"


def test_a_formula_that_is_too_large_for_its_time_is_undecided(monkeypatch):
    monkeypatch.setattr(symbolic, "PROCESSOR_SECONDS", (0.05, 0.1))
    assert decide("71", "9^{9^{9^{9^9}}} + 1") is Outcome.UNDECIDED
    assert decide("71", "no formula \\ at & all") is Outcome.WRONG


def test_a_worker_killed_from_outside_is_replaced(monkeypatch):
    _decide.cache_clear()
    assert equivalent(r"\sqrt{12}", r"2\sqrt{3}")
    os.kill(symbolic.WORKER._process.pid, signal.SIGKILL)
    assert decide(r"\sqrt{20}", r"2\sqrt{5}") is Outcome.RIGHT


def test_the_start_of_the_worker_is_no_part_of_a_question(monkeypatch):
    limits = []
    read = symbolic.Worker._read

    def recorded(process, seconds):
        limits.append(seconds)
        return read(process, seconds)

    monkeypatch.setattr(symbolic.Worker, "_read", staticmethod(recorded))
    worker = symbolic.Worker()
    assert worker.ask(*ROOTS) is True
    worker.close()
    assert limits == [symbolic.START_SECONDS, 2 * symbolic_worker.WALL_SECONDS]
