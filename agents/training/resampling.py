"""Dynamic sampling: groups of episodes that all earned the same teach a group baseline nothing, and are replaced.

Yu et al. 2025 (DAPO, arXiv 2503.14476). Groups without reward variance (`advantages.has_reward_variance`) are dropped,
so the gradient is that of another distribution of problems: one without those always or never solved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.rollouts.rollout import Trajectories


def merge(batches: Sequence[Trajectories], rows: Sequence[NDArray[np.int64]]) -> Trajectories:
    """Some episodes of each batch as one batch; seconds add up.

    Args:
        batches: of any lengths L.
        rows: which of each, (m,).
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
    return Trajectories(**merged)


#: What stands beyond the end of an episode, where it isn't 0.
_FILL = {"turns": -1}


def _padded(array: NDArray[Any], length: int, fill: int) -> NDArray[Any]:
    """An array of episodes, (m, …), with the second axis filled up to `length`, if it has one."""
    if array.ndim == 1:
        return array
    width = [(0, 0), (0, length - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]
    return np.pad(array, width, constant_values=fill)
