"""Mixtures of levels, and the limits that several levels share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from textmdp.envs.data.counter_rng import CounterStreams
from textmdp.envs.tasks.text_math.arithmetic import LEVELS, SYMBOLS, Arithmetic, Level
from textmdp.envs.tasks.text_math.datasets import Problem


class Limits(NamedTuple):
    """Limits of one level or of several."""

    max_text_bytes: int
    max_response_tokens: int
    vocabulary: tuple[str, ...]


def limits_of(levels: Iterable[Level], steps: bool) -> Limits:
    """The limits that hold the questions and responses of all these levels, with worked steps or without."""
    chosen = [*levels]
    tokens = chain.from_iterable(level.vocabulary for level in chosen)
    return Limits(
        max(level.max_text_bytes for level in chosen),
        max(level.max_worked_tokens if steps else level.max_response_tokens for level in chosen),
        tuple(dict.fromkeys(chain(tokens, SYMBOLS if steps else ()))),
    )


def parse_difficulty(difficulty: str) -> dict[str, float]:
    """The levels of a difficulty and their probabilities.

    >>> parse_difficulty("one-digit:1,two-digit:3"), parse_difficulty("words")
    ({'one-digit': 0.25, 'two-digit': 0.75}, {'words': 1.0})

    Raises:
        ValueError: a level is unknown or there twice, or a weight is no positive number.
    """
    weights: dict[str, float] = {}
    for item in difficulty.split(","):
        name, colon, weight = item.strip().partition(":")
        if name not in LEVELS:
            raise ValueError(f"difficulty={name!r} is none of {', '.join(map(repr, LEVELS))}")
        if name in weights:
            raise ValueError(f"difficulty={difficulty!r} has {name!r} twice: add its weights up")
        try:
            weights[name] = float(weight) if colon else 1.0
        except ValueError:
            weights[name] = 0.0
        if not 0.0 < weights[name] < float("inf"):
            raise ValueError(f'{item.strip()!r} has no positive weight: write it as "one-digit:0.2,two-digit:0.8"')
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


class Mixture:
    """The problems of several levels, mixed: problem `index` is that of a level drawn with the levels' probabilities.

    The level is a function of seed, split, probabilities and index.

    Args:
        probabilities: of the levels, see `parse_difficulty`.
        split: "train", "test" or "all".
        seed: any integer; it decides the order of the problems.
    """

    def __init__(self, probabilities: Mapping[str, float], split: str = "train", seed: int = 0):
        self._sources = [Arithmetic(name, split, seed) for name in probabilities]
        self._bounds = np.cumsum([*probabilities.values()])[:-1]
        self._streams = CounterStreams(int(seed), split, tuple(probabilities.items()))

    def problems(self, indices: Sequence[int]) -> list[Problem]:
        """The problems with these indices."""
        numbers = np.asarray(indices, np.int64)
        drawn = self._streams.of_problems(indices).astype(np.float64) / 2.0**64
        levels = np.searchsorted(self._bounds, drawn, side="right")
        problems = np.empty(len(numbers), object)
        for level, source in enumerate(self._sources):
            places = np.flatnonzero(levels == level)
            for place, problem in zip(places.tolist(), source.problems(numbers[places].tolist()), strict=True):
                problems[place] = problem
        return problems.tolist()
