"""A key-value cache: what rows have said so far to a network, preallocated, each row at its own position."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Cache:
    """Keys and values of some rows, in one pair of buffers a layer; a row's place in them is its slot.

    Args:
        slots: how many rows can be held.
        length: the most positions of a row (L).
        device: where it lies.

    Attributes:
        buffers: of each layer keys and values, (slots, heads, L, width) twice; a layer's are made when it first writes.
    """

    def __init__(self, slots: int, length: int, device: torch.device) -> None:
        self.slots, self.length, self.device = slots, length, device
        self.buffers: list[tuple[Tensor, Tensor]] = []

    def copy(self, sources: NDArray[np.int64], targets: NDArray[np.int64], length: int | None = None) -> None:
        """Copy the first `length` positions of some slots over others, as if all at once."""
        for both in self.buffers:
            for buffer in both:
                buffer[targets, :, :length] = buffer[sources, :, :length]


class CacheView:
    """Where the tokens of one pass go, and what they attend to. Its `update` is what transformers' networks call.

    Args:
        cache: that of the pass.
        slots: (m,) of the rows; a slice is read in place, an array gathered.
        positions: (m, K) of their tokens. What is written to a position counts once a later token attends to it:
            padding may go to positions that a row has not reached.
    """

    is_compileable = False

    def __init__(self, cache: Cache, slots: NDArray[np.int64] | slice, positions: NDArray[np.int64]) -> None:
        self.cache = cache
        self._slots = slots
        self._first = np.arange(cache.slots)[slots]  # (m,)
        self.stop = int(positions.max()) + 1  # S, what the longest row has then
        self.fresh = not positions[:, 0].any()  # no row has a past
        self.level = bool((positions == positions[0]).all())  # all rows are equally long
        self._cells: Tensor | None = None
        self.positions = torch.from_numpy(positions).to(cache.device)  # (m, K)

    @cached_property
    def mask(self) -> Tensor:
        """What each token attends to, (m, 1, K, S) bool."""
        columns = torch.arange(self.stop, device=self.cache.device)
        return columns <= self.positions[:, None, :, None]

    @cached_property
    def slots(self) -> Tensor:
        """Of the rows, (m,)."""
        return torch.from_numpy(self._first).to(self.cache.device)

    def bags(self, heads: int, shared: int) -> tuple[Tensor, Tensor]:
        """What each head of each row attends to, as `torch.embedding_bag` wants it: one token a row, (m, 1).

        Returns places in a layer's values, were they (slots · shared · L, width), one after the other, (m · heads · S,)
        int32, and where each head's begin, (m · heads,).
        """
        head = torch.arange(heads, device=self.cache.device) // (heads // shared)
        first = (self.slots[:, None] * shared + head) * self.cache.length  # (m, heads)
        column = torch.arange(self.stop, dtype=torch.int32, device=self.cache.device)
        bags = (first[:, :, None].int() + column).view(-1)
        return bags, torch.arange(0, len(bags), self.stop, dtype=torch.int32, device=self.cache.device)

    def write(self, keys: Tensor, values: Tensor, layer: int) -> None:
        """Write what is new, (m, K, heads, width) twice."""
        for buffer, new in zip(self._buffers(layer, keys, values), (keys, values), strict=True):
            if self.level:  # which takes a third of the time
                buffer[self._slots, :, self.stop - new.shape[1] : self.stop] = new.transpose(1, 2)
            else:
                heads, width = new.shape[2:]
                if self._cells is None:
                    head = torch.arange(heads, device=new.device)
                    first = (self.slots[:, None, None] * heads + head) * self.cache.length
                    self._cells = (first + self.positions[:, :, None]).view(-1)  # (m · K · heads,)
                buffer.view(-1, width).index_copy_(0, self._cells, new.reshape(-1, width).to(buffer.dtype))

    def _buffers(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """A layer's keys and values, (slots, heads, L, width) twice; the next layer's are made for these.

        Keys and values may differ in type, as under autocast, and in width.
        """
        cache = self.cache
        if layer == len(cache.buffers):
            first, second = (_zeros((cache.slots, x.shape[2], cache.length, x.shape[3]), x) for x in (keys, values))
            cache.buffers.append((first, second))
        return cache.buffers[layer]

    def reserve(self, layers: int, heads: int, width: int, like: Tensor) -> list[tuple[Tensor, Tensor]]:
        """All layers' keys and values, (slots, heads, L, width) twice each, to be written by others."""
        for layer in range(len(self.cache.buffers), layers):
            self._buffers(layer, *(like.new_empty(0, 1, heads, width),) * 2)
        return self.cache.buffers

    def seen(self, layer: int) -> tuple[Tensor, Tensor]:
        """What the tokens may attend to, (m, heads, S, width) twice."""
        keys, values = self.cache.buffers[layer]
        return keys[self._slots, :, : self.stop], values[self._slots, :, : self.stop]

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object) -> tuple[Tensor, Tensor]:
        """Write what is new, (m, heads, K, width) twice; what there is then, (m, heads, S, width) twice."""
        self.write(keys.transpose(1, 2), values.transpose(1, 2), layer)
        return (keys, values) if self.fresh else self.seen(layer)

    def get_seq_length(self, layer: int = 0) -> int:
        """For transformers, which is given positions and a mask and needs no length."""
        return 0


def _zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros of this shape; by numpy, which asks the system for large pages, where they lie in the machine's memory."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    return torch.from_numpy(np.zeros(math.prod(shape) * like.itemsize, np.uint8)).view(like.dtype).view(shape)
