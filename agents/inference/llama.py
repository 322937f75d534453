"""A Llama's passes through a cache with few operations, several times as fast as transformers' own."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.activations import ACT2FN
from transformers.models.llama import modeling_llama

from textmdp.agents.inference.kv_cache import CacheView

#: The modules of a Llama as transformers makes it, and their forwards before anybody replaced them.
_FORWARDS = {
    kind: kind.forward
    for kind in (
        LlamaForCausalLM,
        modeling_llama.LlamaModel,
        modeling_llama.LlamaDecoderLayer,
        modeling_llama.LlamaAttention,
        modeling_llama.LlamaMLP,
        modeling_llama.LlamaRMSNorm,
        modeling_llama.LlamaRotaryEmbedding,
        type(ACT2FN["silu"]),
        nn.ModuleList,
        nn.Linear,
        nn.Embedding,
    )
}
#: The module of hooks that transformers itself installs when hidden states are requested; they change nothing.
_HARMLESS_HOOKS = "transformers.utils.output_capturing"


class Layer(NamedTuple):
    """The weights of a layer, (in, out), the scales of its norms multiplied in."""

    qkv: Tensor  # queries, keys, values side by side
    out: Tensor
    gate_up: Tensor
    down: Tensor


def _has_known_config(network: LlamaForCausalLM) -> bool:
    config = network.config
    return (
        config.rope_parameters["rope_type"] == "default"
        and config.hidden_act == "silu"
        and config.num_hidden_layers == len(network.model.layers)
        and config._attn_implementation in ("sdpa", "eager")  # others may be anybody's
    )


def _is_unmodified(network: LlamaForCausalLM) -> bool:
    hooks = nn.modules.module
    if hooks._global_forward_hooks or hooks._global_forward_pre_hooks:
        return False
    if any(weights.dtype != torch.float32 or weights.device != network.device for weights in network.parameters()):
        return False
    return all(_is_plain(module, network.config) for module in network.modules())


def _is_plain(module: nn.Module, config: PretrainedConfig) -> bool:
    """True if a module is as transformers made it."""
    hooks = [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]
    if any(getattr(hook, "__module__", None) != _HARMLESS_HOOKS for hook in hooks):
        return False
    if _FORWARDS.get(type(module)) is not type(module).forward or "forward" in vars(module):
        return False
    if isinstance(module, nn.Linear):
        return module.bias is None
    if isinstance(module, nn.Embedding):
        return module.max_norm is None
    if isinstance(module, modeling_llama.LlamaRMSNorm):
        return module.variance_epsilon == config.rms_norm_eps
    if isinstance(module, modeling_llama.LlamaAttention):
        return module.scaling == module.head_dim**-0.5
    return True


class LlamaForward:
    """A Llama in few operations: weights side by side, scales of norms and of queries folded into them.

    Equal to transformers' own forward but for rounding, for networks that it `supports`.

    Rotary embeddings: entry j of a head's first half and entry j of its second are the two parts of a complex number.
    Here they are neighbours, so that one complex product rotates queries and keys. Products of queries and keys are the
    same in any order of the entries.
    """

    supports_arbitrary_slots = False

    def __init__(self, network: LlamaForCausalLM, length: int) -> None:
        config, model = network.config, network.model
        self.num_heads, self.num_kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = model.layers[0].self_attn.head_dim
        # A weighted sum of rows of a buffer is an embedding bag; on CPUs that is up to twice as fast as bmm.
        self.uses_bags = network.device.type == "cpu"
        # x / sqrt(mean(x²) + ε) = sqrt(D) · x / sqrt(|x|² + D · ε), and the sqrt(D) goes into the weights behind it.
        size = config.hidden_size
        self.epsilon = torch.full((1, 1), size * config.rms_norm_eps, device=network.device)
        self.embedding = model.embed_tokens.weight.detach().clone()
        self.layers = [
            Layer(
                self._beside(
                    layer.input_layernorm.weight,
                    self._pair(layer.self_attn.q_proj) * self.head_dim**-0.5,
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
        positions = torch.arange(length, device=network.device)[None]
        cos, sin = (table[0, :, : self.head_dim // 2] for table in model.rotary_emb(self.embedding, positions))
        self.cos_sin = torch.complex(cos, sin)  # (T, head_dim / 2)

    @staticmethod
    def supports(network: PreTrainedModel) -> bool:
        """True if the network computes exactly the operations of this class.

        Adapters, hooks, parametrisations, subclasses and replaced forwards would be ignored, so they are refused.
        """
        return type(network) is LlamaForCausalLM and _has_known_config(network) and _is_unmodified(network)

    def read(self, view: CacheView, tokens: Tensor) -> None:
        """See `Forward`."""
        m, k = tokens.shape
        cos_sin = self.cos_sin[view.positions].view(m * k, 1, -1)
        mask = None if view.fresh else view.mask
        x = F.embedding(tokens.view(-1), self.embedding)  # (m · K, D)
        for index, layer in enumerate(self.layers):
            queries, keys, values = (y.view(m, k, *y.shape[1:]) for y in self._project(x, layer, cos_sin))
            view.write(keys, values, index)
            if index + 1 == len(self.layers):
                return  # the cache keeps nothing but keys and values of the last layer
            keys, values = (keys.transpose(1, 2), values.transpose(1, 2)) if view.fresh else view.past(index)
            mixed = F.scaled_dot_product_attention(
                queries.transpose(1, 2),
                keys,
                values,
                mask,
                is_causal=view.fresh,
                scale=1.0,
                enable_gqa=self.num_heads != self.num_kv_heads,
            )  # (m, num_heads, K, head_dim)
            self._finish(x, mixed.transpose(1, 2).reshape(m * k, -1), layer)

    def predict(self, view: CacheView, tokens: Tensor) -> Tensor:
        """See `Forward`."""
        m, stop, num_kv_heads = len(tokens), view.stop, self.num_kv_heads
        cos_sin = self.cos_sin[view.positions]
        hidden = None if view.level else ~view.mask[:, :, 0]  # (m, 1, S)
        if self.uses_bags:
            bags, starts = view.bags(self.num_heads, num_kv_heads)
        x = F.embedding(tokens[:, 0], self.embedding)  # (m, D)
        for index, layer in enumerate(self.layers):
            queries, keys, values = self._project(x, layer, cos_sin)
            view.write(keys[:, None], values[:, None], index)
            keys, values = view.past(index)  # (m, num_kv_heads, S, head_dim) twice
            queries = queries.reshape(m * num_kv_heads, -1, self.head_dim)
            weights = torch.bmm(queries, keys.flatten(0, 1).transpose(1, 2)).view(m, self.num_heads, stop)
            if hidden is not None:
                weights.masked_fill_(hidden, -torch.inf)
            weights = weights.softmax(-1)
            if self.uses_bags:
                values = view.cache.buffers[index][1].view(-1, self.head_dim)
                mixed = torch.embedding_bag(values, bags, starts, False, 0, False, weights.view(-1))[0]
            else:
                mixed = torch.bmm(weights.view(m * num_kv_heads, -1, stop), values.flatten(0, 1))
            self._finish(x, mixed.view(m, -1), layer)
        return torch.mm(self._normalise(x), self.head)

    def _project(self, x: Tensor, layer: Layer, cos_sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, (N, num_heads, head_dim), keys and values, (N, num_kv_heads, head_dim) twice, of x, (N, D)."""
        rotated = self.num_heads + self.num_kv_heads
        qkv = torch.mm(self._normalise(x), layer.qkv).view(len(x), rotated + self.num_kv_heads, self.head_dim)
        torch.view_as_complex(qkv[:, :rotated].unflatten(2, (-1, 2))).mul_(cos_sin)
        return qkv[:, : self.num_heads], qkv[:, self.num_heads : rotated], qkv[:, rotated:]

    def _finish(self, x: Tensor, mixed: Tensor, layer: Layer) -> None:
        """Add to x, (N, D), the outputs of attention, with mixed values (N, num_heads · head_dim), and of the MLP."""
        x.addmm_(mixed, layer.out)
        gate, up = torch.mm(self._normalise(x), layer.gate_up).chunk(2, 1)
        x.addmm_(F.silu(gate).mul_(up), layer.down)

    def _normalise(self, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        return x * torch.addcmul(self.epsilon, length, length).rsqrt_()

    def _pair(self, projection: nn.Linear) -> Tensor:
        """Weights, (out, in), with the halves of each head's entries interleaved."""
        weights = projection.weight
        return weights.view(-1, 2, self.head_dim // 2, weights.shape[1]).transpose(1, 2).reshape(weights.shape)

    @staticmethod
    def _beside(norm: Tensor, *weights: Tensor) -> Tensor:
        """Weights, (out, in) each, side by side, (in, all outs), times the scales, (in,), of the norm before them."""
        return (torch.cat(weights) * norm * len(norm) ** 0.5).t().contiguous()
