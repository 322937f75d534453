"""How good an agent is: accuracy with an interval, return, lengths, why turns ended; on distinct problems."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.rollouts.agent import Agent
from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.envs.core.task import Task
from textmdp.envs.tokenizers import Tokenizer
from textmdp.envs.views.vector_env import TokenVectorEnv

#: A supply that gives no new problem in this many draws, for each one wanted, counts as used up.
_PATIENCE = 20
#: Why a turn that was graded ended; any other reason cut it off.
_GRADED = ("stop", "length")

Interval = tuple[float, float]

#: The most rows that an evaluation needs: more would only take memory.
MOST_ROWS = 256


@dataclass(frozen=True)
class Evaluation:
    """What an agent did on `episodes` episodes.

    Attributes:
        episodes: how many.
        problems: how many distinct problems they were about.
        accuracy: the share that earned the task's full marks.
        accuracy_interval: Wilson's 95 % interval of it.
        mean_return: the mean undiscounted return, shaping included where there is any.
        return_interval: the mean ± 1.96 standard errors (the normal approximation).
        response_tokens: tokens of the policy, a turn, on average; its end-of-turn token included.
        turns: turns an episode, on average.
        terminated: the share of episodes that the task ended; the others were truncated.
        finish_reasons: of the last turns, each with its share.
        scores: the mean of each part of the ledger, over all turns that have it.
        transcripts: the first few episodes, for people to read.
        samples: of each problem that `at_k` is about; 0 where none were drawn.
        at_k: "pass@k" and "maj@k" of further, sampled episodes: each with its 95 % interval, (mean, low, high); see
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
        """As JSON has it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evaluation:
        """What `as_dict` gave, perhaps by way of JSON."""
        pairs = {name: (data[name][0], data[name][1]) for name in ("accuracy_interval", "return_interval")}
        at_k = {name: tuple(told) for name, told in data.get("at_k", {}).items()}  # older files have none
        return cls(**{**data, **pairs, "transcripts": tuple(data["transcripts"]), "at_k": at_k})


def evaluate(
    agent: Agent,
    envs: TokenVectorEnv[Any],
    *,
    episodes: int,
    seed: int,
    distinct: bool = True,
    transcripts: int = 8,
) -> Evaluation:
    """Let an agent play, and count.

    Args:
        agent: who plays; for a fair number, greedily.
        envs: of the held-out split, with autoreset disabled.
        episodes: how many; fewer where the task has fewer distinct problems.
        seed: of the choice of problems and of the episodes; the same for two agents that are compared.
        distinct: each problem once, so that an agent without chance doesn't count the same episode twice and the
            interval is honest. If False, a supply that is used up begins again.
        transcripts: how many episodes to keep for reading.
    """
    if episodes < 1:
        raise ValueError(f"episodes={episodes} must be at least 1")
    chosen = choose_problems(envs.mdp.task, episodes, seed)
    problems = len(chosen)
    if not distinct:
        chosen = [chosen[i % problems] for i in range(episodes)]
    tally = _Tally(envs.mdp.task)
    kept: list[dict[str, Any]] = []
    for batch in rollouts(agent, envs, chosen, seed):
        tally.add(batch)
        rows = range(min(len(batch), transcripts - len(kept)))
        kept += [transcript(batch, row, envs.mdp.tokenizer) for row in rows]
    return tally.evaluation(problems, tuple(kept))


def rollouts(agent: Agent, envs: TokenVectorEnv[Any], problems: Sequence[int], seed: int) -> Iterator[Trajectories]:
    """One episode of each problem, as many at once as `envs` has rows; the last batch may hold fewer."""
    for start in range(0, len(problems), envs.num_envs):
        wanted = [*problems[start : start + envs.num_envs]]
        padded = [*wanted, *[wanted[-1]] * (envs.num_envs - len(wanted))]
        word = int(np.random.SeedSequence([seed, start]).generate_state(1)[0])
        batch = rollout(agent, envs, seed=word, problems=padded)
        yield batch if len(wanted) == envs.num_envs else _first(batch, len(wanted))


def choose_problems(task: Task[Any], count: int, seed: int) -> list[int]:
    """The numbers of `count` problems that differ by content; of all there are, where there are fewer."""
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
    """Success of each episode, (B,): `Task.success` of its scores, since penalties and shaping change the return."""
    return np.array([task.success(episode.scores) for episode in batch.episodes], bool)


def transcript(trajectories: Trajectories, row: int, tokenizer: Tokenizer) -> dict[str, Any]:
    """One episode as JSON has it: its messages, the ledger of each turn, and how it ended."""
    episode = trajectories.episodes[row]
    said = [*episode.messages]
    if said[-1] == "":
        said.pop()
    if trajectories.finish_reasons[row] not in _GRADED:  # a response that was cut off is no message yet
        cut = trajectories.turns[row] == len(episode.scores)
        said.append(tokenizer.decode(trajectories.tokens[row][cut].tolist()))
    return {
        "problem": int(trajectories.problems[row]),
        "messages": [{"role": ("environment", "policy")[i % 2], "text": text} for i, text in enumerate(said)],
        "scores": [
            {"total": score.total, "parts": dict(score.parts), "weights": dict(score.weights)}
            for score in episode.scores
        ],
        "return": float(trajectories.returns[row]),
        "terminated": bool(trajectories.terminated[row]),
        "truncated": bool(trajectories.truncated[row]),
        "finish_reason": trajectories.finish_reasons[row],
    }


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """The score interval of a proportion: all p that a test at this confidence would not reject.

    (p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n), Wilson 1927, "Probable inference, the law of succession, and
    statistical inference", JASA 22:209-212. Unlike p̂ ± z√(p̂(1−p̂)/n) it stays in [0, 1] and has a width at 0 and 1.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} successes in {trials} trials: 0 <= successes <= trials, trials >= 1 is needed")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / trials
    centre = p + z * z / (2 * trials)
    spread = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At 0 and 1 the bounds are exact, and rounding would miss them by an ulp.
    low = 0.0 if successes == 0 else (centre - spread) / scale
    high = 1.0 if successes == trials else (centre + spread) / scale
    return low, high


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The mean ± z standard errors."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, mean
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean - half, mean + half


def share(value: float, interval: Interval | None = None) -> str:
    """A share in percent, with its interval."""
    text = f"{100 * value:.1f} %"
    return text if interval is None else f"{text} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def evaluation_rows(evaluations: Sequence[Evaluation]) -> list[list[str]]:
    """What evaluations say, row by row: a label, and a cell for each."""
    reasons = dict.fromkeys(reason for e in evaluations for reason in e.finish_reasons)
    parts = dict.fromkeys(name for e in evaluations for name in e.scores)
    sampled = dict.fromkeys(name for e in evaluations for name in e.at_k)
    rows = [
        ["accuracy", *(share(e.accuracy, e.accuracy_interval) for e in evaluations)],
        *([name, *(_at_k(e, name) for e in evaluations)] for name in sampled),
        ["mean return", *(_number(e.mean_return, e.return_interval) for e in evaluations)],
        ["response tokens", *(f"{e.response_tokens:.2f}" for e in evaluations)],
        ["turns", *(f"{e.turns:.2f}" for e in evaluations)],
        ["terminated", *(share(e.terminated) for e in evaluations)],
    ]
    for reason in reasons:
        shares = (share(e.finish_reasons.get(reason, 0.0)) for e in evaluations)
        rows.append([f"ends by {reason or 'step limit'}", *shares])
    for part in parts:
        rows.append([f"score: {part}", *(f"{e.scores[part]:.3g}" if part in e.scores else "–" for e in evaluations)])
    rows.insert(0, ["episodes", *(f"{e.episodes}" for e in evaluations)])
    return rows


def _at_k(evaluation: Evaluation, name: str) -> str:
    if name not in evaluation.at_k:
        return "–"
    mean, low, high = evaluation.at_k[name]
    return share(mean, (low, high))


def _number(value: float, interval: Interval) -> str:
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


class _Tally:
    """Sums over batches of episodes."""

    def __init__(self, task: Task[Any]) -> None:
        self._task = task
        self._returns: list[float] = []
        self._reasons: Counter[str] = Counter()
        self._parts: dict[str, list[float]] = {}
        self._successes = self._tokens = self._turns = self._terminated = 0

    def add(self, batch: Trajectories) -> None:
        self._returns += batch.returns.tolist()
        self._reasons.update(batch.finish_reasons)
        self._tokens += int(batch.lengths.sum())
        self._terminated += int(batch.terminated.sum())
        self._successes += int(solved(batch, self._task).sum())
        for episode, reason in zip(batch.episodes, batch.finish_reasons, strict=True):
            self._turns += len(episode.scores) + (reason not in _GRADED)  # the last one was cut off
            for score in episode.scores:
                for name, value in score.parts.items():
                    self._parts.setdefault(name, []).append(value)

    def evaluation(self, problems: int, transcripts: tuple[dict[str, Any], ...]) -> Evaluation:
        n = len(self._returns)
        return Evaluation(
            episodes=n,
            problems=problems,
            accuracy=self._successes / n,
            accuracy_interval=wilson_interval(self._successes, n),
            mean_return=float(np.mean(self._returns)),
            return_interval=mean_interval(self._returns),
            response_tokens=self._tokens / self._turns,
            turns=self._turns / n,
            terminated=self._terminated / n,
            finish_reasons={reason: count / n for reason, count in self._reasons.most_common()},
            scores={name: float(np.mean(values)) for name, values in self._parts.items()},
            transcripts=transcripts,
        )


def _first(batch: Trajectories, count: int) -> Trajectories:
    """The first rows of a batch."""
    columns = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    kept: dict[str, Any] = {
        name: column[:count] for name, column in columns.items() if isinstance(column, (np.ndarray, list))
    }
    return dataclasses.replace(batch, **kept)
