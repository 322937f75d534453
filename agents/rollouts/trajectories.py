"""A batch of finished episodes as arrays, and batches merged into one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.envs.core.episode import POLICY, Episode


@dataclass
class Trajectories:
    """B finished episodes of up to T tokens, left-aligned. Use `roles`, not token ids, to tell prompt from response.

    Attributes:
        tokens: (B, T) int64; 0 beyond the end of an episode.
        roles: (B, T) int8: 0 padding, 1 environment, 2 policy.
        rewards: (B, T) float64, each on the policy's token that earned it; the reward of a turn on its last token.
        turns: (B, T) int32, the turn (from 0) of each of the policy's tokens; -1 elsewhere.
        terminated: (B,) bool, the task was over.
        truncated: (B,) bool, a limit ended the episode.
        problems: (B,) int64, problem numbers.
        log_probs: (B, T) float32, log-probabilities of the policy's tokens when they were sampled, 0 elsewhere; None
            if the agent gives none.
        finish_reasons: of the last turn of each episode: "stop", "length", "context", or "" where a limit of steps
            ended the episode within a turn.
        episodes: the textual halves: messages and scores.
        seconds_env: time spent in the environment, grading included.
        seconds_agent: time spent in the agent.
        allowed: (B, T, V) bool, the tokens that a grammar allowed at each position, all where it was not used; None
            if it was never used.
        groups: (B,) int64, the group of each episode. A group is the episodes that were started together, on the same
            problem; by default each episode is a group of its own.
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
    groups: NDArray[np.int64] = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        if not len(self.groups):
            self.groups = np.arange(len(self.tokens))
        if self.groups.shape != (len(self.tokens),):
            raise ValueError(f"groups {self.groups.shape} must be one number for each of {len(self.tokens)} episodes")

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The policy's tokens, (B, T)."""
        return self.roles == POLICY

    @property
    def returns(self) -> NDArray[np.float64]:
        """Undiscounted returns, (B,)."""
        return self.rewards.sum(axis=1)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of the policy's tokens in each episode, (B,)."""
        return self.mask.sum(axis=1)

    def __len__(self) -> int:
        return len(self.tokens)


def merge(batches: Sequence[Trajectories], rows: Sequence[NDArray[np.int64]]) -> Trajectories:
    """Some episodes of each batch as one batch. Seconds add up; groups of different batches stay different groups.

    Args:
        batches: of any lengths T.
        rows: (m,) for each batch, the episodes to keep.
    """
    length = max(batch.tokens.shape[1] for batch in batches)
    merged: dict[str, Any] = {}
    for field in dataclasses.fields(Trajectories):
        values = [getattr(batch, field.name) for batch in batches]
        if isinstance(values[0], float):
            merged[field.name] = sum(values)
        elif isinstance(values[0], list):
            merged[field.name] = [value[row] for value, some in zip(values, rows, strict=True) for row in some]
        elif any(value is None for value in values):
            merged[field.name] = None
        else:
            parts = [value[some] for value, some in zip(values, rows, strict=True)]
            merged[field.name] = np.concatenate([_padded(part, length, _FILL.get(field.name, 0)) for part in parts])
    stops = np.cumsum([0, *(batch.groups.max(initial=-1) + 1 for batch in batches)])
    merged["groups"] += np.repeat(stops[:-1], [len(some) for some in rows])
    return Trajectories(**merged)


#: The value of padding, where it isn't 0.
_FILL = {"turns": -1}


def _padded(array: NDArray[Any], length: int, fill: int) -> NDArray[Any]:
    """An array of episodes, (m, …), with the second axis, if any, padded to `length`."""
    if array.ndim == 1:
        return array
    width = [(0, 0), (0, length - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]
    return np.pad(array, width, constant_values=fill)
