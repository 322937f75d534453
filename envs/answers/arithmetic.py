r"""Exact values of arithmetic on numbers alone, ``4 + 2`` or ``\frac{20}{5} \cdot 3``: chains of equations are checked
with it, without algebra and without evaluating text.
"""

import re
from fractions import Fraction

from textmdp.envs.answers.exact import parse_quantity
from textmdp.envs.answers.units import split_unit

MAX_LENGTH = 300
"""Characters; longer terms have no value here."""
MAX_BITS = 4_000
"""Size of a result: larger powers have no value here."""

_TOKEN = re.compile(
    r"\s*(?:(\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)|(\\frac|\\cdot|\\times|\\div|[-+*/^(){}%]))"
)
_TIMES, _OVER = ("*", r"\cdot", r"\times"), ("/", r"\div")


class _Parser:
    """Recursive descent over the tokens; raises ValueError on other text."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        place = 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise ValueError(f"not arithmetic: {text[place : place + 20]!r}")
            self.tokens.append(match[1] or match[2])
            place = match.end()
        self.place = 0

    def next(self, *expected: str) -> str:
        """Take the next token where it is one of those expected; else the empty string."""
        if self.place < len(self.tokens) and self.tokens[self.place] in expected:
            self.place += 1
            return self.tokens[self.place - 1]
        return ""

    def sum(self, depth: int = 0) -> Fraction:
        """Terms with + and - between them."""
        if depth > 30:
            raise ValueError("nested too deeply")
        value = self.product(depth)
        while sign := self.next("+", "-"):
            term = self.product(depth)
            value = value + term if sign == "+" else value - term
        return value

    def product(self, depth: int) -> Fraction:
        """Factors with * and / between them, or brackets side by side."""
        value = self.power(depth)
        while True:
            if self.next(*_TIMES):
                value *= self.power(depth)
            elif self.next(*_OVER):
                value /= self.power(depth)
            elif self.place < len(self.tokens) and self.tokens[self.place] == "(":
                value *= self.power(depth)
            else:
                return value

    def power(self, depth: int) -> Fraction:
        """A signed factor with an integer exponent; the sign counts last, as in ``-2^2``."""
        if sign := self.next("+", "-"):
            value = self.power(depth + 1) if depth < 30 else Fraction(0)
            return -value if sign == "-" else value
        base = self.atom(depth)
        if self.next("^"):
            exponent = self.group(depth) if self.tokens[self.place : self.place + 1] == ["{"] else self.power(depth + 1)
            size = max(base.numerator.bit_length(), base.denominator.bit_length())
            if exponent.denominator != 1 or abs(exponent) * size > MAX_BITS:
                raise ValueError("no small integer power")
            base = base ** int(exponent)
        return base / 100 if self.next("%") else base

    def atom(self, depth: int) -> Fraction:
        """A number, a bracket or a fraction."""
        if self.next(r"\frac"):
            return self.group(depth) / self.group(depth)
        if self.next("("):
            value = self.sum(depth + 1)
            if not self.next(")"):
                raise ValueError("bracket not closed")
            return value
        if self.tokens[self.place : self.place + 1] == ["{"]:
            return self.group(depth)
        token = self.tokens[self.place] if self.place < len(self.tokens) else ""
        if not re.match(r"[\d.]", token):
            raise ValueError("no number")
        self.place += 1
        return Fraction(token.replace(",", "").rstrip(".") or "0")

    def group(self, depth: int) -> Fraction:
        """A sum in braces."""
        if not self.next("{"):
            raise ValueError("no brace")
        value = self.sum(depth + 1)
        if not self.next("}"):
            raise ValueError("brace not closed")
        return value


def arithmetic_value(text: str) -> Fraction | None:
    """Value of arithmetic on exact numbers, a unit behind it left aside; None for any other text.

    >>> arithmetic_value("2*7 + 3*6"), arithmetic_value("2^x")
    (Fraction(32, 1), None)
    """
    if len(text) > MAX_LENGTH:
        return None
    quantity = parse_quantity(text)
    if quantity is not None:
        return quantity.value / 100 if quantity.percent else quantity.value
    try:
        parser = _Parser(split_unit(text)[0].strip())
        value = parser.sum()
    except (ValueError, ZeroDivisionError):
        return None
    return value if parser.place == len(parser.tokens) else None
