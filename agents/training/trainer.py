"""Policy-gradient training of a language model on any environment; `agents.objectives` tells the algorithms apart."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np

from textmdp.agents.algorithms.advantages import (
    Floats,
    discounted_returns,
    has_reward_variance,
    rewards_to_go,
    time_steps,
    zero_variance_groups,
)
from textmdp.agents.algorithms.config import Config
from textmdp.agents.evaluation.evaluate import solved
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.batch_checks import first_batch
from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.rollouts.trajectories import Trajectories, merge
from textmdp.agents.training.learner import Learner, Metrics
from textmdp.envs.views.vector_env import TokenVectorEnv


class Trainer:
    """Plays, scores, updates; `for metrics in trainer.run(): …` is the whole training, and may be left at any time.

    Args:
        model: the policy, changed in place.
        envs: `config.episodes` rows of the training split, autoreset disabled (`make_envs`).
        config: how; the defaults when None.
        reference: what the divergence is measured from, where there is a coefficient; None for the model as it is now.
    """

    def __init__(
        self,
        model: LanguageModel,
        envs: TokenVectorEnv[Any],
        config: Config | None = None,
        reference: LanguageModel | None = None,
    ) -> None:
        self.model, self.envs, self.config = model, envs, config or Config()
        if envs.num_envs != self.config.episodes:
            raise ValueError(
                f"an update takes episodes={self.config.episodes}, one in each row, and the environment has "
                f"{envs.num_envs} rows: make as many"
            )
        if envs.mdp.tokenizer != model.tokenizer:
            raise ValueError(f"the model writes {model.tokenizer!r}, and the environment reads {envs.mdp.tokenizer!r}")
        seeds = np.random.SeedSequence(self.config.seed).generate_state(4).tolist()
        self.rng = np.random.default_rng(seeds[0])
        temperature, grammar = self.config.temperature, self.config.grammar
        self.agent = LanguageModelAgent(model, temperature=temperature, grammar=grammar, seed=seeds[1])
        self._greedy = LanguageModelAgent(model, temperature=temperature, grammar=grammar, greedy=True)
        longest = envs.mdp.max_response_tokens * envs.mdp.task.max_turns
        self.learner = Learner(model, self.config, longest, reference, seed=seeds[3])
        self._seed: int | None = seeds[2]
        self._silent = 0.0  # the share of groups without a signal in the last batch, before any was replaced
        self._totals = {"episodes": 0.0, "tokens": 0.0, "seconds": 0.0}

    def run(self) -> Iterator[Metrics]:
        """The updates that are left, one at a time: the metrics of each.

        `update`, `episodes`, `tokens` (of the policy) and `seconds` count from the start; all else is of the update:

        - of the episodes: `return` (mean, undiscounted), `success` (share with full marks), `response_tokens` (a
          turn), `turns`, `truncated`, `entropy` (nats a token, the mean of -log π of those sampled),
          `frac_zero_variance_groups` (before any were replaced);
        - of the gradient steps, on average: `loss`, `grad_norm` (before clipping), `approx_kl` (nats an action, from
          the policy that acted), `clip_fraction`, `value_loss`; and `learning_rate`;
        - `log_prob_gap` and `ratio_gap_first`: how far sampling and training are apart before the first step;
        - `kl` (nats an episode, from the reference), `kl_coef`, `explained_variance`, where there are such;
        - where the time went: `seconds_env`, `seconds_decoding`, `seconds_update`.
        """
        while self.updates_left:
            yield self.step()

    @property
    def update(self) -> int:
        """How many updates there have been."""
        return self.learner.update

    @property
    def updates_left(self) -> int:
        """How many updates there are to come."""
        return max(self.config.updates - self.update, 0)

    def step(self) -> Metrics:
        """One update."""
        began = perf_counter()
        batch = self.play()
        if self.update == 0 and (wrong := first_batch(batch, self.model.tokenizer)):
            raise AssertionError(f"the first batch is not what it should be: {wrong[0]}")
        greedy = self.greedy_returns(batch) if self.config.objective.baseline == "greedy" else None
        played = perf_counter()
        learned = self.learner.learn(batch, greedy)
        ended = perf_counter()
        self._totals["seconds"] += ended - began
        turns = batch.turns.max(1) + 1  # (B,)
        assert batch.log_probs is not None  # `LanguageModelAgent` tells
        return {
            "update": float(self.update),
            **self._totals,
            "return": float(batch.returns.mean()),
            "success": float(solved(batch, self.envs.mdp.task).mean()),
            "response_tokens": float(batch.lengths.sum() / turns.sum()),
            "turns": float(turns.mean()),
            "truncated": float(batch.truncated.mean()),
            "entropy": -float(batch.log_probs[batch.mask].mean()),
            **({"frac_zero_variance_groups": self._silent} if self.config.group_size > 1 else {}),
            **learned,
            "seconds_env": batch.seconds_env,
            "seconds_decoding": batch.seconds_agent,
            "seconds_update": ended - played,
        }

    def play(self) -> Trajectories:
        """Fresh episodes: `group_size` of each of some problems."""
        batch = self._play()
        self._silent = zero_variance_groups(batch.returns, batch.problems)
        if not self.config.resample:
            return batch
        batches, kept = [batch], [np.flatnonzero(has_reward_variance(batch.returns, batch.groups))]
        while sum(map(len, kept)) < len(batch) and len(batches) <= self.config.resample:
            batches.append(self._play())
            kept.append(np.flatnonzero(has_reward_variance(batches[-1].returns, batches[-1].groups)))
        missing = len(batch) - sum(map(len, kept))
        if missing > 0:  # too few tell apart: silent ones of the first batch fill up
            kept[0] = np.concatenate(
                [kept[0], np.flatnonzero(~has_reward_variance(batch.returns, batch.groups))[:missing]]
            )
        else:
            kept[-1] = kept[-1][: len(kept[-1]) + missing]
        return merge(batches, kept)

    def greedy_returns(self, batch: Trajectories) -> Floats:
        """The discounted returns of greedy episodes on the problems of a batch, (B,): the baseline of ReMax.

        One a problem, which all episodes of it share: it knows nothing of any of them, the task's noise included.
        """
        _, first, same = np.unique(batch.problems, return_index=True, return_inverse=True)
        greedy = rollout(self._greedy, self.envs, problems=batch.problems.tolist(), rows=first)
        batch.seconds_env += greedy.seconds_env
        batch.seconds_agent += greedy.seconds_agent
        time = time_steps(greedy.mask, greedy.turns, self.config.effective_discount_unit)
        to_go = rewards_to_go(greedy.rewards, greedy.mask, self.config.gamma, time)
        return discounted_returns(to_go, greedy.mask)[same]

    def _play(self) -> Trajectories:
        count = self.config.episodes // self.config.group_size
        stop = self.envs.mdp.task.num_problems
        problems = self.rng.integers(2**62 if stop is None else stop, size=count)
        seed, self._seed = self._seed, None  # later resets go on from the first
        batch = rollout(
            self.agent,
            self.envs,
            seed=seed,
            problems=np.repeat(problems, self.config.group_size).tolist(),
            groups=np.repeat(np.arange(count), self.config.group_size),
        )
        self._totals["episodes"] += len(batch)
        self._totals["tokens"] += float(batch.lengths.sum())
        return batch

    # Going on later

    def state(self) -> dict[str, Any]:
        """All that it takes to go on bit for bit, for `torch.save`; arrays are not copied."""
        return {
            "update": self.update,
            "totals": self._totals,
            "rng": self.rng.bit_generator.state,
            "chance": None if self._seed is not None else self.envs.rng_state,
            "sampling": self.agent.generator.get_state(),
            "learner": self.learner.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state` that a trainer of the same configuration gave."""
        self._totals = state["totals"]
        if state["chance"] is not None:
            self._seed, self.envs.rng_state = None, state["chance"]
        self.rng.bit_generator.state = state["rng"]
        self.agent.generator.set_state(state["sampling"])
        self.learner.restore(state["learner"])
