"""A comparison of runs, one HTML page without scripts, fonts or images from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textmdp.agents.evaluation.rows import share
from textmdp.agents.runs.charts import overlaid_curves
from textmdp.agents.runs.report import STYLE, points_of
from textmdp.agents.runs.run import Run

_COLOURS = ("#0067a8", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#6f7a86")
_STYLE = ".thin { fill: none; stroke-width: 1; opacity: .5; } .thick { fill: none; stroke-width: 3; }" + "".join(
    f" .run-{i} {{ stroke: {colour}; background: {colour}; }}" for i, colour in enumerate(_COLOURS, 1)
)


def grouped(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs in groups that differ by their seed alone, named by the settings that tell the groups apart."""
    settings = [{"id": run.config["id"], **run.config["arguments"], **run.config["settings"]} for run in runs]
    names = dict.fromkeys(name for setting in settings for name in setting)
    differing = [name for name in names if len({repr(setting.get(name)) for setting in settings}) > 1]
    groups: dict[str, list[Run]] = {}
    for run, setting in zip(runs, settings, strict=True):
        name = " ".join(f"{name}={setting.get(name)}" for name in differing) or str(setting["id"])
        groups.setdefault(name, []).append(run)
    return groups


def comparison(runs: Sequence[Run]) -> str:
    """Return the HTML page: overlaid learning curves, and a table of the evaluations at the end.

    Raises:
        ValueError: there are no runs.
    """
    if not runs:
        raise ValueError("a comparison needs at least one run")
    groups = grouped(runs)
    chart = overlaid_curves(
        {name: [points_of(run.metrics(), run.evaluations()) for run in members] for name, members in groups.items()}
    )
    rows = "".join(_row(name, run) for name, members in groups.items() for run in members)
    heads = "".join(f"<th>{name}</th>" for name in ("runs", "folder", "seed", "updates", "accuracy", "mean return"))
    title = f"{len(runs)} runs of textmdp"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>{STYLE}{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{title}</h1></header><section><h2>Greedy accuracy over updates</h2>{chart}</section>\n"
        f'<section><h2>At the end</h2><div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>'
        "</table></div></section>\n</main>\n</body>\n</html>\n"
    )


def write_comparison(path: Path, runs: Sequence[Run]) -> None:
    """Write the page to a file."""
    page = comparison(runs)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _row(name: str, run: Run) -> str:
    final, metrics = run.evaluations().get("final"), run.metrics()
    updates = max((row.get("update") or 0 for row in metrics), default=0)
    cells: list[Any] = [name, run.folder, run.config["seed"], f"{updates:.0f}"]
    if final is None:
        cells += ["unfinished", "–"]
    else:
        cells += [share(final.accuracy, final.accuracy_interval), f"{final.mean_return:.3f}"]
    return "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>"
