"""All levels of TextMath, answered at once and worked step by step: greedy accuracy on held-out problems.

    python -m textmdp.benchmarks.levels --seeds 0 1 2

For each level, each seed trains one model on bare answers and one on worked steps: imitation of an expert that makes
mistakes in some demonstrations, then policy gradient with the reward for the final answer alone. The imitation stops
early when a check on problems of the training split reaches `UNTIL`. Seeds and levels run in processes of their own, on
one core each. Seconds are those of imitation and policy gradient together, without the evaluations; the policy gradient
stops at `--minutes`, or when an evaluation reaches `--bar`.

Writes after each level `levels.csv` (a run a row) and `levels.json` (means over seeds with intervals, and how they were
made), and prints the table at the end.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.evaluation.evaluate import evaluate
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.training.imitation import imitate
from textmdp.agents.training.trainer import Trainer
from textmdp.benchmarks.common import held_out_envs, parallel, provenance, seeds_parser, write_csv, write_json
from textmdp.benchmarks.intervals import bootstrap

ENV_ID = "TextMath-v0"
#: The way in which a level is worked: one alone is learnt sooner than two.
WAYS = {
    "entry": "count",
    "one-digit": "count",
    "two-digit": "columns",
    "three-digit": "columns",
    "products": "rows",
    "brackets": "columns",
    "decimals": "aligned",
    "fractions": "least",
    "expressions": "columns",
    "words": "columns",
}
THINKING = ("none", "steps")
#: Demonstrations of steps have fewer mistakes than bare answers: a mistake in one step spoils all that follow.
MISTAKE_RATES = {"none": ImitationConfig.mistake_rate, "steps": 0.3}
#: Greedy accuracy of a check, every so many steps, that ends the imitation: the rest is left to the policy gradient.
UNTIL, CHECK_EVERY = 0.8, 50
#: Demonstrations of a step of imitation: worked ones have many tokens.
DEMONSTRATIONS = {"none": ImitationConfig.episodes, "steps": 64}
Row = dict[str, Any]


class Run(NamedTuple):
    """Arguments of `measure`."""

    level: str
    thinking: str
    seed: int
    imitation_steps: int
    updates: int
    every: int
    episodes: int
    bar: float
    minutes: float


def options_of(level: str, thinking: str) -> dict[str, Any]:
    """The arguments of the environment."""
    way = WAYS[level] if thinking == "steps" else None
    return {"difficulty": level, "thinking": thinking, "way": way}


def measure(run: Run) -> list[Row]:
    """Train one model, and return its accuracy after the imitation and at the end, in one row."""
    options, config = options_of(run.level, run.thinking), Config(seed=run.seed, updates=run.updates)
    imitation = ImitationConfig(
        seed=run.seed,
        steps=run.imitation_steps,
        mistake_rate=MISTAKE_RATES[run.thinking],
        episodes=DEMONSTRATIONS[run.thinking],
        until=UNTIL,
        check_every=CHECK_EVERY,
    )
    envs = make_envs(ENV_ID, imitation.episodes, **options)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, seed=run.seed)
    held_out, greedy = held_out_envs(ENV_ID, run.episodes, **options), LanguageModelAgent(model, greedy=True)

    def accuracy() -> float:
        return evaluate(greedy, held_out, episodes=run.episodes, seed=run.seed, transcripts=0).accuracy

    began = perf_counter()
    (*_, last) = imitate(model, envs, imitation) or [{"step": 0.0}]
    warm_up = perf_counter() - began
    start = end = accuracy()
    trainer, metrics = Trainer(model, make_envs(ENV_ID, config.episodes, **options), config), {"seconds": 0.0}
    while end < run.bar and trainer.updates_left and warm_up + metrics["seconds"] < 60 * run.minutes:
        metrics = trainer.step()
        if trainer.num_updates % run.every == 0:
            end = accuracy()
    end = accuracy()
    row = {
        "level": run.level,
        "thinking": run.thinking,
        "seed": run.seed,
        "warm_start": start,
        "end": end,
        "imitation_steps": int(last["step"]),
        "updates": trainer.num_updates,
        "warm_up_seconds": warm_up,
        "seconds": warm_up + metrics["seconds"],
        "silent_groups": metrics.get("frac_zero_variance_groups", float("nan")),
    }
    shown = {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}
    print("  ".join(f"{name} {value}" for name, value in shown.items()), flush=True)
    return [row]


def summary(rows: Sequence[Row]) -> list[Row]:
    """Accuracy before and after, and seconds, for each level and way of answering: means over seeds, 95 % intervals."""
    found = []
    for level, thinking in dict.fromkeys((row["level"], row["thinking"]) for row in rows):
        runs = [row for row in rows if (row["level"], row["thinking"]) == (level, thinking)]
        columns = ("warm_start", "end", "seconds", "silent_groups")
        estimates = {name: _estimate([run[name] for run in runs]) for name in columns}
        found.append({"level": level, "thinking": thinking, "seeds": len(runs), **estimates})
    return found


def table(found: Sequence[Row]) -> str:
    """Return the summary as a Markdown table."""
    lines = ["| level | thinking | warm start | after RL | minutes |", "|---" * 5 + "|"]
    for line in found:
        cells = [_percent(line["warm_start"]), _percent(line["end"]), f"{line['seconds'][0] / 60:.1f}"]
        lines.append(f"| `{line['level']}` | `{line['thinking']}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _percent(estimate: Sequence[float]) -> str:
    value, low, high = (100 * x for x in estimate)
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _estimate(values: Sequence[float]) -> list[float]:
    """The mean over seeds, and its 95 % bootstrap interval."""
    estimate = bootstrap(lambda x: np.mean(x, -1), values, rng=np.random.default_rng(0))
    return [round(float(value), 4) for value in estimate]


def main() -> None:
    """Run levels and seeds; write the results and print the table."""
    parser = seeds_parser(__doc__, updates=400, every=20, episodes=1000, bar=0.99)
    parser.add_argument("--levels", nargs="+", default=[*WAYS], choices=[*WAYS], metavar="LEVEL", help="default: all")
    parser.add_argument("--thinking", nargs="+", default=[*THINKING], choices=THINKING, help="default: both")
    parser.add_argument("--imitation-steps", type=int, default=1400, help="of each run (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=10.0, help="of a run, at most (default: %(default)s)")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for level in arguments.levels:
        runs = [
            Run(
                level,
                thinking,
                seed,
                imitation_steps=arguments.imitation_steps,
                updates=arguments.updates,
                every=arguments.every,
                episodes=arguments.episodes,
                bar=arguments.bar,
                minutes=arguments.minutes,
            )
            for thinking in arguments.thinking
            for seed in arguments.seeds
        ]
        rows += parallel(measure, runs, arguments.jobs)
        _write(rows, arguments)
    print(table(summary(rows)))


def _write(rows: Sequence[Row], arguments: argparse.Namespace) -> None:
    """Write the results so far, after each level."""
    write_csv(rows, arguments.out / "levels.csv")
    figures = {
        "levels": summary(rows),
        "ways": WAYS,
        "mistake_rates": MISTAKE_RATES,
        "demonstrations": DEMONSTRATIONS,
        "until": UNTIL,
        "config": asdict(Config(updates=arguments.updates)),
        "imitation": asdict(ImitationConfig(steps=arguments.imitation_steps)),
        **provenance("levels"),
    }
    write_json(figures, arguments.out / "levels.json")


if __name__ == "__main__":
    main()
