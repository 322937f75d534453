"""Ways to work expressions and stories: one operation at a time."""

from __future__ import annotations

import ast
from fractions import Fraction

from textmdp.envs.tasks.text_math.steps.columns import add_signed, divide, multiply
from textmdp.envs.tasks.text_math.steps.work import Work
from textmdp.envs.tasks.text_math.word_problems import equation

_SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


def operations(work: Work, question: str) -> str:
    """7*(12-45): `12-45=-33`, then `7*-33=-231`, each at once."""
    return str(_evaluated(work, question.removesuffix("="), in_columns=False))


def operations_in_columns(work: Work, question: str) -> str:
    """The same, with each operation of natural numbers worked digit by digit before it is written."""
    return str(_evaluated(work, question.removesuffix("="), in_columns=True))


def story(work: Work, question: str) -> str:
    """A story: its equation, then one operation at a time."""
    return _story(work, question, in_columns=False)


def story_in_columns(work: Work, question: str) -> str:
    """A story: its equation, then one operation at a time, each worked digit by digit."""
    return _story(work, question, in_columns=True)


def _story(work: Work, question: str, *, in_columns: bool) -> str:
    expression = equation(question)
    work.note(expression)
    return str(_evaluated(work, expression, in_columns=in_columns))


def _evaluated(work: Work, expression: str, *, in_columns: bool) -> Fraction:
    """Work an expression of the generator from the innermost left operation on."""

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            return _operate(work, value(node.left), _SIGNS[type(node.op)], value(node.right), in_columns)
        assert isinstance(node, ast.Constant)
        assert isinstance(node.value, int)
        return Fraction(node.value)

    return value(ast.parse(expression, mode="eval").body)


def _operate(work: Work, a: Fraction, sign: str, b: Fraction, in_columns: bool) -> Fraction:
    """Write one operation, digit by digit before if it is one of integers and has more than one digit."""
    if sign == "+":
        result = a + b
    elif sign == "-":
        result = a - b
    else:
        result = a * b if sign == "*" else a / b
    if in_columns and a.denominator == b.denominator == result.denominator == 1 and max(abs(a), abs(b)) >= 10:
        result = Fraction(_in_columns(work, int(a), sign, int(b)))
    right = f"({b})" if sign == "/" and b.denominator > 1 else str(b)
    return work.write(f"{a}{sign}{right}=", result)


def _in_columns(work: Work, a: int, sign: str, b: int) -> int:
    if sign in "+-":
        return add_signed(work, a, b if sign == "+" else -b)
    negative = -1 if (a < 0) != (b < 0) else 1
    return negative * (multiply if sign == "*" else divide)(work, abs(a), abs(b))
