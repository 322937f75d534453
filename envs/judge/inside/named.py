"""Plain values that are written as the name of their type and a text: ranges, decimals, fractions, dates and times.

Most programs never import their modules, so they are only imported where a text is read. A text is read, and written,
only where it fits its pattern, which bounds the cost of reading.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple


class _Type(NamedTuple):
    """Where a type is, the pattern of its texts, and the ways there and back; both are given the type first."""

    module: str
    pattern: re.Pattern[str]
    write: Callable[[Any, Any], str]
    read: Callable[[Any, str], object]


def _from_numbers(kind: Any, text: str) -> object:
    return kind(*map(int, text.split(",")))


def _fraction(kind: Any, value: Any) -> str:
    top, bottom = (kind.__dict__[part].fget(value) for part in ("numerator", "denominator"))
    return f"{top}/{bottom}" if max(top.bit_length(), bottom.bit_length()) <= 3300 else ""


def _timedelta(kind: Any, value: Any) -> str:
    parts = (kind.__dict__[part].__get__(value) for part in ("days", "seconds", "microseconds"))
    return "{},{},{}".format(*parts)


def _iso(kind: Any, value: Any) -> str:
    return kind.isoformat(value)


def _from_iso(kind: Any, text: str) -> object:
    return kind.fromisoformat(text)


_INTEGER, _DATE, _TIME = r"-?[0-9]{1,100}", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?"
_TYPES = {
    "range": _Type(
        "builtins",
        re.compile(",".join([_INTEGER] * 3)),
        lambda _, value: f"{value.start},{value.stop},{value.step}",
        _from_numbers,
    ),
    "Decimal": _Type(
        "decimal",
        re.compile(r"-?(?:[0-9]{1,1000}(?:\.[0-9]{1,1000})?(?:E[+-]?[0-9]{1,3})?|Infinity|NaN)"),
        lambda kind, value: kind.__str__(value),
        lambda kind, text: kind(text),
    ),
    "Fraction": _Type(
        "fractions", re.compile(r"-?[0-9]{1,1000}/[0-9]{1,1000}"), _fraction, lambda kind, text: kind(text)
    ),
    "datetime": _Type("datetime", re.compile(f"{_DATE}T{_TIME}"), _iso, _from_iso),  # before date: it derives from that
    "date": _Type("datetime", re.compile(_DATE), _iso, _from_iso),
    "time": _Type("datetime", re.compile(_TIME), _iso, _from_iso),
    "timedelta": _Type("datetime", re.compile(r"-?[0-9]{1,9},[0-9]{1,5},[0-9]{1,6}"), _timedelta, _from_numbers),
}


def write(value: Any, kind: type) -> tuple[str, str] | None:
    """Name and text of a value of this type; None for other types, and for what no pattern fits (an aware time)."""
    for name, (module, pattern, text, _) in _TYPES.items():
        if module in sys.modules and issubclass(kind, base := getattr(sys.modules[module], name)):
            written = text(base, value)
            return (name, written) if pattern.fullmatch(written) else None
    return None


def read(name: str, text: str) -> object:
    """The value of a name and a text; ValueError or ArithmeticError where there is none (a 13th month, a denominator of
    0).
    """
    if name not in _TYPES or not _TYPES[name].pattern.fullmatch(text):
        raise ValueError("an unknown type, or one whose text is not in its format")
    return _TYPES[name].read(getattr(import_module(_TYPES[name].module), name), text)
