"""Infos of many rows as Gymnasium's vector environments have them: an array for each key, and a mask `_key`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {int: np.int64, float: np.float64, bool: np.bool_}


def mask_of(rows: NDArray[np.int64], num_envs: int) -> NDArray[np.bool_]:
    """The mask of some rows, (n,) bool; keys with the same rows share it."""
    mask = np.zeros(num_envs, bool)
    mask[rows] = True
    return mask


def scatter(info: dict[str, Any], rows: NDArray[np.int64], mask: NDArray[np.bool_], columns: Mapping[str, Any]) -> None:
    """Add columns to an info.

    Args:
        info: the info, to which keys are added.
        rows: the rows that the columns have values for, (m,).
        mask: the same rows as a mask, (n,) bool.
        columns: for each key its m values, or a mapping of such columns.
    """
    for key, values in columns.items():
        mask_key = "_" + key
        if isinstance(values, dict):
            scatter(info.setdefault(key, {}), rows, mask, values)
        else:
            array = values if isinstance(values, np.ndarray) else _array(values)
            if key not in info:
                info[key] = _empty(len(mask), array)
            info[key][rows] = array
        info[mask_key] = info[mask_key] | mask if mask_key in info else mask


def scatter_scores(
    info: dict[str, Any], rows: NDArray[np.int64], mask: NDArray[np.bool_], scores: Sequence[Mapping[str, float]]
) -> None:
    """Add the parts of m scores to an info without scores, under the key "score"."""
    names, count = [*scores[0]], len(scores)
    if [*chain.from_iterable(scores)] != names * count:  # the parts of a task's scores may change from turn to turn
        for row, parts in zip(rows, scores, strict=True):
            columns = {"score": {part: [value] for part, value in parts.items()}}
            scatter(info, row[None], mask_of(row, len(mask)), columns)
        return
    values = chain.from_iterable([parts.values() for parts in scores])
    table = np.zeros((len(names), len(mask)))
    table[:, rows] = np.fromiter(values, np.float64, count * len(names)).reshape(count, len(names)).T
    info["score"] = dict(zip(names, table, strict=True)) | {"_" + name: mask for name in names}
    info["_score"] = mask


def _array(values: Sequence[Any]) -> NDArray[Any]:
    # An array of objects is filled from an iterator: numpy would turn a list of lists into a matrix.
    dtype = _DTYPES.get(type(values[0]))
    return np.fromiter(values, object, len(values)) if dtype is None else np.array(values, dtype)


def _empty(num_envs: int, like: NDArray[Any]) -> NDArray[Any]:
    if like.dtype.hasobject:
        return np.empty(num_envs, object)  # full of None
    return np.zeros((num_envs, *like.shape[1:]), like.dtype)


def split_finals(
    num_envs: int, rows: NDArray[np.int64], info: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    """The info of a step after which some rows, (m,), are reset: their part moves to `final_info`.

    Args:
        num_envs: the number of rows (n).
        rows: the rows whose episodes ended.
        info: the info of the step.
        arrays: the observations, (n, …) each, whose ended rows go to `final_obs`.
    """
    finals = np.empty(num_envs, object)
    blocks = {key: list(array[rows]) for key, array in arrays.items()}  # copies, since rows are picked
    for i, row in enumerate(rows.tolist()):
        finals[row] = {key: block[i] for key, block in blocks.items()}
    ended = np.zeros(num_envs, bool)
    ended[rows] = True
    kept, final_info = _part(info, ended)
    return {**kept, "final_obs": finals, "_final_obs": ended, "final_info": final_info, "_final_info": ended.copy()}


def _part(info: Mapping[str, Any], ended: NDArray[np.bool_]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The infos of the rows that go on and of the ended ones, (n,) bool; keys without rows are left out."""
    parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for key, values in info.items():
        if key.startswith("_"):
            continue
        mask = info[f"_{key}"]
        goes_on, is_final = mask & ~ended, mask & ended
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
