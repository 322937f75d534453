"""Observations that begin others: a causal network reads the longest ones, and has read the others by the way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Prefixes(NamedTuple):
    """B observations as positions in m texts, of which none begins another."""

    texts: NDArray[np.int64]
    """(m,) the observations that are read."""
    text_of: NDArray[np.int64]
    """(B,) for each observation the number of the text that it begins, from 0 to m - 1."""


def shared_prefixes(tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> Prefixes:
    """The observations that begin no other one, and for each observation one that it begins.

    Args:
        tokens: (B, T), token ids.
        lengths: (B,), the tokens of each observation; those behind are ignored.
    """
    real = np.arange(tokens.shape[1]) < lengths[:, None]
    rows = np.where(real, tokens + 1, 0)  # 0 behind the end, so that a text comes before its continuations
    keys = np.ascontiguousarray(rows, ">u4").view(f"S{4 * rows.shape[1]}")[:, 0]
    order = np.argsort(keys, kind="stable")
    ordered = rows[order]
    # The continuations of a text follow it directly, so it begins some text if and only if it begins the next one.
    same = (ordered[:-1] == ordered[1:]) | (ordered[:-1] == 0)
    begins = np.append(same.all(1), False)
    last = np.flatnonzero(~begins)  # places of the texts in the order
    text_of = np.empty(len(order), np.int64)
    text_of[order] = np.searchsorted(last, np.arange(len(order)))
    return Prefixes(order[last], text_of)


class Batch(NamedTuple):
    """B observations, laid out for a causal network: what it reads, and where the observations end in it."""

    tokens: Tensor
    """(m, S) int64, the texts to read."""
    roles: Tensor
    """(m, S) int64, 0 behind the end of a text."""
    text_of: Tensor
    """(B,) the text of each observation."""
    last: Tensor
    """(B,) the position of its last token."""

    def ends(self, states: Tensor) -> Tensor:
        """The states, (m, S, D), at the last token of each observation: (B, D)."""
        return states[self.text_of, self.last]


def batch_of(tokens: Tensor, roles: Tensor) -> Batch:
    """The observations of a batch, each text once, without padding that all share.

    Args:
        tokens: (B, T), token ids, of any type.
        roles: (B, T), 0 for padding.
    """
    tokens, roles = tokens.long(), roles.long()
    lengths = (roles != 0).sum(1)
    size = max(int(lengths.max()), 1)
    tokens, roles = tokens[:, :size], roles[:, :size]
    prefixes = shared_prefixes(tokens.cpu().numpy(), lengths.cpu().numpy())
    texts = torch.from_numpy(prefixes.texts).to(tokens.device)
    text_of = torch.from_numpy(prefixes.text_of).to(tokens.device)
    return Batch(tokens[texts], roles[texts], text_of, (lengths - 1).clamp(min=0))
