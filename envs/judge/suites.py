"""Suites: what a program is tested with. Made by `calls`, `asserts` and `stdio`, which check what they are given.

Values are kept as text (see `inside/wire.py`), so that a suite is immutable, compared and hashed by content, pickled
cheaply, and safe from whoever changes a list after having passed it.
"""

from __future__ import annotations

import ast
import json
import keyword
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from textmdp.envs.judge.inside.wire import EncodingError, encode
from textmdp.envs.judge.outputs import Comparison, Named

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
        check: what is compared: "result", "argument N", or "operations", see `calls` and `operations`.
        preamble: Python source that runs before the program, in its module.
    """

    entry: str
    inputs: tuple[str, ...]
    expected: tuple[str, ...]
    tolerance: float | None = None
    check: str = "result"
    preamble: str = ""

    def __len__(self) -> int:
        return len(self.inputs)

    def program_payload(self, program: str, limit: int, first: int = 0, count: int | None = None) -> str:
        """The payload of mode `calls` for `count` inputs from `first` on; `limit`: the most bytes of a result."""
        inputs = self.inputs[first : None if count is None else first + count]
        return "\n".join([json.dumps([self.entry, program, len(inputs), limit, self.check, self.preamble]), *inputs])


@dataclass(frozen=True, slots=True)
class Asserts:
    """Assert statements run against the function `entry`, each test on its own after `setup`.

    Attributes:
        entry: the name of the function, by which setup and tests call it.
        tests: Python sources; a test is passed when it raises nothing.
        setup: Python source that runs before them.
        others: names of more functions under test.
        module: the name of a module that the tests may import these from; "" for none.
        preamble: Python source that runs before the program, in its module.
    """

    entry: str
    tests: tuple[str, ...]
    setup: str = ""
    others: tuple[str, ...] = ()
    module: str = ""
    preamble: str = ""

    def __len__(self) -> int:
        return len(self.tests)

    def program_payload(self, program: str, limit: int) -> str:
        """The payload of mode `served`; `limit`: the most bytes of a result."""
        return json.dumps([[self.entry, *self.others], program, limit, self.preamble])

    def tests_payload(self, limit: int, first: int, count: int) -> str:
        """The payload of mode `tests` for `count` tests from `first` on."""
        tests = self.tests[first : first + count]
        return json.dumps([[self.entry, *self.others], self.setup, tests, limit, self.module])


@dataclass(frozen=True, slots=True)
class Stdio:
    """The program is run once for each case: it reads the text `stdin` and must print the text `expected`.

    Attributes:
        stdin: for each case, what the program reads.
        expected: for each case, what it must print.
        compare: "lines", "exact", "tokens", or a function, see `stdio`.
        tolerance: of numbers among the tokens; None compares their texts.
        preamble: Python source that runs before the program, in its module.
    """

    stdin: tuple[str, ...]
    expected: tuple[str, ...]
    compare: Comparison = "lines"
    tolerance: float | None = None
    preamble: str = ""

    def __len__(self) -> int:
        return len(self.stdin)

    def program_payload(self, program: str) -> str:
        """The payload of mode `stdio`."""
        return json.dumps([program, self.preamble])


Suite = Calls | Asserts | Stdio


def calls(
    entry: str,
    inputs: Sequence[tuple[Sequence[Any], Mapping[str, Any]]],
    expected: Sequence[Any],
    tolerance: float | None = None,
    *,
    check: str = "result",
    preamble: str = "",
) -> Calls:
    """A suite of calls: `calls("add", [((1, 2), {}), ((1,), {"y": 2})], expected=[3, 3])`.

    Args:
        entry: the name of the function under test.
        inputs: for each test, a pair of positional and keyword arguments, all plain data.
        expected: for each test, what must be returned: plain data, compared as Python's `==` does. What a program
            returns is reduced to plain data first (a namedtuple is a tuple, a Counter a dict); an iterator, NaN and
            whatever is not plain data equal nothing.
        tolerance: of expected floats, see `claims.matches`; None compares exactly.
        check: "result" compares what is returned; "argument 0" the first positional argument as the call has left it,
            and "argument nums" the one of that name, for functions that work in place.
        preamble: Python source that runs before the program, in its module, such as `preambles.LEETCODE`.

    Raises:
        ValueError, TypeError: where the arguments break a rule; the message names the test, the value and the rule.
    """
    check_entry(entry)
    check_preamble(preamble)
    if not isinstance(check, str) or not re.fullmatch(r"result|argument \w+", check):
        raise ValueError(f'calls: check must be "result", "argument 0" or "argument name", got {_short(check)}')
    if isinstance(inputs, str) or isinstance(expected, str):
        raise TypeError("calls: inputs and expected must be lists with one item for each test, not a string")
    if len(inputs) != len(expected):
        raise ValueError(f"calls: {len(inputs)} inputs but {len(expected)} expected values; a test needs one of both")
    if not inputs:
        raise ValueError("calls: an empty suite tests nothing; give at least one call")
    given_tolerance = _tolerance("calls", tolerance)
    lines = []
    for number, item in enumerate(inputs):
        if not isinstance(item, tuple) or len(item) != 2 or not isinstance(item[0], (tuple, list)):
            raise TypeError(f"calls: test {number}: an input must be a pair ((args…), {{kwargs}}), got {_short(item)}")
        args, kwargs = item
        if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
            raise TypeError(f"calls: test {number}: keyword arguments must be a dict by name, got {_short(kwargs)}")
        if check != "result" and not _has_argument(check.removeprefix("argument "), args, kwargs):
            raise ValueError(f"calls: test {number}: check={check!r}, but the input has no such argument")
        lines.append(_line([tuple(args), dict(kwargs)], f"test {number}: an argument"))
    return Calls(
        entry,
        tuple(lines),
        tuple(_line(value, f"test {number}: the expected value") for number, value in enumerate(expected)),
        given_tolerance,
        check,
        preamble,
    )


def operations(
    tests: Sequence[tuple[Sequence[str], Sequence[Sequence[Any]]]],
    expected: Sequence[Sequence[Any]],
    tolerance: float | None = None,
    *,
    preamble: str = "",
) -> Calls:
    """A suite of lists of operations on a class, as LeetCode writes them for its design problems.

    `operations([(["LRUCache", "put", "get"], [[2], [1, 1], [1]])], expected=[[None, None, 1]])` makes an object of the
    program's class `LRUCache` with the arguments `2` and calls `put(1, 1)` and `get(1)`. A test is a whole list: all
    its results must be right. A result is what it was when the operation had ended, whatever later ones make of it.

    Args:
        tests: for each test, a pair: the names of the operations, the class first, and the arguments of each.
        expected: for each test, the result of each operation, None for the first.
        tolerance, preamble: as in `calls`.

    Raises:
        ValueError, TypeError: where the arguments break a rule; the message names the test, the value and the rule.
    """
    inputs: list[tuple[Sequence[Any], Mapping[str, Any]]] = []
    for number, test in enumerate(tests):
        if not isinstance(test, (tuple, list)) or len(test) != 2 or isinstance(test[0], str):
            raise TypeError(
                f"operations: test {number}: a test must be a pair (names, arguments of each), got {_short(test)}"
            )
        names, arguments = list(test[0]), [list(given) for given in test[1]]
        for name in names:
            check_entry(name)
        if not names or len(names) != len(arguments) or names[0] != tests[0][0][0]:
            raise ValueError(
                f"operations: test {number}: there must be arguments for each of the names, and the first name must be "
                f"the same class in all tests; got {len(names)} names and {len(arguments)} lists of arguments"
            )
        inputs.append(((names, arguments), {}))
    for number, (test, results) in enumerate(zip(tests, expected, strict=False)):
        if isinstance(results, str) or len(results) != len(test[0]):
            raise ValueError(f"operations: test {number}: {len(test[0])} operations need as many expected results")
    made = calls(tests[0][0][0] if tests else "none", inputs, [list(results) for results in expected], tolerance)
    check_preamble(preamble)
    return replace(made, check="operations", preamble=preamble)


def asserts(entry: str, tests: Sequence[str], setup: str = "", *, preamble: str = "") -> Asserts:
    """A suite of assert statements: `asserts("add", ["assert add(1, 2) == 3"])`, or a `check` of HumanEval's kind.

    They run apart from the program, on plain data: its functions return what `calls` would compare, iterators as
    iterators. A result that holds NaN or an infinity (as a float, complex, Decimal, or a text that `float` reads so) is
    an error unless the sources name it (the words "nan", "inf" and the like), since it slips through checks such as
    `if abs(f(2) - y) > 1e-6: fail()`. Tests may fail by `assert`, by `raise`, by the methods of a
    `unittest.TestCase`, and by `pytest.raises`; whole modules of such tests are for `unittests`.

    Args:
        entry: the name of the function under test.
        tests: Python sources of one or more statements each.
        setup: Python source that runs before each of them: imports, helpers.
        preamble: as in `calls`.

    Raises:
        ValueError, TypeError: where a source can't be parsed, is empty, or might run a result as code.
    """
    check_entry(entry)
    if isinstance(tests, str):
        raise TypeError("asserts: tests must be a list of sources, not one string")
    if not tests:
        raise ValueError("asserts: an empty suite tests nothing; give at least one test")
    asserted = check_source(setup, "setup")
    for number, test in enumerate(tests):
        asserted |= check_source(test, f"test {number}", may_be_empty=False)
    if not asserted:
        raise ValueError(
            "asserts: neither the tests nor the setup hold an assert or raise statement, or call anything like "
            "assertEqual, fail or pytest.raises, so anything would pass"
        )
    check_preamble(preamble)
    return Asserts(entry, tuple(tests), setup, preamble=preamble)


def stdio(
    stdin: str | Sequence[str],
    expected: str | Sequence[str],
    *,
    compare: Comparison = "lines",
    tolerance: float | None = None,
    preamble: str = "",
) -> Stdio:
    r"""A suite for a program that reads standard input: `stdio("3 4\n", "7\n")`, or two equally long lists of texts.

    Args:
        stdin: for each case, what the program reads.
        expected: for each case, what it must print.
        compare: what counts as the same output. "lines": blanks at the ends of lines and line breaks at the end don't
            count. "exact": every character counts. "tokens": the same words, whatever white space is in between. A
            function `(stdin, printed, expected) -> bool`, for problems with several right answers: it runs in your
            process, on its judge's thread, and gets whatever a program printed, so it must not trust that. An exception
            that it raises makes the test wrong and is the reason. Suites are hashed by it, so use one function for
            many suites rather than one for each.
        tolerance: for "tokens" (which it implies): two numbers match when `abs(printed - expected) <= tolerance *
            max(1, abs(expected))`, as in Codeforces' testlib; neither may be NaN or infinite.
        preamble: as in `calls`.

    Raises:
        ValueError, TypeError: where these are neither two strings nor two equally long lists of strings.
    """
    check_preamble(preamble)
    given_tolerance = _tolerance("stdio", tolerance)
    if given_tolerance is not None:
        if compare not in ("lines", "tokens"):
            raise ValueError(f'stdio: tolerance is for compare="tokens", which it implies; got compare={compare!r}')
        compare = "tokens"
    if not callable(compare) and compare not in get_args(Named):
        raise ValueError(f"stdio: compare must be a function or one of {get_args(Named)}, got {_short(compare)}")
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
    return Stdio(given, wanted, compare, given_tolerance, preamble)


def _tolerance(what: str, tolerance: float | None) -> float | None:
    if tolerance is None:
        return None
    if isinstance(tolerance, bool) or not math.isfinite(tolerance) or tolerance < 0:
        raise ValueError(f"{what}: tolerance must be a finite number >= 0 or None, got {tolerance!r}")
    return float(tolerance)


def _has_argument(which: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    return int(which) < len(args) if which.isdecimal() else which in kwargs


def check_preamble(preamble: object) -> None:
    """Raise ValueError or TypeError for what is no Python."""
    if not isinstance(preamble, str):
        raise TypeError(f"preamble must be Python source, got {_short(preamble)}")
    try:
        ast.parse(preamble)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"preamble: not Python: {getattr(error, 'msg', error)}") from None


def check_entry(entry: object) -> None:
    """Raise ValueError for what is no name of a function."""
    if not isinstance(entry, str) or not entry.isidentifier() or keyword.iskeyword(entry):
        raise ValueError(f"entry must be the name of a function, an identifier; got {_short(entry)}")


def _line(value: object, what: str) -> str:
    try:
        return encode(value, MAX_VALUE, strict=True)
    except EncodingError as error:
        raise ValueError(f"calls: {what} must be plain data: {error}; got {_short(value)}") from None


def check_source(source: object, what: str, *, may_be_empty: bool = True) -> bool:
    """Refuse a source that is no Python or might run results as code; whether it checks anything."""
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
        asserted |= _may_fail(node)
    return asserted


def _may_fail(node: ast.AST) -> bool:
    """Whether a node fails a test where a value is wrong: `assert`, `raise`, `self.assertEqual(…)`, `pytest.raises`."""
    if not isinstance(node, ast.Call):
        return isinstance(node, (ast.Assert, ast.Raise))
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name.startswith(("assert", "fail")) or name == "raises"


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python writes
        text = f"a {type(value).__name__} that holds an int of thousands of digits"
    return text if len(text) <= 100 else text[:97] + "…"
