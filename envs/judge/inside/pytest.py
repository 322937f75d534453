"""Stands for pytest in the child of tests, which has none: `raises`, `approx`, `fail`, `fixture`, `param` and
`mark.parametrize`, as pytest 8 documents them. Whatever else a test asks for is an AttributeError that says so.

It also runs the tests that `envs.judge.unittests` has found in a module, one by one.
"""

from __future__ import annotations

import math
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

SUPPORTED = ("approx", "fail", "fixture", "mark.parametrize", "param", "raises")
"""The names of pytest's that tests may use."""
_REL, _ABS = 1e-6, 1e-12  # pytest's own defaults


def __getattr__(name: str) -> Any:
    raise AttributeError(f"pytest.{name} is not supported here; tests may use {', '.join(SUPPORTED)}")


def fail(reason: str = "", pytrace: bool = True) -> NoReturn:
    """Fail the test."""
    raise AssertionError(reason)


class _Raised:
    """What `raises` gives: the exception, once the block has ended."""

    value: Any = None

    @property
    def type(self) -> type[BaseException]:
        """The class of the exception."""
        return type(self.value)

    def match(self, pattern: str) -> bool:
        """Fail unless the pattern is found in the exception's text."""
        if not re.search(pattern, str(self.value)):
            raise AssertionError(f"{pattern!r} does not match {str(self.value)!r}")
        return True


class _Raises:
    """The block that must raise."""

    def __init__(self, expected: Any, match: str | None) -> None:
        self._expected, self._match, self._raised = expected, match, _Raised()

    def __enter__(self) -> _Raised:
        return self._raised

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if kind is None:
            raise AssertionError(f"DID NOT RAISE {self._expected}")
        if not issubclass(kind, self._expected):
            return False
        self._raised.value = error
        return self._match is None or self._raised.match(self._match)


def raises(expected: Any, *call: Any, match: str | None = None, **kwargs: Any) -> Any:
    """A block that must raise one of these exceptions, with a text that `match` is found in; or, with a function and
    its arguments behind the exceptions, such a call.
    """
    block = _Raises(expected, match)
    if not call:
        return block
    with block as raised:
        call[0](*call[1:], **kwargs)
    return raised


class approx:  # noqa: N801  # pytest's name
    """Equals numbers within `max(rel * abs(expected), abs)`, and lists, tuples and dicts of such numbers."""

    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None

    def __init__(self, expected: Any, rel: float | None = None, abs: float | None = None, nan_ok: bool = False):
        nested = expected.values() if isinstance(expected, Mapping) else expected
        if isinstance(expected, (Mapping, list, tuple)) and any(isinstance(v, (Mapping, list, tuple)) for v in nested):
            raise TypeError(f"pytest.approx() does not support nested data structures: {expected!r}")
        self._expected, self._rel, self._abs, self._nan_ok = expected, rel, abs, nan_ok

    def __eq__(self, actual: object) -> bool:
        expected = self._expected
        if isinstance(expected, Mapping):
            return (
                isinstance(actual, Mapping)
                and actual.keys() == expected.keys()
                and all(self._close(expected[key], actual[key]) for key in expected)
            )
        if isinstance(expected, (list, tuple)):
            return (
                isinstance(actual, Sequence)
                and not isinstance(actual, str)
                and len(actual) == len(expected)
                and all(map(self._close, expected, actual))
            )
        return self._close(expected, actual)

    def _close(self, expected: Any, actual: Any) -> bool:
        if isinstance(expected, bool) and not isinstance(actual, bool):
            return False
        if actual == expected:
            return True
        try:
            if expected != expected or actual != actual:
                return self._nan_ok and expected != expected and actual != actual
            if math.isinf(abs(expected)) or math.isinf(abs(actual)):
                return False
            rel = _REL if self._rel is None and self._abs is None else self._rel or 0.0
            tolerance = max(rel * abs(expected), _ABS if self._abs is None else self._abs)
            return bool(abs(expected - actual) <= tolerance)
        except (TypeError, ArithmeticError):  # no numbers, or an int that no float reaches
            return False

    def __repr__(self) -> str:
        return f"approx({self._expected!r})"


class _Param(NamedTuple):
    values: tuple[Any, ...]


def param(*values: Any, id: str | None = None) -> _Param:
    """The values of one case of `parametrize`; `marks=` is a TypeError."""
    return _Param(values)


class _Mark:
    """`pytest.mark`: `parametrize`, and names that mean nothing here."""

    def parametrize(self, names: Any, values: Sequence[Any], ids: Any = None) -> Callable[[Any], Any]:
        """Remember the cases of a test function or of a class of tests."""
        given = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        cases = [dict(zip(given, _values(value, len(given), isinstance(names, str)), strict=True)) for value in values]

        def decorate(function: Any) -> Any:
            function.__cases__ = [*getattr(function, "__cases__", []), cases]
            return function

        return decorate

    def __getattr__(self, name: str) -> Any:
        def decorate(*args: Any, **kwargs: Any) -> Any:
            return args[0] if len(args) == 1 and callable(args[0]) and not kwargs else decorate

        return decorate


def _values(value: Any, count: int, is_text: bool) -> Sequence[Any]:
    if isinstance(value, _Param):
        return value.values
    return [value] if count == 1 and is_text else value


mark = _Mark()


def fixture(function: Any = None, **options: Any) -> Any:
    """Mark a function whose value tests get as an argument of its name, made anew for each test."""
    if options.keys() - {"scope"}:
        raise TypeError(f"pytest.fixture here takes no options but scope, got {', '.join(options)}")
    if function is None:
        return fixture
    function.__is_fixture__ = True
    return function


def run_case(module: Mapping[str, Any], name: str, case: int = 0) -> None:
    """Run one test of a module: a function, or a method `Class.method`, with the numbered one of its cases."""
    owner, _, method = name.rpartition(".")
    if "setUpModule" in module:
        module["setUpModule"]()
    if not owner:
        _called(module, module[name], module[name], None, case)
        return
    kind = module[owner]
    unittest = sys.modules.get("unittest")
    if unittest is not None and issubclass(kind, unittest.TestCase):
        kind.setUpClass()
        kind(method).debug()
        kind.tearDownClass()
        return
    getattr(kind, "setup_class", lambda: None)()
    instance = kind()
    bound = getattr(instance, method)
    getattr(instance, "setup_method", lambda: None)()
    _called(module, bound, getattr(kind, method), instance, case, getattr(kind, "__cases__", []))
    getattr(instance, "teardown_method", lambda: None)()


def _called(
    module: Mapping[str, Any], bound: Any, function: Any, instance: object, case: int, of_class: Sequence[Any] = ()
) -> None:
    """Call a test with the values of its case and of its fixtures; then let these end."""
    made: dict[str, Any] = {}
    for cases in (*getattr(function, "__cases__", ()), *of_class):
        case, number = divmod(case, len(cases))
        made |= cases[number]
    if case:
        raise AssertionError(f"{function.__name__} has fewer cases than were found in its source")
    endings: list[Any] = []
    names = _parameters(function)[instance is not None :]
    result = bound(**{name: _made(module, name, made, endings) for name in names})
    if result is not None:
        raise AssertionError(f"{function.__name__} returned a {type(result).__name__}; a test must assert")
    for ending in reversed(endings):
        next(ending, None)


def _parameters(function: Any) -> tuple[str, ...]:
    """The names of the arguments of a function that have no default."""
    code = function.__code__
    return code.co_varnames[: code.co_argcount - len(function.__defaults__ or ())]


def _made(module: Mapping[str, Any], name: str, made: dict[str, Any], endings: list[Any]) -> Any:
    """The value of an argument: of the case, or of a fixture, whose own arguments are fixtures too."""
    if name not in made:
        function = module.get(name)
        if not getattr(function, "__is_fixture__", False):
            raise LookupError(f"the fixture {name!r} is not defined in the tests; pytest's own are not supported")
        value = function(**{other: _made(module, other, made, endings) for other in _parameters(function)})  # type: ignore[misc]
        if isinstance(value, types.GeneratorType):
            endings.append(value)
            value = next(value)
        made[name] = value
    return made[name]
