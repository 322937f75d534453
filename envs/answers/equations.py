r"""Equations: ``x = 5``, ``f(x) = 2x``, ``AB^2 = 25``, chains ``x = 4 + 1 = 5``, and their comparison."""

import itertools
import re
from collections.abc import Callable
from typing import NamedTuple

from textmdp.envs.answers.arithmetic import arithmetic_value
from textmdp.envs.answers.forms import is_name
from textmdp.envs.answers.matching import Same, every
from textmdp.envs.answers.notation import split_top, squash

_LETTERS = re.compile(r"\\text\s?\{[^{}]*\}|\\[a-zA-Z]+|_\{[^{}]*\}")
_EQUAL = frozenset({"=", r"\approx", r"\equiv"})
# 2x, x + 1, 3x - 2: with these, "= 5" says what x is, not what the left side is.
_LINEAR = re.compile(r"[+-]?\s?\d*\s?(?:\\cdot\s?)?[a-z](?:\s?[+-]\s?\d+)?|\d+\s?[+-]\s?\d*\s?[a-z]|[a-z]\s?/\s?\d+")
_DERIVED = re.compile(r"\\frac\s?\{\s?d|[a-zA-Z]'|\\(?:int|sum|prod|lim)|[a-zA-Z]\([^()]*\)$")


class Equation(NamedTuple):
    """An equation or a chain, taken apart."""

    name: str
    """The name of ``name = value``, squashed; empty where there is none."""
    value: str
    """The value; the text itself where it is no equation or one that names nothing."""
    steps: list[str]
    """Sides of a chain that must be equal, in order; the last is the value."""


def sides(text: str) -> list[str]:
    """Sides of an equation."""
    return [part for part, _ in split_top(text, _EQUAL)]


def _has_letters(text: str) -> bool:
    return re.search(r"[a-zA-Z]", _LETTERS.sub("", text)) is not None


def read_equation(text: str) -> Equation:
    r"""Take an equation apart.

    In a chain the last side counts (``x = 1 + 1 = 2``), and a rounding behind ``\approx`` only where nothing exact
    stands before it.
    """
    parts = split_top(text, _EQUAL)
    if len(parts) == 1:
        return Equation("", text, [text])
    exact = [parts[0][0]]
    for (_, sign), (part, _) in itertools.pairwise(parts):
        if sign == r"\approx" and not (len(exact) == 1 and is_name(exact[0])):
            break
        exact.append(part)
    if is_name(exact[0]) and len(exact) > 1:
        return Equation(squash(exact[0]), exact[-1], exact[1:])
    if len(exact) > 1 and parts[-2][1] == "=" and is_name(exact[-1]):
        return Equation(squash(exact[-1]), exact[-2], exact[:-1])
    if _has_letters(exact[0]) and len(exact) > 1:
        return Equation("", text, [text])  # an equation such as 3x - y = 0
    return Equation("", exact[-1], exact)


def stated_value(text: str) -> str:
    r"""The value that ``expression = value`` states for an expression with names, ``AB^2 = 25``; else the text itself.

    A linear expression in one small letter is an equation to be solved, ``2x = 10``, and so is what equals zero.
    """
    parts = sides(text)
    if len(parts) == 1:
        return text
    first, last = parts[0], parts[-1]
    if not _has_letters(last) and _has_letters(first):
        return text if _LINEAR.fullmatch(first) or (squash(last) == "0" and not is_name(first)) else last
    if len(parts) == 2 and not _has_letters(first) and _has_letters(last):
        return text if _LINEAR.fullmatch(last) or squash(first) == "0" else first
    return last if _DERIVED.match(first) else text


def consistent(steps: list[str], leaf: Callable[[str, str, str], bool | None]) -> bool | None:
    """Equality of the neighbours in a chain, as far as they are numbers: ``x = 4 + 2 = 5`` contradicts itself."""
    verdicts: list[bool | None] = []
    for left, right in itertools.pairwise(steps):
        first, second = arithmetic_value(left), arithmetic_value(right)
        if first is not None and second is not None:
            # A percent sign may be a unit: "x = 10 = 10\%" is no contradiction.
            verdicts.append(first == second or ("%" in left + right and first in (100 * second, second / 100)))
        elif not _has_letters(left) and not _has_letters(right) and left and right:
            verdicts.append(leaf("equal", left, right))
    return every(verdicts)


def compare_equations(gold: str, answer: str, same: Same, leaf: Callable[[str, str, str], bool | None]) -> bool | None:
    """Compare two texts at least one of which is ``... = ...``.

    Args:
        gold: the reference, cleaned
        answer: the text to judge, cleaned
        same: compares the values
        leaf: decides whether two equations are multiples of each other
    """
    wanted, given = read_equation(gold), read_equation(answer)
    sound = consistent(given.steps, leaf)
    if sound is False:
        return False
    single, other_single = len(sides(gold)) == 1, len(sides(answer)) == 1
    if (wanted.value != gold or single) and (given.value != answer or other_single):
        named_alike = (
            not wanted.name
            or not given.name
            or wanted.name == given.name
            or {_function_name(wanted.name), _function_name(given.name)} == {"f(.)", "y"}
        )
        if named_alike:
            return every([sound, same(wanted.value, given.value)])
        if other_single or single:
            return False
    elif single and (value := stated_value(answer)) != answer:
        return same(gold, value)
    left, right = sides(gold), sides(answer)
    if len(left) != 2 or len(right) != 2:
        return False
    return leaf("multiple", f"{left[0]} - ({left[1]})", f"{right[0]} - ({right[1]})")


def _function_name(name: str) -> str:
    """``f(x)`` and ``y`` name the same thing: the value of a function."""
    return "f(.)" if re.fullmatch(r"[fgh]\([a-z]\)", name) else name
