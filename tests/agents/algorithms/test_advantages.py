"""Advantages against brute force and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmdp.agents.algorithms.advantages import (
    discount_weights,
    discounted_returns,
    explained_variance,
    generalized_advantages,
    rewards_to_go,
    time_steps,
    whiten,
)


def random_batch(seed, rows=6, length=9):
    rng = np.random.default_rng(seed)
    mask = rng.random((rows, length)) < 0.6
    return np.where(mask, rng.normal(size=mask.shape), 0.0), mask


def brute_force(rewards, mask, gamma):
    to_go = np.zeros(rewards.shape)
    for i, row in enumerate(mask):
        steps = np.flatnonzero(row)  # time is the policy's tokens
        for k, t in enumerate(steps):
            to_go[i, t] = sum(gamma ** (j - k) * rewards[i, steps[j]] for j in range(k, len(steps)))
    return to_go


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), gamma=st.floats(0, 1))
def test_rewards_to_go_are_sums_over_the_tokens_of_the_policy(seed, gamma):
    rewards, mask = random_batch(seed)
    np.testing.assert_allclose(rewards_to_go(rewards, mask, gamma), brute_force(rewards, mask, gamma), atol=1e-12)


def test_a_constant_reward_gives_a_geometric_sum():
    mask = np.ones((1, 400), bool)
    to_go = rewards_to_go(np.ones((1, 400)), mask, 0.9)
    np.testing.assert_allclose(to_go[0, :200], 1 / (1 - 0.9))
    np.testing.assert_allclose(to_go[0, -3:], [1 + 0.9 + 0.81, 1.9, 1.0])


def test_the_environments_tokens_take_no_time():
    rewards = np.array([[0, 0, 0, 0, 1.0, 0, 0]])
    mask = np.array([[0, 1, 0, 0, 1, 0, 0]], bool)
    np.testing.assert_array_equal(rewards_to_go(rewards, mask, 0.5), [[0, 0.5, 0, 0, 1, 0, 0]])


def test_discounted_returns_are_those_of_the_first_token():
    rewards, mask = np.array([[0, 0, 1.0], [0, 0, 0]]), np.array([[0, 1, 1], [0, 0, 0]], bool)
    np.testing.assert_array_equal(discounted_returns(rewards_to_go(rewards, mask, 0.5), mask), [0.5, 0])


def test_invalid_arguments_are_refused():
    rewards, mask = random_batch(0)
    with pytest.raises(ValueError, match=r"gamma=1\.5"):
        rewards_to_go(rewards, mask, 1.5)
    with pytest.raises(ValueError, match="outside the mask"):
        rewards_to_go(rewards, ~mask)
    with pytest.raises(ValueError, match="one shape"):
        rewards_to_go(rewards[:, 1:], mask)


def test_time_in_turns_passes_at_their_last_tokens():
    turns = np.array([[-1, 0, 0, -1, 1, 1, 1, -1], [-1, -1, 0, -1, -1, 1, -1, -1]])
    mask = turns >= 0
    np.testing.assert_array_equal(time_steps(mask, turns), mask)
    by_turns = time_steps(mask, turns, "turns")
    np.testing.assert_array_equal(by_turns, [[0, 0, 1, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1, 0, 0]])
    rewards = np.zeros(mask.shape)
    rewards[0, 6] = rewards[1, 5] = 1.0
    to_go = rewards_to_go(rewards, mask, 0.5, by_turns)
    np.testing.assert_array_equal(to_go, [[0, 0.5, 0.5, 0, 1, 1, 1, 0], [0, 0, 0.5, 0, 0, 1, 0, 0]])
    weights = discount_weights(mask, 0.5, by_turns)
    np.testing.assert_array_equal(weights, [[0, 1, 1, 0, 0.5, 0.5, 0.5, 0], [0, 0, 1, 0, 0, 0.5, 0, 0]])
    np.testing.assert_array_equal(discount_weights(mask, 0.5)[1], [0, 0, 1, 0, 0, 0.5, 0, 0])
    with pytest.raises(ValueError, match="'wall' is none of"):
        time_steps(mask, turns, "wall")


def test_no_time_passes_after_a_turn_that_was_cut():
    turns = np.array([[-1, 0, 0, -1, 1, 1], [-1, 0, 0, -1, 1, 1], [0, -1, 1, 1, -1, -1]])
    found = time_steps(turns >= 0, turns, "turns", np.array([True, False, True]))
    np.testing.assert_array_equal(found, [[0, 0, 1, 0, 0, 0], [0, 0, 1, 0, 0, 1], [1, 0, 0, 0, 0, 0]])
    tokens = time_steps(turns >= 0, turns, "tokens", np.array([True, False, True]))  # the next token is a step away
    np.testing.assert_array_equal(tokens, turns >= 0)


def brute_force_gae(rewards, values, last, mask, gamma, trace):
    """The definition: the sum of (γλ)^k δ_{t+k} over the policy's tokens."""
    advantages = np.zeros(rewards.shape)
    for i, row in enumerate(mask):
        steps = np.flatnonzero(row)
        if not len(steps):
            continue
        following = np.append(values[i, steps[1:]], last[i])
        deltas = rewards[i, steps] + gamma * following - values[i, steps]
        for k, t in enumerate(steps):
            advantages[i, t] = sum((gamma * trace) ** j * delta for j, delta in enumerate(deltas[k:]))
    return advantages


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), gamma=st.floats(0, 1), trace=st.floats(0, 1))
def test_generalized_advantages_match_their_definition(seed, gamma, trace):
    rewards, mask = random_batch(seed)
    rng = np.random.default_rng(seed)
    values, last = np.where(mask, rng.normal(size=mask.shape), 0.0), rng.normal(size=len(mask))
    found = generalized_advantages(rewards, values, last, mask, gamma, trace)
    np.testing.assert_allclose(found, brute_force_gae(rewards, values, last, mask, gamma, trace), atol=1e-9)
    # With λ = 1 they are rewards to go less V, whatever V is, where episodes terminate.
    ended = generalized_advantages(rewards, values, np.zeros(len(mask)), mask, gamma, 1.0)
    np.testing.assert_allclose(ended[mask], (rewards_to_go(rewards, mask, gamma) - values)[mask], atol=1e-9)


def test_truncation_bootstraps_and_termination_does_not():
    """A reward of 1 a step for ever is worth 1 / (1 - γ): a value function that knows that has advantage 0."""
    gamma, length = 0.9, 12
    mask, rewards = np.ones((2, length), bool), np.ones((2, length))
    values = np.full((2, length), 1 / (1 - gamma))
    for trace in (0.0, 0.5, 1.0):
        found = generalized_advantages(rewards, values, np.array([10.0, 0.0]), mask, gamma, trace)
        np.testing.assert_allclose(found[0], 0, atol=1e-12)  # truncated: nothing is missing
        left = length - np.arange(length)
        lost = -((gamma * trace) ** (left - 1)) * gamma * 10  # terminated: all that would have followed
        np.testing.assert_allclose(found[1], lost, atol=1e-12)


def test_values_are_carried_over_the_environments_tokens():
    rewards = np.array([[0, 0, 0, 1.0]])
    mask = np.array([[0, 1, 0, 1]], bool)
    values = np.array([[9.0, 0.25, 9.0, 0.5]])  # values outside the mask are ignored
    found = generalized_advantages(rewards, values, np.zeros(1), mask, 0.5, 1.0)
    np.testing.assert_allclose(found, [[0, 0.5 * 0.5 - 0.25 + 0.5 * 0.5, 0, 0.5]])


def test_whitening_is_over_the_tokens_of_the_policy():
    advantages, mask = np.array([[7.0, 1.0, 3.0]]), np.array([[0, 1, 1]], bool)
    np.testing.assert_allclose(whiten(advantages, mask), [[0, -1, 1]], atol=2e-4)
    np.testing.assert_allclose(whiten(advantages, mask, shift=False), [[0, 1, 3]], atol=1e-3)
    assert not whiten(advantages, np.zeros_like(mask)).any()


def test_explained_variance():
    targets, mask = np.array([[0.0, 1.0, 2.0, 50.0]]), np.array([[1, 1, 1, 0]], bool)
    assert explained_variance(targets, targets, mask) == 1
    assert explained_variance(np.full((1, 4), 7.0), targets, mask) == 0
    assert explained_variance(-targets, targets, mask) < 0
    assert np.isnan(explained_variance(targets, np.ones((1, 4)), mask))
