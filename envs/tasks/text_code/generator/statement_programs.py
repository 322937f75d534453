"""Programs of several statements: choices between two cases, loops over numbers, loops over lists."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from textmdp.envs.data.counter_rng import CounterRNG
from textmdp.envs.tasks.text_code.generator.program_spec import (
    COMPARISONS,
    Expr,
    ProgramSpec,
    Values,
    constant,
    infix,
    name,
)

#: The comparison with the border on the wrong side, a common mistake.
OFF_BY_ONE = {">=": ">", "<=": "<", ">": ">=", "<": "<="}

Test = Callable[[Values], bool]

_TERM_WORDS = (" plus ", " minus ", " times ", ".")
_MULTIPLES = (" that is a multiple of ", " that is not a multiple of ")
#: The phrases of their statements, other than names and numbers.
CHOICE_WORDS = ("If ", *(f" {words} " for words in COMPARISONS), ", return ", "; otherwise, return ", *_TERM_WORDS)
LOOP_WORDS = ("Add up ", "Multiply ", "Count", " for", " every i from ", " to n", *_MULTIPLES, *_TERM_WORDS)
LIST_WORDS = (
    *("Take ", " for every x in xs", *(f" that {words} " for words in COMPARISONS), *_MULTIPLES, *_TERM_WORDS),
    *(", in reverse", ", from the least to the greatest", ", without the first", ", and add them up"),
    ", and count them",
)


def choices(rng: CounterRNG) -> ProgramSpec | None:
    """A specification such as `If x is at least y, return x plus 3; otherwise, return y.`; None to reject."""
    left = name(rng.choice("xy"))
    right = constant(rng.between(2, 9)) if rng.below(2) else name("y" if left.code == "x" else "x")
    words = rng.choice(list(COMPARISONS))
    sign, holds = COMPARISONS[words]
    (one, one_phrase), (other, other_phrase) = _term(rng, "xy"), _term(rng, "xy")
    if one.code == other.code or "x" not in left.code + one.code + other.code:
        return None

    def run(x: int, y: int) -> Any:
        values = {"x": x, "y": y}
        return (one if holds(left.run(values), right.run(values)) else other).run(values)

    def body(sign: str, first: str, second: str) -> str:
        return f"    if {left.code} {sign} {right.code}:\n        return {first}\n    return {second}"

    # Just below, on and just above the border, twice, since both cases may return the same by chance.
    edges = []
    for at, away in ((6, 13), (9, -4)) if right.code in "xy" else ((int(right.code), 13), (int(right.code), -4)):
        for shift in (-1, 0, 1):
            border, free = at + shift, at if right.code in "xy" else away
            edges.append((border, free) if left.code == "x" else (free, border))
    return ProgramSpec(
        ("x", "y"),
        f"If {left.code} {words} {right.code}, return {one_phrase}; otherwise, return {other_phrase}.",
        body(sign, one.code, other.code),
        body(OFF_BY_ONE[sign], one.careless, other.careless),
        run,
        tuple(edges),
    )


def loops(rng: CounterRNG) -> ProgramSpec | None:
    """A specification such as `Add up i times 3 for every i from 1 to n.`: a loop over numbers; None to reject."""
    kind = rng.choice(("Add up", "Multiply", "Count"))
    first = rng.below(3)
    _, condition, test, which = _divisibility(rng, "i") if kind == "Count" or rng.below(2) else (0, "", None, "")
    value, phrase = (constant(1), "") if kind == "Count" else _term(rng, "i" if kind == "Multiply" else "in")
    if kind != "Count" and ("i" not in value.code or (kind == "Multiply" and "-" in value.code)):
        return None  # a product with a factor of zero is no problem

    def run(n: int) -> int:
        passing = [{"i": i, "n": n} for i in range(first, n + 1) if test is None or test({"i": i})]
        values = [value.run(values) for values in passing]
        return prod(values) if kind == "Multiply" else sum(values)

    def body(stop: str, start: int, written: str) -> str:
        sign = "*" if kind == "Multiply" else "+"
        inner = f"if {condition}:\n            " if condition else ""
        return (
            f"    total = {start}\n    for i in range({first}, {stop}):\n"
            f"        {inner}total {sign}= {written}\n    return total"
        )

    start = int(kind == "Multiply")
    numbers = "" if kind == "Count" else f" {phrase} for"
    return ProgramSpec(
        ("n",),
        f"{kind}{numbers} every i from {first} to n{which}.",
        body("n + 1", start, value.code),
        body("n", start, value.careless),
        run,
        tuple((n,) for n in (*range(first, first + 4), 7, 8, 9)),
    )


def lists(rng: CounterRNG) -> ProgramSpec | None:
    """A specification such as `Take x times 3 for every x in xs that is at least 4.`: a loop over a list."""
    value, phrase = _term(rng, "x") if rng.below(4) else (name("x"), "x")
    if "x" not in value.code:
        return None
    if rng.below(2):
        limit, words = rng.between(2, 9), rng.choice(list(COMPARISONS))
        sign, holds = COMPARISONS[words]
        condition, off_by_one, which = f"x {sign} {limit}", f"x {OFF_BY_ONE[sign]} {limit}", f" that {words} {limit}"
        test = _beyond(holds, limit)
    else:
        limit, condition, test, which = _divisibility(rng, "x")
        off_by_one = condition
    words, code, finish = rng.choice(_FINISHES)

    def run(xs: list[int]) -> Any:
        return finish([value.run({"x": x}) for x in xs if test({"x": x})])

    def body(condition: str, written: str, result: str) -> str:
        return (
            f"    out = []\n    for x in xs:\n        if {condition}:\n"
            f"            out.append({written})\n    return {result}"
        )

    return ProgramSpec(
        ("xs",),
        f"Take {phrase} for every x in xs{which}{words}.",
        body(condition, value.code, code),
        body(off_by_one, value.careless, "out"),
        run,
        (([],), ([limit - 1, limit, limit + 1, limit],), ([3 * limit, limit + 1, limit, limit - 1, 2 * limit],)),
    )


_FINISHES: tuple[tuple[str, str, Callable[[list[int]], Any]], ...] = (
    ("", "out", lambda out: out),
    (", in reverse", "out[::-1]", lambda out: out[::-1]),
    (", from the least to the greatest", "sorted(out)", sorted),
    (", without the first", "out[1:]", lambda out: out[1:]),
    (", and add them up", "sum(out)", sum),
    (", and count them", "len(out)", len),
)


def _term(rng: CounterRNG, names: str) -> tuple[Expr, str]:
    """An expression with at most one sign, and its phrase: `x plus 3`, `y minus x`, `x times 2` or `y`."""
    first = name(rng.choice(names))
    kind = rng.below(7)
    if kind == 0:
        return first, first.code
    others = [letter for letter in names if letter != first.code]
    second = name(others[0]) if others and rng.below(2) else constant(rng.between(2, 9))
    if kind == 1:
        return infix("-", second, first), f"{second.code} minus {first.code}"
    sign, word = (("+", "plus"), ("-", "minus"), ("*", "times"))[kind // 2 - 1]
    return infix(sign, first, second), f"{first.code} {word} {second.code}"


def _beyond(holds: Callable[[Any, Any], bool], limit: int) -> Test:
    """A test that compares x with a number."""
    return lambda values: holds(values["x"], limit)


def _divisibility(rng: CounterRNG, letter: str) -> tuple[int, str, Test, str]:
    """A condition on a number: the divisor, the condition's code, the test, and its phrase."""
    divisor, wanted = rng.between(2, 5), rng.below(2) == 0
    sign, words = ("==", "is") if wanted else ("!=", "is not")
    return (
        divisor,
        f"{letter} % {divisor} {sign} 0",
        lambda values: (values[letter] % divisor == 0) == wanted,
        f" that {words} a multiple of {divisor}",
    )
