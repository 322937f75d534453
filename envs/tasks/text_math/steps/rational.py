"""Ways to work decimals and fractions."""

from __future__ import annotations

import re
from fractions import Fraction
from math import gcd, lcm

from textmdp.envs.tasks.text_math.expressions import write_decimal
from textmdp.envs.tasks.text_math.steps.columns import add_signed, multiply
from textmdp.envs.tasks.text_math.steps.flat import multiply_parts
from textmdp.envs.tasks.text_math.steps.work import Work

_DECIMALS = re.compile(r"([\d.]+)([+\-*])([\d.]+)=")
_FRACTIONS = re.compile(r"(\d+)/(\d+)([+\-*/])\(?(\d+)/(\d+)\)?=")


def aligned(work: Work, question: str) -> str:
    """3.7-12.45: as `3.70-12.45` and then in columns; products in rows."""
    return _decimals(work, question, in_columns=True)


def whole(work: Work, question: str) -> str:
    """3.7-12.45: `370-1245=-875`, without the points; products by partial products."""
    return _decimals(work, question, in_columns=False)


def _decimals(work: Work, question: str, *, in_columns: bool) -> str:
    left, sign, right = _matched(_DECIMALS, question)
    places = [len(text.partition(".")[2]) for text in (left, right)]
    if sign == "*":
        a, b = (int(text.replace(".", "")) for text in (left, right))
        value = (multiply if in_columns else multiply_parts)(work, a, b)
        return write_decimal(Fraction(value, 10 ** sum(places)))
    most = max(places)
    a, b = (int(Fraction(text) * 10**most) for text in (left, right))
    if not in_columns:
        value = work.write(f"{a}{sign}{b}=", a + b if sign == "+" else a - b)
        return write_decimal(Fraction(value, 10**most))
    if places[0] != places[1]:
        work.note(f"{_padded(left, most)}{sign}{_padded(right, most)}")
    return write_decimal(Fraction(add_signed(work, a, b if sign == "+" else -b), 10**most))


def _padded(text: str, places: int) -> str:
    """A decimal with zeros up to a number of places."""
    before, _, after = text.partition(".")
    return f"{before}.{after.ljust(places, '0')}"


def least(work: Work, question: str) -> str:
    """Sums over the least common denominator; products with common factors cancelled before."""
    p, q, sign, r, s = _fraction_parts(question)
    if sign in "+-":
        bottom = lcm(q, s)
        tops = []
        for top, under in ((p, q), (r, s)):
            factor = bottom // under
            if factor > 1:
                work.write(f"{under}*{factor}=", bottom)
                top = work.write(f"{top}*{factor}=", top * factor)
            tops.append(top)
        return _sum_over(work, tops, sign, bottom)
    if sign == "/":
        r, s = s, r
    p, s = _cancel(work, p, s)
    r, q = _cancel(work, r, q)
    return _reduced(work, work.write(f"{p}*{r}=", p * r), work.write(f"{q}*{s}=", q * s))


def cross(work: Work, question: str) -> str:
    """Sums over the product of the denominators; products first, cancelled at the end."""
    p, q, sign, r, s = _fraction_parts(question)
    if sign in "+-":
        tops = [work.write(f"{p}*{s}=", p * s), work.write(f"{r}*{q}=", r * q)]
        return _sum_over(work, tops, sign, work.write(f"{q}*{s}=", q * s))
    if sign == "/":
        r, s = s, r
    return _reduced(work, work.write(f"{p}*{r}=", p * r), work.write(f"{q}*{s}=", q * s))


def _sum_over(work: Work, tops: list[int], sign: str, bottom: int) -> str:
    one, other = tops
    return _reduced(work, work.write(f"{one}{sign}{other}=", one + other if sign == "+" else one - other), bottom)


def _cancel(work: Work, top: int, bottom: int) -> tuple[int, int]:
    """Write `2/8=1/4` if there is a common factor, and return the fraction's parts."""
    common = gcd(top, bottom)
    if common == 1:
        return top, bottom
    reduced = bottom // common
    return work.write(f"{top}/{bottom}=", top // common, f"/{reduced}"), reduced


def _reduced(work: Work, top: int, bottom: int) -> str:
    """Divide by common prime factors, one step each, and return the fraction in lowest terms."""
    if bottom < 1:  # after an error
        return str(top)
    while (common := gcd(top, bottom)) > 1 and top:
        prime = next(prime for prime in range(2, common + 1) if common % prime == 0)
        reduced = bottom // prime
        top, bottom = work.write(f"{top}/{bottom}=", top // prime, f"/{reduced}" if reduced > 1 else ""), reduced
    return str(Fraction(top, bottom))


def _fraction_parts(question: str) -> tuple[int, int, str, int, int]:
    p, q, sign, r, s = _matched(_FRACTIONS, question)
    return int(p), int(q), sign, int(r), int(s)


def _matched(pattern: re.Pattern[str], question: str) -> tuple[str, ...]:
    match = pattern.fullmatch(question)
    assert match is not None, question
    return match.groups()
