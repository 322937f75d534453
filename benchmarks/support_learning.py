"""Learning to support customers: resolved dialogues on held-out scenarios of TextSupport, against training time.

    python -m textmdp.benchmarks.support_learning --seeds 0 1 2 3 4

Each seed warms up a model from random weights by imitation of a mediocre expert; then each setting trains a copy of it,
at the default difficulty, with the one reward at the end. Settings answer two questions of credit assignment. Should a
discount count tokens or turns? A discount by turns of 0.9 and one by tokens of 0.98 are the same for turns of five
tokens, but the latter also rewards short words. And should a value function be read at every token, or once a turn?

Evaluations are greedy. At the end, each held-out scenario is sampled eight times: pass^k is the probability that all of
k dialogues of a scenario are resolved (tau-bench, arXiv 2406.12045), beside which a mean hides what a customer can rely
on. Seeds run in processes of their own, on one core each; seconds are those of the policy gradient.

Output, in `--out`: `support_learning.csv` (a row for each evaluation), `support_learning.json` (a summary of each
setting and seed, the configurations, and dialogues of the first seed before and after) and `support_learning.png`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.evaluation.evaluate import evaluate
from textmdp.agents.evaluation.pass_at_k import pass_at_k, sample_problems
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
from textmdp.benchmarks.intervals import bootstrap

ENV_ID = "TextSupport-v0"
#: What each setting changes of the common configuration.
SETTINGS: dict[str, dict[str, Any]] = {
    "no discount": {},
    "discount by turns": {"gamma": 0.9, "discount_unit": "turns"},
    "discount by tokens": {"gamma": 0.98, "discount_unit": "tokens"},
    "values at tokens": {"algorithm": "actor-critic", "aggregation": "constant", "discount_unit": "turns"},
    "values at turns": {"algorithm": "actor-critic", "aggregation": "constant", "level": "response"},
}
#: Samples of each scenario, and the k of pass^k.
SAMPLES, KS = 8, (1, 2, 4, 8)
Row = dict[str, Any]


def imitation(seed: int) -> ImitationConfig:
    """Return the imitation: fewer steps than the default, of an expert that errs in every other turn.

    Such an expert resolves 32 % of the dialogues (400 training scenarios, the scripted expert itself).
    """
    return ImitationConfig(seed=seed, steps=600, episodes=64, mistake_rate=0.5)


def config_of(setting: str, seed: int, updates: int) -> Config:
    """Return the configuration of a setting: the defaults with 256 episodes an update, in groups of 8."""
    common: dict[str, Any] = {"algorithm": "reinforce-group", "seed": seed, "updates": updates, "episodes": 256}
    return Config(**{**common, **SETTINGS[setting]})


def curves(run: tuple[int, Sequence[str], int, int, int]) -> list[Row]:
    """Return the evaluations of a run (seed, settings, updates, every, episodes), and print them on the way."""
    seed, settings, updates, every, episodes = run
    start, warm_up = warm_start(ENV_ID, seed, imitation(seed))
    held_out = held_out_envs(ENV_ID, episodes)
    rows: list[Row] = []

    def add_row(setting: str, model: LanguageModel, metrics: Mapping[str, float], last: bool) -> None:
        greedy = LanguageModelAgent(model, greedy=True)
        result = evaluate(greedy, held_out, episodes=episodes, seed=seed, transcripts=10)
        low, high = result.accuracy_interval
        row: Row = {
            "setting": setting,
            "seed": seed,
            "update": int(metrics["update"]),
            "seconds": metrics["seconds"],
            "resolved": result.accuracy,
            "low": low,
            "high": high,
            **{name: result.scores[name] for name in ("turns", "policy_broken", "mood", "wrong_calls")},
            **{f"pass^{k}": float("nan") for k in KS},
            "warm_up_seconds": warm_up,
            "transcripts": result.transcripts,
        }
        if last:
            row.update(reliability(model, episodes // 4, seed))
        rows.append(row)
        line = "seed {seed}  {setting:20} update {update:3}  {seconds:6.1f} s  resolved {resolved:.3f}"
        print(line.format(**row), flush=True)

    for setting in settings:
        model = copy.deepcopy(start)
        config = config_of(setting, seed, updates)
        add_row(setting, model, {"update": 0, "seconds": 0.0}, last=True)
        for metrics in Trainer(model, make_envs(ENV_ID, config.episodes), config).run():
            last = metrics["update"] == updates
            if metrics["update"] % every == 0 or last:
                add_row(setting, model, metrics, last)
    return rows


def reliability(model: LanguageModel, problems: int, seed: int) -> dict[str, float]:
    """Return pass^k on the first held-out scenarios: the probability that all of k sampled dialogues are resolved.

    It is `C(c, k) / C(n, k)` for c of n resolved: one minus the probability that one of k fails.
    """
    envs = held_out_envs(ENV_ID, problems * SAMPLES)
    agent = LanguageModelAgent(model, seed=seed)
    found = sample_problems(agent, envs, problems=range(max(1, problems)), samples=SAMPLES, seed=seed)
    return {f"pass^{k}": float(1 - pass_at_k(~found.successes, k).mean()) for k in KS}


def summary(rows: Sequence[Row], bar: float) -> list[Row]:
    """Return, for each setting and seed, the share resolved before and after, pass^k, and the time to the bar."""
    lines = []
    for setting, seed in dict.fromkeys((row["setting"], row["seed"]) for row in rows):
        points = [row for row in rows if (row["setting"], row["seed"]) == (setting, seed)]
        reached = next((row for row in points if row["resolved"] >= bar), None)
        lines.append(
            {
                "setting": setting,
                "seed": seed,
                "before": round(points[0]["resolved"], 4),
                "after": round(points[-1]["resolved"], 4),
                "after_interval": [round(points[-1][end], 4) for end in ("low", "high")],
                "seconds": round(points[-1]["seconds"], 1),
                "seconds_to_bar": reached and round(reached["seconds"], 1),
                "turns_after": round(points[-1]["turns"], 2),
                "policy_broken_after": round(points[-1]["policy_broken"], 4),
                **{f"{name}_before": round(points[0][name], 4) for name in (f"pass^{k}" for k in KS)},
                **{f"{name}_after": round(points[-1][name], 4) for name in (f"pass^{k}" for k in KS)},
                "warm_up_seconds": round(points[0]["warm_up_seconds"], 1),
            }
        )
    return lines


def comparison(lines: Sequence[Row]) -> list[Row]:
    """Return, for each setting, the means over seeds with 95 % bootstrap intervals."""
    found = []
    for setting in dict.fromkeys(line["setting"] for line in lines):
        own = [line for line in lines if line["setting"] == setting]
        row: Row = {"setting": setting}
        for name in ("before", "after", "turns_after", f"pass^{KS[-1]}_after"):
            estimate = bootstrap(lambda x: np.mean(x, -1), [line[name] for line in own], rng=np.random.default_rng(0))
            row[name] = [round(float(value), 4) for value in estimate]
        found.append(row)
    return found


def examples(rows: Sequence[Row]) -> list[Row]:
    """Return dialogues of the first seed and setting before and after training, in the same scenarios."""
    points = [row for row in rows if (row["setting"], row["seed"]) == (rows[0]["setting"], rows[0]["seed"])]
    pairs = zip(points[0]["transcripts"], points[-1]["transcripts"], strict=True)
    return [{"before": before, "after": after} for before, after in pairs]


def draw(rows: Sequence[Row], bar: float, path: Path) -> None:
    """Draw a panel for each setting, with a curve for each seed, and one with pass^k after training."""
    from matplotlib.figure import Figure

    settings = list(dict.fromkeys(row["setting"] for row in rows))
    figure = Figure(figsize=(2.8 * (len(settings) + 1), 3.2), layout="constrained")
    *panels, last = np.atleast_1d(figure.subplots(1, len(settings) + 1, sharey=True))
    for axes, setting in zip(panels, settings, strict=True):
        seeds = dict.fromkeys(row["seed"] for row in rows)
        by_seed = [[r for r in rows if (r["setting"], r["seed"]) == (setting, seed)] for seed in seeds]
        for points in by_seed:
            plot_seed(axes, points, "resolved")
        style_axes(axes, bar, setting)
        after = [[points[-1][f"pass^{k}"] for k in KS] for points in by_seed]  # (seeds, k)
        last.plot(KS, np.mean(after, axis=0), marker="o", label=setting)
    panels[0].set_ylabel("resolved, held out")
    last.set(xlabel="k", title="all of k resolved (pass^k)", ylim=(0, 1.02))
    last.spines[["top", "right"]].set_visible(False)
    last.legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=140, metadata={"Software": None})


def main() -> None:
    """Run the seeds, write the results, and print the summary."""
    parser = seeds_parser(__doc__, updates=200, every=20, episodes=500, bar=0.9)
    parser.add_argument(
        "--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS), help="default: all of them"
    )
    arguments = parser.parse_args()
    runs = [
        (seed, arguments.settings, arguments.updates, arguments.every, arguments.episodes) for seed in arguments.seeds
    ]
    rows = parallel(curves, runs, arguments.jobs)
    stem = arguments.out / "support_learning"
    write_csv([{name: row[name] for name in row if name != "transcripts"} for row in rows], Path(f"{stem}.csv"))
    lines = summary(rows, arguments.bar)
    figures = {
        "seeds": lines,
        "comparison": comparison(lines),
        "bar": arguments.bar,
        "configs": {name: asdict(config_of(name, 0, arguments.updates)) for name in arguments.settings},
        "imitation": asdict(imitation(0)),
        "examples": examples(rows),
        **provenance("support_learning"),
    }
    write_json(figures, Path(f"{stem}.json"))
    draw(rows, arguments.bar, Path(f"{stem}.png"))
    for line in lines:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
