"""`textmdp train`: teach a language model."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from pathlib import Path
from typing import Any

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.algorithms.objectives import OBJECTIVES
from textmdp.agents.cli.display import Display
from textmdp.agents.cli.flags import add_flags, from_flags
from textmdp.agents.cli.options import (
    UserError,
    add_environment,
    at_least,
    quiet_transformers,
    settings,
    task_name,
    token_id,
)
from textmdp.agents.cli.plan import EvalConfig, Network, Plan
from textmdp.agents.cli.terminal import console, evaluation_table, show
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.runs.report import STAGES
from textmdp.agents.runs.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `textmdp train`."""
    parser.epilog = "algorithms: " + "; ".join(f"{name}, {row.summary}" for name, row in OBJECTIVES.items())
    add_environment(parser)
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="of the run (default: runs/, the task and the time)")
    parser.add_argument("--overwrite", action="store_true", help="put an earlier run in that folder out of the way")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --out from its last checkpoint, bit for bit; with the same settings, though "
        "--updates may be more",
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of everything (default: %(default)s)")
    add_flags(parser, Network, "model")
    add_flags(
        parser, ImitationConfig, "warm start by imitation (--imitation-steps 0 for none)", "imitation-", ("seed",)
    )
    add_flags(parser, Config, "policy gradient", leave_out=("seed",))
    add_flags(parser, EvalConfig, "evaluation on the held-out split")


def run(arguments: argparse.Namespace) -> int:
    """Train; 130 when Ctrl-C ended it."""
    plan = Plan(
        env_id=token_id(arguments.id),
        arguments=settings(arguments.set),
        seed=arguments.seed,
        network=from_flags(Network, arguments),
        imitation=from_flags(ImitationConfig, arguments, seed=arguments.seed),
        training=from_flags(Config, arguments, seed=arguments.seed),
        measuring=from_flags(EvalConfig, arguments),
    )
    folder = arguments.out or Path("runs") / f"{task_name(plan.env_id)}-{time.strftime('%Y%m%d-%H%M%S')}"
    if arguments.resume and not arguments.out:
        raise UserError("--resume goes on with the run in --out: name its folder")
    return train(plan, folder, arguments.command_line, arguments.overwrite, arguments.resume)[0]


def train(plan: Plan, folder: Path, command: str, overwrite: bool, resume: bool = False) -> tuple[int, Run]:
    """Train as planned with a display; returns the exit code and the run."""
    from textmdp.agents.cli.teaching import Stopped, StopSignal, teach  # they import torch, help does without

    quiet_transformers()
    found = take_up(plan, folder) if resume else None
    record, state = found or (begin(plan, folder, command, overwrite or resume), None)
    show((f"{plan.env_id}", "bold"), (f"   seed {plan.seed}   {folder}", "dim"))
    if state is not None:
        show((f"going on after update {state['update']}", "dim"))
    try:
        with Display(plan.imitation.steps, plan.training.updates) as display, StopSignal(display.stopping) as stop:
            teach(plan, record, display, stop, state)
    except Stopped:
        updates = sum("update" in row for row in record.metrics())
        show((f"stopped after {updates} updates; the model as it is, and a report, are in {folder}", "yellow"))
        return 130, record
    show("")
    console.print(
        evaluation_table({STAGES[name]: result for name, result in record.evaluations().items() if name != "untrained"})
    )
    show(("\nreport  ", "dim"), os.path.relpath(record.folder / "report.html"))
    show(("again   ", "dim"), f"textmdp evaluate {shlex.quote(str(folder))}")
    return 0, record


def take_up(plan: Plan, folder: Path) -> tuple[Run, dict[str, Any]] | None:
    """The run in a folder and the checkpoint to go on from; None where there is none yet, so that it begins anew."""
    if not (folder / "config.json").is_file():
        return None
    record = Run.open(folder)
    before = {"id": record.config["id"], "seed": record.config["seed"], **record.config["settings"]}
    now = {"id": plan.env_id, "seed": plan.seed, **plan.settings()}
    before["set"], now["set"] = record.config["arguments"], plan.arguments
    for name in now:
        if name != "updates" and before.get(name) != now[name]:
            raise UserError(
                f"the run in {folder} was begun with {name}={before.get(name)!r}, and this one has {now[name]!r}: "
                "--resume goes on with the same settings; for others choose another --out"
            )
    state = record.load_checkpoint()
    if state is not None and state["update"] > plan.training.updates:
        raise UserError(
            f"the run in {folder} has had {state['update']} updates, more than --updates {plan.training.updates}"
        )
    return None if state is None else (record, state)


def begin(plan: Plan, folder: Path, command: str, overwrite: bool) -> Run:
    """The folder of a run, once the environment is known to be made of these arguments."""
    envs: Any = make_envs(plan.env_id, 1, **plan.arguments)
    return Run.create(
        folder,
        env_id=plan.env_id,
        arguments=plan.arguments,
        settings=plan.settings(),
        held_out=plan.held_out() != plan.arguments,
        seed=plan.seed,
        tokenizer=envs.mdp.tokenizer,
        command=command,
        overwrite=overwrite,
    )
