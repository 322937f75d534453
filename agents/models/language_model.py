"""A causal language model as a policy: a network of the transformers library and the tokenizer of an environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from os import PathLike
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from textmdp.agents.models.attention import attention_mask, attention_window
from textmdp.agents.models.loading import load_network
from textmdp.agents.models.packing import pack_sequences
from textmdp.agents.models.precision import TOLERANCES, precision
from textmdp.envs.core.episode import POLICY
from textmdp.envs.tokenizers import Tokenizer

#: The logit of forbidden tokens: their probability is exactly 0, and 0 · log 0 stays finite.
NEVER = -1e9


class TokenStatistics(NamedTuple):
    """Statistics of the policy's N tokens in a batch, from one teacher-forced pass; (B, T) tensors are 0 elsewhere."""

    mask: Tensor
    """(B, T) bool, the policy's tokens."""
    log_probs: Tensor
    """(B, T) log-probability of each token given its past."""
    full_log_probs: Tensor
    """(N, V) log-probabilities of the whole vocabulary at each of the policy's tokens, in row-major order."""
    hidden: Tensor | None
    """(B, T, D) last hidden state after each position, if requested."""

    @property
    def entropy(self) -> Tensor:
        """(B, T) entropy of the distribution that each token was sampled from, in nats."""
        return self.scatter(-(self.full_log_probs.exp() * self.full_log_probs).sum(-1))

    def scatter(self, values: Tensor) -> Tensor:
        """Values of the N tokens, (N,) float32, at their places in the batch, (B, T)."""
        return torch.zeros_like(self.log_probs).masked_scatter(self.mask, values)


class LanguageModel:
    """A policy over tokens: π(a | s) = softmax(logits(s) / temperature) over the tokens that a policy may write.

    Forbidden tokens, which are the unusable ones of the tokenizer (padding, unknown, other specials) and ids beyond its
    vocabulary, have probability 0 in sampling and in training: both use `distribution`.

    Args:
        network: any causal language model of transformers. It stays in evaluation mode, since dropout would make the
            trained policy differ from the one that acted.
        tokenizer: of the environment.

    Raises:
        ValueError: the network embeds fewer tokens than the tokenizer has.
    """

    def __init__(self, network: PreTrainedModel, tokenizer: Tokenizer) -> None:
        size = network.get_input_embeddings().num_embeddings
        if size < tokenizer.vocab_size:
            raise ValueError(
                f"the network embeds {size} tokens, and {tokenizer!r} has {tokenizer.vocab_size}: "
                "give the tokenizer that the network was trained with, or network.resize_token_embeddings(...)"
            )
        self.network = network.eval()
        self.tokenizer = tokenizer
        self._checkpointed: list[GradientCheckpointingLayer] = []
        self.forbidden_tokens = torch.zeros(size, dtype=torch.bool, device=network.device)  # (V,)
        self.forbidden_tokens[list(tokenizer.unusable_ids)] = True
        self.forbidden_tokens[tokenizer.vocab_size :] = True

    @classmethod
    def tiny(
        cls,
        tokenizer: Tokenizer,
        context_length: int,
        *,
        layers: int = 2,
        width: int = 128,
        heads: int = 4,
        seed: int = 0,
    ) -> LanguageModel:
        """A randomly initialised Llama, of 0.4 million parameters by default.

        Args:
            tokenizer: of the environment.
            context_length: the maximum number of tokens in an episode.
            layers: number of transformer blocks.
            width: of the residual stream.
            heads: attention heads; divides `width`.
            seed: of the initial weights.
        """
        config = LlamaConfig(
            vocab_size=tokenizer.vocab_size,
            hidden_size=width,
            intermediate_size=width // 6 * 16,  # 8/3 of the width, a multiple of 16
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=context_length,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_id,
            bos_token_id=None,
            eos_token_id=tokenizer.end_id,
        )
        with torch.random.fork_rng(devices=[]):  # transformers draws weights from the global generator
            network = LlamaForCausalLM(config)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weights in network.named_parameters():
                if weights.ndim == 2:  # unit variance; smaller into the residual stream, as in GPT-2
                    depth = 2 * layers if name.endswith(("o_proj.weight", "down_proj.weight")) else 1
                    weights.normal_(0.0, (weights.shape[1] * depth) ** -0.5, generator=generator)
        return cls(network, tokenizer)

    @classmethod
    def load(
        cls,
        folder: str | PathLike[str],
        tokenizer: Tokenizer,
        *,
        dtype: str = "float32",
        device: str | torch.device | None = None,
        autocast: bool | None = None,
    ) -> LanguageModel:
        """A model that `save` wrote, or any causal language model that transformers can open.

        `textmdp.agents.inference.compatibility.load_model` also checks that the network can be sampled from a cache.
        See `textmdp.agents.models.loading.load_network` for the arguments and errors.
        """
        network = load_network(folder, tokenizer, dtype=dtype, device=device, autocast=autocast)
        return cls(network, tokenizer)

    def save(self, folder: str | PathLike[str]) -> None:
        """Save network and tokenizer in a folder that the `Auto` classes of transformers open."""
        self.network.save_pretrained(folder)
        self.tokenizer.to_transformers().save_pretrained(folder)

    def state(self) -> dict[str, Tensor]:
        """The weights that training changes, for a checkpoint; they are not copied."""
        weights: dict[str, Tensor] = self.network.state_dict()
        return weights

    def restore(self, state: dict[str, Tensor]) -> None:
        """Load the weights that `state` returned."""
        self.network.load_state_dict(state)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.network.device

    @property
    def tolerance(self) -> float:
        """The largest difference between log-probabilities of sampling and training that rounding explains, in nats."""
        return TOLERANCES[precision(self.network)]

    def trainable(self) -> list[nn.Parameter]:
        """The trainable parameters: all, or those of adapters (`textmdp.agents.models.lora`)."""
        return [weights for weights in self.network.parameters() if weights.requires_grad]

    @property
    def num_parameters(self) -> int:
        """The number of parameters, tied ones counted once."""
        return sum(weights.numel() for weights in self.network.parameters())

    @property
    def context_length(self) -> int | None:
        """The maximum number of positions that the network has and every layer attends to; None for no limit."""
        config = self.network.config.get_text_config()
        limits = [getattr(config, "max_position_embeddings", None), attention_window(config)]
        return min((limit for limit in limits if limit is not None), default=None)

    def checkpoint_gradients(self) -> None:
        """Compute activations again in the backward pass instead of keeping them: less memory, a third more time.

        Raises:
            ValueError: the network doesn't support it.
        """
        layers = [layer for layer in self.network.modules() if isinstance(layer, GradientCheckpointingLayer)]
        if not layers:
            raise ValueError(f"{type(self.network).__name__} has no layers for gradient checkpointing: leave it out")
        for layer in layers:  # transformers' own switch also hooks into the embeddings, for frozen networks of old
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
        self._checkpointed = layers

    @contextmanager
    def _checkpointing(self) -> Iterator[None]:
        """A context in which layers checkpoint, which they do in training mode: without it, they would drop caches."""
        layers = self._checkpointed if torch.is_grad_enabled() else []
        for layer in layers:
            layer.training = layer.gradient_checkpointing = True  # of the layer alone: its dropout stays off
        try:
            yield
        finally:
            for layer in layers:
                layer.training = layer.gradient_checkpointing = False

    def distribution(self, logits: Tensor, temperature: float = 1.0, allowed: Tensor | None = None) -> Tensor:
        """Log-probabilities of all tokens, (…, V) float32.

        Args:
            logits: (…, V), of the network.
            temperature: divides the logits.
            allowed: (…, V') bool, the tokenizer's V' tokens that a grammar allows; None for all.
        """
        forbidden = self.forbidden_tokens
        if allowed is not None:
            forbidden = forbidden | F.pad(~allowed, (0, len(forbidden) - allowed.shape[-1]), value=True)
        return (logits.float() / temperature).masked_fill(forbidden, NEVER).log_softmax(-1)

    def log_probs(
        self,
        tokens: Tensor,
        roles: Tensor,
        temperature: float = 1.0,
        allowed: Tensor | None = None,
        hidden: bool = False,
        packed: bool = True,
    ) -> TokenStatistics:
        """Log-probabilities and entropies of the policy's tokens, from one pass over whole episodes.

        Episodes are left-aligned, so the causal mask keeps every token from attending to padding. Prompts that several
        episodes share are read once if that is faster (`textmdp.agents.models.packing`).

        The arguments may stay on the CPU whatever the device of the network is: indices are computed where `tokens` and
        `roles` are, so that a GPU never has to wait for them. The result is on the device of the network.

        Args:
            tokens: (B, T) int64.
            roles: (B, T): 0 padding, 1 environment, 2 policy.
            temperature: of sampling.
            allowed: (B, T, V') bool, the tokens that a grammar allowed at each position; None for all.
            hidden: whether to return the last hidden states.
            packed: whether episodes may share a packed prompt.
        """
        rows, before = (roles[:, 1:] == POLICY).nonzero(as_tuple=True)  # (N,); logits at position t predict t + 1
        columns = before + 1
        logits, last_hidden = self._forward(tokens, roles, rows, before, hidden, packed)
        legal = None if allowed is None else allowed[rows, columns].to(self.device)  # (N, V')
        full_log_probs = self.distribution(logits, temperature, legal)  # (N, V)
        chosen = full_log_probs.gather(1, tokens[rows, columns].to(self.device)[:, None])[:, 0]  # (N,)
        mask = (roles == POLICY).to(self.device)
        log_probs = torch.zeros(mask.shape, device=self.device).masked_scatter(mask, chosen)
        return TokenStatistics(mask, log_probs, full_log_probs, last_hidden)

    def _forward(
        self, tokens: Tensor, roles: Tensor, rows: Tensor, columns: Tensor, hidden: bool, packed: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Logits at N positions, (N, V), and the last hidden states, (B, T, D), if requested."""
        config = self.network.config.get_text_config()
        takes_masks = config._attn_implementation in ("sdpa", "eager")
        packing = pack_sequences(tokens, roles, config.hidden_size) if packed and takes_masks else None
        if packing is not None:
            index = packing.token_index.to(rows.device)[rows, columns]  # (N,)
            rows, columns = index // packing.tokens.shape[1], index % packing.tokens.shape[1]
        start, stop = (int(columns.min()), int(columns.max()) + 1) if len(columns) else (0, 1)
        if packing is not None:
            inputs = {
                "input_ids": packing.tokens.to(self.device),
                "position_ids": packing.positions.to(self.device),
                "attention_mask": attention_mask(self.network, packing.mask.to(self.device)),
            }
        else:
            inputs = {"input_ids": (tokens if hidden else tokens[:, :stop]).to(self.device)}
        with self._checkpointing():
            output = self.network(
                **inputs,
                use_cache=False,
                logits_to_keep=torch.arange(start, stop, device=self.device),
                output_hidden_states=hidden,
            )
        last_hidden = output.hidden_states[-1] if hidden else None
        if last_hidden is not None and packing is not None:
            last_hidden = last_hidden.flatten(0, 1)[packing.token_index.to(self.device)]
        return output.logits[rows.to(self.device), (columns - start).to(self.device)], last_hidden
