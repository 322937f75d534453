"""`textmdp algorithms`: the table of objectives, and what each row changes."""

from __future__ import annotations

import argparse

from rich.table import Table
from rich.text import Text

from textmdp.agents.algorithms.config import Config
from textmdp.agents.algorithms.objectives import OBJECTIVES, Objective
from textmdp.agents.cli.terminal import console, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `textmdp algorithms`: none."""


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, row in OBJECTIVES.items():
        starred = f"{name} *" if name == Config.algorithm else name
        table.add_row(
            Text(starred, "bold"),
            Text.assemble(row.summary, "\n", (", ".join(changes(row)), "dim")),
        )
    console.print(table)
    show("\n* the default. Every row trains on -Σ weight × ratio × advantage; the ratio is 1 on fresh episodes.")
    show("Discount, divergence, entropy, epochs and more are options of any row: see `textmdp train --help`.")
    return 0


def changes(row: Objective) -> list[str]:
    """What a row is made of, in words."""
    told = [f"baseline {row.baseline}"]
    if row.scale_by_std:
        told.append("divided by the group's standard deviation")
    if row.whitened:
        told.append("whitened")
    told.append("clipped" if row.clipped else "not clipped")
    told.append(f"weights by {row.aggregation}")
    if row.epochs * row.minibatches > 1:
        told.append(f"{row.epochs} epochs of {row.minibatches} step{'s' if row.minibatches > 1 else ''}")
    return told
