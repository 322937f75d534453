"""95 % intervals of proportions and means.

Letters: n trials or values, z the normal quantile of the confidence, 1.96 for 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

Interval = tuple[float, float]

#: Values count as equal if they differ by less than this part of their range: sums of floats round.
_ROUNDING = 1e-9


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return the score interval of a proportion: all p that a test at this confidence would not reject.

    (p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n), Wilson 1927, "Probable inference, the law of succession, and
    statistical inference", JASA 22:209-212. Unlike p̂ ± z√(p̂(1−p̂)/n) it stays in [0, 1] and has a width at 0 and 1.

    Raises:
        ValueError: unless 0 <= successes <= trials and trials >= 1.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} successes in {trials} trials: 0 <= successes <= trials, trials >= 1 is needed")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / trials
    centre = p + z * z / (2 * trials)
    spread = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At 0 and 1 the bounds are exact, and rounding would miss them by an ulp.
    low = 0.0 if successes == 0 else (centre - spread) / scale
    high = 1.0 if successes == trials else (centre + spread) / scale
    return low, high


def mean_interval(values: Sequence[float], low: float, high: float, confidence: float = 0.95) -> Interval:
    """Return the interval of a mean: ± z standard errors, the normal approximation.

    Equal values have no standard error, and yet their mean isn't certain. Their interval is that of the worst
    distribution on [low, high]: as much of it as Wilson's interval of 0 successes allows lies at the one end or the
    other. At 0 and 1 of [0, 1] that is Wilson's interval of the proportion.

    Args:
        values: n >= 1 independent values.
        low: smallest possible value; a smaller one among the values takes its place.
        high: largest possible value, likewise.
        confidence: probability that the interval covers the mean.
    """
    array = np.asarray(values, float)
    mean, least, most = float(array.mean()), float(array.min()), float(array.max())
    low, high = min(low, least), max(high, most)
    if most - least <= _ROUNDING * (high - low):
        (here, _), (_, elsewhere) = (wilson_interval(k, len(array), confidence) for k in (len(array), 0))
        return low + here * (mean - low), mean + elsewhere * (high - mean)
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * float(array.std(ddof=1)) / math.sqrt(len(array))
    return mean - half, mean + half
