"""Policy-gradient training of a language model on any environment; `agents.objectives` tells the algorithms apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

import textmdp.envs  # noqa: F401  # registers the ids
from textmdp.agents.advantages import zero_variance_groups
from textmdp.agents.decoding import LanguageModelAgent
from textmdp.agents.language_model import LanguageModel
from textmdp.agents.objectives import AGGREGATIONS, OBJECTIVES, token_weights
from textmdp.agents.rollout import Trajectories, rollout
from textmdp.envs.vector_env import TokenVectorEnv

Metrics = dict[str, float]

#: How far the log-probabilities of the two passes, sampling and training, may lie apart.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Config:
    """How a policy is trained."""

    algorithm: str = "reinforce-group"
    """A row of `textmdp.agents.objectives.OBJECTIVES`."""
    updates: int = 300
    """Gradient steps, each on fresh episodes."""
    episodes: int = 512
    """Episodes an update: the rows of the environment."""
    group_size: int = 8
    """Episodes of one problem in an update; it divides `episodes`."""
    discount: float = 1.0
    """γ, for each token of the policy."""
    aggregation: str = ""
    """How tokens are weighted: "token-mean", "sequence-mean", "constant"; empty for the algorithm's own."""
    temperature: float = 1.0
    """Of sampling, and of the policy that is trained: they are the same."""
    learning_rate: float = 5e-4
    """Of Adam."""
    warmup_updates: int = 5
    """Updates over which the learning rate rises to that."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are scaled down to it."""
    micro_batch: int = 0
    """Episodes in one backward pass, to bound memory; the gradient is the same for any. 0 for all at once."""
    seed: int = 0
    """Of the problems and of the sampling."""

    def __post_init__(self) -> None:
        if self.algorithm not in OBJECTIVES:
            raise ValueError(f"algorithm={self.algorithm!r} is none of {', '.join(map(repr, OBJECTIVES))}")
        if self.aggregation and self.aggregation not in AGGREGATIONS:
            raise ValueError(f"aggregation={self.aggregation!r} is none of {', '.join(map(repr, AGGREGATIONS))}")
        for name in ("episodes", "group_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.episodes % self.group_size:
            raise ValueError(f"group_size={self.group_size} must divide episodes={self.episodes}")
        if OBJECTIVES[self.algorithm].grouped and self.group_size < 2:
            raise ValueError(f"algorithm={self.algorithm!r} compares episodes of a problem: use group_size=2 or more")


def make_envs(env_id: str, num_envs: int, **options: Any) -> TokenVectorEnv[Any]:
    """The token view of a registered id as rollouts want it: `num_envs` rows, autoreset disabled, no copies.

    Args:
        env_id: a token-level id, such as "TextMath-v0".
        num_envs: rows.
        options: what `gym.make` would take: `difficulty`, `split`, ….
    """
    if gym.spec(env_id).vector_entry_point != "textmdp.envs.views:token_vector_env":
        raise ValueError(f"{env_id!r} is no token-level id of textmdp.envs, such as 'TextMath-v0'")
    return gym.make_vec(env_id, num_envs, autoreset_mode="Disabled", copy=False, **options)  # type: ignore[return-value]


class Trainer:
    """Plays, scores, updates; `for metrics in trainer.run(): …` is the whole training, and may be left at any time.

    Args:
        model: the policy, changed in place.
        envs: `config.episodes` rows of the training split, autoreset disabled (`make_envs`).
        config: how; the defaults when None.
    """

    def __init__(self, model: LanguageModel, envs: TokenVectorEnv[Any], config: Config | None = None) -> None:
        self.model, self.envs, self.config = model, envs, config or Config()
        if envs.num_envs != self.config.episodes:
            raise ValueError(
                f"an update takes episodes={self.config.episodes}, one in each row, and the environment has "
                f"{envs.num_envs} rows: make as many"
            )
        if envs.mdp.tokenizer != model.tokenizer:
            raise ValueError(f"the model writes {model.tokenizer!r}, and the environment reads {envs.mdp.tokenizer!r}")
        self.objective = OBJECTIVES[self.config.algorithm]
        self.update = 0
        seeds = np.random.SeedSequence(self.config.seed).generate_state(3).tolist()
        self.rng = np.random.default_rng(seeds[0])
        self.agent = LanguageModelAgent(model, temperature=self.config.temperature, seed=seeds[1])
        self.optimizer = torch.optim.Adam(model.network.parameters(), self.config.learning_rate)
        self._env_seed: int | None = seeds[2]
        self._totals = {"episodes": 0.0, "tokens": 0.0, "seconds": 0.0}

    def run(self) -> Iterator[Metrics]:
        """The updates that are left, one at a time: the metrics of each.

        `update`, `episodes`, `tokens` (of the policy) and `seconds` count from the start; all else is of the update:
        `return` (mean, undiscounted), `success` (share with full marks), `response_tokens` (a turn), `turns`,
        `truncated`, `entropy` (nats a token, the mean of -log π of those sampled), `grad_norm` (before clipping),
        `learning_rate`, `frac_zero_variance_groups`, and where the time went: `seconds_env`, `seconds_decoding`,
        `seconds_update`.
        """
        while self.update < self.config.updates:
            yield self.step()

    def step(self) -> Metrics:
        """One update."""
        began = perf_counter()
        batch = self.play()
        played = perf_counter()
        learned = self.learn(batch)
        ended = perf_counter()
        self.update += 1
        self._totals["episodes"] += len(batch)
        self._totals["tokens"] += float(batch.lengths.sum())
        self._totals["seconds"] += ended - began
        turns = batch.turns.max(1) + 1  # (B,)
        assert batch.log_probs is not None  # `LanguageModelAgent` tells
        entropy = -float(batch.log_probs[batch.mask].mean())
        return {
            "update": float(self.update),
            **self._totals,
            "return": float(batch.returns.mean()),
            "success": float(np.mean(batch.returns >= self.envs.mdp.task.full_marks - 1e-9)),
            "response_tokens": float(batch.lengths.sum() / turns.sum()),
            "turns": float(turns.mean()),
            "truncated": float(batch.truncated.mean()),
            "entropy": entropy,
            "frac_zero_variance_groups": zero_variance_groups(batch.returns, batch.problems),
            **learned,
            "seconds_env": batch.seconds_env,
            "seconds_decoding": batch.seconds_agent,
            "seconds_update": ended - played,
        }

    def play(self) -> Trajectories:
        """Fresh episodes: `group_size` of each of some problems."""
        count = self.config.episodes // self.config.group_size
        stop = self.envs.mdp.task.num_problems
        problems = self.rng.integers(2**62 if stop is None else stop, size=count)
        seed, self._env_seed = self._env_seed, None  # later resets go on from the first
        return rollout(self.agent, self.envs, seed=seed, problems=np.repeat(problems, self.config.group_size).tolist())

    def learn(self, batch: Trajectories) -> Metrics:
        """One gradient step on a batch."""
        config, model = self.config, self.model
        mask = batch.mask
        advantages = self.objective.advantages(batch.rewards, mask, batch.problems, config.discount)  # (B, L)
        constant = self.envs.mdp.max_response_tokens * self.envs.mdp.task.max_turns
        weights = token_weights(mask, config.aggregation or self.objective.aggregation, constant)  # (B, L)
        weighted = (weights * advantages).astype(np.float32)  # (B, L)
        tokens = torch.from_numpy(batch.tokens).to(model.device)
        roles = torch.from_numpy(batch.roles).to(model.device)

        if self.update == 0:
            with torch.no_grad():
                recomputed = model.log_probs(tokens, roles, config.temperature).log_probs
            check_log_probs(batch, recomputed.cpu().numpy())
        # Episodes whose advantages are all 0 add nothing to the gradient, and are most of them once a task is learnt.
        telling = np.flatnonzero(weighted.any(1))  # (b,)
        size = config.micro_batch or max(len(telling), 1)
        self.optimizer.zero_grad()
        for start in range(0, len(telling), size):
            rows = telling[start : start + size]
            statistics = model.log_probs(tokens[rows], roles[rows], config.temperature)
            (-(torch.from_numpy(weighted[rows]).to(model.device) * statistics.log_probs).sum()).backward()
        rate = config.learning_rate * min(1.0, (self.update + 1) / max(config.warmup_updates, 1))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = torch.nn.utils.clip_grad_norm_(model.network.parameters(), config.max_grad_norm)
        self.optimizer.step()
        return {"grad_norm": float(norm), "learning_rate": rate}


def check_log_probs(batch: Trajectories, recomputed: NDArray[np.float32]) -> None:
    """Refuse to train where the policy that is trained isn't the one that acted.

    Args:
        batch: what was sampled, with its log-probabilities.
        recomputed: those of the training pass, (B, L).
    """
    if batch.log_probs is None:
        raise ValueError("the agent didn't tell the log-probabilities of its tokens")
    gap = np.abs(batch.log_probs - recomputed)[batch.mask].max(initial=0.0)
    if not gap <= TOLERANCE:
        raise AssertionError(
            f"log-probabilities of sampling and of training differ by {gap:.2g}, more than {TOLERANCE}: the policy "
            "that is trained is not the one that acted (temperature, masks, dropout, dtype or sliding windows differ)"
        )
