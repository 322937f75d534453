"""A Llama's pass as one compiled kernel: all layers in one call, rows in blocks, a thread a core."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import LlamaForCausalLM

from textmdp.agents import kernels
from textmdp.agents.inference.kv_cache import CacheView
from textmdp.agents.inference.llama import LlamaForward
from textmdp.agents.kernels.memory import Memory

#: Columns of packed weights that lie side by side, as in arithmetic.h.
PANEL = 16
#: A thread takes some microseconds to start: tokens below which another does not pay.
TOKENS_PER_THREAD = 16


class _Layer(ctypes.Structure):
    """`Layer` of llama.c."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("qkv", "out", "gate_up", "down", "keys", "values"))


class _Llama(ctypes.Structure):
    """`Llama` of llama.c."""

    _sizes = ("layers", "hidden", "heads", "shared", "width", "inner", "vocabulary", "length")
    _fields_ = (
        *((name, ctypes.c_int64) for name in _sizes),
        ("epsilon", ctypes.c_float),
        ("layer", ctypes.POINTER(_Layer)),
        *((name, ctypes.c_void_p) for name in ("embedding", "head", "turns")),
    )


class _Reading(ctypes.Structure):
    """`Reading` of llama.c."""

    _fields_ = (
        ("llama", ctypes.POINTER(_Llama)),
        *((name, ctypes.c_void_p) for name in ("tokens", "positions", "slots")),
        ("each", ctypes.c_int64),
        ("logits", ctypes.c_void_p),
    )


class _Writing(ctypes.Structure):
    """`Writing` of llama.c."""

    _arrays = ("slots", "positions", "budgets", "tokens", "drawn", "log_probs", "uniform", "never")
    _fields_ = (
        ("llama", ctypes.POINTER(_Llama)),
        *((name, ctypes.c_void_p) for name in _arrays),
        *((name, ctypes.c_int64) for name in ("most", "end")),
        ("temperature", ctypes.c_float),
    )


class CompiledLlamaForward(LlamaForward):
    """`LlamaForward` compiled, on processors with a C compiler; it can also write on by itself.

    What a token gets is the same, bit for bit, whatever rows are beside its own, however many threads there are, and
    whether it was read with others of its row or alone.
    """

    supports_arbitrary_slots = True

    def __init__(self, network: LlamaForCausalLM, length: int) -> None:
        super().__init__(network, length)
        kernel = kernels.load("llama")
        assert kernel is not None, "ask `available` first"
        self._kernel = kernel
        self._kernel.llama_room.restype = ctypes.c_int64
        count, kinds = len(self.layers), len(self.layers[0])
        self._weights, parts = _packed([weights for layer in self.layers for weights in layer] + [self.head])
        self._layers = (_Layer * count)(*(_Layer(*parts[k * kinds : (k + 1) * kinds]) for k in range(count)))
        inner, (hidden, vocabulary) = self.layers[0].down.shape[0], self.head.shape
        self._llama = _Llama(
            *(count, hidden, self.heads, self.shared, self.width, inner, vocabulary, length),
            *(self.epsilon.item(), self._layers),
            *(self.embedding.data_ptr(), parts[-1], self.turns.data_ptr()),
        )

    @staticmethod
    def available(network: LlamaForCausalLM) -> bool:
        """Whether the network lies where the kernel runs, and the kernel can be compiled."""
        return network.device.type == "cpu" and kernels.load("llama") is not None

    def read(self, window: CacheView, tokens: Tensor) -> None:
        """See `Forward`."""
        self._read(window, tokens, None)

    def predict(self, window: CacheView, tokens: Tensor) -> Tensor:
        """See `Forward`."""
        logits = torch.empty(len(tokens), self._llama.vocabulary)
        self._read(window, tokens, logits)
        return logits

    def write(
        self,
        window: CacheView,
        tokens: Tensor,
        budgets: NDArray[np.int64],
        never: Tensor,
        end: int,
        temperature: float,
        uniform: Tensor | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Remember one token of each row, (m, 1), and draw tokens that follow, each from what all before it say.

        Args:
            window: of the first token.
            tokens: the first.
            budgets: (m,), how many to draw at most, from 1 to K.
            never: (V,) bool, tokens of probability 0.
            end: the token after which a row draws no more.
            temperature: divides the logits.
            uniform: (m, K) float32 in [0, 1): each draws the first token whose cumulative probability is above it;
                None for the likeliest tokens.

        Returns the tokens, (m, K), how many of each row count, (m,), and their log-probabilities, (m, K).
        """
        rows, most = len(tokens), int(budgets.max())
        written = np.empty((rows, most + 1), np.int64)
        written[:, 0] = tokens[:, 0].numpy()
        drawn, log_probs = np.empty(rows, np.int64), np.empty((rows, most), np.float32)
        arrays = (window.slots, window.positions, torch.from_numpy(budgets))
        kept = [tensor.contiguous() for tensor in arrays]
        self._take(window)
        writing = _Writing(
            *(ctypes.pointer(self._llama), *map(Tensor.data_ptr, kept), written.ctypes.data, drawn.ctypes.data),
            *(log_probs.ctypes.data, None if uniform is None else uniform.data_ptr(), never.data_ptr()),
            *(most, end, temperature),
        )
        self._call(self._kernel.llama_write, writing, rows, rows)
        return written[:, 1:], drawn, log_probs

    def _read(self, window: CacheView, tokens: Tensor, logits: Tensor | None) -> None:
        rows, each = tokens.shape
        kept = [tensor.contiguous() for tensor in (tokens, window.positions, window.slots)]
        self._take(window)
        reading = _Reading(
            *(ctypes.pointer(self._llama), *map(Tensor.data_ptr, kept), each),
            None if logits is None else logits.data_ptr(),
        )
        self._call(self._kernel.llama_read, reading, rows, rows * each)

    def _take(self, window: CacheView) -> None:
        """Let the kernel find keys and values in this window's cache."""
        buffers = window.reserve(len(self._layers), self.shared, self.width, self.embedding)
        assert window.cache.length == self._llama.length, "the cache is that of the episodes that this was made for"
        for layer, (keys, values) in zip(self._layers, buffers, strict=True):
            layer.keys, layer.values = keys.data_ptr(), values.data_ptr()

    def _call(self, function: ctypes._NamedFuncPointer, asked: ctypes.Structure, rows: int, tokens: int) -> None:
        threads = threads_for(rows, tokens)
        space = Memory(threads * self._kernel.llama_room(ctypes.byref(self._llama)))
        function(ctypes.byref(asked), ctypes.c_int64(rows), space.pointer, ctypes.c_int64(threads))


def threads_for(rows: int, tokens: int) -> int:
    """How many threads some rows with so many tokens in all are worth."""
    return max(1, min(torch.get_num_threads(), rows, tokens // TOKENS_PER_THREAD))


def _packed(every: Sequence[Tensor]) -> tuple[Memory, list[int]]:
    """Weights, (in, out) each, as (⌈out / 16⌉, in, 16), filled up with zeros, in one piece; and where each begins."""
    shapes = [(-(-weights.shape[1] // PANEL), weights.shape[0], PANEL) for weights in every]
    starts = np.cumsum([0, *map(math.prod, shapes)])
    memory = Memory(int(starts[-1]))
    for start, shape, weights in zip(starts[:-1].tolist(), shapes, every, strict=True):
        full = torch.nn.functional.pad(weights.detach(), (0, shape[0] * PANEL - weights.shape[1]))
        part = memory.array[start : start + math.prod(shape)].reshape(shape)
        part[:] = full.view(shape[1], shape[0], PANEL).transpose(0, 1).numpy()
    return memory, (memory.array.ctypes.data + starts[:-1] * memory.array.itemsize).tolist()
