"""An agent whose progress is shown on the terminal while it acts."""

from __future__ import annotations

from time import perf_counter
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.cli.terminal import console
from textmdp.agents.rollouts.agent import Action, Agent
from textmdp.envs.views.vector_env import TokenVectorEnv


class Watched:
    """Acts as another agent does, and shows its episodes, tokens and speed on a terminal, nothing in a pipe.

    Args:
        agent: the agent.
        what: it is doing, such as "evaluating".
    """

    def __init__(self, agent: Agent, what: str) -> None:
        self._agent, self._what = agent, what
        self._status = console.status(f"{what} …")
        self._begun = self._running = self._tokens = 0
        self._since = perf_counter()

    def __enter__(self) -> Watched:
        if console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._status.stop()

    def begin(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> None:
        """Prepare for new episodes in these rows, (m,)."""
        self._begun += len(rows)
        self._agent.begin(envs, rows)

    def act(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> Action:
        """The other agent's action."""
        action = self._agent.act(envs, rows)
        self._tokens += len(rows) if action.lengths is None else int(action.lengths.sum())
        self._running = len(rows)
        speed = self._tokens / (perf_counter() - self._since)
        self._status.update(
            f"{self._what}   {self._begun - self._running} of {self._begun} episodes done   {self._tokens} tokens   "
            f"{speed:.0f} a second"
        )
        return action
