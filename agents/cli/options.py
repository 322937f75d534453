"""Arguments that several commands share: environments by id, `--set key=value`, agents by name."""

from __future__ import annotations

import argparse
import difflib
import importlib
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import textmdp.envs
from textmdp.agents.rollouts.agent import Agent
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.rollouts.scripted import ExpertAgent, RandomAgent
from textmdp.agents.runs.experiment import takes
from textmdp.agents.runs.run import Run
from textmdp.envs.views.vector_env import TokenVectorEnv

HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
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


def environment_of(arguments: argparse.Namespace, usage: str) -> tuple[str, dict[str, Any]]:
    """Return the id and the arguments of the environment to use an agent in.

    A run has an environment by default, and a pretrained model gives it its tokenizer.

    Args:
        arguments: of the command line, with `agent`, `id`, `set` and `split`.
        usage: of the command, for the error.

    Raises:
        UserError: the agent brings no environment, and none is named.
    """
    env_id: str | None = None if arguments.id is None else token_id(arguments.id)
    options: dict[str, Any] = {}
    run = arguments.agent if is_run(arguments.agent) else None
    if run is None and env_id is None:
        if arguments.agent not in SCRIPTED and not is_model_name(arguments.agent):
            Run.open(arguments.agent)  # raises, with all that an agent may be
        raise UserError(f"the agent {arguments.agent!r} needs an environment: {usage}")
    if run is None and arguments.agent not in SCRIPTED:
        assert env_id is not None
        options = model_arguments(arguments.agent, env_id, settings(arguments.set))
    if run is not None:
        config = Run.open(run).config
        trained = token_id(":".join(filter(None, (config.get("module"), config["id"]))))
        if env_id is None or env_id == trained:
            env_id = trained
            # Without the split of training, on which nobody should evaluate.
            options = {name: value for name, value in config["arguments"].items() if name != "split"}
    assert env_id is not None
    return env_id, with_split(env_id, {**options, **settings(arguments.set)}, arguments.split)


# Agents


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the flags of sampling."""
    parser.add_argument(
        "--temperature", type=float, help="sampling temperature (default: that of a run's training, 1 for others)"
    )
    parser.add_argument(
        "--top-p", type=float, help="sample from the likeliest tokens whose probabilities first add up to this"
    )
    parser.add_argument("--top-k", type=at_least(1), help="sample from as many of the likeliest tokens")


def sampling_of(arguments: argparse.Namespace, sampled: bool) -> dict[str, Any]:
    """Return the options of sampling that are given.

    Raises:
        UserError: they are given, and nothing is sampled.
    """
    names = ("temperature", "top_p", "top_k")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if given and (not sampled or arguments.agent in SCRIPTED):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"{flags} is about sampling, and no model samples here: evaluate takes --sampled or --samples")
    return given


def load_agent(
    name: str, envs: TokenVectorEnv[Any], seed: int, sampled: bool = False, sampling: dict[str, Any] | None = None
) -> Agent:
    """Return an agent by its name: "random", "expert", the folder of a run, or a causal language model."""
    if name == "random":
        return RandomAgent(seed)
    if name == "expert":
        return ExpertAgent()
    quiet_transformers()
    if is_run(name):
        return Run.open(name).agent(envs.mdp.tokenizer, seed=seed, greedy=not sampled, **(sampling or {}))
    from textmdp.agents.inference.compatibility import load_model
    from textmdp.agents.inference.sampler import LanguageModelAgent

    model = load_model(name, envs.mdp.tokenizer)
    return LanguageModelAgent(model, greedy=not sampled, seed=seed, **(sampling or {}))


def new_run_folder(name: str) -> Path:
    """Return a folder in `runs/` that is not there yet, named after the run and the second."""
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = itertools.chain([stem], (f"{stem}-{k}" for k in itertools.count(2)))
    return next(folder for folder in (Path("runs") / each for each in names) if not folder.exists())


def is_run(name: str) -> bool:
    """Return True for the folder of a run."""
    try:
        return "settings" in Run.open(name).config
    except (FileNotFoundError, ValueError):
        return False


def model_arguments(name: str, env_id: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that an environment needs for a pretrained model: its tokenizer, if that is another.

    Raises:
        UserError: `name` is no model either.
        ValueError: the model is no causal language model.
    """
    if not is_model_name(name):
        Run.open(name)  # raises, with all that an agent may be
    from textmdp.agents.models.loading import check_config, check_tokens, read_config
    from textmdp.envs.tokenizers.hub import hub_or_cache

    quiet_transformers()
    with hub_or_cache():
        check_config(read_config(name), name)
        if "tokenizer" in options:
            return {}
        try:
            check_tokens(name, make_envs(env_id, 1, **options).mdp.tokenizer)
        except ValueError:
            return {"tokenizer": name}
    return {}


def is_model_name(name: str) -> bool:
    """Return True for a folder with a model, and for what may be a name on the hub."""
    folder = Path(name)
    return (folder / "config.json").is_file() if folder.exists() else bool(HUB_NAME.fullmatch(name))


def quiet_transformers() -> None:
    """Turn off the progress bars of transformers, which it shows for small files, too."""
    from transformers.utils import logging  # seconds, which commands without a model do without

    logging.disable_progress_bar()


def one_line(error: BaseException) -> str:
    """Return an error's message in one line."""
    # Gymnasium appends this to what an environment's constructor raises.
    text = str(error).partition(" was raised from the environment creator for ")[0]
    return " ".join(text.split()) or type(error).__name__
