"""Counter-based random numbers for generated problems: number k of a stream is a hash of the stream and k.

The numbers are the same on every platform, in every order and in every process. The 128-bit key of a family of streams
is a hash of names (seed, split, level), so different seeds are unrelated: with `seed + index` as a key, seeds 0 and 1
would share all problems but one.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from textmdp.envs.core.randomness import mix

T = TypeVar("T")
Words = NDArray[np.uint64]

#: The number of bits of a problem's index, which is from 0 to 2**62 - 1.
_BITS = np.array(62)
#: The number of words of a stream that are hashed at once.
_BLOCK = 32
_STEPS: Words = np.arange(1, _BLOCK + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)


class CounterStreams:
    """A family of independent streams, identified by names and numbered by an index.

    Args:
        *names: any values with a stable `repr`.

    >>> streams = CounterStreams("words", 0)
    >>> bool(streams.starts(np.array([7], np.uint64))[0] == streams.starts(np.array([3, 7], np.uint64))[1])
    True
    """

    def __init__(self, *names: object):
        digest = blake2b(repr(names).encode(), digest_size=16).digest()
        # Two words and two rounds: with one of each, all families would be shifts of each other.
        first, second = np.frombuffer(digest, dtype="<u8").astype(np.uint64)
        self._first, self._second = np.array(first), np.array(second)  # arrays are faster than scalars

    def starts(self, indices: Words) -> Words:
        """The first words, (n,), of the streams with these numbers, (n,)."""
        return mix(mix(indices ^ self._first) + self._second)

    def of_problems(self, indices: Sequence[int]) -> Words:
        """The first words, (n,), of the streams of problems; an `IndexError` for indices outside 0 to 2**62 - 1."""
        numbers = np.asarray(indices, dtype=np.int64)
        if np.count_nonzero(numbers >> _BITS):
            raise IndexError(f"problems are numbered from 0 to 2**62 - 1; got {numbers.min()} to {numbers.max()}")
        return self.starts(numbers.view(np.uint64))


class CounterRNG:
    """Random numbers from a stream, one after the other.

    Args:
        start: the first word of the stream, see `CounterStreams`.

    >>> rng = CounterRNG(1)
    >>> 0 <= rng.below(10) < 10, 10 <= rng.between(10, 99) <= 99, rng.choice("+-*") in "+-*"
    (True, True, True)
    """

    def __init__(self, start: int):
        self._next = np.array([start], np.uint64)
        self._words: list[int] = []

    def below(self, bound: int) -> int:
        """A random integer from 0 to `bound` - 1, with a bias below `bound` / 2**64."""
        if not self._words:
            words = self._next + _STEPS
            self._next = words[-1:]
            self._words = mix(words)[::-1].tolist()
        return self._words.pop() % bound

    def between(self, low: int, high: int) -> int:
        """A random integer from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def choice(self, items: Sequence[T]) -> T:
        """A random item."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """`count` random items without replacement, in random order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(count)]
