"""The tree of all prefixes that an episode of a task can have, with rewards and chance, as arrays.

N prefixes, states in which the policy acts; E edges, a prefix and a legal token each. A policy sees tokens alone, so a
prefix is a row of tokens: hidden states that it can't tell apart share a prefix, with a probability each (a belief).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textmdp.envs.core.mdp import TextMDP

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class TreeTooLargeError(ValueError):
    """The tree has more prefixes than fit.

    Attributes:
        least: the number of prefixes that it has at least.
    """

    def __init__(self, least: int, where: str, max_prefixes: int) -> None:
        self.least = least
        super().__init__(
            f"the tree has at least {least:,} prefixes ({where}), more than max_prefixes={max_prefixes:,}: make the "
            "task smaller, name fewer problems, or use values by branching (textmdp.agents.credit.branching)"
        )


class Particle(NamedTuple):
    """One of the hidden states that a turn may begin in."""

    number: int
    """Of all particles of the tree, from 0."""
    probability: float
    """Its probability, given the prefix."""
    state: Any
    """The task's hidden state."""


@dataclass(frozen=True)
class PrefixTree:
    """All prefixes of a task, parents before children.

    Attributes:
        mdp: the rules.
        parent_edge: (N,), the edge that leads to each prefix; -1 for openings.
        chance: (N,), the probability of each prefix given that edge; of an opening, its probability.
        turn: (N,) the number of finished turns.
        turn_start: (N,), the prefix at which the unfinished response begins.
        written: (N,), the tokens of the unfinished response.
        length: (N,), the tokens of the prefix.
        levels: (L + 1,), where the prefixes of each number of policy tokens begin; the last entry is N.
        first_edge: (N + 1,), where the edges of each prefix begin; the last entry is E.
        action: (E,), the token.
        reward: (E,), the expected reward of the token given the prefix.
        ends_turn: (E,) bool.
        beliefs: the hidden states of each prefix at which a turn begins.
        replies: the environment's tokens before each prefix at which a turn begins; with an opening, the opening.
        outcome_edge: (K,), the edge of each outcome: of a token that ends a turn, a hidden state and a chance.
        outcome_source: (K,), its particle.
        outcome_probability: (K,), its probability given edge and particle.
        outcome_reward: (K,), its reward.
        outcome_target: (K,), the prefix that follows; -1 for the end of the episode.
        outcome_particle: (K,), the particle there; -1 for the end of the episode.
    """

    mdp: TextMDP[Any]
    parent_edge: Ints
    chance: Floats
    turn: Ints
    turn_start: Ints
    written: Ints
    length: Ints
    levels: Ints
    first_edge: Ints
    action: Ints
    reward: Floats
    ends_turn: NDArray[np.bool_]
    beliefs: dict[int, list[Particle]]
    replies: dict[int, list[int]]
    outcome_edge: Ints
    outcome_source: Ints
    outcome_probability: Floats
    outcome_reward: Floats
    outcome_target: Ints
    outcome_particle: Ints

    @property
    def num_prefixes(self) -> int:
        """N."""
        return len(self.parent_edge)

    @property
    def num_edges(self) -> int:
        """E."""
        return len(self.action)

    @cached_property
    def edge_prefix(self) -> Ints:
        """The prefix of each edge, (E,)."""
        return np.repeat(np.arange(self.num_prefixes), np.diff(self.first_edge))

    @cached_property
    def parent(self) -> Ints:
        """The prefix before each prefix, (N,); -1 for openings."""
        return np.where(self.parent_edge < 0, -1, self.edge_prefix[self.parent_edge])

    def edges(self, prefix: int) -> slice:
        """The edges of a prefix."""
        return slice(int(self.first_edge[prefix]), int(self.first_edge[prefix + 1]))

    def edge(self, prefix: int, token: int) -> int:
        """The edge of a token after a prefix; a `KeyError` if the token isn't legal there."""
        edges = self.edges(prefix)
        found = np.flatnonzero(self.action[edges] == token)
        if not len(found):
            raise KeyError(f"token {token} is not legal after prefix {prefix}; legal are {self.action[edges].tolist()}")
        return edges.start + int(found[0])

    def new_tokens(self, prefix: int) -> list[int]:
        """The tokens that a prefix has and its parent has not."""
        edge = int(self.parent_edge[prefix])
        own = [] if edge < 0 else [int(self.action[edge])]
        return own + self.replies.get(prefix, [])

    def tokens(self, prefix: int) -> list[int]:
        """All tokens of a prefix."""
        parts = []
        while prefix >= 0:
            parts.append(self.new_tokens(prefix))
            prefix = int(self.parent[prefix])
        return [token for part in reversed(parts) for token in part]

    def text(self, prefix: int) -> str:
        """The text of a prefix."""
        return self.mdp.tokenizer.decode(self.tokens(prefix))

    def find(self, tokens: Sequence[int]) -> int:
        """The number of the prefix with these tokens; a `KeyError` if there is none."""
        try:
            return self._numbers[tuple(map(int, tokens))]
        except KeyError:
            raise KeyError(f"no prefix has the tokens {list(tokens)}") from None

    @cached_property
    def _numbers(self) -> dict[tuple[int, ...], int]:
        rows: list[tuple[int, ...]] = []
        for prefix, parent in enumerate(self.parent.tolist()):
            before = rows[parent] if parent >= 0 else ()
            rows.append((*before, *self.new_tokens(prefix)))
        return {row: prefix for prefix, row in enumerate(rows)}
