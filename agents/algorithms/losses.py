"""What is differentiated: surrogates of the policy gradient, and estimators of a divergence, token by token."""

from __future__ import annotations

import torch
from torch import Tensor

#: Logarithms of ratios beyond this are cut before `exp`: e^20 is a ratio that no sampling survives anyway.
_MOST = 20.0


def surrogate(log_ratios: Tensor, advantages: Tensor) -> Tensor:
    """`ρ A`, of any shape: its gradient is `A ∇ log π` where ρ is 1, and importance-weighted elsewhere.

    Args:
        log_ratios: log π - log π_old of the actions.
        advantages: of the same shape.
    """
    return log_ratios.clamp(-_MOST, _MOST).exp() * advantages


def clipped_surrogate(log_ratios: Tensor, advantages: Tensor, low: float, high: float, dual: float = 0.0) -> Tensor:
    """`min(ρ A, clip(ρ, 1 - low, 1 + high) A)`, of any shape (PPO; Schulman et al. 2017, arXiv 1707.06347).

    No gradient is left where a step has already made good actions likelier than 1 + high times what they were, or bad
    ones less likely than 1 - low times. Nothing bounds what a bad action costs that became likelier; with `dual` above
    1 it is `dual |A|` (dual clip; Ye et al. 2020, arXiv 1912.09729).

    Args:
        log_ratios: log π - log π_old of the actions.
        advantages: of the same shape.
        low: how far below 1 a ratio counts.
        high: how far above 1.
        dual: the most that a ratio counts where the advantage is negative; 0 for no bound.
    """
    ratios = log_ratios.clamp(-_MOST, _MOST).exp()
    least = torch.minimum(ratios * advantages, ratios.clamp(1 - low, 1 + high) * advantages)
    if dual:
        least = torch.where(advantages < 0, torch.maximum(least, dual * advantages), least)
    return least


def is_clipped(log_ratios: Tensor, advantages: Tensor, low: float, high: float) -> Tensor:
    """Where the clip of `clipped_surrogate` takes the gradient away, bool."""
    ratios = log_ratios.exp()
    return ((advantages > 0) & (ratios > 1 + high)) | ((advantages < 0) & (ratios < 1 - low))


def sum_per_turn(values: Tensor, turns: Tensor) -> Tensor:
    """The sum over each response at its first token, (B, L); 0 at all other positions.

    Args:
        values: (B, L), 0 outside the policy's tokens.
        turns: (B, L), the turn of each of them, -1 elsewhere (`Trajectories.turns`).
    """
    places = turns.clamp(min=0).long()  # what is outside adds 0 to the first turn
    count = int(places.max()) + 1 if places.numel() else 1
    sums = values.new_zeros(len(values), count).scatter_add(1, places, values)  # (B, turns)
    return torch.where(first_tokens(turns), sums.gather(1, places), torch.zeros_like(values))


def first_tokens(turns: Tensor) -> Tensor:
    """Where responses begin, (B, L) bool.

    Args:
        turns: (B, L), the turn of each of the policy's tokens, -1 elsewhere.
    """
    # Turns count up: a response begins where its number is greater than all before it.
    highest = torch.cat([turns.new_full((len(turns), 1), -1), turns.cummax(1).values[:, :-1]], 1)
    return turns > highest


def divergence(log_probs: Tensor, reference: Tensor, estimator: str) -> Tensor:
    """An estimate of KL(π || π_ref) from each sampled token, of the shape of `log_probs`, in nats.

    With `ℓ = log π - log π_ref`: k1 = ℓ, k2 = ℓ²/2, k3 = e^{-ℓ} - 1 + ℓ (Schulman, joschu.net/blog/kl-approx.html). As
    values, k1 and k3 are unbiased. As losses, differentiated on fresh samples: k1 has gradient 0 in expectation, k2 has
    that of KL(π || π_ref), k3 that of KL(π_ref || π).

    Args:
        log_probs: log π of the tokens.
        reference: log π_ref of the same.
        estimator: "k1", "k2" or "k3".
    """
    ell = log_probs - reference
    if estimator == "k1":
        return ell
    if estimator == "k2":
        return ell.square() / 2
    if estimator == "k3":
        return (-ell).clamp(max=_MOST).exp() - 1 + ell
    raise ValueError(f"estimator={estimator!r} is none of 'k1', 'k2', 'k3'")


def exact_divergence(every: Tensor, reference: Tensor) -> Tensor:
    """KL(π || π_ref) summed over the vocabulary, (…,), in nats; its gradient is exact for each state that was visited.

    Args:
        every: (…, V), log-probabilities of all tokens.
        reference: (…, V), those of the reference.
    """
    return (every.exp() * (every - reference)).sum(-1)


def adapted(coefficient: float, measured: float, target: float, episodes: int, horizon: int) -> float:
    """The next coefficient β of a divergence: `β (1 + clip(KL/target - 1, ±0.2) n/horizon)` (Ziegler et al. 2019).

    arXiv 1909.08593, section 2.2.

    Args:
        coefficient: β.
        measured: the divergence of an episode, in nats.
        target: what it should be.
        episodes: n, since β last changed.
        horizon: episodes over which β adapts.
    """
    error = min(max(measured / target - 1, -0.2), 0.2)
    return max(coefficient * (1 + error * episodes / horizon), 0.0)
