"""An endless supply of arithmetic problems: difficulties by name, splits that share no problem, any index at any time.

Problem `index` is a function of the seed, the split, the difficulty and the index alone. Whether a problem may be seen
in training is a function of its content alone, whatever the seed: 45+37 is held out wherever 37+45 is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.envs.core.randomness import mix
from textmdp.envs.data.counter_rng import CounterRNG, CounterStreams, Words
from textmdp.envs.data.dataset_rows import HELD_OUT, SPLITS, held_out
from textmdp.envs.tasks.text_math.datasets import Problem
from textmdp.envs.tasks.text_math.expressions import Term, brackets, decimals, expressions, fractions
from textmdp.envs.tasks.text_math.word_problems import lexicon, words

#: Everything that can be said about numbers, and the two markers of a final answer.
SYMBOLS = (*"0123456789", *"+-*/().=,", " ", "\n", "#### ", "A: ")

#: Splits of so many problems are made whole, and later only looked up.
_SMALL = 1 << 15

_APPLY: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}


@dataclass(frozen=True, slots=True)
class Enumerated:
    """All problems `a+b=` with both operands in a range, by number: a hash picks the number, arrays at a time.

    Attributes:
        operators: signs out of `+-*`.
        low: the least operand.
        high: the greatest operand.
    """

    operators: str
    low: int
    high: int

    def draw(self, starts: Words, split: str) -> list[Problem]:
        """One problem for each word of chance, (n,)."""
        numbers, count, problems = _pool(self, split)
        picked = (starts % count).view(np.int64)
        if problems is not None:
            return problems.take(picked).tolist()
        return [self.problem(number) for number in numbers[picked].tolist()]

    def problem(self, number: int) -> Problem:
        """The problem of a number."""
        sign, left, right = self._operands(number)
        symbol = self.operators[sign]
        answer = str(_APPLY[symbol](left, right))
        return Problem(f"{left}{symbol}{right}=", answer, answer)

    def _operands(self, numbers: Any) -> tuple[Any, Any, Any]:
        """The index of the sign and both operands, of a number or of an array of numbers."""
        span = self.high - self.low + 1
        rest, b = numbers // span, numbers % span
        return rest // span, rest % span + self.low, b + self.low


@lru_cache(maxsize=32)
def _pool(level: Enumerated, split: str) -> tuple[Words, Words, NDArray[np.object_] | None]:
    """The numbers of a split's problems, their count, and the problems of a small one, made once.

    Two-digit sums take 10 ms and 3 MB; the numbers of three-digit sums, the largest level, 50 ms and 10 MB.
    """
    numbers = _numbers(level, split)
    count = np.array(len(numbers), np.uint64)  # an array is faster than a number
    if len(numbers) > _SMALL:
        return numbers, count, None
    return numbers, count, np.fromiter(map(level.problem, numbers.tolist()), object, len(numbers))


def _numbers(level: Enumerated, split: str) -> Words:
    """The numbers of all problems of a split, (n,)."""
    span = level.high - level.low + 1
    numbers = np.arange(len(level.operators) * span * span, dtype=np.uint64)
    sign, a, b = level._operands(numbers)
    codes = np.array([ord(symbol) for symbol in level.operators], np.uint64)[sign.astype(np.int64)]
    commutes = codes != ord("-")
    first, second = np.where(commutes, np.minimum(a, b), a), np.where(commutes, np.maximum(a, b), b)
    test = mix(mix((codes << 48) + (first << 24) + second)) % HELD_OUT == 0
    keep = {"train": ~test, "test": test, "all": np.ones_like(test)}[split]
    return numbers[keep]


@dataclass(frozen=True, slots=True)
class Sampled:
    """Problems that are drawn piece by piece, and drawn again until they are fit to be set and belong to the split.

    Attributes:
        compose: makes a question, the term whose content decides the split, and the answer; or None, to try again.
        max_bytes: longer questions are drawn again.
    """

    compose: Callable[[CounterRNG], tuple[str, Term, str] | None]
    max_bytes: int

    def draw(self, starts: Words, split: str) -> list[Problem]:
        """One problem for each word of chance, (n,)."""
        return [self._draw(CounterRNG(start), split) for start in starts.tolist()]

    def _draw(self, rng: CounterRNG, split: str) -> Problem:
        while True:
            drawn = self.compose(rng)
            if drawn is None or len(drawn[0]) > self.max_bytes:
                continue
            question, term, answer = drawn
            if split == "all" or held_out(term.content) == (split == "test"):
                return Problem(question, answer, answer)


def _to_solve(
    generator: Callable[[CounterRNG], tuple[Term, str] | None],
) -> Callable[[CounterRNG], tuple[str, Term, str] | None]:
    """The question that a bare expression is."""

    def compose(rng: CounterRNG) -> tuple[str, Term, str] | None:
        drawn = generator(rng)
        return None if drawn is None else (f"{drawn[0].text}=", *drawn)

    return compose


@dataclass(frozen=True, slots=True)
class Level:
    """A difficulty.

    Attributes:
        example: one of its problems.
        generator: where its problems come from.
        max_text_bytes: the longest question.
        max_response_tokens: the budget of a response: room for a line of thought before the answer.
        vocabulary: the tokens that its questions and answers are written in.
    """

    example: str
    generator: Enumerated | Sampled
    max_text_bytes: int
    max_response_tokens: int
    vocabulary: tuple[str, ...] = SYMBOLS


#: The difficulties, easiest first.
LEVELS: dict[str, Level] = {
    "one-digit": Level("3+9=", Enumerated("+-", 0, 9), 4, 16),
    "two-digit": Level("12-45=", Enumerated("+-", 10, 99), 6, 32),
    "three-digit": Level("702+399=", Enumerated("+-", 100, 999), 8, 32),
    "products": Level("17*63=", Enumerated("*", 2, 99), 6, 48),
    "brackets": Level("7*(12-45)=", Sampled(_to_solve(brackets), 20), 20, 48),
    "decimals": Level("3.7-12.45=", Sampled(_to_solve(decimals), 12), 12, 48),
    "fractions": Level("1/2+3/4=", Sampled(_to_solve(fractions), 16), 16, 48),
    "expressions": Level("(12-45)/6+7*2=", Sampled(_to_solve(expressions), 32), 32, 96),
    "words": Level(
        "Ann has 12 coins and gives 5 to Ben. How many coins does Ann have now? ",
        Sampled(words, 160),
        160,
        96,
        (*SYMBOLS, "?", *lexicon()),
    ),
}
DEFAULT_LEVEL = "two-digit"


class Arithmetic:
    """The problems of one difficulty, split and seed.

    Args:
        difficulty: a name out of `LEVELS`.
        split: "train", "test" (one problem in five, by content) or "all".
        seed: any integer; another seed gives another order of the same problems.

    >>> generator = Arithmetic("two-digit", "train", seed=0)
    >>> generator.problems([5]) == [generator.problems([3, 4, 5])[2]]
    True
    """

    def __init__(self, difficulty: str = DEFAULT_LEVEL, split: str = "train", seed: int = 0):
        if difficulty not in LEVELS:
            raise ValueError(f"difficulty={difficulty!r} is none of {', '.join(map(repr, LEVELS))}")
        if split not in SPLITS:
            raise ValueError(f"split={split!r} is none of {', '.join(map(repr, SPLITS))}")
        self.level = LEVELS[difficulty]
        self.split = split
        self._streams = CounterStreams(int(seed), split, difficulty)

    def problems(self, indices: Sequence[int]) -> list[Problem]:
        """The numbered problems, each from its index alone."""
        return self.level.generator.draw(self._streams.of_problems(indices), self.split)
