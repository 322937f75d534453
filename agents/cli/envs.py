"""`textmdp envs`: list the environments, or print the documentation of one."""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
from typing import Any

import gymnasium as gym
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

import textmdp.envs
from textmdp.agents.cli.options import task_name, token_id
from textmdp.agents.cli.terminal import console
from textmdp.envs.core.task import Task
from textmdp.envs.registration import EVERY_TASK
from textmdp.envs.views.text_env import TextEnv
from textmdp.envs.views.token_env import TokenEnv

#: First cell of a row of a table in a task's documentation, a name in backticks.
_ROW = re.compile(r"^\| `([^`|]+)`( \(default\))? *\|", re.MULTILINE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp envs`."""
    parser.add_argument("id", metavar="ID", nargs="?", help="print the documentation of this environment")


def run(arguments: argparse.Namespace) -> int:
    """Print the list, or one page."""
    if arguments.id is None:
        _print_table()
    else:
        _print_page(token_id(arguments.id))
    return 0


def _print_table() -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("id", no_wrap=True, style="bold cyan")
    table.add_column("task", min_width=24)
    for title in ("turns", "budget", "vocabulary"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, path in textmdp.envs.TASKS.items():
        env: TextEnv[Any] = gym.make(f"{name}-v0").unwrapped  # type: ignore[assignment]
        sizes = env.mdp.task.max_turns, env.mdp.max_response_tokens, env.mdp.tokenizer.vocab_size
        table.add_row(f"{name}-v0\n{name}Response-v0", _first_line(_load(path)), *map(str, sizes))
    console.print(table)
    console.print(
        Text(
            "An action of NAME-v0 is a token, of NAMEResponse-v0 a whole response. Turns: at most; budget: tokens of a "
            "response, at most; vocabulary: tokens of the default tokenizer.",
            style="dim",
        )
    )
    for name, path in textmdp.envs.TASKS.items():
        task = _load(path)
        console.print()
        console.print(Text.assemble((f"{name}  ", "bold cyan"), ("--set ", "dim"), ", ".join(_arguments(task))))
        if names := difficulties(task):
            console.print(Text.assemble(("  difficulty  ", "dim"), ", ".join(names)))
    views = [*EVERY_TASK, *(n for n in inspect.signature(TokenEnv).parameters if n not in ("task", "render_mode"))]
    console.print()
    console.print(Text.assemble(("every environment  ", "bold"), ("--set ", "dim"), ", ".join(views)))
    console.print(Text("`textmdp envs ID` prints the documentation of one; `textmdp play ID` plays it.", style="dim"))


def _print_page(env_id: str) -> None:
    name = task_name(env_id)
    page = f"# {name}\n\nIds: `{name}-v0` (an action is a token) and `{name}Response-v0` (an action is a response).\n\n"
    page += inspect.cleandoc(documentation(name))
    views = ", ".join(f"`{n}`" for n in (*EVERY_TASK, *inspect.signature(TokenEnv).parameters) if n != "task")
    page += (
        f"\n\n## Arguments of every environment\n{views}; see `textmdp.envs.rewards`, `textmdp.envs.TokenEnv` "
        "and `textmdp.envs.ResponseEnv`.\n"
    )
    if console.is_terminal:
        console.print(Markdown(page))
    else:
        console.file.write(page)


def documentation(name: str) -> str:
    """Return the documentation of a task, by its name."""
    return _load(textmdp.envs.TASKS[name]).__doc__ or "It has no documentation."


def difficulties(task: type[Task[Any]]) -> list[str]:
    """Return the difficulties in the table of a task's documentation, the default marked."""
    page = inspect.cleandoc(task.__doc__ or "")
    _, _, rest = page.partition("| difficulty |")
    return [f"{name} (default)" if default else name for name, default in _ROW.findall(rest.partition("\n\n")[0])]


def _load(path: str) -> type[Task[Any]]:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _first_line(task: type[Task[Any]]) -> str:
    return inspect.cleandoc(task.__doc__ or "").partition("\n")[0]


def _arguments(task: type[Task[Any]]) -> list[str]:
    return [*inspect.signature(task).parameters]
