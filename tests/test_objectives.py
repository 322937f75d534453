"""The table of algorithms: what its rows compute, and how tokens are weighted."""

import itertools

import numpy as np
import pytest

from textmdp.agents.objectives import AGGREGATIONS, BASELINES, OBJECTIVES, token_weights

MASK = np.array([[0, 1, 1, 1, 0], [0, 1, 0, 0, 0]], bool)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_row_names_what_exists(name):
    row = OBJECTIVES[name]
    assert row.baseline in BASELINES
    assert row.aggregation in AGGREGATIONS
    assert row.summary


def test_reinforce_weights_with_the_rewards_to_go():
    rewards = np.array([[0, 0, 0, 1.0, 0], [0, 2, 0, 0, 0]])
    advantages = OBJECTIVES["reinforce"].advantages(rewards, MASK, np.array([0, 1]), 0.5)
    np.testing.assert_array_equal(advantages, [[0, 0.25, 0.5, 1, 0], [0, 2, 0, 0, 0]])


def test_the_group_row_subtracts_the_mean_of_the_group():
    rewards = np.array([[0, 0, 0, 1.0, 0], [0, 0, 0, 0, 0]])
    advantages = OBJECTIVES["reinforce-group"].advantages(rewards, MASK, np.array([4, 4]), 1.0)
    np.testing.assert_array_equal(advantages, [[0, 0.5, 0.5, 0.5, 0], [0, -0.5, 0, 0, 0]])


def test_aggregations():
    np.testing.assert_allclose(token_weights(MASK, "token-mean", 8), MASK / 4)
    np.testing.assert_allclose(token_weights(MASK, "sequence-mean", 8), MASK / [[2 * 3], [2 * 1]])
    np.testing.assert_allclose(token_weights(MASK, "constant", 8), MASK / 16)
    with pytest.raises(ValueError, match="'mean' is none of 'token-mean'"):
        token_weights(MASK, "mean", 8)


@pytest.mark.parametrize("name", ["none", "leave-one-out"])
def test_without_bias_the_expected_gradient_is_the_exact_one(name):
    """Three actions, one token, groups of two, all 9 outcomes enumerated: E[Σ A ∇log π] / 2 = ∇E[R]."""
    policy, reward = np.array([0.2, 0.5, 0.3]), np.array([1.0, 0.0, 4.0])
    gradient = np.zeros(3)
    for pair in itertools.product(range(3), repeat=2):
        returns = reward[list(pair)]
        advantages = returns - BASELINES[name](returns, np.zeros(2, int))
        for action, advantage in zip(pair, advantages, strict=True):
            gradient += policy[list(pair)].prod() * advantage * (np.eye(3)[action] - policy) / 2
    np.testing.assert_allclose(gradient, policy * (reward - policy @ reward), atol=1e-12)  # softmax policy gradient


def test_the_mean_of_the_group_shrinks_the_gradient_by_its_own_share():
    policy, reward = np.array([0.2, 0.5, 0.3]), np.array([1.0, 0.0, 4.0])
    gradient = np.zeros(3)
    for pair in itertools.product(range(3), repeat=2):
        returns = reward[list(pair)]
        for action, advantage in zip(pair, returns - BASELINES["group"](returns, np.zeros(2, int)), strict=True):
            gradient += policy[list(pair)].prod() * advantage * (np.eye(3)[action] - policy) / 2
    np.testing.assert_allclose(gradient, policy * (reward - policy @ reward) / 2, atol=1e-12)  # (G - 1) / G = 1/2
