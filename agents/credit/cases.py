"""The diagnostics of an audit, small enough that every group of episodes can be enumerated."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.credit.episodes import Episodes, enumerate_episodes
from textmdp.agents.credit.estimators import Batch, Estimator
from textmdp.agents.credit.exact_values import ExactValues, exact_values
from textmdp.agents.credit.prefix_tree import Floats, Ints, PrefixTree
from textmdp.agents.credit.tree_growth import grow_tree
from textmdp.envs.core.mdp import TextMDP
from textmdp.envs.core.task import Task
from textmdp.envs.tasks.diagnostics import (
    TextDelay,
    TextDepth,
    TextDistractor,
    TextKeyDoor,
    TextLengthBias,
    TextMemory,
    TextScale,
    TextStopping,
    TextUmbrella,
)

#: The discounts of an audit. Without discounting the two clocks agree; at 1/2 they are far apart.
GAMMAS = (1.0, 0.5)
#: The sizes of the groups: two, so that a factor that depends on the size shows.
GROUP_SIZES = (2, 3)
#: The V that an estimator which needs one is given.
VALUE_KINDS = ("exact", "wrong", "learnt")
#: Episodes that the learnt V is the mean of.
LEARNT_FROM = 64


def diagnostic_tasks() -> list[Task[Any]]:
    """The diagnostics, from the smallest to the largest number of groups."""
    return [
        TextDelay(delay=2),
        TextDepth(depth=2),
        TextMemory(delay=1),
        TextScale(scale=3.0),
        TextKeyDoor(length=0),
        TextLengthBias(length=2),
        TextUmbrella(length=1),
        TextStopping(turns=3),
        TextDistractor(noise=1.0),
    ]


@dataclass(frozen=True)
class Case:
    """A diagnostic under a fixed policy, which is uneven so that no two errors cancel by symmetry."""

    task: Task[Any]
    tree: PrefixTree = field(init=False)
    policy: Floats = field(init=False)

    def __post_init__(self) -> None:
        tree = grow_tree(TextMDP(self.task))
        odds = np.array([np.random.default_rng([7, prefix]).uniform(0.5, 1.5) for prefix in range(tree.num_edges)])
        sums = np.add.reduceat(odds, tree.first_edge[:-1])
        object.__setattr__(self, "tree", tree)
        object.__setattr__(self, "policy", odds / sums[tree.edge_prefix])

    @property
    def name(self) -> str:
        """The name of the task."""
        return type(self.task).__name__

    def exact(self, gamma: float, clock: str) -> ExactValues:
        """The exact values with a discount by "tokens" or "turns"."""
        return exact_values(self.tree, self.policy, gamma=gamma, discount_unit=clock)

    @cached_property
    def episodes(self) -> list[Episodes]:
        """All episodes of each problem."""
        return enumerate_episodes(self.exact(1.0, "tokens"))

    def v(self, kind: str, gamma: float) -> Floats:
        """V of each prefix, (N,), discounted by tokens: exact, wrong by up to 1/2, or learnt from a few episodes."""
        exact = self.exact(gamma, "tokens")
        if kind == "exact":
            return exact.v
        if kind == "wrong":
            return exact.v + np.random.default_rng(11).uniform(-0.5, 0.5, self.tree.num_prefixes)
        return self._learnt(gamma)

    def _learnt(self, gamma: float) -> Floats:
        """The means of the rewards to go of some episodes; 0 for prefixes that none of them came to."""
        rng, sums, counts = np.random.default_rng(13), *np.zeros((2, self.tree.num_prefixes))
        weights = np.array([episodes.weight for episodes in self.episodes])
        for _ in range(LEARNT_FROM):
            episodes = self.episodes[int(rng.choice(len(weights), p=weights / weights.sum()))]
            row = int(rng.choice(len(episodes.probability), p=episodes.probability / episodes.probability.sum()))
            to_go = 0.0
            for position in np.flatnonzero(episodes.mask[row])[::-1].tolist():
                to_go = float(episodes.rewards[row, position]) + gamma * to_go
                prefix = int(self.tree.edge_prefix[episodes.edges[row, position]])
                sums[prefix] += to_go
                counts[prefix] += 1
        return sums / np.maximum(counts, 1)


@dataclass(frozen=True)
class Groups:
    """Advantages of all K groups of G episodes of a case.

    Attributes:
        probability: (K,).
        edges: (K, G, T), -1 off the policy.
        rewards: (K, G, T).
        advantages: (K, G, T), of the estimator.
        doubled: (K, G, T), of the estimator after all rewards have been doubled, the values too.
    """

    case: Case
    gamma: float
    size: int
    probability: Floats
    edges: Ints
    rewards: Floats
    advantages: Floats
    doubled: Floats

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The policy's tokens, (K, G, T)."""
        return self.edges >= 0


def enumerate_groups(
    case: Case, estimator: Estimator, gamma: float, size: int, kind: str = "exact", max_groups: int = 20_000
) -> Groups | None:
    """The advantages of every group of episodes that a case can have; None if they are too many.

    The estimator is called with a group at a time, since its advantages may depend on all that is in a batch.

    Args:
        case: the diagnostic.
        estimator: the estimator.
        gamma: γ.
        size: G.
        kind: of V, from `VALUE_KINDS`.
        max_groups: the most groups.
    """
    if sum(len(episodes.probability) ** size for episodes in case.episodes) > max_groups:
        return None
    v = case.v(kind, gamma)
    parts: dict[str, list[Any]] = {name: [] for name in ("probability", "edges", "rewards", "advantages", "doubled")}
    for episodes in case.episodes:
        prefix = np.where(episodes.mask, case.tree.edge_prefix[episodes.edges], 0)
        values = np.where(episodes.mask, v[prefix], 0.0)
        for members in product(range(len(episodes.probability)), repeat=size):
            rows = [*members]
            batch = Batch(
                episodes.rewards[rows],
                episodes.mask[rows],
                episodes.turns[rows],
                np.zeros(size, np.int64),
                gamma,
                values[rows],
                np.zeros(size),
            )
            twice = Batch(
                2 * batch.rewards, batch.mask, batch.turns, batch.groups, gamma, 2 * batch.values, batch.last_values
            )
            parts["probability"].append(episodes.weight * float(np.prod(episodes.probability[rows])))
            parts["edges"].append(episodes.edges[rows])
            parts["rewards"].append(batch.rewards)
            parts["advantages"].append(estimator(batch))
            parts["doubled"].append(estimator(twice))
    return Groups(case, gamma, size, *(np.array(parts[name]) for name in parts))
