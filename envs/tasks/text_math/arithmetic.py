"""A generator of arithmetic problems, with named difficulties and disjoint splits.

Problem `index` is a function of the seed, the split, the difficulty and the index. The split of a problem is a function
of its content alone, for every seed: 45+37 is held out if 37+45 is.
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
from textmdp.envs.tasks.text_math.expressions import Term, brackets, decimals, expressions, fractions, modular
from textmdp.envs.tasks.text_math.word_problems import lexicon, words

#: The characters of numbers and expressions, and the two markers of a final answer.
SYMBOLS = (*"0123456789", *"+-*/().=,", " ", "\n", "#### ", "A: ")

#: The same with the sign of the remainder.
MODULAR = (*SYMBOLS, "%")

#: Splits of at most this many problems are generated completely and then looked up.
_MAX_CACHED = 1 << 15

_APPLY: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}


@dataclass(frozen=True, slots=True)
class Enumerated:
    """All problems `a+b=` with operands in a range, enumerated, so that a hash can choose many at a time.

    Attributes:
        operators: some of the signs `+-*`.
        low: the smallest operand.
        high: the largest operand.
    """

    operators: str
    low: int
    high: int

    def draw(self, starts: Words, split: str) -> list[Problem]:
        """One problem of the split for each random word, (n,)."""
        numbers, count, problems = _pool(self, split)
        picked = (starts % count).view(np.int64)
        if problems is not None:
            return problems.take(picked).tolist()
        return [self.problem(number) for number in numbers[picked].tolist()]

    def problem(self, number: int) -> Problem:
        """The problem with this number."""
        sign, left, right = self._operands(number)
        symbol = self.operators[sign]
        answer = str(_APPLY[symbol](left, right))
        return Problem(f"{left}{symbol}{right}=", answer, answer)

    def _operands(self, numbers: Any) -> tuple[Any, Any, Any]:
        """The index of the sign and both operands of a number, or of an array of numbers."""
        span = self.high - self.low + 1
        rest, b = numbers // span, numbers % span
        return rest // span, rest % span + self.low, b + self.low


@lru_cache(maxsize=32)
def _pool(level: Enumerated, split: str) -> tuple[Words, Words, NDArray[np.object_] | None]:
    """The numbers of a split's problems, (n,), their count, and the problems themselves if they are few.

    They are computed once: 10 ms and 3 MB for two-digit sums, 50 ms and 10 MB for three-digit sums, the largest level.
    """
    numbers = _numbers(level, split)
    count = np.array(len(numbers), np.uint64)  # an array is faster than a scalar
    if len(numbers) > _MAX_CACHED:
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
    """Problems that are sampled piece by piece, and rejected until they are suitable and belong to the split.

    Attributes:
        compose: samples a question, the term whose content decides the split, and the answer; None to reject.
        max_bytes: the maximum length of a question in bytes.
    """

    compose: Callable[[CounterRNG], tuple[str, Term, str] | None]
    max_bytes: int

    def draw(self, starts: Words, split: str) -> list[Problem]:
        """One problem of the split for the stream of each first word, (n,)."""
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
    """A `compose` that asks for the value of an expression."""

    def compose(rng: CounterRNG) -> tuple[str, Term, str] | None:
        drawn = generator(rng)
        return None if drawn is None else (f"{drawn[0].text}=", *drawn)

    return compose


@dataclass(frozen=True, slots=True)
class Level:
    """A difficulty.

    Attributes:
        example: one of its questions.
        generator: the source of its problems.
        max_text_bytes: the maximum length of a question in bytes.
        max_response_tokens: the budget of a response, with room for a line of reasoning before the answer.
        max_worked_tokens: the budget of a response with worked steps.
        vocabulary: the tokens of its questions and answers.
    """

    example: str
    generator: Enumerated | Sampled
    max_text_bytes: int
    max_response_tokens: int
    max_worked_tokens: int
    vocabulary: tuple[str, ...] = SYMBOLS


#: The difficulties, easiest first.
LEVELS: dict[str, Level] = {
    "entry": Level("3+1=", Enumerated("+", 0, 4), 4, 2, 48, (*"0123456789", "+", "=")),
    "one-digit": Level("3+9=", Enumerated("+-", 0, 9), 4, 16, 96),
    "two-digit": Level("12-45=", Enumerated("+-", 10, 99), 6, 32, 48),
    "three-digit": Level("702+399=", Enumerated("+-", 100, 999), 8, 32, 64),
    "modular-5": Level("(6+9+1+1+7)%10=", Sampled(_to_solve(modular(5)), 15), 15, 16, 16, MODULAR),
    "modular-6": Level("(6+9+1+1+7+4)%10=", Sampled(_to_solve(modular(6)), 17), 17, 16, 16, MODULAR),
    "products": Level("17*63=", Enumerated("*", 2, 99), 6, 48, 96),
    "brackets": Level("7*(12-45)=", Sampled(_to_solve(brackets), 20), 20, 48, 256),
    "decimals": Level("3.7-12.45=", Sampled(_to_solve(decimals), 12), 12, 48, 192),
    "fractions": Level("1/2+3/4=", Sampled(_to_solve(fractions), 16), 16, 48, 128),
    "expressions": Level("(12-45)/6+7*2=", Sampled(_to_solve(expressions), 32), 32, 96, 512),
    "words": Level(
        "Ann has 12 coins and gives 5 to Ben. How many coins does Ann have now? ",
        Sampled(words, 160),
        160,
        96,
        256,
        (*SYMBOLS, "?", *lexicon()),
    ),
}
DEFAULT_LEVEL = "two-digit"


class Arithmetic:
    """The problems of one difficulty, split and seed.

    Args:
        difficulty: a key of `LEVELS`.
        split: "train", "test" (one problem in five, by content) or "all".
        seed: any integer; it decides the order of the problems.

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
        """The problems with these indices."""
        return self.level.generator.draw(self._streams.of_problems(indices), self.split)
