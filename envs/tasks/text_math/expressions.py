"""Arithmetic expressions with exact values and a normal form that identifies equal problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd

from textmdp.envs.data.counter_rng import CounterRNG

_SUM, _PRODUCT, _NUMBER = 1, 2, 3
_INVERSE = {"+": "-", "-": "+", "*": "/", "/": "*"}


@dataclass(frozen=True, slots=True)
class Term:
    """An expression with its value and its normal form under commutativity.

    Attributes:
        text: the expression as it is written.
        value: its exact value.
        rank: its precedence: sums 1, products 2, numbers 3.
        parts: its signed summands or factors in normal form, sorted; empty for numbers.

    >>> seven, two = number(7), number(2)
    >>> ((seven - two) * two).text, ((seven - two) * two).value, (seven - two - seven).text
    ('(7-2)*2', Fraction(10, 1), '7-2-7')
    >>> (seven + two * seven).content == (seven * two + seven).content
    True
    """

    text: str
    value: Fraction
    rank: int
    parts: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The normal form: equal for terms that differ only in the order of summands or factors."""
        return f"({' '.join(self.parts)})" if self.parts else self.text

    def __add__(self, other: Term) -> Term:
        return _combine("+", self, other, self.value + other.value)

    def __sub__(self, other: Term) -> Term:
        return _combine("-", self, other, self.value - other.value)

    def __mul__(self, other: Term) -> Term:
        return _combine("*", self, other, self.value * other.value)

    def __truediv__(self, other: Term) -> Term:
        return _combine("/", self, other, self.value / other.value)


def _combine(sign: str, left: Term, right: Term, value: Fraction) -> Term:
    """`left sign right` with the necessary brackets only."""
    rank = _SUM if sign in "+-" else _PRODUCT
    inverse = sign in "-/"
    before = f"({left.text})" if left.rank < rank else left.text
    after = f"({right.text})" if right.rank < rank or (inverse and right.rank == rank) else right.text
    # 12-5+3 is the sum of +12, -5 and +3; 6/4*2 is the product of *6, /4 and *2.
    plus = "+" if rank == _SUM else "*"
    parts = list(left.parts if left.rank == rank else (plus + left.content,))
    for part in right.parts if right.rank == rank else (plus + right.content,):
        parts.append(_INVERSE[part[0]] + part[1:] if inverse else part)
    return Term(before + sign + after, value, rank, tuple(sorted(parts)))


def number(value: int) -> Term:
    """A natural number as a term."""
    return Term(str(value), Fraction(value), _NUMBER)


def decimal(units: int, places: int) -> Term:
    """`units` over ten to the `places`, written with a decimal point: `decimal(1250, 3)` is 1.25."""
    value = Fraction(units, 10**places)
    return Term(write_decimal(value), value, _NUMBER)


def write_fraction(value: Fraction) -> str:
    """A number as an integer or a fraction in lowest terms: `-3`, `5/4`."""
    return str(value)


def write_decimal(value: Fraction) -> str:
    """A number as a terminating decimal without trailing zeros: `-3`, `0.25`."""
    places = 0
    while (value * 10**places).denominator != 1:
        places += 1
        if places > 30:
            raise ValueError(f"{value} has no short decimal expansion")
    digits = str(abs(int(value * 10**places))).zfill(places + 1)
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else sign + digits


def tree(rng: CounterRNG, leaves: int, operators: str, leaf: Callable[[CounterRNG], Term]) -> Term | None:
    """A random expression with a number of leaves; None if it would divide by zero."""
    if leaves == 1:
        return leaf(rng)
    sign = rng.choice(operators)
    split = rng.between(1, leaves - 1)
    left, right = tree(rng, split, operators, leaf), tree(rng, leaves - split, operators, leaf)
    if left is None or right is None or (sign == "/" and right.value == 0):
        return None
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    return left * right if sign == "*" else left / right


def _one_or_two_digits(rng: CounterRNG) -> Term:
    return number(rng.between(1, 9) if rng.below(2) else rng.between(10, 99))


def _fraction(rng: CounterRNG) -> Term:
    under = rng.between(2, 12)
    over = rng.choice([top for top in range(1, 2 * under) if gcd(top, under) == 1])
    return number(over) / number(under)


def _small_decimal(rng: CounterRNG) -> Term:
    places = rng.between(1, 2)
    return decimal(rng.between(1, 10 ** (places + 1) - 1), places)


def brackets(rng: CounterRNG) -> tuple[Term, str] | None:
    """A term such as `7*(12-45)`, of three or four numbers with brackets, and its value, an integer; None to reject."""
    term = tree(rng, rng.between(3, 4), "+-*", _one_or_two_digits)
    if term is None or "(" not in term.text or abs(term.value) > 99_999:
        return None
    return term, write_fraction(term.value)


def decimals(rng: CounterRNG) -> tuple[Term, str] | None:
    """A term such as `3.7-12.45` of two decimals, and its value, a decimal; None to reject."""
    term = tree(rng, 2, "+-*", _small_decimal)
    return None if term is None or "." not in term.text else (term, write_decimal(term.value))


def fractions(rng: CounterRNG) -> tuple[Term, str] | None:
    """A term such as `1/2+3/4` of two fractions, and its value in lowest terms; None to reject."""
    term = tree(rng, 2, "+-*/", _fraction)
    return None if term is None else (term, write_fraction(term.value))


def expressions(rng: CounterRNG) -> tuple[Term, str] | None:
    """A term such as `(12-45)/6+7*2` of four to six numbers, and its value, a fraction; None to reject."""
    term = tree(rng, rng.between(4, 6), "+-*/", _one_or_two_digits)
    if term is None or abs(term.value.numerator) > 9_999 or term.value.denominator > 99:
        return None
    return term, write_fraction(term.value)


def modular(count: int) -> Callable[[CounterRNG], tuple[Term, str]]:
    """A generator of terms such as `(6+9+1+1+7)%10`, a sum of `count` digits modulo 10, with their values."""

    def generate(rng: CounterRNG) -> tuple[Term, str]:
        total = number(rng.below(10))
        for _ in range(count - 1):
            total = total + number(rng.below(10))
        value = total.value % 10
        return Term(f"({total.text})%10", value, _PRODUCT, total.parts), write_fraction(value)

    return generate
