"""Summary and figures of the trial of estimators: a radar of scores by diagnostic, and scores over difficulties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textmdp.benchmarks.intervals import bootstrap, finite

#: Estimators of the radar, from the many.
SHOWN = ("rloo", "rloo-turn", "grpo", "GAE λ=0.95", "vine", "exact")
#: Estimators of the curves over difficulties.
SWEPT = ("rloo", "rloo γ=0.9", "grpo", "GAE λ=0.95", "GAE λ=0", "redistribution", "vine", "exact")
Row = Mapping[str, Any]


def summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each estimator's scores over all diagnostics: the mean over seeds, and its 95 % bootstrap interval."""
    columns = ("score_tokens", "score_episodes", "cosine_tokens", "cosine_episodes", "correlation_episodes")
    found = []
    for name in _names(rows, "estimator"):
        line: dict[str, Any] = {"estimator": name}
        for column in columns:
            line[column] = _estimate(_by_seed([row for row in rows if row["estimator"] == name], column))
        found.append(line)
    return found


def scores_of(rows: Sequence[Row], column: str = "score_tokens") -> dict[str, dict[str, list[float | None]]]:
    """The score of each estimator on each diagnostic, over its difficulties: mean and 95 % interval over seeds."""
    return {
        name: {
            kind: _estimate(
                _by_seed([row for row in rows if row["estimator"] == name and row["diagnostic"] == kind], column)
            )
            for kind in _names(rows, "diagnostic")
        }
        for name in _names(rows, "estimator")
    }


def draw_radar(rows: Sequence[Row], path: Path) -> None:
    """Draw the scores of some estimators, a spoke a diagnostic."""
    from matplotlib.figure import Figure

    scores, kinds = scores_of(rows), _names(rows, "diagnostic")
    angles = np.linspace(0, 2 * np.pi, len(kinds), endpoint=False)
    figure = Figure(figsize=(8.5, 6.2), layout="constrained")
    axes = figure.add_subplot(projection="polar")
    for k, name in enumerate(SHOWN):
        values = [scores[name][kind][0] or 0.0 for kind in kinds]
        colour, dashes = ("0.3", "--") if name == "exact" else (f"C{k}", "-")
        axes.plot([*angles, angles[0]], [*values, values[0]], label=name, linewidth=1.8, color=colour, linestyle=dashes)
    axes.set_xticks(angles, [kind.removeprefix("Text") for kind in kinds])
    axes.tick_params(axis="x", pad=14)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.25, 0.5, 0.75, 1.0], ["", "0.5", "", "1"], fontsize=8)
    axes.set_title("score of training at equal tokens: 0 random, 1 the best return at once", fontsize=10, pad=18)
    figure.legend(loc="outside right lower", frameon=False)
    figure.savefig(path, dpi=140, metadata={"Software": None})


def draw_sweeps(rows: Sequence[Row], path: Path) -> None:
    """Draw the scores of some estimators over the difficulties of each diagnostic, a panel each."""
    from matplotlib.figure import Figure

    kinds = _names(rows, "diagnostic")
    columns = -(-len(kinds) // 2)
    figure = Figure(figsize=(2.4 * columns + 1, 5.6), layout="constrained")
    panels = figure.subplots(2, columns, sharey=True, squeeze=False).ravel()
    for panel in panels[len(kinds) :]:
        panel.set_axis_off()
    for panel, kind in zip(panels, kinds, strict=False):
        for k, name in enumerate(SWEPT):
            chosen = [row for row in rows if row["diagnostic"] == kind and row["estimator"] == name]
            difficulties = _names(chosen, "difficulty")
            bands = [
                _estimate(_by_seed([row for row in chosen if row["difficulty"] == d], "score_tokens"))
                for d in difficulties
            ]
            means, low, high = np.array(bands, np.float64).T
            places = np.arange(len(difficulties))
            colour, dashes = ("0.3", "--") if name == "exact" else (f"C{k}", "-")
            panel.plot(places, means, marker=".", label=name, color=colour, linestyle=dashes)
            panel.fill_between(places, low, high, alpha=0.12, linewidth=0, color=colour)
        panel.set_xticks(places, [f"{d:g}" for d in difficulties])
        panel.set_title(kind, fontsize=10)
        panel.set_ylim(0, 1.02)
        panel.spines[["top", "right"]].set_visible(False)
    figure.supylabel("score at equal tokens")
    figure.supxlabel("difficulty")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
    figure.savefig(path, dpi=140, metadata={"Software": None})


def _by_seed(rows: Sequence[Row], column: str) -> list[float]:
    """The mean of a column over the rows of each seed."""
    return [float(np.mean([row[column] for row in rows if row["seed"] == seed])) for seed in _names(rows, "seed")]


def _estimate(values: Sequence[float]) -> list[float | None]:
    estimate = bootstrap(lambda x: np.mean(x, -1), values, rng=np.random.default_rng(0), resamples=2000)
    return [finite(value) for value in estimate]


def _names(rows: Sequence[Row], column: str) -> list[Any]:
    return list(dict.fromkeys(row[column] for row in rows))
