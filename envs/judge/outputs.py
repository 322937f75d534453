"""What programs print, compared with what they should: in the caller's process, on text that may have been forged."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from textmdp.envs.judge.verdict import MAX_REASON, TestResult, printable

#: The comparisons that have a name.
Named = Literal["lines", "exact", "tokens"]
#: One of them, or a function of what the program read, what it printed and what was expected.
Comparison = Named | Callable[[str, str, str], bool]

PASSED = TestResult(True, "passed")
WRONG = TestResult(False, "wrong")
#: A number as programs print it; bounded, so that reading it is fast.
_NUMBER = re.compile(rb"[+-]?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?")


def compared(given: str, printed: str, expected: str, compare: Comparison, tolerance: float | None) -> TestResult:
    """Whether a program that read `given` has printed what was expected.

    Raises:
        TypeError: a function of the caller's gave None.
    """
    if compare == "lines":
        return PASSED if _shown(printed) == _shown(expected) else WRONG
    if compare == "exact":
        return PASSED if printed == expected else WRONG
    if not callable(compare):
        return PASSED if _same_tokens(_tokens(printed), _tokens(expected), tolerance) else WRONG
    try:
        same = compare(given, printed, expected)
    except Exception as error:  # it may be due to the text
        why = f"wrong: the comparison raised {type(error).__name__}: {error}"
        return TestResult(False, printable(why, MAX_REASON))
    if same is None:
        raise TypeError(f"the comparison {compare!r} returned None; it must return whether the output is right")
    return PASSED if same else WRONG


def _shown(text: str) -> list[str]:
    """The lines of a text without what can't be seen: blanks at the ends of lines, and empty lines at the end."""
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _tokens(text: str) -> list[bytes]:
    """The words of a text; white space is ASCII's."""
    return text.encode("utf-8", "surrogateescape").split()


def _same_tokens(printed: list[bytes], expected: list[bytes], tolerance: float | None) -> bool:
    if len(printed) != len(expected):
        return False
    return all(
        one == other or (tolerance is not None and _close(one, other, tolerance))
        for one, other in zip(printed, expected, strict=True)
    )


def _close(printed: bytes, expected: bytes, tolerance: float) -> bool:
    if not _NUMBER.fullmatch(printed) or not _NUMBER.fullmatch(expected):
        return False
    claimed, wanted = float(printed), float(expected)  # infinite where no float is as large: then the difference is NaN
    return abs(claimed - wanted) <= tolerance * max(1.0, abs(wanted)) and abs(wanted) != float("inf")
