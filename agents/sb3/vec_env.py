"""The native vector environment as a `VecEnv` of Stable-Baselines3: no Python loop over rows where no turn ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from textmdp.envs import TASKS
from textmdp.envs.core.randomness import turn_generator
from textmdp.envs.views import rendering
from textmdp.envs.views.pictures import picture
from textmdp.envs.views.vector_env import TokenVectorEnv

Infos = list[dict[str, Any]]
Indices = int | Iterable[int] | None
StepReturn = tuple[dict[str, NDArray[Any]], NDArray[np.float32], NDArray[np.bool_], Infos]


class SB3VecEnv(VecEnv):
    """n episodes of a task, one token of each a step, for the algorithms of SB3.

    It equals a `DummyVecEnv` of n `TokenEnv`s bit for bit: observations, rewards, ends, `terminal_observation`,
    `TimeLimit.truncated` and infos. Row i is seeded with `seed + i`.

    Args:
        envs: rows with autoreset mode `SAME_STEP`, which is SB3's.

    Raises:
        ValueError: the autoreset mode is another.
    """

    def __init__(self, envs: TokenVectorEnv[Any]) -> None:
        if envs.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise ValueError(
                f"autoreset_mode={envs.autoreset_mode} is not SB3's: make the environment with "
                "autoreset_mode=AutoresetMode.SAME_STEP, or with SB3VecEnv.make"
            )
        self.envs = envs
        self._actions: NDArray[np.int64] = np.zeros(envs.num_envs, np.int64)
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    @classmethod
    def make(cls, env_id: str, num_envs: int, **options: Any) -> SB3VecEnv:
        """The environment of an id.

        Args:
            env_id: id of a token view, such as "TextMath-v0".
            num_envs: the number of rows (n).
            options: arguments of the environment.
        """
        if env_id.rpartition(":")[2].removesuffix("-v0") not in TASKS:
            known = ", ".join(f"{name}-v0" for name in TASKS)
            raise ValueError(f"{env_id!r} is none of the token views {known}: for others use SB3's make_vec_env")
        made: Any = gym.make_vec(env_id, num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **options)
        return cls(made)

    def reset(self) -> dict[str, NDArray[Any]]:
        """Begin episodes in all rows, with the seeds of `seed` and the options of `set_options`."""
        observations, info = self.envs.reset(seed=self._seeds, options=_joined(self._options))
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = _rows_of(info, self.num_envs)
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the next token of each row, (n,)."""
        self._actions = np.asarray(actions)

    def step_wait(self) -> StepReturn:
        """Append the tokens; rows whose episode is over begin the next one in the same step."""
        observations, rewards, terminated, truncated, info = self.envs.step(self._actions)
        over = np.flatnonzero(terminated | truncated).tolist()
        finals, final_info = info.pop("final_obs", None), info.pop("final_info", {})
        infos = _rows_of(info, self.num_envs)
        if over:
            ended = _rows_of(final_info, self.num_envs)
            for row in over:
                self.reset_infos[row] = infos[row]
                infos[row] = {**ended[row], "terminal_observation": finals[row]}
        for one, cut in zip(infos, (truncated & ~terminated).tolist(), strict=True):
            one["TimeLimit.truncated"] = cut
        return observations, rewards.astype(np.float32), terminated | truncated, infos

    def close(self) -> None:
        """Close the task."""
        self.envs.close()

    def get_images(self) -> Sequence[NDArray[np.uint8]]:
        """The pictures of all rows, (400, 640, 3) uint8 each."""
        return [*map(picture, self._transcripts(range(self.num_envs)))]

    # Rows as if they were environments

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """An attribute of some rows: a row of a state's array, or what all rows share.

        Raises:
            AttributeError: there is no such attribute.
        """
        rows = [*self._get_indices(indices)]
        if attr_name in _METHODS:
            return [_RowMethod(self, attr_name, row) for row in rows]
        value = getattr(self.envs, _SHARED.get(attr_name, attr_name))
        return [value[row] for row in rows] if attr_name in _STATES else [value] * len(rows)

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Set an attribute of all rows, which share it.

        Raises:
            ValueError: `indices` names some rows only.
        """
        if sorted(self._get_indices(indices)) != list(range(self.num_envs)):
            raise ValueError(f"{attr_name} can only be set for all rows, which are one environment: leave indices= out")
        setattr(self.envs, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """The results of a method of some rows: `action_masks`, `demonstrate` or `render`.

        Raises:
            AttributeError: rows have no such method.
        """
        rows = np.array([*self._get_indices(indices)], np.int64)
        if method_args or method_kwargs:
            raise TypeError(f"{method_name} takes no arguments")
        if method_name == "action_masks":
            return [*self.envs.masks_of(rows)]
        if method_name == "demonstrate":
            return [self._demonstration(row) for row in rows.tolist()]
        if method_name == "render":
            texts = self._transcripts(rows.tolist())
            return [*map(picture, texts)] if self.render_mode == "rgb_array" else texts
        raise AttributeError(f"rows have no method {method_name!r}; there are {', '.join(_METHODS)}")

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Indices = None
    ) -> list[bool]:
        """False for each row: wrap this object in a `VecEnvWrapper`, such as `VecMonitor`."""
        return [False for _ in self._get_indices(indices)]

    def _transcripts(self, rows: Iterable[int]) -> list[str]:
        chosen = [*rows]
        partials = self.envs.partials(np.array(chosen, np.int64))
        return [rendering.transcript(self.envs.episodes[row], text) for row, text in zip(chosen, partials, strict=True)]

    def _demonstration(self, row: int) -> str:
        episode = self.envs.episodes[row]
        return self.envs.mdp.task.demonstrate(episode.state, turn_generator(episode.key, episode.turn))


#: What may be called on a row; the arrays of the rows' states; what all rows share under another name.
_METHODS = ("action_masks", "demonstrate", "render")
_STATES = ("tokens", "roles", "lengths", "turn_starts", "episodes")
_SHARED = {"observation_space": "single_observation_space", "action_space": "single_action_space"}


class _RowMethod:
    """A method of one row, as `get_attr` returns it."""

    def __init__(self, envs: SB3VecEnv, name: str, row: int) -> None:
        self._envs, self._name, self._row = envs, name, row

    def __call__(self) -> Any:
        return self._envs.env_method(self._name, indices=self._row)[0]


def _joined(options: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The reset options of all rows as those of one environment: `problem`, for all rows or for none."""
    if not any(options):
        return None
    if any(set(one) != {"problem"} for one in options):
        raise ValueError(f'options={list(options)!r}: give each row {{"problem": number}}, or none')
    return {"problem": np.array([one["problem"] for one in options])}


def _rows_of(info: dict[str, Any], num_envs: int) -> Infos:
    """The info of each row, as a single environment gives it."""
    rows: Infos = [{} for _ in range(num_envs)]
    for key, values in info.items():
        if key.startswith("_"):
            continue
        held = np.flatnonzero(info[f"_{key}"]).tolist()
        if isinstance(values, dict):
            nested = _rows_of(values, num_envs)
            for row in held:
                rows[row][key] = nested[row]
        elif values.ndim > 1:
            for row in held:
                rows[row][key] = values[row]
        else:
            for row, value in zip(held, values[held].tolist(), strict=True):
                rows[row][key] = value
    return rows
