"""A trained model of SB3 as an agent, for rollouts and evaluations of textmdp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO
from stable_baselines3.common.base_class import BaseAlgorithm

from textmdp.agents.rollouts.agent import Action
from textmdp.envs.views.vector_env import TokenVectorEnv

Rows = NDArray[np.int64]


class SB3Agent:
    """Takes the actions of a model; a recurrent one keeps a state for each row.

    Args:
        model: trained on token views of the same vocabulary and context length.
        deterministic: take the most likely token.
    """

    def __init__(self, model: BaseAlgorithm, deterministic: bool = True) -> None:
        self._model, self._deterministic = model, deterministic
        self._states: Any = None
        self._starts = np.zeros(0, bool)

    def begin(self, envs: TokenVectorEnv[Any], rows: Rows) -> None:
        """Forget the states of these rows, (m,)."""
        if len(self._starts) != envs.num_envs:
            self._states, self._starts = None, np.ones(envs.num_envs, bool)
        self._starts[rows] = True

    def act(self, envs: TokenVectorEnv[Any], rows: Rows) -> Action:
        """The next token of each of these rows, (m,).

        All rows are asked about, since the caches and states of a model are those of a fixed number of rows.
        """
        observations = {"tokens": envs.tokens.copy(), "roles": envs.roles.copy()}
        others: dict[str, Any] = {}
        if isinstance(self._model, MaskablePPO):
            masks = np.ones((envs.num_envs, envs.mdp.tokenizer.vocab_size), bool)
            masks[rows] = envs.masks_of(rows)
            others = {"action_masks": masks}
        actions, self._states = self._model.predict(
            observations, state=self._states, episode_start=self._starts, deterministic=self._deterministic, **others
        )
        self._starts = np.zeros(envs.num_envs, bool)
        return Action(np.asarray(actions, np.int64)[rows])
