"""What a confined program must not be able to do, tried out; run in a throw-away interpreter by `tiers`."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable

from . import sandbox
from .sandbox import Layers, Limits, SandboxError


def _attempts(canary: str, port: int) -> dict[str, Callable[[], object]]:
    """What must fail. `canary` is a file of the user's, `port` a TCP service on this machine."""
    return {
        "read a file": lambda: os.open(canary, os.O_RDONLY),
        "write to a file": lambda: os.open(canary, os.O_WRONLY | os.O_APPEND),
        "make a file": lambda: os.open(f"{canary}.new", os.O_WRONLY | os.O_CREAT),
        "list a directory": lambda: os.listdir(os.path.dirname(canary)),
        "connect to a port": lambda: socket.socket().connect(("127.0.0.1", port)),
        "make a socket": socket.socket,
        "signal its parent": lambda: os.kill(os.getppid(), 0),
        "signal itself": lambda: os.kill(os.getpid(), 0),
        "start a process": lambda: os.fork() or os._exit(0),
        "execute a file": lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}),
        "make memory without a name": lambda: os.memfd_create("test"),
        "read what another process holds": lambda: os.open(f"/proc/{os.getppid()}/environ", os.O_RDONLY),
    }


def _succeeded(attempts: dict[str, Callable[[], object]]) -> list[str]:
    done = []
    for name, attempt in attempts.items():
        try:
            attempt()
        except OSError:
            continue
        done.append(name)
    return done


def _try(layers: Layers, canary: str, port: int) -> dict[str, object]:
    """Confine this process and a child as for a program; says what went wrong, or what the child could do."""
    try:
        sandbox.confine_zygote(layers, {1})
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writing, json.dumps(_be_program(layers, canary, port)).encode())
            os._exit(0)
        os.close(writing)
        text = os.read(reading, 1 << 16)
        os.waitpid(pid, 0)
        sandbox.sweep(layers)
        return json.loads(text)
    except Exception as error:
        return _told(error)


def _be_program(layers: Layers, canary: str, port: int) -> dict[str, object]:
    try:
        sandbox.confine_program(sandbox.confinement(Limits(cpu=1, memory=1 << 30)))
        return {"breaches": _succeeded(_attempts(canary, port))}
    except Exception as error:
        return _told(error)


def _told(error: Exception) -> dict[str, object]:
    if isinstance(error, SandboxError):
        return {"layer": error.layer, "problem": error.strerror, "remedy": error.remedy}
    return {"layer": "self-test", "problem": f"self-test: {error!r}", "remedy": ""}


def main() -> None:
    """From the command line: a digit for each layer, the canary, the port. Prints one line of JSON."""
    layers = Layers(*(digit == "1" for digit in sys.argv[1]))
    print(json.dumps(_try(layers, sys.argv[2], int(sys.argv[3]))), flush=True)
    os._exit(0)
