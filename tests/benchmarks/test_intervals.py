"""Interquartile means, bootstrap intervals, probabilities of improvement: by hand, and by what must always hold."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmdp.benchmarks.intervals import bootstrap, difference, interquartile_mean, probability_of_improvement

RUNS = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9)


def estimate(statistic, *samples, seed=0, **options):
    return bootstrap(statistic, *samples, rng=np.random.default_rng(seed), **{"resamples": 500, **options})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0], 3.0),
        ([1.0, 2.0, 6.0], 3.0),  # none left out
        ([100.0, 2.0, 4.0, -50.0], 3.0),
        ([0.0, 1.0, 2.0, 3.0, 90.0], 2.0),  # the middle three of five
        ([9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0], 5.0),  # (3 + 4 + 6 + 7) / 4
        ([5.0, np.inf, 7.0, 9.0, 6.0], 22 / 3),  # one run that never arrived
        ([5.0, np.inf, np.inf, 9.0], np.inf),
    ],
)
def test_interquartile_means_by_hand(values, expected):
    assert interquartile_mean(values) == pytest.approx(expected)


def test_runs_lie_along_the_last_axis():
    values = np.arange(24.0).reshape(2, 3, 4)
    assert interquartile_mean(values) == pytest.approx(values.mean(-1))
    assert probability_of_improvement(values, values[..., ::-1]).shape == (2, 3)


@given(RUNS)
def test_an_interquartile_mean_lies_among_the_runs_and_knows_no_order(values):
    mean = float(interquartile_mean(values))
    assert min(values) - 1e-9 <= mean <= max(values) + 1e-9
    assert interquartile_mean(values[::-1]) == mean


@given(RUNS, st.floats(0.1, 10), st.floats(-100, 100))
def test_an_interquartile_mean_moves_with_its_unit(values, scale, shift):
    moved = interquartile_mean(scale * np.array(values) + shift)
    assert moved == pytest.approx(scale * interquartile_mean(values) + shift, abs=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [([1, 2], [0], 1.0), ([0], [0], 0.5), ([1, 3], [2, 4], 0.25), ([1, 2, 2], [2, 2], 2 * 0.5 * 2 / 6)],
)
def test_probabilities_of_improvement_by_hand(x, y, expected):
    assert probability_of_improvement(x, y) == pytest.approx(expected)


@given(RUNS, RUNS)
def test_one_beats_the_other_or_the_other_beats_the_one(x, y):
    forth, back = probability_of_improvement(x, y), probability_of_improvement(y, x)
    assert forth + back == pytest.approx(1)
    assert 0 <= forth <= 1


@given(RUNS)
def test_an_interval_lies_among_the_runs(values):
    value, low, high = estimate(interquartile_mean, values)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert value == interquartile_mean(values)


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(3).normal(size=7)
    assert estimate(interquartile_mean, values) == estimate(interquartile_mean, values)
    assert estimate(interquartile_mean, values) != estimate(interquartile_mean, values, seed=1)


def test_the_global_generator_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    estimate(interquartile_mean, [1.0, 2.0, 3.0])
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_an_interval_is_that_of_all_resamples():
    """Three runs have 27 resamples: the bounds are the quantiles of their means."""
    values = [1.0, 2.0, 9.0]
    means = sorted(np.mean(resample) for resample in itertools.product(values, repeat=3))
    _, low, high = estimate(interquartile_mean, values, resamples=20_000, confidence=0.8)
    assert low == pytest.approx(means[2])  # the 10 % quantile of 27: the 3rd
    assert high == pytest.approx(means[24])  # the 90 % quantile: the 25th


def test_intervals_cover_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = [estimate(interquartile_mean, rng.normal(size=20)) for _ in range(200)]
    assert 0.85 <= np.mean([low <= 0 <= high for _, low, high in covered]) <= 0.99


def test_pairing_takes_out_what_the_seeds_have_in_common():
    common = np.array([0.0, 5.0, 10.0, 15.0, 20.0])
    assert estimate(difference, common + 1, common, paired=True) == pytest.approx((1, 1, 1))
    _, low, high = estimate(difference, common + 1, common)
    assert low < 0 < high


def test_a_bound_is_infinite_where_runs_never_arrived():
    value, low, high = estimate(interquartile_mean, [5.0, 6.0, 7.0, 8.0, np.inf])
    assert value == pytest.approx(7)
    assert low < value < high == np.inf


def test_what_makes_no_sample_is_refused():
    with pytest.raises(ValueError, match="no runs"):
        interquartile_mean([])
    with pytest.raises(ValueError, match="n of at least 1"):
        estimate(interquartile_mean, [[1.0]])
    with pytest.raises(ValueError, match=r"\[2, 1\]"):
        estimate(difference, [1.0, 2.0], [1.0], paired=True)
    with pytest.raises(ValueError, match="confidence=1"):
        estimate(interquartile_mean, [1.0], confidence=1)
