"""One child of a zygote, as the judge's process sees it: what goes in, what comes out, and how it ended."""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
from typing import NamedTuple

from textmdp.envs.judge.limits import Allowance

CLAIMED_BESIDES = 1 << 17
"""Bytes that a child may claim besides what is returned: how calls end, and the last 8 KiB printed, escaped."""


class Limits(NamedTuple):
    """Limits of a child, or of those that run together.

    Attributes:
        wall, cpu: the idle time and the processor time that it may spend.
        output: the most bytes that it may return, or print where it has a standard output.
        steps: how many lines the last of the children that run together writes, one at the end of each step; limits
            for a test hold for each step.
        tests: how many tests of the suite are left, its own and those of later children.
        prepared: how many of the first steps are no tests.
    """

    wall: Allowance
    cpu: Allowance
    output: int
    steps: int
    tests: int
    prepared: int = 0

    def following(self, step: int) -> int:
        """How many tests follow after a step."""
        return max(0, self.tests - 1 - max(0, step - self.prepared))


class Launch(NamedTuple):
    """One child to run.

    Attributes:
        mode: of `inside.zygote.MODES`.
        payload: what it is told over its private socket.
        limits: what it may spend and write.
        imports: whether it may import anything; if not, its zygote has less, and forks faster.
        stdin: what it reads from descriptor 0; None where it has no standard streams.
    """

    mode: str
    payload: bytes
    limits: Limits
    imports: bool
    stdin: bytes | None = None


class Report(NamedTuple):
    """What a zygote says about a child that has ended (see `inside.zygote`): seconds, and bytes of `maxrss`. `why` is
    "wall" where the judge's process had it killed because it was idle.
    """

    why: str
    code: int
    cpu: float
    maxrss: int
    wall: float


class Outcome(NamedTuple):
    """How a child ended, what it wrote to its private socket, and what it wrote to its standard output.

    `overflow` says that it wrote more than it may; the first part is there. `idle` is its idle time, in seconds, as far
    as somebody looked. `marked` says how many lines of the children that ran together had been seen when the limit of
    the current step began.
    """

    report: Report
    claims: bytes
    stdout: bytes
    overflow: bool
    idle: float = 0.0
    marked: int = 0


class Stream:
    """One end of a socket pair: sends a payload, and collects what comes back, up to a limit; never blocks.

    Attributes:
        socket: our end.
        theirs: the end that goes to the child.
        received: what came, in bytes.
        lines: how many lines of it are whole.
        overflow: whether more came than the limit.
        awaited: the events that a selector waits for; 0 where the socket is in none.
    """

    def __init__(self, payload: bytes, limit: int) -> None:
        self.socket, self.theirs = socket.socketpair()
        self.socket.setblocking(False)
        self.received = bytearray()
        self.lines = 0
        self.overflow = False
        self.awaited = 0
        self._unsent = memoryview(payload)
        self._limit = limit
        self._ended = False
        self._push()

    def poll_events(self, listening: bool) -> int:
        """The events to wait for, the one to read only where one listens; 0 where nothing more is to come."""
        reading = selectors.EVENT_READ if listening and not self._ended and not self.overflow else 0
        return reading | (selectors.EVENT_WRITE if self._unsent else 0)

    def handle(self, events: int) -> None:
        """Do what the events allow."""
        if events & selectors.EVENT_WRITE:
            self._push()
        if events & selectors.EVENT_READ:
            self.pull()

    def _push(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent, socket.MSG_NOSIGNAL) :]
            self.socket.shutdown(socket.SHUT_WR)  # all was said
        except BlockingIOError:
            pass
        except OSError:  # nobody reads
            self._unsent = memoryview(b"")

    def pull(self) -> None:
        """Take what is there."""
        try:
            while len(self.received) <= self._limit:
                chunk = self.socket.recv(1 << 16)
                if not chunk:
                    self._ended = True
                    return
                self.received += chunk
                self.lines += chunk.count(b"\n")
        except BlockingIOError:
            return
        except OSError:  # reset: it ended, with something unread
            self._ended = True
            return
        self.overflow = True
        del self.received[self._limit :]


class Run:
    """A launched child: its streams, and its report when it has ended.

    Args:
        launch: what to run
        link: the end of a socket that leads to another child
    """

    def __init__(self, launch: Launch, link: socket.socket | None = None) -> None:
        output = launch.limits.output
        self.launch = launch
        self.report: Report | None = None
        self.streams = [Stream(launch.payload, output + CLAIMED_BESIDES)]
        self._given: list[socket.socket | int] = [self.streams[0].theirs]
        if launch.stdin is not None:
            self._given.append(_memory_file(launch.stdin))
            self.streams.append(Stream(b"", output))
            self._given.append(self.streams[1].theirs)
        elif link is not None:
            self._given.append(link)

    def descriptors(self) -> list[int]:
        """What the zygote is to get, in the order of the mode's arguments."""
        return [end if isinstance(end, int) else end.fileno() for end in self._given]

    def handed_over(self) -> None:
        """Close what the child now has copies of, so that its end is seen."""
        while self._given:
            end = self._given.pop()
            if isinstance(end, int):
                os.close(end)
            else:
                end.close()

    def outcome(self, idle: float, marked: int) -> Outcome:
        """How it ended. Its process is dead by now, so all that it wrote is there."""
        assert self.report is not None
        for stream in self.streams:
            stream.pull()
        claims, *stdout = (bytes(stream.received) for stream in self.streams)
        return Outcome(
            self.report, claims, b"".join(stdout), any(stream.overflow for stream in self.streams), idle, marked
        )

    def close(self) -> None:
        """Give everything back."""
        self.handed_over()
        for stream in self.streams:
            stream.socket.close()


def _memory_file(data: bytes) -> int:
    """A descriptor that reads `data`: a file in memory that nobody can change or lengthen any more."""
    descriptor = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
