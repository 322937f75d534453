"""Advantages against brute force and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmdp.agents.advantages import (
    batch_mean,
    discounted_returns,
    group_mean,
    leave_one_out,
    rewards_to_go,
    zero_variance_groups,
)


def random_batch(seed, rows=6, length=9):
    rng = np.random.default_rng(seed)
    mask = rng.random((rows, length)) < 0.6
    return np.where(mask, rng.normal(size=mask.shape), 0.0), mask


def brute_force(rewards, mask, discount):
    to_go = np.zeros(rewards.shape)
    for i, row in enumerate(mask):
        steps = np.flatnonzero(row)  # time is the policy's tokens
        for k, t in enumerate(steps):
            to_go[i, t] = sum(discount ** (j - k) * rewards[i, steps[j]] for j in range(k, len(steps)))
    return to_go


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), discount=st.floats(0, 1))
def test_rewards_to_go_are_sums_over_the_tokens_of_the_policy(seed, discount):
    rewards, mask = random_batch(seed)
    np.testing.assert_allclose(rewards_to_go(rewards, mask, discount), brute_force(rewards, mask, discount), atol=1e-12)


def test_a_constant_reward_gives_a_geometric_sum():
    mask = np.ones((1, 400), bool)
    to_go = rewards_to_go(np.ones((1, 400)), mask, 0.9)
    np.testing.assert_allclose(to_go[0, :200], 1 / (1 - 0.9))
    np.testing.assert_allclose(to_go[0, -3:], [1 + 0.9 + 0.81, 1.9, 1.0])


def test_what_the_environment_says_takes_no_time():
    rewards = np.array([[0, 0, 0, 0, 1.0, 0, 0]])
    mask = np.array([[0, 1, 0, 0, 1, 0, 0]], bool)
    np.testing.assert_array_equal(rewards_to_go(rewards, mask, 0.5), [[0, 0.5, 0, 0, 1, 0, 0]])


def test_discounted_returns_are_those_of_the_first_token():
    rewards, mask = np.array([[0, 0, 1.0], [0, 0, 0]]), np.array([[0, 1, 1], [0, 0, 0]], bool)
    np.testing.assert_array_equal(discounted_returns(rewards_to_go(rewards, mask, 0.5), mask), [0.5, 0])


def test_what_makes_no_sense_is_refused():
    rewards, mask = random_batch(0)
    with pytest.raises(ValueError, match=r"discount=1\.5"):
        rewards_to_go(rewards, mask, 1.5)
    with pytest.raises(ValueError, match="outside the mask"):
        rewards_to_go(rewards, ~mask)
    with pytest.raises(ValueError, match="one shape"):
        rewards_to_go(rewards[:, 1:], mask)
    with pytest.raises(ValueError, match="one shape"):
        group_mean(np.zeros(3), np.zeros(4, int))


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
    assert zero_variance_groups(returns, groups) == pytest.approx(2 / 3)
