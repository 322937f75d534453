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
import functools
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
FILE = "solution.py"
"""Where a program believes to be; there is no such file."""
STREAMS = {
    name: number
    for number, stream in enumerate(("stdin", "stdout", "stderr"))
    for name in (f"/dev/{stream}", f"/dev/fd/{number}", f"/proc/self/fd/{number}")
}
"""The names of the standard streams as files."""


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


def load(
    entries: list[str], code: types.CodeType, preamble: str = "", only: dict[str, object] | None = None
) -> list[Callable[..., object]]:
    """The functions under test: globals of the program, or else methods of its class `Solution`.

    The program does not see itself as the main module, so that what it guards with `__name__ == "__main__"` rests.
    `preamble`: source that runs before it. `only`: the builtins that it gets; None for all.

    Raises:
        NameError: there is none of them; where one of several is missing, calling that raises it.
    """
    module = new_module("solution")
    if only is not None:
        module.__dict__["__builtins__"] = only.copy()
    else:
        module.__file__ = FILE
    if preamble:
        execute(preamble, module, "preamble.py")
    exec(code, module.__dict__)  # noqa: S102
    functions = [_find(module, entry) for entry in entries]
    if not any(functions):
        raise NameError(f"name {entries[0]!r} is not defined")
    return [function or _missing(entry) for entry, function in zip(entries, functions)]  # noqa: B905  # slower


def _find(module: types.ModuleType, entry: str) -> Callable[..., object] | None:
    function = getattr(module, entry, None)
    if function is not None:
        return function
    solution = getattr(module, "Solution", None)
    if hasattr(solution, entry):
        return lambda *args, **kwargs: getattr(solution(), entry)(*args, **kwargs)  # type: ignore[misc]
    return None


def _missing(entry: str) -> Callable[..., object]:
    def fail(*args: object, **kwargs: object) -> object:
        raise NameError(f"name {entry!r} is not defined")

    return fail


def answer(function: Callable[..., object], args: Any, kwargs: Any, limit: int, check: str = "result") -> str:
    """The claim about one call.

    Args:
        function, args, kwargs: what to call.
        limit: the most bytes of what it returns.
        check: what the claim is to be about, see `Calls`.
    """
    try:
        if check == "operations":
            names, arguments = args
            return f"ok [{_operated(function, names, arguments, limit)}]\n"
        result = function(*args, **kwargs)
        if check != "result":
            which = check.removeprefix("argument ")
            result = args[int(which)] if which.isdecimal() else kwargs[which]
        return f"ok {wire.encode(result, limit)}\n"
    except wire.TooLongError:
        return "output\n"
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: none of them is an answer
        return f"error {describe(error)}\n"


def _operated(make: Callable[..., object], names: list[str], arguments: list[list[object]], limit: int) -> str:
    """The lines of the results of operations on a new object, each written when it has come, with commas."""
    made = make(*arguments[0])
    lines = wire.encode(None)
    for name, given in zip(names[1:], arguments[1:]):  # noqa: B905  # the judge has counted
        lines += "," + wire.encode(getattr(made, name)(*given), limit - len(lines))
    return lines


def say_printed(private: int) -> None:
    """Claim what was printed, if anything was."""
    if text := printed():
        send(private, f"stdout {json.dumps(text)}\n")


def run_calls(private: int) -> None:
    """Mode `calls`: for one program or several, the payload has a line `[entry, program, count, limit, check,
    preamble]` and a line for each call; a claim a call goes back.
    """
    lines = read_all(private).decode("ascii").split("\n")
    at = 0
    while at < len(lines):
        entry, source, count, limit, check, preamble = wire.read(lines[at])
        calls = lines[at + 1 : at + 1 + count]
        at += 1 + count
        if len(calls) + 1 == len(lines):
            claim(private, entry, source, calls, limit, check, preamble)
            say_printed(private)
            return
        wall, cpu = time.perf_counter(), time.thread_time()
        if not claim(private, entry, source, calls, limit, only_restricted=True):
            send(private, "alone\n")
            continue
        sys.modules.pop("solution", None)
        gc.collect()  # what it has left goes at its own expense; it can't have printed
        send(private, f"end {time.perf_counter() - wall} {time.thread_time() - cpu}\n")


def claim(
    private: int,
    entry: str,
    source: str,
    calls: list[str],
    limit: int,
    check: str = "result",
    preamble: str = "",
    only_restricted: bool = False,
) -> bool:
    """Run a program, and claim what comes of each call; False, with nothing run, that must be restricted and isn't."""
    try:
        code = compiled(source, FILE)
        if only_restricted and not restricted_subset.is_restricted(code):
            return False
        [function] = load([entry], code, preamble, restricted_subset.BUILTINS if only_restricted else None)
    except BaseException as error:
        send(private, f"load {describe(error)}\n")
    else:
        if not only_restricted:
            send(private, "loaded\n")
        for call in calls:
            args, kwargs = wire.read(call)
            send(private, answer(function, args, kwargs, limit, check))
    return True


def run_served(private: int, link: int) -> None:
    """Mode `served`: the payload is `[[entry, …], program, limit, preamble]`; calls come over the link, to its end, a
    line `[number of the entry, args, kwargs]` each.
    """
    entries, source, limit, preamble = wire.read(read_all(private).decode("ascii"))
    try:
        functions = load(entries, compiled(source, FILE), preamble)
    except BaseException as error:
        send(private, f"load {describe(error)}\n")
    else:
        send(private, "loaded\n")
        with open(link, "rb", closefd=False) as calls:
            for call in calls:
                number, args, kwargs = wire.read(call.decode("ascii"))
                send(link, answer(functions[number], args, kwargs, limit))
    say_printed(private)


def run_stdio(private: int, given: int, output: int) -> NoReturn:
    """Mode `stdio`: the payload is `[program, preamble]`, run as a script that reads `given` and writes to `output`."""
    source, preamble = wire.read(read_all(private).decode("ascii"))
    for descriptor, standard in (given, 0), (output, 1):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape")  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", errors="backslashreplace")  # type: ignore[misc]  # noqa: SIM115
    builtins.open = io.open = _opening(io.open, is_descriptor=False)
    os.open = _opening(os.open, is_descriptor=True)
    sys.argv[:] = [FILE]
    status = 0
    try:
        module = new_module("__main__")
        module.__file__ = FILE
        if preamble:
            execute(preamble, module, "preamble.py")
        execute(source, module, FILE)
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


def _opening(opening: Callable[..., Any], is_descriptor: bool) -> Callable[..., Any]:
    """`open` that knows the names of the standard streams: in the sandbox there are no such files."""

    @functools.wraps(opening)
    def open(file: Any, *args: Any, **kwargs: Any) -> Any:
        number = None if isinstance(file, (int, bytes)) else STREAMS.get(os.fspath(file))
        if number is None:
            return opening(file, *args, **kwargs)
        return os.dup(number) if is_descriptor else opening(os.dup(number), *args, **kwargs)

    return open


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
            head = json.dumps(["f", source, len(calls), wire.LIMIT, "result", ""])
            judge.send("\n".join([head, *calls]).encode())
            judge.shutdown(socket.SHUT_WR)
            run_calls(private.fileno())
        _tail.clear()
    del sys.modules["solution"]
