"""Exact values, advantages, occupancies and policy gradients, by backward induction over all prefixes of a task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np

import textmdp.envs  # noqa: F401  # registers the ids
from textmdp.agents.algorithms.advantages import DISCOUNT_UNITS
from textmdp.agents.credit.policies import Policy, probabilities_of
from textmdp.agents.credit.prefix_tree import Floats, PrefixTree
from textmdp.agents.credit.tree_growth import grow_tree
from textmdp.envs.core.mdp import TextMDP
from textmdp.envs.core.task import Task


@dataclass(frozen=True)
class ExactValues:
    """The values of every prefix of a task under a policy. N prefixes, E edges: a prefix and a legal token each.

    Attributes:
        tree: the prefixes; `tree.find(tokens)` numbers one, `tree.edges(prefix)` are its edges.
        policy: (E,), the probability of each token given its prefix.
        gamma: γ in [0, 1].
        discount_unit: "tokens" or "turns", see `textmdp.agents.algorithms.advantages.time_steps`.
        v: (N,), V: the expected discounted rewards to go from each prefix.
        q: (E,), Q: the same after each token.
    """

    tree: PrefixTree
    policy: Floats
    gamma: float
    discount_unit: str
    v: Floats
    q: Floats

    @property
    def a(self) -> Floats:
        """A = Q − V of each edge, (E,)."""
        return self.q - self.v[self.tree.edge_prefix]

    @property
    def expected_return(self) -> float:
        """The expected discounted return of an episode: V in the mean over the openings."""
        roots = slice(0, int(self.tree.levels[1]))
        return float(self.tree.chance[roots] @ self.v[roots])

    @cached_property
    def occupancy(self) -> Floats:
        """The probability that an episode comes to each prefix, (N,)."""
        return self._forward(np.ones(self.tree.num_edges))

    @cached_property
    def discounted_occupancy(self) -> Floats:
        """The occupancy times γ^t, t the time of the prefix, (N,): the weights of the discounted policy gradient."""
        return self._forward(self._decay)

    @cached_property
    def optimal_v(self) -> Floats:
        """V* of each prefix, (N,), of the best policy that sees tokens alone."""
        return _induce(self.tree, self._decay, None)[0]

    @cached_property
    def optimal_q(self) -> Floats:
        """Q* of each edge, (E,)."""
        return _induce(self.tree, self._decay, None)[1]

    @property
    def optimal_return(self) -> float:
        """The expected discounted return of the best policy."""
        roots = slice(0, int(self.tree.levels[1]))
        return float(self.tree.chance[roots] @ self.optimal_v[roots])

    @property
    def logit_gradient(self) -> Floats:
        """The gradient of the expected discounted return in the logits of a table, (E,): `γ^t d(s) π(a|s) A(s, a)`.

        It is exact (Sutton et al. 1999, the policy gradient theorem), γ^t included. `network_gradient` of
        `textmdp.agents.credit.network` is that of a language model.
        """
        return self.discounted_occupancy[self.tree.edge_prefix] * self.policy * self.a

    def table(self, values: Floats) -> Floats:
        """Values of edges, (E,), as a table of prefixes and tokens, (N, V), NaN where a token isn't legal."""
        tree = self.tree
        dense = np.full((tree.num_prefixes, tree.mdp.tokenizer.vocab_size), np.nan)
        dense[tree.edge_prefix, tree.action] = values
        return dense

    @cached_property
    def _decay(self) -> Floats:
        return edge_discounts(self.tree, self.gamma, self.discount_unit)

    def _forward(self, decay: Floats) -> Floats:
        tree = self.tree
        found = tree.chance.copy()
        for start, stop in zip(tree.levels[1:-1], tree.levels[2:], strict=True):
            edges = tree.parent_edge[start:stop]
            found[start:stop] *= found[tree.edge_prefix[edges]] * self.policy[edges] * decay[edges]
        return found


def exact_values(
    env: str | Task[Any] | TextMDP[Any] | gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any] | PrefixTree,
    policy: Policy,
    *,
    gamma: float = 1.0,
    discount_unit: str = "tokens",
    problems: Iterable[int] | None = None,
    grammar: bool = True,
    max_prefixes: int | None = None,
) -> ExactValues:
    """V, Q and A of every prefix that an episode can have, by backward induction; the task's chance is summed over.

    ```python
    from textmdp.agents.credit.exact_values import exact_values

    values = exact_values("TextUmbrella-v0", "uniform")
    ```

    Args:
        env: an id with the default arguments, a task, an environment of any view, or a tree that was grown before.
        policy: see `textmdp.agents.credit.policies.probabilities_of`.
        gamma: γ in [0, 1].
        discount_unit: "tokens" or "turns".
        problems: the problems of an episode, with equal probability; None for all.
        grammar: whether the task's grammar restricts the tokens.
        max_prefixes: the most prefixes; None for what half of the free memory holds.

    Raises:
        TreeTooLargeError: there are more; the message has their number.
        TypeError, ValueError: see `grow_tree` and `probabilities_of`.
    """
    if not 0.0 <= gamma <= 1.0:
        raise ValueError(f"gamma={gamma} must lie in [0, 1]")
    tree = env if isinstance(env, PrefixTree) else grow_tree(mdp_of(env), problems, grammar, max_prefixes)
    probabilities = probabilities_of(tree, policy)
    v, q = _induce(tree, edge_discounts(tree, gamma, discount_unit), probabilities)
    return ExactValues(tree, probabilities, gamma, discount_unit, v, q)


def mdp_of(env: Any) -> TextMDP[Any]:
    """The rules of an environment, a task or an id.

    Raises:
        TypeError: it has none.
    """
    if isinstance(env, str):
        env = gym.make(env)
    if isinstance(env, Task):
        return TextMDP(env)
    if isinstance(env, TextMDP):
        return env
    mdp = getattr(getattr(env, "unwrapped", env), "mdp", None)
    if not isinstance(mdp, TextMDP):
        raise TypeError(f"{env!r} is no text environment: give an id, a task, or a view of a task")
    return mdp


def edge_discounts(tree: PrefixTree, gamma: float, discount_unit: str) -> Floats:
    """γ^τ of each edge, (E,): τ is 1 for every token, or for the last one of a turn."""
    if discount_unit not in DISCOUNT_UNITS:
        raise ValueError(f"discount_unit={discount_unit!r} is none of {', '.join(map(repr, DISCOUNT_UNITS))}")
    if discount_unit == "tokens":
        return np.full(tree.num_edges, float(gamma))
    return np.where(tree.ends_turn, gamma, 1.0)


def _induce(tree: PrefixTree, decay: Floats, policy: Floats | None) -> tuple[Floats, Floats]:
    """V, (N,), and Q, (E,), from the last level to the first; without a policy, of the best one."""
    v, q = np.zeros(tree.num_prefixes), tree.reward.copy()
    for start, stop in zip(tree.levels[-2::-1], tree.levels[:0:-1], strict=True):
        edges = slice(tree.first_edge[start], tree.first_edge[stop])
        places = tree.first_edge[start:stop] - tree.first_edge[start]
        if policy is None:
            v[start:stop] = np.maximum.reduceat(q[edges], places)
        else:
            v[start:stop] = np.add.reduceat(policy[edges] * q[edges], places)
        if start:  # a token may lead to several prefixes, by chance
            into = tree.parent_edge[start:stop]
            np.add.at(q, into, decay[into] * tree.chance[start:stop] * v[start:stop])
    return v, q
