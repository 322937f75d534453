"""Advantages from rewards: pure functions on position-aligned NumPy arrays with explicit masks.

B episodes of T positions. `mask`, (B, T) bool, marks the policy's tokens (`Trajectories.mask`); rewards sit on the
tokens that earned them. Time is counted in the policy's tokens or turns (`time_steps`); the environment's tokens take
no time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Added to standard deviations before dividing by them, as TRL does for GRPO.
EPSILON = 1e-4
DISCOUNT_UNITS = ("tokens", "turns")


def time_steps(
    mask: Mask, turns: NDArray[np.int32], discount_unit: str = "tokens", unfinished: Mask | None = None
) -> Floats:
    """The time from each of the policy's tokens to the next state in which it acts, (B, T): 0 or 1; 0 outside the mask.

    With "tokens", every token takes one time step. With "turns", a whole turn does: its last token takes the step, and
    all of its tokens share one moment. The state after the last token of an unfinished turn still belongs to that turn,
    so no time passes before it.

    Args:
        mask: (B, T) bool, the policy's tokens.
        turns: (B, T), the turn of each of them (`Trajectories.turns`).
        discount_unit: "tokens" or "turns".
        unfinished: (B,) bool, episodes truncated within a turn; None for none.

    Raises:
        ValueError: unknown `discount_unit`.
    """
    if discount_unit == "tokens":
        return mask.astype(np.float64)
    if discount_unit != "turns":
        raise ValueError(f"discount_unit={discount_unit!r} is none of {', '.join(map(repr, DISCOUNT_UNITS))}")
    next_turn = np.full(len(mask), -1, turns.dtype)  # (B,) the turn of the policy's next token, -1 after its last
    if unfinished is not None:
        next_turn = np.where(unfinished, turns.max(1), next_turn)
    steps = np.zeros(mask.shape)
    for t in reversed(range(mask.shape[1])):
        steps[:, t] = mask[:, t] & (next_turn != turns[:, t])
        next_turn = np.where(mask[:, t], turns[:, t], next_turn)
    return steps


def rewards_to_go(rewards: Floats, mask: Mask, gamma: float = 1.0, time: Floats | None = None) -> Floats:
    """Discounted rewards to go, (B, T): `G_t = r_t + γ^τ_t G_{t'}`, t' the policy's next token; 0 outside the mask.

    With `τ = 1` at every token this is `Σ_{k ≥ t} γ^{k - t} r_k` (REINFORCE, Williams 1992). Rewards before t can be
    left out by the policy gradient theorem (Sutton et al. 1999). The sum passes the environment's tokens undiscounted.

    With γ = 1 the gradient weighted by these is unbiased for the gradient of the expected return. With γ < 1 it is
    biased for the expected return, and also for the discounted return unless the term of token t is weighted with
    `discount_weights` (Thomas 2014).

    Args:
        rewards: (B, T), 0 outside the mask.
        mask: (B, T) bool, the policy's tokens.
        gamma: γ in [0, 1].
        time: (B, T), τ from `time_steps`; None for one step a token.

    Raises:
        ValueError: shapes differ, γ lies outside [0, 1], or there are rewards outside the mask.
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
    """Weights `γ^t`, (B, T), that make the discounted policy gradient exact; 0 outside the mask.

    Without them, tokens late in an episode count as if the episode had started there. Libraries leave them out
    (Thomas 2014; Nota & Thomas 2020, arXiv 1906.07073).

    Args:
        mask: (B, T) bool, the policy's tokens.
        gamma: γ in [0, 1].
        time: (B, T), from `time_steps`; None for one step a token.
    """
    steps = mask.astype(np.float64) if time is None else time
    return np.where(mask, gamma ** (steps.cumsum(1) - steps), 0.0)


def generalized_advantages(
    rewards: Floats,
    values: Floats,
    last_values: Floats,
    mask: Mask,
    gamma: float = 1.0,
    gae_lambda: float = 1.0,
    time: Floats | None = None,
) -> Floats:
    """Generalized advantage estimates, (B, T); 0 outside the mask. Advantages plus values are TD(λ) returns.

    `A_t = δ_t + (γλ)^τ A_{t'}` with `δ_t = r_t + γ^τ V_{t'} - V_t`, t' the policy's next token (Schulman et al. 2016,
    arXiv 1506.02438). V and A pass the environment's tokens undiscounted.

    With λ = 1 the gradient is unbiased for any V if episodes terminate; with λ < 1 its bias is that of V. λ < 1 also
    shortens the reach of a reward at the end: 0.95^50 is 0.08.

    Args:
        rewards: (B, T), 0 outside the mask.
        values: (B, T), V of the state before each token.
        last_values: (B,), V of the state after the episode: 0 if it terminated. Truncation is no end of the task, so
            truncated episodes bootstrap from V (Pardo et al. 2018, arXiv 1712.00378).
        mask: (B, T) bool, the policy's tokens.
        gamma: γ in [0, 1].
        gae_lambda: λ in [0, 1]: 0 for one-step temporal differences, 1 for rewards to go minus V.
        time: (B, T), τ from `time_steps`; None for one step a token.

    Raises:
        ValueError: shapes differ, γ or λ lies outside [0, 1], or there are rewards outside the mask.
    """
    _check(rewards, mask, gamma=gamma, gae_lambda=gae_lambda)
    steps = np.ones(mask.shape) if time is None else time
    value_decay, advantage_decay = gamma**steps, (gamma * gae_lambda) ** steps
    advantages = np.zeros(rewards.shape)
    value, advantage = last_values.astype(np.float64), np.zeros(len(rewards))  # (B,) at the policy's next token
    for t in reversed(range(rewards.shape[1])):
        now = mask[:, t]
        delta = rewards[:, t] + value_decay[:, t] * value - values[:, t]
        advantage = np.where(now, delta + advantage_decay[:, t] * advantage, advantage)
        value = np.where(now, values[:, t], value)
        advantages[:, t] = np.where(now, advantage, 0.0)
    return advantages


def discounted_returns(to_go: Floats, mask: Mask) -> Floats:
    """Discounted returns, (B,): the rewards to go at the policy's first token; 0 if it has none.

    Args:
        to_go: (B, T), from `rewards_to_go`.
        mask: (B, T) bool, the policy's tokens.
    """
    return np.where(mask.any(1), to_go[np.arange(len(to_go)), mask.argmax(1)], 0.0)


def whiten(advantages: Floats, mask: Mask, shift: bool = True) -> Floats:
    """Advantages scaled to unit variance and shifted to mean 0 over the policy's tokens of the batch, (B, T).

    Biased, since scale and shift depend on the batch. The step size no longer depends on the scale of the rewards.

    Args:
        advantages: (B, T).
        mask: (B, T) bool, the policy's tokens.
        shift: whether to subtract the mean.
    """
    selected = advantages[mask]
    if not len(selected):
        return np.zeros_like(advantages)
    return np.where(mask, (advantages - shift * selected.mean()) / (selected.std() + EPSILON), 0.0)


def explained_variance(values: Floats, targets: Floats, mask: Mask) -> float:
    """`1 - Var(targets - values) / Var(targets)` over the policy's tokens: 1 is perfect, 0 as good as a constant.

    NaN if the targets don't vary.

    Args:
        values: (B, T).
        targets: (B, T), the returns that the values predict.
        mask: (B, T) bool, the policy's tokens.
    """
    variance = targets[mask].var() if mask.any() else 0.0
    return float(1 - (targets - values)[mask].var() / variance) if variance > 0 else float("nan")


def _check(rewards: Floats, mask: Mask, **factors: float) -> None:
    if rewards.shape != mask.shape:
        raise ValueError(f"rewards {rewards.shape} and mask {mask.shape} must have one shape, (B, T)")
    for name, factor in factors.items():
        if not 0.0 <= factor <= 1.0:
            raise ValueError(f"{name}={factor} must lie in [0, 1]")
    if np.any(rewards[~mask]):
        raise ValueError("rewards outside the mask belong to none of the policy's tokens; they must be 0")
