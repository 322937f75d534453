"""What the subcommands share: environments by id, `--set key=value`, agents by name, errors for people."""

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
from textmdp.envs.registration import task_arguments
from textmdp.envs.views.vector_env import TokenVectorEnv

#: Agents that need no training.
SCRIPTED = ("random", "expert")


class UserError(ValueError):
    """Something that the user can put right: shown in one line, without a traceback."""


# Arguments


def add_environment(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """The environment's id, and `--set`."""
    parser.add_argument(
        "id",
        metavar="ID",
        nargs="?" if optional else None,
        help="an environment's id, as `textmdp envs` lists them; `module:ID` imports a module of yours first"
        + (" (default: the one that the run was trained on)" if optional else ""),
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="arguments of the environment, such as --set difficulty=brackets reward=dense",
    )


def at_least(least: int) -> Any:
    """The type of an argument that is a whole number of at least `least`."""

    def whole(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is too small: it must be at least {least}")
        return number

    return whole


def settings(pairs: Sequence[str]) -> dict[str, Any]:
    """The arguments that `--set` gives: values are JSON where they can be, and strings otherwise.

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
    named = {"True": True, "False": False, "None": None}
    if text in named:
        return named[text]
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is a string here")


# Environments


def token_id(name: str) -> str:
    """The id of the token view of a registered task, from either of its ids or its bare name."""
    module, colon, name = name.rpartition(":")
    if colon:
        # At the end of the path: what is installed comes before what lies about.
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
    """The name of the task behind a token view's id."""
    return env_id.removesuffix("-v0")


def takes(env_id: str, argument: str) -> bool:
    """Whether the task of an id takes an argument."""
    return argument in task_arguments(textmdp.envs.TASKS[task_name(env_id)])


def with_split(env_id: str, arguments: dict[str, Any], split: str | None, default: str = "test") -> dict[str, Any]:
    """The arguments for a split: the one asked for, else the one that `--set` gave, else the default."""
    if not takes(env_id, "split"):
        if split is not None:
            raise UserError(f"--split {split}: {task_name(env_id)} has no splits; leave --split out")
        return arguments
    return {**arguments, "split": split or arguments.get("split") or default}


#: The most episodes that are played at once.
MOST_ROWS = 256


def environment_of(
    arguments: argparse.Namespace, run: str | None, default_split: str = "test"
) -> tuple[str, dict[str, Any]]:
    """The id and the arguments that a command line asks for; what it leaves open is taken from a run."""
    env_id: str | None = None if arguments.id is None else token_id(arguments.id)
    options: dict[str, Any] = {}
    if run is not None:
        from textmdp.agents.runs.run import Run

        config = Run.open(run).config
        trained = token_id(config["id"])
        if env_id is None or env_id == trained:
            # The training split is no place to be measured on.
            env_id = trained
            options = {name: value for name, value in config["arguments"].items() if name != "split"}
    assert env_id is not None
    return env_id, with_split(env_id, {**options, **settings(arguments.set)}, arguments.split, default_split)


# Agents


def load_agent(name: str, envs: TokenVectorEnv[Any], seed: int, sampled: bool = False) -> Agent:
    """An agent by its name: "random", "expert", or the folder of a run."""
    if name == "random":
        return RandomAgent(seed)
    if name == "expert":
        return ExpertAgent()
    from textmdp.agents.runs.run import Run

    quiet_transformers()
    return Run.open(name).agent(envs.mdp.tokenizer, seed=seed, greedy=not sampled)


def quiet_transformers() -> None:
    """No progress bars for files of a megabyte, among what the commands print."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    # Gymnasium adds where it came from to what an environment's constructor raises.
    text = str(error).partition(" was raised from the environment creator for ")[0]
    return " ".join(text.split()) or type(error).__name__
