"""`textmdp demo`: a small model learns arithmetic, from wrong answers to right ones, while you watch."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.table import Table

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.cli.options import at_least, settings, token_id
from textmdp.agents.cli.plan import EvalConfig, Plan
from textmdp.agents.cli.terminal import console, said, show
from textmdp.agents.cli.training import train
from textmdp.agents.runs.report import STAGES
from textmdp.agents.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `textmdp demo`."""
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("runs/demo"), help="default: %(default)s")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of everything (default: %(default)s)")
    parser.add_argument("--updates", type=at_least(1), default=Config.updates, help="at most (default: %(default)s)")
    parser.add_argument(
        "--imitation-steps", type=at_least(0), default=ImitationConfig.steps, help="default: %(default)s"
    )
    parser.add_argument(
        "--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[], help="as in textmdp train"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train the default agent on TextMath, and show what changed."""
    show("A language model of 0.4 million parameters, from random weights, learns to answer problems such as 12-45=")
    show("First it imitates a careless expert, who mostly forgets to carry; then rewards tell it what is right.\n")
    plan = Plan(
        env_id=token_id("TextMath-v0"),
        arguments=settings(arguments.set),
        seed=arguments.seed,
        imitation=ImitationConfig(steps=arguments.imitation_steps, seed=arguments.seed),
        training=Config(updates=arguments.updates, seed=arguments.seed),
        measuring=EvalConfig(evaluate_every=2, until=0.95),
    )
    code, record = train(plan, arguments.out, arguments.command_line, overwrite=_is_demo(arguments.out))
    if code:
        return code
    stages = {STAGES[name]: result.transcripts for name, result in record.evaluations().items()}
    samples = Table(title="the same problems, before and after", title_justify="left", title_style="bold", box=None)
    for name in stages:
        samples.add_column(name)
    for episodes in zip(*stages.values(), strict=True):
        samples.add_row(*map(said, episodes))
    show("")
    console.print(samples)
    return 0


def _is_demo(folder: Path) -> bool:
    """Whether an earlier demo is in a folder, which this one takes the place of; nothing else is overwritten."""
    try:
        return Run.open(folder).config["command"].startswith("textmdp demo")
    except (OSError, ValueError, KeyError):
        return False
