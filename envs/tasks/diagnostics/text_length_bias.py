"""TextLengthBias: the first letter is right or wrong, and the length of the response means nothing."""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Sequence

import numpy as np

from textmdp.envs.core.task import END_OF_TURN, Outcome, Reply, Score
from textmdp.envs.tasks.diagnostics.base import Diagnostic, checked, numbered

_ANSWER = re.compile(r"([ab])\.*")


class TextLengthBias(Diagnostic[str]):
    """Answer with a letter, in a response that may be short or long.

    ## Description
    Isolates the choice of length: right and wrong answers may be as short or as
    long as the policy likes, and every token after the letter has advantage 0.
    An estimator that weights tokens by 1/|o| prefers short right answers and
    long wrong ones all the same. A transcript with the response in «»:
    `b? ` «b...».

    ## Action space
    Text: `a` or `b`, then up to `length` fillers `.`, then the end of the turn.

    ## Observation space
    Text: the right letter and `? `.

    ## Rewards
    `correct`, 1 for the letter with any number of fillers and 0 otherwise;
    `length`, the number of fillers, is a metric. The best return is 1, that of
    a random policy 1/2.

    ## Starting state
    Problem 0 is the letter `a`, problem 1 the letter `b`.

    ## Episode end
    The episode terminates after the first response.

    ## Arguments
    - `length`: the largest number of fillers, the difficulty.

    ## Version history
    - v0: first release.
    """

    sweep = ("length", (1, 2, 4, 8, 16, 32))
    num_problems = 2
    max_text_bytes = len("a? ")

    def __init__(self, length: int = 4):
        self.length = int(checked("length", operator.index(length), 0))
        self.max_response_tokens = self.length + 2  # the letter, the fillers, the end of the turn

    @property
    def optimal_return(self) -> float:
        """1."""
        return 1.0

    @property
    def random_return(self) -> float:
        """1/2."""
        return 0.5

    def problem(self, index: int) -> tuple[str, str]:
        """The letter, shown."""
        letter = "ab"[numbered(index, 2)]
        return letter, f"{letter}? "

    def outcomes(self, state: str, response: str) -> Sequence[Outcome[str]]:
        """The end of the episode."""
        match = _ANSWER.fullmatch(response)
        correct = match is not None and match[1] == state
        score = Score.of(correct=float(correct)).metrics(length=max(len(response) - 1, 0))
        return [Outcome(1.0, Reply(state, "", score, True))]

    def demonstrate(self, state: str, rng: np.random.Generator) -> str:
        """The letter, without fillers."""
        return state

    def mistake(self, state: str, rng: np.random.Generator) -> str:
        """The other letter."""
        return "b" if state == "a" else "a"

    def continuations(self, state: str, partial: str) -> Collection[str]:
        """A letter, then fillers or the end."""
        if not partial:
            return "a", "b"
        return (".", END_OF_TURN) if len(partial) <= self.length else (END_OF_TURN,)

    def vocabulary(self) -> Sequence[str]:
        """Letters and punctuation."""
        return "a", "b", ".", "? "
