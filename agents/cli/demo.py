"""`textmdp demo`: train a small model on arithmetic, and show its answers before and after."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.table import Table

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.cli import demo_thinking
from textmdp.agents.cli.options import UserError, at_least, settings, token_id
from textmdp.agents.cli.terminal import console, episode_text, show
from textmdp.agents.cli.train import run_experiment
from textmdp.agents.runs.experiment import EvalConfig, ExperimentConfig
from textmdp.agents.runs.report import STAGES
from textmdp.agents.runs.run import Run

#: The folder of the run unless another is asked for.
FOLDER = Path("runs/demo")
#: A warm start that is short, and leaves the larger part to rewards.
IMITATION_STEPS, LEARNING_RATE, MISTAKE_RATE = 600, 2e-3, 0.5
#: Updates at most, and the episodes of one: many, so that the curve rises steadily.
UPDATES, EPISODES = 500, 2048


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp demo`."""
    parser.add_argument(
        "--thinking",
        action="store_true",
        help="watch a policy find out that working a sum step by step pays; writes no folder",
    )
    parser.add_argument("--out", metavar="FOLDER", type=Path, help=f"folder of the run (default: {FOLDER})")
    parser.add_argument("--seed", type=at_least(0), default=0, help="seed of everything (default: %(default)s)")
    parser.add_argument(
        "--updates",
        type=at_least(1),
        help=f"updates at most (default: {UPDATES}, with --thinking {demo_thinking.UPDATES})",
    )
    parser.add_argument(
        "--imitation-steps",
        type=at_least(0),
        help=f"steps of the warm start (default: {IMITATION_STEPS}; with --thinking as many as it needs)",
    )
    parser.add_argument(
        "--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[], help="arguments of TextMath-v0"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train the default agent on TextMath, and print samples before and after."""
    if arguments.thinking:
        if arguments.out or arguments.set:
            raise UserError("--thinking writes no folder and has a level of its own: leave out --out and --set")
        return demo_thinking.run(arguments.seed, arguments.updates, arguments.imitation_steps)
    folder = arguments.out or FOLDER
    steps = IMITATION_STEPS if arguments.imitation_steps is None else arguments.imitation_steps
    show("A language model of 0.4 million parameters, from random weights, learns to solve problems such as 12-45=")
    show("First it imitates an expert that often forgets to carry; then rewards teach it the right answers.\n")
    config = ExperimentConfig(
        env_id=token_id("TextMath-v0"),
        arguments=settings(arguments.set),
        seed=arguments.seed,
        imitation=ImitationConfig(steps, mistake_rate=MISTAKE_RATE, learning_rate=LEARNING_RATE, seed=arguments.seed),
        training=Config(updates=arguments.updates or UPDATES, episodes=EPISODES, seed=arguments.seed),
        evaluation=EvalConfig(evaluate_every=5, until=0.95),
    )
    code, record = run_experiment(config, folder, arguments.command_line, overwrite=_is_demo(folder))
    if code:
        return code
    stages = {STAGES[name]: result.transcripts for name, result in record.evaluations().items()}
    samples = Table(title="the same problems, before and after", title_justify="left", title_style="bold", box=None)
    for name in stages:
        samples.add_column(name)
    for episodes in zip(*stages.values(), strict=True):
        samples.add_row(*map(episode_text, episodes))
    show("")
    console.print(samples)
    return 0


def _is_demo(folder: Path) -> bool:
    """Return True if the folder holds an earlier demo, which may be overwritten; nothing else may."""
    try:
        return Run.open(folder).config["command"].startswith("textmdp demo")
    except (OSError, ValueError, KeyError):
        return False
