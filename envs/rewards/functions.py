"""Reward functions: their signature, how they are named, called and checked.

A reward function is what users of TRL already write: `f(prompts, completions, **columns) -> list[float]`. It is called
once for many responses, and gets by name what its signature asks for:

- `prompts`: the texts that the responses answer (the whole transcript so far, where there are several turns);
- `completions`: the responses;
- the columns of the problem, such as `answer` or `solution`: the fields of the task's state, a list each;
- `states`: the task's states themselves;
- `parts`: the parts of the task's own score, a dictionary for each response.

A function with `**kwargs` gets all of them. `None` in its place in the list says that the function does not apply to
that response, as in TRL: the part is then absent from that score.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

RewardFunction = Callable[..., Sequence[float | None]]

#: Characters of a response that a message shows.
_SHOWN = 80


class RewardError(ValueError):
    """A reward that is not known: the message names the function, the response and the fix."""


def load_function(path: str) -> RewardFunction:
    """Import the function at `module:function`; modules of the working directory are found, too."""
    module, _, name = path.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # at the end: installed packages come first
    try:
        function = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ImportError(f"reward {path!r}: there is no module {module!r} ({error})") from error
    except AttributeError as error:
        raise ImportError(f"reward {path!r}: {module!r} has no {name!r}") from error
    if not callable(function):
        raise TypeError(f"reward {path!r} is {function!r}, and no function")
    return function


def name_of(function: RewardFunction) -> str:
    """Return the name of a reward function in scores: its `__name__`, or that of its class."""
    return getattr(function, "__name__", None) or type(function).__name__


def columns_of(states: Sequence[Any]) -> dict[str, list[Any]]:
    """Return the fields that all states have, a list each: those of named tuples, dataclasses and mappings."""
    rows = [_fields(state) for state in states]
    names = [name for name in rows[0] if all(name in row for row in rows)] if rows else []
    return {name: [row[name] for row in rows] for name in names}


def _fields(state: Any) -> Mapping[str, Any]:
    if isinstance(state, Mapping):
        return state
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return dict(zip(state._fields, state, strict=True))
    if dataclasses.is_dataclass(state) and not isinstance(state, type):
        return {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    return {}


def call(function: RewardFunction, name: str, columns: Mapping[str, Sequence[Any]]) -> list[float | None]:
    """Call a reward function with the columns that it asks for, and check its answer.

    Args:
        function: the reward function.
        name: for messages.
        columns: `prompts`, `completions` and the others, a value for each of m responses.

    Returns:
        m finite numbers, or None where the function does not apply.

    Raises:
        RewardError: the function asks for a column that there isn't, raises, or returns anything but a list of m finite
            numbers.
    """
    responses = columns["completions"]
    given = _arguments(function, name, columns)
    try:
        values = list(function(**given))
    except Exception as error:
        raise RewardError(
            f"reward function {name!r} raised {type(error).__name__}: {error} (for {len(responses)} responses, the "
            f"first of them {_shown(responses[0])})"
        ) from error
    if len(values) != len(responses):
        raise RewardError(
            f"reward function {name!r} returned {len(values)} values for {len(responses)} responses: return one each"
        )
    return [_number(value, name, response) for value, response in zip(values, responses, strict=True)]


def _arguments(function: RewardFunction, name: str, columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        wanted = list(columns)
    else:
        wanted = [parameter.name for parameter in parameters if parameter.name in columns]
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        and parameter.name not in columns
    ]
    if missing:
        raise RewardError(
            f"reward function {name!r} asks for {', '.join(map(repr, missing))}, and this task has the columns "
            f"{', '.join(map(repr, columns))}"
        )
    return {key: list(columns[key]) for key in wanted}


def _number(value: Any, name: str, response: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RewardError(f"reward function {name!r} returned {value!r} for {_shown(response)}: return a finite number")
    return number


def _shown(response: str) -> str:
    return repr(response if len(response) <= _SHOWN else response[:_SHOWN] + "…")
