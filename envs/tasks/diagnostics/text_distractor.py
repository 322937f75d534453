"""TextDistractor: easy choices whose rewards drown in noise."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from textmdp.envs.core.task import Outcome, Reply, Score
from textmdp.envs.tasks.diagnostics.base import Diagnostic, checked, numbered

TURNS = 2


class Copying(NamedTuple):
    """The hidden state."""

    letter: str
    """The letter to copy."""
    turn: int
    """The number of finished turns."""
    all_right: bool
    """True if all turns so far copied it."""


class TextDistractor(Diagnostic[Copying]):
    """Copy a letter twice, while each turn also earns noise of size `noise`.

    ## Description
    Isolates variance: rewards follow at once, and only their noise is large.
    Rewards to go leave out the noise of earlier turns, whole returns don't; a
    baseline of states removes neither. A transcript with the responses in «»:
    `a? ` «a» `a? ` «b».

    ## Action space
    Text: `a` or `b`, a token, which is the budget of a turn.

    ## Observation space
    Text: the letter and `? `. The noise is not shown.

    ## Rewards
    `match`, 1 for the letter, with weight 1/2 in each of two turns. `noise`,
    plus or minus `noise` with equal probability. `correct`, a metric, is 1 in
    the last turn if both turns matched. The best return is 1, that of a random
    policy 1/2.

    ## Starting state
    Problem 0 is the letter `a`, problem 1 the letter `b`.

    ## Episode end
    The episode terminates after two turns.

    ## Arguments
    - `noise`: the size of the noise, the difficulty.

    ## Version history
    - v0: first release.
    """

    sweep = ("noise", (0.0, 0.5, 1.0, 2.0, 4.0, 8.0))
    num_problems = 2
    max_response_tokens = 1
    max_turns = TURNS
    max_text_bytes = TURNS * len("a? ")

    def __init__(self, noise: float = 1.0):
        self.noise = checked("noise", noise, 0.0)

    @property
    def optimal_return(self) -> float:
        """1."""
        return 1.0

    @property
    def random_return(self) -> float:
        """1/2."""
        return 0.5

    def problem(self, index: int) -> tuple[Copying, str]:
        """The letter, shown."""
        letter = "ab"[numbered(index, 2)]
        return Copying(letter, 0, True), f"{letter}? "

    def outcomes(self, state: Copying, response: str) -> Sequence[Outcome[Copying]]:
        """The letter again with either noise, or the end of the episode."""
        match = response == state.letter
        after = Copying(state.letter, state.turn + 1, state.all_right and match)
        done = after.turn == TURNS
        correct = float(done and after.all_right)
        weights = {"match": 1 / TURNS, "noise": 1.0}
        signs = (-1.0, 1.0) if self.noise else (0.0,)
        scores = [Score({"match": match, "noise": s * self.noise, "correct": correct}, weights) for s in signs]
        text = "" if done else f"{state.letter}? "
        return [Outcome(1 / len(signs), Reply(after, text, score, done)) for score in scores]

    def demonstrate(self, state: Copying, rng: np.random.Generator) -> str:
        """The letter."""
        return state.letter

    def mistake(self, state: Copying, rng: np.random.Generator) -> str:
        """The other letter."""
        return "b" if state.letter == "a" else "a"

    def continuations(self, state: Copying, partial: str) -> Collection[str]:
        """Both letters."""
        return "a", "b"

    def vocabulary(self) -> Sequence[str]:
        """The letters and the question mark."""
        return "a", "b", "? "
