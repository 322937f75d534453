"""Comparison of all algorithms (`textmdp.agents.algorithms.objectives.OBJECTIVES`) from the same warm starts.

    python -m textmdp.benchmarks.algorithms --env TextMath-v0 --seeds 0 1 2 3 4

Each seed makes one warm start by imitation, with the defaults of `textmdp train`, and each algorithm trains a copy of
it, with the defaults of `Config`, on the same number of episodes: results are paired by seed. (The greedy episodes of
`remax` count as seconds only.) Seeds run in processes of their own, on one core each.

Figures are interquartile means over seeds with 95 % bootstrap intervals (`textmdp.benchmarks.intervals`): greedy
accuracy on held-out problems at the end, and its mean over training (the area under the curve); the difference of the
latter to the first algorithm; episodes and seconds until the accuracy first reached the bar. Seconds are those of the
policy gradient. Times to the bar are no finer than the evaluations, which come every few updates.

Output, in `--out`: `algorithms_ENV.csv` (a row for each evaluation), `algorithms_ENV.json` (the figures, and the
configuration) and `algorithms_ENV.png` (a panel for each algorithm); prints the table.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from textmdp.agents.algorithms.config import Config
from textmdp.agents.algorithms.objectives import OBJECTIVES
from textmdp.benchmarks.common import parallel, provenance, seeds_parser, warm_start, write_csv, write_json
from textmdp.benchmarks.intervals import (
    Estimate,
    Floats,
    bootstrap,
    difference,
    finite,
    interquartile_mean,
    probability_of_improvement,
)
from textmdp.benchmarks.learning import Curve, describe, train

Row = dict[str, Any]


class Run(NamedTuple):
    """Arguments of `curves`."""

    env_id: str
    seed: int
    algorithms: Sequence[str]
    updates: int
    every: int
    episodes: int


def curves(run: Run) -> list[Row]:
    """Return the evaluations of all algorithms from one warm start, and print them on the way."""
    warm, _ = warm_start(run.env_id, run.seed)
    rows: list[Row] = []
    for algorithm in run.algorithms:
        config = Config(algorithm=algorithm, seed=run.seed, updates=run.updates)
        for row in train(copy.deepcopy(warm), Curve(run.env_id, config, run.every, run.episodes)):
            rows.append({"algorithm": algorithm, **row})
            print(f"{algorithm:18} {describe(row)}", flush=True)
    return rows


def points(rows: Sequence[Row], algorithm: str, column: str) -> Floats:
    """Return a column of an algorithm's evaluations, (seeds, evaluations)."""
    chosen = [row for row in rows if row["algorithm"] == algorithm]
    return np.array([[row[column] for row in chosen if row["seed"] == seed] for seed in sorted(_seeds(chosen))], float)


def per_seed(rows: Sequence[Row], algorithm: str, bar: float) -> dict[str, Floats]:
    """Return the figures of each seed of an algorithm, (seeds,) each; times are infinite if the bar wasn't reached."""
    accuracy, episodes = points(rows, algorithm, "accuracy"), points(rows, algorithm, "episodes")
    spans = np.diff(episodes)
    reached = accuracy >= bar  # (seeds, evaluations)
    first = reached.argmax(1)[:, None]
    crossings = {
        f"{column}_to_bar": np.where(
            reached.any(1), np.take_along_axis(points(rows, algorithm, column), first, 1)[:, 0], np.inf
        )
        for column in ("episodes", "seconds")
    }
    area = ((accuracy[:, 1:] + accuracy[:, :-1]) / 2 * spans).sum(1) / spans.sum(1)  # the trapezoidal rule
    return {"final_accuracy": accuracy[:, -1], "mean_accuracy": area, **crossings}


def summary(rows: Sequence[Row], bar: float) -> dict[str, dict[str, Any]]:
    """Return, for each algorithm, its figures, those of its seeds, and the comparison with the first algorithm."""
    algorithms = [*dict.fromkeys(row["algorithm"] for row in rows)]
    reference = per_seed(rows, algorithms[0], bar)["mean_accuracy"]
    found = {}
    for algorithm in algorithms:
        figures = per_seed(rows, algorithm, bar)
        rng = np.random.default_rng(0)  # the same resamples for each, so that equal runs have equal intervals
        estimates = {name: bootstrap(interquartile_mean, values, rng=rng) for name, values in figures.items()}
        mean = figures["mean_accuracy"]
        estimates["more_than_first"] = bootstrap(difference, mean, reference, rng=rng, paired=True)
        estimates["better_than_first"] = bootstrap(probability_of_improvement, mean, reference, rng=rng, paired=True)
        found[algorithm] = {
            "is": OBJECTIVES[algorithm].summary,
            **{name: [finite(x) for x in estimate] for name, estimate in estimates.items()},
            "by_seed": {name: [finite(x) for x in values] for name, values in figures.items()},
        }
    return found


def table(found: dict[str, dict[str, Any]], bar: float) -> str:
    """Return the summary as a Markdown table."""
    first = next(iter(found))
    share = f"{100 * bar:g} %"
    heads = ("final accuracy", "mean accuracy", f"more than `{first}`", f"episodes to {share}", f"seconds to {share}")
    columns = {
        "final_accuracy": "{:.3f}",
        "mean_accuracy": "{:.3f}",
        "more_than_first": "{:+.3f}",
        "episodes_to_bar": "{:,.0f}",
        "seconds_to_bar": "{:.1f}",
    }
    lines = [f"| algorithm | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for algorithm, figures in found.items():
        cells = [_cell(figures[name], form) for name, form in columns.items()]
        if algorithm == first:
            cells[2] = "–"
        lines.append(f"| `{algorithm}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], env_id: str, bar: float, path: Path) -> None:
    """Draw a panel for each algorithm: the interquartile mean over seeds, its interval, and the others in grey."""
    from matplotlib.figure import Figure

    algorithms = [*dict.fromkeys(row["algorithm"] for row in rows)]
    middle = {name: interquartile_mean(points(rows, name, "accuracy").T) for name in algorithms}  # (evaluations,)
    across = {name: points(rows, name, "episodes")[0] / 1000 for name in algorithms}
    width = min(len(algorithms), 5)
    height = -(-len(algorithms) // width)
    figure = Figure(figsize=(max(2.1 * width, 4.6), 1.9 * height + 0.7), layout="constrained")
    panels = figure.subplots(height, width, sharex=True, sharey=True, squeeze=False).ravel()
    interval = partial(bootstrap, interquartile_mean, resamples=2000)
    for panel, name in zip(panels, algorithms, strict=False):
        for other in algorithms:
            panel.plot(across[other], middle[other], color="0.85", linewidth=0.8)
        bands = [interval(values, rng=np.random.default_rng(0)) for values in points(rows, name, "accuracy").T]
        low, high = [band.low for band in bands], [band.high for band in bands]
        panel.fill_between(across[name], low, high, color="C0", alpha=0.2, linewidth=0)
        panel.plot(across[name], middle[name], color="C0", linewidth=1.4)
        panel.axhline(bar, color="0.4", linewidth=0.7, linestyle=":")
        panel.set_title(name, fontsize=9)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(algorithms) :]:
        panel.remove()
    for column in range(width):  # under the last panel of each column, where a row may end early
        panels[max(range(column, len(algorithms), width))].tick_params(labelbottom=True)
    panels[0].set_ylim(0, 1.02)
    figure.supxlabel("thousand episodes", fontsize=9)
    figure.supylabel("greedy accuracy, held out", fontsize=9)
    figure.suptitle(f"{env_id}: interquartile mean of {len(_seeds(rows))} seeds, 95 % interval", fontsize=10)
    figure.savefig(path, dpi=160, metadata={"Software": None})


def main() -> None:
    """Run the seeds, write the results, and print the table."""
    parser = seeds_parser(__doc__, updates=200, every=5, episodes=1000, bar=0.95)
    parser.add_argument("--env", default="TextMath-v0", help="id of a token-level environment (default: %(default)s)")
    parser.add_argument(
        "--algorithms", nargs="+", default=[*OBJECTIVES], choices=[*OBJECTIVES], metavar="NAME", help="default: all"
    )
    arguments = parser.parse_args()
    algorithms = [*dict.fromkeys(arguments.algorithms)]
    setting = (algorithms, arguments.updates, arguments.every, arguments.episodes)
    rows = parallel(curves, [Run(arguments.env, seed, *setting) for seed in arguments.seeds], arguments.jobs)
    found = summary(rows, arguments.bar)
    stem = arguments.out / f"algorithms_{arguments.env}"
    write_csv(rows, Path(f"{stem}.csv"))
    figures = {
        "algorithms": found,
        "estimates": "[interquartile mean over seeds, bounds of its 95 % bootstrap interval]; null: never",
        "bar": arguments.bar,
        "seeds": arguments.seeds,
        "config": asdict(Config(updates=arguments.updates)),
        **provenance("algorithms"),
    }
    write_json(figures, Path(f"{stem}.json"))
    draw(rows, arguments.env, arguments.bar, Path(f"{stem}.png"))
    print(table(found, arguments.bar))


def _seeds(rows: Sequence[Row]) -> set[int]:
    return {row["seed"] for row in rows}


def _cell(estimate: Sequence[float | None], form: str) -> str:
    value, low, high = ("never" if x is None else form.format(x) for x in Estimate(*estimate))  # type: ignore[arg-type]
    return value if value == low == high else f"{value} [{low}, {high}]"


if __name__ == "__main__":
    main()
