"""Episodes in lock-step: an agent names tokens, a vector environment appends them, and the batch is kept as arrays.

Letters used throughout `textmdp.agents`: B episodes, L positions of the longest of them, V tokens of the vocabulary,
G episodes of a group, n rows of a vector environment, m of them still running.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from textmdp.envs.core.episode import POLICY, Episode
from textmdp.envs.views.vector_env import TokenVectorEnv


class Agent(Protocol):
    """Chooses tokens for rows of a vector environment.

    An agent that knows how likely its choices were says so in an attribute `log_probs`, (m,) float32: those of the
    tokens that its last `act` returned. One that chose among some tokens says which in `allowed`, (m, V) bool.
    """

    def begin(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> None:
        """New episodes began in these rows, (m,)."""

    def act(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The next token of each of these rows, (m,); their episodes are under way."""


@dataclass
class Trajectories:
    """B finished episodes as position-aligned arrays, left-aligned; what is what tell the roles, never the ids.

    Attributes:
        tokens: (B, L) int64; 0 beyond the end of an episode.
        roles: (B, L) int8: 0 padding, 1 environment, 2 policy.
        rewards: (B, L) float64, on the policy token that earned it; that of a turn on its last token.
        turns: (B, L) int32, the turn (from 0) that a policy token belongs to; -1 elsewhere.
        terminated: (B,) bool, the task was over.
        truncated: (B,) bool, the machine's limits ended the episode.
        problems: (B,) int64, the numbers of the problems.
        log_probs: (B, L) float32, of the policy's tokens when they were chosen, 0 elsewhere; None if the agent
            doesn't tell.
        finish_reasons: of the last turn of each episode: "stop", "length", "context", or "" where a limit of steps
            came before the end of a turn.
        episodes: the textual halves: messages and scores.
        seconds_env: spent in the environment, grading included.
        seconds_agent: spent in the agent.
        allowed: (B, L, V) bool, the tokens that a grammar allowed at each position, all where none was asked; None
            where none was ever asked.
    """

    tokens: NDArray[np.int64]
    roles: NDArray[np.int8]
    rewards: NDArray[np.float64]
    turns: NDArray[np.int32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    problems: NDArray[np.int64]
    log_probs: NDArray[np.float32] | None
    finish_reasons: list[str]
    episodes: list[Episode[Any]]
    seconds_env: float = 0.0
    seconds_agent: float = 0.0
    allowed: NDArray[np.bool_] | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The policy's tokens, (B, L)."""
        return self.roles == POLICY

    @property
    def returns(self) -> NDArray[np.float64]:
        """Undiscounted returns, (B,)."""
        return self.rewards.sum(axis=1)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many tokens the policy wrote, (B,)."""
        return self.mask.sum(axis=1)

    def __len__(self) -> int:
        return len(self.tokens)


def make_envs(env_id: str, num_envs: int, **options: Any) -> TokenVectorEnv[Any]:
    """The token view of a registered id as rollouts want it: `num_envs` rows, autoreset disabled, no copies.

    Args:
        env_id: a token-level id, such as "TextMath-v0".
        num_envs: rows.
        options: what `gym.make` would take: `difficulty`, `split`, ….
    """
    if gym.spec(env_id).vector_entry_point != "textmdp.envs.registration:token_vector_env":
        raise ValueError(f"{env_id!r} is no token-level id of textmdp.envs, such as 'TextMath-v0'")
    return gym.make_vec(env_id, num_envs, autoreset_mode="Disabled", copy=False, **options)  # type: ignore[return-value]


def rollout(
    agent: Agent,
    envs: TokenVectorEnv[Any],
    *,
    seed: int | None = None,
    problems: Sequence[int] | None = None,
    rows: NDArray[np.int64] | None = None,
) -> Trajectories:
    """Play one episode in every row; rows whose episode is over are left out of the steps that follow.

    Args:
        agent: the policy.
        envs: with `autoreset_mode=AutoresetMode.DISABLED`; they are reset.
        seed: of the reset; None goes on from the last seeding.
        problems: a number for each row (one that is named G times makes a group); None for drawn ones.
        rows: play these alone, (B,), and leave the others as they are; None for all. The first rollout plays all.
    """
    if envs.autoreset_mode is not AutoresetMode.DISABLED:
        raise ValueError(
            f"a rollout needs environments that stay where they ended: make them with autoreset_mode="
            f'"Disabled", not {envs.autoreset_mode.value!r}'
        )
    began = perf_counter()
    options: dict[str, Any] = {} if problems is None else {"problem": np.asarray(problems, np.int64)}
    if rows is not None:
        options["reset_mask"] = np.isin(np.arange(envs.num_envs), rows)
    envs.reset(seed=seed, options=options)
    played = rows = np.arange(envs.num_envs) if rows is None else rows
    shape = num_rows, length = envs.tokens.shape
    first_cells = np.arange(num_rows) * length  # of each row; one index is three times as fast as two
    rewards: NDArray[np.float64] = np.zeros(num_rows * length)
    log_probs: NDArray[np.float32] = np.zeros(num_rows * length, np.float32)
    ends: NDArray[np.bool_] = np.zeros(num_rows * length, bool)  # the last token of each turn
    allowed: NDArray[np.bool_] | None = None  # (n * L, V)
    finish_reasons = np.full(num_rows, "", object)
    seconds_agent, known = 0.0, True

    entered = perf_counter()
    agent.begin(envs, rows)
    seconds_agent += perf_counter() - entered
    task, end = envs.mdp.task, envs.mdp.tokenizer.end_id
    waiting = rows[:0]  # rows whose response is whole: a slow task knows of it, and is asked when the others wait, too
    while len(rows) or len(waiting):
        cells = first_cells + envs.lengths  # (n,), where the next tokens go
        if len(rows):
            entered = perf_counter()
            actions = agent.act(envs, rows)
            seconds_agent += perf_counter() - entered
            chosen = getattr(agent, "log_probs", None)
            if chosen is None:
                known = False
            else:
                log_probs[cells[rows]] = chosen
            masks = getattr(agent, "allowed", None)
            if masks is not None:
                if allowed is None:
                    allowed = np.ones((num_rows * length, masks.shape[1]), bool)
                allowed[cells[rows]] = masks
            if task.slow:
                whole = rows[actions == end]
                task.expect([envs.episodes[row].state for row in whole.tolist()], envs.partials(whole))
                waiting = np.concatenate([waiting, whole])
                rows, actions = rows[actions != end], actions[actions != end]
        if not len(rows):
            rows, actions, waiting = waiting, np.full(len(waiting), end), waiting[:0]
        _, step_rewards, terminated, truncated, info = envs.step_rows(rows, actions)
        rewards[cells[rows]] = step_rewards[rows]
        told = "finish_reason" in info
        if told:
            ends[cells[rows]] = info["_finish_reason"][rows]
        over = (terminated | truncated)[rows]
        if over.any():
            left, rows = rows[over], rows[~over]
            if told:  # else a limit of steps ended these within a turn
                finish_reasons[left] = np.where(info["_finish_reason"][left], info["finish_reason"][left], "")

    rewards, log_probs, ends = rewards.reshape(shape), log_probs.reshape(shape), ends.reshape(shape)
    turns = np.where(envs.roles == POLICY, ends.cumsum(axis=1, dtype=np.int32) - ends, np.int32(-1))
    stop, episodes = int(envs.lengths[played].max()), [envs.episodes[row].copy() for row in played.tolist()]
    return Trajectories(
        tokens=envs.tokens[played, :stop],
        roles=envs.roles[played, :stop],
        rewards=rewards[played, :stop],
        turns=turns[played, :stop],
        terminated=terminated[played],
        truncated=truncated[played],
        problems=np.array([episode.problem for episode in episodes], np.int64),
        log_probs=log_probs[played, :stop] if known else None,
        finish_reasons=finish_reasons[played].tolist(),
        episodes=episodes,
        seconds_env=perf_counter() - began - seconds_agent,
        seconds_agent=seconds_agent,
        allowed=None if allowed is None else allowed.reshape(*shape, -1)[played, :stop],
    )
