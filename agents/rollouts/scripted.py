"""Scripted agents: random, expert, and experts that make mistakes. Their returns bound those of a learner."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.rollouts.agent import Action
from textmdp.envs.core.episode import Episode
from textmdp.envs.core.randomness import turn_generator
from textmdp.envs.core.task import Task
from textmdp.envs.views.vector_env import TokenVectorEnv

Rows = NDArray[np.int64]


class RandomAgent:
    """Chooses legal tokens uniformly at random.

    Args:
        seed: of its own generator.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)

    def begin(self, envs: TokenVectorEnv[Any], rows: Rows) -> None:
        """Do nothing."""

    def act(self, envs: TokenVectorEnv[Any], rows: Rows) -> Action:
        """A legal token for each of these rows, (m,)."""
        return Action(draw_legal(envs, rows, self._rng))


class ExpertAgent:
    """Writes the demonstrations of `Task.demonstrate`, token by token.

    A demonstration is made at the first token of a turn that the agent is asked for, and kept until the turn ends.
    """

    def __init__(self) -> None:
        self._plans: dict[int, tuple[tuple[int, int], list[int]]] = {}  # row -> (episode's key, turn), tokens

    def begin(self, envs: TokenVectorEnv[Any], rows: Rows) -> None:
        """Forget the demonstrations of these rows, (m,)."""
        for row in rows.tolist():
            self._plans.pop(row, None)

    def act(self, envs: TokenVectorEnv[Any], rows: Rows) -> Action:
        """The next token of the demonstration for each of these rows, (m,); the end-of-turn token after its last."""
        written = (envs.lengths[rows] - envs.turn_starts[rows]).tolist()
        end_id = envs.mdp.tokenizer.end_id
        plans = [self._plan(envs, row) for row in rows.tolist()]
        return Action(np.array([p[k] if k < len(p) else end_id for p, k in zip(plans, written, strict=True)], np.int64))

    def _plan(self, envs: TokenVectorEnv[Any], row: int) -> list[int]:
        episode = envs.episodes[row]
        turn = episode.key, episode.turn
        planned = self._plans.get(row)
        if planned is None or planned[0] != turn:
            answer = self._answer(envs.mdp.task, episode)
            planned = self._plans[row] = turn, envs.mdp.tokenizer.encode(answer, errors="replace")
        return planned[1]

    def _answer(self, task: Task[Any], episode: Episode[Any]) -> str:
        # The same generator as `TextEnv.demonstrate`: both give the same answer in the same state.
        return task.demonstrate(episode.state, turn_generator(episode.key, episode.turn))


class CarelessExpertAgent(ExpertAgent):
    """An expert that makes the task's typical mistake (`Task.mistake`) in some turns.

    Args:
        mistake_rate: the probability of a mistake in a turn.
        seed: of its own generator.
    """

    def __init__(self, mistake_rate: float, seed: int = 0) -> None:
        if not 0.0 <= mistake_rate <= 1.0:
            raise ValueError(f"mistake_rate={mistake_rate} must lie in [0, 1]: the probability of a mistake in a turn")
        super().__init__()
        self._mistake_rate = mistake_rate
        self._rng = np.random.default_rng(seed)

    def _answer(self, task: Task[Any], episode: Episode[Any]) -> str:
        if self._rng.random() < self._mistake_rate:
            return task.mistake(episode.state, turn_generator(episode.key, episode.turn))
        return super()._answer(task, episode)


class NoisyExpertAgent(ExpertAgent):
    """An expert that replaces some tokens by random legal ones, and goes on as if it hadn't.

    Args:
        error_rate: the probability that a token is replaced.
        seed: of its own generator.
    """

    def __init__(self, error_rate: float, seed: int = 0) -> None:
        if not 0.0 <= error_rate <= 1.0:
            raise ValueError(f"error_rate={error_rate} must lie in [0, 1]: the probability that a token is replaced")
        super().__init__()
        self._error_rate = error_rate
        self._rng = np.random.default_rng(seed)

    def act(self, envs: TokenVectorEnv[Any], rows: Rows) -> Action:
        """The next token of the demonstration, or a random one, for each of these rows, (m,)."""
        tokens = super().act(envs, rows).tokens
        wrong = self._rng.random(len(rows)) < self._error_rate
        if wrong.any():
            tokens[wrong] = draw_legal(envs, rows[wrong], self._rng)
        return Action(tokens)


def draw_legal(envs: TokenVectorEnv[Any], rows: Rows, rng: np.random.Generator) -> Rows:
    """A legal token for each of these rows, (m,), drawn uniformly."""
    if not envs.mdp.has_grammar:
        usable = np.flatnonzero(envs.mdp.usable)
        return usable[rng.integers(len(usable), size=len(rows))].astype(np.int64, copy=False)
    tokens = np.empty(len(rows), np.int64)
    for i, row in enumerate(rows.tolist()):
        partial = envs.tokens[row, envs.turn_starts[row] : envs.lengths[row]].tolist()
        mask = envs.mdp.action_mask(envs.episodes[row], envs.mdp.tokenizer.decode(partial))
        tokens[i] = rng.choice(np.flatnonzero(mask))
    return tokens
