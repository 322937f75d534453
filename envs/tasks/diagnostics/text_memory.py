"""TextMemory: repeat a key after a number of fillers."""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence

import numpy as np

from textmdp.envs.core.task import Outcome, Reply, Score
from textmdp.envs.tasks.diagnostics.base import Diagnostic, checked, numbered


class TextMemory(Diagnostic[str]):
    """Repeat the key that stands before `delay` fillers.

    ## Description
    Isolates memory: the reward follows at once and depends on the whole short
    response, so credit is easy, and all difficulty lies in a network that must
    look back over the fillers. A transcript with the response in «»:
    `ab....? ` «ab». After bsuite's `memory_len` (arXiv 1908.03568).

    ## Action space
    Text: two letters, `a` or `b` each; two tokens are the budget.

    ## Observation space
    Text: the key, the fillers, `? `.

    ## Rewards
    `correct`, 1 for the key and 0 otherwise. The best return is 1, that of a
    random policy 1/4.

    ## Starting state
    The problems 0 to 3 are the keys `aa`, `ab`, `ba`, `bb`.

    ## Episode end
    The episode terminates after the first response.

    ## Arguments
    - `delay`: the number of fillers, the difficulty.

    ## Version history
    - v0: first release.
    """

    sweep = ("delay", (1, 4, 16, 64, 256))
    num_problems = 4
    max_response_tokens = 2

    def __init__(self, delay: int = 4):
        self.delay = int(checked("delay", operator.index(delay), 0))
        self.max_text_bytes = self.delay + len("ab? ")

    @property
    def optimal_return(self) -> float:
        """1."""
        return 1.0

    @property
    def random_return(self) -> float:
        """1/4."""
        return 0.25

    def problem(self, index: int) -> tuple[str, str]:
        """The key, and the key before the fillers."""
        key = ("aa", "ab", "ba", "bb")[numbered(index, 4)]
        return key, key + "." * self.delay + "? "

    def outcomes(self, state: str, response: str) -> Sequence[Outcome[str]]:
        """The end of the episode."""
        return [Outcome(1.0, Reply(state, "", Score.of(correct=float(response == state)), True))]

    def demonstrate(self, state: str, rng: np.random.Generator) -> str:
        """The key."""
        return state

    def mistake(self, state: str, rng: np.random.Generator) -> str:
        """The key in reverse, which is right for two of the four."""
        return state[::-1]

    def continuations(self, state: str, partial: str) -> Collection[str]:
        """Both letters."""
        return "a", "b"

    def vocabulary(self) -> Sequence[str]:
        """Letters and punctuation."""
        return "a", "b", ".", "? "
