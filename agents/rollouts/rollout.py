"""Episodes in lock-step: an agent chooses tokens, a vector environment appends them, and the batch is kept as arrays.

Shapes used throughout `textmdp.agents`: B episodes, T positions of the longest of them, V tokens of the vocabulary,
G episodes of a group, n rows of a vector environment, m of them still running.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import ArrayLike, NDArray

from textmdp.agents.rollouts.agent import Action, Agent, take_action
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.envs.core.episode import POLICY
from textmdp.envs.views.vector_env import TokenVectorEnv


def make_envs(env_id: str, num_envs: int, **options: Any) -> TokenVectorEnv[Any]:
    """The token view of a registered id as `rollout` needs it: `num_envs` rows, autoreset disabled, no copies.

    Args:
        env_id: a token-level id, such as "TextMath-v0".
        num_envs: rows.
        options: keyword arguments of `gym.make`: `difficulty`, `split`, ….
    """
    if gym.spec(env_id).vector_entry_point != "textmdp.envs.registration:token_vector_env":
        raise ValueError(f"{env_id!r} is no token-level id of textmdp.envs, such as 'TextMath-v0'")
    return gym.make_vec(env_id, num_envs, autoreset_mode="Disabled", copy=False, **options)  # type: ignore[return-value]


def unwrapped(envs: VectorEnv[Any, Any, Any]) -> TokenVectorEnv[Any]:
    """The `TokenVectorEnv` under wrappers, or `envs` itself.

    Raises:
        TypeError: there is none, or a wrapper changes a space: agents read and write the tokens of the environment.
    """
    base = envs.unwrapped
    if not isinstance(base, TokenVectorEnv):
        raise TypeError(
            f"a rollout needs a TokenVectorEnv, wrapped or not, and got {envs}: make it with make_envs, or "
            'gym.make_vec(ID, n, autoreset_mode="Disabled")'
        )
    for name in ("single_observation_space", "single_action_space"):
        if getattr(envs, name) != getattr(base, name):
            raise TypeError(
                f"{envs} has another {name} than the environment: agents read and write its tokens, so use wrappers "
                "of rewards, ends and infos alone"
            )
    return base


def rollout(
    agent: Agent,
    envs: VectorEnv[Any, Any, Any],
    *,
    seed: int | None = None,
    problems: Sequence[int] | None = None,
    groups: ArrayLike | None = None,
    rows: NDArray[np.int64] | None = None,
) -> Trajectories:
    """Collect one episode from every row; rows whose episode is over are left out of the steps that follow.

    Args:
        agent: the policy.
        envs: a `TokenVectorEnv` with `autoreset_mode=AutoresetMode.DISABLED`, also in Gymnasium's wrappers, which then
            pass every token of it and may change rewards and ends; they are reset.
        seed: of the reset; None continues from the last seed.
        problems: (n,) problem numbers; None to draw them.
        groups: (n,) group numbers, kept in `Trajectories.groups`; None makes each episode a group of its own.
        rows: (B,), the rows to reset and run, the others stay as they are; None for all. The first rollout runs all.
    """
    base = unwrapped(envs)
    if base.autoreset_mode is not AutoresetMode.DISABLED:
        raise ValueError(
            f"a rollout needs environments that stay where they ended: make them with autoreset_mode="
            f'"Disabled", not {base.autoreset_mode.value!r}'
        )
    numbers = np.arange(envs.num_envs) if groups is None else np.asarray(groups)
    if numbers.shape != (envs.num_envs,) or numbers.dtype.kind not in "iu":
        raise ValueError(
            f"groups must be {envs.num_envs} whole numbers, one for each row of the environment, got {numbers.dtype} "
            f"of shape {numbers.shape}"
        )
    began = perf_counter()
    options: dict[str, Any] = {} if problems is None else {"problem": np.asarray(problems, np.int64)}
    if rows is not None:
        options["reset_mask"] = np.isin(np.arange(envs.num_envs), rows)
    envs.reset(seed=seed, options=options)
    started = np.arange(envs.num_envs) if rows is None else rows
    recorder = _Recorder(envs, base)
    try:
        seconds_agent = _play(agent, base, recorder, started)
    finally:
        base.select(None)
    return recorder.trajectories(started, numbers[started], perf_counter() - began - seconds_agent, seconds_agent)


def _play(agent: Agent, envs: TokenVectorEnv[Any], recorder: _Recorder, rows: NDArray[np.int64]) -> float:
    """Play these rows, (m,), to the end of their episodes; the seconds that the agent took."""
    if recorder.wrapped:
        envs.select(rows)  # before the agent asks whether it may write several tokens at once
    entered = perf_counter()
    agent.begin(envs, rows)
    seconds_agent = perf_counter() - entered
    end, grades_ahead = envs.mdp.tokenizer.end_id, envs.mdp.task.slow and not recorder.wrapped
    waiting = rows[:0]  # rows whose response a slow task is grading, to be stepped when all others wait as well
    while len(rows) or len(waiting):
        if not len(rows):
            recorder.step(waiting, Action(np.full(len(waiting), end)))
            rows, waiting = waiting[~recorder.over[waiting]], waiting[:0]
            continue
        entered = perf_counter()
        action = agent.act(envs, rows)
        seconds_agent += perf_counter() - entered
        recorder.record(rows, action)
        if not grades_ahead:
            recorder.step(rows, action)
            rows = rows[~recorder.over[rows]]
            continue
        whole = _last_tokens(action) == end  # (m,)
        stepped, action = _without_ends(rows, action, whole)
        if len(stepped):
            recorder.step(stepped, action)
        if whole.any():
            envs.submit(rows[whole])
            waiting = np.concatenate([waiting, rows[whole]])
        rows = rows[~whole & ~recorder.over[rows]]
    return seconds_agent


def _last_tokens(action: Action) -> NDArray[np.int64]:
    """The last token of each row, (m,)."""
    if action.lengths is None:
        return action.tokens
    return action.tokens[np.arange(len(action.tokens)), action.lengths - 1]


def _without_ends(
    rows: NDArray[np.int64], action: Action, whole: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], Action]:
    """The rows and tokens that are left without the last token of some rows, (m,) bool."""
    if action.lengths is None:
        return rows[~whole], Action(action.tokens[~whole])
    lengths = action.lengths - whole
    left = lengths > 0
    return rows[left], Action(action.tokens[left], lengths[left])


class _Recorder:
    """Arrays of n rows, filled during a rollout. (n, T) is kept flat: one index is three times as fast as two."""

    def __init__(self, outer: VectorEnv[Any, Any, Any], envs: TokenVectorEnv[Any]) -> None:
        self.envs, self._outer, self.wrapped = envs, outer, outer is not envs
        num_rows, length = envs.tokens.shape
        self._first_cells = np.arange(num_rows) * length  # (n,), of each row
        self._rewards = np.zeros(num_rows * length)
        self._log_probs = np.zeros(num_rows * length, np.float32)
        self._ends = np.zeros(num_rows * length, bool)  # the last token of each turn
        self._allowed: NDArray[np.bool_] | None = None  # (n * T, V)
        self._finish_reasons = np.full(num_rows, "", object)
        self._has_log_probs = True
        self._terminated, self._truncated = np.zeros((2, num_rows), bool)

    @property
    def over(self) -> NDArray[np.bool_]:
        """The rows whose episode ended, (n,)."""
        return self._terminated | self._truncated

    def record(self, rows: NDArray[np.int64], action: Action) -> None:
        """Keep log-probabilities and allowed tokens of an action that the environment has yet to take."""
        cells = self._first_cells[rows] + self.envs.lengths[rows]  # (m,), of the first token
        if action.allowed is not None:
            if self._allowed is None:
                self._allowed = np.ones((len(self._rewards), action.allowed.shape[1]), bool)
            self._allowed[cells] = action.allowed
        if action.log_probs is None:
            self._has_log_probs = False
        elif action.lengths is None:
            self._log_probs[cells] = action.log_probs
        else:
            columns = np.arange(action.tokens.shape[1])
            counted = columns < action.lengths[:, None]  # (m, K)
            self._log_probs[(cells[:, None] + columns)[counted]] = action.log_probs[counted]

    def step(self, rows: NDArray[np.int64], action: Action) -> None:
        """Step the environment, and keep rewards and ends of turns."""
        cells = (self._first_cells + self.envs.lengths)[rows]  # (m,), of the last token
        if action.lengths is not None:
            cells += action.lengths - 1
        if self.wrapped:
            self.envs.select(rows)
            tokens = np.zeros(self.envs.num_envs, np.int64)
            tokens[rows] = action.tokens
            _, rewards, terminated, truncated, info = self._outer.step(tokens)
        else:
            _, rewards, terminated, truncated, info = take_action(self.envs, rows, action)
        self._rewards[cells] = rewards[rows]
        self._terminated[rows], self._truncated[rows] = terminated[rows], truncated[rows]
        if "finish_reason" not in info:
            return
        self._ends[cells] = info["_finish_reason"][rows]
        over = rows[(terminated | truncated)[rows]]  # a limit of steps may end an episode within a turn
        self._finish_reasons[over] = np.where(info["_finish_reason"][over], info["finish_reason"][over], "")

    def trajectories(
        self, rows: NDArray[np.int64], groups: NDArray[np.int64], seconds_env: float, seconds_agent: float
    ) -> Trajectories:
        """The episodes of some rows, (B,), with these group numbers, (B,)."""
        envs = self.envs
        shape, stop = envs.tokens.shape, int(envs.lengths[rows].max())

        def of_rows(array: NDArray[Any]) -> NDArray[Any]:
            return array.reshape(*shape, *array.shape[1:])[rows, :stop]

        ends, roles = of_rows(self._ends), envs.roles[rows, :stop]
        episodes = [envs.episodes[row].copy() for row in rows.tolist()]
        return Trajectories(
            tokens=envs.tokens[rows, :stop],
            roles=roles,
            rewards=of_rows(self._rewards),
            turns=np.where(roles == POLICY, ends.cumsum(axis=1, dtype=np.int32) - ends, np.int32(-1)),
            terminated=self._terminated[rows],
            truncated=self._truncated[rows],
            problems=np.array([episode.problem for episode in episodes], np.int64),
            log_probs=of_rows(self._log_probs) if self._has_log_probs else None,
            finish_reasons=self._finish_reasons[rows].tolist(),
            episodes=episodes,
            seconds_env=seconds_env,
            seconds_agent=seconds_agent,
            allowed=None if self._allowed is None else of_rows(self._allowed),
            groups=groups.astype(np.int64),
        )
