"""The table of algorithms: the advantages of its rows, and token weights."""

import itertools

import numpy as np
import pytest

from textmdp.agents.algorithms.objectives import (
    AGGREGATIONS,
    BASELINES,
    OBJECTIVES,
    AdvantageInputs,
    token_weights,
)

MASK = np.array([[0, 1, 1, 1, 0], [0, 1, 0, 0, 0]], bool)


def inputs(rewards, groups, **others):
    return AdvantageInputs(rewards, MASK, MASK.astype(float), np.array(groups), **others)


def a_group(returns):
    rewards = np.asarray(returns, float)[:, None]
    return AdvantageInputs(rewards, np.ones(rewards.shape, bool), np.ones(rewards.shape), np.zeros(len(rewards), int))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_row_is_valid(name):
    row = OBJECTIVES[name]
    assert row.baseline in (*BASELINES, "turn", "value")
    assert row.epochs * row.minibatches >= 1
    assert row.aggregation in AGGREGATIONS
    assert row.summary


def test_reinforce_weights_with_the_rewards_to_go():
    rewards = np.array([[0, 0, 0, 1.0, 0], [0, 2, 0, 0, 0]])
    advantages = OBJECTIVES["reinforce"].advantages(inputs(rewards, [0, 1]), 0.5)
    np.testing.assert_array_equal(advantages, [[0, 0.25, 0.5, 1, 0], [0, 2, 0, 0, 0]])


def test_the_group_row_subtracts_the_mean_of_the_group():
    rewards = np.array([[0, 0, 0, 1.0, 0], [0, 0, 0, 0, 0]])
    advantages = OBJECTIVES["reinforce-group"].advantages(inputs(rewards, [4, 4]), 1.0)
    np.testing.assert_array_equal(advantages, [[0, 0.5, 0.5, 0.5, 0], [0, -0.5, 0, 0, 0]])


def test_rows_subtract_their_baselines():
    rewards = np.array([[0, 0, 0, 3.0, 0], [0, 1, 0, 0, 0]])
    running = OBJECTIVES["reinforce-running"].advantages(inputs(rewards, [4, 4], running_mean=0.5), 1.0)
    np.testing.assert_array_equal(running, [[0, 2.5, 2.5, 2.5, 0], [0, 0.5, 0, 0, 0]])
    rloo = OBJECTIVES["rloo"].advantages(inputs(rewards, [4, 4]), 1.0)
    np.testing.assert_array_equal(rloo, [[0, 2, 2, 2, 0], [0, -2, 0, 0, 0]])
    remax = OBJECTIVES["remax"].advantages(inputs(rewards, [4, 5], greedy_returns=np.array([1.0, 2.0])), 1.0)
    np.testing.assert_array_equal(remax, [[0, 2, 2, 2, 0], [0, -1, 0, 0, 0]])
    grpo = OBJECTIVES["grpo"].advantages(inputs(rewards, [4, 4]), 1.0)  # mean 2, deviation √2
    np.testing.assert_allclose(grpo[MASK], np.array([1, 1, 1, -1]) / (np.sqrt(2) + 1e-4))
    np.testing.assert_array_equal(
        OBJECTIVES["dr-grpo"].advantages(inputs(rewards, [4, 4]), 1.0)[MASK], [1.0, 1.0, 1.0, -1.0]
    )
    values = np.where(MASK, 0.5, 0.0)
    critic = OBJECTIVES["actor-critic"].advantages(inputs(rewards, [4, 5], values=values, last_values=np.zeros(2)), 1.0)
    np.testing.assert_allclose(critic[MASK], [2.5, 2.5, 2.5, 0.5])
    assert OBJECTIVES["actor-critic"].normalize(critic, MASK) is critic
    for name in ("ppo", "ppo-group"):
        raw = OBJECTIVES[name].advantages(inputs(rewards, [4, 4], values=values, last_values=np.zeros(2)), 1.0)
        white = OBJECTIVES[name].normalize(raw, MASK)
        assert white[MASK].mean() == pytest.approx(0, abs=1e-12)
        assert white[MASK].std() == pytest.approx(1, abs=1e-3)


def test_turns_are_compared_with_the_others_turns():
    mask = np.ones((3, 4), bool)
    mask[2, 2:] = False  # two turns of two tokens, the last episode one
    rewards = np.array([[0, 1, 0, 2.0], [0, 3, 0, 4], [0, 5, 0, 0]])
    turns = np.where(mask, [0, 0, 1, 1], -1)
    found = OBJECTIVES["rloo-turn"].advantages(
        AdvantageInputs(rewards, mask, mask.astype(float), np.zeros(3, int), turns=turns), 1.0
    )
    to_go = np.array([[3, 3, 2, 2], [7, 7, 4, 4], [5, 5, 0, 0]])
    others = np.array([[6, 6, 2, 2], [4, 4, 1, 1], [5, 5, 0, 0]])  # at turn 1 the last episode counts as 0
    np.testing.assert_array_equal(found, (to_go - others) * mask)


def test_groups_without_a_signal_give_none_even_if_their_rewards_come_at_different_times():
    rewards = np.array([[0, 0, 0, 1.0, 0], [0, 1, 0, 0, 0]])
    early = np.array([[0, 1.0, 0, 0, 0], [0, 1, 0, 0, 0]])
    for equal in (rewards, early):
        np.testing.assert_array_equal(OBJECTIVES["grpo"].advantages(inputs(equal, [4, 4]), 1.0), 0)
    assert OBJECTIVES["dr-grpo"].advantages(inputs(early, [4, 4]), 1.0).min() == -1  # what would be divided by 1e-4


def test_missing_inputs_of_a_baseline_are_refused():
    with pytest.raises(ValueError, match="greedy episodes"):
        OBJECTIVES["remax"].advantages(inputs(np.zeros(MASK.shape), [0, 0]), 1.0)
    with pytest.raises(ValueError, match="value function"):
        OBJECTIVES["ppo"].advantages(inputs(np.zeros(MASK.shape), [0, 0]), 1.0)
    with pytest.raises(ValueError, match="turn of each token"):
        OBJECTIVES["rloo-turn"].advantages(inputs(np.zeros(MASK.shape), [0, 0]), 1.0)


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
        advantages = returns - BASELINES[name](returns, a_group(returns))
        for action, advantage in zip(pair, advantages, strict=True):
            gradient += policy[list(pair)].prod() * advantage * (np.eye(3)[action] - policy) / 2
    np.testing.assert_allclose(gradient, policy * (reward - policy @ reward), atol=1e-12)  # softmax policy gradient


def test_the_mean_of_the_group_shrinks_the_gradient_by_its_own_share():
    policy, reward = np.array([0.2, 0.5, 0.3]), np.array([1.0, 0.0, 4.0])
    gradient = np.zeros(3)
    for pair in itertools.product(range(3), repeat=2):
        returns = reward[list(pair)]
        for action, advantage in zip(pair, returns - BASELINES["group"](returns, a_group(returns)), strict=True):
            gradient += policy[list(pair)].prod() * advantage * (np.eye(3)[action] - policy) / 2
    np.testing.assert_allclose(gradient, policy * (reward - policy @ reward) / 2, atol=1e-12)  # (G - 1) / G = 1/2
