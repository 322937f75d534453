"""The interface of agents, and the record that `act` returns."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from textmdp.envs.views.vector_env import Step, TokenVectorEnv


class Action(NamedTuple):
    """The next tokens of m rows.

    Attributes:
        tokens: (m,) int64, one token for each row; or (m, K), up to K tokens of one turn for each row.
        lengths: (m,) int64, from 1 to K, the number of tokens of each row, behind which anything may stand; None with
            tokens (m,).
        log_probs: float32, of the shape of `tokens`: log-probabilities under the policy that sampled them; None if
            unknown.
        allowed: (m, V) bool, the tokens that the choice was restricted to; None for no restriction. With tokens (m,)
            only.
    """

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64] | None = None
    log_probs: NDArray[np.float32] | None = None
    allowed: NDArray[np.bool_] | None = None


class Agent(Protocol):
    """Chooses tokens for rows of a vector environment."""

    def begin(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> None:
        """Prepare for new episodes in these rows, (m,)."""

    def act(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> Action:
        """The next token or tokens of each of these rows, (m,), whose episodes are under way.

        Several tokens for a row are allowed if `envs.can_append`. They end where the turn ends, at the latest.
        """


def take_action(envs: TokenVectorEnv[Any], rows: NDArray[np.int64], action: Action) -> Step:
    """Step the environment: `step_rows` with one token for each of the rows, (m,), `append` with several."""
    if action.lengths is None:
        return envs.step_rows(rows, action.tokens)
    return envs.append(rows, action.tokens, action.lengths)
