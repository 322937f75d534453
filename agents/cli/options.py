"""Arguments that several commands share: environments by id, `--set key=value`, agents by name."""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import textmdp.envs
from textmdp.agents.rollouts.agent import Agent
from textmdp.agents.rollouts.scripted import ExpertAgent, RandomAgent
from textmdp.agents.runs.experiment import takes
from textmdp.agents.runs.run import Run
from textmdp.envs.views.vector_env import TokenVectorEnv

#: Agents that need no training.
SCRIPTED = ("random", "expert")


class UserError(ValueError):
    """An error of use: the command line prints it in one line, without a traceback."""


# Arguments


def add_environment(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """Add the environment's id, and `--set`."""
    parser.add_argument(
        "id",
        metavar="ID",
        nargs="?" if optional else None,
        help="id of an environment, see `textmdp envs`; `module:ID` imports a module of yours first"
        + (" (default: that of the run)" if optional else ""),
    )
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add `--set`."""
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="arguments of the environment, such as --set difficulty=brackets reward=dense",
    )


def add_split(parser: argparse.ArgumentParser) -> None:
    """Add `--split`."""
    parser.add_argument("--split", help="train, test or all, if the task has splits (default: test)")


def at_least(least: int, most: int = 2**62 - 1) -> Any:
    """Return an argument type: whole numbers from `least` to `most`, by default the largest problem or seed."""

    def whole(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is too small: it must be at least {least}")
        if number > most:
            raise argparse.ArgumentTypeError(f"{number} is too large: it must be at most {most}")
        return number

    return whole


def settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Return the arguments that `--set` gives; values are JSON where they can be, and strings otherwise.

    >>> settings(["difficulty=brackets", "seed=3", "symbolic=false", "tokenizer=null"])
    {'difficulty': 'brackets', 'seed': 3, 'symbolic': False, 'tokenizer': None}
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.isidentifier():
            raise UserError(
                f"--set {pair!r} is no KEY=VALUE; write it like --set difficulty=brackets, after the other arguments"
            )
        if key in values:
            raise UserError(f"--set gives {key!r} twice, as {values[key]!r} and {text!r}; leave one out")
        values[key] = _value(text)
    return values


def _value(text: str) -> Any:
    python = {"True": True, "False": False, "None": None}
    if text in python:
        return python[text]
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is a string here")


# Environments


def token_id(name: str) -> str:
    """Return the id of a task's token view, from either of its ids or its bare name; imports the module before a colon.

    Raises:
        UserError: no such task is registered.
    """
    module, colon, name = name.rpartition(":")
    if colon:
        # The last place of the path, so that installed modules come before files of this folder.
        sys.path.append(os.getcwd())
        importlib.import_module(module)
    bare = name.removesuffix("-v0")
    for candidate in (bare, bare.removesuffix("Response")):
        if candidate in textmdp.envs.TASKS:
            return f"{candidate}-v0"
    known = [f"{task}-v0" for task in textmdp.envs.TASKS]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
    raise UserError(f"there is no environment {name!r}: {hint} `textmdp envs` lists them")


def task_name(env_id: str) -> str:
    """Return the task's name of a token view's id."""
    return env_id.removesuffix("-v0")


def with_split(env_id: str, arguments: dict[str, Any], split: str | None) -> dict[str, Any]:
    """Return the arguments with a split: `split`, or else the one in `arguments`, or else "test"."""
    if not takes(env_id, "split"):
        if split is not None:
            raise UserError(f"--split {split}: {task_name(env_id)} has no splits; leave --split out")
        return arguments
    return {**arguments, "split": split or arguments.get("split") or "test"}


def environment_of(arguments: argparse.Namespace, run: str | None) -> tuple[str, dict[str, Any]]:
    """Return the id and the arguments of the environment to use an agent in.

    Args:
        arguments: of the command line, with `id`, `set` and `split`.
        run: folder of the run whose environment is the default; None for a scripted agent, which needs `id`.
    """
    env_id: str | None = None if arguments.id is None else token_id(arguments.id)
    options: dict[str, Any] = {}
    if run is not None:
        config = Run.open(run).config
        trained = token_id(config["id"])
        if env_id is None or env_id == trained:
            env_id = trained
            # Without the split of training, on which nobody should evaluate.
            options = {name: value for name, value in config["arguments"].items() if name != "split"}
    assert env_id is not None
    return env_id, with_split(env_id, {**options, **settings(arguments.set)}, arguments.split)


# Agents


def load_agent(name: str, envs: TokenVectorEnv[Any], seed: int, sampled: bool = False) -> Agent:
    """Return an agent by its name: "random", "expert", or the folder of a run."""
    if name == "random":
        return RandomAgent(seed)
    if name == "expert":
        return ExpertAgent()
    quiet_transformers()
    return Run.open(name).agent(envs.mdp.tokenizer, seed=seed, greedy=not sampled)


def quiet_transformers() -> None:
    """Turn off the progress bars of transformers, which it shows for small files, too."""
    from transformers.utils import logging  # seconds, which commands without a model do without

    logging.disable_progress_bar()


def one_line(error: BaseException) -> str:
    """Return an error's message in one line."""
    # Gymnasium appends this to what an environment's constructor raises.
    text = str(error).partition(" was raised from the environment creator for ")[0]
    return " ".join(text.split()) or type(error).__name__
