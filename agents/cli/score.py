"""`textmdp score`: score saved episodes again, under the same or another reward."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from textmdp.agents.cli.options import add_settings, settings
from textmdp.agents.cli.terminal import console, show
from textmdp.agents.rollouts.transcripts import completions, read_transcripts, score_again
from textmdp.envs.core.task import Score


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp score`."""
    parser.add_argument("file", metavar="FILE", type=Path, help="episodes that `textmdp rollout --save` wrote")
    add_settings(parser)
    parser.add_argument(
        "--rows", metavar="FILE", type=Path, help="write each turn here as JSON: prompt, completion, reward"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the mean of each part of the scores, before and now."""
    episodes = read_transcripts(arguments.file)
    again = score_again(episodes, **settings(arguments.set))
    before = [[Score(score["parts"], score["weights"]) for score in record["scores"]] for record in episodes]
    then, now = _means(before), _means(again)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for name in ("part, mean of turns", "before", "now"):
        table.add_column(name, justify="left" if name.startswith("part") else "right")
    for name in dict.fromkeys((*then, *now)):
        style = "bold" if name == "reward" else ""
        table.add_row(name, _number(then.get(name)), _number(now.get(name)), style=style)
    console.print(table)
    same = sum(a == b for a, b in zip(before, again, strict=True))
    show(f"{len(episodes)} episodes; the scores of {same} are as they were")
    if arguments.rows is not None:
        scored = [
            {**record, "scores": [{"total": score.total} for score in scores]}
            for record, scores in zip(episodes, again, strict=True)
        ]
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in completions(scored)]
        arguments.rows.parent.mkdir(parents=True, exist_ok=True)
        arguments.rows.write_text("".join(lines), encoding="utf-8")
        show(f"{len(lines)} turns written to {arguments.rows}")
    return 0


def _means(scores: Sequence[Sequence[Score]]) -> dict[str, float]:
    """The mean of each part over the turns that have it, and of the reward."""
    turns = [{**score.parts, "reward": score.total} for episode in scores for score in episode]
    names = dict.fromkeys(name for turn in turns for name in turn if name != "reward")
    return {name: float(np.mean([turn[name] for turn in turns if name in turn])) for name in (*names, "reward")}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
