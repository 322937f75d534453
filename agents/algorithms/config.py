"""How a policy is trained: one flat configuration for every algorithm, one for the warm start before it.

Nothing here knows of torch, so that help is fast.
"""

from __future__ import annotations

from dataclasses import dataclass

from textmdp.agents.algorithms.advantages import DISCOUNT_UNITS
from textmdp.agents.algorithms.objectives import AGGREGATIONS, OBJECTIVES, Objective

KL_PLACES = ("reward", "loss")
KL_ESTIMATORS = ("k1", "k2", "k3", "exact")
LEVELS = ("token", "response")
TRUNKS = ("detached", "shared", "own")


@dataclass(frozen=True)
class Config:
    """How a policy is trained."""

    algorithm: str = "reinforce-group"
    """A row of the table that `textmdp algorithms` prints."""
    updates: int = 300
    """Updates, each on fresh episodes."""
    episodes: int = 512
    """Episodes an update: the rows of the environment."""
    group_size: int = 8
    """Episodes of one problem in an update; it divides `episodes`."""
    resample: int = 0
    """Dynamic sampling: replace groups whose episodes all earned the same by other problems, up to so many times."""
    gamma: float = 1.0
    """γ, for each tick of the clock."""
    discount_unit: str = "tokens"
    """What takes time: "tokens" of the policy, or "turns"."""
    exact_discount: bool = False
    """Weight the term of token t with γ^t: the exact gradient of the discounted return; libraries leave it out."""
    gae_lambda: float = 1.0
    """λ of generalized advantages, for each tick; rows with a value function."""
    level: str = "token"
    """What an action is: a "token"; or the whole "response", with its summed log-probability and the clock of turns."""
    aggregation: str = ""
    """How tokens are weighted: "token-mean", "sequence-mean", "constant"; empty for the algorithm's own."""
    temperature: float = 1.0
    """Of sampling, and of the policy that is trained: they are the same."""
    grammar: bool = False
    """Sample only what the task's grammar allows, where it has one; training knows what could be chosen."""
    epochs: int = 0
    """Passes over the episodes of an update; 0 for the algorithm's own number."""
    minibatches: int = 0
    """Gradient steps in a pass, each on a part of the episodes; 0 for the algorithm's own number."""
    clip_eps_low: float = 0.2
    """Rows that clip: the probability ratio counts from 1 less this …"""
    clip_eps_high: float = 0.2
    """… to 1 plus this."""
    dual_clip: float = 0.0
    """Rows that clip: the most that a ratio counts where the advantage is negative, such as 3; 0 for no bound."""
    kl_coef: float = 0.0
    """β, of the divergence from the policy that training began with; 0 for none."""
    kl_placement: str = "reward"
    """Where it goes: in the "reward" of each token, or in the "loss"."""
    kl_estimator: str = ""
    """How it is measured: "k1", "k2", "k3", "exact"; empty for k1 in the reward, exact in the loss."""
    kl_target: float = 0.0
    """Adapt β so that the divergence of an episode stays near this many nats; 0 for a fixed β."""
    kl_horizon: int = 10_000
    """Episodes over which β adapts."""
    entropy_coef: float = 0.0
    """Of the loss, for each nat of entropy of a token."""
    learning_rate: float = 5e-4
    """Of Adam."""
    warmup_updates: int = 5
    """Updates over which the learning rate rises to that."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are scaled down to it."""
    micro_batch: int = 0
    """Episodes in one backward pass, to bound memory; the gradient is the same for any. 0 for all at once."""
    value_trunk: str = "detached"
    """What the value function reads: the policy's hidden state, "detached" or "shared"; or a network of its "own"."""
    value_coef: float = 0.5
    """Of the value function's squared error in the loss."""
    value_learning_rate: float = 2e-3
    """Of Adam, for the weights that are the value function's alone."""
    value_clip: float = 0.0
    """How far values may move in an update, in the scale of the rewards; 0 for any."""
    running_rate: float = 0.05
    """How fast the running mean of `reinforce-running` moves."""
    seed: int = 0
    """Of the problems and of the sampling."""

    def __post_init__(self) -> None:
        for name, names in (
            ("algorithm", tuple(OBJECTIVES)),
            ("discount_unit", DISCOUNT_UNITS),
            ("level", LEVELS),
            ("aggregation", ("", *AGGREGATIONS)),
            ("kl_placement", KL_PLACES),
            ("kl_estimator", ("", *KL_ESTIMATORS)),
            ("value_trunk", TRUNKS),
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
        for name in ("epochs", "minibatches", "micro_batch", "resample", "kl_coef", "kl_target", "clip_eps_high"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        self._check_groups()
        self._check_kl()

    def _check_groups(self) -> None:
        if self.episodes % self.group_size:
            raise ValueError(f"group_size={self.group_size} must divide episodes={self.episodes}")
        if self.objective.grouped and self.group_size < 2:
            raise ValueError(f"algorithm={self.algorithm!r} compares episodes of a problem: use group_size=2 or more")
        if self.minibatches > self.episodes:
            raise ValueError(f"minibatches={self.minibatches} are more than there are episodes={self.episodes}")
        if 0 < self.dual_clip <= 1:
            raise ValueError(f"dual_clip={self.dual_clip} must be above 1, such as 3; or 0 for none")
        if self.level == "response" and self.aggregation == "token-mean":
            raise ValueError('level="response" has no tokens to take a mean over: use aggregation="constant"')

    def _check_kl(self) -> None:
        if self.kl_placement == "loss" and self.kl_estimator == "k1":
            # The expectation of ∇ log π under π is 0: k1's gradient is noise around nothing.
            raise ValueError(
                'kl_estimator="k1" has gradient 0 in the loss, on average, so nothing would hold the policy: '
                'use "k2", "k3" or "exact", or kl_placement="reward"'
            )
        if self.kl_placement == "reward" and self.kl_estimator not in ("", "k1"):
            raise ValueError(
                f'kl_estimator={self.kl_estimator!r} is for the loss: in the reward "k1" gives the exact gradient; '
                'use that, or kl_placement="loss"'
            )
        if self.kl_target and not self.kl_coef:
            raise ValueError(f"kl_target={self.kl_target} adapts kl_coef from where it begins: give it one above 0")

    @property
    def effective_discount_unit(self) -> str:
        """The clock that counts: where whole responses are actions, it is that of turns."""
        return "turns" if self.level == "response" else self.discount_unit

    @property
    def objective(self) -> Objective:
        """The row of the table."""
        return OBJECTIVES[self.algorithm]


@dataclass(frozen=True)
class ImitationConfig:
    """How a warm start is made."""

    steps: int = 1400
    """Gradient steps, each on fresh demonstrations."""
    episodes: int = 128
    """Demonstrations a step: the rows of the environment. Many small steps learn more than few large ones."""
    mistake_rate: float = 0.6
    """The probability, a turn, that the demonstrator makes the task's typical mistake."""
    check_every: int = 100
    """Steps between two checks; each plays one greedy episode in every row."""
    learning_rate: float = 3e-3
    """Of Adam, at its highest: it rises over the first twentieth of the steps and falls along a cosine to a tenth."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are scaled down to it."""
    seed: int = 0
    """Of the problems and of the mistakes."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 0), ("episodes", 1), ("check_every", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")
