"""A warm start: cross-entropy on the demonstrations of an expert that is often careless.

Demonstrations are imperfect on purpose, and in a systematic way: most of the time the expert makes the task's typical
mistake. What is learnt is both ways to answer, the wrong one foremost; to prefer the right one is left to rewards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import torch

from textmdp.agents.algorithms.config import ImitationConfig
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.rollouts.scripted import CarelessExpertAgent
from textmdp.envs.views.vector_env import TokenVectorEnv

Metrics = dict[str, float]


def imitate(
    model: LanguageModel,
    envs: TokenVectorEnv[Any],
    config: ImitationConfig | None = None,
    report: Callable[[Metrics], None] | None = None,
) -> list[Metrics]:
    """Train a model, in place, to write what a careless expert writes.

    Args:
        model: changed in place.
        envs: `config.episodes` rows of the training split, with autoreset disabled.
        config: how; the defaults when None.
        report: called with the metrics of each look at the accuracy.

    Returns:
        The metrics of each look: `step`, `episodes`, `seconds`, `loss` (nats a token), and the greedy `accuracy`.
    """
    config = config or ImitationConfig()
    if envs.num_envs != config.episodes:
        raise ValueError(
            f"a step takes episodes={config.episodes}, one in each row, and the environment has {envs.num_envs} rows"
        )
    seeds = np.random.SeedSequence(config.seed).generate_state(2).tolist()
    expert = CarelessExpertAgent(config.mistake_rate, seed=seeds[0])
    learner = LanguageModelAgent(model, greedy=True)
    optimizer = torch.optim.Adam(model.network.parameters(), config.learning_rate, fused=True)
    envs.reset(seed=seeds[1])  # what follows draws on: no two batches are the same
    full_marks = envs.mdp.task.full_marks - 1e-9
    history: list[Metrics] = []
    began = perf_counter()
    for step in range(1, config.steps + 1):
        batch = rollout(expert, envs)
        tokens, roles = (torch.from_numpy(array).to(model.device) for array in (batch.tokens, batch.roles))
        loss = -model.log_probs(tokens, roles).log_probs.sum() / batch.mask.sum()
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(step / config.steps)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.network.parameters(), config.max_grad_norm)
        optimizer.step()
        if step % config.check_every == 0 or step == config.steps:
            metrics = {
                "step": float(step),
                "episodes": float(step * len(batch)),
                "seconds": perf_counter() - began,
                "loss": loss.item(),
                "accuracy": float(np.mean(rollout(learner, envs).returns >= full_marks)),
            }
            history.append(metrics)
            if report is not None:
                report(metrics)
    return history


def _schedule(share: float) -> float:
    """What the learning rate is multiplied with when this share of the steps is done: up, then down to a tenth."""
    return min(1.0, 20 * share) * (0.1 + 0.9 * (1 + math.cos(math.pi * share)) / 2)
