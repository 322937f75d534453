"""TextScale: the same choice, paid at two scales."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from textmdp.envs.core.task import Outcome, Reply, Score
from textmdp.envs.tasks.diagnostics.base import Diagnostic, checked, numbered


class Payment(NamedTuple):
    """The hidden state."""

    letter: str
    """The letter to copy."""
    large: bool
    """True if it pays `scale` instead of 1."""


class TextScale(Diagnostic[Payment]):
    """Copy a letter that pays 1 in half of the problems, and `scale` in the others.

    ## Description
    Isolates the scale of rewards: problems are equally hard, and the reward
    alone differs. An estimator that divides by a deviation over the group makes
    them equal, one over the batch lets the large ones drown the small ones. A
    transcript with the response in «»: `large a? ` «a». After bsuite's
    `bandit_scale` (arXiv 1908.03568).

    ## Action space
    Text: `a` or `b`, a token, which is the budget.

    ## Observation space
    Text: `small ` or `large `, the letter and `? `.

    ## Rewards
    `paid`, 1 or `scale` for the letter and 0 otherwise; `correct`, 1 for the
    letter, is a metric. The best return is (1 + `scale`)/2 in the mean, that of
    a random policy half of it.

    ## Starting state
    Problems 0 and 1 are the letters `a` and `b` at the small scale, problems 2
    and 3 at the large one.

    ## Episode end
    The episode terminates after the first response.

    ## Arguments
    - `scale`: the large reward, the difficulty.

    ## Version history
    - v0: first release.
    """

    sweep = ("scale", (1.0, 3.0, 10.0, 30.0, 100.0))
    num_problems = 4
    max_response_tokens = 1
    max_text_bytes = len("large a? ")

    def __init__(self, scale: float = 10.0):
        self.scale = checked("scale", scale, 0.0)

    @property
    def optimal_return(self) -> float:
        """(1 + scale)/2."""
        return (1 + self.scale) / 2

    @property
    def random_return(self) -> float:
        """(1 + scale)/4."""
        return (1 + self.scale) / 4

    def problem(self, index: int) -> tuple[Payment, str]:
        """The letter and its scale, shown."""
        large, letter = divmod(numbered(index, 4), 2)
        state = Payment("ab"[letter], large == 1)
        return state, f"{'large' if state.large else 'small'} {state.letter}? "

    def outcomes(self, state: Payment, response: str) -> Sequence[Outcome[Payment]]:
        """The end of the episode."""
        correct = float(response == state.letter)
        score = Score.of(paid=correct * (self.scale if state.large else 1.0)).metrics(correct=correct)
        return [Outcome(1.0, Reply(state, "", score, True))]

    def demonstrate(self, state: Payment, rng: np.random.Generator) -> str:
        """The letter."""
        return state.letter

    def mistake(self, state: Payment, rng: np.random.Generator) -> str:
        """The other letter."""
        return "b" if state.letter == "a" else "a"

    def continuations(self, state: Payment, partial: str) -> Collection[str]:
        """Both letters."""
        return "a", "b"

    def vocabulary(self) -> Sequence[str]:
        """The scales, the letters and the question mark."""
        return "small ", "large ", "a", "b", "? "
