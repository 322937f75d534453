"""Many gradient steps on one batch, with and without PPO's clip, as a table whose true return is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from textmdp.agents.credit.exact_values import ExactValues, exact_values
from textmdp.agents.credit.prefix_tree import Floats
from textmdp.agents.credit.tables import SampledEpisodes, policy_gradient, softmax


class Reuse(NamedTuple):
    """A policy before each step on one batch, and after the last."""

    expected_return: Floats
    """(steps + 1,), the exact one."""
    surrogate: Floats
    """(steps + 1,), `Σ ρ A` of the batch, for each episode: the improvement that the batch promises."""
    divergence: Floats
    """(steps + 1,), the exact KL(π || π_old) of an episode, in nats."""


def reuse_batch(
    old: ExactValues, batch: SampledEpisodes, advantages: Floats, *, steps: int, learning_rate: float, clip: float
) -> Reuse:
    """Gradient steps on the surrogate of one batch, `Σ min(ρ A, clip(ρ, 1 ± ε) A)` (arXiv 1707.06347).

    Args:
        old: the policy that wrote the batch, as probabilities above 0.
        batch: B episodes.
        advantages: (B, T).
        steps: gradient steps.
        learning_rate: α, of logits.
        clip: ε; 0 for no clip.
    """
    tree, logits, found = old.tree, np.log(old.policy), []
    for _ in range(steps + 1):
        values = exact_values(tree, softmax(tree, logits))
        ratios = np.where(batch.mask, values.policy[batch.edges] / old.policy[batch.edges], 1.0)
        information = values.policy * np.log(values.policy / old.policy)  # (E,)
        divergence = values.occupancy[tree.edge_prefix] @ information
        found.append((values.expected_return, (ratios * advantages).sum() / len(ratios), divergence))
        gone = ((advantages > 0) & (ratios > 1 + clip)) | ((advantages < 0) & (ratios < 1 - clip))
        weights = np.where(gone & (clip > 0), 0.0, ratios * advantages)  # ∇ρ = ρ ∇ log π
        logits = logits + learning_rate * policy_gradient(tree, values.policy, batch.edges, weights)
    return Reuse(*np.array(found).T)
