"""From rewards to advantages: pure functions on position-aligned arrays with explicit masks.

Time is counted in the policy's tokens, or in its turns (`time_steps`), whatever the environment says between them. B
episodes, L positions; `mask`, (B, L) bool, holds where the policy's tokens are (`Trajectories.mask`). Rewards sit on
the tokens that earned them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Added to standard deviations before they divide, as TRL does for GRPO.
EPSILON = 1e-4
DISCOUNT_UNITS = ("tokens", "turns")


def time_steps(mask: Mask, turns: NDArray[np.int32], discount_unit: str = "tokens") -> Floats:
    """How much time passes from each token of the policy to its next one, (B, L): 0 or 1; 0 outside the mask.

    By the clock "tokens" every token takes one step. By the clock "turns" a whole response does: its tokens share one
    moment, and a discount is one a turn. The environment's tokens take no time by either.

    Args:
        mask: (B, L) bool, the policy's tokens.
        turns: (B, L), the turn that each of them belongs to (`Trajectories.turns`).
        discount_unit: a name out of `DISCOUNT_UNITS`.
    """
    if discount_unit == "tokens":
        return mask.astype(np.float64)
    if discount_unit != "turns":
        raise ValueError(f"discount_unit={discount_unit!r} is none of {', '.join(map(repr, DISCOUNT_UNITS))}")
    following = np.full(len(mask), -1, turns.dtype)  # (B,) the turn of the policy's next token
    passed = np.zeros(mask.shape)
    for t in reversed(range(mask.shape[1])):
        passed[:, t] = mask[:, t] & (following != turns[:, t])
        following = np.where(mask[:, t], turns[:, t], following)
    return passed


def rewards_to_go(rewards: Floats, mask: Mask, gamma: float = 1.0, time: Floats | None = None) -> Floats:
    """Discounted rewards to go, (B, L): `G_t = r_t + γ^τ_t G_{t'}` over policy tokens, t' after t; 0 elsewhere.

    With a tick τ of 1 for every token that is `Σ_{k ≥ t} γ^{k - t} r_k`. Williams 1992 (REINFORCE); that the rewards
    before t can be left out is the policy gradient theorem, Sutton et al. 1999. The environment's tokens take no time:
    the sum is carried over them without decay, also if γ < 1.

    With γ = 1 the gradient that they weight is unbiased for that of the expected return. With γ < 1 it is biased for
    that, and for that of the discounted return too, unless the term of token t is weighted with `discount_weights`
    (Thomas 2014).

    Args:
        rewards: (B, L); those outside the mask must be 0.
        mask: (B, L) bool, the policy's tokens.
        gamma: γ, in [0, 1].
        time: (B, L), of `time_steps`; None for a tick a token.
    """
    _check(rewards, mask, gamma=gamma)
    decay = np.full(mask.shape, gamma) if time is None else gamma**time
    to_go = np.zeros(rewards.shape)
    carried = np.zeros(len(rewards))  # (B,)
    for t in reversed(range(rewards.shape[1])):
        carried = np.where(mask[:, t], rewards[:, t] + decay[:, t] * carried, carried)
        to_go[:, t] = np.where(mask[:, t], carried, 0.0)
    return to_go


def discount_weights(mask: Mask, gamma: float, time: Floats | None = None) -> Floats:
    """`γ^t`, (B, L), the factor that makes the discounted gradient exact; 0 outside the mask.

    Without it tokens late in an episode count as if it had begun with them. Every library in use leaves it out
    (Thomas 2014; Nota & Thomas 2020, arXiv 1906.07073).

    Args:
        mask: (B, L) bool, the policy's tokens.
        gamma: γ.
        time: (B, L), of `time_steps`; None for a tick a token.
    """
    passed = mask.astype(np.float64) if time is None else time
    return np.where(mask, gamma ** (passed.cumsum(1) - passed), 0.0)


def generalized_advantages(
    rewards: Floats,
    values: Floats,
    last_values: Floats,
    mask: Mask,
    gamma: float = 1.0,
    gae_lambda: float = 1.0,
    time: Floats | None = None,
) -> Floats:
    """Generalized advantage estimates, (B, L); 0 outside the mask. What they add to V are TD(λ) returns.

    `A_t = δ_t + (γλ)^τ A_{t'}` with `δ_t = r_t + γ^τ V_{t'} - V_t`, t' the policy's next token (Schulman et al. 2016,
    arXiv 1506.02438). V and A are carried over the environment's tokens without decay, as in verl (#2337).

    Unbiased with λ = 1 whatever V is, where episodes terminate; with λ < 1 as good as V is. A λ below 1 shortens the
    reach of a reward at the end: 0.95^50 is 0.08.

    Args:
        rewards: (B, L); those outside the mask must be 0.
        values: (B, L), V of the state before each token.
        last_values: (B,), V of the state after the episode: 0 where it terminated, V where it was truncated, which
            is the machine's limit and no end of the task (Pardo et al. 2018, arXiv 1712.00378).
        mask: (B, L) bool, the policy's tokens.
        gamma: γ, in [0, 1].
        gae_lambda: λ, in [0, 1]: 0 for one-step temporal differences, 1 for rewards to go less V.
        time: (B, L), of `time_steps`; None for a tick a token.
    """
    _check(rewards, mask, gamma=gamma, gae_lambda=gae_lambda)
    passed = np.ones(mask.shape) if time is None else time
    decay, trace = gamma**passed, (gamma * gae_lambda) ** passed
    advantages = np.zeros(rewards.shape)
    value, advantage = last_values.astype(np.float64), np.zeros(len(rewards))  # (B,) of the policy's next token
    for t in reversed(range(rewards.shape[1])):
        now = mask[:, t]
        delta = rewards[:, t] + decay[:, t] * value - values[:, t]
        advantage = np.where(now, delta + trace[:, t] * advantage, advantage)
        value = np.where(now, values[:, t], value)
        advantages[:, t] = np.where(now, advantage, 0.0)
    return advantages


def discounted_returns(to_go: Floats, mask: Mask) -> Floats:
    """Discounted returns, (B,): the rewards to go at the first token of the policy; 0 where it said nothing.

    Args:
        to_go: (B, L), of `rewards_to_go`.
        mask: (B, L) bool, the policy's tokens.
    """
    return np.where(mask.any(1), to_go[np.arange(len(to_go)), mask.argmax(1)], 0.0)


def running_mean(before: float | None, returns: Floats, rate: float = 0.05) -> float:
    """A running mean of returns, moved by one batch: `b ← (1 - α) b + α R̄`; the batch's own mean at first.

    As a baseline it is without bias if the value *before* the batch is used, and 0 before the first.

    Args:
        before: what it was; None before the first batch.
        returns: (B,).
        rate: α.
    """
    mean = float(returns.mean())
    return mean if before is None else (1 - rate) * before + rate * mean


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


def group_std(returns: Floats, groups: NDArray[np.int64]) -> Floats:
    """The standard deviation over the episodes of the same problem, (B,), with G - 1 below the sum; 0 for one alone.

    GRPO divides by it (Shao et al. 2024). That weights problems that are nearly always or nearly never solved more
    than the policy gradient does (Liu et al. 2025, arXiv 2503.20783).

    Args:
        returns: (B,).
        groups: (B,) any numbers, equal for episodes of the same problem.
    """
    sums, sizes = _by_group(returns, groups)
    squares, _ = _by_group((returns - sums / sizes) ** 2, groups)
    return np.sqrt(squares / np.maximum(sizes - 1, 1))


def whiten(advantages: Floats, mask: Mask, shift: bool = True) -> Floats:
    """Advantages scaled to unit variance over the policy's tokens of the batch, (B, L), and shifted to mean 0.

    Biased: the scale depends on the batch, and the shift takes from every token what the batch has on average. It makes
    the size of a step independent of the scale of the rewards.

    Args:
        advantages: (B, L).
        mask: (B, L) bool, the policy's tokens.
        shift: whether the mean is taken off, too.
    """
    told = advantages[mask]
    if not len(told):
        return np.zeros_like(advantages)
    return np.where(mask, (advantages - shift * told.mean()) / (told.std() + EPSILON), 0.0)


def explained_variance(values: Floats, targets: Floats, mask: Mask) -> float:
    """`1 - Var(targets - values) / Var(targets)` over the policy's tokens: 1 is perfect, 0 as good as a constant.

    NaN where the targets don't vary.

    Args:
        values: (B, L).
        targets: (B, L), the returns that the values should foretell.
        mask: (B, L) bool, the policy's tokens.
    """
    spread = targets[mask].var() if mask.any() else 0.0
    return float(1 - (targets - values)[mask].var() / spread) if spread > 0 else float("nan")


def has_reward_variance(returns: Floats, groups: NDArray[np.int64]) -> Mask:
    """Which episodes belong to groups whose returns differ, (B,): with a group baseline the others teach nothing.

    Args:
        returns: (B,).
        groups: (B,) any numbers, equal for episodes of the same problem.
    """
    names, inverse = np.unique(groups, return_inverse=True)
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    np.minimum.at(low, inverse, returns)
    np.maximum.at(high, inverse, returns)
    return (low != high)[inverse]


def zero_variance_groups(returns: Floats, groups: NDArray[np.int64]) -> float:
    """The share of groups in which all episodes have the same return.

    Args:
        returns: (B,).
        groups: (B,) any numbers, equal for episodes of the same problem.
    """
    _, first = np.unique(groups, return_index=True)
    return float(np.mean(~has_reward_variance(returns, groups)[first]))


def _check(rewards: Floats, mask: Mask, **shares: float) -> None:
    if rewards.shape != mask.shape:
        raise ValueError(f"rewards {rewards.shape} and mask {mask.shape} must have one shape, (B, L)")
    for name, share in shares.items():
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"{name}={share} must lie in [0, 1]")
    if np.any(rewards[~mask]):
        raise ValueError("rewards outside the mask belong to no token of the policy; they must be 0")


def _by_group(returns: Floats, groups: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """For each episode the sum over its group and the size of that, (B,) twice."""
    if returns.shape != groups.shape:
        raise ValueError(f"returns {returns.shape} and groups {groups.shape} must have one shape, (B,)")
    _, inverse = np.unique(groups, return_inverse=True)
    return np.bincount(inverse, returns).astype(np.float64)[inverse], np.bincount(inverse).astype(np.float64)[inverse]
