"""Estimators on trial: advantage estimators against the exact advantages, on every diagnostic and its sweep.

    python -m textmdp.benchmarks.credit
    python -m textmdp.benchmarks.credit --quick

Policies are tables of logits over all prefixes of a diagnostic, so that the exact advantages, gradients and returns are
known. Two questions:

- accuracy: the cosine of the gradient of one batch with the exact gradient, and the correlation of the estimates with
  the exact advantages, under a fixed policy; with as many episodes for all, and with as many tokens (branches count).
- learning: the returns of tables that are trained from the uniform policy with each estimator, one Adam step a batch.
  The score, in [0, 1], is the mean over the training of (return − random) / (best − random), at equal tokens and at
  equal episodes; and the tokens until that is 0.9.

Writes `credit.csv` (a difficulty, estimator and seed a row), `credit.json` (the summary, and the referee's verdict on
every row of the table of algorithms), `credit_radar.png` (scores by diagnostic) and `credit_sweeps.png` (scores over
the difficulties).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from textmdp.agents.algorithms.objectives import OBJECTIVES
from textmdp.agents.credit.audit import audit
from textmdp.agents.credit.cases import Case
from textmdp.agents.credit.contenders import CONTENDERS, Contender, Situation, TableCritic
from textmdp.agents.credit.exact_values import ExactValues, exact_values
from textmdp.agents.credit.prefix_tree import PrefixTree
from textmdp.agents.credit.tables import SampledEpisodes, policy_gradient, sample_episodes, softmax
from textmdp.benchmarks.common import parallel, provenance, seeds_parser, write_csv, write_json
from textmdp.benchmarks.credit_figures import draw_radar, draw_sweeps, scores_of, summary
from textmdp.envs.tasks.diagnostics import (
    TextDelay,
    TextDepth,
    TextDistractor,
    TextFormatTrap,
    TextKeyDoor,
    TextLengthBias,
    TextMemory,
    TextScale,
    TextStopping,
    TextUmbrella,
)

#: Difficulties of each diagnostic, from easy to hard, whose prefixes can be enumerated.
SWEEPS: dict[type[Any], tuple[float, ...]] = {
    TextUmbrella: (1, 4, 8),
    TextMemory: (1, 16, 64),
    TextDelay: (4, 64, 256),
    TextDistractor: (0.0, 2.0, 8.0),
    TextLengthBias: (2, 8, 32),
    TextScale: (1.0, 10.0, 100.0),
    TextFormatTrap: (0.0, 1.0, 4.0),
    TextKeyDoor: (0, 2, 8),
    TextStopping: (2, 8, 32),
    TextDepth: (2, 6, 8),
}
EPISODES, GROUP_SIZE = 16, 4
LEARNING_RATE = 0.05
#: Update rate of the running mean of returns.
RUNNING = 0.05
Row = dict[str, Any]


class Run(NamedTuple):
    """Arguments of `trials`."""

    seed: int
    updates: int
    every: int
    batches: int
    sweeps: dict[type[Any], tuple[float, ...]]


def trials(run: Run) -> list[Row]:
    """The rows of one seed: every estimator on every difficulty."""
    rows: list[Row] = []
    for kind, difficulties in run.sweeps.items():
        for difficulty in difficulties:
            task = kind(**{kind.sweep[0]: difficulty})
            case = Case(task)
            for name, contender in CONTENDERS.items():
                rng = np.random.default_rng([run.seed, len(rows)])
                row = {"diagnostic": kind.__name__, "difficulty": difficulty, "estimator": name, "seed": run.seed}
                rows.append(row | accuracy(case, contender, run.batches, rng))
                rows[-1] |= learning(case.tree, contender, run.updates, run.every, rng)
        print(f"seed {run.seed}  {kind.__name__}", flush=True)
    return rows


def batches(
    values: ExactValues, contender: Contender, rng: np.random.Generator, critic: TableCritic, episodes: int
) -> Iterator[tuple[SampledEpisodes, Any]]:
    """Batches of a fixed policy, and what the estimator makes of each."""
    size = GROUP_SIZE if episodes % GROUP_SIZE == 0 else 1
    while True:
        batch = sample_episodes(values.tree, values.policy, episodes, rng, size)
        yield batch, contender(Situation(values.tree, values.policy, batch, critic, values.expected_return, rng))


def accuracy(case: Case, contender: Contender, count: int, rng: np.random.Generator) -> Row:
    """The accuracy of the estimates of single batches, under the uneven policy of the referee.

    The critic has learnt from one batch.
    """
    values = exact_values(case.tree, case.policy)
    critic = TableCritic(case.tree.num_prefixes)
    critic.learn(case.tree, sample_episodes(case.tree, case.policy, EPISODES, rng))
    found: Row = {}
    ratio = 1.0
    for budget in ("episodes", "tokens"):
        episodes = EPISODES
        if budget == "tokens" and ratio > 1:
            episodes = max(int(EPISODES / ratio), 1)
            episodes -= episodes % GROUP_SIZE if episodes > GROUP_SIZE else 0
        cosines, estimates, truths, tokens, extra = [], [], [], 0, 0
        for batch, credit in _first(batches(values, contender, rng, critic, episodes), count):
            gradient = policy_gradient(case.tree, values.policy, batch.edges, credit.advantages)
            cosines.append(_cosine(gradient, values.logit_gradient))
            estimates.append(credit.advantages[batch.mask])
            truths.append(values.a[batch.edges[batch.mask]])
            tokens += int(batch.mask.sum())
            extra += credit.extra_tokens
        ratio = 1 + extra / tokens
        found[f"cosine_{budget}"] = float(np.mean(cosines))
        found[f"correlation_{budget}"] = _correlation(np.concatenate(estimates), np.concatenate(truths))
    return {"tokens_ratio": ratio, **found}


def learning(tree: PrefixTree, contender: Contender, updates: int, every: int, rng: np.random.Generator) -> Row:
    """The score of training with an estimator, at equal tokens and at equal episodes.

    The budget of tokens is that of `updates` batches of the uniform policy.
    """
    logits = torch.zeros(tree.num_edges, dtype=torch.float64)
    optimizer = torch.optim.Adam([logits], lr=LEARNING_RATE)
    values = exact_values(tree, softmax(tree, logits.numpy()))
    low, best = values.expected_return, values.optimal_return
    critic, mean_return = TableCritic(tree.num_prefixes), 0.0
    budget = updates * EPISODES * _mean_tokens(values)
    used, shares = [0], [0.0]
    for update in range(1, updates + 1):
        policy = softmax(tree, logits.numpy())
        batch = sample_episodes(tree, policy, EPISODES, rng, GROUP_SIZE)
        credit = contender(Situation(tree, policy, batch, critic, mean_return, rng))
        gradient = policy_gradient(tree, policy, batch.edges, credit.advantages)
        logits.grad = torch.from_numpy(-gradient)
        optimizer.step()
        critic.learn(tree, batch)
        mean_return += (RUNNING if update > 1 else 1.0) * (float(batch.returns.mean()) - mean_return)
        used.append(used[-1] + int(batch.mask.sum()) + credit.extra_tokens)
        if update % every == 0 or update == updates:
            now = exact_values(tree, softmax(tree, logits.numpy())).expected_return
            last = len(shares)
            reached = (now - low) / (best - low)
            shares.extend(np.linspace(shares[-1], reached, update - last + 2)[1:].tolist())
    return {
        "score_tokens": _mean_share(np.array(used), np.array(shares), budget),
        "score_episodes": float(np.mean(np.clip(shares, 0, 1))),
        "final": shares[-1],
        "tokens_to_90": float(used[int(np.argmax(np.array(shares) >= 0.9))]) if max(shares) >= 0.9 else float("inf"),
    }


def _mean_tokens(values: ExactValues) -> float:
    """The expected number of the policy's tokens in an episode."""
    return float(values.occupancy.sum())


def _mean_share(used: np.ndarray, shares: np.ndarray, budget: float) -> float:
    """The mean of a curve over tokens up to the budget; it goes on as it ended if it ends before."""
    grid = np.linspace(0, budget, 201)[1:]
    return float(np.clip(np.interp(grid, used, shares), 0, 1).mean())


def _first(pairs: Iterator[Any], count: int) -> Iterator[Any]:
    return (pair for pair, _ in zip(pairs, range(count), strict=False))


def _cosine(x: np.ndarray, y: np.ndarray) -> float:
    norms = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norms if norms > 0 else 0.0


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    spread = float(x.std() * y.std())
    return float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread > 0 else 0.0


def main() -> None:
    """Run the seeds; write and print the results."""
    parser = seeds_parser(__doc__, updates=200, every=10, episodes=EPISODES)
    parser.add_argument("--batches", type=int, default=40, help="of the accuracy (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one seed, the easiest difficulties, 20 updates")
    arguments = parser.parse_args()
    sweeps = {kind: values[:1] for kind, values in SWEEPS.items()} if arguments.quick else SWEEPS
    seeds: Sequence[int] = arguments.seeds[:1] if arguments.quick else arguments.seeds
    updates, count = (20, 5) if arguments.quick else (arguments.updates, arguments.batches)
    rows = parallel(trials, [Run(seed, updates, arguments.every, count, sweeps) for seed in seeds], arguments.jobs)
    write_csv(rows, arguments.out / "credit.csv")
    verdicts = {name: audit(name).verdict for name in OBJECTIVES}
    figures = {"summary": summary(rows), "scores": scores_of(rows), "verdicts": verdicts, **provenance("credit")}
    write_json(figures, arguments.out / "credit.json")
    draw_radar(rows, arguments.out / "credit_radar.png")
    draw_sweeps(rows, arguments.out / "credit_sweeps.png")
    for line in figures["summary"]:
        print(
            f"{line['estimator']:18} score {line['score_tokens'][0]:.3f} [{line['score_tokens'][1]:.3f}, "
            f"{line['score_tokens'][2]:.3f}] at equal tokens, {line['score_episodes'][0]:.3f} at equal episodes; "
            f"cosine {line['cosine_tokens'][0]:.3f}, {line['cosine_episodes'][0]:.3f}"
        )


if __name__ == "__main__":
    main()
