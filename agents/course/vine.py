"""The exact noise and cost of Vine's advantages, whose values are means of K branches from each state."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from textmdp.agents.course.gradients import GradientMoments, gradient_moments
from textmdp.agents.course.value_tables import advantages_of
from textmdp.agents.credit.episodes import enumerate_episodes
from textmdp.agents.credit.exact_values import ExactValues
from textmdp.agents.credit.prefix_tree import Floats


class FromEachState(NamedTuple):
    """The noise and the length of the rest of an episode, from each prefix, under a policy and the task's chance."""

    variance: Floats
    """(N,), the variance of the rewards to go."""
    tokens: Floats
    """(N,), the expected number of tokens that the policy still writes."""


def from_each_state(values: ExactValues) -> FromEachState:
    """Variance of the rewards to go and tokens to go of each prefix, as sums over all episodes; 0 where none comes."""
    tree = values.tree
    mass, square, tokens = np.zeros((3, tree.num_prefixes))
    for episodes in enumerate_episodes(values):
        mask = episodes.mask
        to_go = episodes.rewards[:, ::-1].cumsum(1)[:, ::-1]
        left = mask[:, ::-1].cumsum(1)[:, ::-1]
        prefix = tree.edge_prefix[episodes.edges[mask]]
        chances = np.broadcast_to(episodes.weight * episodes.probability[:, None], mask.shape)[mask]
        mass += np.bincount(prefix, chances, tree.num_prefixes)
        square += np.bincount(prefix, chances * to_go[mask] ** 2, tree.num_prefixes)
        tokens += np.bincount(prefix, chances * left[mask], tree.num_prefixes)
    reached = np.maximum(mass, np.finfo(float).tiny)
    variance = np.where(mass > 0, square / reached - values.v**2, 0.0)
    return FromEachState(np.maximum(variance, 0.0), tokens / reached)


def vine_moments(values: ExactValues, branches: int) -> tuple[GradientMoments, float]:
    """The moments of the gradient from one episode with Vine's advantages, and the tokens that the episode costs.

    The advantages are `r + v̂(s') - v̂(s)`, v̂ the mean of K branches from each state of the episode (Kazemnejad et al.
    2024, arXiv 2410.01679). The error of v̂(s) has the variance σ²(s)/K and is independent of the episode. It enters the
    advantages of the tokens before and after s, whose scores are orthogonal in a table.

    Args:
        values: of the policy, without a discount.
        branches: K.
    """
    tree, policy = values.tree, values.policy
    exact = gradient_moments(values, lambda batch, v: advantages_of(batch, v.v, tree, 0.0))
    following = from_each_state(values)
    squares = np.add.reduceat(policy**2, tree.first_edge[:-1])[tree.edge_prefix]
    kappa = 1 - 2 * policy + squares  # (E,) the squared length of the score of each token
    noise, cost = 0.0, 0.0
    for episodes in enumerate_episodes(values):
        chances = episodes.weight * episodes.probability
        for chance, edges in zip(chances, episodes.edges, strict=True):
            taken = edges[edges >= 0]
            states, lengths = tree.edge_prefix[taken], kappa[taken]
            around = lengths + np.concatenate([[0.0], lengths[:-1]])
            noise += chance * float(following.variance[states] @ around)
            cost += chance * (len(taken) + branches * float(following.tokens[states].sum()))
    return GradientMoments(exact.mean, exact.bias, exact.variance + noise / branches), cost
