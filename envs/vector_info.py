"""Infos of many rows in the form of Gymnasium's vector environments: an array a key, and a mask `_key` beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {int: np.int64, float: np.float64, bool: np.bool_}


def scatter(
    num_envs: int, info: dict[str, Any], rows: NDArray[np.int64], columns: Mapping[str, Sequence[Any] | Mapping]
) -> None:
    """Put `columns` (for each key one value for each of `rows`, or a mapping of such) into `info`."""
    for key, values in columns.items():
        if isinstance(values, Mapping):
            info.setdefault(key, {})
            scatter(num_envs, info[key], rows, values)
        else:
            if key not in info:
                info[key] = _empty(num_envs, values)
            if info[key].dtype == object:  # numpy would make an array of fixed-length strings of them first
                objects = np.empty(len(rows), object)
                objects[:] = values
                values = objects
            info[key][rows] = values
        info.setdefault(f"_{key}", np.zeros(num_envs, bool))[rows] = True


def _empty(num_envs: int, values: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    if isinstance(values, np.ndarray) and values.dtype != object:
        return np.zeros((num_envs, *values.shape[1:]), values.dtype)
    dtype = _DTYPES.get(type(values[0]))
    return np.full(num_envs, None, object) if dtype is None else np.zeros(num_envs, dtype)


def split_finals(
    num_envs: int, rows: NDArray[np.int64], info: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    """Move what is told of `rows`, whose episodes ended, to `final_info`, their observations to `final_obs`."""
    finals = np.full(num_envs, None, object)
    for row in rows.tolist():
        finals[row] = {key: array[row].copy() for key, array in arrays.items()}
    ended = np.zeros(num_envs, bool)
    ended[rows] = True
    kept, final_info = _part(info, ended)
    return {**kept, "final_obs": finals, "_final_obs": ended, "final_info": final_info, "_final_info": ended.copy()}


def _part(info: Mapping[str, Any], ended: NDArray[np.bool_]) -> tuple[dict[str, Any], dict[str, Any]]:
    """An info in two: that of the rows that go on, and that of the ended ones. Keys that nobody has are left out."""
    parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for key, values in info.items():
        if key.startswith("_"):
            continue
        for part, rows in zip(parts, (info[f"_{key}"] & ~ended, info[f"_{key}"] & ended), strict=True):
            if not rows.any():
                continue
            part[f"_{key}"] = rows
            if isinstance(values, Mapping):
                part[key] = _part(values, ~rows)[0]
            else:
                part[key] = np.where(rows.reshape(-1, *[1] * (values.ndim - 1)), values, _empty(len(rows), values))
    return parts
