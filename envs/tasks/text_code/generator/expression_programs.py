"""Programs of one expression: a sequence of steps of arithmetic, or of operations on a string.

A statement names the steps in their order: "Add 3 to x, then multiply by y." It defines one function, and code in the
order of reading often computes another one: `x + 3 * y`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from textmdp.envs.data.counter_rng import CounterRNG
from textmdp.envs.tasks.text_code.generator.program_spec import (
    Expr,
    ProgramSpec,
    call,
    constant,
    infix,
    name,
    returning,
    suffix,
)

#: Operations on integers; the last two only with a constant on the right.
_SIGNS = ("+", "-", "*", "//", "%")
_DIVIDING = ("//", "%")
#: Large numbers distinguish `x // 9` from `x // 10`, long strings `s[:5]` from `s[:6]`, and short ones `(s + t)[:4]`
#: from `s[:4]`.
_LARGE, _LONG, _SHORT = (97, -58, 89, 75), ("abcdeabd", "edcbaacb", "bdacebee"), ("a", "bc", "deb")

#: The phrases of their statements, other than names and numbers.
STEP_WORDS = (
    *("Add ", " to ", "Subtract ", " from ", "Multiply ", " by ", "Divide ", ", rounding down", "Take ", " modulo "),
    *(", then ", "add ", "subtract ", "subtract it from ", "multiply by ", "divide by ", "take it modulo ", "."),
)
OPERATION_WORDS = ("Add ", " to ", "Subtract ", " from ", "Multiply ", " by ", ".")
TEXT_WORDS = (
    *("Take s", ", then ", "append t", "put t in front", "reverse it", "make it upper case", "."),
    *("drop its first character", "drop its last character", "keep its first ", " characters"),
    *("repeat it ", " times", "count its characters"),
)


def operations(rng: CounterRNG) -> ProgramSpec:
    """A specification of one operation on x and a small number, such as `Subtract 3 from x.`: 16 functions in all."""
    x, number = name("x"), constant(rng.between(2, 5))
    value, text = rng.choice(
        (
            (infix("+", x, number), f"Add {number.code} to x."),
            (infix("-", x, number, swapped=True), f"Subtract {number.code} from x."),
            (infix("-", number, x, swapped=True), f"Subtract x from {number.code}."),
            (infix("*", x, number), f"Multiply x by {number.code}."),
        )
    )
    return returning(("x",), text, value, _edges(_LARGE, 1))


def arithmetic(rng: CounterRNG, steps: int) -> ProgramSpec | None:
    """A specification such as `Add 3 to x, then multiply by y.`, with a number of steps; None to reject."""
    sign = rng.choice(_SIGNS)
    left, right = (_operand(rng, "xy") for _ in range(2))
    if sign in _DIVIDING:
        right = constant(rng.between(2, 9))
    if left.code == right.code or (left.code.isdigit() and (right.code.isdigit() or sign != "-")):
        return None  # x + x, 3 + 4, and 3 + x beside x + 3
    a, b = left.code, right.code
    value, text = {
        "+": (infix("+", left, right), f"Add {b} to {a}"),
        "-": (infix("-", left, right, swapped=True), f"Subtract {b} from {a}"),
        "*": (infix("*", left, right), f"Multiply {a} by {b}"),
        "//": (infix("//", left, right), f"Divide {a} by {b}, rounding down"),
        "%": (infix("%", left, right), f"Take {a} modulo {b}"),
    }[sign]
    for _ in range(steps - 1):
        before = sign
        sign, value, then = _then(rng, value)
        if sign == before and sign != "-":
            return None  # "add 3, then add 4" is one step
        text = f"{text}, then {then}"
    if "x" not in value.code or (value.careless == value.code and rng.below(2)):
        return None  # in most problems, carelessness changes the result
    parameters = ("x", "y") if "y" in value.code else ("x",)
    return returning(parameters, f"{text}.", value, _edges(_LARGE, len(parameters)))


def _edges(values: Sequence[Any], count: int) -> tuple[tuple[Any, ...], ...]:
    """Tuples of `count` of these values, each beginning with another one."""
    return tuple(tuple(values[(first + place) % len(values)] for place in range(count)) for first in range(len(values)))


def _operand(rng: CounterRNG, names: str) -> Expr:
    return name(rng.choice(names)) if rng.below(2) else constant(rng.between(2, 9))


def _then(rng: CounterRNG, value: Expr) -> tuple[str, Expr, str]:
    """A further step: its sign, the new value, and its phrase."""
    sign = rng.choice(_SIGNS)
    operand = constant(rng.between(2, 9)) if sign in _DIVIDING else _operand(rng, "xy")
    e = operand.code
    if sign == "-" and rng.below(2):
        return sign, infix("-", operand, value, swapped=True), f"subtract it from {e}"
    phrase = {
        "+": f"add {e}",
        "-": f"subtract {e}",
        "*": f"multiply by {e}",
        "//": f"divide by {e}, rounding down",
        "%": f"take it modulo {e}",
    }[sign]
    return sign, infix(sign, value, operand), phrase


_TEXT_STEPS: tuple[tuple[str, Callable[[str], str], str], ...] = (
    ("[::-1]", lambda string: string[::-1], "reverse it"),
    (".upper()", str.upper, "make it upper case"),
    ("[1:]", lambda string: string[1:], "drop its first character"),
    ("[:-1]", lambda string: string[:-1], "drop its last character"),
)


def texts(rng: CounterRNG) -> ProgramSpec | None:
    """A specification such as `Take s, then append t, then reverse it.`, of two to four steps; None to reject."""
    value, statement, last = name("s"), "Take s", ""
    for _ in range(rng.between(2, 4)):
        kind = rng.below(8)
        if kind < len(_TEXT_STEPS):
            code, apply, words = _TEXT_STEPS[kind]
            value = suffix(value, code, apply)
        elif kind == 4:
            value, words = infix("+", value, name("t")), "append t"
        elif kind == 5:
            value, words = infix("+", name("t"), value, swapped=True), "put t in front"
        elif kind == 6:
            count = rng.between(2, 4)
            value, words = infix("*", value, constant(count)), f"repeat it {count} times"
        else:
            count = rng.between(2, 5)
            cut = partial(lambda count, string: string[:count], count)
            value, words = suffix(value, f"[:{count}]", cut), f"keep its first {count} characters"
        if words == last:
            return None
        statement, last = f"{statement}, then {words}", words
    if rng.below(4) == 0:
        value, statement = call("len", value, len), f"{statement}, then count its characters"
    edges = _edges(_LONG, 2) + _edges(_SHORT, 2)
    return returning(("s", "t"), f"{statement}.", value, edges) if "t" in value.code else None
