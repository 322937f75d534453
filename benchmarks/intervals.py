"""Statistics over a few training runs: interquartile mean, bootstrap intervals, probability of improvement.

They follow Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice", arXiv
2108.13264. The unit of replication is the training run: a thousand evaluation episodes of one run are one number here.
Their library, rliable, isn't used because it draws from the global generator.

Letters: n runs, R resamples. Every statistic takes the runs along the last axis, so that the bootstrap calls it once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure and its interval; infinite if it is the time to a bar that runs never reached."""

    value: float
    low: float
    high: float


def interquartile_mean(values: ArrayLike) -> Floats:
    """Return the mean without the lowest and the highest quarter of the runs, (…, n) to (…).

    ⌊n/4⌋ runs are left out on either side, as in rliable: the mean is over the middle 3 of 5, the middle 6 of 10, and
    all of 3. It is more robust than the mean and less noisy than the median. Infinite runs are left out like others.
    """
    ordered = np.sort(np.asarray(values, np.float64), axis=-1)
    count = ordered.shape[-1]
    if not count:
        raise ValueError("no runs: a mean needs at least one")
    cut = count // 4
    return ordered[..., cut : count - cut].mean(-1)


def difference(x: ArrayLike, y: ArrayLike) -> Floats:
    """Return the difference of two interquartile means, (…, n) and (…, m) to (…)."""
    return interquartile_mean(x) - interquartile_mean(y)


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> Floats:
    """Return the probability that a run of x beats a run of y, ties counted half, (…, n) and (…, m) to (…).

    It is the Mann-Whitney statistic over all n·m pairs of runs, divided by their number.
    """
    first, second = np.asarray(x, np.float64)[..., :, None], np.asarray(y, np.float64)[..., None, :]
    return ((first > second) + 0.5 * (first == second)).mean((-2, -1))


def bootstrap(
    statistic: Callable[..., Floats],
    *samples: ArrayLike,
    rng: np.random.Generator,
    paired: bool = False,
    resamples: int = 10_000,
    confidence: float = 0.95,
) -> Estimate:
    """Return a statistic of one or more samples of runs, and its percentile bootstrap interval.

    Runs are drawn with replacement. The bounds are values of resamples, not interpolated, so that they may be infinite.
    Equal runs have an interval of width 0, since resamples hold no other values: it says nothing of further runs.

    Args:
        statistic: of arrays with the runs along the last axis, one argument a sample.
        samples: (n,) each, a number a run.
        rng: draws the resamples; the same generator state, the same interval.
        paired: run i of every sample has the same seed, that is warm start and problems; they are drawn together, so
            that the effect of the seed cancels in a difference.
        resamples: R.
        confidence: the share of the resamples that the interval holds.
    """
    arrays = [np.asarray(sample, np.float64) for sample in samples]
    sizes = [array.shape for array in arrays]
    if any(len(size) != 1 or not size[0] for size in sizes):
        raise ValueError(f"samples of shapes {sizes} must be (n,) each, a number a run, with n of at least 1")
    if paired and len(set(sizes)) > 1:
        raise ValueError(f"paired samples need as many runs each, and have {[size[0] for size in sizes]}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must lie between 0 and 1")
    chosen = rng.integers(len(arrays[0]), size=(resamples, len(arrays[0])))  # (R, n)
    drawn = [arrays[0][chosen]]
    for array in arrays[1:]:
        drawn.append(array[chosen if paired else rng.integers(len(array), size=(resamples, len(array)))])
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    with np.errstate(invalid="ignore", divide="ignore"):  # ∞ - ∞ is NaN, which `finite` maps to None
        low, high = np.quantile(statistic(*drawn), tails, method="inverted_cdf")
        return Estimate(float(statistic(*arrays)), float(low), float(high))


def finite(value: float) -> float | None:
    """Return a figure for JSON, rounded to four places; None if it is infinite or NaN."""
    return round(float(value), 4) if np.isfinite(value) else None
