"""Passes of a causal language model through a key-value cache, and the fastest one for a network."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from textmdp.agents.inference.compiled import CompiledLlamaForward
from textmdp.agents.inference.kv_cache import CacheView
from textmdp.agents.inference.llama import LlamaForward
from textmdp.agents.models.attention import attention_mask


class Forward(Protocol):
    """Passes of a network with its weights as they were when this was made; m rows, K new tokens each, V tokens.

    Attributes:
        supports_arbitrary_slots: `predict` is as fast for rows of any slots as for the first m of them.
    """

    supports_arbitrary_slots: bool

    def read(self, view: CacheView, tokens: Tensor) -> None:
        """Add tokens, (m, K), to the cache."""

    def predict(self, view: CacheView, tokens: Tensor) -> Tensor:
        """Add one token of each row, (m, 1), to the cache; returns the logits of the next token, (m, V)."""


def make_forward(network: PreTrainedModel, length: int) -> Forward:
    """The fastest pass that is equal to the network but for rounding, with its weights as they are now.

    Args:
        network: any causal language model.
        length: the most positions of a row.
    """
    if LlamaForward.supports(network):
        kind = CompiledLlamaForward if CompiledLlamaForward.available(network) else LlamaForward
        with torch.no_grad():
            return kind(network, length)
    return TransformersForward(network)


class TransformersForward:
    """Passes of any causal language model of transformers."""

    supports_arbitrary_slots = False

    def __init__(self, network: PreTrainedModel) -> None:
        self.network = network

    def read(self, view: CacheView, tokens: Tensor) -> None:
        """See `Forward`."""
        self.predict(view, tokens)

    def predict(self, view: CacheView, tokens: Tensor) -> Tensor:
        """See `Forward`."""
        return self.network(
            input_ids=tokens,
            attention_mask=attention_mask(self.network, view.mask),
            position_ids=view.positions,
            past_key_values=view,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
