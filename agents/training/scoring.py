"""Statistics of a batch under the networks as they are before an update."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textmdp.agents.algorithms.advantages import Floats
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.models.packing import UniqueRows
from textmdp.agents.models.value_function import ValueFunction, values_at_end, values_before
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.agents.training.reference import Reference
from textmdp.envs.core.episode import PADDING, POLICY


class BatchScores(NamedTuple):
    """Statistics of B episodes of T positions; None if they were not needed."""

    log_probs: Floats | None = None
    """(B, T) log-probabilities of the policy's tokens, 0 elsewhere."""
    reference_log_probs: Floats | None = None
    """(B, T) log-probabilities under the reference policy."""
    values: Floats | None = None
    """(B, T) V of the state before each of the policy's tokens, 0 elsewhere."""
    last_values: Floats | None = None
    """(B,) V of the state after the episode, 0 if it terminated."""


@torch.no_grad()
def score_batch(
    batch: Trajectories,
    unique: UniqueRows,
    model: LanguageModel,
    value: ValueFunction | None,
    reference: Reference | None,
    *,
    log_probs: bool,
    temperature: float,
    micro_batch: int,
) -> BatchScores:
    """Read each distinct episode once, and bring the statistics back to the CPU.

    Args:
        batch: B episodes.
        unique: its distinct episodes.
        model: the policy.
        value: the value function, if there is one.
        reference: the reference policy, if there is one.
        log_probs: whether to recompute the log-probabilities of the policy.
        temperature: of sampling.
        micro_batch: episodes of a forward pass; 0 for all at once.
    """
    if not log_probs and value is None and reference is None:
        return BatchScores()
    needs_hidden = value is not None and value.reads_policy
    size = micro_batch or len(unique.first)
    parts: dict[str, list[Tensor]] = {}
    for start in range(0, len(unique.first), size):
        rows = unique.first[start : start + size]
        tokens, roles, truncated = (_tensor(array, rows) for array in (batch.tokens, batch.roles, batch.truncated))
        allowed = None if batch.allowed is None else _tensor(batch.allowed, rows)
        scores: dict[str, Tensor] = {}
        hidden = None
        if log_probs or needs_hidden:
            policy = model.log_probs(tokens, roles, temperature, allowed, needs_hidden)
            scores["log_probs"], hidden = policy.log_probs, policy.hidden
        if value is not None:
            after = value(tokens, hidden)  # (b, T)
            lengths = (roles != PADDING).sum(1).to(after.device)
            scores["values"] = values_before(after, (roles == POLICY).to(after.device))
            scores["last_values"] = values_at_end(after, lengths, truncated.to(after.device))
        if reference is not None:
            scores["reference_log_probs"] = reference.log_probs(tokens, roles, temperature, allowed).log_probs
        for name, tensor in scores.items():
            parts.setdefault(name, []).append(tensor)
    distinct = {name: torch.cat(tensors).cpu().double().numpy() for name, tensors in parts.items()}
    return BatchScores(**{name: array[unique.inverse] for name, array in distinct.items()})


def _tensor(array: NDArray[np.generic], rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(array[rows])
