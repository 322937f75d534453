"""Learning curves over seeds: greedy accuracy on held-out problems against training time.

    python -m textmdp.benchmarks.learning --env TextMath-v0 --seeds 0 1 2 3 4

Each seed makes a model from scratch, warms it up by imitation of a careless expert, and trains it by policy gradient,
with the defaults of `textmdp train`. Seeds run in processes of their own, on one core each. Seconds count the policy
gradient alone: neither the warm start nor evaluations.
Writes `learning_ENV.csv` (an evaluation a row), `learning_ENV.json` (the summary and how it was made) and
`learning_ENV.png`.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import gymnasium
import matplotlib
import numpy as np
import torch
import transformers

from textmdp.agents.algorithms.config import Config
from textmdp.agents.evaluation.evaluate import evaluate
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.training.imitation import ImitationConfig, imitate
from textmdp.agents.training.trainer import Trainer
from textmdp.envs import TASKS
from textmdp.envs.registration import task_arguments
from textmdp.envs.views.vector_env import TokenVectorEnv

T = TypeVar("T")
Row = dict[str, float]
RESULTS = Path(__file__).parent / "results"


def warm_start(
    env_id: str, seed: int, config: ImitationConfig | None = None, **options: Any
) -> tuple[LanguageModel, float]:
    """A model from scratch after imitation, and the seconds that took.

    Args:
        env_id: a token-level id.
        seed: of the weights, and by default of the problems and the mistakes.
        config: of the imitation; the defaults when None.
        options: of the environment.
    """
    config = config or ImitationConfig(seed=seed)
    envs = make_envs(env_id, config.episodes, **options)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, seed=seed)
    began = perf_counter()
    imitate(model, envs, config)
    return model, perf_counter() - began


def held_out_envs(env_id: str, episodes: int, **options: Any) -> TokenVectorEnv[Any]:
    """Rows to evaluate so many episodes on: of the held-out split where the task has one."""
    splits = "split" in task_arguments(TASKS[env_id.removesuffix("-v0")])
    return make_envs(env_id, min(episodes, 512), **({"split": "test"} if splits else {}), **options)


def train(model: LanguageModel, env_id: str, config: Config, every: int, episodes: int) -> Iterator[Row]:
    """Evaluations as a model is trained: before (update 0), then every `every` updates, and at the end.

    Args:
        model: changed in place.
        env_id: a token-level id.
        config: of the training; its seed is that of the evaluations, too.
        every: updates between two evaluations.
        episodes: of an evaluation.
    """
    held_out, seed = held_out_envs(env_id, episodes), config.seed
    greedy, sampled = LanguageModelAgent(model, greedy=True), LanguageModelAgent(model, seed=seed)

    def row(**counts: float) -> Row:
        result = evaluate(greedy, held_out, episodes=episodes, seed=seed, transcripts=0)
        low, high = result.accuracy_interval
        drawn = evaluate(sampled, held_out, episodes=episodes, seed=seed, transcripts=0)
        greedily = {"accuracy": result.accuracy, "low": low, "high": high, "return": result.mean_return}
        return {"seed": seed, **counts, **greedily, "sampled_return": drawn.mean_return}

    yield row(update=0, episodes=0, seconds=0.0)
    for metrics in Trainer(model, make_envs(env_id, config.episodes), config).run():
        if metrics["update"] % every == 0 or metrics["update"] == config.updates:
            yield row(**{name: metrics[name] for name in ("update", "episodes", "seconds")})


def curve(run: tuple[str, int, int, int, int]) -> list[Row]:
    """The evaluations of one run (id, seed, updates, updates between evaluations, their episodes), told as made."""
    env_id, seed, updates, every, episodes = run
    model, warm_up = warm_start(env_id, seed)
    rows = []
    for row in train(model, env_id, Config(seed=seed, updates=updates), every, episodes):
        rows.append({**row, "warm_up_seconds": warm_up})
        print(told(row), flush=True)
    return rows


def told(row: Row) -> str:
    """An evaluation in a line."""
    return (
        f"seed {row['seed']:.0f}  update {row['update']:4.0f}  {row['seconds']:6.1f} s  accuracy "
        f"{row['accuracy']:.3f} [{row['low']:.3f}, {row['high']:.3f}]  sampled return {row['sampled_return']:.3f}"
    )


def parallel(work: Callable[[Any], list[T]], runs: Sequence[Any], jobs: int) -> list[T]:
    """What `work` gives for each run, in one list: in so many processes, one thread each; in this one if `jobs` is 1.

    On two cores that is faster than two threads for one run after the other.
    """
    if jobs == 1:
        return [row for run in runs for row in work(run)]
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        return [row for rows in pool.map(work, runs) for row in rows]


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """One line a row, under the names of the first; numbers to four places."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: round(x, 4) if isinstance(x, float) else x for name, x in row.items()})


def provenance(module: str) -> dict[str, Any]:
    """How figures were made: date, command (without `--out`), machine and versions."""
    words = sys.argv[1:]
    if "--out" in words:
        at = words.index("--out")
        del words[at : at + 2]
    return {
        "date": datetime.date.today().isoformat(),
        "command": " ".join([f"python -m textmdp.benchmarks.{module}", *words]),
        "machine": {"processors": os.cpu_count(), "architecture": platform.machine()},
        "versions": {
            "python": platform.python_version(),
            **{library.__name__: library.__version__ for library in (torch, transformers, gymnasium, np, matplotlib)},
        },
    }


def summary(rows: list[Row], bar: float) -> list[dict[str, Any]]:
    """For each seed: accuracy before and after, and when it first reached the bar (None if it didn't)."""
    found = []
    for seed in sorted({row["seed"] for row in rows}):
        points = [row for row in rows if row["seed"] == seed]
        reached = next((row for row in points if row["accuracy"] >= bar), None)
        found.append(
            {
                "seed": int(seed),
                "warm_start_accuracy": points[0]["accuracy"],
                "warm_up_seconds": round(points[0]["warm_up_seconds"], 1),
                "seconds_to_bar": reached and round(reached["seconds"], 1),
                "updates_to_bar": reached and int(reached["update"]),
                "episodes_to_bar": reached and int(reached["episodes"]),
                "final_accuracy": points[-1]["accuracy"],
                "final_interval": [round(points[-1]["low"], 4), round(points[-1]["high"], 4)],
            }
        )
    return found


def draw(rows: list[Row], env_id: str, bar: float, path: Path) -> None:
    """The curves, one a seed, with Wilson's 95 % intervals as bands."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for seed in sorted({row["seed"] for row in rows}):
        points = [row for row in rows if row["seed"] == seed]
        seconds = [row["seconds"] for row in points]
        (line,) = axes.plot(seconds, [row["accuracy"] for row in points], marker=".", label=f"seed {int(seed)}")
        low, high = [row["low"] for row in points], [row["high"] for row in points]
        axes.fill_between(seconds, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    if bar:
        axes.axhline(bar, color="0.4", linewidth=0.8, linestyle="--")
    axes.set(xlabel="seconds of policy gradient", ylabel="greedy accuracy, held out", ylim=(0, 1.02), title=env_id)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=160, metadata={"Software": None})


def main() -> None:
    """Run the seeds one after the other; write and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="TextMath-v0", help="a token-level id (default TextMath-v0)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--updates", type=int, default=400, help="of the policy gradient (default 400)")
    parser.add_argument("--every", type=int, default=10, help="updates between two evaluations (default 10)")
    parser.add_argument("--episodes", type=int, default=1000, help="of an evaluation (default 1000)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="seeds at once (default: one a core)")
    parser.add_argument("--bar", type=float, default=0.95, help="the accuracy to time (default 0.95)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="a folder for the results")
    arguments = parser.parse_args()
    runs = [(arguments.env, seed, arguments.updates, arguments.every, arguments.episodes) for seed in arguments.seeds]
    rows = parallel(curve, runs, arguments.jobs)
    stem = arguments.out / f"learning_{arguments.env}"
    write_csv(rows, Path(f"{stem}.csv"))
    figures = {
        "seeds": summary(rows, arguments.bar),
        "bar": arguments.bar,
        "config": asdict(Config(updates=arguments.updates)),
        "imitation": asdict(ImitationConfig()),
        **provenance("learning"),
    }
    Path(f"{stem}.json").write_text(json.dumps(figures, indent=1) + "\n")
    draw(rows, arguments.env, arguments.bar, Path(f"{stem}.png"))
    for line in figures["seeds"]:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
