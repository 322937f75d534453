"""A Llama's step through the cache as one compiled kernel: all layers in one call, rows in blocks, a thread a core."""

from __future__ import annotations

import ctypes

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from textmdp.agents import kernels
from textmdp.agents.forward import LlamaForward
from textmdp.agents.kv_cache import Window

#: Columns of packed weights that lie side by side, as in llama.c.
PANEL = 16
#: A thread takes some microseconds to start: rows below which another does not pay.
ROWS_PER_THREAD = 16


class _Shape(ctypes.Structure):
    """`Shape` of llama.c."""

    _sizes = ("layers", "hidden", "heads", "shared", "width", "inner", "vocabulary", "length")
    _fields_ = (*((name, ctypes.c_int64) for name in _sizes), ("epsilon", ctypes.c_float))


class _Layer(ctypes.Structure):
    """`Layer` of llama.c."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("qkv", "out", "gate_up", "down", "keys", "values"))


class CompiledLlamaForward(LlamaForward):
    """`LlamaForward` with a compiled `predict`, on processors with a C compiler.

    A row's logits are the same, bit for bit, whatever rows are beside it and however many threads there are.
    """

    scattered = True

    def __init__(self, network: LlamaForCausalLM, length: int) -> None:
        super().__init__(network, length)
        kernel = kernels.load("llama")
        assert kernel is not None, "ask `available` first"
        self._step, self._room = kernel.llama_step, kernel.llama_room
        self._room.restype = ctypes.c_int64
        self._space = np.empty(0, np.float32)
        self._inner = self.layers[0].down.shape[0]
        self._packed = [tuple(map(_packed, layer)) for layer in self.layers]
        self._packed_head = _packed(self.head)
        self._pointers = (_Layer * len(self.layers))(*(_Layer(*map(_pointer, weights)) for weights in self._packed))

    @staticmethod
    def available(network: LlamaForCausalLM) -> bool:
        """Whether the network lies where the kernel runs, and the kernel can be compiled."""
        return network.device.type == "cpu" and kernels.load("llama") is not None

    def predict(self, window: Window, tokens: Tensor) -> Tensor:
        """See `Forward`."""
        buffers = window.reserve(len(self.layers), self.shared, self.width, self.embedding)
        for pointers, (keys, values) in zip(self._pointers, buffers, strict=True):
            pointers.keys, pointers.values = keys.data_ptr(), values.data_ptr()
        rows, vocabulary = len(tokens), self.head.shape[1]
        shape = _Shape(
            *(len(self.layers), self.embedding.shape[1], self.heads, self.shared, self.width, self._inner, vocabulary),
            *(window.cache.length, self.epsilon.item()),
        )
        threads = max(1, min(torch.get_num_threads(), rows // ROWS_PER_THREAD))
        needed = threads * self._room(ctypes.byref(shape))
        if len(self._space) < needed:  # kept, since memory is slow when it is touched for the first time
            self._space = np.empty(needed, np.float32)
        logits = torch.empty(rows, vocabulary)
        tokens, positions = tokens.contiguous(), window.positions.contiguous()
        self._step(
            ctypes.byref(shape),
            self._pointers,
            *map(_pointer, (self.embedding, self._packed_head, self.turns, tokens, positions, window.slots)),
            ctypes.c_int64(rows),
            _pointer(logits),
            self._space.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(threads),
        )
        return logits


def _packed(weights: Tensor) -> Tensor:
    """Weights, (in, out), as (⌈out / 16⌉, in, 16), filled up with zeros."""
    depth, columns = weights.shape
    panels = -(-columns // PANEL)
    full = torch.nn.functional.pad(weights, (0, panels * PANEL - columns))
    return full.view(depth, panels, PANEL).transpose(0, 1).contiguous()


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
