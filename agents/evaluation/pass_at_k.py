"""pass@k and maj@k: the probability that one of k samples, or their majority vote, is right.

Letters: P problems, n samples of each, c of them right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from textmdp.agents.evaluation.evaluate import rollouts, solved
from textmdp.agents.evaluation.intervals import mean_interval
from textmdp.agents.rollouts.agent import Agent
from textmdp.agents.rollouts.rollout import unwrapped
from textmdp.envs.answers import exactly_equivalent, extract_answer
from textmdp.envs.tokenizers import Tokenizer

Estimate = tuple[float, float, float]
Key = Callable[[str], Hashable]


@dataclass(frozen=True)
class Samples:
    """n sampled episodes of each of P problems.

    Attributes:
        problems: (P,) int64, their numbers.
        successes: (P, n) bool, see `Task.success`.
        answers: (P, n) str, the last response of each episode, stripped, finished or not.
    """

    problems: NDArray[np.int64]
    successes: NDArray[np.bool_]
    answers: NDArray[np.object_]


def sample_problems(
    agent: Agent, envs: VectorEnv[Any, Any, Any], *, problems: Sequence[int], samples: int, seed: int
) -> Samples:
    """Sample several episodes of each problem.

    Args:
        agent: one that samples; a deterministic one repeats itself.
        envs: any number of rows, with autoreset disabled.
        problems: their numbers, see `choose_problems`.
        samples: n, episodes of each.
        seed: of the episodes.

    Raises:
        ValueError: there are no problems, or `samples` is below 1.
    """
    if samples < 1 or not len(problems):
        raise ValueError(f"samples={samples} of {len(problems)} problems: at least 1 of at least 1 is needed")
    mdp = unwrapped(envs).mdp
    right: list[bool] = []
    answers: list[str] = []
    for batch in rollouts(agent, envs, np.repeat(problems, samples).tolist(), seed):
        right += solved(batch, mdp.task).tolist()
        last = batch.turns == batch.turns.max(1, keepdims=True)  # (B, T)
        answers += [_text(mdp.tokenizer, row[at]) for row, at in zip(batch.tokens, last, strict=True)]
    shape = len(problems), samples
    return Samples(
        np.asarray(problems, np.int64), np.array(right).reshape(shape), np.array(answers, object).reshape(shape)
    )


def at_k(samples: Samples, ks: Sequence[int], key: Key = str.strip) -> dict[str, Estimate]:
    """Return the estimates of "pass@k" for each k, and of "maj@k" for the largest k above 1.

    Args:
        samples: at least the largest k of each problem.
        ks: numbers of samples.
        key: see `majority_at_k`.
    """
    estimates = {f"pass@{k}": estimate(pass_at_k(samples.successes, k)) for k in sorted({*ks})}
    if max(ks) > 1:
        estimates[f"maj@{max(ks)}"] = estimate(majority_at_k(samples.successes, samples.answers, max(ks), key))
    return estimates


def pass_at_k(successes: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    """Return the unbiased estimate of the probability that one of k samples is right, for each problem, (P,).

    `1 - C(n-c, k) / C(n, k)`: the share of the subsets of size k with at least one of the c right samples (Chen et al.
    2021, arXiv 2107.03374, equation 1). Integers are divided last, so nothing overflows or cancels.

    Args:
        successes: (P, n) bool.
        k: 1 to n.
    """
    n = _samples(successes, k, "pass")
    every = math.comb(n, k)
    table = np.array([(every - math.comb(n - c, k)) / every for c in range(n + 1)])  # (n + 1,)
    return table[successes.sum(1)]


def majority_at_k(
    successes: NDArray[np.bool_], answers: NDArray[np.object_], k: int, key: Key = str.strip
) -> NDArray[np.float64]:
    """Return the unbiased estimate of the probability that the vote of k samples is right, for each problem, (P,).

    Self-consistency (Wang et al. 2022, arXiv 2203.11171). The estimate is the exact mean over all subsets of k of the
    n samples; ties are broken uniformly at random. If answers of one key differ in success, one of them is drawn
    uniformly, too.

    Args:
        successes: (P, n) bool.
        answers: (P, n) str.
        k: 1 to n.
        key: maps an answer to what is counted; answers with equal keys are one choice.
    """
    _samples(successes, k, "maj")
    if answers.shape != successes.shape:
        raise ValueError(f"successes {successes.shape} and answers {answers.shape} must have one shape, (P, n)")
    known: dict[tuple[tuple[int, float], ...], float] = {}
    chances = np.empty(len(successes))
    for problem, (right, texts) in enumerate(zip(successes.tolist(), answers.tolist(), strict=True)):
        groups: dict[Hashable, list[bool]] = {}
        for one, text in zip(right, texts, strict=True):
            groups.setdefault(key(text), []).append(one)
        votes = tuple(sorted((len(group), sum(group) / len(group)) for group in groups.values()))
        if votes not in known:
            known[votes] = majority_chance(votes, k)
        chances[problem] = known[votes]
    return chances


def majority_chance(votes: Sequence[tuple[int, float]], k: int) -> float:
    """Return the probability that the most frequent of k samples, drawn without replacement, is right.

    It is the sum over the number of votes of the winner. For each such number, a recursion over the answers keeps the
    probability of having drawn d samples, with t answers at that number of votes and none above it.

    Args:
        votes: for each answer, the number of its samples, and the share of them that are right.
        k: 1 to the total number of samples.
    """
    chances = _draws([count for count, _ in votes], k)
    total = 0.0
    for level in range(1, k + 1):
        ties = k // level
        ways = np.zeros((k + 1, ties + 1))  # probability, by d and t
        right = np.zeros((k + 1, ties + 1))  # the same, times the sum of the shares of the answers at this level
        ways[0, 0] = 1.0
        for (count, share), chance in zip(votes, chances, strict=True):
            new_ways, new_right = np.zeros_like(ways), np.zeros_like(right)
            for drawn in range(min(count, level, k) + 1):
                stop = k + 1 - drawn
                moved = chance[:stop, drawn, None] * ways[:stop]
                moved_right = chance[:stop, drawn, None] * right[:stop]
                if drawn < level:
                    new_ways[drawn:] += moved
                    new_right[drawn:] += moved_right
                else:
                    new_ways[drawn:, 1:] += moved[:, :-1]
                    new_right[drawn:, 1:] += moved_right[:, :-1] + share * moved[:, :-1]
            ways, right = new_ways, new_right
        total += float((right[k, 1:] / np.arange(1, ties + 1)).sum())
    return min(total, 1.0)


def estimate(values: NDArray[np.float64]) -> Estimate:
    """Return the mean over problems and its 95 % interval, cut to [0, 1]: (mean, low, high).

    See `mean_interval`, which is Wilson's interval if all values are 0 or all are 1.

    Args:
        values: (P,), in [0, 1]; the interval is for another draw of problems.
    """
    mean = float(values.mean())
    low, high = mean_interval(values.tolist(), 0.0, 1.0)
    return mean, max(low, 0.0), min(high, 1.0)


def final_answer(response: str) -> Hashable:
    """Return the final answer of a worked solution, or the whole text if there is none: a key for `majority_at_k`."""
    return extract_answer(response, exactly_equivalent).answer or response.strip()


def _draws(counts: Sequence[int], k: int) -> list[NDArray[np.float64]]:
    """For each answer, (k + 1, k + 1): at [d, i] the probability of i of its samples, after d of earlier answers.

    `C(c, i) C(N, k - d - i) / C(c + N, k - d)` with c samples of this answer and N of later ones: hypergeometric.
    """
    chances, later = [], sum(counts)
    for count in counts:
        later -= count
        chance = np.zeros((k + 1, k + 1))
        for before in range(k + 1):
            left = k - before
            every = math.comb(count + later, left)
            for drawn in range(min(count, left) + 1 if every else 0):
                chance[before, drawn] = math.comb(count, drawn) * math.comb(later, left - drawn) / every
        chances.append(chance)
    return chances


def _samples(successes: NDArray[np.bool_], k: int, name: str) -> int:
    """n, after a check of k."""
    if successes.ndim != 2 or not len(successes):
        raise ValueError(f"successes {successes.shape} must be (P, n): a row for each of P >= 1 problems")
    n = successes.shape[1]
    if not 1 <= k <= n:
        raise ValueError(
            f"{name}@{k} needs k from 1 to the n={n} samples of each problem: draw more samples, or ask for less"
        )
    return n


def _text(tokenizer: Tokenizer, tokens: NDArray[np.int64]) -> str:
    return tokenizer.decode(tokens.tolist()).strip()
