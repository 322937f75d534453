"""Tests of data sets as the judge runs them: assert code, examples in docstrings, and lists of inputs and results.

An `assert f(2) == 4` whose arguments and value are constants becomes a call with an expected value, and so does a whole
suite of them. Whatever asks for more (`abs(f(x) - y) < 1e-6`, `assert f(x)`, loops) stays assert code: calls with a
tolerance, or compared with True, would be similar and not the same.
"""

from __future__ import annotations

import ast
import builtins
import doctest
import operator
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

#: What a power or a repetition in test code may come to, in digits or items.
LARGEST = 100_000

_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_SIGNS: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_MAKERS: Mapping[str, Callable[..., Any]] = {
    "set": set, "frozenset": frozenset, "tuple": tuple, "list": list, "dict": dict, "float": float
}  # fmt: skip
_NAMES = {"inf": float("inf"), "nan": float("nan")}


class Call(NamedTuple):
    """A call of the entry with constants, and what it must return."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    expected: Any


class CodeTest(NamedTuple):
    """One test."""

    source: str
    """Assert code that calls the entry by its name."""
    called: str
    """What the entry is called with, to tell by whether a test is shown; "" where that is not constant."""
    call: Call | None = None
    """The same test as a call, where it is one."""


def parse(source: str) -> ast.Module:
    """The syntax tree of trusted test code.

    Raises:
        ValueError: it is not Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes, `is` with a literal
            return ast.parse(source)
    except SyntaxError as error:
        raise ValueError(f"not Python: {error.msg} in line {error.lineno}") from error


def constant(node: ast.expr) -> Any:
    """The value of an expression of literals, arithmetic, and calls like `set([1, 2])` and `float("inf")`.

    Raises:
        ValueError: it is anything else.
    """
    try:
        return _constant(node)
    except (TypeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"no constant: {error}") from error


def _constant(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and node.value is not ...:
        return node.value
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        items = [_constant(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items) if isinstance(node, ast.Tuple) else set(items)
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = [_constant(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_constant, node.values), strict=True))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _SIGNS:
        return _SIGNS[type(node.op)](_constant(node.operand))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _operated(type(node.op), _constant(node.left), _constant(node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MAKERS and not node.keywords:
        return _MAKERS[node.func.id](*map(_constant, node.args))
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return _NAMES[node.id]
    if isinstance(node, ast.Attribute) and ast.unparse(node) in ("math.inf", "math.nan"):
        return _NAMES[node.attr]
    raise ValueError(f"no constant: {ast.unparse(node)[:80]}")


def _operated(kind: type[ast.operator], left: Any, right: Any) -> Any:
    """The value of an operation, where it is not too large."""
    if kind is ast.Pow and not (abs(right) < 1_000 and abs(left) < 10**50):
        raise ValueError("no constant: the power is too large")
    if kind is ast.Mod and isinstance(left, str):
        raise ValueError("no constant: formatted text")
    if kind is ast.Mult:
        for sequence, times in ((left, right), (right, left)):
            if isinstance(sequence, (str, bytes, list, tuple)) and len(sequence) * times > LARGEST:
                raise ValueError("no constant: the sequence is too long")
    return _OPERATIONS[kind](left, right)


def arguments_of(node: ast.expr, entry: str) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The arguments of a call of the entry with constants; None for anything else."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != entry:
        return None
    if any(keyword.arg is None for keyword in node.keywords):
        return None
    try:
        return tuple(map(constant, node.args)), {str(k.arg): constant(k.value) for k in node.keywords}
    except ValueError:
        return None


def call_test(entry: str, args: tuple[Any, ...], kwargs: dict[str, Any], expected: Any) -> CodeTest:
    """A test that is a call."""
    written = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])
    return CodeTest(f"assert {entry}({written}) == {expected!r}", repr((args, kwargs)), Call(args, kwargs, expected))


def assert_test(node: ast.stmt, entry: str) -> CodeTest:
    """A statement as a test: a call where it is just that, otherwise its code."""
    if not isinstance(node, ast.Assert):
        return CodeTest(ast.unparse(node), "")
    bare = ast.Assert(node.test, None)  # messages may call the entry once more
    inner = next(
        (found for part in ast.walk(node.test) if isinstance(part, ast.expr) and (found := arguments_of(part, entry))),
        None,
    )
    test = CodeTest(ast.unparse(bare), repr(inner) if inner else "")
    equation = equation_of(node)
    if equation is None:
        return test
    arguments = arguments_of(equation[0], entry)
    return test if arguments is None else test._replace(call=Call(*arguments, equation[1]))


def equation_of(node: ast.stmt) -> tuple[ast.expr, Any] | None:
    """The expression and the value of `assert expression == constant`, either way round, or of `is None`."""
    if not isinstance(node, ast.Assert) or not isinstance(node.test, ast.Compare) or len(node.test.ops) != 1:
        return None
    left, right, sign = node.test.left, node.test.comparators[0], node.test.ops[0]
    if isinstance(sign, ast.Is) and not (isinstance(right, ast.Constant) and right.value is None):
        return None
    if not isinstance(sign, (ast.Eq, ast.Is)):
        return None
    for expression, value in ((left, right), (right, left)):
        try:
            return expression, constant(value)
        except ValueError:
            continue
    return None


def block_tests(body: Sequence[ast.stmt], entry: str) -> list[CodeTest]:
    """The tests in a sequence of statements.

    Each statement that asserts is one, behind the other statements before it whose names it needs. What asserts
    constants, and expressions that do nothing, are left out.
    """
    context: list[ast.stmt] = []
    tests = []
    for node in body:
        if not any(isinstance(part, ast.Assert) for part in ast.walk(node)):
            if not isinstance(node, (ast.Pass, ast.Expr)) or isinstance(getattr(node, "value", None), ast.Call):
                context.append(node)
            continue
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant) and node.test.value:
            continue
        test = assert_test(node, entry)
        if used_names([node]) & bound_names(context):
            test = CodeTest("\n".join([*map(ast.unparse, context), test.source]), test.called)
        tests.append(test)
    return tests


def check_tests(
    source: str, entry: str, examples: Sequence[CodeTest] = (), preamble: str = ""
) -> tuple[list[CodeTest], str]:
    """The tests of HumanEval's `check(candidate)`, and a set-up for them and for examples.

    The code around `check` is the set-up, without METADATA and with the prompt's own helpers where tests use them.

    Raises:
        ValueError: there is no `check`, or nothing is asserted in it.
    """
    module = parse(source)
    check = next((node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "check"), None)
    if check is None or not check.args.args:
        raise ValueError("no function check(candidate) is defined")
    candidate = {check.args.args[0].arg: entry}
    tests = block_tests([rename(node, candidate) for node in check.body], entry)
    if not tests:
        raise ValueError("check asserts nothing")
    around = [node for node in module.body if node is not check and not _is_noise(node)]
    return tests, set_up(around, [*tests, *examples], preamble)


def _is_noise(node: ast.stmt) -> bool:
    """Whether a statement beside `check` is METADATA, text, or the call of `check`."""
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == "METADATA" for target in node.targets)
    return isinstance(node, ast.Expr)


def set_up(statements: Sequence[ast.stmt], tests: Iterable[CodeTest], preamble: str = "") -> str:
    """The set-up of tests: statements; the preamble where tests use it; modules of the standard library they name."""
    code = [parse(test.source) for test in tests if test.call is None]
    used = used_names([*code, *statements])
    own = parse(preamble).body if used & bound_names(parse(preamble).body) else []
    unbound = used - bound_names([*own, *statements, *code])
    modules = sorted(name for name in unbound if name in sys.stdlib_module_names and not hasattr(builtins, name))
    imports = [
        *(f"import {name}" for name in modules),
        *(f"from math import {name}" for name in _NAMES if name in unbound),
    ]
    return "\n".join([*imports, *map(ast.unparse, [*own, *statements])])


class _Renaming(ast.NodeTransformer):
    """Gives names other names."""

    def __init__(self, names: Mapping[str, str]):
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Rename one; ast finds this method by its name."""
        return ast.copy_location(ast.Name(self._names.get(node.id, node.id), node.ctx), node)


def rename(node: ast.stmt, names: Mapping[str, str]) -> ast.stmt:
    """The statement with other names in it."""
    return cast(ast.stmt, _Renaming(names).visit(node))


def used_names(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that code reads."""
    return {
        part.id
        for node in nodes
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
    }


def bound_names(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that code binds, wherever in it."""
    names = set()
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                names.add(part.id)
            elif isinstance(part, (ast.FunctionDef, ast.ClassDef)):
                names.add(part.name)
            elif isinstance(part, ast.alias):
                names.add(part.asname or part.name.partition(".")[0])
    return names


def example_tests(text: str, entry: str) -> list[CodeTest]:
    """The examples (`>>> f(2)` and the value below) of a docstring; those whose value is no constant are left out."""
    try:
        examples = doctest.DocTestParser().get_examples(text)
    except ValueError:  # odd indentation: no examples in the sense of doctest
        return []
    tests = []
    for example in examples:
        wanted = f" == ({example.want.strip()}\n)" if example.want.strip() else ""  # or the example is an equation
        try:
            [node] = parse(f"assert ({example.source.strip()}\n){wanted}").body
        except ValueError:
            continue
        if equation_of(node) is not None and entry in used_names([node]):
            tests.append(assert_test(node, entry))
    return tests
