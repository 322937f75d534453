"""Specifications of programming problems: a statement, a reference, a careless body, and the function itself.

An expression carries the right code, the code with common mistakes, and the function that both are compared with. The
expected results therefore come from functions of this package, and generated code is never executed to find them.
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

#: The phrases of comparisons, with their signs and functions.
COMPARISONS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "is greater than": (">", lambda a, b: a > b),
    "is less than": ("<", lambda a, b: a < b),
    "is at least": (">=", lambda a, b: a >= b),
    "is at most": ("<=", lambda a, b: a <= b),
}


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """A programming problem without its tests; specifications with equal texts are equal.

    Attributes:
        parameters: the names of the function's arguments.
        statement: an unambiguous description of the function.
        body: the reference: the indented lines below the signature, without a line break at the end.
        careless: a body with common mistakes.
        run: the function itself, of positional arguments.
        edges: arguments at the borders of its cases, which distinguish it from similar functions.
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
        code: its code.
        careless: its code without brackets.
        rank: its precedence: sums 1, products 2, names, numbers and calls 3.
        run: its value, given the values of the names.

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
        """The code, in brackets if a suffix such as an index needs them."""
        return self.code if self.rank == _ATOM else f"({self.code})"


def name(text: str) -> Expr:
    """A name."""
    return Expr(text, text, _ATOM, itemgetter(text))


def constant(value: Any) -> Expr:
    """A number or a string."""
    return Expr(repr(value), repr(value), _ATOM, lambda values: value)


def infix(sign: str, left: Expr, right: Expr, swapped: bool = False) -> Expr:
    """`left sign right` with the necessary brackets.

    The careless code has no brackets, divides without rounding, and has the operands in the other order if `swapped`.
    """
    rank, apply = _SIGNS[sign]
    before = left.code if left.rank >= rank else f"({left.code})"
    after = right.code if right.rank > rank else f"({right.code})"
    first, second = (right, left) if swapped else (left, right)
    one, other = left.run, right.run
    careless = f"{first.careless} {'/' if sign == '//' else sign} {second.careless}"
    return Expr(f"{before} {sign} {after}", careless, rank, lambda values: apply(one(values), other(values)))


def suffix(inner: Expr, text: str, apply: Callable[[Any], Any]) -> Expr:
    """`inner` with a suffix, such as a slice or a method; the careless code has no brackets if that is valid."""
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
    """The specification of a function that returns an expression."""
    run = expr.run
    return ProgramSpec(
        parameters,
        statement,
        f"    return {expr.code}",
        f"    return {expr.careless}",
        lambda *arguments: run(dict(zip(parameters, arguments, strict=True))),
        edges,
    )
