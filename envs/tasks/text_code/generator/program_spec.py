"""What a programming problem is before its tests are drawn: a statement, a reference, a careless body, the function.

Expressions carry three things through every step of their making: the code that is right, the code that somebody
careless would write, and the function that both are measured against. So a reference is never executed to be known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import add, floordiv, itemgetter, mod, mul, sub
from typing import Any

Values = Mapping[str, Any]

_SUM, _PRODUCT, _ATOM = 1, 2, 3
_SIGNS: dict[str, tuple[int, Callable[[Any, Any], Any]]] = {
    "+": (_SUM, add),
    "-": (_SUM, sub),
    "*": (_PRODUCT, mul),
    "//": (_PRODUCT, floordiv),
    "%": (_PRODUCT, mod),
}

#: What a statement compares, and the sign of the comparison.
COMPARISONS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "is greater than": (">", lambda a, b: a > b),
    "is less than": ("<", lambda a, b: a < b),
    "is at least": (">=", lambda a, b: a >= b),
    "is at most": ("<=", lambda a, b: a <= b),
}


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """A programming problem without its tests; those that say the same are one.

    Attributes:
        parameters: the names of the function's arguments.
        statement: what the function does, in sentences that leave no choice.
        body: the reference: the indented lines below the signature, without a line break at the end.
        careless: what somebody careless writes instead.
        run: the function itself, of positional arguments.
        edges: arguments that tell this function from its neighbours: the borders of its cases.
    """

    parameters: tuple[str, ...]
    statement: str
    body: str
    careless: str
    run: Callable[..., Any] = field(compare=False)
    edges: tuple[tuple[Any, ...], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Expr:
    """An expression of a program.

    Attributes:
        code: how it is written.
        careless: how somebody writes it who puts no brackets.
        rank: how strongly it binds: sums least, then products, then names, numbers and calls.
        run: its value, where the names have these values.

    >>> x, y = name("x"), name("y")
    >>> both = infix("*", infix("+", x, constant(3)), y)
    >>> both.code, both.careless, both.run({"x": 2, "y": 5})
    ('(x + 3) * y', 'x + 3 * y', 25)
    """

    code: str
    careless: str
    rank: int
    run: Callable[[Values], Any]

    @property
    def tight(self) -> str:
        """The code with brackets around it where something is to be put behind it, such as an index."""
        return self.code if self.rank == _ATOM else f"({self.code})"


def name(text: str) -> Expr:
    """A name."""
    return Expr(text, text, _ATOM, itemgetter(text))


def constant(value: Any) -> Expr:
    """A number or a text."""
    return Expr(repr(value), repr(value), _ATOM, lambda values: value)


def infix(sign: str, left: Expr, right: Expr, swapped: bool = False) -> Expr:
    """`left sign right` with the brackets that it needs.

    Somebody careless writes no brackets, divides without rounding, and where it is read `swapped`, swaps.
    """
    rank, apply = _SIGNS[sign]
    before = left.code if left.rank >= rank else f"({left.code})"
    after = right.code if right.rank > rank else f"({right.code})"
    first, second = (right, left) if swapped else (left, right)
    one, other = left.run, right.run
    careless = f"{first.careless} {'/' if sign == '//' else sign} {second.careless}"
    return Expr(f"{before} {sign} {after}", careless, rank, lambda values: apply(one(values), other(values)))


def suffix(inner: Expr, text: str, apply: Callable[[Any], Any]) -> Expr:
    """`inner` and what is put right behind it: a slice, a method; somebody careless puts no brackets if it can be."""
    run = inner.run
    careless = f"({inner.careless})" if inner.careless[-1].isdigit() else inner.careless
    return Expr(f"{inner.tight}{text}", f"{careless}{text}", _ATOM, lambda values: apply(run(values)))


def call(function: str, inner: Expr, apply: Callable[[Any], Any]) -> Expr:
    """`function(inner)`."""
    run = inner.run
    return Expr(f"{function}({inner.code})", f"{function}({inner.careless})", _ATOM, lambda values: apply(run(values)))


def returning(
    parameters: tuple[str, ...], statement: str, expr: Expr, edges: tuple[tuple[Any, ...], ...] = ()
) -> ProgramSpec:
    """The problem to return an expression."""
    run = expr.run
    return ProgramSpec(
        parameters,
        statement,
        f"    return {expr.code}",
        f"    return {expr.careless}",
        lambda *arguments: run(dict(zip(parameters, arguments, strict=True))),
        edges,
    )
