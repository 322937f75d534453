"""Imitation: cross-entropy on the demonstrations of an expert that often makes the task's typical mistake.

The model learns to write answers in the right format, most of them wrong in a systematic way, so that rewards have
something left to teach.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from textmdp.agents.algorithms.config import ImitationConfig
from textmdp.agents.evaluation.evaluate import solved
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import rollout, unwrapped
from textmdp.agents.rollouts.scripted import CarelessExpertAgent

Metrics = dict[str, float]


def imitate(
    model: LanguageModel,
    envs: VectorEnv[Any, Any, Any],
    config: ImitationConfig | None = None,
    report: Callable[[Metrics], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Metrics]:
    """Train a model on the demonstrations of a careless expert.

    Args:
        model: changed in place.
        envs: `config.episodes` rows of the training split, with autoreset disabled.
        config: hyperparameters; the defaults if None.
        report: called with the metrics of each check.
        progress: called with the number of steps done, before each step.

    Returns:
        The metrics of each check: `step`, `episodes`, `seconds`, `loss` (nats a token), and the greedy `accuracy`.

    Raises:
        ValueError: the environment has another number of rows.
    """
    config = config or ImitationConfig()
    if envs.num_envs != config.episodes:
        raise ValueError(
            f"a step plays episodes={config.episodes}, one in each row, and the environment has {envs.num_envs} rows: "
            f"make the environment with {config.episodes}"
        )
    seeds = np.random.SeedSequence(config.seed).generate_state(2).tolist()
    expert = CarelessExpertAgent(config.mistake_rate, seed=seeds[0])
    learner = LanguageModelAgent(model, greedy=True)
    optimizer = torch.optim.Adam(model.trainable(), config.learning_rate, fused=True)
    envs.reset(seed=seeds[1])  # later resets continue from this seed, so no two batches are equal
    history: list[Metrics] = []
    began = perf_counter()
    for step in range(1, config.steps + 1):
        if progress is not None:
            progress(step - 1)
        batch = rollout(expert, envs)
        tokens, roles = torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)
        loss = -model.log_probs(tokens, roles).log_probs.sum() / batch.mask.sum()
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(step / config.steps)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.trainable(), config.max_grad_norm)
        optimizer.step()
        if step % config.check_every == 0 or step == config.steps:
            metrics = {
                "step": float(step),
                "episodes": float(step * len(batch)),
                "seconds": perf_counter() - began,
                "loss": loss.item(),
                "accuracy": float(solved(rollout(learner, envs), unwrapped(envs).mdp.task).mean()),
            }
            history.append(metrics)
            if report is not None:
                report(metrics)
            if 0.0 < config.until <= metrics["accuracy"]:
                break
    return history


def _schedule(progress: float) -> float:
    """The factor of the learning rate at a progress in [0, 1]: linear warm-up over 5 %, cosine decay to 0.1."""
    return min(1.0, 20 * progress) * (0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2)
