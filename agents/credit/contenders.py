"""Advantage estimators that stand trial against the exact advantages: of a batch, of a learnt V, of branches.

Each maps a `Situation` to advantages, (B, T), and says how many tokens it had the policy write besides the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from textmdp.agents.algorithms.advantages import Mask, generalized_advantages, rewards_to_go, time_steps
from textmdp.agents.algorithms.objectives import OBJECTIVES, AdvantageInputs, token_weights
from textmdp.agents.credit.exact_values import exact_values
from textmdp.agents.credit.prefix_tree import Floats, Ints, PrefixTree
from textmdp.agents.credit.tables import SampledEpisodes, continue_episodes

#: Branches from each state of a batch. VinePPO takes nine (arXiv 2410.01679).
BRANCHES = 4
#: The rows whose V is a table, learnt from earlier batches.
WITH_VALUES = tuple(name for name, row in OBJECTIVES.items() if row.has_value)


class TableCritic:
    """V of each prefix, learnt from the returns of earlier batches.

    The step size is 1/n until n returns have been seen, and `rate` from then on, since the policy changes.

    Args:
        num_prefixes: N.
        rate: the least step size.

    Attributes:
        values: (N,), 0 where no return has been seen.
        seen: (N,), the number of returns.
    """

    def __init__(self, num_prefixes: int, rate: float = 0.02) -> None:
        self.values, self.seen, self._rate = np.zeros(num_prefixes), np.zeros(num_prefixes), rate

    def learn(self, tree: PrefixTree, batch: SampledEpisodes) -> None:
        """Move the values of the prefixes of a batch towards its rewards to go."""
        mask = batch.mask
        prefixes = tree.edge_prefix[batch.edges[mask]]
        counts = np.bincount(prefixes, minlength=len(self.values))
        sums = np.bincount(prefixes, rewards_to_go(batch.rewards, mask)[mask], len(self.values))
        self.seen += counts
        rate = np.minimum(counts * np.maximum(1 / np.maximum(self.seen, 1), self._rate), 1)
        self.values += rate * (sums / np.maximum(counts, 1) - self.values)


@dataclass(frozen=True)
class Situation:
    """A batch, and the state of the learner before it.

    Attributes:
        tree: the prefixes.
        policy: (E,), the probability of each edge.
        batch: B episodes.
        critic: learnt from earlier batches.
        mean_return: running mean of the returns of earlier batches.
        rng: of branches.
    """

    tree: PrefixTree
    policy: Floats
    batch: SampledEpisodes
    critic: TableCritic
    mean_return: float
    rng: np.random.Generator

    def by_token(self, values: Floats) -> Floats:
        """Values of prefixes, (N,), before each of the batch's tokens, (B, T); 0 elsewhere."""
        edges = self.batch.edges
        return np.where(edges >= 0, values[self.tree.edge_prefix[edges]], 0.0)


class Credit(NamedTuple):
    """The advantages of an estimator, and their cost."""

    advantages: Floats
    """(B, T)."""
    extra_tokens: int = 0
    """Tokens that the policy wrote for it besides the batch."""


Contender = Callable[[Situation], Credit]


def row(name: str, gamma: float = 1.0, discount_unit: str = "tokens", gae_lambda: float = 1.0) -> Contender:
    """A row of the table of algorithms, its token weights times B included: one gradient step on fresh episodes."""
    objective = OBJECTIVES[name]

    def estimate(situation: Situation) -> Credit:
        batch = situation.batch
        greedy, extra = _greedy_returns(situation) if objective.baseline == "greedy" else (None, 0)
        inputs = AdvantageInputs(
            rewards=batch.rewards,
            mask=batch.mask,
            time=time_steps(batch.mask, batch.turns.astype(np.int32), discount_unit),
            groups=batch.groups,
            running_mean=situation.mean_return,
            turns=batch.turns,
            greedy_returns=greedy,
            values=situation.by_token(situation.critic.values),
            last_values=np.zeros(len(batch.edges)),
        )
        advantages = objective.normalize(objective.advantages(inputs, gamma, gae_lambda), batch.mask)
        weights = token_weights(batch.mask, objective.aggregation, 1.0) * len(batch.mask)
        return Credit(advantages * weights, extra)

    return estimate


def exact(situation: Situation) -> Credit:
    """The exact advantages, a bound for the others."""
    edges, values = situation.batch.edges, exact_values(situation.tree, situation.policy)
    return Credit(np.where(edges >= 0, values.a[edges], 0.0))


def vine(situation: Situation) -> Credit:
    """One-step differences of values by branching (VinePPO, Kazemnejad et al. 2024, arXiv 2410.01679).

    Equal states of a batch share their branches. A token that is the only legal one has no credit: there are branches
    where the policy has a choice, and right after.
    """
    return _branched(situation, situation.batch.mask)


def vine_where_unsure(situation: Situation, least: int = 32) -> Credit:
    """`vine` that branches only where the critic has seen fewer than `least` returns, and trusts it elsewhere."""
    return _branched(situation, situation.batch.mask & (situation.by_token(situation.critic.seen) < least))


def redistribution(situation: Situation, ridge: float = 1.0) -> Credit:
    """The share of the return that a linear model gives to each token, minus the mean of its position.

    The idea of RUDDER (Arjona-Medina et al. 2019, arXiv 1806.07857), with ridge regression of the batch's returns on
    "this token at this position" in place of a recurrent network.
    """
    tree, batch = situation.tree, situation.batch
    mask, taken = batch.mask, batch.edges[batch.mask]
    prefixes = tree.edge_prefix[taken]
    width = int(tree.written.max()) + 1
    places = tree.turn[prefixes] * width + tree.written[prefixes]
    _, feature = np.unique(places * (int(tree.action.max()) + 1) + tree.action[taken], return_inverse=True)
    rows = np.nonzero(mask)[0]
    design = np.zeros((len(mask), int(feature.max()) + 1))
    design[rows, feature] = 1.0
    centred = design - design.mean(0)
    # In the dual: (B, B) is smaller than features squared.
    dual = np.linalg.solve(centred @ centred.T + ridge * np.eye(len(mask)), batch.returns - batch.returns.mean())
    shares = (centred.T @ dual)[feature]
    _, position = np.unique(places, return_inverse=True)
    means = np.bincount(position, shares) / np.bincount(position)
    advantages = np.zeros(mask.shape)
    advantages[mask] = shares - means[position]
    return Credit(advantages)


def _branched(situation: Situation, where: Mask) -> Credit:
    tree, batch = situation.tree, situation.batch
    values = situation.by_token(situation.critic.values)
    chooses = situation.by_token(np.diff(tree.first_edge)) > 1
    places = np.nonzero(where & (chooses | _next_token(batch.mask, chooses)))
    if not len(places[0]):
        return Credit(chooses * _one_step(batch, values))
    states = np.stack([tree.edge_prefix[batch.edges[places]], batch.particles[places]], 1)
    different, inverse = np.unique(states, axis=0, return_inverse=True)
    starts = np.repeat(different, BRANCHES, axis=0)
    branches = continue_episodes(tree, situation.policy, starts[:, 0], starts[:, 1], situation.rng)
    values[places] = branches.returns.reshape(-1, BRANCHES).mean(1)[inverse.ravel()]
    return Credit(chooses * _one_step(batch, values), int(branches.mask.sum()))


def _next_token(mask: Mask, marked: Mask) -> Mask:
    """The policy's tokens that follow a marked one, (B, T)."""
    following, before = np.zeros_like(mask), np.zeros(len(mask), bool)
    for t in range(mask.shape[1]):
        following[:, t] = mask[:, t] & before
        before = np.where(mask[:, t], marked[:, t], before)
    return following


def _one_step(batch: SampledEpisodes, values: Floats) -> Floats:
    return generalized_advantages(batch.rewards, values, np.zeros(len(values)), batch.mask, gae_lambda=0.0)


def _greedy_returns(situation: Situation) -> tuple[Floats, int]:
    """The return of a greedy episode of each group, (B,), and the tokens of all of them."""
    tree, batch, policy = situation.tree, situation.batch, situation.policy
    highest = np.maximum.reduceat(policy, tree.first_edge[:-1])[tree.edge_prefix]
    greedy = (policy == highest).astype(np.float64)
    greedy /= np.add.reduceat(greedy, tree.first_edge[:-1])[tree.edge_prefix]
    _, first, group = np.unique(batch.groups, return_index=True, return_inverse=True)
    at = batch.mask[first].argmax(1)
    prefixes: Ints = tree.edge_prefix[batch.edges[first, at]]
    episodes = continue_episodes(tree, greedy, prefixes, batch.particles[first, at], situation.rng)
    return episodes.returns[group], int(episodes.mask.sum())


#: The estimators on trial, by name.
CONTENDERS: dict[str, Contender] = {
    **{name: row(name) for name in OBJECTIVES},
    "GAE λ=0.95": row("actor-critic", gae_lambda=0.95),
    "GAE λ=0.5": row("actor-critic", gae_lambda=0.5),
    "GAE λ=0": row("actor-critic", gae_lambda=0.0),
    "rloo γ=0.99": row("rloo", gamma=0.99),
    "rloo γ=0.9": row("rloo", gamma=0.9),
    "rloo γ=0.9 a turn": row("rloo", gamma=0.9, discount_unit="turns"),
    "redistribution": redistribution,
    "vine": vine,
    "vine where unsure": vine_where_unsure,
    "exact": exact,
}
