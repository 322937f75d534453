"""One policy-gradient update, for every row of the table of algorithms: from a batch of episodes to optimizer steps.

The batch stays NumPy arrays on the CPU while advantages are computed; log-probabilities and values that they need come
back from the network once. Then it becomes tensors (`TrainBatch`), of which each micro-batch moves to the device of the
network as a whole. Read `learn` from top to bottom; the methods below it follow its order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from textmdp.agents.algorithms import losses
from textmdp.agents.algorithms.advantages import (
    Floats,
    discount_weights,
    discounted_returns,
    explained_variance,
    rewards_to_go,
    time_steps,
)
from textmdp.agents.algorithms.baselines import running_mean
from textmdp.agents.algorithms.config import Config
from textmdp.agents.algorithms.objectives import AdvantageInputs, token_weights
from textmdp.agents.models.language_model import LanguageModel, TokenStatistics
from textmdp.agents.models.packing import UniqueRows, unique_rows
from textmdp.agents.models.value_function import ValueFunction, values_before
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.agents.training.reference import Reference
from textmdp.agents.training.scoring import score_batch
from textmdp.agents.training.train_batch import NO_LOG_PROBS, TrainBatch, check_log_probs

Metrics = dict[str, float]


class Learner:
    """Training state: policy, value function, optimizer, KL coefficient and running baseline.

    Args:
        model: the policy, changed in place.
        config: hyperparameters.
        max_tokens: the maximum number of policy tokens in an episode, for the aggregation "constant".
        reference: the policy that the KL divergence is measured from; None for `model` as it is now.
        seed: of minibatches and of the value function's initial weights.
    """

    def __init__(
        self,
        model: LanguageModel,
        config: Config,
        max_tokens: int,
        reference: LanguageModel | None = None,
        seed: int = 0,
    ) -> None:
        self.model, self.config, self.objective, self.max_tokens = model, config, config.objective, max_tokens
        self.rng = np.random.default_rng(seed)
        self.value = ValueFunction(model, config.value_trunk, seed) if self.objective.has_value else None
        self.reference = Reference(model, reference) if config.kl_coef or reference else None
        self.kl_coef = config.kl_coef
        self.running_mean: float | None = None
        groups = [{"params": [*model.trainable()], "initial_lr": config.learning_rate}]
        if self.value is not None:
            groups.append({"params": [*self.value.parameters()], "initial_lr": config.value_learning_rate})
        self.optimizer = torch.optim.Adam(groups, fused=True)
        self.num_updates = 0
        self._epochs = config.epochs or self.objective.epochs
        self._minibatches = config.minibatches or self.objective.minibatches
        self._kl_in_loss = self.reference is not None and config.kl_placement == "loss"
        self._needs_hidden = self.value is not None and self.value.reads_policy

    def learn(self, batch: Trajectories, greedy_returns: Floats | None = None) -> Metrics:
        """Run all gradient steps of an update on a batch, and return its metrics.

        Metrics of the gradient steps are means over the steps: `loss`, `value_loss`, `grad_norm` (of the policy, before
        clipping), `approx_kl` (nats an action, from the policy that sampled) and `clip_fraction`. The last two are
        means over the actions of episodes that have a gradient: those with advantage 0 are skipped if there is neither
        value function nor entropy bonus nor KL loss. `log_prob_gap`, the largest difference between log-probabilities
        of sampling and training, and `ratio_gap_first` are measured before the first step.

        Args:
            batch: B episodes with the log-probabilities of their tokens.
            greedy_returns: (B,), discounted returns of greedy episodes on the same problems, for the baseline "greedy".

        Raises:
            ValueError: the batch has no log-probabilities.
            AssertionError: at the first update, if those log-probabilities are not the model's.
        """
        unique = self.unique_episodes(batch, greedy_returns)
        train_batch, metrics = self.prepare(batch, unique, greedy_returns)
        train_batch = train_batch.deduplicate(unique)
        rows = np.arange(len(train_batch))
        if self.value is None and not self.config.entropy_coef and not self._kl_in_loss:
            rows = rows[train_batch.advantages.any(1).numpy()]  # the others add nothing to the gradient
        warmup = min(1.0, (self.num_updates + 1) / max(self.config.warmup_updates, 1))
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * warmup
        steps = []
        num_parts = max(min(self._minibatches, len(rows)), 1)
        for _ in range(self._epochs):
            order = rows if num_parts == 1 else self.rng.permutation(rows)
            for part in np.array_split(order, num_parts):
                # Loss weights are those of the whole batch, of which a minibatch is one of `num_parts`.
                steps.append(self._gradient_step(train_batch[torch.from_numpy(part)], scale=num_parts))
        self.num_updates += 1
        metrics |= self._average(steps)
        if "kl" in metrics and self.config.kl_target:
            self.kl_coef = losses.adaptive_kl_coef(
                self.kl_coef, metrics["kl"], self.config.kl_target, len(batch), self.config.kl_horizon
            )
        return {**metrics, "learning_rate": self.config.learning_rate * warmup}

    # From episodes to advantages and weights, in NumPy

    def unique_episodes(self, batch: Trajectories, greedy_returns: Floats | None = None) -> UniqueRows:
        """The distinct episodes: equal ones have the same tokens and rewards, and therefore the same advantages."""
        groups = batch.groups if self.objective.grouped else None
        state = (batch.tokens, batch.roles, batch.turns, batch.truncated, batch.allowed)
        return unique_rows(*state, batch.rewards, groups, greedy_returns)

    def prepare(
        self, batch: Trajectories, unique: UniqueRows, greedy_returns: Floats | None = None
    ) -> tuple[TrainBatch, Metrics]:
        """Advantages, loss weights and value targets of a batch, and metrics; arguments as in `learn`."""
        config, mask, metrics = self.config, batch.mask, Metrics()
        if batch.log_probs is None:
            raise ValueError(NO_LOG_PROBS)
        scores = score_batch(
            batch,
            unique,
            self.model,
            self.value,
            self.reference,
            log_probs=self.num_updates == 0,
            temperature=config.temperature,
            micro_batch=config.micro_batch,
        )
        if self.num_updates == 0:
            assert scores.log_probs is not None  # requested above
            check_log_probs(batch, scores.log_probs, self.model.tolerance)
        rewards = batch.rewards
        if scores.reference_log_probs is not None:
            kl = np.where(mask, batch.log_probs - scores.reference_log_probs, 0.0)  # (B, T), k1
            metrics |= {"kl": float(kl.sum(1).mean()), "kl_coef": self.kl_coef}
            if not self._kl_in_loss:
                rewards = rewards - self.kl_coef * kl
        unfinished = batch.truncated & np.isin(batch.finish_reasons, ("context", ""))  # (B,), cut within a turn
        time = time_steps(mask, batch.turns, config.effective_discount_unit, unfinished)
        inputs = AdvantageInputs(
            rewards=rewards,
            mask=mask,
            time=time,
            groups=batch.groups,
            running_mean=self.running_mean or 0.0,
            turns=batch.turns,
            greedy_returns=greedy_returns,
            values=scores.values,
            last_values=scores.last_values,
        )
        advantages = self.objective.advantages(inputs, config.gamma, config.gae_lambda)
        returns = discounted_returns(rewards_to_go(rewards, mask, config.gamma, time), mask)  # (B,)
        self.running_mean = running_mean(self.running_mean, returns, config.running_rate)
        value_targets = None
        if scores.values is not None:
            value_targets = scores.values + advantages  # TD(λ) returns
            metrics["explained_variance"] = explained_variance(scores.values, value_targets, mask)
        weights = token_weights(mask, config.aggregation or self.objective.aggregation, self.max_tokens)
        if config.exact_discount:
            weights = weights * discount_weights(mask, config.gamma, time)
        train_batch = TrainBatch.from_numpy(
            tokens=batch.tokens,
            roles=batch.roles,
            turns=batch.turns,
            allowed=batch.allowed,
            advantages=self.objective.normalize(advantages, mask),
            weights=weights,
            token_mean_weights=token_weights(mask, "token-mean", self.max_tokens),
            old_log_probs=batch.log_probs,
            reference_log_probs=scores.reference_log_probs,
            old_values=scores.values,
            value_targets=value_targets,
        )
        return train_batch, metrics

    # From tensors to an optimizer step

    def _gradient_step(self, minibatch: TrainBatch, scale: float) -> dict[str, Tensor]:
        """One optimizer step on a minibatch; the losses of its micro-batches, times `scale`, add up."""
        self.optimizer.zero_grad()
        zero = torch.zeros((), device=self.model.device)
        gap, sums = zero, dict.fromkeys(("loss", "approx_kl", "clip_fraction", "actions"), zero)
        for micro_batch in minibatch.micro_batches(self.config.micro_batch):
            loss, statistics = self._loss(micro_batch)
            (loss * scale).backward()
            gap = torch.maximum(gap, statistics.pop("log_prob_gap"))  # NaN stays NaN
            sums |= {name: sums.get(name, zero) + value for name, value in statistics.items()}
        actions = sums.pop("actions").clamp(min=torch.finfo(zero.dtype).tiny)
        sums |= {name: sums[name] / actions for name in ("approx_kl", "clip_fraction")}
        # Separately, so that large errors of an untrained value function don't shorten the policy's steps.
        norms = [
            torch.nn.utils.clip_grad_norm_(group["params"], self.config.max_grad_norm)
            for group in self.optimizer.param_groups
        ]
        if len(minibatch) and all(map(torch.isfinite, norms)):  # a gradient that overflows must not cost the weights
            self.optimizer.step()
        return {**sums, "log_prob_gap": gap, "grad_norm": norms[0]}

    def _loss(self, batch: TrainBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a micro-batch, and statistics: sums over its actions, and the largest `log_prob_gap`."""
        config, bounds = self.config, (self.config.clip_eps_low, self.config.clip_eps_high, self.config.dual_clip)
        policy = self.model.log_probs(batch.tokens, batch.roles, config.temperature, batch.allowed, self._needs_hidden)
        kl = self._kl_loss(batch, policy) if self._kl_in_loss else None  # (B, T)
        batch = batch.to(self.model.device)
        mask = policy.mask
        # With a single gradient step, the policy that sampled is the one that is differentiated: ρ is exactly 1.
        single_step = self._epochs * self._minibatches == 1
        old_log_probs = policy.log_probs.detach() if single_step else batch.old_log_probs
        log_ratios, actions = torch.where(mask, policy.log_probs - old_log_probs, 0.0), mask
        if config.level == "response":
            log_ratios, actions = losses.sum_per_turn(log_ratios, batch.turns), losses.first_tokens(batch.turns)
        if self.objective.clipped:
            surrogate = losses.clipped_surrogate(log_ratios, batch.advantages, *bounds)
        else:
            surrogate = losses.surrogate(log_ratios, batch.advantages)
        loss = -(batch.weights * surrogate * actions).sum()
        if kl is not None:
            loss = loss + self.kl_coef * (batch.weights * kl).sum()
        if config.entropy_coef:
            loss = loss - config.entropy_coef * (batch.weights * policy.entropy).sum()
        statistics = {}
        if self.value is not None:
            assert batch.value_targets is not None and batch.old_values is not None  # noqa: PT018
            values = values_before(self.value(batch.tokens, policy.hidden), mask)
            errors = losses.value_errors(values, batch.value_targets, batch.old_values, config.value_clip)
            value_loss = (batch.token_mean_weights * errors).sum()
            loss = loss + config.value_coef * value_loss
            statistics["value_loss"] = value_loss.detach()
        with torch.no_grad():
            shares = batch.token_mean_weights * actions  # an episode counts as often as it is in the batch
            approx_kl = losses.divergence(-log_ratios, torch.zeros_like(log_ratios), "k3")
            clipped = losses.is_clipped(log_ratios, batch.advantages, *bounds) & self.objective.clipped
            statistics |= {
                "loss": loss.detach(),
                "log_prob_gap": torch.where(mask, (policy.log_probs - batch.old_log_probs).abs(), 0.0).max(),
                "approx_kl": (shares * approx_kl).sum(),
                "clip_fraction": (shares * clipped).sum(),
                "actions": shares.sum(),
            }
        return loss, statistics

    def _kl_loss(self, batch: TrainBatch, policy: TokenStatistics) -> Tensor:
        """The divergence from the reference policy at each token, (B, T), differentiable; 0 elsewhere."""
        estimator = self.config.kl_estimator or "exact"
        if estimator != "exact":
            assert batch.reference_log_probs is not None  # scored for all if there is a reference
            return losses.divergence(policy.log_probs, batch.reference_log_probs.to(self.model.device), estimator)
        assert self.reference is not None
        with torch.no_grad():
            reference = self.reference.log_probs(batch.tokens, batch.roles, self.config.temperature, batch.allowed)
        exact = losses.exact_divergence(policy.full_log_probs, reference.full_log_probs)  # (N,)
        return policy.scatter(exact)

    def _average(self, steps: list[dict[str, Tensor]]) -> Metrics:
        """Means over gradient steps; one transfer from the device for all of them."""
        table = torch.stack([torch.stack([*step.values()]) for step in steps]).cpu().double().numpy()  # (steps, names)
        metrics = dict(zip(steps[0], table.mean(0).tolist(), strict=True))
        metrics["log_prob_gap"] = float(table[0, [*steps[0]].index("log_prob_gap")])  # before the first step
        metrics["ratio_gap_first"] = float(np.expm1(metrics["log_prob_gap"]))
        return metrics

    # Checkpoints

    def state(self) -> dict[str, Any]:
        """Everything needed to continue bit for bit, for `torch.save`; arrays are not copied."""
        return {
            "num_updates": self.num_updates,
            "model": self.model.state(),
            "reference": None if self.reference is None else self.reference.state(),
            "value": None if self.value is None else self.value.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "running_mean": self.running_mean,
            "kl_coef": self.kl_coef,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the `state` of a learner with the same configuration."""
        self.num_updates, self.running_mean = state["num_updates"], state["running_mean"]
        self.kl_coef = state["kl_coef"]
        self.model.restore(state["model"])
        if self.reference is not None:
            self.reference.restore(state["reference"])
        if self.value is not None:
            self.value.load_state_dict(state["value"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = state["rng"]
