"""Policy-gradient training of a language model on any environment: collect episodes, update, repeat."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from textmdp.agents.algorithms.advantages import Floats, discounted_returns, rewards_to_go, time_steps
from textmdp.agents.algorithms.baselines import frac_zero_variance_groups
from textmdp.agents.algorithms.config import Config
from textmdp.agents.evaluation.evaluate import mean_parts, score_parts, solved
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.batch_checks import first_batch
from textmdp.agents.rollouts.rollout import rollout, unwrapped
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.agents.training.curriculum import Curriculum
from textmdp.agents.training.learner import Learner, Metrics
from textmdp.agents.training.resampling import resample


class Trainer:
    """Collects batches of episodes and updates the policy on them.

    Iterate over `run()` to train; the iteration may stop after any update and be taken up again:

        for metrics in trainer.run():
            print(metrics["update"], metrics["return"])

    Args:
        model: the policy, changed in place.
        envs: `config.episodes` rows of the training split, with autoreset disabled (`make_envs`), also wrapped.
        config: hyperparameters; the defaults if None.
        reference: the policy that the KL divergence is measured from; None for `model` as it is now.
        curriculum: replaces `envs`, which must be its first stage, as its stages are learnt; None to stay with `envs`.

    Raises:
        ValueError: the environment has another number of rows, or another tokenizer than the model.
    """

    def __init__(
        self,
        model: LanguageModel,
        envs: VectorEnv[Any, Any, Any],
        config: Config | None = None,
        reference: LanguageModel | None = None,
        curriculum: Curriculum | None = None,
    ) -> None:
        if curriculum is not None and envs is not curriculum.envs:
            raise ValueError("training with a curriculum begins in its stage: give envs=curriculum.envs")
        self.curriculum = curriculum
        self.model, self.envs, self.config = model, envs, config or Config()
        self._rows = unwrapped(envs)
        if envs.num_envs != self.config.episodes:
            raise ValueError(
                f"an update plays episodes={self.config.episodes}, one in each row, and the environment has "
                f"{envs.num_envs} rows: make the environment with {self.config.episodes}"
            )
        if self._rows.mdp.tokenizer != model.tokenizer:
            raise ValueError(
                f"the model has the tokenizer {model.tokenizer!r}, and the environment "
                f"{self._rows.mdp.tokenizer!r}: make the environment with the model's tokenizer"
            )
        seeds = np.random.SeedSequence(self.config.seed).generate_state(4).tolist()
        self.rng = np.random.default_rng(seeds[0])
        temperature, grammar = self.config.temperature, self.config.grammar
        self.agent = LanguageModelAgent(model, temperature=temperature, grammar=grammar, seed=seeds[1])
        self._greedy = LanguageModelAgent(model, temperature=temperature, grammar=grammar, greedy=True)
        max_tokens = self._rows.mdp.max_response_tokens * self._rows.mdp.task.max_turns
        self.learner = Learner(model, self.config, max_tokens, reference, seed=seeds[3])
        self._seed: int | None = seeds[2]  # of the first reset; None after it
        self._frac_zero_variance = 0.0  # of the last batch, before any of its groups was replaced
        self._totals = {"episodes": 0.0, "tokens": 0.0, "seconds": 0.0}

    def run(self) -> Iterator[Metrics]:
        """The remaining updates, one at a time: the metrics of each.

        `update`, `episodes`, `tokens` (of the policy) and `seconds` count from the start of training; all others are of
        the update:

        - of the episodes: `return` (mean, undiscounted), `success` (fraction with full marks), `response_tokens` (mean
          of a turn), `turns`, `truncated` (fraction), `entropy` (nats a token, the mean of -log π of sampled tokens),
          `score/PART` (the mean of each part of the scores, those of weight 0 included), `frac_zero_variance_groups`
          (before resampling);
        - of the gradient steps: see `Learner.learn`; and `learning_rate`;
        - of a curriculum: `curriculum_stage`, from 0, of the episodes of this update;
        - if there are a reference policy or a value function: `kl` (nats an episode, from the reference), `kl_coef`,
          `explained_variance`;
        - time: `seconds_env`, `seconds_decoding`, `seconds_update`.
        """
        while self.updates_left:
            yield self.step()

    @property
    def num_updates(self) -> int:
        """The number of updates so far."""
        return self.learner.num_updates

    @property
    def updates_left(self) -> int:
        """The number of updates that `run` will make."""
        return max(self.config.updates - self.num_updates, 0)

    def step(self) -> Metrics:
        """Make one update, and return its metrics."""
        began = perf_counter()
        batch = self.collect()
        if self.num_updates == 0 and (findings := first_batch(batch, self.model.tokenizer)):
            raise AssertionError(f"the first batch is malformed: {findings[0]}")
        greedy_returns = self.greedy_returns(batch) if self.config.objective.baseline == "greedy" else None
        collected = perf_counter()
        learner_metrics = self.learner.learn(batch, greedy_returns)
        ended = perf_counter()
        self._totals["seconds"] += ended - began
        success = float(solved(batch, self._rows.mdp.task).mean())
        stage = {} if self.curriculum is None else {"curriculum_stage": float(self.curriculum.stage)}
        if self.curriculum is not None:
            self.curriculum.observe(success)
            self.envs = self._rows = self.curriculum.envs
        turns = batch.turns.max(1) + 1  # (B,)
        assert batch.log_probs is not None  # `LanguageModelAgent` has them
        return {
            "update": float(self.num_updates),
            **self._totals,
            "return": float(batch.returns.mean()),
            "success": success,
            **stage,
            "response_tokens": float(batch.lengths.sum() / turns.sum()),
            "turns": float(turns.mean()),
            "truncated": float(batch.truncated.mean()),
            "entropy": -float(batch.log_probs[batch.mask].mean()),
            **{f"score/{name}": value for name, value in mean_parts(score_parts(batch)).items()},
            **({"frac_zero_variance_groups": self._frac_zero_variance} if self.config.group_size > 1 else {}),
            **learner_metrics,
            "seconds_env": batch.seconds_env,
            "seconds_decoding": batch.seconds_agent,
            "seconds_update": ended - collected,
        }

    def collect(self) -> Trajectories:
        """Play fresh episodes in groups of `group_size`, each on a problem drawn at random; resample if configured."""
        batch = self._collect()
        self._frac_zero_variance = frac_zero_variance_groups(batch.returns, batch.groups)
        return resample(batch, self._collect, self.config.resample) if self.config.resample else batch

    def greedy_returns(self, batch: Trajectories) -> Floats:
        """Discounted returns of greedy episodes on the problems of a batch, (B,), for the baseline of ReMax.

        One episode is played for each distinct problem, independent of the batch in the noise of the task, too.
        """
        _, first, inverse = np.unique(batch.problems, return_index=True, return_inverse=True)
        greedy = rollout(self._greedy, self.envs, problems=batch.problems.tolist(), rows=first)
        batch.seconds_env += greedy.seconds_env
        batch.seconds_agent += greedy.seconds_agent
        time = time_steps(greedy.mask, greedy.turns, self.config.effective_discount_unit)
        to_go = rewards_to_go(greedy.rewards, greedy.mask, self.config.gamma, time)
        return discounted_returns(to_go, greedy.mask)[inverse]

    def _collect(self) -> Trajectories:
        groups = np.arange(self.config.episodes) // self.config.group_size  # (B,)
        stop = self._rows.mdp.task.num_problems
        problems = self.rng.integers(2**62 if stop is None else stop, size=groups[-1] + 1)[groups]  # (B,)
        seed, self._seed = self._seed, None  # later resets continue from the first
        batch = rollout(self.agent, self.envs, seed=seed, problems=problems.tolist(), groups=groups)
        self._totals["episodes"] += len(batch)
        self._totals["tokens"] += float(batch.lengths.sum())
        return batch

    # Checkpoints

    def state(self) -> dict[str, Any]:
        """Everything needed to continue bit for bit, for `torch.save`; arrays are not copied."""
        return {
            "update": self.num_updates,
            "totals": self._totals,
            "rng": self.rng.bit_generator.state,
            "envs": None if self._seed is not None else self._rows.rng_state,
            "sampling": self.agent.generator.get_state(),
            "learner": self.learner.state(),
            **({} if self.curriculum is None else {"curriculum": self.curriculum.state()}),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the `state` of a trainer with the same configuration."""
        self._totals = state["totals"]
        if self.curriculum is not None:
            self.curriculum.restore(state["curriculum"])
            self.envs = self._rows = self.curriculum.envs
        if state["envs"] is not None:
            self._seed, self._rows.rng_state = None, state["envs"]
        self.rng.bit_generator.state = state["rng"]
        self.agent.generator.set_state(state["sampling"])
        self.learner.restore(state["learner"])
