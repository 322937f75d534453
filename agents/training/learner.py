"""From a batch of episodes to better weights: one update of any row of the table of algorithms."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textmdp.agents.algorithms import losses
from textmdp.agents.algorithms.advantages import (
    Floats,
    discount_weights,
    discounted_returns,
    explained_variance,
    rewards_to_go,
    running_mean,
    time_steps,
)
from textmdp.agents.algorithms.config import Config
from textmdp.agents.algorithms.objectives import AdvantageInputs, token_weights
from textmdp.agents.models.language_model import LanguageModel, TokenStatistics
from textmdp.agents.models.lora import AdaptedModel
from textmdp.agents.models.value_function import ValueFunction, values_at_end, values_before
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.agents.training.packing import alike
from textmdp.agents.training.train_batch import TrainBatch, check_log_probs
from textmdp.envs.core.episode import PADDING, POLICY

Metrics = dict[str, float]


class Learner:
    """Holds what changes when a policy learns: its weights, the optimizer's, the value function, β, a running mean.

    Args:
        model: the policy, changed in place.
        config: how.
        longest: the most tokens that the policy can write in an episode.
        reference: what divergence is measured from; when None, the model as it is now: a copy of it, or without its
            adapters where it has such.
        seed: of minibatches and of the value function's first weights.
    """

    def __init__(
        self, model: LanguageModel, config: Config, longest: int, reference: LanguageModel | None = None, seed: int = 0
    ) -> None:
        self.model, self.config, self.objective, self.longest = model, config, config.objective, longest
        self.rng = np.random.default_rng(seed)
        self.value = ValueFunction(model, config.value_trunk, seed) if self.objective.has_value else None
        self.kl_coef = config.kl_coef
        self.reference = reference
        self._has_reference = bool(config.kl_coef or reference)
        if self._has_reference and reference is None and not isinstance(model, AdaptedModel):
            self.reference = LanguageModel(copy.deepcopy(model.network), model.tokenizer)
        self.running: float | None = None
        groups = [{"params": [*model.trainable()], "rate": config.learning_rate}]
        if self.value is not None:
            groups.append({"params": [*self.value.parameters()], "rate": config.value_learning_rate})
        self.optimizer = torch.optim.Adam(groups, fused=True)
        self.update = 0

    @property
    def steps(self) -> int:
        """Gradient steps of an update."""
        return self._epochs * self._minibatches

    @property
    def _epochs(self) -> int:
        return self.config.epochs or self.objective.epochs

    @property
    def _minibatches(self) -> int:
        return self.config.minibatches or self.objective.minibatches

    def learn(self, batch: Trajectories, greedy: Floats | None = None) -> Metrics:
        """All gradient steps on a batch.

        Args:
            batch: B episodes, with the log-probabilities of their tokens.
            greedy: (B,) the discounted returns of greedy episodes on the same problems, for the baseline "greedy".
        """
        targets, metrics = self.targets(batch, greedy)
        targets, seen = targets.merged(), []
        rows = np.arange(len(targets))
        if self.value is None and not self.config.entropy_coef and not self._kl_in_loss:
            # Episodes without an advantage add nothing to the gradient, and are most of them once a task is learnt.
            rows = rows[(targets.advantages != 0).any(1).cpu().numpy()]
        rate = min(1.0, (self.update + 1) / max(self.config.warmup_updates, 1))
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * rate
        for _ in range(self._epochs):
            order = rows if self._minibatches == 1 else self.rng.permutation(rows)
            seen += [self._gradient_step(targets, part) for part in np.array_split(order, self._minibatches)]
        self.update += 1
        metrics |= {name: float(np.mean([step[name] for step in seen])) for name in seen[0]}
        metrics["log_prob_gap"] = seen[0]["log_prob_gap"]  # before the first step the two policies are one
        metrics["ratio_gap_first"] = float(np.expm1(metrics["log_prob_gap"]))
        if "kl" in metrics and self.config.kl_target:
            self.kl_coef = losses.adapted(
                self.kl_coef, metrics["kl"], self.config.kl_target, len(batch), self.config.kl_horizon
            )
        return {**metrics, "learning_rate": self.config.learning_rate * rate}

    # What is aimed at

    def targets(self, batch: Trajectories, greedy: Floats | None = None) -> tuple[TrainBatch, Metrics]:
        """What an update on a batch aims at, and what was seen on the way."""
        config, mask, metrics = self.config, batch.mask, Metrics()
        if batch.log_probs is None:
            raise ValueError("the agent didn't tell the log-probabilities of its tokens")
        survey = self._score_batch(batch)
        if self.update == 0:
            check_log_probs(batch, survey["log_probs"], self.model.tolerance)
        rewards = batch.rewards
        if "reference" in survey:
            kl = np.where(mask, batch.log_probs - survey["reference"], 0.0)  # k1, (B, L)
            metrics |= {"kl": float(kl.sum(1).mean()), "kl_coef": self.kl_coef}
            if not self._kl_in_loss:
                # No gradient goes through it, and the reward is that of the sampled token: that gradient is exact.
                rewards = rewards - self.kl_coef * kl
        time = time_steps(mask, batch.turns, config.effective_discount_unit)
        played = AdvantageInputs(
            rewards, mask, time, batch.problems, self.running or 0.0, greedy, survey.get("values"), survey.get("last")
        )
        advantages = self.objective.advantages(played, config.gamma, config.gae_lambda)
        returns = discounted_returns(rewards_to_go(rewards, mask, config.gamma, time), mask)  # (B,)
        self.running = running_mean(self.running, returns, config.running_rate)
        fitted = None
        if self.value is not None:
            fitted = survey["values"] + advantages  # TD(λ) returns
            metrics["explained_variance"] = explained_variance(survey["values"], fitted, mask)
        weights = token_weights(mask, config.aggregation or self.objective.aggregation, self.longest)
        if config.exact_discount:
            weights = weights * discount_weights(mask, config.gamma, time)
        return TrainBatch(
            tokens=self._tensor(batch.tokens),
            roles=self._tensor(batch.roles),
            turns=self._tensor(batch.turns),
            allowed=self._optional(batch.allowed),
            advantages=self._tensor(self.objective.scaled(advantages, mask)),
            weights=self._tensor(weights),
            shares=self._tensor(token_weights(mask, "token-mean", self.longest)),
            sampled=self._tensor(batch.log_probs),
            reference=self._optional(survey.get("reference")),
            values=self._optional(survey.get("values")),
            returns=self._optional(fitted),
        ), metrics

    @torch.no_grad()
    def _score_batch(self, batch: Trajectories) -> dict[str, NDArray[Any]]:
        """What the networks say of a batch before anything is learnt from it, as far as it is needed."""
        parts: dict[str, list[Tensor]] = {}
        check, value = self.update == 0, self.value
        if not check and value is None and not self._has_reference:
            return {}
        once, same = alike(batch.tokens, batch.roles, batch.allowed, batch.truncated)
        for rows in self._micro_batches(once):
            tokens, roles = self._tensor(batch.tokens[rows]), self._tensor(batch.roles[rows])
            allowed = None if batch.allowed is None else self._tensor(batch.allowed[rows])
            told: dict[str, Tensor] = {}
            hidden = None
            if check or self._wants_hidden:
                told["log_probs"], _, _, hidden = self._read(tokens, roles, allowed, self._wants_hidden)
            if value is not None:
                after = value(tokens, hidden)
                truncated, lengths = self._tensor(batch.truncated[rows]), (roles != PADDING).sum(1)
                told["values"] = values_before(after, roles == POLICY)
                told["last"] = values_at_end(after, lengths, truncated)
            if self._has_reference:
                told["reference"] = self._read_reference(tokens, roles, allowed).log_probs
            for name, tensor in told.items():
                parts.setdefault(name, []).append(tensor)
        return {name: torch.cat(tensors).cpu().double().numpy()[same] for name, tensors in parts.items()}

    # What is done about it

    def _gradient_step(self, targets: TrainBatch, rows: NDArray[np.int64]) -> Metrics:
        """One step on some episodes; the losses of its micro-batches add up."""
        self.optimizer.zero_grad()
        sums = dict.fromkeys(("loss", "approx_kl", "clip_fraction"), 0.0)
        gap, actions = 0.0, 0.0
        lengths = (targets.roles[torch.from_numpy(rows)] != PADDING).sum(1).cpu().numpy()
        for part in self._micro_batches(rows[lengths.argsort(kind="stable")]):  # short ones are read without padding
            loss, told = self._loss(targets[torch.from_numpy(part).to(self.model.device)])
            # The weights are those of the whole batch, of which a minibatch is a part.
            (loss * self._minibatches).backward()
            gap, actions = float(np.maximum(gap, told.pop("gap"))), actions + told.pop("actions")  # NaN stays NaN
            for name, value in told.items():
                sums[name] = sums.get(name, 0.0) + value
        # Each for itself: large errors of a value function that knows nothing yet must not shorten the policy's steps.
        norm, *others = (
            torch.nn.utils.clip_grad_norm_(group["params"], self.config.max_grad_norm)
            for group in self.optimizer.param_groups
        )
        if len(rows) and all(map(torch.isfinite, (norm, *others))):  # one bad gradient must not cost the weights
            self.optimizer.step()
        for name in ("approx_kl", "clip_fraction"):
            sums[name] /= max(actions, 1.0)
        return {**sums, "log_prob_gap": gap, "grad_norm": float(norm)}

    def _loss(self, some: TrainBatch) -> tuple[Tensor, Metrics]:
        """The loss of some episodes, and sums of what is told about it."""
        config = self.config
        mask = some.roles == POLICY
        statistics = self._read(some.tokens, some.roles, some.allowed, self._wants_hidden)
        # On fresh episodes, with one step on each, the policy that acted is the one that learns.
        old = some.sampled if self.steps > 1 else statistics.log_probs.detach()
        log_ratios, actions = torch.where(mask, statistics.log_probs - old, 0.0), mask  # (B, L)
        if config.level == "response":
            log_ratios, actions = losses.sum_per_turn(log_ratios, some.turns), losses.first_tokens(some.turns)
        bounds = config.clip_eps_low, config.clip_eps_high
        if self.objective.clipped:
            gained = losses.clipped_surrogate(log_ratios, some.advantages, *bounds, config.dual_clip)
        else:
            gained = losses.surrogate(log_ratios, some.advantages)
        loss = -(some.weights * gained)[actions].sum()
        if self._kl_in_loss:
            loss = loss + self.kl_coef * (some.weights * self._divergence(some, statistics, mask)).sum()
        if config.entropy_coef:
            loss = loss - config.entropy_coef * (some.weights * statistics.entropy).sum()
        told = {}
        if self.value is not None:
            squared = self._value_loss(some, statistics, mask)
            loss = loss + config.value_coef * squared
            told["value_loss"] = squared.item()
        with torch.no_grad():
            apart = (statistics.log_probs - some.sampled)[mask]
            told |= {
                "loss": loss.item(),
                "gap": apart.abs().max().item() if len(apart) else 0.0,
                "approx_kl": float(losses.divergence(-log_ratios[actions], torch.zeros(()), "k3").sum()),
                "clip_fraction": float(losses.is_clipped(log_ratios, some.advantages, *bounds)[actions].sum())
                if self.objective.clipped
                else 0.0,
                "actions": float(actions.sum()),
            }
        return loss, told

    def _divergence(self, some: TrainBatch, statistics: TokenStatistics, mask: Tensor) -> Tensor:
        """From the reference, (B, L), differentiable."""
        assert some.reference is not None  # surveyed where there is a coefficient
        estimator = self.config.kl_estimator or "exact"
        if estimator != "exact":
            return losses.divergence(statistics.log_probs, some.reference, estimator)
        with torch.no_grad():
            other = self._read_reference(some.tokens, some.roles, some.allowed)
        exact = losses.exact_divergence(statistics.every, other.every)  # (N,)
        return torch.zeros_like(some.sampled).index_put(mask.nonzero(as_tuple=True), exact)

    def _value_loss(self, some: TrainBatch, statistics: TokenStatistics, mask: Tensor) -> Tensor:
        """Half the squared error, a share of the mean over the batch's tokens; the worse one where it is clipped."""
        assert self.value is not None
        assert some.values is not None
        assert some.returns is not None
        values = values_before(self.value(some.tokens, statistics.hidden), mask)
        errors = (values - some.returns).square()
        if self.config.value_clip:
            bound = self.config.value_clip
            near = some.values + (values - some.values).clamp(-bound, bound)
            errors = torch.maximum(errors, (near - some.returns).square())
        return 0.5 * (some.shares * errors).sum()

    # Going on later

    def state(self) -> dict[str, Any]:
        """All that it takes to go on bit for bit; arrays are not copied."""
        return {
            "update": self.update,
            "model": self.model.network.state_dict(),
            "reference": None if self.reference is None else self.reference.network.state_dict(),
            "value": None if self.value is None else self.value.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "running": self.running,
            "kl_coef": self.kl_coef,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state` that a learner of the same configuration gave."""
        self.update, self.running, self.kl_coef = state["update"], state["running"], state["kl_coef"]
        self.model.network.load_state_dict(state["model"])
        if self.reference is not None:
            self.reference.network.load_state_dict(state["reference"])
        if self.value is not None:
            self.value.load_state_dict(state["value"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = state["rng"]

    # Small things

    @property
    def _kl_in_loss(self) -> bool:
        return self._has_reference and self.config.kl_placement == "loss"

    @property
    def _wants_hidden(self) -> bool:
        return self.value is not None and self.value.reads_policy

    def _read(self, tokens: Tensor, roles: Tensor, allowed: Tensor | None, hidden: bool) -> TokenStatistics:
        return self.model.log_probs(tokens, roles, self.config.temperature, allowed, hidden)

    def _read_reference(self, tokens: Tensor, roles: Tensor, allowed: Tensor | None) -> TokenStatistics:
        if self.reference is not None:
            return self.reference.log_probs(tokens, roles, self.config.temperature, allowed)
        assert isinstance(self.model, AdaptedModel)
        with self.model.reference():
            return self._read(tokens, roles, allowed, False)

    def _micro_batches(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        size = self.config.micro_batch or max(len(rows), 1)
        return (rows[start : start + size] for start in range(0, len(rows), size))

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(array).to(self.model.device)
        return tensor.float() if tensor.is_floating_point() else tensor

    def _optional(self, array: NDArray[Any] | None) -> Tensor | None:
        return None if array is None else self._tensor(array)
