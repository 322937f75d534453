"""Which tests are shown and which are hidden, what they are worth, and suites of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from textmdp.envs.judge import Suite, asserts, calls, stdio
from textmdp.envs.judge.outputs import Comparison
from textmdp.envs.judge.suites import Stdio, check_preamble
from textmdp.envs.tasks.text_code.formats.conversion import CodeTest, arguments_of, parse
from textmdp.envs.tasks.text_code.problem import CodeProblem


def shown_calls(text: str, entry: str) -> set[str]:
    """What the entry is called with in a text, as in `CodeTest.called`."""
    return {
        repr(arguments)
        for written in _written_calls(text, entry)
        if (arguments := arguments_of(written, entry)) is not None
    }  # fmt: skip


def _written_calls(text: str, entry: str) -> Iterator[ast.expr]:
    """The calls of the entry that are written in a text: each up to the first bracket at which it is Python."""
    for start in re.finditer(rf"(?<!def )(?<![\w.]){re.escape(entry)}\(", text):
        for end in re.finditer(r"\)", text[start.end() : start.end() + 2_000]):
            try:
                [node] = parse(text[start.start() : start.end() + end.end()].strip()).body
            except ValueError:
                continue
            if isinstance(node, ast.Expr):
                yield node.value
            break


def apart(tests: Sequence[CodeTest], shown: set[str]) -> tuple[list[CodeTest], list[CodeTest]]:
    """The tests that are shown, and those that are not; where none would be left of these, all of them."""
    visible = [test for test in tests if test.called and test.called in shown]
    hidden = [test for test in tests if not test.called or test.called not in shown]
    return visible, hidden or list(tests)


def answer(test: CodeTest, entry: str) -> str:
    """What a test asks for, as far as its code says it: a value, or true or false; otherwise the code."""
    if test.call is not None:
        return repr(test.call.expected)
    node = parse(test.source).body[-1] if test.source.startswith("assert") else None
    asked = node.test if isinstance(node, ast.Assert) else None
    false = isinstance(asked, ast.UnaryOp) and isinstance(asked.op, ast.Not)
    inner = asked.operand if false and isinstance(asked, ast.UnaryOp) else asked
    return repr(not false) if isinstance(inner, ast.Call) and arguments_of(inner, entry) is not None else test.source


def is_weak(tests: Sequence[CodeTest], entry: str) -> bool:
    """Whether a function that always returns the same, or its first argument, may pass all the tests."""
    found = [test.call for test in tests if test.call is not None]
    first = len(found) == len(tests) and all(call.args and repr(call.args[0]) == repr(call.expected) for call in found)
    return first or len({answer(test, entry) for test in tests}) < 2


def without_gifts(tests: Sequence[CodeTest], entry: str) -> list[CodeTest]:
    """The tests, where those that a function without a body passes ask for the first of the others too.

    Otherwise `return None` would earn a part of the reward wherever None, or something false, is a right answer.
    """
    gifts = [
        answer(test, entry) in ("None", "False") and (test.call is None or test.call.expected is None) for test in tests
    ]
    earned = next((test for test, is_gift in zip(tests, gifts, strict=True) if not is_gift), None)
    if earned is None:
        return list(tests)
    return [
        CodeTest(f"{earned.source}\n{test.source}", test.called) if is_gift else test
        for test, is_gift in zip(tests, gifts, strict=True)
    ]


def adapted(
    problems: Sequence[CodeProblem], preamble: str, compare: Comparison, tolerance: float | None
) -> list[CodeProblem]:
    """The problems with a preamble, and with another comparison of what programs print; see `judge.suites.stdio`.

    Raises:
        ValueError: the judge refuses one of these, or no program prints anything that could be compared.
    """
    check_preamble(preamble)
    options = stdio("", "", compare=compare, tolerance=tolerance)
    if options != stdio("", "") and not any(isinstance(problem.hidden, Stdio) for problem in problems):
        raise ValueError(
            f"compare={compare!r} and tolerance={tolerance!r} are for programs that read standard input; "
            "this data set has none"
        )

    def changed(suite: Suite) -> Suite:
        if isinstance(suite, Stdio):
            suite = replace(suite, compare=options.compare, tolerance=options.tolerance)
        return replace(suite, preamble=preamble)

    return [
        problem._replace(visible=problem.visible and changed(problem.visible), hidden=changed(problem.hidden))
        for problem in problems
    ]


def suite_of(entry: str, tests: Sequence[CodeTest], setup: str = "") -> Suite:
    """The suite of tests: calls where all of them are.

    Raises:
        ValueError: there are none, or the judge refuses them.
    """
    found = [test.call for test in tests if test.call is not None]
    if tests and len(found) == len(tests):
        return calls(entry, [(call.args, call.kwargs) for call in found], [call.expected for call in found])
    return asserts(entry, [test.source for test in tests], setup)
