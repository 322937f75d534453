"""A value function: the expected return from each position of an episode."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from textmdp.agents.models.language_model import LanguageModel


class ValueFunction(nn.Module):
    """A head of two layers on the last hidden state of a language model; 0 everywhere before training.

    Args:
        model: the policy.
        trunk: the hidden states to read: those of the policy, "shared" (the value loss trains the policy's network too)
            or "detached" (it doesn't); or those of a network of its "own", a copy of the policy's as it is now.
        seed: of the initial weights.
    """

    def __init__(self, model: LanguageModel, trunk: str = "detached", seed: int = 0) -> None:
        super().__init__()
        width = int(model.network.config.hidden_size)
        first, last = (nn.utils.skip_init(nn.Linear, width, size) for size in (width, 1))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weights in first.parameters():  # as nn.Linear draws them, but not from the global generator
                weights.uniform_(-(width**-0.5), width**-0.5, generator=generator)
            for weights in last.parameters():
                weights.zero_()
        self.head = nn.Sequential(first, nn.Tanh(), last)
        self.trunk = trunk
        self.own = copy.deepcopy(model.network) if trunk == "own" else None
        self.to(model.device)

    @property
    def reads_policy(self) -> bool:
        """Whether it needs the policy's hidden states."""
        return self.own is None

    def forward(self, tokens: Tensor, hidden: Tensor | None) -> Tensor:
        """V of the state after each position, (B, T).

        Args:
            tokens: (B, T) int64.
            hidden: (B, T, D), the policy's last hidden states; None if it has a network of its own.
        """
        if self.own is not None:
            tokens = tokens.to(self.own.device)
            output = self.own(input_ids=tokens, use_cache=False, logits_to_keep=1, output_hidden_states=True)
            hidden = output.hidden_states[-1]
        assert hidden is not None  # see `reads_policy`
        return self.head((hidden.detach() if self.trunk == "detached" else hidden).float())[..., 0]


def values_before(after: Tensor, mask: Tensor) -> Tensor:
    """V of the state before each of the policy's tokens, (B, T), which is V after the previous position; 0 elsewhere.

    Args:
        after: (B, T), V after each position.
        mask: (B, T) bool, the policy's tokens.
    """
    shifted = torch.cat([torch.zeros_like(after[:, :1]), after[:, :-1]], 1)
    return torch.where(mask, shifted, torch.zeros_like(shifted))


def values_at_end(after: Tensor, lengths: Tensor, truncated: Tensor) -> Tensor:
    """V of the state that each episode ended in, (B,): 0 if it terminated.

    Args:
        after: (B, T), V after each position.
        lengths: (B,), the tokens of each episode.
        truncated: (B,) bool.
    """
    last = after.gather(1, (lengths - 1)[:, None])[:, 0]
    return torch.where(truncated, last, torch.zeros_like(last))
