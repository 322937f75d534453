"""The arguments of a vector environment's `reset`: rows, seeds and problems, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def masked_rows(mask: Any, num_envs: int) -> NDArray[np.int64]:
    """The rows of `options["reset_mask"]`, (m,); all if it is None."""
    if mask is None:
        return np.arange(num_envs)
    if not isinstance(mask, np.ndarray) or mask.shape != (num_envs,) or mask.dtype != bool or not mask.any():
        raise ValueError(f"options['reset_mask'] must be a bool array of {num_envs}, not all False: {mask!r}")
    return np.flatnonzero(mask)


def row_problems(problem: Any, rows: NDArray[np.int64], num_envs: int) -> Any:
    """The part of `options["problem"]` for some rows, (m,): one number for all, or (m,) out of (n,) numbers."""
    if problem is None or np.ndim(problem) != 1:
        return problem
    if len(problem) != num_envs:
        raise ValueError(f"options['problem'] has {len(problem)} numbers for {num_envs} environments")
    return np.asarray(problem)[rows]


def row_seeds(seed: int | Sequence[int | None] | None, num_envs: int) -> list[int | None]:
    """A seed for each row, `seed + row` for one number; None for rows that continue without one."""
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, (int, np.integer)):
        return [int(seed) + row for row in range(num_envs)]
    if len(seed) != num_envs:
        raise ValueError(f"{len(seed)} seeds for {num_envs} environments")
    return list(seed)
