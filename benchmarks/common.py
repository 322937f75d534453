"""Shared by the benchmarks: warm starts, held-out environments, parallel seeds, and files of results."""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import gymnasium
import matplotlib
import numpy as np
import torch
import transformers
from matplotlib.axes import Axes

from textmdp.agents.algorithms.config import ImitationConfig
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.runs.experiment import held_out
from textmdp.agents.training.imitation import imitate
from textmdp.envs.views.vector_env import TokenVectorEnv

T = TypeVar("T")
RESULTS = Path(__file__).parent / "results"


def warm_start(
    env_id: str, seed: int, config: ImitationConfig | None = None, **options: Any
) -> tuple[LanguageModel, float]:
    """Return a tiny model after imitation, and the seconds that the imitation took.

    Args:
        env_id: id of a token-level environment.
        seed: of the weights; of the problems and the mistakes, too, if `config` is None.
        config: of the imitation; None for the defaults.
        options: arguments of the environment.
    """
    config = config or ImitationConfig(seed=seed)
    envs = make_envs(env_id, config.episodes, **options)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, seed=seed)
    began = perf_counter()
    imitate(model, envs, config)
    return model, perf_counter() - began


def held_out_envs(env_id: str, episodes: int, **options: Any) -> TokenVectorEnv[Any]:
    """Return rows for an evaluation of this many episodes, on the test split if the task has splits."""
    return make_envs(env_id, min(episodes, 512), **held_out(env_id, options))


def parallel(work: Callable[[Any], list[T]], runs: Sequence[Any], jobs: int) -> list[T]:
    """Return the lists that `work` gives for each run, joined.

    Args:
        work: a function of one run, at the top level of a module.
        runs: arguments of `work`.
        jobs: number of processes, of one thread each: on two cores that is faster than two threads for one run after
            the other. 1 works in this process.
    """
    if jobs == 1:
        return [row for run in runs for row in work(run)]
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        return [row for rows in pool.map(work, runs) for row in rows]


def seeds_parser(
    doc: str | None, updates: int, every: int, episodes: int, bar: float | None = None
) -> argparse.ArgumentParser:
    """Return a parser with the options of a benchmark over seeds: the arguments are their defaults.

    Args:
        doc: docstring of the benchmark.
        updates: default of `--updates`.
        every: default of `--every`.
        episodes: default of `--episodes`.
        bar: default of `--bar`; None for a benchmark without one.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="default: 0 1 2 3 4")
    parser.add_argument("--updates", type=int, default=updates, help="updates of a run (default: %(default)s)")
    parser.add_argument("--every", type=int, default=every, help="updates between evaluations (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=episodes, help="of an evaluation (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="seeds at a time (default: one a core)")
    if bar is not None:
        parser.add_argument("--bar", type=float, default=bar, help="the score to time (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write one line a row, with the names of the first row as header; floats have four decimal places."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: round(x, 4) if isinstance(x, float) else x for name, x in row.items()})


def write_json(figures: Mapping[str, Any], path: Path) -> None:
    """Write figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n")


def provenance(module: str) -> dict[str, Any]:
    """Return the origin of figures: date, command (without `--out`), machine, and versions of libraries."""
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


def plot_seed(axes: Axes, points: Sequence[Mapping[str, float]], column: str) -> None:
    """Plot a column of a seed's evaluations over seconds, with the band from `low` to `high`."""
    seconds = [row["seconds"] for row in points]
    label = f"seed {points[0]['seed']:.0f}"
    (line,) = axes.plot(seconds, [row[column] for row in points], marker=".", label=label)
    low, high = [row["low"] for row in points], [row["high"] for row in points]
    axes.fill_between(seconds, low, high, color=line.get_color(), alpha=0.12, linewidth=0)


def style_axes(axes: Axes, bar: float, title: str) -> None:
    """Set title, limits and labels of a panel of `plot_seed`, and draw the bar."""
    if bar:
        axes.axhline(bar, color="0.4", linewidth=0.8, linestyle="--")
    axes.set(title=title, xlabel="seconds of policy gradient", ylim=(0, 1.02))
    axes.spines[["top", "right"]].set_visible(False)
