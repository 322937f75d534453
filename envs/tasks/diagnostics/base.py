"""The base class of diagnostics: tasks so small that their values are known exactly."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from textmdp.envs.core.task import Outcome, Reply, S, Score, Task


class Diagnostic(Task[S]):
    """A task that isolates one difficulty of credit assignment, with known returns and known chance.

    A task implements `outcomes` instead of `reply`. Score parts named `correct` decide the success.

    Attributes:
        sweep: the argument that sets the difficulty, and values of it from easy to hard.
    """

    sweep: ClassVar[tuple[str, tuple[float, ...]]]
    full_marks = None

    @property
    @abstractmethod
    def optimal_return(self) -> float:
        """The expected return of the best policy, the mean over the problems."""

    @property
    @abstractmethod
    def random_return(self) -> float:
        """The expected return of a policy that draws each legal token with the same probability."""

    @abstractmethod
    def outcomes(self, state: S, response: str) -> Sequence[Outcome[S]]:
        """The possible replies with their probabilities. See `Task.outcomes`."""

    def reply(self, state: S, response: str, rng: np.random.Generator) -> Reply[S]:
        """One of the `outcomes`, drawn with its probability."""
        outcomes = self.outcomes(state, response)
        if len(outcomes) == 1:
            return outcomes[0].reply
        bounds = np.cumsum([outcome.probability for outcome in outcomes])
        drawn = int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))
        return outcomes[drawn].reply

    def success(self, scores: Sequence[Score]) -> bool:
        """True if a score has `correct=1`."""
        return any(score.parts.get("correct") == 1.0 for score in scores)


def checked(name: str, value: float, least: float) -> float:
    """An argument of a diagnostic; a `ValueError` if it is less than `least`."""
    if not value >= least:
        raise ValueError(f"{name}={value} must be at least {least}")
    return value


def numbered(index: int, count: int) -> int:
    """The number of a problem; an `IndexError` if it isn't one of `count`."""
    if not 0 <= index < count:
        raise IndexError(f"problem {index}: there are problems 0 to {count - 1}")
    return int(index)
