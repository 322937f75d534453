"""All episodes of a small task with their probabilities, as the arrays that an advantage estimator takes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.credit.exact_values import ExactValues
from textmdp.agents.credit.prefix_tree import Floats, Ints


@dataclass(frozen=True)
class Episodes:
    """All M episodes of one problem, of up to T positions; they differ in tokens or in rewards.

    Attributes:
        weight: the probability of the problem.
        probability: (M,), of each episode given the problem.
        edges: (M, T), the edge of each of the policy's tokens; -1 elsewhere.
        rewards: (M, T).
        turns: (M, T), the turn of each of the policy's tokens; -1 elsewhere.
    """

    weight: float
    probability: Floats
    edges: Ints
    rewards: Floats
    turns: Ints

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The policy's tokens, (M, T)."""
        return self.edges >= 0


class _Step(NamedTuple):
    edge: int
    reward: float


def enumerate_episodes(values: ExactValues, max_episodes: int = 100_000) -> list[Episodes]:
    """All episodes of each problem under a policy. Problems with equal states count as one.

    Args:
        values: of the policy.
        max_episodes: the most episodes of a problem.

    Raises:
        ValueError: a problem has more.
    """
    tree = values.tree
    children: dict[int, int] = {}
    for prefix, edge in enumerate(tree.parent_edge.tolist()):
        children.setdefault(edge, prefix)
    outcomes: dict[tuple[int, int], list[tuple[float, float, int, int]]] = defaultdict(list)
    columns = (tree.outcome_edge, tree.outcome_source, tree.outcome_probability, tree.outcome_reward)
    for edge, source, probability, reward, target, particle in zip(
        *(column.tolist() for column in (*columns, tree.outcome_target, tree.outcome_particle)), strict=True
    ):
        outcomes[edge, source].append((probability, reward, target, particle))
    width = int(tree.length.max()) + 1
    found = []
    for root in range(int(tree.levels[1])):
        for start in tree.beliefs[root]:
            episodes: list[tuple[float, list[_Step]]] = []
            stack: list[tuple[float, int, int, list[_Step]]] = [(1.0, root, start.number, [])]
            while stack:
                mass, prefix, particle, steps = stack.pop()
                for edge in range(int(tree.first_edge[prefix]), int(tree.first_edge[prefix + 1])):
                    taken = mass * float(values.policy[edge])
                    if not taken:
                        continue
                    if not tree.ends_turn[edge]:
                        stack.append((taken, children[edge], particle, [*steps, _Step(edge, 0.0)]))
                        continue
                    for probability, reward, target, hidden in outcomes[edge, particle]:
                        after = [*steps, _Step(edge, reward)]
                        if target < 0:
                            episodes.append((taken * probability, after))
                        else:
                            stack.append((taken * probability, target, hidden, after))
                if len(episodes) > max_episodes:
                    raise ValueError(f"a problem has more than max_episodes={max_episodes} episodes: make it smaller")
            found.append(_arrays(values, tree.chance[root] * start.probability, episodes, width))
    return found


def _arrays(values: ExactValues, weight: float, episodes: list[tuple[float, list[_Step]]], width: int) -> Episodes:
    tree, count = values.tree, len(episodes)
    edges, turns = np.full((count, width), -1), np.full((count, width), -1)
    rewards = np.zeros((count, width))
    for row, (_, steps) in enumerate(episodes):
        taken = np.array([step.edge for step in steps])
        prefixes = tree.edge_prefix[taken]
        positions = tree.length[prefixes]
        edges[row, positions] = taken
        turns[row, positions] = tree.turn[prefixes]
        rewards[row, positions] = [step.reward for step in steps]
    return Episodes(float(weight), np.array([mass for mass, _ in episodes]), edges, rewards, turns)
