"""Sequence packing with shared prompts: the prompt of a group of episodes is read once instead of G times.

A packed row holds one prompt, followed by everything that comes after it in each of its episodes. Every token keeps the
position that it has in its episode, and attends to the prompt and to its own episode only.
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
    device = tokens.device
    token_ids, role_ids = tokens.cpu().numpy(), roles.cpu().numpy()
    columns = np.arange(token_ids.shape[1])
    lengths = (role_ids != PADDING).sum(1)  # (B,)
    by_policy = role_ids == POLICY
    prompt_lengths = np.where(by_policy.any(1), by_policy.argmax(1), lengths)  # (B,)
    in_prompt = columns < prompt_lengths[:, None]  # (B, T)
    prompts, row = unique_rows(np.where(in_prompt, token_ids, -1))  # (R,), (B,)
    rest_lengths = lengths - prompt_lengths
    row_lengths = prompt_lengths[prompts] + np.bincount(row, rest_lengths).astype(np.int64)  # (R,)
    num_rows, stop = len(row_lengths), int(row_lengths.max())
    packed_cost, plain_cost = _cost(num_rows, stop, width), _cost(len(token_ids), token_ids.shape[1], width)
    if num_rows == len(token_ids) or packed_cost > MAX_COST_RATIO * plain_cost:
        return None
    # The column of its row at which each episode goes on after the prompt: behind the episodes before it.
    order = row.argsort(kind="stable")
    before = rest_lengths[order].cumsum() - rest_lengths[order]
    members = np.bincount(row)
    before -= np.repeat(before[members.cumsum() - members], members)
    starts = prompt_lengths.copy()
    starts[order] += before
    shift = np.where(in_prompt, 0, (starts - prompt_lengths)[:, None])
    token_index = row[:, None] * stop + columns + shift  # (B, T)
    real = columns < lengths[:, None]
    packed, positions, owner = np.zeros((3, num_rows * stop), np.int64)
    packed[token_index[real]] = token_ids[real]
    positions[token_index[real]] = np.broadcast_to(columns, real.shape)[real]
    rest = real & ~in_prompt
    owner[token_index[rest]] = np.broadcast_to(np.arange(1, len(real) + 1)[:, None], real.shape)[rest]  # 0 elsewhere
    owner = owner.reshape(num_rows, stop)
    packed_columns = np.arange(stop)
    in_packed_prompt = packed_columns < prompt_lengths[prompts][:, None]  # (R, S)
    causal = packed_columns <= packed_columns[:, None]
    mask = causal & (in_packed_prompt[:, None] | (owner[:, None] == owner[:, :, None]))  # (R, S, S)
    return PackedBatch(
        tokens=torch.from_numpy(packed.reshape(num_rows, stop)).to(device),
        positions=torch.from_numpy(positions.reshape(num_rows, stop)).to(device),
        mask=torch.from_numpy(mask[:, None]).to(device),
        token_index=torch.from_numpy(np.where(real, token_index, 0)).to(device),
    )


def _cost(rows: int, length: int, width: int) -> float:
    """Operations of a forward pass up to a factor: 24 · width² a token and layer, 4 · width · length in attention."""
    return rows * length * (1 + length / (6 * width))
