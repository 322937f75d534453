"""`textmdp train`: train a language model."""

from __future__ import annotations

import argparse
import shlex
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.algorithms.objectives import OBJECTIVES
from textmdp.agents.cli.display import Display
from textmdp.agents.cli.flags import add_flags, from_flags
from textmdp.agents.cli.options import (
    UserError,
    add_environment,
    at_least,
    model_arguments,
    new_run_folder,
    quiet_transformers,
    settings,
    task_name,
    token_id,
)
from textmdp.agents.cli.terminal import show, show_evaluations, waiting
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.runs.experiment import CurriculumConfig, EvalConfig, ExperimentConfig, NetworkConfig
from textmdp.agents.runs.report import STAGES
from textmdp.agents.runs.run import Run

#: The destination of --imitation-steps.
_STEPS = "ImitationConfig.steps"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp train`."""
    parser.usage = "textmdp train ID [--set KEY=VALUE ...] [--out FOLDER] [options]"
    parser.epilog = "`textmdp algorithms` describes the algorithms: " + ", ".join(OBJECTIVES) + "."
    add_environment(parser)
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="folder of the run (default: runs/TASK-DATE-TIME)")
    parser.add_argument("--overwrite", action="store_true", help="delete an earlier run in that folder first")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in --out from its last checkpoint, bit for bit; all settings must be the same, except "
        "that --updates may be higher",
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="seed of everything (default: %(default)s)")
    add_flags(parser, NetworkConfig, "model")
    add_flags(
        parser,
        ImitationConfig,
        "warm start by imitation (--imitation-steps 0 for none, the default with --model)",
        "imitation-",
        ("seed",),
    )
    parser.set_defaults(**{_STEPS: None})  # which depends on --model
    add_flags(parser, Config, "policy gradient", leave_out=("seed",))
    add_flags(parser, EvalConfig, "evaluation on held-out problems")
    add_flags(parser, CurriculumConfig, "curriculum by success", "curriculum-")


def run(arguments: argparse.Namespace) -> int:
    """Train; returns the exit code, 130 if Ctrl-C stopped it."""
    options, network = settings(arguments.set), from_flags(NetworkConfig, arguments)
    env_id = token_id(arguments.id)
    if network.model:  # it is trained already: it brings its tokenizer, and imitates on request alone
        options = {**model_arguments(network.model, env_id, options), **options}
    if getattr(arguments, _STEPS) is None:
        setattr(arguments, _STEPS, 0 if network.model else ImitationConfig.steps)
    config = ExperimentConfig(
        env_id=env_id,
        arguments=options,
        seed=arguments.seed,
        network=network,
        imitation=from_flags(ImitationConfig, arguments, seed=arguments.seed),
        training=from_flags(Config, arguments, seed=arguments.seed),
        evaluation=from_flags(EvalConfig, arguments),
        curriculum=from_flags(CurriculumConfig, arguments),
        module=arguments.id.rpartition(":")[0],
    )
    folder = arguments.out or new_run_folder(task_name(config.env_id))
    if arguments.resume and not arguments.out:
        raise UserError("--resume continues the run in --out: name its folder")
    return run_experiment(config, folder, arguments.command_line, arguments.overwrite, arguments.resume)[0]


def run_experiment(
    config: ExperimentConfig, folder: Path, command: str, overwrite: bool, resume: bool = False
) -> tuple[int, Run]:
    """Train with a display; returns the exit code and the run."""
    show((f"{config.env_id}", "bold"), (f"   seed {config.seed}   {folder}", "dim"))
    with waiting("loading torch and transformers"):
        from textmdp.agents.runs.train import Stopped, train  # which `textmdp train --help` does without

        quiet_transformers()
        resumed = resume_run(config, folder) if resume else None
        record, state = resumed or (begin_run(config, folder, command, overwrite or resume), None)
    if state is not None:
        show((f"resuming after update {state['update']}", "dim"))
    elif resume:
        show((f"nothing to resume: {folder} has no checkpoint, so the run begins", "yellow"))
    try:
        with Display(config.imitation.steps, config.training.updates) as display, _StopSignal(display.stopping) as stop:
            train(config, record, display, stop, state)
    except Stopped:
        updates = sum("update" in row for row in record.metrics())
        show((f"stopped after {updates} updates; the model as it is, and a report, are in {folder}", "yellow"))
        return 130, record
    show("")
    show_evaluations({STAGES[name]: result for name, result in record.evaluations().items()})
    show(("\nreport    ", "dim"), str(folder / "report.html"))
    show(("evaluate  ", "dim"), f"textmdp evaluate {shlex.quote(str(folder))}")
    show(("watch     ", "dim"), f"textmdp rollout --agent {shlex.quote(str(folder))}")
    return 0, record


def resume_run(config: ExperimentConfig, folder: Path) -> tuple[Run, dict[str, Any]] | None:
    """Return the run in a folder and its last checkpoint; None if there is none, so that the run begins.

    Raises:
        UserError: the run was begun with other settings.
    """
    if not (folder / "config.json").is_file():
        return None
    record = Run.open(folder)
    before = {"id": record.config["id"], "seed": record.config["seed"], **record.config["settings"]}
    now = {"id": config.env_id, "seed": config.seed, **config.settings()}
    before["set"], now["set"] = record.config["arguments"], config.arguments
    for name in now:
        if name != "updates" and before.get(name) != now[name]:
            raise UserError(
                f"the run in {folder} was begun with {name}={before.get(name)!r}, and this one has {now[name]!r}: "
                "--resume needs the same settings; for others choose another --out"
            )
    state = record.load_checkpoint()
    if state is not None and state["update"] > config.training.updates:
        raise UserError(
            f"the run in {folder} has had {state['update']} updates, more than --updates {config.training.updates}"
        )
    return None if state is None else (record, state)


def begin_run(config: ExperimentConfig, folder: Path, command: str, overwrite: bool) -> Run:
    """Create the folder of a run, after the environment has accepted its arguments."""
    envs: Any = make_envs(config.env_id, 1, **config.arguments)
    return Run.create(
        folder,
        env_id=config.env_id,
        arguments=config.arguments,
        settings=config.settings(),
        held_out=config.held_out() != config.arguments,
        seed=config.seed,
        tokenizer=envs.mdp.tokenizer,
        command=command,
        overwrite=overwrite,
        module=config.module,
    )


class _StopSignal:
    """Returns True when called after Ctrl-C; a second Ctrl-C raises KeyboardInterrupt at once.

    Args:
        on_stop: called at the first Ctrl-C.
    """

    def __init__(self, on_stop: Callable[[], None]) -> None:
        self._asked = False
        self._on_stop = on_stop
        self._before: Any = None

    def __call__(self) -> bool:
        return self._asked

    def __enter__(self) -> _StopSignal:
        if threading.current_thread() is threading.main_thread():  # only there may a handler be set
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self._on_stop()
