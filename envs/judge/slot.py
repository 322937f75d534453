"""Slots: the warm interpreters that grade, as the judge's process sees and drives them.

A slot is a zygote for programs that import nothing, one for those that do, and one for assert tests, each from the
first time that it is wanted: none is ever forked from a process that has seen another. A slot belongs to one thread,
which waits for all slots in one selector.
Nothing of this process reaches a zygote by inheritance: it is made by exec, with every other descriptor closed.
"""

from __future__ import annotations

import array
import contextlib
import functools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from textmdp.envs.judge.idleness import IdleClock
from textmdp.envs.judge.inside import preload
from textmdp.envs.judge.inside.sandbox import Layers, can_import
from textmdp.envs.judge.runs import Launch, Outcome, Report, Run, Stream

START_SECONDS = 60.0
"""Longest wait for a zygote to be ready (a tenth of a second on an idle machine)."""
GRACE_SECONDS = 10.0
"""How long a zygote has for ending a child that it is to kill, and saying so."""
TICK_SECONDS = 0.1
"""The longest time until somebody looks how far a run is."""

_FOLDER = str(Path(__file__).resolve().parent)
# Hooks that modules want run after a fork are refused from the first import on (see `inside.preload`).
_BOOT = (
    "import os, sys; os.register_at_fork = lambda **hooks: None; "
    "sys.path = [sys.argv.pop(1), *filter(None, sys.path)]; from inside.zygote import main; main()"
)
# No site-packages, no user's folder, no bytecode written, UTF-8, no warnings. Not -I, which ignores PYTHONHASHSEED:
# the order of sets is to repeat. The environment is made here, so nothing else of -I is missed.
_OPTIONS = ("-S", "-s", "-B", "-X", "utf8", "-W", "ignore")
if sys.version_info >= (3, 11):  # nothing from the working directory: 3.13 asks where it is for an AttributeError
    _OPTIONS += ("-P",)
# What the linker would look up lazily, it would in each program anew.
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "LD_BIND_NOW": "1"}
_ONE_THREAD = {  # a process of several can't be confined, or forked
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
}
_PASSED_ON = ("LD_LIBRARY_PATH",)  # without it some interpreters do not start

PATIENCE = 0.01
"""Seconds in which most children end. What they write waits in the kernel for so long: each look at it would cost more
than to read it all at their end."""

#: What a selector's key carries: the slot that it concerns, and what to do with the events.
Handler = tuple["Slot", Callable[[int], None]]


class InfrastructureError(RuntimeError):
    """The judge could not decide, for no fault of the program's; the message says why, and what to do about it."""


class SlotDied(Exception):  # noqa: N818  # the caller starts another
    """A zygote ended, left the protocol, or did not answer in time."""


class SlotUnavailable(InfrastructureError):  # noqa: N818
    """A zygote could not be started, or could not do its part."""


def _start(control: int, layers: Layers, modules: int, installed: str) -> subprocess.Popen[bytes]:
    """A process that runs `inside.zygote`, with nothing of ours but one end of a socket and a word of when we end."""
    client = os.pidfd_open(os.getpid())
    try:
        return subprocess.Popen(
            [
                sys.executable,
                *_OPTIONS,
                "-c",
                _BOOT,
                _FOLDER,
                str(control),
                str(client),
                "".join(str(int(layer)) for layer in layers),
                str(modules),
                installed,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(control, client),
            env={
                **_ENVIRONMENT,
                **(_ONE_THREAD if installed else {}),
                **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            },
            cwd="/",
            start_new_session=True,  # Ctrl-C in a terminal is not for it, and it can be killed as a group
        )
    finally:
        os.close(client)


class Zygote:
    """One warm interpreter: `inside/zygote.py` runs in it, and has the protocol.

    Args:
        layers: what confines it
        modules: which modules of the standard library it has (see `inside.preload`)
        installed: which others, as `modules.located` writes them

    Raises:
        SlotUnavailable: where no process can be made.
    """

    def __init__(self, layers: Layers, modules: int, installed: str = "") -> None:
        self.ready = False
        self.run: Run | None = None
        self._number = 0
        try:
            self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise SlotUnavailable(f"cannot make a socket: {error}") from error
        self.control.setblocking(False)
        try:
            with theirs:
                self._process = _start(theirs.fileno(), layers, modules, installed)
        except OSError as error:
            self.control.close()
            raise SlotUnavailable(f"cannot start {sys.executable or 'an interpreter'}: {error}") from error

    def launch(self, run: Run, memory: int) -> None:
        """Send off a run; raises SlotDied where nobody is there to take it."""
        self._number += 1
        self.run = run
        limits = run.launch.limits
        cpu = f"{limits.cpu.test} {limits.cpu.cap(limits.following(0))} {limits.cpu.total}"
        self._send(f"run {self._number} {run.launch.mode} {cpu} {memory}", run.descriptors())
        run.handed_over()

    @property
    def pid(self) -> int:
        """The process that was started for it."""
        return self._process.pid

    def mark_step(self, step: int) -> None:
        """Have the limits of another step begin."""
        if self.run is not None:
            limits = self.run.launch.limits
            self._send(f"mark {self._number} {limits.cpu.cap(limits.following(step))}", [])

    def kill_run(self) -> None:
        """Have the child of the current run killed. It may have ended already."""
        self._send(f"kill {self._number}", [])

    def receive(self) -> None:
        """Take in messages; raises SlotDied where there will be none any more."""
        while True:
            try:
                message = self.control.recv(4096)
            except BlockingIOError:
                return
            except OSError as error:
                raise SlotDied(f"a zygote was lost: {error}") from error
            if not message:
                if self.ready:
                    raise SlotDied("a zygote ended")
                raise SlotUnavailable(f"a zygote ended at its start{self._end()}")
            match message.decode("utf-8", "replace").split(" "):
                case ["ready"]:
                    self.ready = True
                case ["failed", *why]:
                    raise SlotUnavailable(" ".join(why))
                case ["done", number, why, code, cpu, maxrss, wall] if (
                    number == str(self._number) and self.run and not self.run.report
                ):
                    self.run.report = Report(why, int(code), float(cpu), int(maxrss), float(wall))
                case _:
                    raise SlotDied(f"a zygote sent {message!r}, which nobody asked for")

    def is_alive(self) -> bool:
        """Whether nothing is known against it."""
        try:
            self.receive()
        except (SlotDied, SlotUnavailable):
            return False
        return True

    def close(self) -> None:
        """Kill it with all that it started, and wait until it is gone. It has not been waited for before, so the number
        of its group is still its own."""
        if self._process.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(START_SECONDS)
        self.control.close()

    def abandon_after_fork(self) -> None:
        """In a forked process: let go of what belongs to the other one."""
        self._process.returncode = 0
        self.control.close()

    def _send(self, message: str, descriptors: list[int]) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            self.control.sendmsg([message.encode()], rights, socket.MSG_NOSIGNAL)
        except OSError as error:
            raise SlotDied(f"a zygote was lost: {error}") from error

    def _end(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return f", with status {self._process.wait(1.0)}"
        return ""


class Kind(NamedTuple):
    """What a zygote is for: tests or programs, which modules of the standard library these want, and which others."""

    tests: bool
    modules: int
    installed: str


class Slot:
    """Zygotes that grade one program at a time.

    Args:
        layers: what confines them
        memory: bytes of address space for each child
        selector: where it registers what it waits for, with a `Handler` as data
        installed: modules for programs that name one of them, as `modules.located` writes them
    """

    def __init__(self, layers: Layers, memory: int, selector: selectors.BaseSelector, installed: str = "") -> None:
        self._installed = installed
        self._names = {name.split(".")[0].encode() for name in json.loads(installed)["names"]} if installed else set()
        self.deadline = float("inf")  # on the monotonic clock: when to call `expire`
        self._layers = layers
        self._can_import = can_import(layers)
        self._memory = memory
        self._selector = selector
        self._zygotes: dict[Kind, Zygote] = {}
        self._launches: Sequence[Launch] = ()
        self._runs: list[Run] = []
        self._listening = False  # to what the runs write
        self._clock = IdleClock([], 0)  # of the runs
        self._ticked = 0.0  # on the monotonic clock
        self._interval = 0.0  # seconds until the next look
        self._step = 0  # that the runs are known to be at
        self._step_idle = 0.0  # idle time before that step
        self._grace: float | None = None  # seconds left for a zygote that is to end a run
        self._out_of_time = False

    def begin(self, launches: Sequence[Launch]) -> None:
        """Run these children at the same time; two of them are given a socket to each other.

        Raises:
            SlotDied, SlotUnavailable: here as in all methods, where a zygote is lost; close the slot then.
        """
        self._launches = launches
        for launch in launches:
            kind = self._kind(launch)
            zygote = self._zygotes.get(kind)
            if zygote is not None and not zygote.is_alive():
                self._close_zygote(kind)
                zygote = None
            if zygote is None:
                zygote = self._zygotes[kind] = Zygote(self._layers, kind.modules, kind.installed)
                handler: Handler = (self, functools.partial(self._on_message, zygote))
                self._selector.register(zygote.control, selectors.EVENT_READ, handler)
        self.deadline = time.monotonic() + START_SECONDS
        self._launch_when_ready()

    def outcomes(self) -> list[Outcome] | None:
        """How the children ended, once, when all have."""
        if not self._runs or any(run.report is None for run in self._runs):
            return None
        for run in self._runs:
            if self._out_of_time and run.report is not None and run.report.why == "kill":
                run.report = run.report._replace(why="wall")
        outcomes = [run.outcome(self._clock.seconds, self._step) for run in self._runs]
        self._close_runs()
        return outcomes

    def expire(self) -> None:
        """Do what is due at the deadline: look how far the runs are, or raise what it means that it has passed."""
        if not self._runs:
            raise SlotUnavailable(
                f"a zygote is not ready after {START_SECONDS} s, so the machine is too busy or Python can't start in "
                "the sandbox; `textmdp judge doctor` says which, and fewer `workers` ask less of the machine"
            )
        zygotes = self._zygotes_of(run.launch for run in self._runs)
        self._listening = True
        for run, zygote in zip(self._runs, zygotes, strict=True):
            for stream in run.streams:
                stream.pull()
                self._watch_overflow(zygote, stream)
                self._attend(zygote, stream)
        now = time.monotonic()
        # What this process comes late, it was kept from running itself: no time of the program's.
        passed = min(now - self._ticked, 2 * self._interval)
        self._clock.advance(passed)
        self._ticked = now
        self._interval = min(TICK_SECONDS, 1.5 * self._interval)
        self.deadline = now + self._interval
        if self._grace is not None:
            self._grace -= passed
            if self._grace < 0:
                raise SlotDied("no answer in time")
            return
        limits = self._runs[-1].launch.limits
        step = min(self._runs[-1].streams[0].lines, limits.steps - 1)
        if step > self._step:
            self._step, self._step_idle = step, self._clock.seconds
            for zygote in zygotes:
                zygote.mark_step(step)
        cap = min(self._step_idle + limits.wall.test, limits.wall.cap(limits.following(step)))
        if self._clock.seconds >= cap and self._clock.is_idle:
            self._out_of_time = True
            self._kill(zygotes)

    def close(self) -> None:
        """Kill everything. The slot can be used again: it starts anew."""
        self._launches = ()
        self._close_runs()
        for kind in list(self._zygotes):
            self._close_zygote(kind)

    def abandon_after_fork(self) -> None:
        """In a forked process: let go of what belongs to the other one."""
        for run in self._runs:
            run.close()
        for zygote in self._zygotes.values():
            zygote.abandon_after_fork()

    def _launch_when_ready(self) -> None:
        zygotes = self._zygotes_of(self._launches)
        if not all(zygote.ready for zygote in zygotes):
            return
        launches, self._launches = self._launches, ()
        links = socket.socketpair() if len(launches) == 2 else (None,)
        for launch, link in zip(launches, links, strict=True):
            self._runs.append(Run(launch, link))
        for run, zygote in zip(self._runs, zygotes, strict=True):
            zygote.launch(run, self._memory)
            for stream in run.streams:
                self._attend(zygote, stream)
        self._clock = IdleClock([zygote.pid for zygote in zygotes], 2 if self._layers.namespaces else 1)
        self._step, self._step_idle, self._grace, self._out_of_time = 0, 0.0, None, False
        self._interval = min(PATIENCE, launches[-1].limits.wall.test)
        self._ticked = time.monotonic()
        self.deadline = self._ticked + self._interval

    def _zygotes_of(self, launches: Iterable[Launch]) -> list[Zygote]:
        return [self._zygotes[self._kind(launch)] for launch in launches]

    def _kind(self, launch: Launch) -> Kind:
        wanted = preload.USUAL if launch.imports else preload.FEW
        named = any(name in launch.payload for name in self._names)  # whoever hides the name goes without
        return Kind(
            launch.mode == "tests",
            wanted if self._can_import else preload.ALL,
            self._installed if launch.imports and named else "",
        )

    def _attend(self, zygote: Zygote, stream: Stream) -> None:
        """Wait for what a stream is interested in now."""
        events = stream.poll_events(self._listening)
        if events == stream.awaited:
            return
        if stream.awaited:
            self._selector.unregister(stream.socket)
        if events:
            handler: Handler = (self, functools.partial(self._on_stream, zygote, stream))
            self._selector.register(stream.socket, events, handler)
        stream.awaited = events

    def _on_message(self, zygote: Zygote, events: int) -> None:
        zygote.receive()
        if self._launches:
            self._launch_when_ready()

    def _on_stream(self, zygote: Zygote, stream: Stream, events: int) -> None:
        stream.handle(events)
        self._watch_overflow(zygote, stream)
        self._attend(zygote, stream)

    def _watch_overflow(self, zygote: Zygote, stream: Stream) -> None:
        """Have a child killed that writes more than it may."""
        if stream.overflow and self._grace is None:
            self._kill([zygote])

    def _kill(self, zygotes: Iterable[Zygote]) -> None:
        self._grace = GRACE_SECONDS
        for zygote in zygotes:
            zygote.kill_run()

    def _close_runs(self) -> None:
        runs, self._runs = self._runs, []
        for run in runs:
            for stream in run.streams:
                if stream.awaited:
                    self._selector.unregister(stream.socket)
            run.close()
        self._listening = False
        for zygote in self._zygotes.values():
            zygote.run = None
        self.deadline = float("inf")

    def _close_zygote(self, kind: Kind) -> None:
        zygote = self._zygotes.pop(kind)
        with contextlib.suppress(KeyError):
            self._selector.unregister(zygote.control)
        zygote.close()
