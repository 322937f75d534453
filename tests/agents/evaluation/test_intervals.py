import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmdp.agents.evaluation.intervals import mean_interval, wilson_interval


# Newcombe 1998, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17, table I, 3.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_has_the_published_values(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_bounds_are_where_the_score_test_just_rejects():
    for successes, trials in ((3, 10), (499, 500), (250, 500)):
        for p in wilson_interval(successes, trials):
            z = (successes / trials - p) / np.sqrt(p * (1 - p) / trials)
            assert abs(z) == pytest.approx(1.959964, abs=1e-5)


@pytest.mark.parametrize("trials", [1, 7, 500, 10**6])
def test_wilson_stays_within_0_and_1_exactly(trials):
    assert wilson_interval(0, trials)[0] == 0.0
    assert wilson_interval(trials, trials)[1] == 1.0
    assert 0 < wilson_interval(0, trials)[1] < 1


def test_wilson_covers():
    rng = np.random.default_rng(0)
    for p in (0.05, 0.5, 0.97):
        intervals = [wilson_interval(int(k), 60) for k in rng.binomial(60, p, size=2000)]
        assert 0.92 < np.mean([low <= p <= high for low, high in intervals]) < 0.985


def test_impossible_counts_are_refused():
    for successes, trials in ((1, 0), (-1, 5), (6, 5)):
        with pytest.raises(ValueError, match="successes <= trials"):
            wilson_interval(successes, trials)


def test_the_mean_has_its_standard_error():
    low, high = mean_interval([0.0, 1.0, 1.0, 0.0], 0.0, 1.0)
    assert (low + high) / 2 == pytest.approx(0.5)
    assert (high - low) / 2 == pytest.approx(1.959964 * np.sqrt(1 / 3) / 2, rel=1e-5)


@pytest.mark.parametrize("n", [1, 2, 20, 500])
def test_equal_values_have_the_interval_of_a_proportion(n):
    assert mean_interval([1.0] * n, 0.0, 1.0) == pytest.approx(wilson_interval(n, n))
    assert mean_interval([0.0] * n, 0.0, 1.0) == pytest.approx(wilson_interval(0, n))
    assert mean_interval([1.0 - 1e-15] * n, 0.0, 1.0) == pytest.approx(wilson_interval(n, n))
    assert mean_interval([3.0] * n, 0.0, 3.0) == pytest.approx((3 * wilson_interval(n, n)[0], 3.0))
    assert mean_interval([-1.0] * n, 0.0, 1.0)[0] == -1.0  # beyond the range: taken as its end


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_every_interval_has_a_width_around_the_mean(values):
    low, high = mean_interval(values, 0.0, 1.0)
    assert low - 1e-12 <= np.mean(values) <= high + 1e-12
    assert high > low
