"""Evaluation of an agent on distinct problems: accuracy with its interval, return, lengths, finish reasons."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from textmdp.agents.evaluation.intervals import Interval, mean_interval, wilson_interval
from textmdp.agents.rollouts.agent import Agent
from textmdp.agents.rollouts.rollout import rollout, unwrapped
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.agents.rollouts.transcripts import GRADED, transcript
from textmdp.envs.core.task import Task

#: The most rows that an evaluation needs: more would only take memory.
MOST_ROWS = 256
#: Draws for each wanted problem after which the problems of a task count as exhausted.
_PATIENCE = 20


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        episodes: number of episodes.
        problems: number of distinct problems among them.
        accuracy: share of the episodes that succeeded, see `Task.success`.
        accuracy_interval: Wilson's 95 % interval of the accuracy.
        mean_return: mean undiscounted return, with shaping if there is any.
        return_interval: its 95 % interval, see `mean_interval`; equal returns are taken to lie between 0 and full
            marks, where these are known.
        response_tokens: mean number of the policy's tokens in a turn, the end-of-turn token included.
        turns: mean number of turns in an episode.
        terminated: share of the episodes that terminated; the others were truncated.
        finish_reasons: share of the episodes by the finish reason of their last turn.
        scores: mean of each part of the scores, those of weight 0 included, see `score_parts`.
        transcripts: the first episodes, see `transcript`.
        samples: number of sampled episodes of each problem behind `at_k`; 0 if there are none.
        at_k: "pass@k" and "maj@k", each with its 95 % interval: (mean, low, high); see
            `textmdp.agents.evaluation.pass_at_k`.
    """

    episodes: int
    problems: int
    accuracy: float
    accuracy_interval: Interval
    mean_return: float
    return_interval: Interval
    response_tokens: float
    turns: float
    terminated: float
    finish_reasons: Mapping[str, float]
    scores: Mapping[str, float]
    transcripts: tuple[dict[str, Any], ...] = ()
    samples: int = 0
    at_k: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evaluation:
        """Return the evaluation that `as_dict` gave, also after a way through JSON."""
        pairs = {name: (data[name][0], data[name][1]) for name in ("accuracy_interval", "return_interval")}
        at_k = {name: tuple(estimate) for name, estimate in data.get("at_k", {}).items()}  # older files have none
        return cls(**{**data, **pairs, "transcripts": tuple(data["transcripts"]), "at_k": at_k})


def evaluate(
    agent: Agent,
    envs: VectorEnv[Any, Any, Any],
    *,
    episodes: int,
    seed: int,
    distinct: bool = True,
    transcripts: int = 8,
) -> Evaluation:
    """Evaluate an agent.

    Args:
        agent: greedy for the accuracy that papers report.
        envs: of the held-out split, with autoreset disabled, wrapped or not.
        episodes: number of episodes; fewer if the task has fewer distinct problems.
        seed: of the choice of problems and of the episodes; use the same one for agents that are compared.
        distinct: use each problem once, so that a deterministic agent doesn't repeat an episode and the interval
            holds. If False, problems are repeated once they are exhausted.
        transcripts: number of episodes whose transcripts are kept.

    Raises:
        ValueError: `episodes` is below 1.
    """
    if episodes < 1:
        raise ValueError(f"episodes={episodes} must be at least 1")
    mdp = unwrapped(envs).mdp
    chosen = choose_problems(mdp.task, episodes, seed)
    problems = len(chosen)
    if not distinct:
        chosen = [chosen[i % problems] for i in range(episodes)]
    tally = _Tally(mdp.task)
    kept: list[dict[str, Any]] = []
    for batch in rollouts(agent, envs, chosen, seed):
        tally.add(batch)
        rows = range(min(len(batch), transcripts - len(kept)))
        kept += [transcript(batch, row, mdp.tokenizer) for row in rows]
    return tally.evaluation(problems, tuple(kept))


def rollouts(
    agent: Agent, envs: VectorEnv[Any, Any, Any], problems: Sequence[int], seed: int
) -> Iterator[Trajectories]:
    """Yield one episode of each problem, in batches of `envs.num_envs`; the last batch may hold fewer."""
    for start in range(0, len(problems), envs.num_envs):
        wanted = [*problems[start : start + envs.num_envs]]
        padded = [*wanted, *[wanted[-1]] * (envs.num_envs - len(wanted))]
        word = int(np.random.SeedSequence([seed, start]).generate_state(1)[0])
        batch = rollout(agent, envs, seed=word, problems=padded)
        yield batch if len(wanted) == envs.num_envs else _first(batch, len(wanted))


def choose_problems(task: Task[Any], count: int, seed: int) -> list[int]:
    """Return the numbers of `count` problems of different content; of all problems, if there are fewer."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x7E57]))
    if task.num_problems is not None:
        return rng.choice(task.num_problems, size=min(count, task.num_problems), replace=False).tolist()
    chosen: dict[Any, int] = {}
    for _ in range(_PATIENCE):
        numbers = rng.integers(2**62, size=count).tolist()
        for number, content in zip(numbers, task.problems(numbers), strict=True):
            chosen.setdefault(content, number)
        if len(chosen) >= count:
            break
    return [*chosen.values()][:count]


def solved(batch: Trajectories, task: Task[Any]) -> NDArray[np.bool_]:
    """Return the success of each episode, (B,): `Task.success`, since penalties and shaping change the return."""
    return np.array([task.success(episode.scores) for episode in batch.episodes], bool)


def score_parts(batch: Trajectories) -> list[dict[str, float]]:
    """Return the parts of the scores of each episode, averaged over its graded turns that have them.

    Parts of weight 0 are among them: metrics that a task reports beside its reward.
    """
    parts = []
    for episode in batch.episodes:
        values: dict[str, list[float]] = {}
        for score in episode.scores:
            for name, value in score.parts.items():
                values.setdefault(name, []).append(value)
        parts.append({name: sum(found) / len(found) for name, found in values.items()})
    return parts


def mean_parts(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each part of `score_parts`, over the episodes that have it."""
    names = dict.fromkeys(name for episode in parts for name in episode)
    return {name: float(np.mean([episode[name] for episode in parts if name in episode])) for name in names}


class _Tally:
    """Sums over batches of episodes."""

    def __init__(self, task: Task[Any]) -> None:
        self._task = task
        self._returns: list[float] = []
        self._reasons: Counter[str] = Counter()
        self._parts: list[dict[str, float]] = []
        self._successes = self._tokens = self._turns = self._terminated = 0

    def add(self, batch: Trajectories) -> None:
        self._returns += batch.returns.tolist()
        self._reasons.update(batch.finish_reasons)
        self._parts += score_parts(batch)
        self._tokens += int(batch.lengths.sum())
        self._terminated += int(batch.terminated.sum())
        self._successes += int(solved(batch, self._task).sum())
        for episode, reason in zip(batch.episodes, batch.finish_reasons, strict=True):
            self._turns += len(episode.scores) + (reason not in GRADED)  # the last one was cut off

    def evaluation(self, problems: int, transcripts: tuple[dict[str, Any], ...]) -> Evaluation:
        n = len(self._returns)
        return Evaluation(
            episodes=n,
            problems=problems,
            accuracy=self._successes / n,
            accuracy_interval=wilson_interval(self._successes, n),
            mean_return=float(np.mean(self._returns)),
            return_interval=mean_interval(self._returns, 0.0, self._task.full_marks or 0.0),
            response_tokens=self._tokens / self._turns,
            turns=self._turns / n,
            terminated=self._terminated / n,
            finish_reasons={reason: count / n for reason, count in self._reasons.most_common()},
            scores=mean_parts(self._parts),
            transcripts=transcripts,
        )


def _first(batch: Trajectories, count: int) -> Trajectories:
    """The first rows of a batch."""
    columns = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    kept: dict[str, Any] = {
        name: column[:count] for name, column in columns.items() if isinstance(column, (np.ndarray, list))
    }
    return dataclasses.replace(batch, **kept)
