"""TextGuess: find a secret number from hints, a minimal dialogue."""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Sequence
from math import log2
from typing import NamedTuple

import numpy as np

from textmdp.envs.core.task import END_OF_TURN, Reply, Score, Task

#: The smallest and the largest number of each difficulty.
RANGES = {"tiny": (1, 7), "small": (1, 15), "medium": (1, 100), "large": (1, 1000)}
DEFAULT_RANGE = "small"

_GUESS = re.compile(r"\s*([0-9]{1,18})\s*")


class Game(NamedTuple):
    """The hidden state: the secret number, and the range that the hints leave."""

    secret: int
    """The number to find."""
    low: int
    """The smallest number that the hints allow."""
    high: int
    """The largest number that the hints allow."""
    guesses: int
    """The number of guesses so far, malformed ones included."""


class TextGuess(Task[Game]):
    r"""Find a secret number in as few guesses as bisection needs.

    ## Description
    The environment draws a number between `low` and `high`. Each turn is a guess, and the reply is a hint until the
    episode ends. A transcript with the guesses in «»: `1-15? ` «8» ` higher\n? ` «12» ` lower\n? ` «10».

    | difficulty | range | guesses |
    |---|---|---|
    | `tiny` | 1 to 7 | 3 |
    | `small` (default) | 1 to 15 | 4 |
    | `medium` | 1 to 100 | 7 |
    | `large` | 1 to 1000 | 10 |

    The budget of `ceil(log2(n + 1))` guesses for n numbers is the smallest with which every number can be found, since
    a guess halves the remaining range. With fewer guesses, a policy can find at most `2**guesses - 1` numbers.

    ## Action space
    Text: a number in digits, with optional white space around it. The compact tokenizer has the digits and the words of
    the hints. The grammar (`continuations`, the action mask) allows one digit up to as many as `high` has.

    ## Observation space
    Text: `1-15? ` at first, then ` higher\n? ` or ` lower\n? `, or ` not in 1-15\n? ` after any response that is not a
    number in the range.

    ## Rewards
    `found`, 1 for the secret number and 0 otherwise, is the reward and decides the success. `valid` (1 for a number in
    the range) and `guesses` (so far) are metrics. The potential of `reward="dense"` is the fraction of the number's
    bits that the hints have revealed.

    ## Starting state
    Problem `index` is the number `low + index`. There are no splits, since all sets of numbers are searched alike.

    ## Episode end
    The episode terminates when the number is found or the guesses are used up. A malformed guess costs a turn.

    ## Arguments
    - `difficulty`: a name from the table.
    - `low`, `high`: another range of non-negative numbers.
    - `guesses`: another budget; with fewer guesses than bisection needs, no policy finds every number.

    ## Version history
    - v0: first release.
    """

    def __init__(
        self,
        difficulty: str = DEFAULT_RANGE,
        low: int | None = None,
        high: int | None = None,
        guesses: int | None = None,
    ):
        if difficulty not in RANGES:
            raise ValueError(f"difficulty={difficulty!r} is none of {', '.join(map(repr, RANGES))}")
        self.low = RANGES[difficulty][0] if low is None else operator.index(low)
        self.high = RANGES[difficulty][1] if high is None else operator.index(high)
        if not 0 <= self.low <= self.high < 10**9:
            raise ValueError(f"low={self.low}, high={self.high}: 0 <= low <= high < 10**9 is needed")
        self.num_problems = self.high - self.low + 1
        # n.bit_length() is ceil(log2(n + 1)).
        self.max_turns = self.num_problems.bit_length() if guesses is None else operator.index(guesses)
        if self.max_turns < 1:
            raise ValueError(f"guesses={self.max_turns}: at least one guess is needed")
        self._digits = len(str(self.high))
        # The digits, the end of the turn, and one token that makes a guess too long.
        self.max_response_tokens = self._digits + 2
        self._opening = f"{self.low}-{self.high}? "
        self._refusal = f" not in {self.low}-{self.high}\n? "
        self.max_text_bytes = len(self._opening) + (self.max_turns - 1) * len(self._refusal)

    def problem(self, index: int) -> tuple[Game, str]:
        """The number `low + index` and the opening."""
        index = int(index)
        if not 0 <= index < self.high - self.low + 1:
            raise IndexError(f"problem {index}: there are problems 0 to {self.high - self.low}")
        return Game(self.low + index, self.low, self.high, 0), self._opening

    def reply(self, state: Game, response: str, rng: np.random.Generator) -> Reply[Game]:
        """A hint, or the end of the episode."""
        match = _GUESS.fullmatch(response)
        guess = int(match[1]) if match is not None else -1
        valid = self.low <= guess <= self.high
        found = guess == state.secret
        guesses = state.guesses + 1
        low, high = state.low, state.high
        text = self._refusal
        if valid and guess < state.secret:
            low, text = max(low, guess + 1), " higher\n? "
        elif valid and guess > state.secret:
            high, text = min(high, guess - 1), " lower\n? "
        elif found:
            low, high = guess, guess
        done = found or guesses >= self.max_turns
        score = Score({"found": float(found), "valid": float(valid), "guesses": float(guesses)}, {"found": 1.0})
        return Reply(Game(state.secret, low, high, guesses), "" if done else text, score, done)

    def success(self, scores: Sequence[Score]) -> bool:
        """True if the number was found."""
        return bool(scores) and scores[-1].parts["found"] == 1.0

    def demonstrate(self, state: Game, rng: np.random.Generator) -> str:
        """Bisection: the middle of the range that the hints leave."""
        return str((state.low + state.high) // 2)

    def mistake(self, state: Game, rng: np.random.Generator) -> str:
        """Linear search: the smallest number that the hints allow."""
        return str(state.low)

    def potential(self, state: Game, partial: str) -> float:
        """The fraction of the number's bits that the hints have revealed, in [0, 1]; `partial` adds nothing."""
        numbers = self.high - self.low + 1
        return 1.0 if numbers == 1 else 1 - log2(state.high - state.low + 1) / log2(numbers)

    def continuations(self, state: Game, partial: str) -> Collection[str]:
        """Digits, up to as many as the largest number has, and the end of the turn after the first."""
        if not partial:
            return "0123456789"
        return (*"0123456789", END_OF_TURN) if len(partial) < self._digits else (END_OF_TURN,)

    def vocabulary(self) -> Sequence[str]:
        """The digits and the words of the hints."""
        return (*"0123456789", "-", "? ", " higher", " lower", " not in ", "\n")
