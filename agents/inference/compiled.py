"""A Llama's passes in C: all layers in one call, tokens in blocks, rows divided among threads. See docs/kernel.md."""

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
#: Tokens below which another thread doesn't pay: it takes some microseconds to start.
TOKENS_PER_THREAD = 16


class _Layer(ctypes.Structure):
    """`Layer` of llama.c."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("qkv", "out", "gate_up", "down", "keys", "values"))


class _Llama(ctypes.Structure):
    """`Llama` of llama.c."""

    _sizes = (
        *("num_layers", "hidden_size", "num_heads", "num_kv_heads", "head_dim"),
        *("intermediate_size", "vocab_size", "length"),
    )
    _fields_ = (
        *((name, ctypes.c_int64) for name in _sizes),
        ("epsilon", ctypes.c_float),
        ("layers", ctypes.POINTER(_Layer)),
        *((name, ctypes.c_void_p) for name in ("embedding", "head", "cos_sin")),
    )


class _ForwardArguments(ctypes.Structure):
    """`ForwardArguments` of llama.c."""

    _fields_ = (
        ("llama", ctypes.POINTER(_Llama)),
        *((name, ctypes.c_void_p) for name in ("tokens", "positions", "slots")),
        ("tokens_per_row", ctypes.c_int64),
        ("logits", ctypes.c_void_p),
    )


class _GenerateArguments(ctypes.Structure):
    """`GenerateArguments` of llama.c."""

    _arrays = ("slots", "positions", "budgets", "tokens", "lengths", "log_probs", "uniform", "forbidden")
    _fields_ = (
        ("llama", ctypes.POINTER(_Llama)),
        *((name, ctypes.c_void_p) for name in _arrays),
        *((name, ctypes.c_int64) for name in ("max_tokens", "end")),
        ("temperature", ctypes.c_float),
    )


class CompiledLlamaForward(LlamaForward):
    """`LlamaForward` in C, for processors with a C compiler. It can also sample several tokens in one call.

    The result for a token is the same, bit for bit, whatever rows are beside its own, however many threads there are,
    and whether it was read with others of its row or alone.
    """

    supports_arbitrary_slots = True

    def __init__(self, network: LlamaForCausalLM, length: int) -> None:
        super().__init__(network, length)
        kernel = kernels.load("llama")
        if kernel is None:
            raise RuntimeError("the kernel can't be compiled here: use `CompiledLlamaForward.available(network)`")
        check_sizes(kernel)
        self._kernel = kernel
        self._kernel.llama_workspace_size.restype = ctypes.c_int64
        count, kinds = len(self.layers), len(self.layers[0])
        self._weights, parts = _packed([weights for layer in self.layers for weights in layer] + [self.head])
        self._layers = (_Layer * count)(*(_Layer(*parts[k * kinds : (k + 1) * kinds]) for k in range(count)))
        intermediate_size, (hidden_size, vocab_size) = self.layers[0].down.shape[0], self.head.shape
        self._llama = _Llama(
            *(count, hidden_size, self.num_heads, self.num_kv_heads, self.head_dim),
            *(intermediate_size, vocab_size, length),
            *(self.epsilon.item(), self._layers),
            *(self.embedding.data_ptr(), parts[-1], self.cos_sin.data_ptr()),
        )

    @staticmethod
    def available(network: LlamaForCausalLM) -> bool:
        """True if the network is on the CPU and the kernel can be compiled."""
        return network.device.type == "cpu" and kernels.load("llama") is not None

    def read(self, view: CacheView, tokens: Tensor) -> None:
        """See `Forward`."""
        self._forward(view, tokens, None)

    def predict(self, view: CacheView, tokens: Tensor) -> Tensor:
        """See `Forward`."""
        logits = torch.empty(len(tokens), self._llama.vocab_size)
        self._forward(view, tokens, logits)
        return logits

    def generate(
        self,
        view: CacheView,
        tokens: Tensor,
        budgets: NDArray[np.int64],
        forbidden: Tensor,
        end: int,
        temperature: float,
        uniform: Tensor | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Add one token of each row to the cache, and sample the tokens that follow.

        Args:
            view: of the first token.
            tokens: (m, 1) int64, the first token.
            budgets: (m,), the most tokens to sample, from 1 to K.
            forbidden: (V,) bool, tokens of probability 0.
            end: the token after which a row stops.
            temperature: divides the logits.
            uniform: (m, K) float32 in [0, 1): each samples the first token whose cumulative probability is above it;
                None for the most likely tokens.

        Returns the tokens, (m, K), the number of them in each row, (m,), and their log-probabilities, (m, K).
        """
        rows, most = len(tokens), int(budgets.max())
        sampled = np.empty((rows, most + 1), np.int64)
        sampled[:, 0] = tokens[:, 0].numpy()
        lengths, log_probs = np.empty(rows, np.int64), np.empty((rows, most), np.float32)
        arrays = (view.slots, view.positions, torch.from_numpy(budgets))
        kept = [tensor.contiguous() for tensor in arrays]
        self._point_at(view)
        arguments = _GenerateArguments(
            *(ctypes.pointer(self._llama), *map(Tensor.data_ptr, kept), sampled.ctypes.data, lengths.ctypes.data),
            *(log_probs.ctypes.data, None if uniform is None else uniform.data_ptr(), forbidden.data_ptr()),
            *(most, end, temperature),
        )
        self._call(self._kernel.llama_generate, arguments, rows, rows)
        return sampled[:, 1:], lengths, log_probs

    def _forward(self, view: CacheView, tokens: Tensor, logits: Tensor | None) -> None:
        rows, tokens_per_row = tokens.shape
        kept = [tensor.contiguous() for tensor in (tokens, view.positions, view.slots)]
        self._point_at(view)
        arguments = _ForwardArguments(
            *(ctypes.pointer(self._llama), *map(Tensor.data_ptr, kept), tokens_per_row),
            None if logits is None else logits.data_ptr(),
        )
        self._call(self._kernel.llama_forward, arguments, rows, rows * tokens_per_row)

    def _point_at(self, view: CacheView) -> None:
        """Point the kernel at the keys and values of this view's cache."""
        buffers = view.reserve(len(self._layers), self.num_kv_heads, self.head_dim, self.embedding)
        assert view.cache.length == self._llama.length, "the cache is that of the episodes that this was made for"
        for layer, (keys, values) in zip(self._layers, buffers, strict=True):
            layer.keys, layer.values = keys.data_ptr(), values.data_ptr()

    def _call(self, function: ctypes._NamedFuncPointer, arguments: ctypes.Structure, rows: int, tokens: int) -> None:
        threads = threads_for(rows, tokens)
        workspace = Memory(threads * self._kernel.llama_workspace_size(ctypes.byref(self._llama)))
        function(ctypes.byref(arguments), ctypes.c_int64(rows), workspace.pointer, ctypes.c_int64(threads))


def check_sizes(kernel: ctypes.CDLL) -> None:
    """Raise an error unless the structures here are as large as the kernel's, and panels as wide."""
    structures = (_Layer, _Llama, _ForwardArguments, _GenerateArguments)
    expected = [*map(ctypes.sizeof, structures), PANEL]
    found = [*(ctypes.c_int64 * len(expected)).in_dll(kernel, "llama_sizes")]
    if found != expected:
        raise RuntimeError(
            f"llama.c has structures and panels of sizes {found}, and compiled.py of sizes {expected}: declare the "
            "same fields in both"
        )


def threads_for(rows: int, tokens: int) -> int:
    """The number of threads that pay for some rows with so many tokens in all."""
    return max(1, min(torch.get_num_threads(), rows, tokens // TOKENS_PER_THREAD))


def _packed(matrices: Sequence[Tensor]) -> tuple[Memory, list[int]]:
    """Weights, (in, out) each, as panels, (⌈out / 16⌉, in, 16), padded with zeros, and the address of each."""
    shapes = [(-(-weights.shape[1] // PANEL), weights.shape[0], PANEL) for weights in matrices]
    starts = np.cumsum([0, *map(math.prod, shapes)])
    memory = Memory(int(starts[-1]))
    for start, shape, weights in zip(starts[:-1].tolist(), shapes, matrices, strict=True):
        full = torch.nn.functional.pad(weights.detach(), (0, shape[0] * PANEL - weights.shape[1]))
        part = memory.array[start : start + math.prod(shape)].reshape(shape)
        part[:] = full.view(shape[1], shape[0], PANEL).transpose(0, 1).numpy()
    return memory, (memory.array.ctypes.data + starts[:-1] * memory.array.itemsize).tolist()
