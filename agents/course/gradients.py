"""The exact moments of the gradient of an advantage estimator on a table, and the learning curve of the estimator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import numpy as np

from textmdp.agents.credit.episodes import Episodes, enumerate_episodes
from textmdp.agents.credit.exact_values import ExactValues, exact_values
from textmdp.agents.credit.prefix_tree import Floats, PrefixTree
from textmdp.agents.credit.tables import SampledEpisodes, policy_gradient, sample_episodes, softmax

#: An advantage estimator: maps B episodes, and the exact values of the policy that wrote them, to (B, T).
Estimator: TypeAlias = Callable[[SampledEpisodes, ExactValues], Floats]


@dataclass(frozen=True)
class GradientMoments:
    """The exact moments of a gradient estimate in the logits of a table.

    Attributes:
        mean: (E,), the expected gradient.
        bias: the Euclidean distance of the mean from the exact gradient.
        variance: of the gradient from one episode given the problem, summed over the logits; with groups, that of a
            group times G. The draw of the problem adds the same to all estimators, and is left out.
    """

    mean: Floats
    bias: float
    variance: float


def gradient_moments(values: ExactValues, estimator: Estimator, group_size: int = 1) -> GradientMoments:
    """The moments of the gradient, as sums over every group of episodes that the policy can write.

    Args:
        values: of the policy.
        estimator: of advantages.
        group_size: G; the sum has as many terms as there are groups, the number of episodes to the power of G.
    """
    mean, variance = np.zeros(values.tree.num_edges), 0.0
    for episodes in enumerate_episodes(values):
        batch, chances = _all_groups(episodes, group_size)  # given the problem
        gradients = _gradients(values, batch.edges, estimator(batch, values), group_size)  # (K, E)
        expected = chances @ gradients
        mean += episodes.weight * expected
        variance += episodes.weight * float(chances @ (gradients**2).sum(1) - expected @ expected)
    bias = float(np.linalg.norm(mean - values.logit_gradient))
    return GradientMoments(mean, bias, group_size * variance)


def learning_curve(
    tree: PrefixTree,
    estimator: Estimator,
    *,
    updates: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    group_size: int = 1,
) -> Floats:
    """The exact expected return before each update of a table that learns by policy gradient, (updates,).

    Args:
        tree: the prefixes of the task; the table begins with the uniform policy.
        estimator: of advantages.
        updates: gradient steps, a batch each.
        batch_size: B.
        learning_rate: α.
        seed: of the episodes.
        group_size: G.
    """
    rng, logits, curve = np.random.default_rng(seed), np.zeros(tree.num_edges), np.zeros(updates)
    for update in range(updates):
        values = exact_values(tree, softmax(tree, logits))
        curve[update] = values.expected_return
        batch = sample_episodes(tree, values.policy, batch_size, rng, group_size)
        logits += learning_rate * policy_gradient(tree, values.policy, batch.edges, estimator(batch, values))
    return curve


def values_along(batch: SampledEpisodes, v: Floats, tree: PrefixTree) -> Floats:
    """V of the state before each of the policy's tokens, (B, T), from V of each prefix, (N,); 0 elsewhere."""
    return np.where(batch.mask, v[tree.edge_prefix[batch.edges]], 0.0)


def _all_groups(episodes: Episodes, group_size: int) -> tuple[SampledEpisodes, Floats]:
    """All K groups of a problem as one batch of K G episodes, and their probabilities, (K,)."""
    members = np.array(list(product(range(len(episodes.probability)), repeat=group_size)))  # (K, G)
    rows, groups = members.ravel(), np.repeat(np.arange(len(members)), group_size)
    edges = episodes.edges[rows]
    batch = SampledEpisodes(edges, episodes.rewards[rows], episodes.turns[rows], groups, np.full_like(edges, -1))
    return batch, episodes.probability[members].prod(1)


def _gradients(values: ExactValues, edges: np.ndarray, advantages: Floats, group_size: int) -> Floats:
    """The policy gradient of each group, (K, E)."""
    tree, mask = values.tree, edges >= 0
    group = np.broadcast_to((np.arange(len(edges)) // group_size)[:, None], edges.shape)[mask]
    by_edge = np.zeros((len(edges) // group_size, tree.num_edges))
    np.add.at(by_edge, (group, edges[mask]), advantages[mask])
    by_prefix = np.add.reduceat(by_edge, tree.first_edge[:-1], axis=1)
    return (by_edge - values.policy * by_prefix[:, tree.edge_prefix]) / group_size
