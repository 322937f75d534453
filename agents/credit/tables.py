"""Softmax policies as tables of logits over a prefix tree: episodes sampled from the tree, and the policy gradient.

They learn in milliseconds, and `exact_values` says after each update how good they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.credit.prefix_tree import Floats, Ints, PrefixTree


@dataclass(frozen=True)
class SampledEpisodes:
    """B episodes of up to T positions, as arrays that the functions of `textmdp.agents.algorithms` take.

    Attributes:
        edges: (B, T), the edge of each of the policy's tokens; -1 elsewhere.
        rewards: (B, T).
        turns: (B, T), the turn of each of the policy's tokens; -1 elsewhere.
        groups: (B,), equal numbers for the episodes of a group.
        particles: (B, T), the hidden state of the turn of each of the policy's tokens; -1 elsewhere, and where unknown.
    """

    edges: Ints
    rewards: Floats
    turns: Ints
    groups: Ints
    particles: Ints

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The policy's tokens, (B, T)."""
        return self.edges >= 0

    @property
    def returns(self) -> Floats:
        """Undiscounted returns, (B,)."""
        return self.rewards.sum(1)


def softmax(tree: PrefixTree, logits: Floats) -> Floats:
    """The probability of each edge given its prefix, (E,), of a table of logits, (E,)."""
    highest = np.maximum.reduceat(logits, tree.first_edge[:-1])
    odds = np.exp(logits - highest[tree.edge_prefix])
    return odds / np.add.reduceat(odds, tree.first_edge[:-1])[tree.edge_prefix]


def policy_gradient(tree: PrefixTree, policy: Floats, edges: Ints, advantages: Floats) -> Floats:
    """The policy gradient of a batch in the logits of a table, (E,): `(1/B) Σ_i Σ_t A_it ∇ log π(a_it | s_it)`.

    With advantages of 1 it is the gradient of the log-likelihood of the episodes.

    Args:
        tree: the prefixes.
        policy: (E,), the probability of each edge.
        edges: (B, T), the edge of each of the policy's tokens; -1 elsewhere.
        advantages: (B, T).
    """
    mask = edges >= 0
    by_edge = np.bincount(edges[mask], advantages[mask], tree.num_edges)  # (E,)
    by_prefix = np.add.reduceat(by_edge, tree.first_edge[:-1])  # (N,)
    return (by_edge - policy * by_prefix[tree.edge_prefix]) / len(edges)


def sample_episodes(
    tree: PrefixTree, policy: Floats, num_episodes: int, rng: np.random.Generator, group_size: int = 1
) -> SampledEpisodes:
    """Episodes of a policy on a tree from its openings, with the task's chance.

    Args:
        tree: the prefixes.
        policy: (E,), the probability of each edge.
        num_episodes: B.
        rng: of policy and task.
        group_size: G; the episodes of a group share opening and hidden state, as those of one problem do.

    Raises:
        ValueError: G doesn't divide B.
    """
    if num_episodes % group_size:
        raise ValueError(f"num_episodes={num_episodes} must be a multiple of group_size={group_size}")
    groups = np.repeat(np.arange(num_episodes // group_size), group_size)
    starts = [(p, one) for p in range(int(tree.levels[1])) for one in tree.beliefs[p]]
    chances = np.array([tree.chance[prefix] * one.probability for prefix, one in starts])
    start = rng.choice(len(starts), num_episodes // group_size, p=chances / chances.sum())[groups]
    prefix = np.array([p for p, _ in starts])[start]
    particle = np.array([one.number for _, one in starts])[start]
    return replace(continue_episodes(tree, policy, prefix, particle, rng), groups=groups)


def continue_episodes(
    tree: PrefixTree, policy: Floats, prefixes: Ints, particles: Ints, rng: np.random.Generator
) -> SampledEpisodes:
    """Episodes that go on from prefixes, with fresh randomness; each is a group of its own.

    Args:
        tree: the prefixes.
        policy: (E,), the probability of each edge.
        prefixes: (B,), where the policy acts first.
        particles: (B,), the hidden states of the turns there.
        rng: of policy and task.
    """
    num_episodes = len(prefixes)
    prefix, particle = prefixes.copy(), particles.copy()
    child = np.full(tree.num_edges, -1)  # of edges within a turn, which have one
    child[tree.parent_edge[tree.parent_edge >= 0]] = np.flatnonzero(tree.parent_edge >= 0)
    bounds = np.cumsum(policy)
    below = np.concatenate([[0.0], bounds])[tree.first_edge]  # (N + 1,)
    order = np.lexsort((tree.outcome_source, tree.outcome_edge))
    stride = int(tree.outcome_source.max()) + 1
    keys = (tree.outcome_edge * stride + tree.outcome_source)[order]
    outcome_bounds = np.cumsum(tree.outcome_probability[order])

    shape = num_episodes, int(tree.length.max()) + 1
    edges, turns, hidden, rewards = np.full(shape, -1), np.full(shape, -1), np.full(shape, -1), np.zeros(shape)
    rows = np.arange(num_episodes)
    while len(rows):
        here = prefix[rows]
        drawn = below[here] + rng.random(len(rows)) * (below[here + 1] - below[here])
        edge = np.clip(np.searchsorted(bounds, drawn, "right"), tree.first_edge[here], tree.first_edge[here + 1] - 1)
        place = rows, tree.length[here]
        edges[place], turns[place], hidden[place] = edge, tree.turn[here], particle[rows]
        prefix[rows] = child[edge]

        ends = tree.ends_turn[edge]
        ending, key = rows[ends], edge[ends] * stride + particle[rows[ends]]
        first, stop = np.searchsorted(keys, key, "left"), np.searchsorted(keys, key, "right")
        low = np.where(first > 0, outcome_bounds[first - 1], 0.0)
        drawn = low + rng.random(len(ending)) * (outcome_bounds[stop - 1] - low)
        outcome = order[np.clip(np.searchsorted(outcome_bounds, drawn, "right"), first, stop - 1)]
        rewards[ending, tree.length[here[ends]]] = tree.outcome_reward[outcome]
        prefix[ending], particle[ending] = tree.outcome_target[outcome], tree.outcome_particle[outcome]
        rows = rows[prefix[rows] >= 0]
    return SampledEpisodes(edges, rewards, turns, np.arange(num_episodes), hidden)
