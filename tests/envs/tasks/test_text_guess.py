"""TextGuess: honest hints, the bisection bound, and a dialogue whose size is known."""

from __future__ import annotations

import pickle
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmdp.envs.core.task import END_OF_TURN
from textmdp.envs.tasks.text_guess import RANGES, Game, TextGuess

RNG = np.random.default_rng(0)


def play(task: TextGuess, index: int, policy) -> tuple[str, list]:
    """A transcript, and the replies."""
    state, text = task.problem(index)
    replies = []
    while not replies or not replies[-1].done:
        response = policy(state, len(replies))
        replies.append(task.reply(state, response, RNG))
        text += response + replies[-1].text
        state = replies[-1].state
    return text, replies


@pytest.mark.parametrize("difficulty", sorted(RANGES))
def test_bisection_finds_every_number(difficulty):
    task = TextGuess(difficulty)
    for index in range(task.num_problems):
        _, replies = play(task, index, lambda state, turn: task.demonstrate(state, RNG))
        assert sum(reply.score.total for reply in replies) == 1
        assert len(replies) <= task.max_turns
        assert replies[-1].score.parts == {"found": 1, "valid": 1, "guesses": len(replies)}


@given(st.integers(0, 50), st.integers(1, 130))
def test_the_default_budget_is_the_least(low, count):
    task = TextGuess(low=low, high=low + count - 1)
    assert 2 ** (task.max_turns - 1) <= count < 2**task.max_turns  # a tree of guesses has 2**depth - 1 nodes
    assert task.num_problems == count
    found = [
        play(task, index, lambda state, turn: task.demonstrate(state, RNG))[1][-1].score.total for index in range(count)
    ]
    assert sum(found) == count


def test_a_transcript_reads_well():
    task = TextGuess()
    assert (task.num_problems, task.max_turns) == (15, 4)
    text, replies = play(task, 9, lambda state, turn: ["8", "12", "x", "10"][turn])
    assert text == "1-15? 8 higher\n? 12 lower\n? x not in 1-15\n? 10"
    assert [reply.score.total for reply in replies] == [0, 0, 0, 1]
    assert [reply.score.parts["valid"] for reply in replies] == [1, 1, 0, 1]
    assert [reply.state[1:3] for reply in replies] == [(9, 15), (9, 11), (9, 11), (10, 10)]


def test_the_budget_ends_the_game():
    task = TextGuess("tiny")
    _, replies = play(task, 0, lambda state, turn: "7")
    assert [(reply.score.total, reply.done) for reply in replies] == [(0, False), (0, False), (0, True)]


@pytest.mark.parametrize(
    "response",
    ["", " ", "-3", "3.0", "three", "3 4", "3\x00", "1e0", "+3", "³", "٣", "0", "16", "9" * 40, "3" * 10_000, "<end>"],
)
def test_malformed_guesses_cost_a_turn_and_teach_nothing(response):
    task = TextGuess()
    state, _ = task.problem(2)
    reply = task.reply(state, response, RNG)
    assert reply.state == Game(3, 1, 15, 1)
    assert reply.text == " not in 1-15\n? "
    assert not reply.done
    assert reply.score.parts == {"found": 0, "valid": 0, "guesses": 1}


@pytest.mark.parametrize("response", ["3", " 3", "3\n", "03"])
def test_spellings_of_a_guess(response):
    task = TextGuess()
    assert task.reply(task.problem(2)[0], response, RNG).score.total == 1


@given(
    st.integers(0, 14), st.lists(st.one_of(st.integers(0, 17).map(str), st.text(max_size=3)), min_size=4, max_size=4)
)
def test_hints_never_lie(index, guesses):
    task = TextGuess()
    _, replies = play(task, index, lambda state, turn: guesses[turn])
    previous = (task.low, task.high)
    for reply in replies:
        assert reply.state.low <= reply.state.secret <= reply.state.high
        assert previous[0] <= reply.state.low <= reply.state.high <= previous[1]
        previous = reply.state.low, reply.state.high
        assert reply.score.total == (reply.done and reply.state.low == reply.state.high and reply.score.parts["found"])
        assert 0 <= task.potential(reply.state, "") <= 1
        assert pickle.loads(pickle.dumps(reply.state)) == reply.state
        hash(reply.state)
    assert len(replies) <= task.max_turns


@pytest.mark.parametrize("difficulty", sorted(RANGES))
def test_the_bound_on_the_text_is_reached_and_never_passed(difficulty):
    task = TextGuess(difficulty)
    # No reply is longer than a refusal, so a game of refusals is the longest.
    state, opening = task.problem(1)
    longest = max(len(task.reply(state, guess, RNG).text.encode()) for guess in ("x", "1", str(task.high)))
    assert longest == len(task.reply(state, "x", RNG).text)
    _, replies = play(task, 1, lambda state, turn: "x")
    assert len(opening) + sum(len(reply.text) for reply in replies) == task.max_text_bytes


def test_all_games_of_the_tiny_range_stay_in_bounds():
    task = TextGuess("tiny")
    for index, *guesses in product(range(7), *[["1", "4", "7", "x"]] * 3):
        text, _ = play(task, index, lambda state, turn, guesses=guesses: guesses[turn])
        assert len(text) <= task.max_text_bytes + 3


@pytest.mark.parametrize("difficulty", sorted(RANGES))
def test_the_dialogue_can_be_said(difficulty):
    task = TextGuess(difficulty)
    text, _ = play(task, 0, lambda state, turn: ["", "0"][turn % 2])
    text += play(task, task.num_problems // 3, lambda state, turn: task.demonstrate(state, RNG))[0]
    for token in sorted(task.vocabulary(), key=len, reverse=True):
        text = text.replace(token, "\x00")
    assert set(text) == {"\x00"}


def test_the_grammar():
    task = TextGuess("medium")
    state, _ = task.problem(0)
    digits = set("0123456789")
    assert set(task.continuations(state, "")) == digits
    assert set(task.continuations(state, "1")) == set(task.continuations(state, "12")) == digits | {END_OF_TURN}
    assert set(task.continuations(state, "123")) == {END_OF_TURN}
    assert task.max_response_tokens > len("100")


def test_the_potential_counts_bits():
    task = TextGuess(low=1, high=16)
    state, _ = task.problem(0)
    potentials = []
    for guess in ("9", "5", "3", "2"):
        potentials.append(task.potential(state, guess))
        state = task.reply(state, guess, RNG).state
    assert potentials == pytest.approx([0, 0.25, 0.5, 0.75])
    assert task.potential(state, "") == 1
    assert TextGuess(low=3, high=3).potential(Game(3, 3, 3, 0), "") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"difficulty": "hard"}, "difficulty='hard' is none of 'tiny', 'small', 'medium', 'large'"),
        ({"low": 5, "high": 4}, "low=5, high=4: 0 <= low <= high"),
        ({"low": -1}, "low=-1, high=15"),
        ({"guesses": 0}, "at least one guess"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        TextGuess(**arguments)


@pytest.mark.parametrize("index", [-1, 15])
def test_numbers_out_of_range(index):
    with pytest.raises(IndexError, match="problems 0 to 14"):
        TextGuess().problem(index)
