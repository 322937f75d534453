"""The worker process: imports sympy once, then forks a child for each question.

Protocol on stdin and stdout: four bytes of length (big-endian), then JSON. ``"ready"`` after the imports; then for each
``[gold, answer, seconds]`` one of ``true``, ``false``, ``null``. The process ends when stdin ends, that is with its
parent.

A question is limited in processor time, which does not depend on what else the machine does. The clock on the wall only
ends a child that waits without working.
"""

import gc
import json
import math
import os
import select
import signal
import struct
import sys
from typing import Any, BinaryIO

from textmdp.envs.answers.structure import Judge, compare

WALL_SECONDS = 60.0
"""Time by the clock of one question, for a child that uses no processor time."""
MEMORY_BYTES = 1 << 30
"""Address space of one question on top of what the imports take."""


def send(stream: BinaryIO, message: object) -> None:
    """Write one message."""
    data = json.dumps(message).encode()
    stream.write(struct.pack(">I", len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message; None at the end of the stream."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    body = stream.read(struct.unpack(">I", head)[0])
    return json.loads(body)


def limit(seconds: float) -> None:
    """Bound the processor time and the memory of this process.

    Args:
        seconds: processor time (user and system); the process is killed by a signal when it is spent
    """
    import resource

    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds) + 1,) * 2)  # should the timer be lost
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES,) * 2)
    except (OSError, ValueError):
        pass  # no /proc (macOS): the time limit alone


def judge(gold: str, answer: str) -> bool | None:
    """Compare two cleaned texts with sympy at the leaves."""
    from textmdp.envs.answers.sympy_leaf import leaf  # sympy takes a second: only the worker imports it

    return compare(gold, answer, Judge(leaf))


def ask_child(gold: str, answer: str, seconds: float, wall_seconds: float = WALL_SECONDS) -> bool | None:
    """Judge in a forked child.

    Args:
        gold: the reference, cleaned
        answer: the text to judge, cleaned
        seconds: processor time after which the child is killed
        wall_seconds: time by the clock after which it is killed

    Returns:
        The verdict, False where the child read the texts but could not tell, None where it was killed or ran out of
        time or memory.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        # Only os._exit may end this branch: the code after it belongs to the parent.
        try:
            os.close(reader)
            limit(seconds)
            verdict = judge(gold, answer)
            os.write(writer, {True: b"T", False: b"F"}.get(verdict, b"N"))  # type: ignore[arg-type]
        finally:
            os._exit(0)
    os.close(writer)
    try:
        poll = select.poll()
        poll.register(reader, select.POLLIN | select.POLLHUP)
        mark = os.read(reader, 1) if poll.poll(wall_seconds * 1000) else b""
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return {b"T": True, b"F": False, b"N": False}.get(mark)


def main() -> None:
    """Serve questions until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end we see on stdin
    questions = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # Nothing that a library prints may get into the protocol.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.setrecursionlimit(3000)
    # The first parse builds the grammar's tables and the first evaluations fill sympy's caches: children inherit both.
    for gold, answer in (
        (r"\frac{\sqrt{3}x^{2}}{2} - (y_{1}+1)", r"x^2\sin(x)"),
        (r"(x+1)^2", "x^2+2x+1"),
        (r"\pi e", "7!"),
        (r"|x-1|", r"\sqrt{(x-1)^{2}}"),
    ):
        judge(gold, answer)
    gc.freeze()
    send(answers, "ready")
    while (question := receive(questions)) is not None:
        send(answers, ask_child(*question))


if __name__ == "__main__":
    main()
