"""`textmdp compare`: learning curves of several runs on one page."""

from __future__ import annotations

import argparse
from pathlib import Path

from textmdp.agents.cli.terminal import show
from textmdp.agents.runs.comparison import grouped, write_comparison
from textmdp.agents.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp compare`."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folders of runs; those that differ by seed are one group"
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, default=Path("comparison.html"), help="the page (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the page, and name the groups."""
    runs = [Run.open(folder) for folder in arguments.runs]
    write_comparison(arguments.out, runs)
    for name, members in grouped(runs).items():
        show((name, "bold"), (f"   {len(members)} run{'s' * (len(members) > 1)}", "dim"))
    show(("comparison    ", "dim"), str(arguments.out))
    return 0
