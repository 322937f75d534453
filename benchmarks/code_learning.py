"""Learning to write programs: the share of hidden tests passed on held-out problems of TextCode, against training time.

    python -m textmdp.benchmarks.code_learning --seeds 0 1 2 3 4

Each seed warms up a model from random weights by imitation of an expert that makes mistakes; then each algorithm trains
a copy of it, at the default difficulty. Seeds run in processes of their own, on one core each. Seconds are those of the
policy gradient, grading included, without the imitation and the evaluations, which are greedy.

The cost of grading is measured afterwards, one run at a time: the first updates are run with a judge whose cache of
verdicts is empty, and again with the same judge, whose cache is then complete. The difference is all of the time that
grading takes, also where nothing waits for it, since the judge's processes share the cores.

Output, in `--out`: `code_learning.csv` (a row for each evaluation), `code_learning.json` (a summary of each seed, the
configuration, and responses of the first seed before and after) and `code_learning.png` (a curve for each seed).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.algorithms.objectives import OBJECTIVES
from textmdp.agents.evaluation.evaluate import Evaluation, evaluate
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.training.trainer import Trainer
from textmdp.benchmarks.common import (
    held_out_envs,
    parallel,
    plot_seed,
    provenance,
    seeds_parser,
    style_axes,
    warm_start,
    write_csv,
    write_json,
)
from textmdp.envs.judge import Judge

ENV_ID = "TextCode-v0"
ALGORITHMS = ("reinforce-group", "ppo")
Row = dict[str, Any]


def imitation(seed: int) -> ImitationConfig:
    """Return the imitation: fewer steps than the default, since programs are learnt sooner, and more mistakes."""
    return ImitationConfig(seed=seed, steps=200, mistake_rate=0.7)


def setting(algorithm: str, seed: int, updates: int) -> Config:
    """Return the configuration of an algorithm: the defaults, with 256 episodes an update.

    Algorithms with several gradient steps a batch have a smaller learning rate: of 5e-4, 3e-4 and 1.5e-4, tried on the
    warm start of seed 0, the last was the best (0.86 to 0.91, 0.93 to 0.96, and 0.97 to 0.98 of the tests after 100
    updates).
    """
    config = Config(algorithm=algorithm, seed=seed, updates=updates, episodes=256)
    return config if OBJECTIVES[algorithm].epochs == 1 else replace(config, learning_rate=1.5e-4)


def curves(run: tuple[int, int, int, int]) -> list[Row]:
    """Return the evaluations of a run (seed, updates, every, episodes), and print them on the way."""
    seed, updates, every, episodes = run
    start, warm_up = warm_start(ENV_ID, seed, imitation(seed))
    held_out = held_out_envs(ENV_ID, episodes)
    rows: list[Row] = []

    def add_row(algorithm: str, model: Any, metrics: Sequence[dict[str, float]]) -> None:
        agent = LanguageModelAgent(model, greedy=True)
        result = evaluate(agent, held_out, episodes=episodes, seed=seed, transcripts=8)
        rows.append(_row(algorithm, seed, metrics, result, warm_up))
        line = "seed {seed}  {algorithm:16} update {update:3}  {seconds:6.1f} s  passed {passed:.3f}"
        print(line.format(**rows[-1]), flush=True)

    for algorithm in ALGORITHMS:
        model = copy.deepcopy(start)
        metrics: list[dict[str, float]] = []
        add_row(algorithm, model, metrics)
        config = setting(algorithm, seed, updates)
        for row in Trainer(model, make_envs(ENV_ID, config.episodes), config).run():
            metrics.append(row)
            if row["update"] % every == 0 or row["update"] == updates:
                add_row(algorithm, model, metrics)
    return rows


def _row(algorithm: str, seed: int, metrics: Sequence[dict[str, float]], result: Evaluation, warm_up: float) -> Row:
    low, high = result.return_interval
    spent = {part: sum(row[f"seconds_{part}"] for row in metrics) for part in ("env", "decoding", "update")}
    last = metrics[-1] if metrics else {"update": 0, "seconds": 0.0}
    return {
        "algorithm": algorithm,
        "seed": seed,
        "update": int(last["update"]),
        "seconds": last["seconds"],
        "passed": result.mean_return,
        "low": low,
        "high": high,
        "solved": result.accuracy,
        "environment_share": spent["env"] / max(1e-9, sum(spent.values())),
        "warm_up_seconds": warm_up,
        "transcripts": result.transcripts,
    }


def summary(rows: Sequence[Row], bar: float) -> list[Row]:
    """Return, for each algorithm and seed, the share of tests passed before and after, and the time to the bar."""
    lines = []
    for algorithm, seed in dict.fromkeys((row["algorithm"], row["seed"]) for row in rows):
        points = [row for row in rows if (row["algorithm"], row["seed"]) == (algorithm, seed)]
        reached = next((row for row in points if row["passed"] >= bar), None)
        lines.append(
            {
                "algorithm": algorithm,
                "seed": seed,
                "before": round(points[0]["passed"], 4),
                "after": round(points[-1]["passed"], 4),
                "after_interval": [round(points[-1][end], 4) for end in ("low", "high")],
                "solved_after": round(points[-1]["solved"], 4),
                "seconds_to_bar": reached and round(reached["seconds"], 1),
                "warm_up_seconds": round(points[0]["warm_up_seconds"], 1),
                "environment_share": round(points[-1]["environment_share"], 3),
            }
        )
    return lines


def grading_costs(seeds: Sequence[int], updates: int = 15) -> dict[str, list[float]]:
    """Return, for each algorithm and seed, the share of the first updates' time that grading takes."""
    start, _ = warm_start(ENV_ID, seeds[0], imitation(seeds[0]))

    def seconds(algorithm: str, seed: int, judge: Judge) -> float:
        config = setting(algorithm, seed, updates)
        envs = make_envs(ENV_ID, config.episodes, judge=judge)
        rows = list(Trainer(copy.deepcopy(start), envs, config).run())
        return sum(row[f"seconds_{part}"] for row in rows for part in ("env", "decoding", "update"))

    shares: dict[str, list[float]] = {}
    for algorithm in ALGORITHMS:
        for seed in seeds:
            times = []
            for _ in range(3):
                with Judge() as judge:
                    state, _ = make_envs(ENV_ID, 1, judge=judge).mdp.task.problem(0)
                    judge.grade([(f"# {number}", state.problem.hidden) for number in range(64)])  # start all slots
                    times.append([seconds(algorithm, seed, judge) for _ in range(2)])
            # The first repetition also generates the problems, which are cached from then on.
            with_grading, without = np.median(times[1:], axis=0)
            shares.setdefault(algorithm, []).append(float(1 - without / with_grading))
            print(f"seed {seed}  {algorithm:16} grading takes {shares[algorithm][-1]:.1%} of a step", flush=True)
    return shares


def examples(rows: Sequence[Row]) -> list[Row]:
    """Return transcripts of the first seed before and after training by the first algorithm, on the same problems."""
    points = [row for row in rows if (row["algorithm"], row["seed"]) == (rows[0]["algorithm"], rows[0]["seed"])]
    pairs = zip(points[0]["transcripts"], points[-1]["transcripts"], strict=True)
    return [{"before": before, "after": after} for before, after in pairs]


def draw(rows: Sequence[Row], bar: float, path: Path) -> None:
    """Draw a panel for each algorithm, with a curve for each seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    panels = figure.subplots(1, len(ALGORITHMS), sharey=True)
    for axes, algorithm in zip(np.atleast_1d(panels), ALGORITHMS, strict=True):
        for seed in dict.fromkeys(row["seed"] for row in rows):
            chosen = [row for row in rows if (row["algorithm"], row["seed"]) == (algorithm, seed)]
            plot_seed(axes, chosen, "passed")
        style_axes(axes, bar, algorithm)
    np.atleast_1d(panels)[0].set_ylabel("hidden tests passed, held out")
    np.atleast_1d(panels)[-1].legend(frameon=False)
    figure.savefig(path, dpi=160, metadata={"Software": None})


def main() -> None:
    """Run the seeds, write the results, and print the summary."""
    parser = seeds_parser(__doc__, updates=60, every=5, episodes=500, bar=0.9)
    arguments = parser.parse_args()
    runs = [(seed, arguments.updates, arguments.every, arguments.episodes) for seed in arguments.seeds]
    rows = parallel(curves, runs, arguments.jobs)
    stem = arguments.out / "code_learning"
    write_csv([{name: row[name] for name in row if name != "transcripts"} for row in rows], Path(f"{stem}.csv"))
    seeds = summary(rows, arguments.bar)
    figures = {
        "seeds": seeds,
        "bar": arguments.bar,
        "configs": [asdict(setting(algorithm, 0, arguments.updates)) for algorithm in ALGORITHMS],
        "imitation": asdict(imitation(0)),
        "grading_costs": grading_costs(arguments.seeds),
        "examples": examples(rows),
        **provenance("code_learning"),
    }
    write_json(figures, Path(f"{stem}.json"))
    draw(rows, arguments.bar, Path(f"{stem}.png"))
    for line in seeds:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
