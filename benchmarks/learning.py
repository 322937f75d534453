"""Learning curves over seeds: greedy accuracy on held-out problems against training time.

    python -m textmdp.benchmarks.learning --env TextMath-v0 --seeds 0 1 2 3 4

Each seed trains a model from random weights, with the defaults of `textmdp train`: imitation of an expert that makes
mistakes, then policy gradient. Seeds run in processes of their own, on one core each. Seconds are those of the policy
gradient, without the imitation and the evaluations.

Output, in `--out`: `learning_ENV.csv` (a row for each evaluation), `learning_ENV.json` (a summary of each seed, and the
configuration) and `learning_ENV.png` (a curve for each seed).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.evaluation.evaluate import evaluate
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
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

Row = dict[str, float]


def train(model: LanguageModel, env_id: str, config: Config, every: int, episodes: int) -> Iterator[Row]:
    """Train a model, and yield its evaluations: before the first update, after each `every` updates, and at the end.

    Args:
        model: changed in place.
        env_id: id of a token-level environment.
        config: of the training; its seed is that of the evaluations, too.
        every: updates between evaluations.
        episodes: of an evaluation.
    """
    held_out, seed = held_out_envs(env_id, episodes), config.seed
    greedy, sampled = LanguageModelAgent(model, greedy=True), LanguageModelAgent(model, seed=seed)

    def row(**counts: float) -> Row:
        result = evaluate(greedy, held_out, episodes=episodes, seed=seed, transcripts=0)
        low, high = result.accuracy_interval
        sampled_return = evaluate(sampled, held_out, episodes=episodes, seed=seed, transcripts=0).mean_return
        of_greedy = {"accuracy": result.accuracy, "low": low, "high": high, "return": result.mean_return}
        return {"seed": seed, **counts, **of_greedy, "sampled_return": sampled_return}

    yield row(update=0, episodes=0, seconds=0.0)
    for metrics in Trainer(model, make_envs(env_id, config.episodes), config).run():
        if metrics["update"] % every == 0 or metrics["update"] == config.updates:
            yield row(**{name: metrics[name] for name in ("update", "episodes", "seconds")})


def curve(run: tuple[str, int, int, int, int]) -> list[Row]:
    """Return the evaluations of a run (env_id, seed, updates, every, episodes), and print them on the way."""
    env_id, seed, updates, every, episodes = run
    model, warm_up = warm_start(env_id, seed)
    rows = []
    for row in train(model, env_id, Config(seed=seed, updates=updates), every, episodes):
        rows.append({**row, "warm_up_seconds": warm_up})
        print(describe(row), flush=True)
    return rows


def describe(row: Row) -> str:
    """Return an evaluation in one line."""
    return (
        f"seed {row['seed']:.0f}  update {row['update']:4.0f}  {row['seconds']:6.1f} s  accuracy "
        f"{row['accuracy']:.3f} [{row['low']:.3f}, {row['high']:.3f}]  sampled return {row['sampled_return']:.3f}"
    )


def summary(rows: list[Row], bar: float) -> list[dict[str, Any]]:
    """Return, for each seed, its accuracy before and after, and the time until it first reached the bar, or None."""
    seeds = []
    for seed in sorted({row["seed"] for row in rows}):
        points = [row for row in rows if row["seed"] == seed]
        reached = next((row for row in points if row["accuracy"] >= bar), None)
        seeds.append(
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
    return seeds


def draw(rows: list[Row], env_id: str, bar: float, path: Path) -> None:
    """Draw a curve for each seed, with Wilson's 95 % intervals as bands."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for seed in sorted({row["seed"] for row in rows}):
        plot_seed(axes, [row for row in rows if row["seed"] == seed], "accuracy")
    style_axes(axes, bar, env_id)
    axes.set_ylabel("greedy accuracy, held out")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=160, metadata={"Software": None})


def main() -> None:
    """Run the seeds, write the results, and print the summary."""
    parser = seeds_parser(__doc__, updates=400, every=10, episodes=1000, bar=0.95)
    parser.add_argument("--env", default="TextMath-v0", help="id of a token-level environment (default: %(default)s)")
    arguments = parser.parse_args()
    runs = [(arguments.env, seed, arguments.updates, arguments.every, arguments.episodes) for seed in arguments.seeds]
    rows = parallel(curve, runs, arguments.jobs)
    stem = arguments.out / f"learning_{arguments.env}"
    write_csv(rows, Path(f"{stem}.csv"))
    seeds = summary(rows, arguments.bar)
    figures = {
        "seeds": seeds,
        "bar": arguments.bar,
        "config": asdict(Config(updates=arguments.updates)),
        "imitation": asdict(ImitationConfig()),
        **provenance("learning"),
    }
    write_json(figures, Path(f"{stem}.json"))
    draw(rows, arguments.env, arguments.bar, Path(f"{stem}.png"))
    for line in seeds:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
