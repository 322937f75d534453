"""Randomness from keys and counters, without generators that keep a state.

Seeding an environment draws one 64-bit *root* from `env.np_random`. Episode `e` has the key `hash(root, e)`. The
problem and the generator of every turn are functions of that key. A snapshot therefore holds two integers instead of a
generator's state, rows of a vector environment need no loop, and a branch can repeat its noise or replace it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

# Constants are arrays, which numpy reads up to three times as fast as numbers.
#: 2^64 divided by the golden ratio: the increment of splitmix64.
_GOLDEN = np.array(0x9E3779B97F4A7C15, np.uint64)
_PROBLEM = np.array(0xD1B54A32D192ED03, np.uint64)
_NOISE = np.array(0x8CB92BA72F3D8DD7, np.uint64)
_TWO = np.array(2, np.uint64)
_SHIFTS = tuple(np.array(shift, np.uint64) for shift in (30, 27, 31))
_FACTORS = tuple(np.array(factor, np.uint64) for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea & Flood 2014): a bijection that spreads every bit over all 64."""
    first, second, third = _SHIFTS
    one, other = _FACTORS
    words = (words ^ (words >> first)) * one
    words = (words ^ (words >> second)) * other
    return words ^ (words >> third)


def draw_root(np_random: np.random.Generator) -> int:
    """A random root for all episodes until the next seeding."""
    return int(np_random.integers(2**64, dtype=np.uint64))


def episode_keys(roots: NDArray[np.uint64], episodes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The keys, (n,), of the episodes number `episodes`, (n,), under `roots`, (n,)."""
    return mix(roots + episodes * _GOLDEN)


def problem_indices(keys: NDArray[np.uint64], num_problems: int | None) -> NDArray[np.int64]:
    """A problem number for each key, (n,): uniform below `num_problems`, or below 2^62 if that is None."""
    words = mix(keys ^ _PROBLEM)
    # The remainder favours low indices by num_problems / 2^64, which is negligible.
    return (words >> _TWO if num_problems is None else words % np.uint64(num_problems)).view(np.int64)


def branch_key(key: int, noise: int) -> int:
    """The key of a branch with other noise in its further turns; noise 0 keeps the key."""
    # Arrays, since numpy warns when a scalar overflows, as the products of a hash do.
    return key if noise == 0 else int(mix(np.array([key], np.uint64) + np.array([noise], np.uint64) * _NOISE)[0])


def turn_generator(key: int, turn: int) -> np.random.Generator:
    """The generator of turn `turn` (from 0) in the episode of `key`."""
    # The turn is the highest word of the 256-bit counter, so the streams of two turns are 2^192 blocks apart. In the
    # lowest word they would be one stream, shifted by a block.
    return np.random.Generator(np.random.Philox(_Seed(key), counter=[0, 0, 0, turn]))  # type: ignore[arg-type]


class _Seed(ISeedSequence):
    """A seed sequence that is the key itself.

    Philox(key=…) gives the same stream six times as slowly, since it reads entropy from the system first.
    """

    __slots__ = ("key",)

    def __init__(self, key: int) -> None:
        self.key = key

    def generate_state(self, n_words: int, dtype: object = np.uint32) -> NDArray[np.uint64]:
        """The key of Philox, two words of 64 bits."""
        return np.array([self.key, 0], np.uint64)


class Turn(Protocol):
    """The part of an `Episode` that its randomness depends on."""

    key: int

    @property
    def turn(self) -> int:
        """The number of finished turns."""


class TurnGenerators(Sequence[np.random.Generator]):
    """The generators of the current turns of episodes, each made when it is indexed."""

    def __init__(self, episodes: Sequence[Turn]) -> None:
        self._episodes = episodes

    def __len__(self) -> int:
        return len(self._episodes)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # an int gives one, a slice gives a list
        if isinstance(index, slice):
            return TurnGenerators(self._episodes[index])
        return turn_generator(self._episodes[index].key, self._episodes[index].turn)
