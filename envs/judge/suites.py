"""Suites: what a program is tested with. Made by `calls`, `asserts` and `stdio`, which check what they are given.

Values are kept as text (see `inside/wire.py`), so that a suite is immutable, compared and hashed by content, pickled
cheaply, and safe from whoever changes a list after having passed it.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textmdp.envs.judge.inside.wire import EncodingError, encode

#: Characters of the longest argument list or expected value.
MAX_VALUE = 1 << 26

# Python refuses to read longer ones, in this process; the one that runs the tests reads them.
_LONG_NUMBER = re.compile(r"\d{4300,}")
# What could run or rebuild code out of a value that a hostile program returned.
_UNSAFE_NAMES = frozenset({"eval", "exec", "compile", "__import__"})
_UNSAFE_MODULES = frozenset({"builtins", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "pickle", "shelve"})


@dataclass(frozen=True, slots=True)
class Calls:
    """The function `entry` is called with each input, and what it returns is compared with the expected value.

    Attributes:
        entry: the name of the function.
        inputs: for each test, the line of `[args, kwargs]`: a tuple and a dict.
        expected: for each test, the line of what the function must return.
        tolerance: of expected floats, see `claims.matches`; None compares exactly.
    """

    entry: str
    inputs: tuple[str, ...]
    expected: tuple[str, ...]
    tolerance: float | None = None

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True, slots=True)
class Asserts:
    """Assert statements run against the function `entry`, each test on its own after `setup`.

    Attributes:
        entry: the name of the function, by which setup and tests call it.
        tests: Python sources; a test is passed when it raises nothing.
        setup: Python source that runs before them.
    """

    entry: str
    tests: tuple[str, ...]
    setup: str = ""

    def __len__(self) -> int:
        return len(self.tests)


@dataclass(frozen=True, slots=True)
class Stdio:
    """The program is run once for each case: it reads the text `stdin` and must print the text `expected`.

    Attributes:
        stdin: for each case, what the program reads.
        expected: for each case, what it must print; blanks at the ends of lines and line breaks at the end don't count.
    """

    stdin: tuple[str, ...]
    expected: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.stdin)


Suite = Calls | Asserts | Stdio


def calls(
    entry: str,
    inputs: Sequence[tuple[Sequence[Any], Mapping[str, Any]]],
    expected: Sequence[Any],
    tolerance: float | None = None,
) -> Calls:
    """A suite of calls: `calls("add", [((1, 2), {}), ((1,), {"y": 2})], expected=[3, 3])`.

    Args:
        entry: the name of the function under test.
        inputs: for each test, a pair of positional and keyword arguments, all plain data.
        expected: for each test, what must be returned: plain data, compared as Python's `==` does. What a program
            returns is reduced to plain data first (a namedtuple is a tuple, a Counter a dict); an iterator, NaN and
            whatever is not plain data equal nothing.
        tolerance: of expected floats, see `claims.matches`; None compares exactly.

    Raises:
        ValueError, TypeError: where the arguments break a rule; the message names the test, the value and the rule.
    """
    _check_entry(entry)
    if isinstance(inputs, str) or isinstance(expected, str):
        raise TypeError("calls: inputs and expected must be lists with one item for each test, not a string")
    if len(inputs) != len(expected):
        raise ValueError(f"calls: {len(inputs)} inputs but {len(expected)} expected values; a test needs one of both")
    if not inputs:
        raise ValueError("calls: an empty suite tests nothing; give at least one call")
    if tolerance is not None and (isinstance(tolerance, bool) or not math.isfinite(tolerance) or tolerance < 0):
        raise ValueError(f"calls: tolerance must be a finite number >= 0 or None, got {tolerance!r}")
    lines = []
    for number, item in enumerate(inputs):
        if not isinstance(item, tuple) or len(item) != 2 or not isinstance(item[0], (tuple, list)):
            raise TypeError(f"calls: test {number}: an input must be a pair ((args…), {{kwargs}}), got {_short(item)}")
        args, kwargs = item
        if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
            raise TypeError(f"calls: test {number}: keyword arguments must be a dict by name, got {_short(kwargs)}")
        lines.append(_line([tuple(args), dict(kwargs)], f"test {number}: an argument"))
    return Calls(
        entry,
        tuple(lines),
        tuple(_line(value, f"test {number}: the expected value") for number, value in enumerate(expected)),
        None if tolerance is None else float(tolerance),
    )


def asserts(entry: str, tests: Sequence[str], setup: str = "") -> Asserts:
    """A suite of assert statements: `asserts("add", ["assert add(1, 2) == 3"])`, or a `check` of HumanEval's kind.

    They run apart from the program, on plain data: its functions return what `calls` would compare, iterators as
    iterators. A result that holds NaN or an infinity is an error unless the sources name it ("nan", "inf"), since it
    slips through checks such as `if abs(f(2) - y) > 1e-6: fail()`.

    Args:
        entry: the name of the function under test.
        tests: Python sources of one or more statements each.
        setup: Python source that runs before each of them: imports, helpers.

    Raises:
        ValueError, TypeError: where a source can't be parsed, is empty, or might run a result as code.
    """
    _check_entry(entry)
    if isinstance(tests, str):
        raise TypeError("asserts: tests must be a list of sources, not one string")
    if not tests:
        raise ValueError("asserts: an empty suite tests nothing; give at least one test")
    asserted = _check_source(setup, "setup")
    for number, test in enumerate(tests):
        asserted |= _check_source(test, f"test {number}", may_be_empty=False)
    if not asserted:
        raise ValueError("asserts: neither the tests nor the setup hold an assert statement, so anything would pass")
    return Asserts(entry, tuple(tests), setup)


def stdio(stdin: str | Sequence[str], expected: str | Sequence[str]) -> Stdio:
    r"""A suite for a program that reads standard input: `stdio("3 4\n", "7\n")`, or two equally long lists of texts.

    Raises:
        ValueError, TypeError: where these are neither two strings nor two equally long lists of strings.
    """
    if isinstance(stdin, str) != isinstance(expected, str):
        raise TypeError("stdio: stdin and expected must be two strings or two lists of strings, not one of each")
    given: tuple[str, ...] = (stdin,) if isinstance(stdin, str) else tuple(stdin)
    wanted: tuple[str, ...] = (expected,) if isinstance(expected, str) else tuple(expected)
    if len(given) != len(wanted):
        raise ValueError(f"stdio: {len(given)} inputs but {len(wanted)} expected outputs; each case needs one of both")
    if not given:
        raise ValueError("stdio: an empty suite tests nothing; give at least one case")
    for name, texts in (("stdin", given), ("expected", wanted)):
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"stdio: case {number}: {name} must be a string, got {_short(text)}")
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise ValueError(f"stdio: case {number}: {name} has no UTF-8: {error}") from None
    return Stdio(given, wanted)


def _check_entry(entry: object) -> None:
    if not isinstance(entry, str) or not entry.isidentifier() or keyword.iskeyword(entry):
        raise ValueError(f"entry must be the name of a function, an identifier; got {_short(entry)}")


def _line(value: object, what: str) -> str:
    try:
        return encode(value, MAX_VALUE, strict=True)
    except EncodingError as error:
        raise ValueError(f"calls: {what} must be plain data: {error}; got {_short(value)}") from None


def _check_source(source: object, what: str, *, may_be_empty: bool = True) -> bool:
    """Refuse a source that is no Python or might run results as code; whether it asserts anything."""
    if not isinstance(source, str):
        raise TypeError(f"asserts: {what} must be Python source, got {_short(source)}")
    try:
        tree = ast.parse(_LONG_NUMBER.sub("1", source))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        raise ValueError(f"asserts: {what}{where}: not Python: {getattr(error, 'msg', error)}") from None
    if not tree.body and not may_be_empty:
        raise ValueError(f"asserts: {what} is empty: {_short(source)}; a test needs at least one statement")
    asserted = False
    for node in ast.walk(tree):
        unsafe = None
        if isinstance(node, ast.Name) and node.id in _UNSAFE_NAMES:
            unsafe = node.id
        elif isinstance(node, ast.Import):
            unsafe = next((name.name for name in node.names if name.name.split(".")[0] in _UNSAFE_MODULES), None)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _UNSAFE_MODULES:
            unsafe = node.module
        if unsafe is not None:
            line = getattr(node, "lineno", 0)
            raise ValueError(
                f"asserts: {what}, line {line}: uses {unsafe}, which could run what a program returned as code; "
                "write the expected values out"
            )
        asserted |= isinstance(node, ast.Assert)
    return asserted


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python writes
        text = f"a {type(value).__name__} that holds an int of thousands of digits"
    return text if len(text) <= 100 else text[:97] + "…"
