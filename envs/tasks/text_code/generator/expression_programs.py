"""Programs of one expression: steps of arithmetic, or of work on a text, one after the other.

A statement names the steps in their order: "Add 3 to x, then multiply by y." There is one function that does so, and
code that is written in the order of reading is often another: `x + 3 * y`.
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

#: Arithmetic with whole numbers; the last two only with a number on the right.
_SIGNS = ("+", "-", "*", "//", "%")
_DIVIDING = ("//", "%")
#: Large numbers tell `x // 9` from `x // 10`, long texts `s[:5]` from `s[:6]`, short ones `(s + t)[:4]` from `s[:4]`.
_LARGE, _LONG, _SHORT = (97, -58, 89, 75), ("abcdeabd", "edcbaacb", "bdacebee"), ("a", "bc", "deb")

#: What their statements are made of, beside names and numbers.
STEP_WORDS = (
    *("Add ", " to ", "Subtract ", " from ", "Multiply ", " by ", "Divide ", ", rounding down", "Take ", " modulo "),
    *(", then ", "add ", "subtract ", "subtract it from ", "multiply by ", "divide by ", "take it modulo ", "."),
)
TEXT_WORDS = (
    *("Take s", ", then ", "append t", "put t in front", "reverse it", "make it upper case", "."),
    *("drop its first character", "drop its last character", "keep its first ", " characters"),
    *("repeat it ", " times", "count its characters"),
)


def arithmetic(rng: CounterRNG, steps: int) -> ProgramSpec | None:
    """`Add 3 to x, then multiply by y.`: so many steps with `+ - * // %`."""
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
            return None  # add 3, then add 4: that is one step
        text = f"{text}, then {then}"
    if "x" not in value.code or (value.careless == value.code and rng.below(2)):
        return None  # most problems want care
    parameters = ("x", "y") if "y" in value.code else ("x",)
    return returning(parameters, f"{text}.", value, _edges(_LARGE, len(parameters)))


def _edges(values: Sequence[Any], count: int) -> tuple[tuple[Any, ...], ...]:
    """Arguments made of these values, so many, each beginning with another."""
    return tuple(tuple(values[(first + place) % len(values)] for place in range(count)) for first in range(len(values)))


def _operand(rng: CounterRNG, names: str) -> Expr:
    return name(rng.choice(names)) if rng.below(2) else constant(rng.between(2, 9))


def _then(rng: CounterRNG, value: Expr) -> tuple[str, Expr, str]:
    """A further step: its sign, what it makes of the value, and how it is said."""
    sign = rng.choice(_SIGNS)
    operand = constant(rng.between(2, 9)) if sign in _DIVIDING else _operand(rng, "xy")
    e = operand.code
    if sign == "-" and rng.below(2):
        return sign, infix("-", operand, value, swapped=True), f"subtract it from {e}"
    said = {
        "+": f"add {e}",
        "-": f"subtract {e}",
        "*": f"multiply by {e}",
        "//": f"divide by {e}, rounding down",
        "%": f"take it modulo {e}",
    }[sign]
    return sign, infix(sign, value, operand), said


_TEXT_STEPS: tuple[tuple[str, Callable[[str], str], str], ...] = (
    ("[::-1]", lambda string: string[::-1], "reverse it"),
    (".upper()", str.upper, "make it upper case"),
    ("[1:]", lambda string: string[1:], "drop its first character"),
    ("[:-1]", lambda string: string[:-1], "drop its last character"),
)


def texts(rng: CounterRNG) -> ProgramSpec | None:
    """`Take s, append t, then reverse it, then repeat it 2 times.`: two to four steps with the texts s and t."""
    value, said, last = name("s"), "Take s", ""
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
        said, last = f"{said}, then {words}", words
    if rng.below(4) == 0:
        value, said = call("len", value, len), f"{said}, then count its characters"
    edges = _edges(_LONG, 2) + _edges(_SHORT, 2)
    return returning(("s", "t"), f"{said}.", value, edges) if "t" in value.code else None
