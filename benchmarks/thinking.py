"""Chains of thought that grow because they pay: TextMath modulo 10, with the reward for the final answer alone.

    python -m textmdp.benchmarks.thinking --seeds 0 1 2 3 4

The question is a sum of five digits modulo 10, which a tiny model can't say at once, and can reach by running totals. A
warm start answers at once in nine responses of ten, and works the sum in the others, imperfectly. Then each setting
trains a copy of the warm start of its seed. Settings differ in the algorithm, in the weights of tokens (1/|o| or
constant), in a grammar that allows answers alone, and in the warm start: one has not learnt to add. Every evaluation
samples responses to the same held-out problems. Seeds run in processes of their own, on one core each.

Writes `thinking.csv` (an evaluation a row), `thinking.json` (the summary, how it was made, and responses of the first
seed to the same problems over time) and `thinking.png`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from textmdp.agents.algorithms.config import Config
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.training.thinking import WarmStart, sample
from textmdp.agents.training.trainer import Trainer
from textmdp.benchmarks.common import parallel, provenance, seeds_parser, write_csv, write_json
from textmdp.benchmarks.intervals import bootstrap

#: Slow enough for a curve: with 5e-4, thinking takes over within ten updates.
LEARNING_RATE = 1e-4
#: The columns of a summary.
COLUMNS = ("thinks", "tokens", "accuracy", "accuracy_thinking", "accuracy_direct")
Row = dict[str, Any]


class Setting(NamedTuple):
    """The training of a policy."""

    algorithm: str = "reinforce-group"
    aggregation: str = ""
    """Token weights in the loss; empty for the algorithm's own."""
    grammar: bool = False
    """Whether thinking is forbidden."""
    start: WarmStart = WarmStart()


SETTINGS = {
    "reinforce-group": Setting(),
    "grpo": Setting("grpo"),
    "dr-grpo": Setting("dr-grpo"),
    "grpo, constant weights": Setting("grpo", "constant"),
    "thinking forbidden": Setting(grammar=True),
    "adding not learnt": Setting(start=WarmStart(worked_steps=50, until=0.0)),
}


class Run(NamedTuple):
    """Arguments of `curves`."""

    seed: int
    settings: Sequence[str]
    updates: int
    every: int
    episodes: int


def config_of(setting: Setting, seed: int, updates: int) -> Config:
    """The configuration of a setting: the defaults with a lower learning rate."""
    return Config(
        algorithm=setting.algorithm,
        aggregation=setting.aggregation,
        grammar=setting.grammar,
        learning_rate=LEARNING_RATE,
        seed=seed,
        updates=updates,
    )


def curves(run: Run) -> list[Row]:
    """Evaluate every setting of one seed as it is trained."""
    starts: dict[WarmStart, tuple[LanguageModel, float]] = {}
    rows: list[Row] = []
    for name in run.settings:
        setting = SETTINGS[name]
        if setting.start not in starts:
            began = perf_counter()
            starts[setting.start] = setting.start.train(run.seed), perf_counter() - began
        model, warm_up = copy.deepcopy(starts[setting.start][0]), starts[setting.start][1]
        config = config_of(setting, run.seed, run.updates)
        trainer = Trainer(model, setting.start.envs(config.episodes, grammar=setting.grammar), config)
        held_out = setting.start.envs(run.episodes, "test", setting.grammar)
        metrics = {"seconds": 0.0}
        for update in range(run.updates + 1):
            if update:
                metrics = trainer.step()
            if update % run.every == 0 or update == run.updates:
                counts = {"setting": name, "seed": run.seed, "update": update, "seconds": metrics["seconds"]}
                looked = sample(model, held_out, setting.grammar)._asdict()
                rows.append({**counts, "warm_up_seconds": warm_up, **looked})
                print(_line(rows[-1]), flush=True)
    return rows


def _line(row: Row) -> str:
    return (
        f"{row['setting']:22} seed {row['seed']}  update {row['update']:3}  {row['seconds']:5.1f} s  "
        f"thinks {row['thinks']:.3f}  tokens {row['tokens']:5.2f}  accuracy {row['accuracy']:.3f}  "
        f"thinking {row['accuracy_thinking']:.3f}  direct {row['accuracy_direct']:.3f}"
    )


def summary(rows: Sequence[Row]) -> list[Row]:
    """Share of thinking, length and accuracy of each setting at the start and at the end: means and 95 % intervals."""
    found = []
    for name in dict.fromkeys(row["setting"] for row in rows):
        seeds = _by_seed(rows, name)
        line: Row = {"setting": name, "seeds": len(seeds)}
        for when, place in (("start", 0), ("end", -1)):
            for column in COLUMNS:
                line[f"{column}_{when}"] = _estimate([points[place][column] for points in seeds])
        line["seconds"] = _estimate([points[-1]["seconds"] for points in seeds])
        found.append(line)
    return found


def responses_of(points: Sequence[Row]) -> dict[str, list[str]]:
    """Responses of a run (evaluations in order) to the same problems at its start, in its middle and at its end."""
    moments = {"start": points[0], "middle": points[len(points) // 2], "end": points[-1]}
    return {f"{when}, update {row['update']}": [*row["transcripts"]] for when, row in moments.items()}


def _estimate(values: Sequence[float]) -> list[float | None]:
    """The mean over seeds, and its 95 % bootstrap interval; None for no responses of the kind."""
    known = [value for value in values if value == value]
    if not known:
        return [None] * 3
    estimate = bootstrap(lambda x: np.mean(x, -1), known, rng=np.random.default_rng(0))
    return [round(float(value), 4) for value in estimate]


def _by_seed(rows: Sequence[Row], setting: str) -> list[list[Row]]:
    chosen = [row for row in rows if row["setting"] == setting]
    return [[row for row in chosen if row["seed"] == seed] for seed in dict.fromkeys(row["seed"] for row in chosen)]


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw share of thinking, length and accuracy over updates: means over seeds, and 95 % bootstrap intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    panels = figure.subplots(1, 3)
    for name in dict.fromkeys(row["setting"] for row in rows):
        seeds, colour = _by_seed(rows, name), f"C{[*SETTINGS].index(name)}"
        updates = [row["update"] for row in seeds[0]]
        for panel, column in zip(panels, ("thinks", "tokens", "accuracy"), strict=True):
            values = np.array([[row[column] for row in points] for points in seeds])  # (seeds, evaluations)
            bands = [_estimate(column) for column in values.T.tolist()]
            panel.plot(updates, values.mean(0), color=colour, label=name)
            panel.fill_between(
                updates, [band[1] for band in bands], [band[2] for band in bands], color=colour, alpha=0.15, linewidth=0
            )
    titles = ("share of responses that think", "tokens of a response", "accuracy, held out")
    for panel, title in zip(panels, titles, strict=True):
        panel.set(xlabel="updates", title=title)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in (panels[0], panels[2]):
        panel.set_ylim(0, 1.02)
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=140, metadata={"Software": None})


def main() -> None:
    """Run the seeds; write and print the results."""
    parser = seeds_parser(__doc__, updates=60, every=5, episodes=512)
    parser.add_argument(
        "--settings", nargs="+", default=[*SETTINGS], choices=[*SETTINGS], metavar="NAME", help="default: all"
    )
    arguments = parser.parse_args()
    setting = (arguments.settings, arguments.updates, arguments.every, arguments.episodes)
    rows = parallel(curves, [Run(seed, *setting) for seed in arguments.seeds], arguments.jobs)
    write_csv(
        [{name: value for name, value in row.items() if name != "transcripts"} for row in rows],
        arguments.out / "thinking.csv",
    )
    figures = {
        "settings": summary(rows),
        "settings_of": {
            name: {**SETTINGS[name]._asdict(), "start": SETTINGS[name].start._asdict()} for name in arguments.settings
        },
        "config": asdict(config_of(Setting(), 0, arguments.updates)),
        "responses": {name: responses_of(_by_seed(rows, name)[0]) for name in arguments.settings},
        **provenance("thinking"),
    }
    write_json(figures, arguments.out / "thinking.json")
    draw(rows, arguments.out / "thinking.png")
    for line in figures["settings"]:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
