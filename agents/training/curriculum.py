"""A curriculum by success: training goes on to the next, harder stage when enough of the present one is solved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textmdp.envs.views.vector_env import TokenVectorEnv


class Curriculum:
    """Stages of training, and the rule that goes on from one to the next.

    A stage ends when the mean success of its last `window` updates is at least `threshold`; the last stage never ends.

    Args:
        stages: environments from easy to hard, with the same rows, tokenizer, budget and context length, such as
            `make_envs("TextMath-v0", 512, difficulty=level, shared=True)` for each level.
        threshold: fraction of episodes with full marks, in (0, 1].
        window: number of updates, at least 1.

    Raises:
        ValueError: an argument is out of range, or two stages differ in their limits.
    """

    def __init__(self, stages: Sequence[TokenVectorEnv[Any]], threshold: float = 0.8, window: int = 3) -> None:
        if not stages:
            raise ValueError("a curriculum needs at least one stage")
        if not 0.0 < threshold <= 1.0:
            raise ValueError(f"threshold={threshold} must lie in (0, 1]: the fraction of episodes with full marks")
        if window < 1:
            raise ValueError(f"window={window} must be at least 1: the number of updates")
        limits = [
            (envs.num_envs, envs.mdp.tokenizer, envs.mdp.max_response_tokens, envs.mdp.context_length)
            for envs in stages
        ]
        for number, other in enumerate(limits):
            if other != limits[0]:
                raise ValueError(
                    f"stage {number} has (rows, tokenizer, budget, context length) {other}, and stage 0 {limits[0]}: "
                    "one model needs the same for all, in TextMath with shared=True"
                )
        self.stages, self.threshold, self.window = [*stages], threshold, window
        self.stage = 0
        self._recent: list[float] = []  # successes of the stage's last updates

    @property
    def envs(self) -> TokenVectorEnv[Any]:
        """The environment of the present stage."""
        return self.stages[self.stage]

    def observe(self, success: float) -> None:
        """Record the success of an update, and go on to the next stage if the present one is learnt."""
        self._recent = [*self._recent, success][-self.window :]
        learnt = len(self._recent) == self.window and sum(self._recent) / self.window >= self.threshold
        if learnt and self.stage < len(self.stages) - 1:
            seeds = self.envs.rng_state
            self.stage, self._recent = self.stage + 1, []
            self.envs.rng_state = seeds  # the next stage goes on where this one stopped

    def state(self) -> dict[str, Any]:
        """Everything needed to continue, as plain data."""
        return {"stage": self.stage, "recent": self._recent}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the `state` of a curriculum with the same stages."""
        self.stage, self._recent = state["stage"], [*state["recent"]]
