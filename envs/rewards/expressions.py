"""Rewards as expressions of parts: weighted sums, products, gates, sequences and clips.

Written as text, an expression is read by `parse`, never evaluated as Python:

    correct + 0.1 * format
    gate(lines, gold)
    correct - 0.5 * length_limit(limit=200)
    clip(0.7 * similarity(column='solution') + my_rewards:style, 0, 1)

A name is a part of the task's own score, or else a shipped rule (`textmdp.envs.rewards.rules`); a name with brackets is
a shipped rule with arguments; `module:function` is a function of the user's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, TypeAlias

from textmdp.envs.rewards.functions import RewardFunction, load_function, name_of
from textmdp.envs.rewards.rules import RULES

#: The values of parts by name, for one response; a part that does not apply to it is absent.
Values: TypeAlias = Mapping[str, float]

_PATH = re.compile(r"\b[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class Expression(Protocol):
    """A reward of one response from the values of its parts."""

    def value(self, values: Values) -> float:
        """Return the value; a part that does not apply counts as 0."""

    def parts(self) -> tuple[Part, ...]:
        """Return the parts that the value depends on."""


@dataclass(frozen=True)
class Part:
    """A named part: of the task's own score where `function` is None, else what a reward function returns.

    A name that the task's score lacks is looked up among the shipped rules when the first response is scored.
    """

    name: str
    function: RewardFunction | None = field(default=None, compare=False)

    def value(self, values: Values) -> float:
        """Return the part's value, 0 where it does not apply."""
        return values.get(self.name, 0.0)

    def parts(self) -> tuple[Part, ...]:
        """Return the part itself."""
        return (self,)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Sum:
    """A weighted sum."""

    terms: tuple[tuple[float, Expression], ...]

    def value(self, values: Values) -> float:
        """Return `Σ weight · term`."""
        return sum(weight * term.value(values) for weight, term in self.terms)

    def parts(self) -> tuple[Part, ...]:
        """Return the parts of all terms."""
        return tuple(part for _, term in self.terms for part in term.parts())

    def __str__(self) -> str:
        text = ""
        for weight, term in self.terms:
            sign = "-" if weight < 0 else "+"
            text += f" {sign} " if text else "-" if weight < 0 else ""
            text += str(term) if abs(weight) == 1 else f"{abs(weight):g} * {term}"
        return text


@dataclass(frozen=True)
class Product:
    """A product: 0 as soon as one factor is."""

    factors: tuple[Expression, ...]

    def value(self, values: Values) -> float:
        """Return the product of the factors."""
        product = 1.0
        for factor in self.factors:
            product *= factor.value(values)
        return product

    def parts(self) -> tuple[Part, ...]:
        """Return the parts of all factors."""
        return tuple(part for factor in self.factors for part in factor.parts())

    def __str__(self) -> str:
        return " * ".join(f"({factor})" if isinstance(factor, Sum) else str(factor) for factor in self.factors)


@dataclass(frozen=True)
class Gate:
    """`counted` where `condition` is at least `at_least`, and 0 elsewhere."""

    condition: Expression
    counted: Expression
    at_least: float = 1.0

    def value(self, values: Values) -> float:
        """Return the value of `counted`, or 0."""
        return self.counted.value(values) if self.condition.value(values) >= self.at_least else 0.0

    def parts(self) -> tuple[Part, ...]:
        """Return the parts of both."""
        return self.condition.parts() + self.counted.parts()

    def __str__(self) -> str:
        return f"gate({self.condition}, {self.counted}{_unless(1.0, at_least=self.at_least)})"


@dataclass(frozen=True)
class Sequence:
    """The mean of steps that stops at the first failure: a step below `at_least` counts, those after it don't."""

    steps: tuple[Expression, ...]
    at_least: float = 1.0

    def value(self, values: Values) -> float:
        """Return the sum of the steps up to the first failure, over the number of steps."""
        total = 0.0
        for step in self.steps:
            value = step.value(values)
            total += value
            if value < self.at_least:
                break
        return total / len(self.steps)

    def parts(self) -> tuple[Part, ...]:
        """Return the parts of all steps."""
        return tuple(part for step in self.steps for part in step.parts())

    def __str__(self) -> str:
        return f"sequence({', '.join(map(str, self.steps))}{_unless(1.0, at_least=self.at_least)})"


@dataclass(frozen=True)
class Clip:
    """A value held to a range."""

    inner: Expression
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"clip(…, {self.low}, {self.high}): the lower bound comes first")

    def value(self, values: Values) -> float:
        """Return the value, at least `low` and at most `high`."""
        return min(max(self.inner.value(values), self.low), self.high)

    def parts(self) -> tuple[Part, ...]:
        """Return the parts of the value."""
        return self.inner.parts()

    def __str__(self) -> str:
        return f"clip({self.inner}, {self.low:g}, {self.high:g})"


#: All that `rewards=` takes: an expression, its text, a function, or weights of any of these.
Spec: TypeAlias = "str | Expression | RewardFunction | Mapping[Any, float]"


def parse(spec: Spec) -> Expression:
    """Return the expression that a specification stands for.

    Args:
        spec: a text, a function, an expression, or a mapping from any of these to weights.

    Raises:
        ValueError, TypeError: it is none; the message names the piece and what may stand there.

    >>> print(parse("correct + 0.1 * format"), "|", parse({"correct": 1, "gate(correct, format)": 0.1}))
    correct + 0.1 * format | correct + 0.1 * gate(correct, format)
    """
    if isinstance(spec, str):
        return _parse_text(spec)
    if isinstance(spec, Mapping):
        if not spec:
            raise ValueError("rewards={} has no part: name at least one, such as {'correct': 1.0}")
        return Sum(tuple((_weight(weight, key), parse(key)) for key, weight in spec.items()))
    if isinstance(spec, (Part, Sum, Product, Gate, Sequence, Clip)):
        return spec
    if callable(spec):
        return Part(name_of(spec), spec)
    raise TypeError(f"rewards={spec!r} is neither a text, a function nor a mapping from these to weights")


def _weight(weight: Any, key: Any) -> float:
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        raise TypeError(f"the weight of {key!r} must be a number, not {weight!r}")
    return float(weight)


def _parse_text(text: str) -> Expression:
    paths: list[str] = []

    def place_holder(path: re.Match[str]) -> str:
        paths.append(path[0])
        return f"_path({len(paths) - 1})"

    try:
        tree = ast.parse(_PATH.sub(place_holder, text.strip()), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"rewards={text!r} is no expression of parts, such as 'correct + 0.1 * format'") from error
    return _Reader(text, paths).read(tree)


class _Reader:
    """Builds an expression from Python's syntax tree of its text."""

    def __init__(self, text: str, paths: list[str]) -> None:
        self.text, self.paths = text, paths

    def read(self, node: ast.expr) -> Expression:
        if isinstance(node, ast.Name):
            return Part(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            sign = 1.0 if isinstance(node.op, ast.Add) else -1.0
            right = tuple((sign * weight, term) for weight, term in self._terms(node.right))
            return Sum((*self._terms(node.left), *right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return Sum(tuple((-weight, term) for weight, term in self._terms(node.operand)))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return self._product(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._call(node.func.id, node)
        self._refuse(node)

    def _terms(self, node: ast.expr) -> tuple[tuple[float, Expression], ...]:
        read = self.read(node)
        return read.terms if isinstance(read, Sum) else ((1.0, read),)

    def _product(self, node: ast.BinOp) -> Expression:
        weight, factors = 1.0, []
        for side in (node.left, node.right):
            number = _number(side)
            if number is not None:
                weight *= number
            else:
                factors.append(self.read(side))
        if not factors:
            self._refuse(node)
        inner = factors[0] if len(factors) == 1 else Product(tuple(factors))
        if isinstance(inner, Sum):
            return Sum(tuple((weight * w, term) for w, term in inner.terms))
        return inner if weight == 1 and len(factors) > 1 else Sum(((weight, inner),))

    def _call(self, name: str, node: ast.Call) -> Expression:
        if name == "_path":
            path = self.paths[node.args[0].value]  # type: ignore[attr-defined]
            return Part(path, load_function(path))
        options = {keyword.arg: self._literal(keyword.value) for keyword in node.keywords if keyword.arg is not None}
        if name in _OPERATORS:
            numbers = [_number(argument) for argument in node.args]
            inner = [self.read(a) if n is None else n for a, n in zip(node.args, numbers, strict=True)]
            try:
                return _OPERATORS[name](*inner, **options)
            except TypeError as error:
                raise ValueError(f"rewards={self.text!r}: {name}(…) takes {_USAGE[name]}") from error
        if name not in RULES:
            known = ", ".join((*_OPERATORS, *RULES))
            raise ValueError(f"rewards={self.text!r}: there is no {name}(…); there are {known}")
        arguments = [self._literal(argument) for argument in node.args]
        try:
            rule = RULES[name](*arguments, **options)
        except TypeError as error:
            raise ValueError(f"rewards={self.text!r}: {name}(…): {error}") from error
        return Part(ast.unparse(node), rule)

    def _literal(self, node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError:
            self._refuse(node)

    def _refuse(self, node: ast.expr) -> NoReturn:
        raise ValueError(
            f"rewards={self.text!r}: {ast.unparse(node)!r} is none of a part's name, a rule with arguments, "
            f"module:function, a weight * a part, a sum, or one of {', '.join(_OPERATORS)}"
        )


def _number(node: ast.expr) -> float | None:
    """The number that a node is, if it is one."""
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _expressions(*arguments: Any) -> tuple[Expression, ...]:
    if not arguments or any(isinstance(argument, float) for argument in arguments):
        raise TypeError("parts are expected")
    return arguments


def _gate(condition: Expression, counted: Expression, at_least: float = 1.0) -> Gate:
    _expressions(condition, counted)
    return Gate(condition, counted, float(at_least))


def _clip(inner: Expression, low: float, high: float) -> Clip:
    _expressions(inner)
    return Clip(inner, float(low), float(high))


_OPERATORS: dict[str, Callable[..., Expression]] = {
    "gate": _gate,
    "sequence": lambda *steps, at_least=1.0: Sequence(_expressions(*steps), at_least=float(at_least)),
    "product": lambda *factors: Product(_expressions(*factors)),
    "clip": _clip,
}
_USAGE = {
    "gate": "a condition, what it lets count, and at_least= (1 by default)",
    "sequence": "steps, and at_least= (1 by default)",
    "product": "factors",
    "clip": "a part, a lower and an upper bound",
}


def _unless(default: float, **option: float) -> str:
    ((name, value),) = option.items()
    return "" if value == default else f", {name}={value:g}"
