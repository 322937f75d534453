"""Baselines that compare the returns of episodes: over the batch, or over groups of episodes started together.

B episodes. `groups`, (B,) int64, holds equal numbers for the episodes of a group (`Trajectories.groups`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.algorithms.advantages import Floats, Mask

Groups = NDArray[np.int64]


def running_mean(previous: float | None, returns: Floats, rate: float = 0.05) -> float:
    """A running mean of returns after one more batch: `b ← (1 - α) b + α R̄`; the batch's own mean at first.

    As a baseline it is unbiased if the value *before* the batch is used, and 0 before the first batch.

    Args:
        previous: the running mean so far; None before the first batch.
        returns: (B,).
        rate: α in [0, 1].
    """
    mean = float(returns.mean())
    return mean if previous is None else (1 - rate) * previous + rate * mean


def batch_mean(returns: Floats) -> Floats:
    """The mean over the batch as a baseline for each episode, (B,): `b_i = (1/B) Σ_j R_j`.

    Shrinks the gradient by the factor `(B - 1)/B`, since `R_i` is part of its own baseline: harmless for large B.

    Args:
        returns: (B,).
    """
    return np.full(len(returns), returns.mean())


def group_mean(returns: Floats, groups: Groups) -> Floats:
    """The mean over the group as a baseline, (B,): `b_i = (1/G) Σ_{j in group of i} R_j`.

    The baseline of GRPO (Shao et al. 2024, arXiv 2402.03300) and Dr. GRPO (Liu et al. 2025, arXiv 2503.20783). Shrinks
    the gradient by the factor `(G - 1)/G`, since `R_i` is part of its own baseline; `leave_one_out` is unbiased.

    Args:
        returns: (B,).
        groups: (B,), equal numbers for the episodes of a group.
    """
    sums, sizes = _sums_and_sizes(returns, groups)
    return sums / sizes


def leave_one_out(returns: Floats, groups: Groups) -> Floats:
    """The mean over the other episodes of the group as a baseline, (B,): `b_i = (1/(G-1)) Σ_{j ≠ i} R_j`.

    RLOO (Kool et al. 2019; Ahmadian et al. 2024, arXiv 2402.14740). Unbiased, since it doesn't depend on episode i.
    `R_i - b_i` is `G/(G-1)` times that of `group_mean`.

    Args:
        returns: (B,).
        groups: (B,), equal numbers for the episodes of a group.

    Raises:
        ValueError: a group has a single episode.
    """
    sums, sizes = _sums_and_sizes(returns, groups)
    if (sizes < 2).any():
        alone = groups[sizes < 2][0]
        raise ValueError(f"group {alone} has one episode, and leave-one-out needs others: use groups of two or more")
    return (sums - returns) / (sizes - 1)


def turn_leave_one_out(to_go: Floats, mask: Mask, turns: NDArray[np.integer[Any]], groups: Groups) -> Floats:
    """The mean reward to go of the group's others at the same turn, as a baseline for each token, (B, T).

    `b_ik = (1/(G-1)) Σ_{j ≠ i} G_jk`, with G_jk the reward to go at the first token of episode j's turn k, and 0 if the
    episode was over by then. Every sum has G − 1 terms, so that the baseline of a turn doesn't depend on episode i, and
    is unbiased. A mean over the episodes that came as far is not: an episode chooses by its length whom it is compared
    with (https://github.com/volcengine/verl/issues/7244).

    Args:
        to_go: (B, T), from `advantages.rewards_to_go`.
        mask: (B, T) bool, the policy's tokens.
        turns: (B, T), the turn of each of them.
        groups: (B,), equal numbers for the episodes of a group.

    Raises:
        ValueError: a group has a single episode.
    """
    numbered = np.where(mask, turns, -1)
    baselines = np.zeros(to_go.shape)
    for turn in range(int(numbered.max(initial=-1)) + 1):
        here = numbered == turn
        first = to_go[np.arange(len(to_go)), here.argmax(1)]
        baselines += here * leave_one_out(np.where(here.any(1), first, 0.0), groups)[:, None]
    return baselines


def group_std(returns: Floats, groups: Groups) -> Floats:
    """The standard deviation over the group, (B,), with G - 1 in the denominator; 0 for a group of one.

    GRPO divides by it (Shao et al. 2024). Compared with the policy gradient, that gives more weight to problems that
    are nearly always or nearly never solved (Liu et al. 2025, arXiv 2503.20783).

    Args:
        returns: (B,).
        groups: (B,), equal numbers for the episodes of a group.
    """
    sums, sizes = _sums_and_sizes(returns, groups)
    squares, _ = _sums_and_sizes((returns - sums / sizes) ** 2, groups)
    return np.sqrt(squares / np.maximum(sizes - 1, 1))


def has_reward_variance(returns: Floats, groups: Groups) -> Mask:
    """Episodes of groups whose returns differ, (B,) bool; with a group baseline, all others have advantage 0.

    Args:
        returns: (B,).
        groups: (B,), equal numbers for the episodes of a group.
    """
    numbers, inverse = np.unique(groups, return_inverse=True)
    low, high = np.full(len(numbers), np.inf), np.full(len(numbers), -np.inf)
    np.minimum.at(low, inverse, returns)
    np.maximum.at(high, inverse, returns)
    return (low != high)[inverse]


def frac_zero_variance_groups(returns: Floats, groups: Groups) -> float:
    """The fraction of groups in which all episodes have the same return.

    Args:
        returns: (B,).
        groups: (B,), equal numbers for the episodes of a group.
    """
    _, first = np.unique(groups, return_index=True)
    return float(np.mean(~has_reward_variance(returns, groups)[first]))


def _sums_and_sizes(returns: Floats, groups: Groups) -> tuple[Floats, Floats]:
    """The sum of returns and the number of episodes of each episode's group, (B,) each."""
    if returns.shape != groups.shape:
        raise ValueError(f"returns {returns.shape} and groups {groups.shape} must have one shape, (B,)")
    _, inverse = np.unique(groups, return_inverse=True)
    return np.bincount(inverse, returns).astype(np.float64)[inverse], np.bincount(inverse).astype(np.float64)[inverse]
