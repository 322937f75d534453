"""TextRetail: the problems of tau-bench's retail domain, graded by the final records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from textmdp.envs.core.task import Reply, Score, Task
from textmdp.envs.tasks.text_support.retail import tools
from textmdp.envs.tasks.text_support.retail.records import Changes, Problem, Records, load_problems, load_tables

_AGENT = "\nagent: "
_BYTES_OF_GROWTH = 2048  # of a row, by payments, new addresses and requests


class RetailState(NamedTuple):
    """A dialogue: the problem, the changed records and the number of turns."""

    problem: int
    changes: Changes = ()
    turns: int = 0


class TextRetail(Task[RetailState]):
    """Do what a customer of tau-bench's retail shop wants, by calls of its tools.

    The customer gives the whole brief in the first message, where tau-bench's simulated customer reveals it by and by.
    A response is a call, `TOOL {"argument": "value"}`, whose result is the next message, or else words to the customer,
    which end the episode, as `transfer_to_human_agents` does.

    The reward is 1 at the end if two things hold, as in tau-bench: the records are those that the reference calls
    leave, and the last words contain each of the problem's outputs, commas and case put aside. Metrics are `records`
    and `outputs`, the two things, and `errors`, 1 for a call that was refused. Turns that are used up are unresolved.

    Args:
        folder: the folder with orders.json, users.json, products.json and tasks_test.jsonl; textmdp ships none.

    Raises:
        FileNotFoundError: a file is missing.
        DataError: a file cannot be read.
    """

    max_turns = 40
    max_response_tokens = 1024

    def __init__(self, folder: str | PathLike[str]):
        self._tables = load_tables(folder)
        self._problems = load_problems(folder)
        self._goals = [_goal(self._tables, problem) for problem in self._problems]
        self.num_problems = len(self._problems)
        rows = (row for table in self._tables.values() for row in table.values())
        longest = max(len(json.dumps(row).encode()) for row in rows) + _BYTES_OF_GROWTH
        self.max_text_bytes = longest * (self.max_turns + 1)

    def problem(self, index: int) -> tuple[RetailState, str]:
        """Problem `index` of the file, with the customer's brief."""
        return RetailState(index), f"customer: {self._problems[index].instruction}{_AGENT}"

    def reply(self, state: RetailState, response: str, rng: np.random.Generator) -> Reply[RetailState]:
        """The result of a call, or the grade after words."""
        turns = state.turns + 1
        call = parse(response)
        if call is None:
            return self._end(state._replace(turns=turns), response, "")
        records = Records(self._tables, state.changes)
        result = tools.run(records, *call)
        after = RetailState(state.problem, records.changes, turns)
        if call[0] == "transfer_to_human_agents" and not result.startswith("Error"):
            return self._end(after, "", f"\nsystem: {result}")
        done = turns >= self.max_turns
        parts = {"solved": 0.0, "records": 0.0, "outputs": 0.0, "errors": float(result.startswith("Error"))}
        text = f"\nsystem: {result}" if done else f"\nsystem: {result}{_AGENT}"
        return Reply(after, text, Score(parts, {"solved": 1.0}), done)

    def _end(self, state: RetailState, words: str, text: str) -> Reply[RetailState]:
        heard = words.lower().replace(",", "")
        problem = self._problems[state.problem]
        right = state.changes == self._goals[state.problem]
        said = all(output.lower().replace(",", "") in heard for output in problem.outputs)
        parts = {"solved": float(right and said), "records": float(right), "outputs": float(said), "errors": 0.0}
        return Reply(state, text, Score(parts, {"solved": 1.0}), True)

    def demonstrate(self, state: RetailState, rng: np.random.Generator) -> str:
        """The next reference call, or at the end words with the outputs."""
        problem = self._problems[state.problem]
        if state.turns < len(problem.actions):
            name, arguments = problem.actions[state.turns]
            return f"{name} {arguments}"
        return " ".join(["That is done.", *(f"{output}." for output in problem.outputs)])

    def refused_references(self) -> dict[int, list[str]]:
        """The reference calls that the tools refuse, with the reason, by problem."""
        found: dict[int, list[str]] = {}
        for index, problem in enumerate(self._problems):
            for call, result in _replay(Records(self._tables), problem.actions):
                if result.startswith("Error"):
                    found.setdefault(index, []).append(f"{call}: {result}")
        return found


def parse(response: str) -> tuple[str, dict[str, Any]] | None:
    """The tool and the arguments of a call; None for words.

    >>> parse('get_order_details {"order_id": "#W1"}'), parse("Your order is on its way.")
    (('get_order_details', {'order_id': '#W1'}), None)
    """
    name, _, written = response.strip().partition(" ")
    if name not in tools.TOOLS:
        return None
    try:
        arguments = json.loads(written or "{}")
    except (ValueError, RecursionError):
        return None
    return (name, arguments) if isinstance(arguments, dict) else None


def _goal(tables: dict[str, dict[str, Any]], problem: Problem) -> Changes:
    """The changes that the reference calls leave."""
    records = Records(tables)
    _replay(records, problem.actions)
    return records.changes


def _replay(records: Records, actions: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Run calls one after the other; return them with their results."""
    return [(f"{name} {written}", tools.run(records, name, json.loads(written))) for name, written in actions]
