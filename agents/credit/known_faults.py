"""Six faults of estimators that libraries have shipped or proposed, each beside its mended twin.

Each is a minimal reimplementation of our own, in the plain signature that `audit` takes; the twins differ by the fault
alone. The referee convicts the first of each pair and acquits the second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.algorithms.advantages import Floats, Mask, discount_weights, rewards_to_go
from textmdp.agents.algorithms.baselines import Groups, group_mean, group_std, leave_one_out

Turns = NDArray[np.int64]


class Pair(NamedTuple):
    """A faulty estimator and its mended twin."""

    faulty: Callable[..., Floats]
    mended: Callable[..., Floats]


def _by_turn(rewards: Floats, turns: Turns) -> tuple[Floats, Mask]:
    """The reward of each turn of each episode, (B, K), and whether the episode came to it, (B, K) bool."""
    numbers = np.arange(turns.max() + 1)
    own = turns[:, None, :] == numbers[:, None]  # (B, K, T)
    return (rewards[:, None, :] * own).sum(2), own.any(2)


def _spread(by_turn: Floats, turns: Turns) -> Floats:
    """Numbers of turns, (B, K), on the tokens of each turn, (B, T)."""
    return np.where(turns >= 0, np.take_along_axis(by_turn, np.maximum(turns, 0), 1), 0.0)


def per_turn_baseline(rewards: Floats, mask: Mask, turns: Turns) -> Floats:
    """Each turn's reward minus the mean of the others that came to this turn, summed to go: a sum of as many terms as
    the episode chooses to have, so that each further turn costs the baseline once more.
    """
    earned, reached = _by_turn(rewards, turns)
    others = reached.sum(0) - reached
    baseline = (earned.sum(0) - earned) / np.maximum(others, 1)
    differences = np.where(reached, earned - baseline, 0.0)
    return _spread(differences[:, ::-1].cumsum(1)[:, ::-1], turns)


def per_turn_baseline_mended(rewards: Floats, mask: Mask, turns: Turns) -> Floats:
    """Each turn's reward to go minus that of all others from the same turn on, 0 for those that had stopped."""
    earned, _ = _by_turn(rewards, turns)
    to_go = earned[:, ::-1].cumsum(1)[:, ::-1]
    return _spread(to_go - (to_go.sum(0) - to_go) / (len(to_go) - 1), turns)


def extra_discount(rewards: Floats, mask: Mask, turns: Turns, groups: Groups, gamma: float) -> Floats:
    """Discounted rewards to go, times γ^t once more."""
    return discount_weights(mask, gamma) * rewards_to_go(rewards, mask, gamma)


def extra_discount_mended(rewards: Floats, mask: Mask, turns: Turns, groups: Groups, gamma: float) -> Floats:
    """Discounted rewards to go."""
    return rewards_to_go(rewards, mask, gamma)


def last_mask(rewards: Floats, mask: Mask, turns: Turns, groups: Groups) -> Floats:
    """The return minus the others' on the tokens of the last turn, whichever turn the sample is of."""
    last = turns == turns.max(1, keepdims=True)
    return last * leave_one_out_returns(rewards, mask, turns, groups)


def leave_one_out_returns(rewards: Floats, mask: Mask, turns: Turns, groups: Groups) -> Floats:
    """The return minus the mean return of the others, on all of the policy's tokens."""
    returns = rewards.sum(1)
    return mask * (returns - leave_one_out(returns, groups))[:, None]


def own_mean(rewards: Floats, mask: Mask, turns: Turns, groups: Groups) -> Floats:
    """The return minus the mean of the group, the episode's own return among them."""
    returns = rewards.sum(1)
    return mask * (returns - group_mean(returns, groups))[:, None]


def by_deviation(rewards: Floats, mask: Mask, turns: Turns, groups: Groups) -> Floats:
    """The return minus that of the others, divided by the deviation of the group."""
    return leave_one_out_returns(rewards, mask, turns, groups) / (group_std(rewards.sum(1), groups) + 1e-6)[:, None]


def by_length(rewards: Floats, mask: Mask, turns: Turns, groups: Groups) -> Floats:
    """The return minus that of the others, divided by the length of the episode."""
    return leave_one_out_returns(rewards, mask, turns, groups) / mask.sum(1, keepdims=True)


#: The faults by name, each with its mended twin.
KNOWN_FAULTS: dict[str, Pair] = {
    "a baseline for each turn, of as many terms as the episode chooses": Pair(
        per_turn_baseline, per_turn_baseline_mended
    ),
    "an extra γ^t": Pair(extra_discount, extra_discount_mended),
    "a scalar spread with another step's mask": Pair(last_mask, leave_one_out_returns),
    "the (G − 1)/G shrinkage": Pair(own_mean, leave_one_out_returns),
    "division by the group's deviation": Pair(by_deviation, leave_one_out_returns),
    "1/|o| weighting": Pair(by_length, leave_one_out_returns),
}
