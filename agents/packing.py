"""Episodes that open alike, side by side behind one opening: what they share is read, and learnt from, once.

A group of G episodes on one problem repeats its opening G times. Here it stands once, the rests of the episodes follow
one another behind it, each at the positions that it has in its episode, and each attends to the opening and to itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textmdp.envs.episode import PADDING, POLICY

#: Packing is worth its own work where it takes at most this share of the time of reading row by row.
WORTH_IT = 0.9


@dataclass(frozen=True)
class Packing:
    """B episodes of up to L tokens as P rows of up to S.

    Attributes:
        tokens: (P, S) int64.
        positions: (P, S) int64, of each token in its episode.
        mask: (P, 1, S, S) bool, what each token attends to.
        places: (B, L) int64, where each token of an episode is among the P · S; padding is wherever it does no harm.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor
    places: Tensor


def pack(tokens: Tensor, roles: Tensor, width: int) -> Packing | None:
    """Pack episodes by their openings; None where that would not be faster.

    Args:
        tokens: (B, L) int64, left-aligned.
        roles: (B, L): 0 padding, 1 environment, 2 policy.
        width: of the network's residual stream, which tells what attention takes beside all else.
    """
    said, whose = tokens.cpu().numpy(), roles.cpu().numpy()
    rows, longest = said.shape
    columns = np.arange(longest)
    lengths = (whose != PADDING).sum(1)  # (B,)
    spoken = whose == POLICY
    openings = np.where(spoken.any(1), spoken.argmax(1), lengths)  # (B,) tokens before the policy's first
    shown = np.where(columns < openings[:, None], said, -1)
    _, group = np.unique(shown, axis=0, return_inverse=True)  # (B,)
    group = group.reshape(-1)
    count = int(group.max()) + 1
    if count == rows:
        return None
    starts, stops = _side_by_side(group, openings, lengths - openings)
    stop = int(stops.max())
    if _cost(count, stop, width) > WORTH_IT * _cost(rows, longest, width):
        return None
    real, shared = columns < lengths[:, None], columns < openings[:, None]  # (B, L)
    rest = real & ~shared
    offsets = np.where(shared, columns, starts[:, None] + columns - openings[:, None])
    places = group[:, None] * stop + np.where(real, offsets, 0)
    packed, positions = np.zeros((2, count, stop), np.int64)
    packed.flat[places[real]] = said[real]
    positions.flat[places[real]] = np.broadcast_to(columns, said.shape)[real]
    owner = np.full((count, stop), -1)  # the episode that a token belongs to, -1 where several do
    owner.flat[places[rest]] = np.broadcast_to(np.arange(rows)[:, None], said.shape)[rest]
    opening = np.zeros((count, stop), bool)
    opening.flat[places[shared]] = True
    before = np.arange(stop) <= np.arange(stop)[:, None]
    mask = before & (opening[:, None] | (owner[:, None] == owner[:, :, None]))  # (P, S, S)
    device = tokens.device
    return Packing(
        torch.from_numpy(packed).to(device),
        torch.from_numpy(positions).to(device),
        torch.from_numpy(mask[:, None]).to(device),
        torch.from_numpy(places).to(device),
    )


def _side_by_side(
    group: NDArray[np.int64], openings: NDArray[np.int64], rests: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the rest of each episode begins and ends in the row of its group, (B,) twice."""
    order = group.argsort(kind="stable")
    ends = rests[order].cumsum()
    begins = ends - rests[order]
    first = np.searchsorted(group[order], group[order])  # the first episode of each one's group
    starts = np.empty_like(openings)
    starts[order] = begins - begins[first] + openings[order]
    return starts, starts + rests


def _cost(rows: int, length: int, width: int) -> float:
    """What reading rows takes: 24 · width² operations a token and layer, and 4 · width · length more of attention."""
    return rows * length * (1 + length / (6 * width))
