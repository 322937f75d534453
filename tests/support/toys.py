"""Small tasks for the tests of the core."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from textmdp.envs import END_OF_TURN, Reply, Score, Task


class Echo(Task[str]):
    """Say the number back: one turn, with a potential."""

    num_problems = 40
    max_response_tokens = 6
    max_text_bytes = 20

    def problem(self, index):
        word = str(index)
        return word, f"say {word}: "

    def reply(self, state, response, rng):
        return Reply(state, "", Score.of(correct=float(response == state)).metrics(length=len(response)), True)

    def demonstrate(self, state, rng):
        return state

    def potential(self, state, partial):
        same = [a == b for a, b in zip(state, partial, strict=False)]
        return [*same, False].index(False) / len(state)

    def vocabulary(self):
        return tuple("0123456789sayx: ")


class Penalised(Echo):
    """`Echo` with a penalty for every character, so that no episode has a return of 1."""

    def reply(self, state, response, rng):
        parts = {"correct": float(response == state), "length": len(response)}
        return Reply(state, "", Score(parts, {"correct": 1.0, "length": -0.011}), True)


class Count(NamedTuple):
    """The hidden state of `Counting`."""

    number: int
    turn: int


class Counting(Task[Count]):
    """Say the next number, three times: turns, chance in the replies, parts that change, a grammar, last words."""

    num_problems = 5
    max_response_tokens = 3
    max_text_bytes = 80
    max_turns = 3
    full_marks = 3.0

    def problem(self, index):
        return Count(index, 0), f"{index}\n"

    def reply(self, state, response, rng):
        correct = response == str(state.number + 1)
        noise = float(rng.random())
        score = Score.of(correct=float(correct)).metrics(noise=noise)
        if state.turn == 1:
            score = score.metrics(second=1.0)
        text = f"\n{state.number + 1} {'yes' if correct else 'no'}{round(noise * 9)}\n"
        return Reply(Count(state.number + 1, state.turn + 1), text, score, state.turn == 2)

    def demonstrate(self, state, rng):
        return str(state.number + 1)

    def potential(self, state, partial):
        return 0.25 * state.turn + (0.1 if partial == str(state.number + 1) else 0.0)

    def vocabulary(self):
        return (*"0123456789\n ", "yes", "no")


class Digits(Counting):
    """`Counting` with a grammar: digits, and an end once there is one."""

    def continuations(self, state, partial):
        digits = frozenset("0123456789")
        return digits | {END_OF_TURN} if partial else digits


def rng() -> np.random.Generator:
    """A generator for a test."""
    return np.random.default_rng(0)
