"""Rows of HumanEval and MBPP as problems, and of what EvalPlus made of them; see `datasets`."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence

from textmdp.envs.judge import Suite
from textmdp.envs.tasks.text_code.formats.conversion import (
    CodeTest,
    block_tests,
    bound_names,
    call_test,
    check_tests,
    equation_of,
    example_tests,
    parse,
    set_up,
    used_names,
)
from textmdp.envs.tasks.text_code.formats.fields import Fields
from textmdp.envs.tasks.text_code.formats.plus import plus_tests
from textmdp.envs.tasks.text_code.formats.suites import apart, is_weak, shown_calls, suite_of, without_gifts
from textmdp.envs.tasks.text_code.problem import CodeProblem

# The function that computes the left sides of asserts, behind the program.
_COMPUTED = "_computed"


def humaneval(fields: Fields) -> CodeProblem:
    """A row of HumanEval or HumanEval+.

    Raises:
        DataError: it cannot be read.
    """
    prompt, entry, source = (fields.text(name) for name in ("prompt", "entry_point", "test"))
    try:
        before, docstring = of_prompt(prompt, entry)
    except ValueError as error:
        raise fields.error("prompt", error) from error
    examples = example_tests(docstring, entry)
    try:
        tests, setup = plus_tests(source, entry, examples, before) or check_tests(source, entry, examples, before)
        shown, hidden = apart(tests, shown_calls(prompt, entry) | {test.called for test in examples})
        known = {test.called for test in shown}
        visible = [*shown, *(test for test in examples if test.called not in known)]
        return CodeProblem(
            prompt=prompt,
            preamble=before,
            stub=prompt,
            entry=entry,
            visible=suite_of(entry, visible, setup) if visible else None,
            hidden=suite_of(entry, without_gifts(hidden, entry), setup),
            solution=fields.text("canonical_solution", needed=False),
        )
    except ValueError as error:
        raise fields.error("test", error) from error


def of_prompt(prompt: str, entry: str) -> tuple[str, str]:
    """What stands in front of the function in a prompt, and its docstring.

    Raises:
        ValueError: the prompt does not define the function.
    """
    for node in parse(prompt).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == entry:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "".join(prompt.splitlines(keepends=True)[: first - 1]), ast.get_docstring(node) or ""
    raise ValueError(f"no function {entry!r} is defined")


def mbpp(fields: Fields) -> CodeProblem:
    """A row of MBPP or MBPP+.

    Raises:
        DataError: it cannot be read.
    """
    task = fields.text("text" if "text" in fields.row else "prompt")
    solution = fields.text("code", needed=False)
    sources = [*fields.texts("test_list"), *fields.texts("challenge_test_list", needed=False)]
    lines = [*fields.texts("test_imports", needed=False), fields.text("test_setup_code", needed=False)]
    setup_code = "\n".join(lines).strip()
    try:
        before = parse(setup_code).body
    except ValueError as error:
        raise fields.error("test_setup_code", error) from error
    try:
        bodies = [parse(source).body for source in sources]
        entry, own = _definitions(solution, bodies[0])
        by_source = [block_tests(body, entry) for body in bodies]
        if not by_source[0]:
            raise ValueError("the first assert asserts nothing")
        tests = [test for found in by_source for test in found]
        setup, epilogue, tested = set_up(before, tests), "", entry
        if _is_local([*before, *(node for body in bodies for node in body)], entry, own):
            by_source, epilogue = _computed(by_source, setup_code)
            setup, tested = "", _COMPUTED
        divided = [_without(by_source, number) for number, found in enumerate(by_source) if found]
        # The first whose removal leaves tests that tell something; the very first one where none does.
        number, visible, hidden = next((item for item in divided if not is_weak(item[2], tested)), divided[0])
        suites = suite_of(tested, visible, setup), suite_of(tested, without_gifts(hidden, tested), setup)
    except ValueError as error:
        raise fields.error("test_list", error) from error
    asked = f"{setup_code}\n{sources[number]}".lstrip()
    return CodeProblem(
        prompt=f"{task.strip()}\nYour code should pass this test:\n\n{asked}\n",
        preamble="" if epilogue else setup_code,
        stub="",
        entry=entry,
        visible=suites[0],
        hidden=suites[1] if "test" not in fields.row else _hidden_of_plus(fields, entry, visible),
        solution=solution,
        epilogue=epilogue,
    )


def _without(by_source: Sequence[list[CodeTest]], number: int) -> tuple[int, list[CodeTest], list[CodeTest]]:
    """The number of an assert, its tests, and those of the others; all tests where these are the same."""
    shown = {test.called for test in by_source[number]}
    others = [test for found in by_source for test in found if found is not by_source[number]]
    return number, by_source[number], [test for test in others if not test.called or test.called not in shown] or others


def _hidden_of_plus(fields: Fields, entry: str, shown: Sequence[CodeTest]) -> Suite:
    """The tests of MBPP+ that are not shown."""
    try:
        found = plus_tests(fields.text("test"), entry)
        if found is None:
            raise ValueError("no lists 'inputs' and 'results' with a loop over them")
        hidden = apart(found[0], {test.called for test in shown})[1]
        return suite_of(entry, without_gifts(hidden, entry), found[1])
    except ValueError as error:
        raise fields.error("test", error) from error


def _definitions(solution: str, first: Sequence[ast.stmt]) -> tuple[str, set[str]]:
    """The function that the first assert calls, and what the solution defines that programs may not: all but it.

    Raises:
        ValueError: the assert calls no function.
    """
    try:
        body = parse(solution).body
    except ValueError:  # a solution for Python 2, say: what tests need of it cannot be told
        body = []
    defined = [node for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
    called = [
        part.func.id for node in first for part in ast.walk(node)
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)
    ]  # fmt: skip
    functions = {node.name for node in defined if not isinstance(node, ast.ClassDef)}
    entry = next((name for name in called if name in functions), None)
    entry = entry or next((name for name in called if not hasattr(builtins, name)), None)
    if entry is None:
        raise ValueError("the first assert calls no function")
    own = {node.name for node in defined} | bound_names(node for node in body if isinstance(node, ast.Assign))
    return entry, own - {entry}


def _is_local(nodes: Sequence[ast.stmt], entry: str, own: set[str]) -> bool:
    """Whether tests need the program's process: what the solution defines, or arguments that are functions or types."""
    if used_names(nodes) & (own - bound_names(nodes)):
        return True
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == entry:
                values = [*part.args, *(keyword.value for keyword in part.keywords)]
                if any(isinstance(value, ast.Lambda) or _is_builtin(value) for value in values):
                    return True
    return False


def _is_builtin(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and hasattr(builtins, node.id)


def _computed(by_source: Sequence[Sequence[CodeTest]], setup_code: str) -> tuple[list[list[CodeTest]], str]:
    """The tests as calls of a function behind the program that computes the left side of each; and that code.

    Raises:
        ValueError: a test has no left side whose value is constant.
    """
    made: list[list[CodeTest]] = []
    lines: list[str] = []
    for found in by_source:
        made.append([])
        for test in found:
            *rest, node = parse(test.source).body
            equation = None if rest else equation_of(node)
            if equation is None:
                raise ValueError(f"only the solution can run {test.source[:80]!r}, which is no expression == constant")
            made[-1].append(call_test(_COMPUTED, (len(lines),), {}, equation[1]))
            lines.append(f"        lambda: {ast.unparse(equation[0])},\n")
    code = f"def {_COMPUTED}(number):\n    return (\n{''.join(lines)}    )[number]()\n"
    return made, f"{setup_code}\n\n\n{code}".lstrip()
