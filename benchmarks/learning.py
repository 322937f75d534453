"""Learning curves over seeds: greedy accuracy on held-out problems against training time.

    python -m textmdp.benchmarks.learning --env TextMath-v0 --seeds 0 1 2 3 4
    python -m textmdp.benchmarks.learning --env TextPoem-v0 --sampled --updates 60 --imitation-steps 400

Each seed trains a model from random weights, with the defaults of `textmdp train`: imitation of an expert that makes
mistakes, then policy gradient. Seeds run in processes of their own, on one core each. Seconds are those of the policy
gradient, without the imitation and the evaluations. With `--sampled`, accuracy is that of sampled responses to problems
drawn at random: for tasks with few problems, on which a greedy policy writes few responses.

Output, in `--out`: `learning_ENV.csv` (a row for each evaluation), `learning_ENV.json` (a summary of each seed, and the
configuration) and `learning_ENV.png` (a curve for each seed).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.evaluation.evaluate import evaluate, solved
from textmdp.agents.evaluation.intervals import wilson_interval
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs, rollout
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


class Curve(NamedTuple):
    """The arguments of one seed's curve."""

    env_id: str
    config: Config
    every: int
    """Updates between evaluations."""
    episodes: int
    """Episodes of an evaluation."""
    imitation_steps: int = ImitationConfig().steps
    sampled: bool = False


def train(model: LanguageModel, run: Curve) -> Iterator[Row]:
    """Train a model, and yield its evaluations: before the first update, after each `every` updates, and at the end.

    Args:
        model: changed in place.
        run: its configuration's seed is that of the evaluations, too.
    """
    config = run.config
    held_out, seed = held_out_envs(run.env_id, run.episodes), config.seed
    greedy, sampling = LanguageModelAgent(model, greedy=True), LanguageModelAgent(model, seed=seed)

    def row(**counts: float) -> Row:
        samples = rollout(sampling, held_out, seed=seed)
        if run.sampled:
            successes = solved(samples, held_out.mdp.task)
            accuracy, interval = float(successes.mean()), wilson_interval(int(successes.sum()), len(successes))
            mean_return = float(samples.returns.mean())
        else:
            result = evaluate(greedy, held_out, episodes=run.episodes, seed=seed, transcripts=0)
            accuracy, interval, mean_return = result.accuracy, result.accuracy_interval, result.mean_return
        low, high = interval
        found = {"accuracy": accuracy, "low": low, "high": high, "return": mean_return}
        return {"seed": seed, **counts, **found, "sampled_return": float(samples.returns.mean())}

    yield row(update=0, episodes=0, seconds=0.0)
    for metrics in Trainer(model, make_envs(run.env_id, config.episodes), config).run():
        if metrics["update"] % run.every == 0 or metrics["update"] == config.updates:
            yield row(**{name: metrics[name] for name in ("update", "episodes", "seconds")})


def curve(run: Curve) -> list[Row]:
    """Return the evaluations of a run, and print them on the way."""
    seed = run.config.seed
    model, warm_up = warm_start(run.env_id, seed, ImitationConfig(seed=seed, steps=run.imitation_steps))
    rows = []
    for row in train(model, run):
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


def draw(rows: list[Row], env_id: str, bar: float, path: Path, label: str) -> None:
    """Draw a curve for each seed, with Wilson's 95 % intervals as bands."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for seed in sorted({row["seed"] for row in rows}):
        plot_seed(axes, [row for row in rows if row["seed"] == seed], "accuracy")
    style_axes(axes, bar, env_id)
    axes.set_ylabel(label)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=160, metadata={"Software": None})


def main() -> None:
    """Run the seeds, write the results, and print the summary."""
    parser = seeds_parser(__doc__, updates=400, every=10, episodes=1000, bar=0.95)
    parser.add_argument("--env", default="TextMath-v0", help="id of a token-level environment (default: %(default)s)")
    parser.add_argument("--sampled", action="store_true", help="accuracy of sampled responses, not of greedy ones")
    parser.add_argument("--imitation-steps", type=int, default=ImitationConfig().steps, help="default: %(default)s")
    arguments = parser.parse_args()
    runs = [
        Curve(
            arguments.env,
            Config(seed=seed, updates=arguments.updates),
            arguments.every,
            arguments.episodes,
            arguments.imitation_steps,
            arguments.sampled,
        )
        for seed in arguments.seeds
    ]
    rows = parallel(curve, runs, arguments.jobs)
    stem = arguments.out / f"learning_{arguments.env}"
    write_csv(rows, Path(f"{stem}.csv"))
    seeds = summary(rows, arguments.bar)
    figures = {
        "seeds": seeds,
        "bar": arguments.bar,
        "config": asdict(Config(updates=arguments.updates)),
        "imitation": asdict(ImitationConfig(steps=arguments.imitation_steps)),
        **provenance("learning"),
    }
    write_json(figures, Path(f"{stem}.json"))
    label = "accuracy of samples" if arguments.sampled else "greedy accuracy, held out"
    draw(rows, arguments.env, arguments.bar, Path(f"{stem}.png"), label)
    for line in seeds:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
