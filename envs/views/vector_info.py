"""Infos of many rows in the form of Gymnasium's vector environments: an array a key, and a mask `_key` beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {int: np.int64, float: np.float64, bool: np.bool_}


def mask_of(rows: NDArray[np.int64], num_envs: int) -> NDArray[np.bool_]:
    """The mask that says which rows a key is told of; keys that are told together share it."""
    told = np.zeros(num_envs, bool)
    told[rows] = True
    return told


def scatter(info: dict[str, Any], rows: NDArray[np.int64], told: NDArray[np.bool_], columns: Mapping[str, Any]) -> None:
    """Put `columns` (for each key one value for each of `rows`, or a mapping of such) into `info`."""
    for key, values in columns.items():
        mask = "_" + key
        if isinstance(values, dict):
            scatter(info.setdefault(key, {}), rows, told, values)
        else:
            array = values if isinstance(values, np.ndarray) else _array(values)
            if key not in info:
                info[key] = _empty(len(told), array)
            info[key][rows] = array
        info[mask] = info[mask] | told if mask in info else told


def scatter_ledgers(
    info: dict[str, Any], rows: NDArray[np.int64], told: NDArray[np.bool_], ledgers: Sequence[Mapping[str, float]]
) -> None:
    """Put the parts of scores, one ledger for each of `rows`, into `info["score"]`, which nothing has told of yet."""
    names, count = [*ledgers[0]], len(ledgers)
    if [*chain.from_iterable(ledgers)] != names * count:  # a task may name other parts at other times
        for row, ledger in zip(rows, ledgers, strict=True):
            columns = {"score": {part: [value] for part, value in ledger.items()}}
            scatter(info, row[None], mask_of(row, len(told)), columns)
        return
    values = chain.from_iterable([ledger.values() for ledger in ledgers])
    table = np.zeros((len(names), len(told)))
    table[:, rows] = np.fromiter(values, np.float64, count * len(names)).reshape(count, len(names)).T
    info["score"] = dict(zip(names, table, strict=True)) | {"_" + name: told for name in names}
    info["_score"] = told


def _array(values: Sequence[Any]) -> NDArray[Any]:
    # An array of objects is filled from an iterator: numpy would take a list of lists for a matrix.
    dtype = _DTYPES.get(type(values[0]))
    return np.fromiter(values, object, len(values)) if dtype is None else np.array(values, dtype)


def _empty(num_envs: int, like: NDArray[Any]) -> NDArray[Any]:
    if like.dtype.hasobject:
        return np.empty(num_envs, object)  # full of None
    return np.zeros((num_envs, *like.shape[1:]), like.dtype)


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
