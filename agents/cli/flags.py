"""Flags of the command line from dataclasses: a field gives the name, type, default and help of its flag."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import textwrap
import typing
from typing import Any, TypeVar

T = TypeVar("T")


def add_flags(
    parser: argparse.ArgumentParser, config: type[Any], title: str, prefix: str = "", leave_out: tuple[str, ...] = ()
) -> None:
    """Add a group of flags, one for each field of a dataclass.

    Args:
        parser: to add them to.
        config: a dataclass whose fields have defaults, and docstrings below them.
        title: of the group in `--help`.
        prefix: of the flags; "imitation-" makes `--imitation-steps` of `steps`.
        leave_out: fields without a flag.
    """
    group = parser.add_argument_group(title)
    docs, hints = field_docs(config), typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        if field.name in leave_out:
            continue
        flag = f"--{prefix}{field.name}".replace("_", "-")
        default = "none" if field.default in ("", None) else field.default
        help = f"{docs.get(field.name, '')} (default: {default})".strip().replace("%", "%%")
        destination = _destination(config, field.name)
        if hints[field.name] is bool:
            group.add_argument(
                flag, dest=destination, action=argparse.BooleanOptionalAction, default=field.default, help=help
            )
        else:
            group.add_argument(
                flag,
                dest=destination,
                type=hints[field.name],
                default=field.default,
                metavar=hints[field.name].__name__.upper(),
                help=help,
            )


def from_flags(config: type[T], arguments: argparse.Namespace, **others: Any) -> T:
    """Return the dataclass of parsed flags; `others` are its fields without a flag."""
    names = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    values = {name: getattr(arguments, _destination(config, name)) for name in names if name not in others}
    return config(**values, **others)


def field_docs(config: type[Any]) -> dict[str, str]:
    """Return the docstring below each field of a dataclass, in one line."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for statement, below in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            docs[statement.target.id] = " ".join(below.value.value.split())
    return docs


def _destination(config: type[Any], name: str) -> str:
    return f"{config.__name__}.{name}"
