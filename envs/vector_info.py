"""Infos of many rows in the form of Gymnasium's vector environments: an array a key, and a mask `_key` beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {int: np.int64, float: np.float64, bool: np.bool_}


def scatter(num_envs: int, info: dict[str, Any], rows: NDArray[np.int64], columns: Mapping[str, Any]) -> None:
    """Put `columns` (for each key one value for each of `rows`, or a mapping of such) into `info`."""
    told = np.zeros(num_envs, bool)
    told[rows] = True
    _fill(info, rows, told, columns)


def scatter_ledgers(
    num_envs: int, info: dict[str, Any], rows: NDArray[np.int64], ledgers: Sequence[Mapping[str, float]]
) -> None:
    """Put the parts of scores, one ledger for each of `rows`, into `info["score"]`."""
    kinds = set(map(tuple, ledgers))
    for kind in kinds:  # one, unless a task names other parts at other times
        members, where = ledgers, rows
        if len(kinds) > 1:
            picked = [i for i, ledger in enumerate(ledgers) if tuple(ledger) == kind]
            members, where = [ledgers[i] for i in picked], rows[picked]
        scatter(num_envs, info, where, {"score": {part: [ledger[part] for ledger in members] for part in kind}})


def _fill(info: dict[str, Any], rows: NDArray[np.int64], told: NDArray[np.bool_], columns: Mapping[str, Any]) -> None:
    for key, values in columns.items():
        if isinstance(values, dict):
            _fill(info.setdefault(key, {}), rows, told, values)
        else:
            if key not in info:
                info[key] = _empty(len(told), values)
            if info[key].dtype == object and not isinstance(values, np.ndarray):
                objects = np.empty(len(rows), object)  # numpy would take a list of lists for a matrix
                objects[:] = values
                values = objects
            info[key][rows] = values
        mask = f"_{key}"
        if mask in info:
            info[mask] |= told
        else:
            info[mask] = told.copy()


def _empty(num_envs: int, values: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    if isinstance(values, np.ndarray):
        shape, dtype = (num_envs, *values.shape[1:]), values.dtype
    else:
        shape, dtype = (num_envs,), np.dtype(_DTYPES.get(type(values[0]), object))
    return np.empty(shape, dtype) if dtype.hasobject else np.zeros(shape, dtype)  # empty objects are None


def split_finals(
    num_envs: int, rows: NDArray[np.int64], info: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    """Move what is told of `rows`, whose episodes ended, to `final_info`, their observations to `final_obs`."""
    finals = np.empty(num_envs, object)
    blocks = {key: list(array[rows]) for key, array in arrays.items()}  # copies, since rows are picked
    for i, row in enumerate(rows.tolist()):
        finals[row] = {key: block[i] for key, block in blocks.items()}
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
        told = info[f"_{key}"]
        goes_on, is_final = told & ~ended, told & ended
        for part, rows, others in ((parts[0], goes_on, is_final), (parts[1], is_final, goes_on)):
            if not rows.any():
                continue
            part[f"_{key}"] = rows
            if not others.any():
                part[key] = values
            elif isinstance(values, Mapping):
                part[key] = _part(values, ~rows)[0]
            else:
                part[key] = np.where(rows.reshape(-1, *[1] * (values.ndim - 1)), values, _empty(len(rows), values))
    return parts
