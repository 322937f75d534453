"""A preallocated key-value cache, whose rows are each at a position of their own."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Cache:
    """Keys and values of some rows, in one pair of buffers for each layer. A row's index in them is its slot.

    Args:
        slots: the most rows.
        length: the most positions of a row (T).
        device: of the buffers.

    Attributes:
        buffers: keys and values of each layer, (slots, num_kv_heads, T, head_dim) twice, allocated at its first write.
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
    """The rows and positions of one pass. Networks of transformers take it as their cache, and call `update`.

    Args:
        cache: the cache.
        slots: (m,) of the rows; a slice is read in place, an array is gathered.
        positions: (m, K) of the new tokens. Padding may go to positions that a row has not reached: nothing attends to
            them before they are overwritten.

    Attributes:
        stop: S, the positions of the longest row after the pass.
        fresh: no row has a past.
        level: all rows are at the same positions.
        positions: (m, K), as a tensor.
    """

    is_compileable = False

    def __init__(self, cache: Cache, slots: NDArray[np.int64] | slice, positions: NDArray[np.int64]) -> None:
        self.cache = cache
        self._slots = slots
        self._first = np.arange(cache.slots)[slots]  # (m,)
        self.stop = int(positions.max()) + 1
        self.fresh = not positions[:, 0].any()
        self.level = bool((positions == positions[0]).all())
        self._cells: Tensor | None = None
        self.positions = torch.from_numpy(positions).to(cache.device)

    @cached_property
    def mask(self) -> Tensor:
        """The positions that each token attends to, (m, 1, K, S) bool."""
        columns = torch.arange(self.stop, device=self.cache.device)
        return columns <= self.positions[:, None, :, None]

    @cached_property
    def slots(self) -> Tensor:
        """The slots of the rows, (m,)."""
        return torch.from_numpy(self._first).to(self.cache.device)

    def bags(self, num_heads: int, num_kv_heads: int) -> tuple[Tensor, Tensor]:
        """The positions that each head of each row attends to, as `torch.embedding_bag` takes them: one token a row.

        Returns indices into a layer's values, seen as (slots · num_kv_heads · T, head_dim), for one head after another,
        (m · num_heads · S,) int32, and the place of each head's first index, (m · num_heads,).
        """
        head = torch.arange(num_heads, device=self.cache.device) // (num_heads // num_kv_heads)
        first = (self.slots[:, None] * num_kv_heads + head) * self.cache.length  # (m, num_heads)
        column = torch.arange(self.stop, dtype=torch.int32, device=self.cache.device)
        bags = (first[:, :, None].int() + column).view(-1)
        return bags, torch.arange(0, len(bags), self.stop, dtype=torch.int32, device=self.cache.device)

    def write(self, keys: Tensor, values: Tensor, layer: int) -> None:
        """Write new keys and values, (m, K, num_kv_heads, head_dim) twice."""
        for buffer, new in zip(self._buffers(layer, keys, values), (keys, values), strict=True):
            if self.level:  # a third of the time of the general case
                buffer[self._slots, :, self.stop - new.shape[1] : self.stop] = new.transpose(1, 2)
            else:
                heads, head_dim = new.shape[2:]
                if self._cells is None:
                    head = torch.arange(heads, device=new.device)
                    first = (self.slots[:, None, None] * heads + head) * self.cache.length
                    self._cells = (first + self.positions[:, :, None]).view(-1)  # (m · K · heads,)
                buffer.view(-1, head_dim).index_copy_(0, self._cells, new.reshape(-1, head_dim).to(buffer.dtype))

    def _buffers(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """A layer's keys and values, (slots, num_kv_heads, T, head_dim) twice, allocated like these if it is new.

        Keys and values may differ in type, as under autocast, and in size.
        """
        cache = self.cache
        if layer == len(cache.buffers):
            first, second = (_zeros((cache.slots, x.shape[2], cache.length, x.shape[3]), x) for x in (keys, values))
            cache.buffers.append((first, second))
        return cache.buffers[layer]

    def reserve(self, layers: int, num_kv_heads: int, head_dim: int, like: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The keys and values of all layers, (slots, num_kv_heads, T, head_dim) twice each, for others to write to."""
        for layer in range(len(self.cache.buffers), layers):
            self._buffers(layer, *(like.new_empty(0, 1, num_kv_heads, head_dim),) * 2)
        return self.cache.buffers

    def past(self, layer: int) -> tuple[Tensor, Tensor]:
        """The keys and values of the rows up to the longest one, (m, num_kv_heads, S, head_dim) twice."""
        keys, values = self.cache.buffers[layer]
        return keys[self._slots, :, : self.stop], values[self._slots, :, : self.stop]

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object) -> tuple[Tensor, Tensor]:
        """Write keys and values, (m, num_kv_heads, K, head_dim) twice; returns `past`, (m, …, S, head_dim) twice."""
        self.write(keys.transpose(1, 2), values.transpose(1, 2), layer)
        return (keys, values) if self.fresh else self.past(layer)

    def get_seq_length(self, layer: int = 0) -> int:
        """0: networks are given positions and a mask, and need no length."""
        return 0


def _zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros of this shape. On the CPU numpy allocates them, since it asks the system for large pages."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    return torch.from_numpy(np.zeros(math.prod(shape) * like.itemsize, np.uint8)).view(like.dtype).view(shape)
