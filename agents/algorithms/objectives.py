"""The algorithms as a table: what each row changes is all that it changes.

Every row trains on `L = -Σ_i Σ_t w_it f(ρ_it, A_it)`: an advantage A out of `Objective.advantages` and `scaled`, a
surrogate f of the probability ratio ρ, clipped or not, and weights w by an aggregation. On fresh episodes ρ is 1, and
the gradient is that of `-Σ w A log π`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.algorithms.advantages import (
    EPSILON,
    Floats,
    Mask,
    batch_mean,
    discounted_returns,
    generalized_advantages,
    group_mean,
    group_std,
    leave_one_out,
    rewards_to_go,
    whiten,
)

Groups = NDArray[np.int64]


@dataclass(frozen=True)
class AdvantageInputs:
    """What advantages are made of: B episodes of L positions.

    Attributes:
        rewards: (B, L), on the tokens that earned them.
        mask: (B, L) bool, the policy's tokens.
        time: (B, L), of `advantages.time_steps`.
        groups: (B,) the number of the problem.
        running: the running mean of earlier batches' returns; 0 before the first.
        greedy: (B,) what the greedy policy earned on the same problems, for the baseline "greedy".
        values: (B, L) V before each token, for the baseline "value"; with `last_values`, (B,), V after the episode,
            0 where it terminated.
        last_values: see `values`.
    """

    rewards: Floats
    mask: Mask
    time: Floats
    groups: Groups
    running: float = 0.0
    greedy: Floats | None = None
    values: Floats | None = None
    last_values: Floats | None = None


def _greedy(returns: Floats, played: AdvantageInputs) -> Floats:
    """ReMax (Li et al. 2023, arXiv 2310.10505): without bias, since the greedy episode knows nothing of this one."""
    if played.greedy is None:
        raise ValueError("the baseline 'greedy' needs the returns of greedy episodes")
    return played.greedy


#: What is subtracted from the rewards to go of each episode, (B,), from its discounted return, (B,), and all else.
#: The value function is a baseline too, but one for each token: see `Objective.advantages`.
BASELINES: dict[str, Callable[[Floats, AdvantageInputs], Floats]] = {
    "none": lambda returns, played: np.zeros_like(returns),
    "running": lambda returns, played: np.full_like(returns, played.running),
    "batch": lambda returns, played: batch_mean(returns),
    "group": lambda returns, played: group_mean(returns, played.groups),
    "leave-one-out": lambda returns, played: leave_one_out(returns, played.groups),
    "greedy": _greedy,
}


@dataclass(frozen=True)
class Objective:
    """One algorithm.

    Attributes:
        summary: what it is, in a line.
        measured: what it was found to be good and bad at; see `MEASURED_ON`.
        baseline: a name out of `BASELINES`, or "value" for a learnt value function and generalized advantages.
        deviation: whether advantages are divided by the standard deviation of their group's returns.
        whitened: whether advantages are whitened over the batch.
        clipped: whether the ratio is clipped (PPO).
        aggregation: a name out of `AGGREGATIONS`.
        epochs: passes over a batch, unless the configuration says otherwise.
        minibatches: gradient steps in a pass, likewise.
    """

    summary: str
    measured: str
    baseline: str
    deviation: bool = False
    whitened: bool = False
    clipped: bool = False
    aggregation: str = "constant"
    epochs: int = 1
    minibatches: int = 1

    @property
    def grouped(self) -> bool:
        """Whether it needs several episodes of a problem."""
        return self.baseline in ("group", "leave-one-out")

    @property
    def has_value(self) -> bool:
        """Whether it learns a value function."""
        return self.baseline == "value"

    def advantages(self, played: AdvantageInputs, gamma: float, gae_lambda: float = 1.0) -> Floats:
        """The advantage of each token before any whitening, (B, L); 0 outside the mask.

        Those of a value function, added to V, are the TD(λ) returns that it is fitted to.

        Args:
            played: the batch.
            gamma: γ.
            gae_lambda: λ; only the value function makes use of it.
        """
        mask, time = played.mask, played.time
        if self.has_value:
            if played.values is None or played.last_values is None:
                raise ValueError("the baseline 'value' needs the values of a value function")
            return generalized_advantages(
                played.rewards, played.values, played.last_values, mask, gamma, gae_lambda, time
            )
        to_go = rewards_to_go(played.rewards, mask, gamma, time)
        returns = discounted_returns(to_go, mask)  # (B,)
        advantages = np.where(mask, to_go - BASELINES[self.baseline](returns, played)[:, None], 0.0)
        if self.deviation:
            advantages /= group_std(returns, played.groups)[:, None] + EPSILON
        return advantages

    def scaled(self, advantages: Floats, mask: Mask) -> Floats:
        """Advantages as the loss takes them, (B, L): whitened over the batch where the row says so."""
        return whiten(advantages, mask) if self.whitened else advantages


#: What `Objective.measured` was measured on; the raw results are benchmarks/results/algorithms_TextMath-v0.csv.
MEASURED_ON = (
    "TextMath-v0 from five warm starts, 30 updates of 512 episodes; figures are the mean accuracy over training less "
    "that of reinforce, paired by seed, with its 95 % bootstrap interval"
)

#: The algorithms. The command line prints this table.
OBJECTIVES: dict[str, Objective] = {
    "reinforce": Objective(
        "rewards to go, no baseline (Williams 1992)",
        "good: no row was found to end higher; bad: slow at first, which the rows with several steps on each batch are "
        "not",
        baseline="none",
    ),
    "reinforce-running": Objective(
        "less a running mean of earlier returns",
        "good: needs no groups, and learns as reinforce does, +0.000 [-0.001, +0.003]; bad: no better than that",
        baseline="running",
    ),
    "reinforce-group": Objective(
        "less the mean of the episodes of the same problem",
        "good: as fast as reinforce; bad: no better on average, -0.001 [-0.003, +0.002], and slow at first like it",
        baseline="group",
    ),
    "rloo": Objective(
        "less the mean of the others of the group (arXiv 2402.14740)",
        "good: a little faster an update; bad: no better on average, -0.002 [-0.003, +0.002], and not to be told from "
        "reinforce-group",
        baseline="leave-one-out",
    ),
    "remax": Objective(
        "less what the greedy policy earns (arXiv 2310.10505)",
        "good: needs no groups; bad: its greedy episodes gained nothing, -0.004 [-0.008, -0.001]",
        baseline="greedy",
    ),
    "grpo": Objective(
        "group mean and deviation, clipped, every response alike (arXiv 2402.03300)",
        "good: more from the same episodes, +0.017 [+0.014, +0.023], most of it early; bad: a little lower at the end",
        baseline="group",
        deviation=True,
        clipped=True,
        aggregation="sequence-mean",
        epochs=2,
    ),
    "dr-grpo": Objective(
        "GRPO without its two biases: no deviation, a constant for the length (arXiv 2503.20783)",
        "good: more from the same episodes, +0.019 [+0.017, +0.023], most of it early; bad: not to be told from grpo "
        "on average",
        baseline="group",
        clipped=True,
        epochs=2,
    ),
    "actor-critic": Objective(
        "less a value function of each token (GAE, arXiv 1506.02438)",
        "good: needs no groups, and learns as reinforce does, -0.001 [-0.005, +0.001]; bad: slower an update",
        baseline="value",
    ),
    "ppo": Objective(
        "actor-critic, clipped, several epochs (arXiv 1707.06347)",
        "good: needs no groups, and more from few episodes, +0.020 [+0.016, +0.029]; bad: twice the time, and lower "
        "at the end, on all five seeds",
        baseline="value",
        whitened=True,
        clipped=True,
        aggregation="token-mean",
        epochs=2,
        minibatches=2,
    ),
    "ppo-group": Objective(
        "PPO with the others of the group in place of the value function",
        "good: as much from few episodes as ppo, +0.024 [+0.021, +0.031], in less time; bad: slower an update than "
        "reinforce, and lower at the end, on all five seeds",
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
