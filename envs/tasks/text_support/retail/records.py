"""The records of tau-bench's retail shop, and changes of them that share all else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from textmdp.envs.data.data_files import DataError

Row = dict[str, Any]
#: The tables of the shop; each is a file of the folder, `NAME.json`.
TABLES = ("orders", "users", "products")
#: Changed rows as JSON text, by (table, id), in order of both: immutable, hashable and small.
Changes = tuple[tuple[tuple[str, str], str], ...]


class Problem(NamedTuple):
    """A problem: a customer's brief, the reference calls, and texts that the bot must say."""

    user_id: str
    instruction: str
    actions: tuple[tuple[str, str], ...]
    """Names and arguments (JSON text) of the reference calls."""
    outputs: tuple[str, ...]


class Records:
    """The shop's records with changes: reads as tables, writes into the changes alone.

    Attributes:
        base: the tables as they were loaded; never written to.
    """

    def __init__(self, base: Mapping[str, Mapping[str, Row]], changes: Changes = ()) -> None:
        self.base = base
        self._changed: dict[tuple[str, str], Row] = {key: json.loads(text) for key, text in changes}

    def get(self, table: str, key: str) -> Row | None:
        """The row of a table; None if there is none. Callers must not write into it."""
        return self._changed.get((table, key)) or self.base[table].get(key)

    def edit(self, table: str, key: str) -> Row:
        """A copy of a row that may be written into, and that these records have from now on."""
        if (table, key) not in self._changed:
            self._changed[table, key] = json.loads(json.dumps(self.base[table][key]))
        return self._changed[table, key]

    @property
    def changes(self) -> Changes:
        """The rows that differ from the loaded ones."""
        differ = {key: row for key, row in self._changed.items() if row != self.base[key[0]][key[1]]}
        return tuple((key, json.dumps(differ[key], sort_keys=True)) for key in sorted(differ))


def load_tables(folder: str | PathLike[str]) -> dict[str, dict[str, Row]]:
    """Read orders.json, users.json and products.json.

    Raises:
        FileNotFoundError: one is missing.
        DataError: one holds no JSON object.
    """
    tables = {}
    for name in TABLES:
        path = _file(folder, f"{name}.json")
        try:
            tables[name] = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise DataError(f"{path}: no JSON: {error}") from error
        if not isinstance(tables[name], dict):
            raise DataError(f"{path}: a table is an object from ids to rows, got a {type(tables[name]).__name__}")
    return tables


def load_problems(folder: str | PathLike[str]) -> list[Problem]:
    """Read tasks_test.jsonl, in its order.

    Raises:
        FileNotFoundError: it is missing.
        DataError: a line cannot be read; the message names file, line and reason.
    """
    path = _file(folder, "tasks_test.jsonl")
    problems = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            actions = tuple((action["name"], json.dumps(action["kwargs"])) for action in row["actions"])
            problems.append(Problem(row["user_id"], row["instruction"], actions, tuple(row["outputs"])))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}, line {number}: no problem of tau-bench: {error!r}") from error
    return problems


def _file(folder: str | PathLike[str], name: str) -> Path:
    path = Path(folder).expanduser() / name
    if not path.is_file():
        raise FileNotFoundError(f"folder={str(folder)!r} lacks {name}: give the folder with tau-bench's retail data")
    return path
