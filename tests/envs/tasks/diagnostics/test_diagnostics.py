"""Diagnostics: their returns are those that they name, at every difficulty that can be enumerated."""

from __future__ import annotations

import inspect

import gymnasium as gym
import numpy as np
import pytest

import textmdp.envs
from textmdp.envs.core.task import END_OF_TURN
from textmdp.envs.tasks.diagnostics import (
    DIAGNOSTICS,
    TextDelay,
    TextDepth,
    TextDistractor,
    TextFormatTrap,
    TextKeyDoor,
    TextLengthBias,
    TextScale,
    TextStopping,
    TextUmbrella,
)

RNG = np.random.default_rng(0)
#: Difficulties of at most some thousand prefixes.
SMALL = [
    task(**{task.sweep[0]: value})
    for task in DIAGNOSTICS
    for value in task.sweep[1]
    if not (value > 8 and task in (TextUmbrella, TextKeyDoor, TextDepth))
]


def names(task):
    argument = task.sweep[0]
    return f"{type(task).__name__}-{getattr(task, argument, task.max_turns)}"


def value(task, state, policy, tokens=()):
    """The expected return from the state after some tokens of a turn, by recursion; no code of the library's own."""
    text = "".join(tokens)
    if len(tokens) == task.max_response_tokens or (tokens and tokens[-1] == END_OF_TURN):
        return sum(
            p * (reply.score.total + (0.0 if reply.done else value(task, reply.state, policy)))
            for p, reply in task.outcomes(state, text)
        )
    choices = policy(task, state, text)
    return sum(p * value(task, state, policy, (*tokens, token)) for token, p in choices.items())


def uniform(task, state, text):
    allowed = sorted(task.continuations(state, text))
    return dict.fromkeys(allowed, 1 / len(allowed))


def expert(task, state, text):
    rest = task.demonstrate(state, RNG)[len(text) :]
    fitting = [token for token in task.continuations(state, text) if token and rest.startswith(token)]
    return {max(fitting, key=len, default=END_OF_TURN): 1.0}


def mean_value(task, policy):
    problems = [task.problem(index)[0] for index in range(task.num_problems)]
    return sum(value(task, state, policy) for state in problems) / len(problems)


@pytest.mark.parametrize("task", SMALL, ids=names)
def test_the_random_return(task):
    if task.max_turns * task.max_response_tokens > 12 and not isinstance(task, (TextDelay, TextLengthBias)):
        pytest.skip("too large for the recursion")
    assert mean_value(task, uniform) == pytest.approx(task.random_return, abs=1e-12)


@pytest.mark.parametrize("task", SMALL, ids=names)
def test_the_expert_has_the_optimal_return(task):
    if isinstance(task, (TextUmbrella, TextStopping)) and task.max_turns > 10:
        pytest.skip("chance doubles the outcomes of every turn")
    assert mean_value(task, expert) == pytest.approx(task.optimal_return, abs=1e-12)


@pytest.mark.parametrize("task", SMALL, ids=names)
def test_outcomes_are_the_distribution_of_the_reply(task):
    state, _ = task.problem(0)
    for response in (task.demonstrate(state, RNG), task.mistake(state, RNG), "", "nonsense"):
        outcomes = task.outcomes(state, response)
        assert sum(outcome.probability for outcome in outcomes) == pytest.approx(1.0)
        rng = np.random.default_rng(3)
        drawn = [task.reply(state, response, rng) for _ in range(400 if len(outcomes) > 1 else 1)]
        for outcome in outcomes:
            share = np.mean([reply == outcome.reply for reply in drawn])
            assert share == pytest.approx(outcome.probability, abs=0.1)


@pytest.mark.parametrize("task", DIAGNOSTICS, ids=lambda task: task.__name__)
def test_the_swept_argument_is_one_and_its_default_solves_at_the_threshold(task):
    name, values = task.sweep
    assert name in inspect.signature(task).parameters
    assert sorted(values) == list(values)
    spec = gym.spec(f"{task.__name__}-v0")
    made = task()
    assert made.random_return < spec.reward_threshold < made.optimal_return
    assert len(made.vocabulary()) <= 10


def test_every_diagnostic_is_registered():
    assert {task.__name__ for task in DIAGNOSTICS} <= set(textmdp.envs.TASKS)


@pytest.mark.parametrize("task", [task() for task in DIAGNOSTICS], ids=names)
def test_nonsense_earns_nothing(task):
    state, _ = task.problem(0)
    for response in ("", " ", "[[a]]", "aaaaaaaaaaaaaaa", "a a", "\x00", "ask "):
        replies = [outcome.reply for outcome in task.outcomes(state, response)]
        earned = [reply.score.total - reply.score.parts.get("noise", 0.0) for reply in replies]
        assert max(earned) <= 0.0
        assert not any(task.success([reply.score]) for reply in replies)


def test_the_first_token_decides_in_the_umbrella():
    task = TextUmbrella(length=2, noise=1.0)
    state, opening = task.problem(1)
    assert opening == "rain? "
    for word, paid in (("take", 1.0), ("leave", 0.0)):
        after = task.reply(state, word, RNG).state
        for idle in ("left", "right"):
            last = task.reply(task.reply(after, idle, RNG).state, idle, RNG)
            assert last.done
            assert last.score.parts["correct"] == paid
            assert abs(last.score.parts["noise"]) == 1.0


def test_length_earns_nothing():
    task = TextLengthBias(length=3)
    assert [task.outcomes("a", "a" + "." * n)[0].reply.score.total for n in range(5)] == [1.0] * 5
    assert [task.outcomes("b", "a" + "." * n)[0].reply.score.total for n in range(5)] == [0.0] * 5


def test_the_format_hides_the_answer():
    task = TextFormatTrap(weight=2.0)
    totals = {response: task.outcomes("a", response)[0].reply.score.total for response in ("[a]", "[b]", "a", "[a")}
    assert totals == {"[a]": 3.0, "[b]": 2.0, "a": 0.0, "[a": 0.0}


def test_the_door_opens_alike_whatever_the_word():
    task = TextKeyDoor(length=1)
    (first, opening), (second, other) = task.problem(0), task.problem(1)
    assert opening == other
    assert task.reply(first, "apple", RNG).text == task.reply(second, "apple", RNG).text == ". "
    assert (task.reply(first, "ask", RNG).text, task.reply(second, "ask", RNG).text) == ("x. ", "y. ")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TextUmbrella(length=0), "length=0 must be at least 1"),
        (lambda: TextDistractor(noise=-1), "noise=-1 must be at least 0"),
        (lambda: TextScale(scale=float("nan")), "scale=nan must be at least 0"),
        (lambda: TextKeyDoor(apple=0.5), r"apple=0.5 must lie in \[0, 1/2\)"),
        (lambda: TextDepth(depth=0), "depth=0 must be at least 1"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("task", [task() for task in DIAGNOSTICS], ids=names)
def test_numbers_out_of_range(task):
    for index in (-1, task.num_problems):
        with pytest.raises(IndexError, match="there are problems 0 to"):
            task.problem(index)
