"""What many samples of a problem say: pass@k, whether one of k is right, and maj@k, whether their vote is.

Letters: P problems, n samples of each, c of them right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.evaluation.evaluate import mean_interval, rollouts, solved, wilson_interval
from textmdp.agents.rollouts.agent import Agent
from textmdp.envs.answers import exactly_equivalent, extract_answer
from textmdp.envs.tokenizers import Tokenizer
from textmdp.envs.views.vector_env import TokenVectorEnv

Estimate = tuple[float, float, float]
Key = Callable[[str], Hashable]


@dataclass(frozen=True)
class Samples:
    """n sampled episodes of each of P problems.

    Attributes:
        problems: (P,) int64, their numbers.
        successes: (P, n) bool, full marks.
        answers: (P, n) str, the last response of each episode, stripped; what was cut off by a limit included.
    """

    problems: NDArray[np.int64]
    successes: NDArray[np.bool_]
    answers: NDArray[np.object_]


def sample_problems(
    agent: Agent, envs: TokenVectorEnv[Any], *, problems: Sequence[int], samples: int, seed: int
) -> Samples:
    """Play several episodes of each problem.

    Args:
        agent: who plays; one that draws, or all samples of a problem are the same.
        envs: with autoreset disabled, any number of rows.
        problems: their numbers, as `evaluation.choose_problems` gives them.
        samples: n, of each.
        seed: of the episodes.
    """
    if samples < 1 or not len(problems):
        raise ValueError(f"samples={samples} of {len(problems)} problems: at least 1 of at least 1 is needed")
    right: list[bool] = []
    answers: list[str] = []
    for batch in rollouts(agent, envs, np.repeat(problems, samples).tolist(), seed):
        right += solved(batch, envs.mdp.task).tolist()
        last = batch.turns == batch.turns.max(1, keepdims=True)  # (B, L)
        answers += [_text(envs.mdp.tokenizer, row[said]) for row, said in zip(batch.tokens, last, strict=True)]
    shape = len(problems), samples
    return Samples(
        np.asarray(problems, np.int64), np.array(right).reshape(shape), np.array(answers, object).reshape(shape)
    )


def at_k(samples: Samples, ks: Sequence[int], key: Key = str.strip) -> dict[str, Estimate]:
    """ "pass@k" for each k, and "maj@k" for the greatest if that is a vote: mean over problems, and 95 % interval.

    Args:
        samples: at least as many of each problem as the greatest k.
        ks: the numbers of samples that somebody would draw.
        key: see `majority_at_k`.
    """
    told = {f"pass@{k}": estimate(pass_at_k(samples.successes, k)) for k in sorted({*ks})}
    if max(ks) > 1:
        told[f"maj@{max(ks)}"] = estimate(majority_at_k(samples.successes, samples.answers, max(ks), key))
    return told


def pass_at_k(successes: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    """The probability that one of k samples is right, for each problem, (P,), without bias.

    `1 - C(n-c, k) / C(n, k)`: the share of the subsets of k that hold one of the c right samples (Chen et al. 2021,
    arXiv 2107.03374, equation 1). Whole numbers are divided last, so nothing overflows or cancels.

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
    """The probability that the most frequent of k answers is right, for each problem, (P,), without bias.

    Self-consistency (Wang et al. 2022, arXiv 2203.11171). It is the exact mean over all subsets of k of the n samples,
    and over the ties in each of them, which are broken by a fair draw. Where answers of one key differ in success, a
    fair draw decides between those, too.

    Args:
        successes: (P, n) bool.
        answers: (P, n) str.
        k: 1 to n.
        key: of an answer; those with equal keys vote together.
    """
    _samples(successes, k, "maj")
    if answers.shape != successes.shape:
        raise ValueError(f"successes {successes.shape} and answers {answers.shape} must have one shape, (P, n)")
    known: dict[tuple[tuple[int, float], ...], float] = {}
    chances = np.empty(len(successes))
    for problem, (right, said) in enumerate(zip(successes.tolist(), answers.tolist(), strict=True)):
        groups: dict[Hashable, list[bool]] = {}
        for one, text in zip(right, said, strict=True):
            groups.setdefault(key(text), []).append(one)
        votes = tuple(sorted((len(group), sum(group) / len(group)) for group in groups.values()))
        if votes not in known:
            known[votes] = majority_chance(votes, k)
        chances[problem] = known[votes]
    return chances


def majority_chance(votes: Sequence[tuple[int, float]], k: int) -> float:
    """The probability that the winner among k samples, drawn without replacement, is right.

    Summed over the votes that the winner gets. For each number of those, answers are gone through one by one, with the
    probability of every way to have drawn d samples so far, t of the answers at that number and none above it.

    Args:
        votes: of each answer the samples that gave it, and the share of them that are right.
        k: 1 to the sum of the samples.
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
    """The mean over problems, and its 95 % interval: ± 1.96 standard errors, cut to [0, 1]; (mean, low, high).

    Where all problems say 0, or all say 1, the normal approximation has no width: then it is Wilson's interval of as
    many trials.

    Args:
        values: (P,), in [0, 1]: problems are what is drawn anew in another evaluation, and not samples.
    """
    mean = float(values.mean())
    if mean in (0.0, 1.0):
        return (mean, *wilson_interval(round(mean * len(values)), len(values)))
    low, high = mean_interval(values.tolist())
    return mean, max(low, 0.0), min(high, 1.0)


def final_answer(response: str) -> Hashable:
    """The key for worked solutions: the answer that they end in; the whole text where none is found."""
    return extract_answer(response, exactly_equivalent).answer or response.strip()


def _draws(counts: Sequence[int], k: int) -> list[NDArray[np.float64]]:
    """For each answer, (k + 1, k + 1): the probability that i of the k are this one, if d were earlier ones, [d, i].

    `C(c, i) C(N, k - d - i) / C(c + N, k - d)` with c of this answer and N of later ones: hypergeometric.
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
    """n, if it is enough."""
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
