"""Values learnt as a table, a number a prefix, from the episodes of a fixed policy: what notebooks hold against V."""

from __future__ import annotations

import numpy as np

from textmdp.agents.algorithms.advantages import generalized_advantages
from textmdp.agents.course.gradients import values_along
from textmdp.agents.credit.exact_values import ExactValues
from textmdp.agents.credit.prefix_tree import Floats, PrefixTree
from textmdp.agents.credit.tables import SampledEpisodes, sample_episodes


def td_step(v: Floats, batch: SampledEpisodes, tree: PrefixTree, gae_lambda: float, learning_rate: float) -> Floats:
    """The table after one step towards the TD(λ) returns of a batch, (N,).

    Each prefix that the batch visits moves to the mean of its returns: `v ← v + α (mean(A + v) - v)` with the
    generalized advantages A (Sutton & Barto, section 12.1). λ = 1 is Monte Carlo, λ = 0 one-step temporal differences.

    Args:
        v: (N,), of each prefix.
        batch: of episodes that terminate.
        tree: the prefixes.
        gae_lambda: λ.
        learning_rate: α; with 1 a prefix takes the mean itself.
    """
    advantages = advantages_of(batch, v, tree, gae_lambda)
    visited = tree.edge_prefix[batch.edges[batch.mask]]
    errors = np.bincount(visited, advantages[batch.mask], tree.num_prefixes)
    counts = np.bincount(visited, minlength=tree.num_prefixes)
    return v + learning_rate * errors / np.maximum(counts, 1)


def advantages_of(batch: SampledEpisodes, v: Floats, tree: PrefixTree, gae_lambda: float) -> Floats:
    """Generalized advantages without a discount, (B, T), of a table of values, (N,)."""
    values = values_along(batch, v, tree)
    return generalized_advantages(batch.rewards, values, np.zeros(len(values)), batch.mask, gae_lambda=gae_lambda)


def learn_values(
    values: ExactValues, gae_lambda: float, *, batches: int, batch_size: int, learning_rate: float, seed: int
) -> Floats:
    """Tables of values before each batch and after the last, (batches + 1, N), from 0.

    Args:
        values: of the policy that writes the episodes; its V isn't used.
        gae_lambda: λ of the TD(λ) returns.
        batches: steps, a batch of fresh episodes each.
        batch_size: B.
        learning_rate: α.
        seed: of the episodes.
    """
    rng, tables = np.random.default_rng(seed), [np.zeros(values.tree.num_prefixes)]
    for _ in range(batches):
        batch = sample_episodes(values.tree, values.policy, batch_size, rng)
        tables.append(td_step(tables[-1], batch, values.tree, gae_lambda, learning_rate))
    return np.array(tables)
