r"""Sets of real numbers, read from cleaned text: inequalities, intervals, set-builder notation, ``\mathbb{R}``.

Readers only; :mod:`textmdp.envs.answers.structure` compares what they return.
"""

import itertools
import re

from textmdp.envs.answers.exact import parse_quantity
from textmdp.envs.answers.forms import is_name
from textmdp.envs.answers.notation import split_top, squash

_ORDER = frozenset({r"\le", r"\ge", "<", ">", r"\ne"})
_FLIPPED = {">": "<", r"\ge": r"\le"}
EMPTY = r"\emptyset"
"""The one spelling of the empty set."""
_EVERY = r"(-\infty, \infty)"
_EMPTY_WORDS = re.compile(
    r"(?:the )?empty set|no (?:real )?(?:solutions?|roots?)(?: exists?)?|there (?:is|are) no (?:real )?solutions?"
)
_REAL_WORDS = re.compile(
    r"(?:(?:the set of )?(?:all|any) )?(?:real numbers?|reals?)(?: [a-z])?|(?:all|any) real [a-z]|the reals"
)
_BUILDER = re.compile(
    r"\\\{\s?((?:[^{}:|]|\\mathbb\{[A-Z]\}){1,60}?)\s?(?::|\||\\mid(?![a-zA-Z])|\\vert(?![a-zA-Z]))\s?(.+)\\\}"
)
_WITHOUT = re.compile(r"\\mathbb\{R\}\s?(?:\\setminus|-)\s?\\?\{(.+?)\\?\}")
_FRENCH = re.compile(r"([\[\]])([^\[\]]*[,;][^\[\]]*)([\[\]])")


def canonical_set(text: str) -> str:
    r"""Write a set of real numbers in one way; other text comes back as it is.

    ``\mathbb{R}`` and *all real numbers* are ``(-\infty, \infty)``; without some points it is a union; *no solution* is
    the empty set; ``\{x : x > 3\}`` is its condition; ``x \in S`` is ``S``; ``]0,1[`` is ``(0,1)``.
    """
    text = member_of(text.strip())
    words = re.sub(r"\\text\s?\{([^{}]*)\}", r"\1", text).strip().lower()
    if _EMPTY_WORDS.fullmatch(words):
        return EMPTY
    if text == r"\mathbb{R}" or _REAL_WORDS.fullmatch(words):
        return _EVERY
    if (builder := _BUILDER.fullmatch(text)) and is_name(member_name(builder[1])):
        return re.sub(r"[,;]?\s?[a-zA-Z]\s?\\in\s?\\mathbb\{R\}\s?[,;]?", "", builder[2]).strip()
    if without := _WITHOUT.fullmatch(text):
        return _punctured([part for part, _ in split_top(without[1], frozenset(",;"))]) or text
    if text[:1] == "]" or text[-1:] == "[":
        pieces = [part.strip() for part in re.split(r"\\cup(?![a-zA-Z])", text)]
        outward = [_FRENCH.fullmatch(piece) for piece in pieces]
        if all(outward):
            turned = (f"{'[('[m[1] == ']']}{m[2]}{'])'[m[3] == '[']}" for m in outward if m)
            return r" \cup ".join(turned)
    return text


def member_of(text: str) -> str:
    r"""``x \in S`` is ``S``."""
    parts = re.split(r"\\in(?![a-zA-Z])", text, maxsplit=1)
    return parts[1].strip() if len(parts) == 2 and is_name(parts[0]) and "{" not in parts[0] else text


def member_name(text: str) -> str:
    r"""``x \in S`` is ``x``."""
    return re.split(r"\\in(?![a-zA-Z])", text, maxsplit=1)[0].strip()


def _punctured(points: list[str]) -> str:
    """All real numbers but some, as a union of intervals; empty where a point is no exact number."""
    values = {point: quantity.value for point in points if (quantity := parse_quantity(point)) is not None}
    if len(values) < len(points) or not points or len(points) > 20:
        return ""
    ends = [r"-\infty", *sorted(values, key=lambda point: values[point]), r"\infty"]
    return r" \cup ".join(f"({low}, {high})" for low, high in itertools.pairwise(ends))


def relation_parts(text: str) -> list[str]:
    r"""``["a", "<", "b"]`` or ``["a", "<", "x", "\le", "b"]``, turned so that it grows; empty for other text."""
    parts = split_top(text, _ORDER)
    if not 2 <= len(parts) <= 3 or not all(part for part, _ in parts):
        return []
    if parts[0][1] in _FLIPPED and all(sign in _FLIPPED or not sign for _, sign in parts):
        parts = [
            (part, _FLIPPED.get(parts[-i - 2][1], "") if i < len(parts) - 1 else "")
            for i, (part, _) in enumerate(reversed(parts))
        ]
    return [token for part, sign in parts for token in (part, sign) if token]


def as_interval(parts: list[str]) -> str:
    r"""The interval of a relation on one name, or the empty string; ``x \ne a`` is a union of two."""
    if len(parts) == 5 and is_name(parts[2]) and parts[1] in ("<", r"\le") and parts[3] in ("<", r"\le"):
        return f"{'[' if parts[1] != '<' else '('}{parts[0]}, {parts[4]}{']' if parts[3] != '<' else ')'}"
    if len(parts) == 3 and parts[1] in ("<", r"\le"):
        low, sign, high = parts
        if is_name(low) and not is_name(high):
            return rf"(-\infty, {high}{']' if sign != '<' else ')'}"
        if is_name(high) and not is_name(low):
            return rf"{'[' if sign != '<' else '('}{low}, \infty)"
    if len(parts) == 3 and parts[1] == r"\ne" and is_name(parts[0]):
        return _punctured([parts[2]])
    return ""


def conjunction(pieces: list[str]) -> str:
    r"""``x > -1`` and ``x < 3`` as ``-1 < x < 3``; empty unless the two bound one name from below and from above."""
    if len(pieces) != 2:
        return ""
    bounds: dict[str, tuple[str, str, str]] = {}
    for piece in pieces:
        parts = relation_parts(piece)
        if len(parts) != 3 or parts[1] not in ("<", r"\le"):
            return ""
        low, sign, high = parts
        if is_name(low) == is_name(high):
            return ""
        bounds["above" if is_name(low) else "below"] = (high, sign, low) if is_name(low) else (low, sign, high)
    if len(bounds) != 2 or squash(bounds["above"][2]) != squash(bounds["below"][2]):
        return ""
    (high, upper, name), (low, lower, _) = bounds["above"], bounds["below"]
    least, greatest = parse_quantity(low), parse_quantity(high)
    if least is not None and greatest is not None and least.value >= greatest.value:
        return ""  # "x < -1 and x > 3" lists the two parts of a union
    return f"{low} {lower} {name} {upper} {high}"
