"""Thinking that pays: a policy that answers at once in most responses and works in some, and how often it does either.

The warm start practises worked sums first, then both ways to answer. Policy gradient with the reward for the final
answer alone then chooses between them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from textmdp.agents.algorithms.config import ImitationConfig
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs, rollout
from textmdp.agents.training.imitation import imitate
from textmdp.envs.views.vector_env import TokenVectorEnv

ENV_ID = "TextMath-v0"


class WarmStart(NamedTuple):
    """Imitation in two phases: worked demonstrations alone, then worked ones among answers."""

    difficulty: str = "modular-5"
    way: str | None = "totals"
    """The demonstrated way to work a sum; None for all of the level."""
    worked_steps: int = 1000
    """Gradient steps of the first phase, at most."""
    until: float = 0.9
    """Greedy accuracy that ends the first phase; 0 for none."""
    mixed_steps: int = 120
    """Gradient steps of the second phase."""
    steps_share: float = 0.1
    """Share of worked demonstrations in the second phase."""
    mistake_rate: float = 0.3
    """Demonstrations with a mistake: the careless answer, or an error in one step."""
    mixed_learning_rate: float = 1e-3
    """Peak learning rate of the second phase: with 3e-3, some seeds forget to add."""
    episodes: int = 64
    """Demonstrations of a gradient step."""

    def envs(self, episodes: int, split: str = "train", grammar: bool = False) -> TokenVectorEnv[Any]:
        """Make rows of the environment; `grammar` forbids steps."""
        options = {"difficulty": self.difficulty, "split": split, "way": self.way, "grammar": grammar}
        return make_envs(ENV_ID, episodes, thinking="mixed", steps_share=self.steps_share, **options)

    def train(self, seed: int) -> LanguageModel:
        """Return a tiny model after both phases."""
        worked, mixed = self._replace(steps_share=1.0).envs(self.episodes), self.envs(self.episodes)
        model = LanguageModel.tiny(mixed.mdp.tokenizer, mixed.mdp.context_length, seed=seed)
        phases = (
            (worked, self.worked_steps, self.until, ImitationConfig.learning_rate),
            (mixed, self.mixed_steps, 0.0, self.mixed_learning_rate),
        )
        for envs, steps, until, learning_rate in phases:
            config = ImitationConfig(
                seed=seed,
                steps=steps,
                until=until,
                check_every=25 if until else max(steps, 1),
                mistake_rate=self.mistake_rate,
                episodes=self.episodes,
                learning_rate=learning_rate,
            )
            imitate(model, envs, config)
        return model


class Sample(NamedTuple):
    """Responses that a policy sampled to the same problems, and what they are like on average."""

    thinks: float
    """Share of responses with steps."""
    tokens: float
    """Tokens of a response."""
    accuracy: float
    """Share of right answers."""
    accuracy_thinking: float
    """The same among responses with steps; NaN if there are none."""
    accuracy_direct: float
    """The same among responses without; NaN if there are none."""
    steps_right: float
    """Mean share of right steps."""
    transcripts: tuple[str, ...]
    """The first episodes: question and response."""


def sample(model: LanguageModel, envs: TokenVectorEnv[Any], grammar: bool = False, transcripts: int = 4) -> Sample:
    """Sample a response to each of the same problems, one a row of `envs`, with the same random numbers each time."""
    batch = rollout(LanguageModelAgent(model, grammar=grammar, seed=1), envs, seed=1)
    parts = [episode.scores[-1].parts for episode in batch.episodes]
    thinks = np.array([part["thinking_tokens"] > 0 for part in parts])
    right = np.array([part["correct"] for part in parts])
    return Sample(
        thinks=float(thinks.mean()),
        tokens=float(batch.lengths.mean()),
        accuracy=float(right.mean()),
        accuracy_thinking=_mean(right[thinks]),
        accuracy_direct=_mean(right[~thinks]),
        steps_right=float(np.mean([part["steps_right"] for part in parts])),
        transcripts=tuple("".join(episode.messages) for episode in batch.episodes[:transcripts]),
    )


def _mean(values: Any) -> float:
    return float(values.mean()) if len(values) else float("nan")
