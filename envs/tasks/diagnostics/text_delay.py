"""TextDelay: a two-armed bandit that pays after a number of tokens without a choice."""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence

import numpy as np

from textmdp.envs.core.task import Outcome, Reply, Score
from textmdp.envs.tasks.diagnostics.base import Diagnostic, checked, numbered


class TextDelay(Diagnostic[None]):
    """Pull one of two arms; it pays `delay` tokens later, in the same response.

    ## Description
    Isolates the reach of credit: there is one choice, no noise, and with the
    grammar no other choice until the reward. Discounts and λ below 1 shrink the
    advantage of the choice by their power of `delay`, and nothing else happens.
    A transcript with the response in «»: `? ` «a....».

    ## Action space
    Text: an arm, `a` or `b`, and `delay` fillers `.`; the grammar allows no
    others, and the budget ends the response.

    ## Observation space
    Text: `? `.

    ## Rewards
    `correct`, 1 for `a` with all of its fillers and 0 otherwise. The best
    return is 1, that of a random policy 1/2.

    ## Starting state
    There is one problem.

    ## Episode end
    The episode terminates after the first response.

    ## Arguments
    - `delay`: the number of fillers, the difficulty.

    ## Version history
    - v0: first release.
    """

    sweep = ("delay", (1, 4, 16, 64, 256))
    num_problems = 1
    max_text_bytes = len("? ")

    def __init__(self, delay: int = 8):
        self.delay = int(checked("delay", operator.index(delay), 0))
        self.max_response_tokens = 1 + self.delay

    @property
    def optimal_return(self) -> float:
        """1."""
        return 1.0

    @property
    def random_return(self) -> float:
        """1/2."""
        return 0.5

    def problem(self, index: int) -> tuple[None, str]:
        """The question."""
        numbered(index, 1)
        return None, "? "

    def outcomes(self, state: None, response: str) -> Sequence[Outcome[None]]:
        """The end of the episode."""
        correct = response == "a" + "." * self.delay
        return [Outcome(1.0, Reply(None, "", Score.of(correct=float(correct)), True))]

    def demonstrate(self, state: None, rng: np.random.Generator) -> str:
        """The arm that pays, and the fillers."""
        return "a" + "." * self.delay

    def mistake(self, state: None, rng: np.random.Generator) -> str:
        """The other arm, and the fillers."""
        return "b" + "." * self.delay

    def continuations(self, state: None, partial: str) -> Collection[str]:
        """An arm, and then fillers."""
        return (".",) if partial else ("a", "b")

    def vocabulary(self) -> Sequence[str]:
        """The arms and the punctuation."""
        return "a", "b", ".", "? "
