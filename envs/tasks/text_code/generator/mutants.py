"""Mutants: programs that differ from a correct one by a single small change of the kind that programmers make.

The quality of tests is the fraction of mutants that they catch (DeMillo, Lipton & Sayward 1978, "Hints on test data
selection", Computer 11:34-41). Nothing is executed here.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

#: The replacements of each operator.
_BINARY: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add, ast.Mult),
    ast.Mult: (ast.Add, ast.Sub),
    ast.Div: (ast.FloorDiv, ast.Mult),
    ast.FloorDiv: (ast.Mod, ast.Mult),
    ast.Mod: (ast.FloorDiv, ast.Mult),
    ast.Pow: (ast.Mult,),
}
_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq, ast.GtE),
    ast.NotEq: (ast.Eq, ast.LtE),
}


def mutants(program: str) -> list[str]:
    """All mutants of a program, each once, in a fixed order.

    The changes: other constants (by one; the empty string), other operators, swapped or missing operands, other and
    negated comparisons, another argument's name, a missing index, method or call, an early return, a branch that is
    missing or always taken, a missing step. Some mutants are equivalent to the program.

    >>> for mutant in mutants("def f(x, y):\\n    return x - 2"):
    ...     print(mutant.partition("return ")[2])
    2 - x
    x
    2
    x + 2
    x * 2
    y - 2
    x - 3
    x - 1
    """
    tree = ast.parse(program)
    found = dict.fromkeys(_mutants(tree))
    found.pop(ast.unparse(tree), None)
    return list(found)


def first_mutant(program: str) -> str:
    """The first mutant of a program without its docstrings; the program itself if it has no mutant."""
    tree = ast.parse(program)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef)
            and len(node.body) > 1
            and ast.get_docstring(node, clean=False) is not None
        ):
            del node.body[0]
    right = ast.unparse(tree)
    return next((mutant for mutant in _mutants(tree) if mutant != right), program)


def _mutants(tree: ast.Module) -> Iterator[str]:
    for number, node in enumerate(ast.walk(tree)):
        for change in _changes(node, tree):
            twin = copy.deepcopy(tree)
            target = next(other for place, other in enumerate(ast.walk(twin)) if place == number)
            _put(twin, target, change(target))
            yield ast.unparse(ast.fix_missing_locations(twin))


#: A change replaces a node of the copied tree by another node, or by several statements.
Change = Callable[..., "ast.AST | list[ast.stmt]"]


def _changes(node: ast.AST, tree: ast.Module) -> Iterator[Change]:
    """The possible changes of a node."""
    if isinstance(node, ast.BinOp):
        yield lambda it: ast.BinOp(it.right, it.op, it.left)
        yield lambda it: it.left
        yield lambda it: it.right
        for sign in _BINARY.get(type(node.op), ()):
            yield _with(op=sign())
    elif isinstance(node, ast.AugAssign):
        for sign in _BINARY.get(type(node.op), ()):
            yield _with(op=sign())
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for compared in _COMPARED.get(type(node.ops[0]), ()):
            yield _with(ops=[compared()])
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        for function in tree.body:
            if isinstance(function, ast.FunctionDef):
                names = [argument.arg for argument in function.args.args]
                yield from (_with(id=other) for other in names if node.id in names and other != node.id)
    elif isinstance(node, ast.Subscript):
        yield lambda it: it.value
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, (ast.BinOp, ast.Name, ast.Subscript)):
            yield lambda it: it.func.value
        elif len(node.args) == 1 and isinstance(node.func, ast.Name):
            yield lambda it: it.args[0]
    elif isinstance(node, ast.If):
        yield lambda it: it.body
        yield lambda it: it.orelse or ast.Pass()
        yield lambda it: ast.If(ast.UnaryOp(ast.Not(), it.test), it.body, it.orelse)
    elif isinstance(node, (ast.For, ast.While)):
        last = tree.body[-1]
        if isinstance(last, ast.FunctionDef) and isinstance(last.body[-1], ast.Return):
            result = last.body[-1]
            yield lambda it: type(it)(**{**dict(ast.iter_fields(it)), "body": [*it.body, copy.deepcopy(result)]})
    if isinstance(node, (ast.AugAssign, ast.Expr)):
        yield lambda it: ast.Pass()


def _constants(node: ast.Constant) -> Iterator[Change]:
    if isinstance(node.value, bool):
        yield _with(value=not node.value)
    elif isinstance(node.value, (int, float)):
        yield _with(value=node.value + 1)
        yield _with(value=node.value - 1)
    elif isinstance(node.value, str) and node.value:
        yield _with(value="")


def _with(**fields: object) -> Change:
    """A change of some fields of a node."""
    return lambda it: type(it)(**{**dict(ast.iter_fields(it)), **fields})


def _put(tree: ast.AST, target: ast.AST, new: ast.AST | list[ast.stmt]) -> None:
    """Replace a node of a tree."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, new)
                return
            if isinstance(value, list) and any(item is target for item in value):
                at = next(place for place, item in enumerate(value) if item is target)
                value[at : at + 1] = new if isinstance(new, list) else [new]
                return
