"""Branches of an episode: what follows each of its states, and what would have followed other tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.credit.branching import play_branches
from textmdp.agents.rollouts.agent import Action, Agent
from textmdp.envs.core.episode import Snapshot
from textmdp.envs.views.vector_env import TokenVectorEnv

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class FirstTokenAgent:
    """Writes given tokens first, and lets another agent go on.

    Args:
        agent: it begins after the first token.
        tokens: (n,), the first token of each row.
    """

    def __init__(self, agent: Agent, tokens: Ints) -> None:
        self._agent, self._tokens = agent, tokens
        self._calls = 0

    def begin(self, envs: TokenVectorEnv[Any], rows: Ints) -> None:
        """Prepare for new episodes in these rows, (m,)."""
        self._calls = 0

    def act(self, envs: TokenVectorEnv[Any], rows: Ints) -> Action:
        """The given tokens at the first call, then those of the other agent, (m,)."""
        self._calls += 1
        if self._calls == 1:
            return Action(self._tokens[rows])
        if self._calls == 2:
            self._agent.begin(envs, rows)
        return self._agent.act(envs, rows)


@dataclass(frozen=True)
class Branches:
    """K branches of each of m snapshots."""

    returns: Floats
    """(m, K), discounted rewards to go."""
    messages: list[tuple[str, ...]]
    """(m,), the messages of the first branch of each snapshot."""

    @property
    def mean(self) -> Floats:
        """(m,), of the returns."""
        return self.returns.mean(1)

    @property
    def error(self) -> Floats:
        """(m,), the standard error of the mean."""
        return self.returns.std(1, ddof=1) / np.sqrt(self.returns.shape[1])


def branch(
    agent: Agent,
    envs: TokenVectorEnv[Any],
    snapshots: Sequence[Snapshot[Any]],
    samples: int,
    *,
    actions: Ints | None = None,
    gamma: float = 1.0,
    discount_unit: str = "tokens",
    seed: int = 1,
) -> Branches:
    """Go on from each snapshot `samples` times with fresh randomness.

    Sample k of every snapshot has the same noise, so branches that begin with different tokens meet the same chance.

    Args:
        agent: the policy.
        envs: with autoreset disabled (`make_envs`); their rows are overwritten, as many branches at a time as rows.
        snapshots: (m,), of any view of the same task. Those of episodes that are over have returns 0.
        samples: K, at least 2.
        actions: (m,), the token that the branches of each snapshot begin with, for action values; None for values.
        gamma: γ in [0, 1].
        discount_unit: "tokens" or "turns".
        seed: of the task's randomness in the branches; the agent has its own.
    """
    if samples < 2:
        raise ValueError(f"samples={samples}: a standard error needs at least 2")
    returns = np.zeros((len(snapshots), samples))
    messages = [snapshot.episode.messages for snapshot in snapshots]
    going = [i for i, snapshot in enumerate(snapshots) if not (snapshot.terminated or snapshot.truncated)]
    owners, numbers = np.repeat(going, samples), np.tile(np.arange(samples), len(going))
    noise = np.random.default_rng(seed).integers(1, 2**62, size=samples)
    for start in range(0, len(owners), envs.num_envs):
        some = slice(start, start + envs.num_envs)
        player = agent if actions is None else FirstTokenAgent(agent, actions[owners[some]])
        chosen = [snapshots[owner] for owner in owners[some].tolist()]
        found, _ = play_branches(player, envs, chosen, noise[numbers[some]], gamma, discount_unit)
        returns[owners[some], numbers[some]] = found
        for row in np.flatnonzero(numbers[some] == 0).tolist():
            messages[owners[start + row]] = envs.episodes[row].messages
    return Branches(returns, messages)
