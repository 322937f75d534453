"""Attention masks and windows of networks of transformers."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel


def attention_mask(network: PreTrainedModel, mask: Tensor) -> Tensor:
    """The mask that a network of transformers takes, (m, 1, K, S).

    Args:
        network: with attention implementation "sdpa" or "eager", the latter of which adds its mask to the scores.
        mask: (m, 1, K, S) bool, the S positions that each of K tokens attends to.
    """
    if network.config.get_text_config()._attn_implementation != "eager":
        return mask
    least = torch.finfo(network.dtype).min
    return torch.zeros(mask.shape, dtype=network.dtype, device=mask.device).masked_fill(~mask, least)


def attention_window(config: PretrainedConfig) -> int | None:
    """The most positions that every layer attends to, the token's own included; None for no limit.

    Decoding lets every layer attend to all positions, so episodes must fit into one window or chunk.
    """
    kinds = getattr(config, "layer_types", None) or getattr(config, "attention_layers", None)
    names = {"sliding_attention": "sliding_window", "chunked_attention": "attention_chunk_size", "local": "window_size"}
    if kinds is None and getattr(config, "use_sliding_window", True):  # Mistral and others name no types
        kinds = names
    windows = [getattr(config, name, None) for kind, name in names.items() if kind in (kinds or ())]
    return min((window for window in windows if window is not None), default=None)
