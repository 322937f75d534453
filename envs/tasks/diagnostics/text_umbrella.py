"""TextUmbrella: the first token decides about a reward at the end, and noise lies between."""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from textmdp.envs.core.task import Outcome, Reply, Score
from textmdp.envs.tasks.diagnostics.base import Diagnostic, checked, numbered


class Walk(NamedTuple):
    """The hidden state."""

    rain: bool
    """The weather that the opening forecasts."""
    turn: int
    """The number of finished turns."""
    prepared: bool
    """True if the first token fitted the weather."""


class TextUmbrella(Diagnostic[Walk]):
    r"""Take an umbrella if it will rain; the reward comes after `length` idle turns.

    ## Description
    Isolates credit over a distance with distractors between: of all tokens
    only the first matters, its reward comes last, and every token between
    earns noise. A transcript with the responses in «»:
    `rain? ` «take» `. ` «left» `. ` «right» `. ` «left».
    After bsuite's `umbrella_distract` (Osband et al. 2020, arXiv 1908.03568).

    ## Action space
    Text: `take` or `leave` in the first turn, `left` or `right` later; each a
    token, which is the budget of a turn.

    ## Observation space
    Text: `rain? ` or `sun? `, then `. ` after each turn. The noise is not shown.

    ## Rewards
    `correct`, 1 in the last turn if the first token fitted the weather.
    `noise`, plus or minus `noise` with equal probability in every turn but the
    first, whatever the policy writes. The best return is 1, that of a random
    policy 1/2.

    ## Starting state
    Problem 0 is sun, problem 1 is rain.

    ## Episode end
    The episode terminates after `1 + length` turns.

    ## Arguments
    - `length`: the number of idle turns, the difficulty.
    - `noise`: the size of the noise.

    ## Version history
    - v0: first release.
    """

    sweep = ("length", (1, 2, 4, 8, 16, 32))
    num_problems = 2
    max_response_tokens = 1

    def __init__(self, length: int = 4, noise: float = 0.5):
        self.length = int(checked("length", operator.index(length), 1))
        self.noise = checked("noise", noise, 0.0)
        self.max_turns = 1 + self.length
        self.max_text_bytes = len("rain? ") + len(". ") * self.length

    @property
    def optimal_return(self) -> float:
        """1."""
        return 1.0

    @property
    def random_return(self) -> float:
        """1/2."""
        return 0.5

    def problem(self, index: int) -> tuple[Walk, str]:
        """The weather and its forecast."""
        rain = numbered(index, 2) == 1
        return Walk(rain, 0, False), "rain? " if rain else "sun? "

    def outcomes(self, state: Walk, response: str) -> Sequence[Outcome[Walk]]:
        """A full stop and noise, or the end of the episode."""
        if state.turn == 0:
            prepared = response == ("take" if state.rain else "leave")
            score = Score({"correct": 0.0, "noise": 0.0}, _WEIGHTS)
            return [Outcome(1.0, Reply(Walk(state.rain, 1, prepared), ". ", score, False))]
        done = state.turn == self.length
        correct = float(done and state.prepared)
        after, text = state._replace(turn=state.turn + 1), "" if done else ". "
        signs = (-1.0, 1.0) if self.noise else (0.0,)
        scores = [Score({"correct": correct, "noise": sign * self.noise}, _WEIGHTS) for sign in signs]
        return [Outcome(1 / len(signs), Reply(after, text, score, done)) for score in scores]

    def demonstrate(self, state: Walk, rng: np.random.Generator) -> str:
        """The umbrella if it will rain."""
        if state.turn == 0:
            return "take" if state.rain else "leave"
        return "left"

    def mistake(self, state: Walk, rng: np.random.Generator) -> str:
        """The umbrella if the sun will shine."""
        if state.turn == 0:
            return "leave" if state.rain else "take"
        return "right"

    def continuations(self, state: Walk, partial: str) -> Collection[str]:
        """Two words."""
        return ("take", "leave") if state.turn == 0 else ("left", "right")

    def vocabulary(self) -> Sequence[str]:
        """The words of weather, policy and punctuation."""
        return "rain", "sun", "? ", ". ", "take", "leave", "left", "right"


_WEIGHTS = {"correct": 1.0, "noise": 1.0}
