"""Inserts: lines `<!-- insert: NAME ARGUMENT -->` of a page, replaced with Markdown made from the code."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import re
from collections.abc import Callable
from typing import Any

from generator.docstrings import page_text
from generator.paths import ROOT

INSERT = re.compile(r"^<!-- insert: (\S+) ?(.*?) -->$", re.MULTILINE)


def expand(text: str) -> str:
    """A page with its inserts expanded."""
    return INSERT.sub(lambda match: INSERTS[match[1]](match[2]).rstrip(), text)


def code_block(of: Any) -> str:
    """The source of a function or class, under its dotted name."""
    return f"`{of.__module__}.{of.__qualname__}`\n\n```python\n{inspect.getsource(of).rstrip()}\n```"


def _docstring(path: str) -> str:
    """The docstring of a module or of an object."""
    return page_text(inspect.cleandoc(_load(path).__doc__ or ""))


def _value(path: str) -> str:
    """A text that is a constant of a module."""
    return f"```text\n{_load(path)}\n```"


def _listing(path: str) -> str:
    """The docstring of a module behind its first paragraph, as it stands."""
    return f"```text\n{inspect.cleandoc(_load(path).__doc__ or '').partition(chr(10) * 2)[2]}\n```"


def _help(command: str) -> str:
    """The output of `textmdp COMMAND --help`."""
    from textmdp.agents.cli.main import main

    stream = io.StringIO()
    width, os.environ["COLUMNS"] = os.environ.get("COLUMNS"), "100"
    try:
        with contextlib.redirect_stdout(stream), contextlib.suppress(SystemExit):
            main([*command.split(), "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if width is not None:
            os.environ["COLUMNS"] = width
    return f"```text\n{stream.getvalue().rstrip()}\n```"


def _commands(_: str) -> str:
    """A section for each subcommand, with its help."""
    from textmdp.agents.cli.main import COMMANDS

    sections = [f"## `textmdp {name}`\n\n{_help(name)}" for name in COMMANDS]
    return "\n\n".join(sections)


def _environments(folder: str) -> str:
    from generator.environments import table

    return table(folder)


def _algorithms(folder: str) -> str:
    from generator.algorithms import rows_table

    return rows_table().replace("](", f"]({folder}")


def _readme(title: str) -> str:
    """The code of a section of the README."""
    section = (ROOT / "README.md").read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^```.*?^```", section, re.DOTALL | re.MULTILINE)[0]


def _results(name: str) -> str:
    from generator import results

    return getattr(results, name)()


def _load(path: str) -> Any:
    """The module or the object at a dotted path."""
    with contextlib.suppress(ImportError):
        return importlib.import_module(path)
    module, _, name = path.rpartition(".")
    return getattr(_load(module), name)


INSERTS: dict[str, Callable[[str], str]] = {
    "docstring": _docstring,
    "listing": _listing,
    "commands": _commands,
    "environments": _environments,
    "algorithms": _algorithms,
    "readme": _readme,
    "results": _results,
    "value": _value,
}
