"""Hyperparameters: one flat configuration for every algorithm, and one for the imitation before it.

Imports no torch, so that `--help` is fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from textmdp.agents.algorithms.advantages import DISCOUNT_UNITS
from textmdp.agents.algorithms.objectives import AGGREGATIONS, OBJECTIVES, Objective

KL_PLACEMENTS = ("reward", "loss")
KL_ESTIMATORS = ("k1", "k2", "k3", "exact")
LEVELS = ("token", "response")
VALUE_TRUNKS = ("detached", "shared", "own")
_NOT_NEGATIVE = (
    *("updates", "resample", "epochs", "minibatches", "micro_batch", "warmup_updates", "clip_eps_high", "dual_clip"),
    *("kl_coef", "kl_target", "learning_rate", "value_learning_rate", "value_coef", "value_clip"),
)


@dataclass(frozen=True)
class Config:
    """Hyperparameters of policy-gradient training."""

    algorithm: str = "reinforce-group"
    """Algorithm, by its name in `textmdp algorithms`."""
    updates: int = 300
    """Number of updates, each on fresh episodes."""
    episodes: int = 512
    """Episodes of an update: the rows of the environment."""
    group_size: int = 8
    """Episodes started together on one problem; divides `episodes`."""
    resample: int = 0
    """Dynamic sampling: how many more batches may be played to replace groups without reward variance."""
    gamma: float = 1.0
    """Discount factor γ, for each `discount_unit`."""
    discount_unit: str = "tokens"
    """Unit of time for γ and λ: the policy's "tokens", or its "turns"."""
    exact_discount: bool = False
    """Whether to weight the term of token t with γ^t, which makes the discounted gradient exact; libraries don't."""
    gae_lambda: float = 1.0
    """λ of generalized advantage estimation; algorithms with a value function only."""
    level: str = "token"
    """Action: each "token", or the whole "response" with its summed log-probability, discounted by turns."""
    aggregation: str = ""
    """Token weights in the loss: "token-mean", "sequence-mean" or "constant"; empty for the algorithm's own."""
    temperature: float = 1.0
    """Sampling temperature, also of the policy that is trained."""
    grammar: bool = False
    """Whether to sample only tokens that the task's grammar allows; training uses the same masks."""
    epochs: int = 0
    """Passes over the episodes of an update; 0 for the algorithm's own number."""
    minibatches: int = 0
    """Gradient steps of a pass, each on a part of the episodes; 0 for the algorithm's own number."""
    clip_eps_low: float = 0.2
    """Clip range of the probability ratio below 1, for algorithms that clip."""
    clip_eps_high: float = 0.2
    """Clip range of the probability ratio above 1, for algorithms that clip."""
    dual_clip: float = 0.0
    """Upper bound of the probability ratio at negative advantages, such as 3, for algorithms that clip; 0 for none."""
    kl_coef: float = 0.0
    """Coefficient β of the KL divergence from the reference policy; 0 for none."""
    kl_placement: str = "reward"
    """Where the KL divergence enters: the "reward" of each token, or the "loss"."""
    kl_estimator: str = ""
    """KL estimator: "k1", "k2", "k3" or "exact"; empty for k1 in the reward, exact in the loss."""
    kl_target: float = 0.0
    """Target KL divergence of an episode in nats, to which β adapts; 0 for a fixed β."""
    kl_horizon: int = 10_000
    """Episodes over which β adapts."""
    entropy_coef: float = 0.0
    """Coefficient of the entropy bonus in the loss."""
    learning_rate: float = 5e-4
    """Learning rate of Adam for the policy."""
    warmup_updates: int = 5
    """Updates over which the learning rates rise linearly."""
    max_grad_norm: float = 1.0
    """Maximum gradient norm, for the policy and the value function separately."""
    micro_batch: int = 0
    """Episodes of one backward pass, to bound memory; the gradient is the same for any. 0 for all at once."""
    value_trunk: str = "detached"
    """Input of the value head: the policy's hidden state, "detached" or "shared", or that of a network of its "own"."""
    value_coef: float = 0.5
    """Coefficient of the value loss."""
    value_learning_rate: float = 2e-3
    """Learning rate of Adam for the value function's own weights."""
    value_clip: float = 0.0
    """Clip range of the change of values in an update, in units of reward; 0 for none."""
    running_rate: float = 0.05
    """Rate α of the running mean; `reinforce-running` only."""
    seed: int = 0
    """Seed of problems, sampling, minibatches and the value function's initial weights."""

    def __post_init__(self) -> None:
        check_finite(self)
        for name, names in (
            ("algorithm", tuple(OBJECTIVES)),
            ("discount_unit", DISCOUNT_UNITS),
            ("level", LEVELS),
            ("aggregation", ("", *AGGREGATIONS)),
            ("kl_placement", KL_PLACEMENTS),
            ("kl_estimator", ("", *KL_ESTIMATORS)),
            ("value_trunk", VALUE_TRUNKS),
        ):
            if getattr(self, name) not in names:
                known = ", ".join(repr(known) for known in names if known)
                raise ValueError(f"{name}={getattr(self, name)!r} is none of {known}")
        for name in ("episodes", "group_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("gamma", "gae_lambda", "clip_eps_low", "running_rate"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}={getattr(self, name)} must lie in [0, 1]")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        for name in ("temperature", "kl_horizon", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be above 0")
        self._check_groups()
        self._check_loss()
        self._check_kl()

    def _check_groups(self) -> None:
        if self.episodes % self.group_size:
            raise ValueError(f"group_size={self.group_size} must divide episodes={self.episodes}")
        if self.objective.grouped and self.group_size < 2:
            raise ValueError(f"algorithm={self.algorithm!r} compares the episodes of a group: use group_size=2 or more")
        if self.minibatches > self.episodes:
            raise ValueError(f"minibatches={self.minibatches} must be at most episodes={self.episodes}")

    def _check_loss(self) -> None:
        if 0 < self.dual_clip <= 1:
            raise ValueError(f"dual_clip={self.dual_clip} must be above 1, such as 3; or 0 for none")
        aggregation = self.aggregation or self.objective.aggregation
        if self.level == "response" and aggregation != "constant":
            whose = "" if self.aggregation else f", the default of algorithm={self.algorithm!r},"
            raise ValueError(
                f'level="response" has one action a response, and aggregation={aggregation!r}{whose} averages over '
                'tokens: use aggregation="constant"'
            )

    def _check_kl(self) -> None:
        if self.kl_placement == "loss" and self.kl_estimator == "k1":
            # The expectation of ∇ log π under π is 0.
            raise ValueError(
                'kl_estimator="k1" in the loss has an expected gradient of 0, so nothing would hold the policy back: '
                'use "k2", "k3" or "exact", or kl_placement="reward"'
            )
        if self.kl_placement == "reward" and self.kl_estimator not in ("", "k1"):
            raise ValueError(
                f'kl_estimator={self.kl_estimator!r} is for the loss; in the reward, "k1" gives the exact gradient: '
                'use "k1", or kl_placement="loss"'
            )
        if self.kl_target and not self.kl_coef:
            raise ValueError(f"kl_target={self.kl_target} adapts kl_coef, which starts at 0: use kl_coef above 0")

    @property
    def effective_discount_unit(self) -> str:
        """The discount unit in effect: "turns" if whole responses are the actions, else `discount_unit`."""
        return "turns" if self.level == "response" else self.discount_unit

    @property
    def objective(self) -> Objective:
        """The row of `OBJECTIVES` that `algorithm` names."""
        return OBJECTIVES[self.algorithm]


@dataclass(frozen=True)
class ImitationConfig:
    """Hyperparameters of imitation."""

    steps: int = 1400
    """Gradient steps, each on fresh demonstrations."""
    episodes: int = 128
    """Demonstrations of a step: the rows of the environment."""
    mistake_rate: float = 0.6
    """Probability, for each turn, that the expert makes the task's typical mistake."""
    check_every: int = 100
    """Steps between two checks of the accuracy, each on one greedy episode in every row."""
    until: float = 0.0
    """Accuracy of a check that ends the imitation before its last step; 0 for none."""
    learning_rate: float = 3e-3
    """Peak learning rate of Adam, after warm-up over a twentieth of the steps and before cosine decay to a tenth."""
    max_grad_norm: float = 1.0
    """Maximum gradient norm."""
    seed: int = 0
    """Seed of problems and mistakes."""

    def __post_init__(self) -> None:
        check_finite(self)
        for name, least in (("steps", 0), ("episodes", 1), ("check_every", 1), ("learning_rate", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"imitation's {name}={getattr(self, name)} must be at least {least}")
        for name in ("mistake_rate", "until"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"imitation's {name}={getattr(self, name)} must lie in [0, 1]")
        if not self.max_grad_norm > 0:
            raise ValueError(f"imitation's max_grad_norm={self.max_grad_norm} must be above 0")


def check_finite(config: Any) -> None:
    """Raise a `ValueError` for a number of a configuration that isn't finite."""
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{field.name}={value} must be a finite number")
