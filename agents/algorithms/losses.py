"""Differentiable terms of the loss, token by token: surrogates of the policy gradient, KL estimators, value errors."""

from __future__ import annotations

import torch
from torch import Tensor

#: Log-ratios are clamped to ±20 before `exp`, as in verl and OpenRLHF: e^20 would otherwise dominate any batch.
MAX_LOG_RATIO = 20.0


def surrogate(log_ratios: Tensor, advantages: Tensor) -> Tensor:
    """`ρ A`, of any shape: its gradient is `A ∇ log π` at ρ = 1, and importance-weighted elsewhere.

    Args:
        log_ratios: log ρ = log π - log π_old of the actions.
        advantages: of the same shape.
    """
    return log_ratios.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp() * advantages


def clipped_surrogate(log_ratios: Tensor, advantages: Tensor, low: float, high: float, dual: float = 0.0) -> Tensor:
    """`min(ρ A, clip(ρ, 1 - low, 1 + high) A)`, of any shape (PPO, Schulman et al. 2017, arXiv 1707.06347).

    The gradient vanishes for good actions with ρ > 1 + high and for bad ones with ρ < 1 - low. Bad actions with a large
    ρ are bounded by `dual` alone: for A < 0 the surrogate is at least `dual A` (dual clip, Ye et al. 2020, arXiv
    1912.09729).

    Args:
        log_ratios: log ρ = log π - log π_old of the actions.
        advantages: of the same shape.
        low: ε_low.
        high: ε_high.
        dual: the bound of dual clip, above 1; 0 for none.
    """
    ratios = log_ratios.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
    clipped = torch.minimum(ratios * advantages, ratios.clamp(1 - low, 1 + high) * advantages)
    if dual:
        clipped = torch.where(advantages < 0, torch.maximum(clipped, dual * advantages), clipped)
    return clipped


def is_clipped(log_ratios: Tensor, advantages: Tensor, low: float, high: float, dual: float = 0.0) -> Tensor:
    """Actions with an advantage whose gradient `clipped_surrogate` removes, bool; arguments as there."""
    ratios = log_ratios.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
    clipped = ((advantages > 0) & (ratios > 1 + high)) | ((advantages < 0) & (ratios < 1 - low))
    if dual:
        clipped = clipped | ((advantages < 0) & (ratios > dual))
    return clipped | ((advantages != 0) & (log_ratios.abs() > MAX_LOG_RATIO))


def sum_per_turn(values: Tensor, turns: Tensor) -> Tensor:
    """The sum over each response at its first token, (B, T); 0 at all other positions.

    Args:
        values: (B, T), 0 outside the policy's tokens.
        turns: (B, T), the turn of each of the policy's tokens, -1 elsewhere (`Trajectories.turns`).
    """
    turn = turns.clamp(min=0).long()  # values outside the policy's tokens add 0 to the first turn
    sums = torch.zeros_like(values).scatter_add(1, turn, values)  # (B, T), by turn: there are at most T of them
    return torch.where(first_tokens(turns), sums.gather(1, turn), torch.zeros_like(values))


def first_tokens(turns: Tensor) -> Tensor:
    """The first token of each response, (B, T) bool.

    Args:
        turns: (B, T), the turn of each of the policy's tokens, -1 elsewhere.
    """
    # Turns count up: a response begins where its number is greater than all before it.
    highest = torch.cat([turns.new_full((len(turns), 1), -1), turns.cummax(1).values[:, :-1]], 1)
    return turns > highest


def divergence(log_probs: Tensor, reference: Tensor, estimator: str) -> Tensor:
    """An estimate of KL(π || π_ref) from each sampled token, in nats, of the shape of `log_probs`.

    With `ℓ = log π - log π_ref`: k1 = ℓ, k2 = ℓ²/2, k3 = e^{-ℓ} - 1 + ℓ (Schulman, joschu.net/blog/kl-approx.html). As
    values, k1 and k3 are unbiased. As losses on fresh samples, the expected gradient of k1 is 0, that of k2 is the
    gradient of KL(π || π_ref), and that of k3 the gradient of KL(π_ref || π).

    Args:
        log_probs: log π of the tokens.
        reference: log π_ref of the tokens.
        estimator: "k1", "k2" or "k3".

    Raises:
        ValueError: unknown `estimator`.
    """
    log_ratio = log_probs - reference
    if estimator == "k1":
        return log_ratio
    if estimator == "k2":
        return log_ratio.square() / 2
    if estimator == "k3":
        return (-log_ratio).clamp(max=MAX_LOG_RATIO).exp() - 1 + log_ratio
    raise ValueError(f"estimator={estimator!r} is none of 'k1', 'k2', 'k3'")


def exact_divergence(full_log_probs: Tensor, reference: Tensor) -> Tensor:
    """KL(π || π_ref) summed over the vocabulary, (…,), in nats; its gradient is exact for each state visited.

    Args:
        full_log_probs: (…, V), log π of all tokens.
        reference: (…, V), log π_ref of all tokens.
    """
    return (full_log_probs.exp() * (full_log_probs - reference)).sum(-1)


def adaptive_kl_coef(kl_coef: float, kl: float, target: float, episodes: int, horizon: int) -> float:
    """The next KL coefficient: `β (1 + clip(KL/target - 1, ±0.2) n/horizon)` (Ziegler et al. 2019, section 2.2).

    See arXiv 1909.08593.

    Args:
        kl_coef: β.
        kl: the measured divergence of an episode, in nats.
        target: the divergence to aim at, in nats.
        episodes: n, the episodes since the last change of β.
        horizon: episodes over which β adapts.
    """
    error = min(max(kl / target - 1, -0.2), 0.2)
    return max(kl_coef * (1 + error * episodes / horizon), 0.0)


def value_errors(values: Tensor, targets: Tensor, old_values: Tensor, clip: float = 0.0) -> Tensor:
    """Half the squared error, of any shape; the larger one of clipped and unclipped values if there is a clip.

    `½ max((V - R)², (clip(V, V_old ± ε) - R)²)`, as in CleanRL and verl.

    Args:
        values: V.
        targets: R, of the same shape.
        old_values: V before the update, of the same shape.
        clip: ε, in the units of the rewards; 0 for none.
    """
    errors = (values - targets).square()
    if clip:
        clipped = old_values + (values - old_values).clamp(-clip, clip)
        errors = torch.maximum(errors, (clipped - targets).square())
    return 0.5 * errors
