"""A Llama's pass over whole episodes as one compiled kernel, and the way back, from gradients to gradients.

A small network spends much of its training in reading and writing what one operation leaves to the next. Here a few
episodes at a time go through all layers, and back, while what they need is in the processor's cache; openings that
episodes share are read once, and padding never.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from transformers import LlamaForCausalLM, PreTrainedModel

from textmdp.agents import kernels
from textmdp.agents.inference.compiled import PANEL, threads_for
from textmdp.agents.inference.forward import LlamaForward
from textmdp.agents.kernels.memory import Memory
from textmdp.agents.training.packing import Layout


class _Training(ctypes.Structure):
    """`Training` of training.h."""

    _sizes = ("layers", "hidden", "heads", "shared", "width", "inner")
    _layout = ("positions", "segments", "rows", "shares")
    _arrays = ("packed", "tape", "x", "y", "dy", "dx", "gradients")
    _fields_ = (
        *((name, ctypes.c_int64) for name in _sizes),
        ("epsilon", ctypes.c_float),
        ("weights", ctypes.POINTER(ctypes.c_void_p)),
        ("turns", ctypes.c_void_p),
        ("tokens", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in _layout),
        *((name, ctypes.c_int64) for name in ("largest", "longest")),
        *((name, ctypes.c_void_p) for name in _arrays),
    )


def available(network: PreTrainedModel) -> bool:
    """Whether the network is one that is written out here, where the kernel runs, and the kernel can be compiled."""
    return LlamaForward.supports(network) and network.device.type == "cpu" and kernels.load("training") is not None


def hidden_states(network: LlamaForCausalLM, layout: Layout) -> Tensor:
    """The last hidden states of N tokens, (N, D), differentiable: those of transformers but for rounding."""
    model = network.model
    weights = []
    for layer in model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        weights += [layer.input_layernorm, attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj]
        weights += [layer.post_attention_layernorm, mlp.gate_proj, mlp.up_proj, mlp.down_proj]
    weights.append(model.norm)
    x = model.embed_tokens(torch.from_numpy(layout.tokens))
    return _Layers.apply(x, network, layout, torch.is_grad_enabled(), *(module.weight for module in weights))


class _Layers(torch.autograd.Function):
    """All layers, and the norm behind them, of x, (N, D)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, network: LlamaForCausalLM, layout: Layout, keep: bool, *weights: Tensor) -> Tensor:
        call = _Call(network, layout, weights, keep)
        if keep:
            ctx.call, ctx.shapes = call, [weight.shape for weight in weights]
        return call.there(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        dx, gradients = ctx.call.back(dy)
        padded = [-(-shape[-1] // PANEL) * PANEL for shape in ctx.shapes]
        sizes = [shape.numel() // shape[-1] * columns for shape, columns in zip(ctx.shapes, padded, strict=True)]
        parts = zip(gradients.split(sizes), ctx.shapes, padded, strict=True)
        of_weights = (part.view(-1, columns)[:, : shape[-1]].reshape(shape) for part, shape, columns in parts)
        return dx, None, None, None, *of_weights


class _Call:
    """One way there, and, with a tape of it, back."""

    def __init__(self, network: LlamaForCausalLM, layout: Layout, weights: tuple[Tensor, ...], keep: bool) -> None:
        kernel = kernels.load("training")
        assert kernel is not None, "ask `available` first"
        self._kernel = kernel
        for size in (kernel.training_room, kernel.training_tape, kernel.training_packed, kernel.training_gradients):
            size.restype = ctypes.c_int64
        tokens, sizes = len(layout.tokens), layout.sizes
        self._threads = threads_for(len(sizes), tokens)
        starts = sizes.cumsum() - sizes  # (R,)
        shares = np.searchsorted(starts, np.linspace(0, tokens, self._threads + 1))
        every = torch.arange(int(layout.positions.max(initial=0)) + 1)[None]
        cosines, sines = (table[0, :, : table.shape[-1] // 2] for table in network.model.rotary_emb(weights[0], every))
        turns = torch.cat([cosines, sines], 1)
        weights = tuple(weight.contiguous() for weight in weights)
        config = network.config
        self._kept = weights, layout, shares, turns  # for the pointers to them
        self._asked = _Training(
            *(config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.num_key_value_heads),
            *(network.model.layers[0].self_attn.head_dim, config.intermediate_size, config.rms_norm_eps),
            (ctypes.c_void_p * len(weights))(*map(Tensor.data_ptr, weights)),
            *(turns.data_ptr(), tokens),
            *(array.ctypes.data for array in (layout.positions, layout.segments, layout.rows, shares)),
            *(int(sizes.max(initial=0)), int(layout.segments[:, [1, 3]].sum(1).max(initial=0))),
        )
        self._packed = self._memory("packed", kernel.training_packed)
        self._tape = self._memory("tape", kernel.training_tape) if keep else None

    def there(self, x: Tensor) -> Tensor:
        """The last hidden states, (N, D), of x, (N, D)."""
        y = torch.empty_like(x)
        self._run(x=x, y=y)
        return y

    def back(self, dy: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of x, and those of all weights one after another, (out, in padded) each, of that of y."""
        dy, dx = dy.contiguous(), torch.empty_like(dy, memory_format=torch.contiguous_format)
        gradients = torch.zeros(self._threads, self._kernel.training_gradients(ctypes.byref(self._asked)))
        self._run(dy=dy, dx=dx, gradients=gradients)
        return dx, gradients.sum(0) if self._threads > 1 else gradients[0]

    def _run(self, **arrays: Tensor) -> None:
        for name, array in arrays.items():
            setattr(self._asked, name, array.data_ptr())
        room = Memory(self._threads * self._kernel.training_room(ctypes.byref(self._asked)))
        self._kernel.training_pass(ctypes.byref(self._asked), room.pointer, ctypes.c_int64(self._threads))

    def _memory(self, name: str, size: Any) -> Memory:
        memory = Memory(size(ctypes.byref(self._asked)))
        setattr(self._asked, name, memory.pointer)
        return memory
