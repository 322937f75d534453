"""Claims of hostile programs: read into trees of checked nodes, and compared with what was expected.

A claim is a line of the wire format that somebody may have forged, so nothing here trusts it: reading takes linear
time, ends in a tree or in `ClaimError`, and never builds a set or a dict of what it found. (Keys that are multiples
of 2**61 - 1 collide, and a table of n of them costs n**2 steps.)

The comparison is driven by the expected value and agrees with Python's `==` on plain data, hence with the assert
statements that data sets come with: `1 == 1.0 == True`, `'9' != 9`, a list is no tuple, sets and dicts
have no order, ints of any size are compared exactly, also with floats. One thing can't be the same: `[x] == [x]` holds
in Python for a NaN `x` because the two are one object. What another process sent is never the same
object, so here NaN equals nothing, wherever it stands.
"""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from textmdp.envs.judge.inside import wire


class ClaimError(ValueError):
    """A line that no honest sandbox writes."""


class Node(NamedTuple):
    """A container other than a list: its tag in the wire format ("s" for both kinds of sets), and its items (pairs
    `[key, value]` for "d")."""

    tag: str
    items: list[Any]


#: A leaf (None, bool, int, float, complex, str, bytes, range, Decimal, Fraction, a date or time), a list of
#: trees, or a `Node` of trees.
Tree = object


def parse(line: bytes | str, limit: int | None = wire.LIMIT) -> Tree:
    """The tree of a line of at most `limit` bytes (None: any length), in linear time.

    Raises:
        ClaimError: for whatever is not in the format; nothing else is raised.
    """
    try:
        return wire.loads(line, _node, limit)
    except wire.EncodingError as error:
        raise ClaimError(str(error)) from None


def _node(tag: str, items: list[Any]) -> Node:
    return Node("s" if tag == "f" else tag, items)  # a frozenset equals a set


def matches(expected: Any, claimed: Any, tolerance: float | None = None) -> bool:
    """Whether a claim equals the expected value, as Python's `==` has it.

    Args:
        expected: the tree of a trusted line; it decides what is compared at all.
        claimed: the tree of a hostile line.
        tolerance: where an expected float (or complex) and its claimed counterpart are both finite, they match
            when `abs(claimed - expected) <= tolerance * max(1, abs(expected))`: the absolute or relative
            error of Codeforces' testlib (`doubleCompare`), which is the `abs(candidate(x) - y) < 1e-6` of HumanEval's
            own tests for |y| up to 1. Expected ints, keys of dicts and elements of sets are always compared exactly.
    """
    if type(expected) is list:
        return type(claimed) is list and _all_match(expected, claimed, tolerance)
    if type(expected) is not Node:
        return _leaves_match(expected, claimed, tolerance)
    if type(claimed) is not Node or claimed.tag != expected.tag or len(claimed.items) != len(expected.items):
        return False
    if expected.tag in ("t", "q"):
        return _all_match(expected.items, claimed.items, tolerance)
    if expected.tag == "s":
        remaining = {_key(item) for item in expected.items} - {None}
        for item in claimed.items:
            key = _key(item)
            if key not in remaining:
                return False
            remaining.discard(key)
        return True
    if expected.tag == "d":
        values = {_key(key): value for key, value in expected.items}
        values.pop(None, None)
        for claimed_key, value in claimed.items:
            key = _key(claimed_key)
            if key not in values or not matches(values.pop(key), value, tolerance):
                return False
        return True
    return False  # an iterator or something opaque equals nothing


def _all_match(expected: list[Any], claimed: Any, tolerance: float | None) -> bool:
    if len(expected) != len(claimed):
        return False
    return all(matches(one, other, tolerance) for one, other in zip(expected, claimed, strict=True))


def _leaves_match(expected: Any, claimed: Any, tolerance: float | None) -> bool:
    if type(claimed) in (list, Node):
        return False
    if tolerance is not None and type(expected) in (float, complex):
        close = _close(expected, claimed, tolerance)
        if close is not None:
            return close
    if type(expected) in (Decimal, Fraction) or type(claimed) in (Decimal, Fraction):
        key = _key(expected)  # their own comparison takes quadratic time with a huge int
        return key is not None and key == _key(claimed)
    return bool(expected == claimed)


def _close(expected: complex, claimed: object, tolerance: float) -> bool | None:
    """Whether two finite numbers are close; None where the rule doesn't apply."""
    if not isinstance(claimed, (int, float, complex)) or (type(claimed) is complex and type(expected) is float):
        return None
    try:
        other = complex(claimed)
    except OverflowError:  # an int that no float reaches
        return None
    parts = (expected.real, expected.imag, other.real, other.imag)
    if not all(map(math.isfinite, parts)):
        return None
    try:
        return abs(other - expected) <= tolerance * max(1.0, abs(expected))
    except OverflowError:
        return None


def _key(tree: Tree) -> str | None:
    """A text that two hashable values share exactly when Python's `==` holds; None for what equals nothing or can't be
    in a set: NaN, lists, dicts, iterators.

    Linear in the size of the tree, times its depth.
    """
    if type(tree) is Node:
        if tree.tag not in ("t", "s"):
            return None
        keys = [_key(item) for item in tree.items]
        if tree.tag == "s":
            keys.sort(key=lambda key: key or "")
            if any(one == other for one, other in pairwise(keys)):
                return None  # no set holds an element twice
        if None in keys:
            return None
        return tree.tag + "".join(f"{len(key)}:{key}" for key in keys if key is not None)
    if isinstance(tree, (int, float, Decimal, Fraction)):
        return _number_key(tree)
    if isinstance(tree, complex):
        if tree.imag == 0:
            return _number_key(tree.real)
        real, imag = _number_key(tree.real), _number_key(tree.imag)
        return None if real is None or imag is None else f"c{real},{imag}"
    if isinstance(tree, str):
        return f'"{tree}'
    if isinstance(tree, range):  # equal as sequences: empty ones, and those that differ in an end that is never reached
        shape = (len_ := _length(tree), tree.start if len_ else 0, tree.step if len_ > 1 else 0)
        return "r{},{},{}".format(*shape)
    if tree is None or isinstance(tree, (bytes, date, datetime, time, timedelta)):
        return f"{type(tree).__name__} {tree!r}"
    return None


def _length(numbers: range) -> int:
    """`len` of a range, also of one that has more than sys.maxsize numbers."""
    return max(0, -((numbers.start - numbers.stop) // numbers.step))


def _number_key(number: float | Decimal | Fraction) -> str | None:
    """The exact value, as odd numerator, odd denominator and power of two: short also for the largest floats."""
    if isinstance(number, (float, Decimal)) and not math.isfinite(number):
        return None if math.isnan(number) else ("n+inf" if number > 0 else "n-inf")
    if isinstance(number, float):
        mantissa, power = math.frexp(number)
        top, bottom, power = int(mantissa * 2**53), 1, power - 53
    else:
        (top, bottom), power = number.as_integer_ratio(), 0
    if not top:
        return "n0"
    up, down = (top & -top).bit_length() - 1, (bottom & -bottom).bit_length() - 1
    return f"n{top >> up:x}/{bottom >> down:x}*2^{up - down + power:x}"
