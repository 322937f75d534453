"""The warm interpreter of one slot: forks a child for each grading, ends it in time, and reports how it ended.

It is started afresh (never forked from the process that uses the judge), confines itself, and then answers requests on
its control socket, a message a request. What a child is to run never passes through here: it comes over a socket that
the request carries, and only the child reads it. So no program, input or test is in the memory that the next child
is forked from. Messages are words with a blank in between, which costs both sides less than JSON:

    -> run NUMBER MODE STEP CAP CPU MEMORY + descriptors
                                               fork a child that runs MODE; it is killed when it has used STEP seconds
                                               of processor time since the last mark, or CAP since its start; no mark
                                               will give it more than CPU
    -> mark NUMBER CAP                         its next step begins now, and it may use CAP seconds since its start
    -> kill NUMBER                             end it now; ignored, as a mark is, when it has ended already
    <- ready                                   once, after the start
    <- failed WHY                              it can't go on, for no fault of a program; it ends
    <- done NUMBER WHY CODE CPU MAXRSS WALL    WHY: "exit" (CODE: the status), "signal" (CODE: which), "cpu" (a limit),
                                               "kill" (as asked)

It knows no wall-clock limit: those are for idle programs, and the judge's process finds out which are.
"""

import contextlib
import gc
import json
import math
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from . import linux, preload, programs, sandbox, testing
from .sandbox import Layers, Limits

MODES: dict[str, Callable[..., None]] = {
    "calls": programs.run_calls,
    "served": programs.run_served,
    "stdio": programs.run_stdio,
    "tests": testing.run_tests,
}
CHILDREN = [signal.SIGCHLD]  # blocked in the zygote, which waits for it, and not in its children
MAX_MESSAGE = 4096
MAX_DESCRIPTORS = 3  # that one request carries
SPARE = 1.0  # CPU seconds that the kernel's own limit is above the one kept here: it counts whole ticks, thus too many
DESCRIPTORS = 64  # all of a zygote's are below
PATIENCE = 0.02  # seconds in which most children end


class Gone(Exception):  # noqa: N818  # not an error: the way to end
    """Nobody asks any more."""


class Broken(Exception):  # noqa: N818
    """A child could not be made, or not be confined."""


class Zygote:
    """The loop of one zygote.

    Args:
        control: the socket that requests come on
        client: a descriptor (pidfd) of the process that asks; when that ends, so does the zygote, even where
            a process forked from it still holds the other end of the control socket
        layers: which layers confine it
    """

    def __init__(self, control: socket.socket, client: int, layers: Layers) -> None:
        self._control = control
        self._client = client
        self._layers = layers
        self._requests: deque[tuple[list[str], list[int]]] = deque()
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)
        self._poll.register(client, select.POLLIN)
        # A child that can't be confined says so here. When it runs a program, it has closed its end.
        self._troubles, self._trouble = os.pipe()
        self._poll.register(self._troubles, select.POLLIN)
        signals = sum(1 << (number - 1) for number in CHILDREN)
        self._unblock = linux.Call("sigprocmask", signal.SIG_UNBLOCK, signals.to_bytes(128, "little"), None)

    def descriptors(self) -> set[int]:
        """What it has open besides the standard streams."""
        return {self._control.fileno(), self._client, self._troubles, self._trouble}

    def serve(self) -> None:
        """Answer requests until nobody is left who could ask: raises `Gone` then, or `Broken` before."""
        signal.pthread_sigmask(signal.SIG_BLOCK, CHILDREN)
        self.send("ready")
        while True:
            while not self._requests:
                self._wait(None)
            (kind, number, *details), descriptors = self._requests.popleft()
            if kind == "run":
                mode, step, cap, cpu, memory = details
                self._run(descriptors, number, mode, float(step), float(cap), float(cpu), int(memory))

    def send(self, message: str) -> None:
        """Send a message to the judge."""
        try:
            self._control.send(message.encode("utf-8", "backslashreplace"), socket.MSG_NOSIGNAL)
        except OSError:
            raise Gone from None

    def _run(
        self, descriptors: list[int], number: str, mode: str, step: float, cap: float, cpu: float, memory: int
    ) -> None:
        confinement = sandbox.confinement(Limits(math.ceil(cpu + SPARE), memory))
        started = time.monotonic()
        try:
            pid = os.fork()
        except OSError as error:
            raise Broken(f"can't fork: {error}") from error
        if pid == 0:
            self._become(mode, descriptors, confinement)
        # While the child lives, each page that is written to is copied; so for a while do nothing but wait.
        signal.sigtimedwait(CHILDREN, PATIENCE)
        why = "exit"
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if not ended:
            try:
                why = self._watch(number, pid, step, cap)
            except BaseException:
                os.kill(pid, signal.SIGKILL)
                raise
            _, status, usage = os.wait4(pid, 0)
            signal.sigtimedwait(CHILDREN, 0)  # or the next child would seem to have ended at once
        if status:
            self._wait(0)  # for its troubles
        for descriptor in descriptors:
            os.close(descriptor)
        spent = usage.ru_utime + usage.ru_stime
        code = os.waitstatus_to_exitcode(status) if status else 0
        if why == "exit" and code < 0:
            why = "cpu" if code == -signal.SIGKILL and spent >= cpu else "signal"  # the kernel was first
        sandbox.sweep(self._layers)
        maxrss, wall = usage.ru_maxrss * 1024, time.monotonic() - started
        self.send(f"done {number} {why} {abs(code)} {spent} {maxrss} {wall}")

    def _watch(self, number: str, pid: int, step: float, cap: float) -> str:
        """Wait until the child is dead, killing it when it must be; why it ended."""
        begun = 0.0  # the step, on the child's clock
        clock = ~pid << 3 | 2  # the CPU clock of a process, as clock_getcpuclockid(3) makes it
        why = "exit"
        process = os.pidfd_open(pid)
        self._poll.register(process, select.POLLIN)
        try:
            while True:
                left: float | None = None
                if why == "exit":
                    spent = _spent(clock)
                    orders = self._orders(number)
                    marks = [float(order[1]) for order in orders if order[0] == "mark"]
                    if marks:
                        begun, cap = spent, marks[-1]
                    left = min(begun + step, cap) - spent
                    if ["kill"] in orders:
                        why, left = "kill", None
                    elif left <= 0:
                        why, left = "cpu", None
                if left is None:
                    os.kill(pid, signal.SIGKILL)  # it has not been waited for, so the number is still its own
                if process in self._wait(left):
                    return why
        finally:
            self._poll.unregister(process)
            os.close(process)

    def _orders(self, number: str) -> list[list[str]]:
        """Requests that concern the child, without its number; forgets about those for others, which came too late."""
        orders = [[kind, *rest] for (kind, of, *rest), _ in self._requests if kind != "run" and of == number]
        self._requests = deque(request for request in self._requests if request[0][0] == "run")
        return orders

    def _wait(self, seconds: float | None) -> list[int]:
        """Wait for anything to happen; takes in requests, and returns the descriptors that are ready."""
        ready = [
            descriptor for descriptor, _ in self._poll.poll(None if seconds is None else math.ceil(seconds * 1000))
        ]
        if self._client in ready:
            raise Gone
        if self._troubles in ready:
            raise Broken(os.read(self._troubles, MAX_MESSAGE).decode())
        if self._control.fileno() in ready:
            self._requests.append(self._receive())
        return ready

    def _receive(self) -> tuple[list[str], list[int]]:
        try:
            message, ancillary, _, _ = self._control.recvmsg(MAX_MESSAGE, socket.CMSG_SPACE(4 * MAX_DESCRIPTORS))
        except OSError:
            raise Gone from None
        if not message:
            raise Gone
        descriptors = b"".join([data for _, _, data in ancillary])
        return message.decode().split(), memoryview(descriptors).cast("i").tolist()

    def _become(self, mode: str, descriptors: list[int], confinement: sandbox.Confinement) -> NoReturn:
        """In the child: keep nothing but what it needs, and run."""
        status = 1
        try:
            try:
                self._unblock()
                sandbox.confine_program(confinement)
            except Exception as error:
                os.write(self._trouble, f"{type(error).__name__}: {error}".encode()[:MAX_MESSAGE])
                raise
            low = 3
            for descriptor in sorted(descriptors):
                os.closerange(low, descriptor)
                low = descriptor + 1
            os.closerange(low, DESCRIPTORS)
            gc.enable()
            MODES[mode](*descriptors)
            status = 0
        finally:
            os._exit(status)


def _spent(clock: int) -> float:
    try:
        return time.clock_gettime(clock)
    except OSError:  # it has just ended
        return 0.0


def prepare(zygote: Zygote, layers: Layers, modules: int, installed: str) -> None:
    """All that children inherit: modules, what the interpreter sets up once, and the sandbox."""
    preload.preload(modules)
    if installed:
        preload.preload_installed(**json.loads(installed))
    programs.furnish()
    sandbox.confine_zygote(layers, zygote.descriptors())
    sys.argv[:] = [""]
    del sys.path[0]  # our own folder: nobody is to import the rest of it
    if set_max_digits := getattr(sys, "set_int_max_str_digits", None):  # not before Python 3.10.7
        set_max_digits(0)  # the limit guards against what the limits of time do here
    gc.collect()
    programs.warm_up()
    gc.freeze()  # a collection in a child would write to, and so copy, all that is inherited
    gc.disable()


def main() -> None:
    """Start from the command line: the descriptors of the control socket and the client, a digit for each layer, and
    which modules of the library to have and which others (see `preload`).
    """
    control, client = map(os.dup, map(int, sys.argv[1:3]))  # the lowest numbers that are free, whatever they were
    layers = Layers(*(digit == "1" for digit in sys.argv[3]))
    zygote = Zygote(socket.socket(fileno=control), client, layers)
    with contextlib.suppress(Gone):
        try:
            prepare(zygote, layers, int(sys.argv[4]), sys.argv[5])
        except Exception as error:
            zygote.send(f"failed {type(error).__name__}: {error}")
            return
        try:
            zygote.serve()
        except Broken as error:
            zygote.send(f"failed {error}")
