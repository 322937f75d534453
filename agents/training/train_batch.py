"""What an update aims at: a batch with its advantages and weights, fixed before the first gradient step on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.agents.training.packing import alike


@dataclass
class TrainBatch:
    """What an update aims at, all (B, L), fixed before its first gradient step; rows can be picked.

    Attributes:
        tokens: int64.
        roles: 0 padding, 1 environment, 2 policy.
        turns: the turn of each of the policy's tokens, -1 elsewhere.
        allowed: (B, L, V) bool, what a grammar allowed; None for all.
        advantages: of each token, or of each response at its first token.
        weights: of each action in the loss.
        shares: of each token in a mean over all tokens of the batch.
        sampled: log-probabilities when the tokens were sampled.
        reference: those of the reference, where there is one.
        values: V before each token, and `returns`, what it should have been; where there is a value function.
        returns: see `values`.
    """

    tokens: Tensor
    roles: Tensor
    turns: Tensor
    allowed: Tensor | None
    advantages: Tensor
    weights: Tensor
    shares: Tensor
    sampled: Tensor
    reference: Tensor | None
    values: Tensor | None
    returns: Tensor | None

    def merged(self) -> TrainBatch:
        """The same, with episodes that are alike in all that matters as one row that weighs as much as all of them.

        Groups say the same thing again and again, and the more so the more a policy has learnt: reading each saying
        once gives the same gradient for a half or a third of the work.
        """
        keys = [self.tokens, self.roles, self.turns, self.allowed, self.advantages, self.returns]
        first, same = alike(*(None if key is None else key.cpu().numpy() for key in keys))
        place = torch.from_numpy(same).to(self.weights.device)
        once = self[torch.from_numpy(first).to(self.weights.device)]
        for name in ("weights", "shares"):
            setattr(once, name, torch.zeros_like(getattr(once, name)).index_add_(0, place, getattr(self, name)))
        return once

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: Tensor) -> TrainBatch:
        picked: dict[str, Any] = {name: None if array is None else array[rows] for name, array in vars(self).items()}
        return TrainBatch(**picked)


def check_log_probs(batch: Trajectories, recomputed: NDArray[np.floating[Any]], tolerance: float) -> None:
    """Refuse to train where the policy that is trained isn't the one that acted.

    Args:
        batch: what was sampled, with its log-probabilities.
        recomputed: those of the training pass, (B, L).
        tolerance: how far the two may lie apart (`LanguageModel.tolerance`).
    """
    if batch.log_probs is None:
        raise ValueError("the agent didn't tell the log-probabilities of its tokens")
    gap = np.abs(batch.log_probs - recomputed)[batch.mask].max(initial=0.0)
    if not gap <= tolerance:
        raise AssertionError(
            f"log-probabilities of sampling and of training differ by {gap:.2g}, more than {tolerance}: the policy "
            "that is trained is not the one that acted (temperature, masks, dropout, dtype or sliding windows differ)"
        )
