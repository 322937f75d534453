"""Tests of HumanEval+ and MBPP+, as the hub has them: lists of inputs and of results, and a loop that compares them.

The `test` of a row holds helpers, `inputs`, and `results` (or a function `ref_func` that computes them), in a function
`check` or not, and one statement that is repeated for each input. It is written out once for each input here. The tests
use a little of numpy, which sandboxes lack; a few lines of Python stand in for it. Where nothing but equality can
decide (no floats, no tolerance, EvalPlus's usual comparison), the tests are calls.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Sequence
from typing import Any

from textmdp.envs.tasks.text_code.formats.conversion import CodeTest, call_test, constant, parse, rename, set_up

#: The comparison of EvalPlus, but for the few problems with comparisons of their own.
USUAL = """def assertion(out, exp, atol):
    exact_match = out == exp
    if atol == 0 and is_floats(exp):
        atol = 1e-06
    if not exact_match and atol != 0:
        np.testing.assert_allclose(out, exp, atol=atol)
    else:
        assert exact_match"""

# Element by element, where numpy also stretches one shape to another: a number for a list of them is refused here.
_NUMPY = """class np:
    float32 = float64 = None
    class ndarray:
        dtype = None
    def allclose(out, exp, rtol=1e-05, atol=1e-08, equal_nan=False):
        if isinstance(exp, (list, tuple)):
            return isinstance(out, (list, tuple)) and len(out) == len(exp) and all(
                np.allclose(one, other, rtol, atol, equal_nan) for one, other in zip(out, exp))
        if out == exp or (equal_nan and out != out and exp != exp):
            return True
        return abs(out - exp) <= atol + rtol * abs(exp) and abs(exp) != float('inf')
    class testing:
        def assert_allclose(out, exp, rtol=1e-07, atol=0):
            assert np.allclose(out, exp, rtol, atol, True)"""

# The published test of HumanEval/32 unpacks a number; EvalPlus itself grades by this.
_MISTAKEN, _MEANT = "_poly(*candidate(*inp), inp)", "abs(_poly(*inp, candidate(*inp)))"


_NON_FINITE = re.compile(r"\b(?:inf|nan)\b")


def plus_tests(
    source: str, entry: str, examples: Sequence[CodeTest] = (), preamble: str = ""
) -> tuple[list[CodeTest], str] | None:
    """The tests, and a set-up for them and for examples; None where the source is not of this form.

    Raises:
        ValueError: it is, and cannot be read.
    """
    module = parse(source.replace(_MISTAKEN, _MEANT))
    check = next((node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "check"), None)
    body = module.body if check is None else check.body
    inputs = _list_of(body, "inputs")
    loop = next((node for node in body if isinstance(node, ast.For)), None)
    if inputs is None or loop is None or len(loop.body) != 1:
        return None
    if not all(isinstance(item, (list, tuple)) for item in inputs):
        raise ValueError("inputs must be a list of lists of arguments")
    results = _list_of(body, "results")
    if results is not None and len(results) != len(inputs):
        raise ValueError(f"{len(inputs)} inputs, but {len(results)} results")
    helpers = [
        node for node in module.body
        if node is not check and node is not loop and _bound(node) not in ("inputs", "results")
        and not isinstance(node, ast.Expr) and not (isinstance(node, ast.Import) and node.names[0].name == "numpy")
    ]  # fmt: skip
    statement = ast.unparse(rename(loop.body[0], {"candidate": entry}))
    return made_tests(entry, inputs, results, statement, helpers, examples, preamble)


def made_tests(
    entry: str,
    inputs: Sequence[Sequence[Any]],
    results: Sequence[Any] | None,
    statement: str,
    helpers: Sequence[ast.stmt],
    examples: Sequence[CodeTest] = (),
    preamble: str = "",
) -> tuple[list[CodeTest], str]:
    """A test for each of the inputs, and a set-up for them and for examples.

    Args:
        entry: the name of the function under test.
        inputs: for each test, the arguments.
        results: for each test, what the function must return; None where the statement needs none.
        statement: the code of a test, for the arguments `inp` and the result `exp`.
        helpers: the code that it needs.
        examples, preamble: as in `plus_tests`.
    """
    if results is not None and _exact(statement, entry, helpers, results):
        tests = [call_test(entry, tuple(i), {}, r) for i, r in zip(inputs, results, strict=True)]
        return tests, set_up((), examples, preamble)
    tests = []
    for given, result in itertools.zip_longest(inputs, results or []):
        values = f"inp = {given!r}\n" if results is None else f"inp, exp = ({given!r}, {result!r})\n"
        tests.append(CodeTest(values + statement, repr((tuple(given), {}))))
    around = [*parse(_NUMPY).body, *helpers]
    statements = [CodeTest(statement, ""), *examples]
    if any(_NON_FINITE.search(test.source) for test in tests):
        statements.append(CodeTest("(inf, nan)", ""))  # as they are written by `repr`
    return tests, set_up(around, statements, preamble)


def _list_of(body: Sequence[ast.stmt], name: str) -> list[Any] | None:
    """The value of `name = [...]`; None where it is not assigned.

    Raises:
        ValueError: it is no list of constants.
    """
    for node in body:
        if isinstance(node, ast.Assign) and _bound(node) == name:
            value = constant(node.value)
            if not isinstance(value, list):
                raise ValueError(f"{name} must be a list")
            return value
    return None


def _bound(node: ast.stmt) -> str:
    """The one name that an assignment binds."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return ""


def _exact(statement: str, entry: str, helpers: Sequence[ast.stmt], results: Sequence[Any]) -> bool:
    """Whether equality alone decides."""
    usual = any(ast.dump(node) == ast.dump(parse(USUAL).body[0]) for node in helpers)
    return usual and statement == f"assertion({entry}(*inp), exp, 0)" and not any(map(_has_floats, results))


def _has_floats(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_floats(item) for pair in value.items() for item in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_has_floats, value))
    return isinstance(value, (float, complex))
