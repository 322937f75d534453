"""TextFormatTrap: a reward for the format that hides whether the answer is right."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np

from textmdp.envs.core.task import Outcome, Reply, Score
from textmdp.envs.tasks.diagnostics.base import Diagnostic, checked, numbered

_FORMAT = re.compile(r"\[([ab])\]")


class TextFormatTrap(Diagnostic[str]):
    """Answer with a letter in brackets; the brackets alone earn a reward, too.

    ## Description
    Isolates a reward of two parts: any letter in brackets earns `weight`, and
    the right one 1 more, which is graded in brackets only. With a large weight
    a group differs in format long before it differs in correctness, and scaling
    by deviations buries the smaller part. A transcript with the response in «»:
    `b? ` «[b]».

    ## Action space
    Text: three of the tokens `[`, `]`, `a` and `b`; the budget ends the
    response.

    ## Observation space
    Text: the right letter and `? `.

    ## Rewards
    `format`, with weight `weight`: 1 for a letter in brackets. `correct`, with
    weight 1: 1 for the right letter in brackets. The best return is 1 +
    `weight`, that of a random policy `weight`/32 + 1/64.

    ## Starting state
    Problem 0 is the letter `a`, problem 1 the letter `b`.

    ## Episode end
    The episode terminates after the first response.

    ## Arguments
    - `weight`: the weight of the format, the difficulty.

    ## Version history
    - v0: first release.
    """

    sweep = ("weight", (0.0, 0.5, 1.0, 2.0, 4.0, 8.0))
    num_problems = 2
    max_response_tokens = 3
    max_text_bytes = len("a? ")

    def __init__(self, weight: float = 1.0):
        self.weight = checked("weight", weight, 0.0)

    @property
    def optimal_return(self) -> float:
        """1 + weight."""
        return 1 + self.weight

    @property
    def random_return(self) -> float:
        """weight/32 + 1/64."""
        return self.weight / 32 + 1 / 64

    def problem(self, index: int) -> tuple[str, str]:
        """The letter, shown."""
        letter = "ab"[numbered(index, 2)]
        return letter, f"{letter}? "

    def outcomes(self, state: str, response: str) -> Sequence[Outcome[str]]:
        """The end of the episode."""
        match = _FORMAT.fullmatch(response)
        parts = {"format": float(match is not None), "correct": float(match is not None and match[1] == state)}
        return [Outcome(1.0, Reply(state, "", Score(parts, {"format": self.weight, "correct": 1.0}), True))]

    def demonstrate(self, state: str, rng: np.random.Generator) -> str:
        """The letter in brackets."""
        return f"[{state}]"

    def mistake(self, state: str, rng: np.random.Generator) -> str:
        """The other letter in brackets."""
        return "[b]" if state == "a" else "[a]"

    def continuations(self, state: str, partial: str) -> Collection[str]:
        """Brackets and letters."""
        return "[", "]", "a", "b"

    def vocabulary(self) -> Sequence[str]:
        """Brackets, letters and the question mark."""
        return "[", "]", "a", "b", "? "
