"""Values of prefixes by branching: the mean returns of episodes that go on from snapshots, with intervals.

For trees that are too large for `exact_values`. A snapshot holds the hidden state, so these are values of states; with
tasks that hide something from the policy, take snapshots of several episodes with the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.algorithms.advantages import DISCOUNT_UNITS
from textmdp.agents.rollouts.agent import Agent, take_action
from textmdp.envs.core.episode import Snapshot
from textmdp.envs.views.vector_env import TokenVectorEnv

Floats = NDArray[np.float64]

#: The quantile of the normal distribution behind 95 % intervals.
Z = 1.959964


class BranchedValues(NamedTuple):
    """Values of m snapshots from K branches each."""

    mean: Floats
    """(m,), the mean discounted rewards to go."""
    error: Floats
    """(m,), its standard error."""
    tokens: int
    """The tokens that the policy wrote for them."""

    @property
    def low(self) -> Floats:
        """(m,), the lower end of a 95 % interval by the normal distribution."""
        return self.mean - Z * self.error

    @property
    def high(self) -> Floats:
        """(m,), its upper end."""
        return self.mean + Z * self.error


def branched_values(
    agent: Agent,
    envs: TokenVectorEnv[Any],
    snapshots: Sequence[Snapshot[Any]],
    samples: int,
    *,
    gamma: float = 1.0,
    discount_unit: str = "tokens",
    seed: int = 1,
) -> BranchedValues:
    """The values of snapshots, each the mean of `samples` episodes that go on from it with fresh randomness.

    The value of an episode that is over is 0. Truncated episodes count as they are.

    Args:
        agent: the policy.
        envs: with autoreset disabled (`make_envs`); their rows are overwritten, as many branches at a time as rows.
        snapshots: (m,), of any view of the same task.
        samples: K, at least 2.
        gamma: γ in [0, 1].
        discount_unit: "tokens" or "turns".
        seed: of the task's randomness in the branches; the agent has its own.

    Raises:
        ValueError: fewer than two samples, or an unknown unit.
    """
    if samples < 2:
        raise ValueError(f"samples={samples}: an interval needs at least 2")
    if discount_unit not in DISCOUNT_UNITS:
        raise ValueError(f"discount_unit={discount_unit!r} is none of {', '.join(map(repr, DISCOUNT_UNITS))}")
    returns, tokens = np.zeros((len(snapshots), samples)), 0
    going = [i for i, snapshot in enumerate(snapshots) if not (snapshot.terminated or snapshot.truncated)]
    owners = np.repeat(going, samples)
    noise = np.random.default_rng(seed).integers(1, 2**62, size=len(owners))
    for start in range(0, len(owners), envs.num_envs):
        some = slice(start, start + envs.num_envs)
        found, written = play_branches(
            agent, envs, [snapshots[i] for i in owners[some]], noise[some], gamma, discount_unit
        )
        places = np.arange(start, start + len(found))
        returns[owners[some], places % samples] = found
        tokens += written
    errors = returns.std(1, ddof=1) / np.sqrt(samples)
    return BranchedValues(returns.mean(1), errors, tokens)


def branched_advantages(
    agent: Agent,
    envs: TokenVectorEnv[Any],
    snapshots: Sequence[Snapshot[Any]],
    rewards: Floats,
    samples: int,
    *,
    gamma: float = 1.0,
    discount_unit: str = "tokens",
    seed: int = 1,
) -> tuple[Floats, Floats]:
    """Advantages along one episode, (T,), and their standard errors, (T,): `r_t + γ^τ V(s_{t+1}) − V(s_t)`.

    These are one-step differences of branched values, as VinePPO takes them (Kazemnejad et al. 2024, arXiv 2410.01679);
    their mean given the episode's tokens is `r_t + γ^τ V(s_{t+1}) − V(s_t)`, and A(s_t, a_t) over the task's chance.

    Args:
        agent, envs, samples, gamma, discount_unit, seed: see `branched_values`.
        snapshots: (T + 1,), of the state before each of the policy's tokens, and of the end.
        rewards: (T,), of each token.
    """
    values = branched_values(agent, envs, snapshots, samples, gamma=gamma, discount_unit=discount_unit, seed=seed)
    turns = np.array([snapshot.episode.turn for snapshot in snapshots])
    takes_time = np.diff(turns) > 0 if discount_unit == "turns" else np.ones(len(rewards), bool)
    decay = np.where(takes_time, gamma, 1.0)
    errors = np.hypot(decay * values.error[1:], values.error[:-1])
    return rewards + decay * values.mean[1:] - values.mean[:-1], errors


def play_branches(
    agent: Agent,
    envs: TokenVectorEnv[Any],
    snapshots: Sequence[Snapshot[Any]],
    noise: NDArray[np.int64],
    gamma: float,
    unit: str,
) -> tuple[Floats, int]:
    """The discounted rewards to go of one branch of each snapshot, (m,), and the number of the policy's tokens.

    The first m rows of the environment hold the finished episodes afterwards.

    Args:
        agent: the policy.
        envs: with autoreset disabled, and m rows or more.
        snapshots: (m,), of episodes that are not over.
        noise: (m,), of the randomness of each branch, not 0.
        gamma: γ in [0, 1].
        unit: "tokens" or "turns".
    """
    count = len(snapshots)
    envs.restore([*snapshots, *[snapshots[-1]] * (envs.num_envs - count)])
    rows = np.arange(count)
    envs.branch(rows, rows, noise.tolist())
    returns, discount, tokens = np.zeros(count), np.ones(count), 0
    agent.begin(envs, rows)
    while len(rows):
        action = agent.act(envs, rows)
        lengths = np.ones(len(rows), np.int64) if action.lengths is None else action.lengths
        tokens += int(lengths.sum())
        _, rewards, terminated, truncated, info = take_action(envs, rows, action)
        # A block ends with its turn at the latest, and its reward is on its last token.
        if unit == "tokens":
            discount[rows] *= gamma ** (lengths - 1)
        returns[rows] += discount[rows] * rewards[rows]
        ended = info.get("_finish_reason", np.zeros(envs.num_envs, bool))[rows]
        discount[rows] *= gamma if unit == "tokens" else np.where(ended, gamma, 1.0)
        rows = rows[~(terminated | truncated)[rows]]
    return returns, tokens
