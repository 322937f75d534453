"""Tokens drawn before they are asked for: until a turn ends, nothing but the policy's own tokens comes into a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.envs.views.vector_env import TokenVectorEnv

#: Tokens that a row draws at a time; fewer where a response is sent to be graded as soon as it is whole.
MOST, MOST_OF_SLOW_TASKS = 64, 4


class Lookahead:
    """What the rows of a vector environment have drawn and are yet to say.

    Args:
        rows: of the environment (n).

    Attributes:
        said: (n,), the position that each row was last given a token for.
    """

    def __init__(self, rows: int) -> None:
        self.said = np.zeros(rows, np.int64)
        self._first = np.zeros(rows, np.int64)  # the position of the first token that is kept
        self._drawn = np.zeros(rows, np.int64)  # how many are
        self._tokens = np.zeros((rows, MOST), np.int64)
        self._log_probs = np.zeros((rows, MOST), np.float32)

    def forget(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> None:
        """Let some rows have nothing to say."""
        self.said[rows] = self._drawn[rows] = 0

    def branch(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
        """Let the targets have said what the sources have; what those have yet to say is their own."""
        self.said[targets] = self.said[sources]
        self._drawn[targets] = 0

    def as_said(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows, (m,), end in the token that they were last given, and not in another's."""
        last = envs.lengths[rows] - 1
        at = np.clip(last - self._first[rows], 0, MOST - 1)  # what is out of bounds was not said
        return (self.said[rows] == last) & (self._drawn[rows] > 0) & (self._tokens[rows, at] == envs.tokens[rows, last])

    def lacking(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows, (m,), have said all that they have drawn."""
        return envs.lengths[rows] >= self._first[rows] + self._drawn[rows]

    @staticmethod
    def budgets(envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many tokens these rows, (m,), may draw: not beyond their turn or the context."""
        mdp, lengths = envs.mdp, envs.lengths[rows]
        left = np.minimum(mdp.max_response_tokens - (lengths - envs.turn_starts[rows]), mdp.context_length - lengths)
        return np.minimum(left, MOST_OF_SLOW_TASKS if mdp.task.slow else MOST)

    def keep(
        self,
        envs: TokenVectorEnv[Any],
        rows: NDArray[np.int64],
        tokens: NDArray[np.int64],
        log_probs: NDArray[np.float32],
        drawn: NDArray[np.int64],
    ) -> None:
        """What these rows, (m,), have drawn, (m, K) twice, and how many of it count, (m,)."""
        self._first[rows], self._drawn[rows] = envs.lengths[rows], drawn
        self._tokens[rows, : tokens.shape[1]], self._log_probs[rows, : tokens.shape[1]] = tokens, log_probs

    def say(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The next token of each of these rows, (m,), and its log-probability."""
        self.said[rows] = envs.lengths[rows]
        at = self.said[rows] - self._first[rows]
        return self._tokens[rows, at], self._log_probs[rows, at]
