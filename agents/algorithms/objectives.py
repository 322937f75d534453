"""The table of algorithms: each row states what distinguishes it from plain REINFORCE.

Every row minimises `L = -Σ_i Σ_t w_it f(ρ_it, A_it)`: advantages A from `Objective.advantages` and
`Objective.normalize`, a surrogate f of the probability ratio ρ, clipped or not, and weights w from `token_weights`. On
fresh episodes ρ is 1, and the gradient is that of `-Σ w A log π`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.algorithms.advantages import (
    EPSILON,
    Floats,
    Mask,
    discounted_returns,
    generalized_advantages,
    rewards_to_go,
    whiten,
)
from textmdp.agents.algorithms.baselines import (
    Groups,
    batch_mean,
    group_mean,
    group_std,
    leave_one_out,
    turn_leave_one_out,
)


@dataclass(frozen=True)
class AdvantageInputs:
    """Everything that advantages are computed from, for B episodes of T positions.

    Attributes:
        rewards: (B, T), on the tokens that earned them.
        mask: (B, T) bool, the policy's tokens.
        time: (B, T), from `advantages.time_steps`.
        groups: (B,), equal numbers for the episodes of a group.
        running_mean: of the returns of earlier batches; 0 before the first.
        turns: (B, T), the turn of each of the policy's tokens; baseline "turn" only.
        greedy_returns: (B,), discounted returns of the greedy policy on the same problems; baseline "greedy" only.
        values: (B, T), V of the state before each token; baseline "value" only.
        last_values: (B,), V of the state after each episode, 0 if it terminated; baseline "value" only.
    """

    rewards: Floats
    mask: Mask
    time: Floats
    groups: Groups
    running_mean: float = 0.0
    turns: NDArray[np.integer[Any]] | None = None
    greedy_returns: Floats | None = None
    values: Floats | None = None
    last_values: Floats | None = None


def _greedy(returns: Floats, inputs: AdvantageInputs) -> Floats:
    """ReMax (Li et al. 2023, arXiv 2310.10505): unbiased, since the greedy episode is independent of this one."""
    if inputs.greedy_returns is None:
        raise ValueError("the baseline 'greedy' needs the returns of greedy episodes: pass greedy_returns")
    return inputs.greedy_returns


#: Baselines by name: functions of the discounted returns, (B,), that return the number to subtract for each episode.
#: The value function and "turn" are baselines for each token instead: see `Objective.advantages`.
BASELINES: dict[str, Callable[[Floats, AdvantageInputs], Floats]] = {
    "none": lambda returns, inputs: np.zeros_like(returns),
    "running": lambda returns, inputs: np.full_like(returns, inputs.running_mean),
    "batch": lambda returns, inputs: batch_mean(returns),
    "group": lambda returns, inputs: group_mean(returns, inputs.groups),
    "leave-one-out": lambda returns, inputs: leave_one_out(returns, inputs.groups),
    "greedy": _greedy,
}


@dataclass(frozen=True)
class Objective:
    """One algorithm.

    Attributes:
        summary: one line.
        baseline: a name from `BASELINES`; "turn" for `turn_leave_one_out`; "value" for a learnt value function with
            generalized advantages.
        scale_by_std: whether advantages are divided by the standard deviation of their group's returns.
        whitened: whether advantages are whitened over the batch.
        clipped: whether the probability ratio is clipped (PPO).
        aggregation: a name from `AGGREGATIONS`.
        epochs: passes over a batch; `Config.epochs` overrides it.
        minibatches: gradient steps of a pass; `Config.minibatches` overrides it.
    """

    summary: str
    baseline: str
    scale_by_std: bool = False
    whitened: bool = False
    clipped: bool = False
    aggregation: str = "constant"
    epochs: int = 1
    minibatches: int = 1

    @property
    def grouped(self) -> bool:
        """Whether its baseline compares the episodes of a group."""
        return self.baseline in ("group", "leave-one-out", "turn")

    @property
    def has_value(self) -> bool:
        """Whether it learns a value function."""
        return self.baseline == "value"

    def advantages(self, inputs: AdvantageInputs, gamma: float, gae_lambda: float = 1.0) -> Floats:
        """The advantage of each token before `normalize`, (B, T); 0 outside the mask.

        With a value function, advantages plus values are the TD(λ) returns that it is fitted to.

        Args:
            inputs: of the batch.
            gamma: γ in [0, 1].
            gae_lambda: λ in [0, 1]; used with a value function only.

        Raises:
            ValueError: the baseline needs inputs that are None, or groups of two or more.
        """
        mask, time = inputs.mask, inputs.time
        if self.has_value:
            if inputs.values is None or inputs.last_values is None:
                raise ValueError("the baseline 'value' needs a value function: pass values and last_values")
            return generalized_advantages(
                inputs.rewards, inputs.values, inputs.last_values, mask, gamma, gae_lambda, time
            )
        to_go = rewards_to_go(inputs.rewards, mask, gamma, time)
        returns = discounted_returns(to_go, mask)  # (B,)
        if self.baseline == "turn":
            if inputs.turns is None:
                raise ValueError("the baseline 'turn' needs the turn of each token: pass turns")
            baseline = turn_leave_one_out(to_go, mask, inputs.turns, inputs.groups)  # (B, T)
        else:
            baseline = BASELINES[self.baseline](returns, inputs)[:, None]  # (B, 1)
        advantages = np.where(mask, to_go - baseline, 0.0)
        if self.scale_by_std:
            std = group_std(returns, inputs.groups)[:, None]
            # Equal returns are no signal. Rewards to go may differ even so, and would be divided by next to nothing.
            advantages = np.where(std > EPSILON, advantages / (std + EPSILON), 0.0)
        return advantages

    def normalize(self, advantages: Floats, mask: Mask) -> Floats:
        """Advantages as the loss takes them, (B, T): whitened over the batch if the row says so."""
        return whiten(advantages, mask) if self.whitened else advantages


#: The algorithms by name, as `textmdp algorithms` prints them.
OBJECTIVES: dict[str, Objective] = {
    "reinforce": Objective("rewards to go, no baseline (Williams 1992)", baseline="none"),
    "reinforce-running": Objective("minus a running mean of earlier returns", baseline="running"),
    "reinforce-group": Objective("minus the mean return of the group", baseline="group"),
    "rloo": Objective(
        "minus the mean return of the others in the group (arXiv 2402.14740)",
        baseline="leave-one-out",
    ),
    "rloo-turn": Objective("minus the mean reward to go of the others in the group, turn by turn", baseline="turn"),
    "remax": Objective("minus the return of a greedy episode (arXiv 2310.10505)", baseline="greedy"),
    "grpo": Objective(
        "group mean and standard deviation, clipped, mean over the tokens of each episode (arXiv 2402.03300)",
        baseline="group",
        scale_by_std=True,
        clipped=True,
        aggregation="sequence-mean",
        epochs=2,
    ),
    "dr-grpo": Objective(
        "GRPO without its two biases: no division by the standard deviation or the length (arXiv 2503.20783)",
        baseline="group",
        clipped=True,
        epochs=2,
    ),
    "actor-critic": Objective("minus a value function, for each token (GAE, arXiv 1506.02438)", baseline="value"),
    "ppo": Objective(
        "actor-critic, clipped, several epochs (arXiv 1707.06347)",
        baseline="value",
        whitened=True,
        clipped=True,
        aggregation="token-mean",
        epochs=2,
        minibatches=2,
    ),
    "ppo-group": Objective(
        "PPO with the leave-one-out baseline in place of the value function",
        baseline="leave-one-out",
        whitened=True,
        clipped=True,
        aggregation="token-mean",
        epochs=2,
        minibatches=2,
    ),
}

AGGREGATIONS = ("token-mean", "sequence-mean", "constant")


def token_weights(mask: Mask, aggregation: str, constant: float) -> Floats:
    """The weight of each token in the loss, (B, T), from the mask of the whole batch.

    Weights are fixed before the batch is split into micro-batches, whose losses add up, so the gradient is the same for
    any split.

    - "token-mean", `1 / Σ_i T_i`: every token has the same weight, so long episodes have more (DAPO, arXiv 2503.14476).
    - "sequence-mean", `1 / (B T_i)`: every episode has the same weight, so a token of a long one has less, and a long
      wrong answer costs less per token than a short one (GRPO, arXiv 2402.03300).
    - "constant", `1 / (B C)`: the policy gradient up to a factor (Dr. GRPO, arXiv 2503.20783).

    Args:
        mask: (B, T) bool, the policy's tokens: T_i of them in row i.
        aggregation: a name from `AGGREGATIONS`.
        constant: C, the maximum number of policy tokens in an episode.

    Raises:
        ValueError: unknown `aggregation`.
    """
    if aggregation == "token-mean":
        return mask / max(mask.sum(), 1)
    if aggregation == "sequence-mean":
        return mask / (len(mask) * np.maximum(mask.sum(1, keepdims=True), 1))
    if aggregation == "constant":
        return mask / (len(mask) * constant)
    raise ValueError(f"aggregation={aggregation!r} is none of {', '.join(map(repr, AGGREGATIONS))}")
