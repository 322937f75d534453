"""Episodes that open alike, side by side behind one opening: what they share is read, and learnt from, once.

A group of G episodes on one problem repeats its opening G times. Here it stands once, the rests of the episodes follow
one another behind it, each at the positions that it has in its episode, and each attends to the opening and to itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textmdp.envs.core.episode import PADDING, POLICY

#: Packing is worth its own work where it takes at most this share of the time of reading row by row.
WORTH_IT = 0.9


@dataclass(frozen=True)
class Layout:
    """B episodes of up to L tokens as N tokens in segments, one behind another; those of each opening are a row.

    Attributes:
        tokens: (N,) int64.
        positions: (N,) int64, of each token in its episode.
        segments: (M, 4) int64: where it begins; its length; and where the tokens before it begin that all of its own
            attend to, and how many they are. Among themselves they attend causally.
        rows: (R + 1,) int64, the first segment of each row, and M.
        places: (B, L) int64, where each token of an episode is among the N; padding is wherever it does no harm.
    """

    tokens: NDArray[np.int64]
    positions: NDArray[np.int64]
    segments: NDArray[np.int64]
    rows: NDArray[np.int64]
    places: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The tokens of each row, (R,)."""
        return np.add.reduceat(self.segments[:, 1], self.rows[:-1])


def pack_sequences(tokens: Tensor, roles: Tensor, shared: bool = True) -> Layout:
    """Lay out episodes by their openings: what comes before the policy's first token.

    Args:
        tokens: (B, L) int64, left-aligned.
        roles: (B, L): 0 padding, 1 environment, 2 policy.
        shared: whether openings that are alike are laid out once; else each episode is a row.
    """
    said, whose = tokens.cpu().numpy(), roles.cpu().numpy()
    columns = np.arange(said.shape[1])
    lengths = (whose != PADDING).sum(1)  # (B,)
    spoken = whose == POLICY
    openings = np.where(spoken.any(1), spoken.argmax(1), lengths) * shared  # (B,)
    # Of each row the first episode, (R,), and the row of each episode, (B,).
    first = group = np.arange(len(said))
    if shared:
        first, group = alike(np.where(columns < openings[:, None], said, -1))
    # Row by row: the opening, and then the rests of its episodes.
    order = group.argsort(kind="stable")
    rests = lengths - openings
    counts = np.bincount(group)  # (R,)
    rows = np.concatenate([[0], np.cumsum(counts + 1)])
    members = np.arange(len(order)) + group[order] + 1  # the segment of each episode, in order
    segments = np.zeros((rows[-1], 4), np.int64)
    segments[rows[:-1], 1], segments[members, 1] = openings[first], rests[order]
    segments[:, 0] = segments[:, 1].cumsum() - segments[:, 1]
    segments[rows[:-1], 2] = segments[rows[:-1], 0]
    segments[members, 2], segments[members, 3] = segments[rows[group[order]], 0], openings[order]
    starts = np.empty_like(lengths)
    starts[order] = segments[members, 0] - openings[order]
    heads = segments[rows[group], 0]  # (B,)
    places = np.where(columns < openings[:, None], heads[:, None], starts[:, None]) + columns
    real = columns < lengths[:, None]
    laid, positions = np.zeros((2, int(segments[:, 1].sum())), np.int64)
    laid[places[real]] = said[real]
    positions[places[real]] = np.broadcast_to(columns, said.shape)[real]
    return Layout(laid, positions, segments, rows, np.where(real, places, 0))


def alike(*arrays: NDArray[Any] | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which rows are the same in all arrays, (B, …) each: the first row of each of m kinds, (m,), and the kind of each
    row, (B,).
    """
    rows = zip(*(map(bytes, array) for array in arrays if array is not None), strict=True)
    kinds: dict[Any, int] = {}
    same = np.array([kinds.setdefault(row, len(kinds)) for row in rows], np.int64)
    return np.unique(same, return_index=True)[1], same


@dataclass(frozen=True)
class Packing:
    """The same as R rows of up to S tokens, for networks that take masks.

    Attributes:
        tokens: (R, S) int64.
        positions: (R, S) int64, of each token in its episode.
        mask: (R, 1, S, S) bool, what each token attends to.
        places: (B, L) int64, where each token of an episode is among the R · S; padding is wherever it does no harm.
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
    layout = pack_sequences(tokens, roles)
    sizes = layout.sizes  # (R,)
    count, stop = len(sizes), int(sizes.max())
    if count == len(tokens) or _cost(count, stop, width) > WORTH_IT * _cost(len(tokens), tokens.shape[1], width):
        return None
    columns = np.arange(stop)
    real = columns < sizes[:, None]
    packed, positions = np.zeros((2, count, stop), np.int64)
    packed[real], positions[real] = layout.tokens, layout.positions
    owner = np.full((count, stop), -1)  # the segment that a token belongs to
    owner[real] = np.repeat(np.arange(len(layout.segments)), layout.segments[:, 1])
    opening = columns < layout.segments[layout.rows[:-1], 1, None]  # (R, S)
    before = columns <= columns[:, None]
    mask = before & (opening[:, None] | (owner[:, None] == owner[:, :, None]))  # (R, S, S)
    shifted = np.flatnonzero(real)  # where each of the N is among the R · S
    device = tokens.device
    return Packing(
        torch.from_numpy(packed).to(device),
        torch.from_numpy(positions).to(device),
        torch.from_numpy(mask[:, None]).to(device),
        torch.from_numpy(shifted[layout.places]).to(device),
    )


def _cost(rows: int, length: int, width: int) -> float:
    """What reading rows takes: 24 · width² operations a token and layer, and 4 · width · length more of attention."""
    return rows * length * (1 + length / (6 * width))
