"""A Llama's passes through a cache with few operations, several times as fast as transformers' own."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedModel

from textmdp.agents.inference.kv_cache import CacheView
from textmdp.agents.models.precision import precision


class Layer(NamedTuple):
    """The weights of a layer, (in, out), the scales of its norms multiplied in."""

    qkv: Tensor  # queries, keys, values side by side
    out: Tensor
    gate_up: Tensor
    down: Tensor


class LlamaForward:
    """A Llama with few operations: weights side by side, and scales, norms and rotation folded into one another.

    Equal to transformers' own forward but for rounding. `supports` tells which networks it is for.

    Rotation: entry j of a head's first half and entry j of its second are the two parts of a complex number, which the
    rotary embedding turns. Here they are neighbours, so that one complex product turns queries and keys; products of
    queries and keys are the same in any order of the entries.
    """

    supports_arbitrary_slots = False

    def __init__(self, network: LlamaForCausalLM, length: int) -> None:
        config, model = network.config, network.model
        self.heads, self.shared = config.num_attention_heads, config.num_key_value_heads
        self.width = model.layers[0].self_attn.head_dim
        # A weighted sum of rows of a buffer is an embedding bag, too, on processors up to twice as fast as bmm.
        self.bags = network.device.type == "cpu"
        # x / sqrt(mean(x²) + ε) = sqrt(D) · x / sqrt(|x|² + D · ε), and the sqrt(D) goes into the weights behind.
        size = config.hidden_size
        self.epsilon = torch.full((1, 1), size * config.rms_norm_eps, device=network.device)
        self.embedding = model.embed_tokens.weight.detach().clone()
        self.layers = [
            Layer(
                self._beside(
                    layer.input_layernorm.weight,
                    self._pair(layer.self_attn.q_proj) * self.width**-0.5,
                    self._pair(layer.self_attn.k_proj),
                    layer.self_attn.v_proj.weight,
                ),
                layer.self_attn.o_proj.weight.t().contiguous(),
                self._beside(
                    layer.post_attention_layernorm.weight, layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight
                ),
                layer.mlp.down_proj.weight.t().contiguous(),
            )
            for layer in model.layers
        ]
        self.head = self._beside(model.norm.weight, network.lm_head.weight)
        every = torch.arange(length, device=network.device)[None]
        cos, sin = (table[0, :, : self.width // 2] for table in model.rotary_emb(self.embedding, every))
        self.turns = torch.complex(cos, sin)  # (L, width / 2)

    @staticmethod
    def supports(network: PreTrainedModel) -> bool:
        """Whether this is the architecture that is written out here."""
        return (
            isinstance(network, LlamaForCausalLM)
            and precision(network) == torch.float32
            and network.config.rope_parameters["rope_type"] == "default"
            and network.config.hidden_act == "silu"
            and not (network.config.attention_bias or network.config.mlp_bias)
        )

    def read(self, window: CacheView, tokens: Tensor) -> None:
        """See `Forward`."""
        m, k = tokens.shape
        turns = self.turns[window.positions].view(m * k, 1, -1)
        mask = None if window.fresh else window.mask
        x = F.embedding(tokens.view(-1), self.embedding)  # (m · K, D)
        for index, layer in enumerate(self.layers):
            queries, keys, values = (y.view(m, k, *y.shape[1:]) for y in self._project(x, layer, turns))
            window.write(keys, values, index)
            if index + 1 == len(self.layers):
                return  # keys and values are all that is kept of the last layer
            keys, values = (keys.transpose(1, 2), values.transpose(1, 2)) if window.fresh else window.seen(index)
            mixed = F.scaled_dot_product_attention(
                queries.transpose(1, 2),
                keys,
                values,
                mask,
                is_causal=window.fresh,
                scale=1.0,
                enable_gqa=self.heads != self.shared,
            )  # (m, heads, K, width)
            self._finish(x, mixed.transpose(1, 2).reshape(m * k, -1), layer)

    def predict(self, window: CacheView, tokens: Tensor) -> Tensor:
        """See `Forward`."""
        m, stop, shared = len(tokens), window.stop, self.shared
        turns = self.turns[window.positions]
        hidden = None if window.level else ~window.mask[:, :, 0]  # (m, 1, S)
        if self.bags:
            bags, starts = window.bags(self.heads, shared)
        x = F.embedding(tokens[:, 0], self.embedding)  # (m, D)
        for index, layer in enumerate(self.layers):
            queries, keys, values = self._project(x, layer, turns)
            window.write(keys[:, None], values[:, None], index)
            keys, values = window.seen(index)  # (m, shared, S, width) twice
            queries = queries.reshape(m * shared, -1, self.width)
            weights = torch.bmm(queries, keys.flatten(0, 1).transpose(1, 2)).view(m, self.heads, stop)
            if hidden is not None:
                weights.masked_fill_(hidden, -torch.inf)
            weights = weights.softmax(-1)
            if self.bags:
                values = window.cache.buffers[index][1].view(-1, self.width)
                mixed = torch.embedding_bag(values, bags, starts, False, 0, False, weights.view(-1))[0]
            else:
                mixed = torch.bmm(weights.view(m * shared, -1, stop), values.flatten(0, 1))
            self._finish(x, mixed.view(m, -1), layer)
        return torch.mm(self._normalise(x), self.head)

    def _project(self, x: Tensor, layer: Layer, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, (N, heads, width), and keys and values, (N, shared, width) twice, of N tokens' x, (N, D)."""
        turning = self.heads + self.shared
        every = torch.mm(self._normalise(x), layer.qkv).view(len(x), turning + self.shared, self.width)
        torch.view_as_complex(every[:, :turning].unflatten(2, (-1, 2))).mul_(turns)
        return every[:, : self.heads], every[:, self.heads : turning], every[:, turning:]

    def _finish(self, x: Tensor, mixed: Tensor, layer: Layer) -> None:
        """Add to x, (N, D), what comes of attention's outcome, (N, heads · width), and then of the MLP."""
        x.addmm_(mixed, layer.out)
        gate, up = torch.mm(self._normalise(x), layer.gate_up).chunk(2, 1)
        x.addmm_(F.silu(gate).mul_(up), layer.down)

    def _normalise(self, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        return x * torch.addcmul(self.epsilon, length, length).rsqrt_()

    def _pair(self, projection: nn.Linear) -> Tensor:
        """Weights, (out, in), with the halves of each head's entries interleaved."""
        weights = projection.weight
        return weights.view(-1, 2, self.width // 2, weights.shape[1]).transpose(1, 2).reshape(weights.shape)

    @staticmethod
    def _beside(norm: Tensor, *weights: Tensor) -> Tensor:
        """Weights, (out, in) each, side by side, (in, all outs), with the scales, (in,), of the norm before them."""
        return (torch.cat(weights) * norm * len(norm) ** 0.5).t().contiguous()
