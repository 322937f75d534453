"""The algorithms as a table: what each row changes is all that it changes.

Every row trains on `L = -Σ_i Σ_t w_it A_it log π(a_it | s_it)`, with an advantage A and weights w by an aggregation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.advantages import (
    Floats,
    Mask,
    batch_mean,
    discounted_returns,
    group_mean,
    leave_one_out,
    rewards_to_go,
)

Groups = NDArray[np.int64]

#: What is subtracted from the rewards to go of each episode: from returns, (B,), and groups, (B,), to (B,).
BASELINES: dict[str, Callable[[Floats, Groups], Floats]] = {
    "none": lambda returns, groups: np.zeros_like(returns),
    "batch": lambda returns, groups: batch_mean(returns),
    "group": group_mean,
    "leave-one-out": leave_one_out,
}


@dataclass(frozen=True)
class Objective:
    """One algorithm.

    Attributes:
        summary: what it is, in a line.
        baseline: a name out of `BASELINES`.
        aggregation: a name out of `AGGREGATIONS`.
        grouped: whether it needs several episodes of a problem.
    """

    summary: str
    baseline: str
    aggregation: str = "constant"
    grouped: bool = False

    def advantages(self, rewards: Floats, mask: Mask, groups: Groups, discount: float) -> Floats:
        """Rewards to go less the baseline, (B, L); 0 outside the mask.

        Args:
            rewards: (B, L), on the tokens that earned them.
            mask: (B, L) bool, the policy's tokens.
            groups: (B,) the number of the problem.
            discount: γ.
        """
        to_go = rewards_to_go(rewards, mask, discount)
        baseline = BASELINES[self.baseline](discounted_returns(to_go, mask), groups)  # (B,)
        return np.where(mask, to_go - baseline[:, None], 0.0)


#: The algorithms. The command line prints this table.
OBJECTIVES: dict[str, Objective] = {
    "reinforce": Objective("rewards to go, no baseline (Williams 1992)", baseline="none"),
    "reinforce-group": Objective(
        "less the mean of the episodes of the same problem (Dr. GRPO without clipping)", baseline="group", grouped=True
    ),
}

AGGREGATIONS = ("token-mean", "sequence-mean", "constant")


def token_weights(mask: Mask, aggregation: str, constant: float) -> Floats:
    """The weight of each token in the loss, (B, L), from the mask of the whole batch.

    They are fixed before the batch is cut into micro-batches, whose losses add up: the gradient is the same however
    it is cut.

    - "token-mean", `1 / Σ_i T_i`: every token counts alike, so long responses count more (DAPO, arXiv 2503.14476).
    - "sequence-mean", `1 / (B T_i)`: every response counts alike, so a token of a long one counts less, and a long
      wrong answer costs less than a short one (GRPO, arXiv 2402.03300).
    - "constant", `1 / (B C)`: the policy gradient itself, up to a factor (Dr. GRPO, arXiv 2503.20783).

    Args:
        mask: (B, L) bool, the policy's tokens: T_i of them in row i.
        aggregation: a name out of `AGGREGATIONS`.
        constant: C, the most tokens that the policy can write in an episode.
    """
    if aggregation == "token-mean":
        return mask / max(mask.sum(), 1)
    if aggregation == "sequence-mean":
        return mask / (len(mask) * np.maximum(mask.sum(1, keepdims=True), 1))
    if aggregation == "constant":
        return mask / (len(mask) * constant)
    raise ValueError(f"aggregation={aggregation!r} is none of {', '.join(map(repr, AGGREGATIONS))}")
