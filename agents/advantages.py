"""From rewards to advantages: pure functions on position-aligned arrays with explicit masks.

Time is counted in the policy's tokens: from one of them to the next is one step, whatever the environment says
between them. B episodes, L positions; `mask`, (B, L) bool, holds where the policy's tokens are (`Trajectories.mask`).
Rewards sit on the tokens that earned them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def rewards_to_go(rewards: Floats, mask: Mask, discount: float = 1.0) -> Floats:
    """Discounted rewards to go, (B, L): `G_t = Σ_{k ≥ t} γ^{k - t} r_k` over policy tokens; 0 at all other positions.

    Williams 1992 (REINFORCE); that the rewards before t can be left out is the policy gradient theorem, Sutton et al.
    1999. The environment's tokens take no time: the sum is carried over them without decay, also if γ < 1.

    With γ = 1 the gradient that they weight is unbiased for that of the expected return. With γ < 1 it is biased for
    that, and for that of the discounted return too, unless the term of token t is weighted with γ^t (Thomas 2014).

    Args:
        rewards: (B, L); those outside the mask must be 0.
        mask: (B, L) bool, the policy's tokens.
        discount: γ, in [0, 1].
    """
    if rewards.shape != mask.shape:
        raise ValueError(f"rewards {rewards.shape} and mask {mask.shape} must have one shape, (B, L)")
    if not 0.0 <= discount <= 1.0:
        raise ValueError(f"discount={discount} must lie in [0, 1]")
    if np.any(rewards[~mask]):
        raise ValueError("rewards outside the mask belong to no token of the policy; they must be 0")
    to_go = np.zeros(rewards.shape)
    carried = np.zeros(len(rewards))  # (B,)
    for t in reversed(range(rewards.shape[1])):
        carried = np.where(mask[:, t], rewards[:, t] + discount * carried, carried)
        to_go[:, t] = np.where(mask[:, t], carried, 0.0)
    return to_go


def discounted_returns(to_go: Floats, mask: Mask) -> Floats:
    """Discounted returns, (B,): the rewards to go at the first token of the policy; 0 where it said nothing.

    Args:
        to_go: (B, L), of `rewards_to_go`.
        mask: (B, L) bool, the policy's tokens.
    """
    return np.where(mask.any(1), to_go[np.arange(len(to_go)), mask.argmax(1)], 0.0)


def batch_mean(returns: Floats) -> Floats:
    """The mean over the batch as a baseline for each episode, (B,): `b_i = (1/B) Σ_j R_j`.

    Biased by the factor `(B - 1)/B`, since `R_i` is part of its own baseline: harmless for large B.

    Args:
        returns: (B,).
    """
    return np.full(len(returns), returns.mean())


def group_mean(returns: Floats, groups: NDArray[np.int64]) -> Floats:
    """The mean over the episodes of the same problem as a baseline, (B,): `b_i = (1/G) Σ_{j in group of i} R_j`.

    GRPO without its division by the spread (Shao et al. 2024, arXiv 2402.03300; Liu et al. 2025, arXiv 2503.20783).
    Biased by the factor `(G - 1)/G`, the same for all tokens where all groups have G episodes: a smaller step in the
    right direction. `leave_one_out` is without bias.

    Args:
        returns: (B,).
        groups: (B,) any numbers, equal for episodes of the same problem.
    """
    sums, sizes = _by_group(returns, groups)
    return sums / sizes


def leave_one_out(returns: Floats, groups: NDArray[np.int64]) -> Floats:
    """The mean over the other episodes of the group as a baseline, (B,): `b_i = (1/(G-1)) Σ_{j ≠ i} R_j`.

    RLOO (Kool et al. 2019; Ahmadian et al. 2024, arXiv 2402.14740). Without bias: it doesn't depend on episode i.
    `R_i - b_i` is `G/(G-1)` times what `group_mean` gives.

    Args:
        returns: (B,).
        groups: (B,) any numbers, equal for episodes of the same problem; each at least twice.
    """
    sums, sizes = _by_group(returns, groups)
    if (sizes < 2).any():
        alone = groups[sizes < 2][0]
        raise ValueError(f"group {alone} has one episode, and leave-one-out needs others: use groups of two or more")
    return (sums - returns) / (sizes - 1)


def zero_variance_groups(returns: Floats, groups: NDArray[np.int64]) -> float:
    """The share of groups in which all episodes have the same return: with a group baseline they teach nothing.

    Args:
        returns: (B,).
        groups: (B,) any numbers, equal for episodes of the same problem.
    """
    names, inverse = np.unique(groups, return_inverse=True)
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    np.minimum.at(low, inverse, returns)
    np.maximum.at(high, inverse, returns)
    return float(np.mean(low == high))


def _by_group(returns: Floats, groups: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """For each episode the sum over its group and the size of that, (B,) twice."""
    if returns.shape != groups.shape:
        raise ValueError(f"returns {returns.shape} and groups {groups.shape} must have one shape, (B,)")
    _, inverse = np.unique(groups, return_inverse=True)
    return np.bincount(inverse, returns).astype(np.float64)[inverse], np.bincount(inverse).astype(np.float64)[inverse]
