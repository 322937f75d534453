"""The ways to work a question, by its form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from textmdp.envs.tasks.text_math.steps import flat, operations, rational
from textmdp.envs.tasks.text_math.steps.work import Work

#: Writes its steps on a sheet, and returns the answer that follows from them.
Way = Callable[[Work, str], str]

#: The form of a question, and the ways to work it by name, the first being the most detailed; the first form counts.
WAYS: tuple[tuple[re.Pattern[str], Mapping[str, Way]], ...] = (
    (re.compile(r"\d[+-]\d="), {"count": flat.count, "ten": flat.ten}),
    (re.compile(r"\d+[+-]\d+="), {"columns": flat.columns, "places": flat.places}),
    (re.compile(r"\d+\*\d+="), {"rows": flat.rows, "parts": flat.parts}),
    (re.compile(r"[\d.]+[+\-*][\d.]+="), {"aligned": rational.aligned, "whole": rational.whole}),
    (re.compile(r"\d+/\d+([+\-*]\d+/\d+|/\(\d+/\d+\))="), {"least": rational.least, "cross": rational.cross}),
    (re.compile(r"\([\d+]+\)%10="), {"totals": flat.totals, "pairs": flat.pairs}),
    (
        re.compile(r"[\d+\-*/()]+="),
        {"columns": operations.operations_in_columns, "operations": operations.operations},
    ),
    (re.compile(r".*\? "), {"columns": operations.story_in_columns, "operations": operations.story}),
)


def ways_of(question: str) -> Mapping[str, Way]:
    """The ways to work a question, by name.

    >>> [*ways_of("12-45=")], [*ways_of("7*(12-45)=")]
    (['columns', 'places'], ['columns', 'operations'])
    """
    return next(ways for form, ways in WAYS if form.fullmatch(question))


def way_names(question: str) -> tuple[str, ...]:
    """The names of the ways to work a question."""
    return tuple(ways_of(question))
