"""A key-value cache for the rows of a rollout: each pass reads the tokens that it has not read before."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from textmdp.agents.inference.kv_cache import Cache, CacheView
from textmdp.agents.models.attention import attention_mask


class RowCache:
    """The logits and the hidden states after n texts that mostly continue those of the last call.

    Row i is compared with what it was: where its text changed, as after a reset, it is read from there on. If the
    weights changed, everything is.

    Args:
        network: any causal language model of transformers.
        rows: the number of texts (n).
        length: the most tokens of a text (T).
    """

    def __init__(self, network: PreTrainedModel, rows: int, length: int) -> None:
        self._network = network
        self._cache = Cache(rows, length, network.device)
        self._tokens = np.zeros((rows, length), np.int64)
        self._lengths = np.zeros(rows, np.int64)  # the tokens of each row that the cache holds
        self._weights = -1

    @torch.no_grad()
    def read(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """The logits of the next token, (n, V), and the last hidden states, (n, D).

        Args:
            tokens: (n, T), token ids.
            lengths: (n,), the tokens of each row, at least 1.
        """
        weights = sum(weights._version for weights in self._network.parameters())
        if weights != self._weights:
            self._weights, self._lengths[:] = weights, 0
        same = self._tokens == tokens
        common = np.where(same.all(1), same.shape[1], same.argmin(1))
        last = lengths - 1
        held = np.minimum(np.minimum(self._lengths, common), last)
        behind = np.flatnonzero(held < last)
        if len(behind):
            # Rows with fewer new tokens than others continue into padding, which is overwritten before it counts.
            positions = held[behind][:, None] + np.arange((last - held)[behind].max())
            positions = np.minimum(positions, tokens.shape[1] - 1)
            self._pass(CacheView(self._cache, behind, positions), tokens[behind[:, None], positions])
        self._tokens, self._lengths = tokens.copy(), lengths.copy()
        rows = np.arange(len(tokens))
        return self._pass(CacheView(self._cache, slice(len(tokens)), last[:, None]), tokens[rows, last][:, None])

    def _pass(self, view: CacheView, tokens: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        output = self._network(
            input_ids=torch.from_numpy(tokens).to(self._cache.device),
            attention_mask=attention_mask(self._network, view.mask),
            position_ids=view.positions,
            past_key_values=view,
            use_cache=True,
            logits_to_keep=1,
            output_hidden_states=True,
        )
        return output.logits[:, -1], output.hidden_states[-1][:, -1]
