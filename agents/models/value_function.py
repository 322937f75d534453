"""A value function: what the policy will still earn, from each position of an episode."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from textmdp.agents.models.language_model import LanguageModel


class ValueFunction(nn.Module):
    """Two layers on the last hidden state of a language model. Zero everywhere before it is trained.

    Args:
        model: the policy.
        trunk: whose hidden state it reads: the policy's, "shared" (its loss trains the policy's network too) or
            "detached" (it doesn't); or that of a network of its "own", a copy of the policy's as it is now.
        seed: of the initial weights.
    """

    def __init__(self, model: LanguageModel, trunk: str = "detached", seed: int = 0) -> None:
        super().__init__()
        width = int(model.network.config.hidden_size)
        with torch.random.fork_rng(devices=[]):  # layers draw their weights from the global generator
            torch.manual_seed(seed)
            last = nn.Linear(width, 1)
            self.head = nn.Sequential(nn.Linear(width, width), nn.Tanh(), last)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.trunk = trunk
        self.own = copy.deepcopy(model.network) if trunk == "own" else None
        self.to(model.device)

    @property
    def reads_policy(self) -> bool:
        """Whether it needs the policy's hidden states."""
        return self.own is None

    def forward(self, tokens: Tensor, hidden: Tensor | None) -> Tensor:
        """V of the state after each position, (B, L).

        Args:
            tokens: (B, L) int64.
            hidden: (B, L, D), the policy's last hidden states; None where it has a network of its own.
        """
        if self.own is not None:
            output = self.own(input_ids=tokens, use_cache=False, logits_to_keep=1, output_hidden_states=True)
            hidden = output.hidden_states[-1]
        assert hidden is not None  # `reads_policy` tells
        return self.head((hidden.detach() if self.trunk == "detached" else hidden).float())[..., 0]


def values_before(after: Tensor, mask: Tensor) -> Tensor:
    """V of the state before each of the policy's tokens, (B, L): that after the position before it; 0 elsewhere.

    Args:
        after: (B, L), V after each position.
        mask: (B, L) bool, the policy's tokens.
    """
    shifted = torch.cat([torch.zeros_like(after[:, :1]), after[:, :-1]], 1)
    return torch.where(mask, shifted, torch.zeros_like(shifted))


def values_at_end(after: Tensor, lengths: Tensor, truncated: Tensor) -> Tensor:
    """V of the state that each episode was left in, (B,): 0 where it terminated, since nothing follows.

    Args:
        after: (B, L), V after each position.
        lengths: (B,), the tokens of each row.
        truncated: (B,) bool.
    """
    last = after.gather(1, (lengths - 1)[:, None])[:, 0]
    return torch.where(truncated, last, torch.zeros_like(last))
