"""The tensors that the gradient steps of an update read: fixed before the first step, and equal episodes merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textmdp.agents.models.packing import UniqueRows
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.envs.core.episode import PADDING


@dataclass
class TrainBatch:
    """B episodes of T positions with advantages and loss weights, on the CPU until `to` moves a micro-batch.

    Attributes:
        tokens: (B, T) int64.
        roles: (B, T) int8: 0 padding, 1 environment, 2 policy.
        turns: (B, T) int32, the turn of each of the policy's tokens, -1 elsewhere.
        allowed: (B, T, V) bool, the tokens that a grammar allowed; None for all.
        advantages: (B, T), of each token, or of each response at its first token.
        weights: (B, T), of each token in the loss, from `objectives.token_weights`.
        token_mean_weights: (B, T), of each token in a mean over all of the policy's tokens in the batch.
        old_log_probs: (B, T), log-probabilities at the time of sampling.
        reference_log_probs: (B, T), of the reference policy, if there is one.
        old_values: (B, T), V of the state before each token, before the update; None without a value function.
        value_targets: (B, T), the returns that the value function is fitted to; None without one.
    """

    tokens: Tensor
    roles: Tensor
    turns: Tensor
    allowed: Tensor | None
    advantages: Tensor
    weights: Tensor
    token_mean_weights: Tensor
    old_log_probs: Tensor
    reference_log_probs: Tensor | None = None
    old_values: Tensor | None = None
    value_targets: Tensor | None = None

    @classmethod
    def from_numpy(cls, **arrays: NDArray[Any] | None) -> TrainBatch:
        """A batch from arrays named as the attributes; floating-point ones become float32."""
        tensors = {name: None if array is None else torch.from_numpy(array) for name, array in arrays.items()}
        fields: dict[str, Any] = {
            name: tensor.float() if tensor is not None and tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        }
        return cls(**fields)

    def deduplicate(self, unique: UniqueRows) -> TrainBatch:
        """The distinct episodes, each with the summed loss weight of all that equal it.

        The gradient is the same. Groups repeat themselves the more the more a policy has learnt, so this saves a half
        to two thirds of the work of an update.

        Args:
            unique: the distinct episodes of this batch; equal ones must have equal advantages and targets.
        """
        batch = self[torch.from_numpy(unique.first)]
        inverse = torch.from_numpy(unique.inverse)
        for name in ("weights", "token_mean_weights"):
            setattr(batch, name, torch.zeros_like(getattr(batch, name)).index_add_(0, inverse, getattr(self, name)))
        return batch

    def micro_batches(self, size: int) -> Iterator[TrainBatch]:
        """Parts of at most `size` episodes, or all at once for 0; sorted by length, which leaves less padding."""
        order = (self.roles != PADDING).sum(1).argsort(stable=True)
        step = size or max(len(self), 1)
        return (self[order[start : start + step]] for start in range(0, len(self), step))

    def to(self, device: torch.device) -> TrainBatch:
        """The batch on a device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def __getitem__(self, rows: Tensor) -> TrainBatch:
        return self._map(lambda tensor: tensor[rows])

    def __len__(self) -> int:
        return len(self.tokens)

    def _map(self, function: Callable[[Tensor], Tensor]) -> TrainBatch:
        fields: dict[str, Any] = {
            name: None if tensor is None else function(tensor) for name, tensor in vars(self).items()
        }
        return TrainBatch(**fields)


def check_log_probs(batch: Trajectories, recomputed: NDArray[np.floating[Any]], tolerance: float) -> None:
    """Raise if the log-probabilities of sampling are not those of the policy that is trained.

    Args:
        batch: sampled episodes with their log-probabilities.
        recomputed: (B, T), those of the training pass.
        tolerance: the largest difference that rounding explains (`LanguageModel.tolerance`).

    Raises:
        ValueError: the batch has no log-probabilities.
        AssertionError: they differ by more than the tolerance.
    """
    if batch.log_probs is None:
        raise ValueError(NO_LOG_PROBS)
    gap = np.abs(batch.log_probs - recomputed)[batch.mask].max(initial=0.0)
    if not gap <= tolerance:
        raise AssertionError(
            f"log-probabilities of sampling and of training differ by {gap:.2g}, more than {tolerance}: the policy "
            "that is trained is not the one that acted (temperature, masks, dropout, dtype or sliding windows differ)"
        )


NO_LOG_PROBS = (
    "the batch has no log-probabilities, which training compares with its own: let the agent set `log_probs` in `act`"
)
