"""In the child of one grading: runs the program that is judged, and claims what came of it.

Everything here shares a process with hostile code and is trusted by nobody. The judge's process checks each line, knows
the expected values (which never come here), and learns from the zygote how this one ended. A claim is a line of ASCII:

    loaded                               the program was loaded; the calls begin
    ok VALUE                             a call returned; VALUE as `wire` encodes it
    output                               what it returned is longer than it may be
    error ["Type", "message", "Base"]    it raised, or returned what has no line; Base is the type's first builtin base
    load ["Type", "message", "Base"]     the program could not be loaded: no call was made
    stdout "text"                        the last 8 KiB of what it printed, at the end

and where several programs share a child, one of these follows each of them:

    end WALL CPU                         the seconds that it took
    alone                                it is outside of the `restricted_subset`, and was not run
"""

import _sitebuiltins
import atexit
import builtins
import gc
import io
import json
import os
import socket
import sys
import time
import types
from collections.abc import Callable
from typing import Any, NoReturn

from . import restricted_subset, wire

TAIL = 8 * 1024
"""Bytes kept of what a program prints."""
WARM_UPS = 20
"""How often the interpreter runs something until it has made up its mind how to run it (16 times in 3.12)."""
MESSAGE = 300
"""Characters kept of an exception's message."""


class Tail(io.RawIOBase):
    """A file that remembers the last bytes written to it."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def writable(self) -> bool:  # noqa: D102
        return True

    def write(self, data: Any) -> int:  # noqa: D102
        view = memoryview(data).cast("B")
        self._bytes += view[-TAIL:]
        if len(self._bytes) > 8 * TAIL:
            del self._bytes[:-TAIL]
        return len(view)

    def text(self) -> str:
        """What is remembered."""
        return self._bytes[-TAIL:].decode("utf-8", "replace")

    def clear(self) -> None:
        """Forget it."""
        self._bytes.clear()


# Made before the fork, which is cheaper: each child gets it empty. The descriptor 1 leads to /dev/null meanwhile.
_tail = Tail()
_printed = io.TextIOWrapper(_tail, "utf-8", "backslashreplace")  # type: ignore[type-var]


def furnish() -> None:
    """Give programs the builtins that `site` would have made (scripts call `exit()`), and remember what they print."""
    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D")
    builtins.help = _sitebuiltins._Helper()
    sys.stdout = sys.__stdout__ = _printed  # type: ignore[misc,assignment]


def printed() -> str:
    """The last of what was printed; nothing where the program broke the file."""
    try:
        _printed.flush()
        return _tail.text()
    except BaseException:
        return ""


def read_all(descriptor: int) -> bytes:
    """Everything that comes until the other side has said all."""
    chunks = []
    while chunk := os.read(descriptor, 1 << 16):
        chunks.append(chunk)
    return b"".join(chunks)


def send(descriptor: int, line: str) -> None:
    """Write an ASCII line, however often the descriptor takes only a part."""
    rest = line.encode("ascii")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def describe(error: BaseException) -> str:
    """Name, message and builtin base of an exception as JSON; its own `__str__` may be hostile."""
    name, message, base = "Exception", "", "Exception"
    try:
        base = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")
        name = str(type(error).__name__)[:MESSAGE]
        message = str(error)[:MESSAGE]
    except BaseException:
        pass
    return json.dumps([name, message, base])


def new_module(name: str) -> types.ModuleType:
    """An empty module that can be imported by its name, as dataclasses and typing expect of a class's module."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    return module


def compiled(source: str, filename: str) -> types.CodeType:
    """The code of source text. A byte order mark, which a file may begin with, is no part of it."""
    return compile(source.removeprefix("\ufeff"), filename, "exec", dont_inherit=True)


def execute(source: str, module: types.ModuleType, filename: str) -> None:
    """Run source text in a module."""
    exec(compiled(source, filename), module.__dict__)  # noqa: S102


def load(entry: str, code: types.CodeType, only: dict[str, object] | None = None) -> Callable[..., object]:
    """The function under test: a global of the program, or else a method of its class `Solution`. `only`: the builtins
    that it gets; None for all.

    The program does not see itself as the main module, so that what it guards with `__name__ == "__main__"` rests.
    """
    module = new_module("solution")
    if only is not None:
        module.__dict__["__builtins__"] = only.copy()
    exec(code, module.__dict__)  # noqa: S102
    function = getattr(module, entry, None)
    if function is not None:
        return function
    solution = getattr(module, "Solution", None)
    if hasattr(solution, entry):
        return lambda *args, **kwargs: getattr(solution(), entry)(*args, **kwargs)  # type: ignore[misc]
    raise NameError(f"name {entry!r} is not defined")


def answer(function: Callable[..., object], call: str, limit: int) -> str:
    """The claim about one call; `call` is the encoded pair of positional and named arguments, `limit` the most bytes
    of what it returns.
    """
    args, kwargs = wire.read(call)
    try:
        return f"ok {wire.encode(function(*args, **kwargs), limit)}\n"
    except wire.TooLongError:
        return "output\n"
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: none of them is an answer
        return f"error {describe(error)}\n"


def say_printed(private: int) -> None:
    """Claim what was printed, if anything was."""
    if text := printed():
        send(private, f"stdout {json.dumps(text)}\n")


def run_calls(private: int) -> None:
    """Mode `calls`: for one program or several, the payload has a line `[entry, program, count, limit]` and a line for
    each call; a claim a call goes back.
    """
    lines = read_all(private).decode("ascii").split("\n")
    at = 0
    while at < len(lines):
        entry, source, count, limit = wire.read(lines[at])
        calls = lines[at + 1 : at + 1 + count]
        at += 1 + count
        if len(calls) + 1 == len(lines):
            claim(private, entry, source, calls, limit)
            say_printed(private)
            return
        wall, cpu = time.perf_counter(), time.thread_time()
        if not claim(private, entry, source, calls, limit, only_restricted=True):
            send(private, "alone\n")
            continue
        sys.modules.pop("solution", None)
        gc.collect()  # what it has left goes at its own expense; it can't have printed
        send(private, f"end {time.perf_counter() - wall} {time.thread_time() - cpu}\n")


def claim(private: int, entry: str, source: str, calls: list[str], limit: int, only_restricted: bool = False) -> bool:
    """Run a program, and claim what comes of each call; False, with nothing run, that must be restricted and isn't."""
    try:
        code = compiled(source, "solution.py")
        if only_restricted and not restricted_subset.is_restricted(code):
            return False
        function = load(entry, code, restricted_subset.BUILTINS if only_restricted else None)
    except BaseException as error:
        send(private, f"load {describe(error)}\n")
    else:
        if not only_restricted:
            send(private, "loaded\n")
        for call in calls:
            send(private, answer(function, call, limit))
    return True


def run_served(private: int, link: int) -> None:
    """Mode `served`: the payload is `[entry, program, limit]`; calls come over the link, one a line, to its end."""
    entry, source, limit = wire.read(read_all(private).decode("ascii"))
    try:
        function = load(entry, compiled(source, "solution.py"))
    except BaseException as error:
        send(private, f"load {describe(error)}\n")
    else:
        send(private, "loaded\n")
        with open(link, "rb", closefd=False) as calls:
            for call in calls:
                send(link, answer(function, call.decode("ascii"), limit))
    say_printed(private)


def run_stdio(private: int, given: int, output: int) -> NoReturn:
    """Mode `stdio`: the payload is the program, run as a script that reads `given` and writes to `output`."""
    source = wire.read(read_all(private).decode("ascii"))
    for descriptor, standard in (given, 0), (output, 1):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape")  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", errors="backslashreplace")  # type: ignore[misc]  # noqa: SIM115
    sys.argv[:] = ["solution.py"]
    status = 0
    try:
        execute(source, new_module("__main__"), "solution.py")
    except SystemExit as stop:
        status = _status(stop)
        if status:
            send(private, f"error {describe(stop)}\n")
    except BaseException as error:
        send(private, f"error {describe(error)}\n")
        status = 1
    try:  # what the interpreter does at its end, in its order
        if threading := sys.modules.get("threading"):
            threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        status = status or 120
    os._exit(status)


def _status(stop: SystemExit) -> int:
    if stop.code is None:
        return 0
    return stop.code & 0xFF if isinstance(stop.code, int) else 1


def warm_up() -> None:
    """Do often what every child does, so that all of them inherit what the interpreter does lazily.

    Not only is it faster: whatever is written for the first time in a child costs it a copy of a page.
    """
    for number in range(WARM_UPS):
        source = f"from typing import List\nprint()\ndef f(x: List[int]):\n    return [x + {number}, f'{{x}}', 1 / x]\n"
        calls = [wire.encode([(argument,), {}]) for argument in (1, 0)]
        judge, private = socket.socketpair()
        with judge, private:
            judge.send("\n".join([json.dumps(["f", source, len(calls), wire.LIMIT]), *calls]).encode())
            judge.shutdown(socket.SHUT_WR)
            run_calls(private.fileno())
        _tail.clear()
    del sys.modules["solution"]
