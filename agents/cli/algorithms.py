"""`textmdp algorithms`: print the table of objectives."""

from __future__ import annotations

import argparse

from rich.table import Table
from rich.text import Text

from textmdp.agents.algorithms.config import Config
from textmdp.agents.algorithms.objectives import OBJECTIVES, Objective
from textmdp.agents.cli.terminal import console, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments: `textmdp algorithms` has none."""


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, row in OBJECTIVES.items():
        starred = f"{name} *" if name == Config.algorithm else name
        table.add_row(Text(starred, "bold"), Text.assemble(row.summary, "\n", (", ".join(parts(row)), "dim")))
    console.print(table)
    show("\n* the default. Every row minimises -Σ weight × ratio × advantage; on fresh episodes the ratio is 1.")
    show("Discount, KL penalty, entropy bonus, epochs and more are options of every row: see `textmdp train --help`.")
    return 0


def parts(row: Objective) -> list[str]:
    """Return the parts of an objective, in words."""
    words = [f"baseline {row.baseline}"]
    if row.scale_by_std:
        words.append("divided by the group's standard deviation")
    if row.whitened:
        words.append("whitened")
    words.append("clipped" if row.clipped else "not clipped")
    words.append(f"weights by {row.aggregation}")
    if row.epochs * row.minibatches > 1:
        words.append(f"{row.epochs} epochs of {row.minibatches} step{'s' if row.minibatches > 1 else ''}")
    return words
