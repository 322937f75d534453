"""Baselines against their definitions."""

import numpy as np
import pytest

from textmdp.agents.algorithms.baselines import (
    batch_mean,
    frac_zero_variance_groups,
    group_mean,
    group_std,
    has_reward_variance,
    leave_one_out,
    running_mean,
)


def test_baselines_are_means_over_the_batch_the_group_and_the_others():
    rng = np.random.default_rng(0)
    returns, groups = rng.normal(size=12), rng.permutation(np.repeat([7, 3, 2**61], 4))
    np.testing.assert_allclose(batch_mean(returns), returns.mean())
    for i in range(12):
        group = groups == groups[i]
        others = group & (np.arange(12) != i)
        np.testing.assert_allclose(group_mean(returns, groups)[i], returns[group].mean())
        np.testing.assert_allclose(leave_one_out(returns, groups)[i], returns[others].mean())


def test_leave_one_out_is_the_group_mean_without_its_shrinkage():
    rng = np.random.default_rng(1)
    returns, groups = rng.normal(size=20), np.repeat(np.arange(4), 5)
    inclusive, exclusive = returns - group_mean(returns, groups), returns - leave_one_out(returns, groups)
    np.testing.assert_allclose(exclusive, 5 / 4 * inclusive)  # G / (G - 1)


def test_leave_one_out_needs_others():
    with pytest.raises(ValueError, match="group 9 has one episode"):
        leave_one_out(np.zeros(3), np.array([1, 1, 9]))


def test_groups_without_variance():
    returns, groups = np.array([1.0, 1, 0, 1, 0, 0]), np.array([5, 5, 8, 8, 2, 2])
    assert frac_zero_variance_groups(returns, groups) == pytest.approx(2 / 3)
    np.testing.assert_array_equal(has_reward_variance(returns, groups), [0, 0, 1, 1, 0, 0])
    shuffled = np.array([1, 4, 0, 3, 5, 2])  # groups need not lie together
    np.testing.assert_array_equal(has_reward_variance(returns[shuffled], groups[shuffled]), [0, 0, 0, 1, 0, 1])


def test_the_running_mean_is_that_of_the_first_batch_and_then_moves():
    first = running_mean(None, np.array([1.0, 3.0]))
    assert first == 2.0
    assert running_mean(first, np.array([4.0]), 0.25) == 2.5


def test_the_deviation_of_a_group_is_without_bias():
    returns, groups = np.array([1.0, 5.0, 3.0, 2.0, 9.0]), np.array([4, 7, 4, 7, 1])
    found = group_std(returns, groups)
    np.testing.assert_allclose(found, [np.sqrt(2), np.sqrt(4.5), np.sqrt(2), np.sqrt(4.5), 0])


def test_returns_and_groups_have_one_shape():
    with pytest.raises(ValueError, match="one shape"):
        group_mean(np.zeros(3), np.zeros(4, int))
