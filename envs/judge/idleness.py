"""The idle time of children: seconds in which they neither compute nor wait for a processor.

Wall-clock time would depend on what else the machine does. Linux counts for each thread how long it has run and how
long it has waited for a processor (`/proc/PID/schedstat`); the rest of the time it was asleep. A process that somebody
has stopped (SIGSTOP) is not idle either. Where the kernel does not say (gVisor; a /proc that hides processes), idle
time is wall-clock time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

STOPPED_SECONDS = 60.0
"""The longest that a stopped process is waited for; then it counts as idle."""


class IdleClock:
    """Counts the idle time of the children of some zygotes, one each.

    Args:
        zygotes: for each zygote, the process that was started for it.
        depth: how many generations below that process its child is: 1, or 2 with a keeper in between.

    Attributes:
        seconds: the idle time so far. While several children run, they are idle when all of them are.
        stopped: the time in which they were stopped.
    """

    def __init__(self, zygotes: Sequence[int], depth: int) -> None:
        self.seconds = self.stopped = 0.0
        self._zygotes = zygotes
        self._depth = depth
        self._elapsed = 0.0
        self._busy = 0.0
        self._threads: dict[str, int] = {}
        self._states = ""

    def advance(self, seconds: float) -> None:
        """Take account of so many seconds that have passed."""
        threads: dict[str, int] = {}
        self._states = ""
        for zygote in self._zygotes:
            child = _descendant(zygote, self._depth)
            if child is not None:
                threads |= _busy(child)
                self._states += _state(child)
        # Threads come and go, and what has gone is in no file.
        self._busy += sum(max(0, spent - self._threads.get(thread, 0)) for thread, spent in threads.items()) / 1e9
        self._threads = threads
        if ("T" in self._states or "t" in self._states) and self.stopped < STOPPED_SECONDS:
            self.stopped += seconds
            return
        self._elapsed += seconds
        # A thread's waiting is counted when it ends, so the idle time may turn out to have been less.
        self.seconds = max(0.0, self._elapsed - self._busy)

    @property
    def is_idle(self) -> bool:
        """Whether, when the time was last advanced, no child ran, waited for a processor, or was stopped."""
        running = "R" in self._states
        return not running and (self.stopped >= STOPPED_SECONDS or not {"T", "t"} & set(self._states))


def _descendant(process: int, depth: int) -> int | None:
    """The first child of the first child and so on; None where there is none, or nobody says."""
    try:
        for _ in range(depth):
            with open(f"/proc/{process}/task/{process}/children") as file:
                process = int(file.read().split()[0])
    except (OSError, IndexError):
        return None
    return process


def _busy(process: int) -> dict[str, int]:
    """For each thread, nanoseconds in which it ran or waited for a processor."""
    threads = {}
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/schedstat") as file:
                ran, waited, _ = file.read().split()
            threads[thread] = int(ran) + int(waited)
    except (OSError, ValueError):  # it ends just now, or nobody says
        pass
    return threads


def _state(process: int) -> str:
    """The states of its threads, a letter each; "" where nobody says."""
    states = ""
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/stat") as file:
                states += file.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        pass
    return states
