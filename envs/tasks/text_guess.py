"""TextGuess: find a number that the environment thinks of, from hints; the smallest honest dialogue."""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Sequence
from math import log2
from typing import NamedTuple

import numpy as np

from textmdp.envs.core.task import END_OF_TURN, Reply, Score, Task

#: Least and greatest number of each difficulty.
RANGES = {"tiny": (1, 7), "small": (1, 15), "medium": (1, 100), "large": (1, 1000)}
DEFAULT_RANGE = "small"

_GUESS = re.compile(r"\s*([0-9]{1,18})\s*")


class Game(NamedTuple):
    """The hidden state: the number, and the range that the hints have left."""

    secret: int
    low: int
    """The least number that the hints allow."""
    high: int
    """The greatest number that the hints allow."""
    made: int
    """The guesses made so far, malformed ones included."""


class TextGuess(Task[Game]):
    r"""Find the number in as few guesses as bisection needs.

    ## Description
    The environment thinks of a number between `low` and `high`. Each turn is a guess; the reply is a hint, or the end.
    A transcript, guesses between marks: `1-15? ` «8» ` higher\n? ` «12» ` lower\n? ` «10».

    | difficulty | range | guesses |
    |---|---|---|
    | `tiny` | 1 to 7 | 3 |
    | `small` (default) | 1 to 15 | 4 |
    | `medium` | 1 to 100 | 7 |
    | `large` | 1 to 1000 | 10 |

    The budget of `ceil(log2(n + 1))` guesses for n numbers is the least with which every number can be found: each
    guess splits what is left in two. With fewer guesses, at most `2**guesses - 1` numbers can be.

    ## Actions
    Text: a number in digits, white space around it allowed. The compact tokenizer has the digits and the words of the
    hints. The grammar (`continuations`, the action mask) has up to as many digits as `high`, at least one.

    ## Observations
    `1-15? ` at first, then ` higher\n? ` or ` lower\n? `; ` not in 1-15\n? ` after anything but a number of the range.

    ## Rewards
    `found`, 1 for the number and 0 otherwise, is the reward. `valid` (1 for a number of the range) and `guesses` (made
    so far) are metrics. With `reward="dense"`, shaping adds the potential: the part of the number's bits that the hints
    have given.

    ## Starting state
    Problem `index` is the number `low + index`. There are no splits: the task is to search, and any two sets of
    numbers are searched alike.

    ## Episode end
    The episode terminates when the number is found and when the guesses are used up. A malformed guess costs a turn.

    ## Arguments
    - `difficulty`: a name from the table.
    - `low`, `high`: another range, from 0 on.
    - `guesses`: another budget; with fewer than bisection needs, no policy finds every number.

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
        # The digits and the end of the turn, and one token more for guesses that are too long.
        self.max_response_tokens = self._digits + 2
        self._opening = f"{self.low}-{self.high}? "
        self._refusal = f" not in {self.low}-{self.high}\n? "
        self.max_text_bytes = len(self._opening) + (self.max_turns - 1) * len(self._refusal)

    def problem(self, index: int) -> tuple[Game, str]:
        """The number `low + index`."""
        index = int(index)
        if not 0 <= index < self.high - self.low + 1:
            raise IndexError(f"problem {index}: there are problems 0 to {self.high - self.low}")
        return Game(self.low + index, self.low, self.high, 0), self._opening

    def reply(self, state: Game, response: str, rng: np.random.Generator) -> Reply[Game]:
        """A hint, or the end."""
        match = _GUESS.fullmatch(response)
        guess = int(match[1]) if match is not None else -1
        valid = self.low <= guess <= self.high
        found = guess == state.secret
        made = state.made + 1
        low, high = state.low, state.high
        text = self._refusal
        if valid and guess < state.secret:
            low, text = max(low, guess + 1), " higher\n? "
        elif valid and guess > state.secret:
            high, text = min(high, guess - 1), " lower\n? "
        elif found:
            low, high = guess, guess
        done = found or made >= self.max_turns
        score = Score({"found": float(found), "valid": float(valid), "guesses": float(made)}, {"found": 1.0})
        return Reply(Game(state.secret, low, high, made), "" if done else text, score, done)

    def success(self, scores: Sequence[Score]) -> bool:
        """True if the number was found."""
        return bool(scores) and scores[-1].parts["found"] == 1.0

    def demonstrate(self, state: Game, rng: np.random.Generator) -> str:
        """Bisection: the middle of what the hints have left."""
        return str((state.low + state.high) // 2)

    def mistake(self, state: Game, rng: np.random.Generator) -> str:
        """Linear search: the least number that the hints have left."""
        return str(state.low)

    def potential(self, state: Game, partial: str) -> float:
        """The part of the number's bits that the hints have given, in [0, 1]; the unfinished guess adds nothing."""
        numbers = self.high - self.low + 1
        return 1.0 if numbers == 1 else 1 - log2(state.high - state.low + 1) / log2(numbers)

    def continuations(self, state: Game, partial: str) -> Collection[str]:
        """Digits, as many as the greatest number has; the end after at least one."""
        if not partial:
            return "0123456789"
        return (*"0123456789", END_OF_TURN) if len(partial) < self._digits else (END_OF_TURN,)

    def vocabulary(self) -> Sequence[str]:
        """The digits and the words of the dialogue."""
        return (*"0123456789", "-", "? ", " higher", " lower", " not in ", "\n")
