"""A language model as an agent: tokens sampled in lock-step with a vector environment, from a key-value cache.

Each step runs the network over what is new in each row, most often one token, and never over the past again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedModel

from textmdp.agents.language_model import LanguageModel
from textmdp.envs.vector_env import TokenVectorEnv


class LanguageModelAgent:
    """Samples from a language model, or takes its most likely tokens.

    Rows hold slots of the cache for as long as `act` is asked about them.

    Args:
        model: the policy; its weights are read when episodes begin.
        temperature: divides the logits.
        greedy: always the most likely token.
        seed: of the sampling.

    Attributes:
        log_probs: (m,) float32, of the tokens that the last `act` chose, under the policy at this temperature.
    """

    def __init__(self, model: LanguageModel, *, temperature: float = 1.0, greedy: bool = False, seed: int = 0) -> None:
        if temperature <= 0:
            raise ValueError(f"temperature={temperature} must be above 0; for the most likely tokens use greedy=True")
        self.model, self.temperature, self.greedy = model, temperature, greedy
        self.generator = torch.Generator(model.device).manual_seed(seed)
        self.log_probs: NDArray[np.float32] | None = None
        self._cache = Cache(0, 0, model.device)
        self._rows = np.zeros(0, np.int64)  # of the environment, in the order of their slots; -1 for none
        self._seen = np.zeros(0, np.int64)  # (n,) tokens of each row that the cache holds

    def begin(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> None:
        """Forget what these rows held, (m,): their episodes are new, or go on from elsewhere."""
        limit = self.model.context_length
        if limit is not None and limit < envs.mdp.context_length:
            raise ValueError(
                f"the environment's context_length={envs.mdp.context_length} is beyond the {limit} positions of the "
                "network: make it shorter, or the network longer"
            )
        if not envs.lengths[rows].all():
            raise ValueError("an episode opens with no token: a language model needs a first one to go on from")
        shape = envs.tokens.shape
        if (self._cache.rows, self._cache.length) != shape:
            self._cache = Cache(*shape, self.model.device)
            self._rows = np.zeros(0, np.int64)
            self._seen = np.zeros(envs.num_envs, np.int64)
        self._rows[np.isin(self._rows, rows)] = -1
        self._forward = make_forward(self.model.network)

    @torch.inference_mode()
    def act(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The next token of each of these rows, (m,)."""
        self._arrange(rows)
        held = self._rows  # (m,) the same rows in the order of their slots, which is that of all arrays below
        counts = envs.lengths[held] - self._seen[held]  # (m,) tokens that are new in each row
        long = counts > 1
        if long.all() or not long.any():
            logits = self._feed(envs.tokens, held, counts, None)
        else:
            logits = torch.empty(len(held), len(self.model.never), device=self.model.device)
            for slots in (np.flatnonzero(~long), np.flatnonzero(long)):
                logits[slots] = self._feed(envs.tokens, held[slots], counts[slots], slots)
        self._seen[held] = envs.lengths[held]

        log_probs = self.model.distribution(logits, self.temperature)  # (m, V)
        if self.greedy:
            tokens = log_probs.argmax(-1)
        else:  # of V exponential clocks with rates π, that of token a rings first with probability π(a)
            clocks = torch.empty_like(log_probs).exponential_(generator=self.generator)
            tokens = (log_probs.exp() / clocks).argmax(-1)
        slots = np.empty(envs.num_envs, np.int64)
        slots[held] = np.arange(len(held))
        self.log_probs = log_probs.gather(1, tokens[:, None])[:, 0].cpu().numpy()[slots[rows]]
        return tokens.cpu().numpy()[slots[rows]]

    def _arrange(self, rows: NDArray[np.int64]) -> None:
        """Let exactly these rows have slots, 0 to m - 1: the last ones move to where others fell out."""
        kept = np.isin(self._rows, rows)
        count = int(kept.sum())
        if count < len(kept):
            holes, movers = np.flatnonzero(~kept[:count]), count + np.flatnonzero(kept[count:])
            self._cache.copy(movers, holes)
            self._rows[holes] = self._rows[movers]
            self._rows = self._rows[:count]
        if count < len(rows):
            fresh = np.setdiff1d(rows, self._rows, assume_unique=True)
            self._rows = np.concatenate([self._rows, fresh])
            self._seen[fresh] = 0

    def _feed(
        self, tokens: NDArray[np.int64], rows: NDArray[np.int64], counts: NDArray[np.int64], slots: NDArray[Any] | None
    ) -> Tensor:
        """Run the network over what is new in some rows, in these slots (None: all); logits of what follows, (m, V)."""
        # Rows with fewer new tokens than K go on into padding: never attended to, and written over in time.
        positions = self._seen[rows][:, None] + np.arange(counts.max())  # (m, K)
        positions = np.minimum(positions, tokens.shape[1] - 1)
        block = tokens[rows[:, None], positions]  # (m, K)
        if block.shape[1] == 1 or slots is not None or positions[:, 0].any():
            return self._forward(self._cache.aim(positions, slots), self._tensor(block), self._tensor(counts - 1))
        # Rows that open alike, as groups do, are prefilled once.
        _, first, same = np.unique(np.c_[block, counts], axis=0, return_index=True, return_inverse=True)
        cache = self._cache.aim(positions[first], first)
        logits = self._forward(cache, self._tensor(block[first]), self._tensor(counts[first] - 1))
        self._cache.copy(first[same], np.arange(len(rows)), block.shape[1])
        return logits[same]

    def _tensor(self, array: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(array).to(self.model.device)


class Cache:
    """Keys and values of what rows have said so far, preallocated: one buffer a layer, each row at its own position.

    Before a pass `aim` says where its tokens go; every layer then calls `update`, as transformers' networks do.

    Args:
        rows: the most slots.
        length: the most positions of a row (L).
        device: where it lies.
    """

    is_compileable = False

    def __init__(self, rows: int, length: int, device: torch.device) -> None:
        self.rows, self.length, self.device = rows, length, device
        self.buffers: list[tuple[Tensor, Tensor]] = []  # of each layer keys and values, (rows, heads, L, width)
        self.positions: Tensor  # (m, K) where the tokens of the next pass go
        self.mask: Tensor | None  # (m, 1, K, S) what each of them attends to; None for all there is

    def aim(self, positions: NDArray[np.int64], slots: NDArray[np.int64] | None) -> Cache:
        """Let the next pass write at these positions, (m, K), of these slots, (m,); None for slots 0 to m - 1."""
        count, stop = len(positions), int(positions.max()) + 1  # m, S
        self.positions = torch.from_numpy(positions).to(self.device)  # (m, K)
        self._write = torch.from_numpy(np.arange(count) if slots is None else slots).to(self.device)  # (m,)
        self._read = slice(count) if slots is None else self._write
        self._stop = stop
        whole = positions.shape[1] == 1 and int(positions.min()) + 1 == stop  # every token attends to all there is
        columns = torch.arange(stop, device=self.device)
        self.mask = None if whole else columns <= self.positions[:, None, :, None]  # (m, 1, K, S)
        return self

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object) -> tuple[Tensor, Tensor]:
        """Write what is new, (m, heads, K, width) twice; what there is then, (m, heads, S, width) twice."""
        if layer == len(self.buffers):
            room = self.rows, keys.shape[1], self.length
            self.buffers.append((keys.new_zeros(*room, keys.shape[3]), values.new_zeros(*room, values.shape[3])))
        buffers = self.buffers[layer]
        for buffer, new in zip(buffers, (keys, values), strict=True):
            buffer[self._write[:, None], :, self.positions] = new.transpose(1, 2)
        return buffers[0][self._read, :, : self._stop], buffers[1][self._read, :, : self._stop]

    def get_seq_length(self, layer: int = 0) -> int:
        """For transformers, which is given positions and a mask and needs no length."""
        return 0

    def copy(self, sources: NDArray[np.int64], targets: NDArray[np.int64], length: int | None = None) -> None:
        """Copy the first `length` positions of some slots over others."""
        for both in self.buffers:
            for buffer in both:
                buffer[targets, :, :length] = buffer[sources, :, :length]


class TransformersForward:
    """One pass of any causal language model of transformers over what is new, through our cache."""

    def __init__(self, network: PreTrainedModel) -> None:
        self.network = network

    def __call__(self, cache: Cache, tokens: Tensor, last: Tensor) -> Tensor:
        """Logits, (m, V), after the token at `last`, (m,), of each row of `tokens`, (m, K)."""
        mask = cache.mask
        if mask is None:
            mask = torch.ones(len(tokens), 1, 1, int(cache.positions[0, 0]) + 1, dtype=torch.bool, device=tokens.device)
        logits = self.network(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=cache.positions,
            past_key_values=cache,
            use_cache=True,
        ).logits  # (m, K, V)
        return logits[torch.arange(len(tokens), device=tokens.device), last]


class LlamaForward:
    """The same pass for a Llama, with fewer operations and weights side by side.

    Grouped heads and the plain rotary embedding; `supports` tells. Equal to transformers' own forward but for rounding.
    """

    def __init__(self, network: LlamaForCausalLM) -> None:
        config, model = network.config, network.model
        self.heads, self.shared = config.num_attention_heads, config.num_key_value_heads
        self.epsilon = config.rms_norm_eps
        self.embedding, self.norm, self.head = model.embed_tokens.weight, model.norm.weight, network.lm_head.weight
        self.layers = [
            (
                layer.input_layernorm.weight,
                torch.cat(
                    [layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight, layer.self_attn.v_proj.weight]
                ),
                layer.self_attn.o_proj.weight,
                layer.post_attention_layernorm.weight,
                torch.cat([layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight]),
                layer.mlp.down_proj.weight,
            )
            for layer in model.layers
        ]
        every = torch.arange(config.max_position_embeddings, device=network.device)[None]
        cos, sin = model.rotary_emb(self.norm, every)  # (1, L, width of a head)
        half = cos.shape[-1] // 2
        self.cos, self.sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], -1)

    @staticmethod
    def supports(network: PreTrainedModel) -> bool:
        """Whether this is the architecture that is written out here."""
        return (
            isinstance(network, LlamaForCausalLM)
            and network.config.rope_parameters["rope_type"] == "default"
            and network.config.hidden_act == "silu"
            and not (network.config.attention_bias or network.config.mlp_bias)
        )

    def __call__(self, cache: Cache, tokens: Tensor, last: Tensor) -> Tensor:
        """Logits, (m, V), after the token at `last`, (m,), of each row of `tokens`, (m, K)."""
        m, k = tokens.shape
        turning = self.heads + self.shared
        cos, sin = self.cos[cache.positions][:, :, None], self.sin[cache.positions][:, :, None]  # (m, K, 1, width)
        half = cos.shape[-1] // 2
        x = F.embedding(tokens, self.embedding)  # (m, K, D)
        for index, (norm, qkv, out, norm_mlp, gate_up, down) in enumerate(self.layers):
            heads = F.linear(self._normalise(x, norm), qkv).view(m, k, turning + self.shared, -1)
            turned = heads[:, :, :turning]
            turned = torch.addcmul(turned * cos, turned.roll(half, -1), sin).transpose(1, 2)  # (m, heads, K, width)
            keys, values = cache.update(turned[:, self.heads :], heads[:, :, turning:].transpose(1, 2), index)
            seen = F.scaled_dot_product_attention(
                turned[:, : self.heads], keys, values, cache.mask, enable_gqa=self.heads != self.shared
            )
            x = x + F.linear(seen.transpose(1, 2).reshape(m, k, -1), out)
            gate, up = F.linear(self._normalise(x, norm_mlp), gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, down)
        x = x[torch.arange(m, device=x.device), last]  # (m, D)
        return F.linear(self._normalise(x, self.norm), self.head)

    def _normalise(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), weight, self.epsilon)


def make_forward(network: PreTrainedModel) -> TransformersForward | LlamaForward:
    """The fastest pass that gives what the network gives, with its weights as they are now."""
    if LlamaForward.supports(network):
        with torch.no_grad():
            return LlamaForward(network)
    return TransformersForward(network)
