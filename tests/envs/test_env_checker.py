"""The checker must catch what it is for: each broken task fails the check that names its fault."""

import itertools

import pytest
from toys import Counting, Digits, Echo, Penalised

from textmdp.envs import Reply, Score, register_task
from textmdp.envs.env_checker import CHECKS, check_text_env, difference, run_checks


@pytest.mark.parametrize("task", [Echo(), Counting(), Digits(), Penalised()], ids=lambda task: type(task).__name__)
@pytest.mark.parametrize("options", [{}, {"tokenizer": "bytes"}, {"reward": "dense"}], ids=str)
def test_honest_tasks_pass(task, options):
    if isinstance(task, Digits) and "tokenizer" in options:
        pytest.skip("the tokens of a grammar are those of its own tokenizer")
    assert len(list(run_checks(task, **options))) == len(CHECKS)


def broken(fault):
    """An `Echo` with a fault."""
    counter = itertools.count()

    class Broken(Echo):
        def reply(self, state, response, rng):
            reply = super().reply(state, response, rng)
            if fault == "impure":
                return Reply(state, "", Score.of(correct=float(next(counter) % 2)), True)
            if fault == "mutable":
                return Reply([state], "", reply.score, False)
            if fault == "wordy":
                return Reply(state, "x" * 100, reply.score, True)
            if fault == "endless":
                return Reply(state, "say ", reply.score, False)
            return reply

        def reply_many(self, states, responses, rngs):
            replies = [self.reply(*arguments) for arguments in zip(states, responses, rngs, strict=True)]
            if fault == "batch":
                return [Reply(r.state, "", Score.of(correct=1.0).metrics(length=1), True) for r in replies]
            return replies

        def submit(self, states, responses, rngs):
            if fault == "hasty":
                return super().submit(states, [""] * len(states), rngs)
            return super().submit(states, responses, rngs)

        def success(self, scores):
            return fault != "hopeless" and super().success(scores)

        def demonstrate(self, state, rng):
            return "0" if fault == "expert" else super().demonstrate(state, rng)

        def problem(self, index):
            state, text = super().problem(index)
            if fault == "unspeakable":
                return state, "zzz"
            if fault == "drifting":
                return state, f"{text}{next(counter) % 10}"
            return state, text

    return Broken()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("impure", "grading is pure: seed 0: grading"),
        ("mutable", "grading is pure: TypeError: unhashable type: 'list'"),
        ("wordy", "ends are right: seed 0: the task said 10[0-9] bytes, and max_text_bytes=20"),
        ("endless", "ends are right: seed [0-9]: more than max_turns=1 turns"),
        ("batch", "grading is pure: seed 0: reply_many gives"),
        ("hasty", "grading is pure: seed 0: submit gives"),
        ("hopeless", "expert has full marks: seed 0: full marks are no success"),
        ("expert", "expert has full marks: seed"),
        ("unspeakable", "problems are repeatable: ValueError: can't encode 'z'"),
        ("drifting", "problems are repeatable: seed 0 gives two different episodes"),
    ],
)
def test_faults_are_caught(fault, message):
    with pytest.raises(AssertionError, match=message):
        check_text_env(broken(fault))


def test_a_context_that_is_too_short_for_the_expert_is_caught():
    with pytest.raises(AssertionError, match="expert has full marks"):
        check_text_env(Counting(), context_length=14)


def test_ids_are_checked_with_their_arguments_and_strangers_are_refused():
    register_task("CheckedEcho", "toys:Echo")
    check_text_env("CheckedEcho-v0", max_response_tokens=4)
    with pytest.raises(ValueError, match="no view of a textmdp task"):
        check_text_env("CartPole-v1")
    with pytest.raises(TypeError, match="did you mean 'max_response_tokens'"):
        check_text_env("CheckedEchoResponse-v0", max_respons_tokens=4)
    from gymnasium import registry

    from textmdp.envs import TASKS

    del TASKS["CheckedEcho"], registry["CheckedEcho-v0"], registry["CheckedEchoResponse-v0"]


def test_differences_are_named_to_the_place_and_the_type():
    import numpy as np

    assert difference({"a": [1, 2]}, {"a": [1, 3]}) == "['a'][1] is 2 and 3"
    assert "int8" in difference(np.zeros(2, np.int8), np.zeros(2, np.int64))
    assert difference((np.array([None, "x"], object),), (np.array([None, "x"], object),)) == ""
