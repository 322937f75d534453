"""Test modules for `unittest` and `pytest`, as suites: each `test_…` function and method is a test of its own.

The tests are found by reading the source, which never runs in this process. So their number has to be written there:
`pytest.mark.parametrize` takes lists that are written out, in place or at the top of the module.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping, Sequence

from textmdp.envs.judge.suites import Asserts, check_entry, check_preamble, check_source

#: Fixtures that pytest brings along, and the sandbox does not.
_BUILT_IN = frozenset({"capfd", "caplog", "capsys", "monkeypatch", "pytestconfig", "recwarn", "request", "tmp_path"})
#: Decorators that change which tests there are, or what passes one.
_UNSUPPORTED = frozenset({"expectedFailure", "skip", "skipIf", "skipUnless", "skipif", "usefixtures", "xfail"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def unittests(entry: str | Sequence[str], source: str, module: str = "solution", *, preamble: str = "") -> Asserts:
    """A suite of a test module: `unittests("add", "from solution import add\\ndef test(): assert add(1, 2) == 3")`.

    It runs apart from the program, as `asserts` does: the functions under test are there by name and as attributes of
    the module that the tests import, and return plain data; exceptions of a program's own classes arrive as the builtin
    class that they derive from. A test is each method `test…` of a class that derives from `unittest.TestCase`, each
    function `test…`, each such method of a class `Test…`, and each case of `pytest.mark.parametrize`. The sandbox has
    no pytest; `raises`, `approx`, `fail`, `fixture`, `param` and `mark.parametrize` are stood in for.

    Args:
        entry: the name of the function under test, or the names of several.
        source: the Python source of the test module.
        module: the name by which it imports the program.
        preamble: see `textmdp.envs.judge.suites.calls`.

    Raises:
        ValueError, TypeError: where the source cannot be parsed, holds no test, uses what is not supported (skipped
            tests, pytest's own fixtures, lists of cases that are computed), or might run a result as code.
    """
    names = (entry,) if isinstance(entry, str) else tuple(entry)
    if not names:
        raise ValueError("unittests: entry must name at least one function under test")
    for name in (*names, module):
        check_entry(name)
    if not check_source(source, "the test module"):
        raise ValueError("unittests: the module asserts nothing, so anything would pass")
    check_preamble(preamble)
    body = ast.parse(source).body
    tests = [_call(name, number) for name, count in _found(body) for number in range(count)]
    if not tests:
        raise ValueError(
            "unittests: the module holds no test; name functions `test_…`, or methods of a class that derives from "
            "unittest.TestCase"
        )
    return Asserts(names[0], tuple(tests), source, names[1:], module, preamble)


def _call(name: str, case: int) -> str:
    return f"__run_case__({name!r}, {case})"


def _found(body: Sequence[ast.stmt]) -> Iterator[tuple[str, int]]:
    """The tests of a module in the order of its source: their names, and how many cases each has."""
    classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    lists = {
        node.targets[0].id: node.value
        for node in body
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
    }
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
            yield node.name, _cases(node, node.name, lists, 0)
        elif isinstance(node, ast.ClassDef):
            is_case = _is_test_case(node, classes)
            if not is_case and not node.name.startswith("Test"):
                continue
            of_class = 1 if is_case else _product(node, node.name, lists)
            for method in _methods(node, classes).values():
                name = f"{node.name}.{method.name}"
                cases = _cases(method, name, lists, 1)
                if is_case and cases != 1:
                    raise ValueError(f"unittests: {name}: parametrize is not for methods of unittest.TestCase")
                yield name, cases * of_class


def _is_test_case(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef], depth: int = 16) -> bool:
    bases = [ast.unparse(base) for base in node.bases]
    return any(
        base.rpartition(".")[2] in ("TestCase", "IsolatedAsyncioTestCase")
        or (depth > 0 and base in classes and _is_test_case(classes[base], classes, depth - 1))
        for base in bases
    )


def _methods(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef], depth: int = 16) -> dict[str, _Function]:
    """The test methods of a class, with those of its bases in the same module."""
    found: dict[str, _Function] = {}
    for base in reversed(node.bases):
        if depth and isinstance(base, ast.Name) and base.id in classes:
            found |= _methods(classes[base.id], classes, depth - 1)
    for method in node.body:
        if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)) and method.name.startswith("test"):
            found[method.name] = method
    _refuse(node.decorator_list, node.name)
    return found


def _cases(node: _Function, name: str, lists: Mapping[str, ast.expr], skipped: int) -> int:
    """How many cases a test has."""
    if isinstance(node, ast.AsyncFunctionDef) or any(map(_yields, node.body)):
        raise ValueError(f"unittests: {name} is a coroutine or a generator, whose code nothing here would run")
    _refuse(node.decorator_list, name)
    own = next((arg.arg for arg in node.args.args[skipped:] if arg.arg in _BUILT_IN), None)
    if own is not None:
        raise ValueError(f"unittests: {name} asks for the fixture {own!r} of pytest's own, which the sandbox lacks")
    return _product(node, name, lists)


def _yields(node: ast.AST) -> bool:
    """Whether a statement yields, apart from functions in it."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return False
    return isinstance(node, (ast.Yield, ast.YieldFrom)) or any(map(_yields, ast.iter_child_nodes(node)))


def _refuse(decorators: Sequence[ast.expr], name: str) -> None:
    for decorator in decorators:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        last = ast.unparse(called).rpartition(".")[2]
        if last in _UNSUPPORTED:
            raise ValueError(f"unittests: {name} is decorated with {last}, which is not supported: leave the test out")


def _product(node: _Function | ast.ClassDef, name: str, lists: Mapping[str, ast.expr]) -> int:
    """The product of the lengths of all lists that a function or class is parametrized with."""
    counts = []
    for decorator in node.decorator_list:
        if not isinstance(decorator, ast.Call) or not ast.unparse(decorator.func).endswith("mark.parametrize"):
            continue
        given = [*decorator.args[1:2], *(word.value for word in decorator.keywords if word.arg == "argvalues")]
        values = given[0] if given else None
        values = lists.get(values.id) if isinstance(values, ast.Name) else values
        if not isinstance(values, (ast.List, ast.Tuple)) or any(isinstance(v, ast.Starred) for v in values.elts):
            raise ValueError(
                f"unittests: {name}: parametrize needs a list that is written out, since the number of tests must be "
                "known before any runs"
            )
        if not values.elts:
            raise ValueError(f"unittests: {name} is parametrized with an empty list, so it tests nothing")
        counts.append(len(values.elts))
    return math.prod(counts)
