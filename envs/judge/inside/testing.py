"""In the second child of a grading: assert tests against a function that lives in the child of the program.

The tests are trusted, the values that come over the link are not. They are plain data that `wire` builds, so no method
of the program ever runs here; and what the program's process can touch is its end of the link alone. A line for each
test goes to the judge, over a socket that the program's child never holds:

    passed
    failed ["Type", "message", "Base"]
    lost                         the program ended, or sent what is no reply, in the middle of this test
    output                       it sent too much
"""

import builtins
import copy
import functools
import json
import math
import os
import re
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from . import pytest, wire
from .programs import describe, execute, new_module, read_all, send

REPLY = 1 << 16
"""Bytes of a reply besides the value that a call returned: an exception's message, at the most."""
#: Raised by a call, these would end a loop of the tests (`all(map(f, …))`) as if all were well.
_ENDINGS = (StopIteration, StopAsyncIteration)


_LONGEST_NAME = 40  # characters of a text that is looked at as a number, blanks included
_NON_FINITE = re.compile(r"[+-]?(nan|inf)(?:inity)?")
_WORDS = re.compile(r"[a-z]+")
#: The words by which tests say that they know of such numbers.
_SIGNS = {
    "nan": frozenset({"nan", "isnan", "isfinite"}),
    "inf": frozenset({"inf", "infinity", "isinf", "isfinite", "ninf"}),
}
_OVERFLOWING = re.compile(r"[0-9.][eE]\+?[0-9]{3,}")  # such as 1e999


class Lost(BaseException):  # not an Exception: the tests are not to handle it
    """The program's side of the link is of no more use; the argument is the line to report."""


class Link:
    """The socket to the child of the program: asks for one call at a time.

    Args:
        descriptor: of the socket
        limit: the most bytes of a value that a call returns
        names: the non-finite numbers that the tests expect ("nan", "inf"); any other makes the call an error, since
            comparisons such as `if abs(a - b) > tolerance` let it through
    """

    def __init__(self, descriptor: int, limit: int, names: frozenset[str]) -> None:
        self._descriptor = descriptor
        self._limit = limit + REPLY
        self._names = names
        self._rest = b""
        self.lost = ""

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """What the program's function of this number returns; raises what it raised, as a builtin exception."""
        request = wire.encode([number, args, kwargs]) + "\n"
        try:
            send(self._descriptor, request)
            kind, _, text = self._line().decode("ascii").partition(" ")
        except (OSError, ValueError):
            raise self._give_up("lost") from None
        if kind == "ok":
            value = wire.decode(text)
            self._refuse_surprises(value)
            return value
        if kind == "error":
            raise exception(*json.loads(text))
        raise self._give_up("output" if kind == "output" else "lost")

    def _line(self) -> bytes:
        chunks = [self._rest]
        size = len(self._rest)
        while b"\n" not in chunks[-1]:
            chunk = os.read(self._descriptor, 1 << 16)
            if not chunk:
                raise self._give_up("lost")
            chunks.append(chunk)
            size += len(chunk)
            if size > self._limit:
                raise self._give_up("output")
        line, _, self._rest = b"".join(chunks).partition(b"\n")
        return line

    def _give_up(self, report: str) -> Lost:
        self.lost = self.lost or report
        return Lost(self.lost)

    def _refuse_surprises(self, value: object) -> None:
        pending = [value]
        while pending:
            part = pending.pop()
            if isinstance(part, (float, str)) or type(part).__name__ == "Decimal":
                if (odd := _non_finite(part)) and odd not in self._names:
                    raise FloatingPointError(f"the result holds {part}, which the tests do not expect")
            elif isinstance(part, complex):
                pending += [part.real, part.imag]
            elif isinstance(part, (list, tuple, set, frozenset, deque)):
                pending.extend(part)
            elif isinstance(part, Iterator):
                pending.extend(copy.copy(part))
            elif isinstance(part, dict):
                pending.extend(part)
                pending.extend(part.values())


def exception(name: str, message: str, base: str) -> Exception:
    """The exception of that name if it is a builtin one that a test may meet, or its builtin base, or RuntimeError."""
    for candidate in (name, base):
        kind = getattr(builtins, candidate, None)
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _ENDINGS):
            try:
                return kind(message)
            except TypeError:  # such as UnicodeDecodeError, which takes five arguments
                break
    return RuntimeError(f"{name}: {message}")


def _non_finite(value: Any) -> str:
    """ "nan" or "inf" where a float, a Decimal or a text is that, or is what `float` reads so; "" for all others."""
    if isinstance(value, str):
        if len(value) > _LONGEST_NAME or not (found := _NON_FINITE.fullmatch(value.strip().lower())):
            return ""
        return found[1]
    return "nan" if value != value else "inf" if value in (math.inf, -math.inf) else ""


def expected_names(source: str) -> frozenset[str]:
    """Which of "nan" and "inf" the source of tests speaks of: as words, not as a part of `info` or `banana`."""
    words = set(_WORDS.findall(source.lower()))
    names = {name for name, signs in _SIGNS.items() if not signs.isdisjoint(words)}
    return frozenset(names | {"inf"} if _OVERFLOWING.search(source) else names)


def run_tests(private: int, descriptor: int) -> None:
    """Mode `tests`: the payload is `[[entry, …], setup, [test, …], limit, module]`; a line a test goes back."""
    entries, setup, tests, limit, module = json.loads(read_all(private))
    link = Link(descriptor, limit, expected_names("\n".join([setup, *tests])))
    functions = {entry: _candidate(link, number, entry) for number, entry in enumerate(entries)}
    sys.modules["pytest"] = pytest
    if module:
        new_module(module).__dict__.update(functions)

    @functools.cache
    def prepare() -> types.CodeType:
        return compile(setup, "setup.py", "exec", dont_inherit=True)

    def run(test: str) -> None:
        made = new_module("tests")  # a test's own: what one leaves behind is nothing to the next
        made.__dict__.update(functions, __run_case__=functools.partial(pytest.run_case, made.__dict__))
        exec(prepare(), made.__dict__)  # noqa: S102
        execute(test, made, "test.py")

    for test in tests:
        send(private, outcome(link, run, test) + "\n")
        if link.lost:
            return


def _candidate(link: Link, number: int, entry: str) -> Callable[..., object]:
    """The function of the program, as tests see it."""

    def candidate(*args: Any, **kwargs: Any) -> object:
        return link.call(number, args, kwargs)

    candidate.__name__ = candidate.__qualname__ = entry
    return candidate


def outcome(link: Link, run: Callable[[str], None], test: str) -> str:
    """The report on one test. Whatever it makes of a lost program, it has not passed."""
    report = "passed"
    try:
        run(test)
    except Lost:
        pass
    except BaseException as error:
        report = f"failed {describe(error)}"
    return link.lost or report
