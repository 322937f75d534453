"""Sequence packing: shared prompts are read once, and padding hardly ever.

A group of G episodes on one problem repeats its prompt G times. A unit holds the prompt once, followed by everything
that comes after it in each of the episodes; or it is a single episode. A packed row holds one unit or several. Every
token keeps the position that it has in its episode, and attends to the prompt and to its own episode only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textmdp.envs.core.episode import PADDING, POLICY

#: Packed rows are used if they cost at most this fraction of reading one episode a row.
MAX_COST_RATIO = 0.9
#: Units share a row of up to this length: masks grow with its square.
MAX_SHARED_ROW = 1024
#: Lengths of rows that are tried, as multiples of the longest unit. Long rows have less padding, and more attention.
_ROW_LENGTHS = (1, 2, 4)

Lengths = NDArray[np.int64]


class UniqueRows(NamedTuple):
    """The distinct rows of a batch, as `np.unique` returns them with `return_index` and `return_inverse`."""

    first: NDArray[np.int64]
    """(U,) the first row of each kind."""
    inverse: NDArray[np.int64]
    """(B,) the kind of each row: row b equals row `first[inverse[b]]`."""


def unique_rows(*arrays: NDArray[Any] | None) -> UniqueRows:
    """Find the rows that are equal in all arrays, in order of first appearance.

    Args:
        arrays: (B, …) each; None is skipped.
    """
    rows = zip(*(map(bytes, array) for array in arrays if array is not None), strict=True)
    kinds: dict[Any, int] = {}
    inverse = np.array([kinds.setdefault(row, len(kinds)) for row in rows], np.int64)
    return UniqueRows(np.unique(inverse, return_index=True)[1], inverse)


class PackedBatch(NamedTuple):
    """B episodes of up to T tokens as R rows of up to S tokens."""

    tokens: Tensor
    """(R, S) int64."""
    positions: Tensor
    """(R, S) int64, the position of each token in its episode."""
    mask: Tensor
    """(R, 1, S, S) bool, the tokens that each token attends to."""
    token_index: Tensor
    """(B, T) int64, the index of each token of an episode in the R · S packed tokens; 0 at padding."""


def pack_sequences(tokens: Tensor, roles: Tensor, width: int) -> PackedBatch | None:
    """Pack episodes by their prompts, the tokens before the policy's first one; None if that would not be faster.

    Args:
        tokens: (B, T) int64, left-aligned.
        roles: (B, T): 0 padding, 1 environment, 2 policy.
        width: of the network's residual stream, which decides how much attention costs relative to everything else.
    """
    token_ids, role_ids = tokens.cpu().numpy(), roles.cpu().numpy()
    columns = np.arange(token_ids.shape[1])
    lengths = (role_ids != PADDING).sum(1)  # (B,)
    by_policy = role_ids == POLICY
    prompt_lengths = np.where(by_policy.any(1), by_policy.argmax(1), lengths)  # (B,)
    rest_lengths = lengths - prompt_lengths
    in_prompt = columns < prompt_lengths[:, None]  # (B, T)
    same_prompt = unique_rows(np.where(in_prompt, token_ids, -1))
    alone = UniqueRows(np.arange(len(lengths)), np.arange(len(lengths)))
    layouts = [
        _layout(units, prompt_lengths, rest_lengths, factor)
        for units in (same_prompt, alone)
        for factor in _ROW_LENGTHS
    ]
    best = min(layouts, key=lambda layout: _cost(layout.num_rows, layout.length, width))
    if _cost(best.num_rows, best.length, width) > MAX_COST_RATIO * _cost(len(lengths), int(lengths.max()), width):
        return None
    unit, row, start, num_rows, stop = best
    # In its row, an episode goes on after its unit's prompt and the episodes before it.
    order = unit.argsort(kind="stable")
    before = rest_lengths[order].cumsum() - rest_lengths[order]
    members = np.bincount(unit)
    before -= np.repeat(before[members.cumsum() - members], members)
    offsets = np.zeros_like(lengths)
    offsets[order] = before
    packed_columns = start[unit][:, None] + columns + np.where(in_prompt, 0, offsets[:, None])  # (B, T)
    token_index = row[unit][:, None] * stop + packed_columns
    real = columns < lengths[:, None]
    places = token_index[real]
    packed, positions, units, owners = np.zeros((4, num_rows * stop), np.int64)
    packed[places] = token_ids[real]
    positions[places] = np.broadcast_to(columns, real.shape)[real]
    units[places] = np.broadcast_to(unit[:, None] + 1, real.shape)[real]  # 0 at padding
    episodes = np.where(in_prompt, 0, np.arange(1, len(lengths) + 1)[:, None])  # 0 in prompts
    owners[places] = episodes[real]
    units, owners = units.reshape(num_rows, stop), owners.reshape(num_rows, stop)
    causal = np.arange(stop) <= np.arange(stop)[:, None]
    same_unit = units[:, None] == units[:, :, None]  # (R, S, S)
    mask = causal & same_unit & ((owners == 0)[:, None] | (owners[:, None] == owners[:, :, None]))
    return PackedBatch(
        tokens=torch.from_numpy(packed.reshape(num_rows, stop)),
        positions=torch.from_numpy(positions.reshape(num_rows, stop)),
        mask=torch.from_numpy(mask[:, None]),
        token_index=torch.from_numpy(np.where(real, token_index, 0)),
    )


class _Layout(NamedTuple):
    unit: NDArray[np.int64]  # (B,) of each episode
    row: NDArray[np.int64]  # (U,) of each unit
    start: NDArray[np.int64]  # (U,) the column at which each unit begins
    num_rows: int
    length: int  # of the longest row


def _layout(units: UniqueRows, prompt_lengths: Lengths, rest_lengths: Lengths, factor: int) -> _Layout:
    """Put units in rows of `factor` times the longest unit: by falling length, each in the first row with room."""
    unit_lengths = prompt_lengths[units.first] + np.bincount(units.inverse, rest_lengths).astype(np.int64)  # (U,)
    longest = int(unit_lengths.max())
    capacity = max(longest, min(factor * longest, MAX_SHARED_ROW))
    row, start = np.zeros((2, len(unit_lengths)), np.int64)
    used = np.zeros(len(unit_lengths), np.int64)  # of each row; there are at most as many as units
    for unit in (-unit_lengths).argsort(kind="stable"):
        row[unit] = (used + unit_lengths[unit] <= capacity).argmax()
        start[unit] = used[row[unit]]
        used[row[unit]] += unit_lengths[unit]
    return _Layout(units.inverse, row, start, int((used > 0).sum()), int(used.max()))


def _cost(rows: int, length: int, width: int) -> float:
    """Operations of a forward pass up to a factor: 24 · width² a token and layer, 4 · width · length in attention."""
    return rows * length * (1 + length / (6 * width))
