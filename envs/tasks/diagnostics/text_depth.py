"""TextDepth: one response of many pays, and every step towards it costs something."""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence

import numpy as np

from textmdp.envs.core.task import Outcome, Reply, Score
from textmdp.envs.tasks.diagnostics.base import Diagnostic, checked, numbered

#: The cost of a response that follows the path throughout.
COST = 0.01


class TextDepth(Diagnostic[None]):
    """Write the one response of `depth` letters that pays.

    ## Description
    Isolates deep exploration: of 2^`depth` responses one pays, no part of it
    pays before, and each of its letters costs a little, so that a policy that
    has yet to find it learns to stay away. A transcript of depth 5 with the
    response in «»: `? ` «babba». After bsuite's `deep_sea` (arXiv 1908.03568).

    ## Action space
    Text: `depth` letters, `a` or `b` each; the budget ends the response.

    ## Observation space
    Text: `? `.

    ## Rewards
    `correct`, 1 for the whole path. `cost`, the fraction of letters that agree
    with the path, with weight −0.01. The best return is 0.99, that of a random
    policy 2^−`depth` − 0.005.

    ## Starting state
    There is one problem: its path is the Fibonacci word.

    ## Episode end
    The episode terminates after the first response.

    ## Arguments
    - `depth`: the number of letters, the difficulty.

    ## Version history
    - v0: first release.
    """

    sweep = ("depth", (2, 4, 6, 8, 12, 16))
    num_problems = 1
    max_text_bytes = len("? ")

    def __init__(self, depth: int = 6):
        self.depth = int(checked("depth", operator.index(depth), 1))
        self.max_response_tokens = self.depth
        self.path = "".join("ab"[int((k + 1) * _GOLDEN) - int(k * _GOLDEN)] for k in range(1, self.depth + 1))

    @property
    def optimal_return(self) -> float:
        """0.99."""
        return 1 - COST

    @property
    def random_return(self) -> float:
        """2^-depth - 0.005."""
        return 0.5**self.depth - COST / 2

    def problem(self, index: int) -> tuple[None, str]:
        """The question."""
        numbered(index, 1)
        return None, "? "

    def outcomes(self, state: None, response: str) -> Sequence[Outcome[None]]:
        """The end of the episode."""
        agreeing = sum(map(str.__eq__, response, self.path))
        parts = {"correct": float(response == self.path), "cost": agreeing / self.depth}
        return [Outcome(1.0, Reply(None, "", Score(parts, {"correct": 1.0, "cost": -COST}), True))]

    def demonstrate(self, state: None, rng: np.random.Generator) -> str:
        """The path."""
        return self.path

    def mistake(self, state: None, rng: np.random.Generator) -> str:
        """The path but for its last letter."""
        return self.path[:-1] + ("b" if self.path[-1] == "a" else "a")

    def continuations(self, state: None, partial: str) -> Collection[str]:
        """Both letters."""
        return "a", "b"

    def vocabulary(self) -> Sequence[str]:
        """Both letters and the question mark."""
        return "a", "b", "? "


_GOLDEN = (5**0.5 - 1) / 2
