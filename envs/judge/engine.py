"""The thread that drives a judge's slots: a queue of jobs in, verdicts out.

One thread in each process waits for all slots at once, whichever threads submit; so grading goes on while they decode.
A process that was forked gets an engine of its own and leaves the other's alone.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any

from textmdp.envs.judge.grading import Grading, Request, Sizes, grading
from textmdp.envs.judge.inside.sandbox import Layers
from textmdp.envs.judge.runs import Outcome
from textmdp.envs.judge.slot import InfrastructureError, Slot, SlotDied, SlotUnavailable
from textmdp.envs.judge.verdict import Verdict

REMEMBERED = 4096
"""Verdicts that are kept for the same program under the same suite and limits."""
TOGETHER = 16
"""The most programs that share a child."""
_FLEETING = frozenset({"timeout", "memory", "killed"})  # reasons that may differ next time: not remembered


class Pending:
    """Verdicts to come, as `Judge.submit` returns them."""

    def __init__(self, engine: Engine, count: int) -> None:
        self._engine = engine
        self._process = os.getpid()
        self._verdicts: list[Verdict | None] = [None] * count
        self._left = count
        self._error: Exception | None = None
        self._done = threading.Event()
        if not count:
            self._done.set()

    def done(self) -> bool:
        """Whether `result` has something to return or to raise."""
        return self._done.is_set()

    def result(self, timeout: float | None = None) -> list[Verdict]:
        """Wait for the verdicts, in the order of what was submitted.

        Whatever interrupts it (Ctrl-C) withdraws the submission: its programs are killed.

        Raises:
            TimeoutError: after `timeout` seconds; the grading goes on, ask again or `cancel`.
            InfrastructureError: where no interpreter starts, or the one that graded was lost twice.
            RuntimeError, OSError: where it could not be graded for another reason, such as a judge that was closed.
        """
        if not self._done.is_set() and self._process != os.getpid():
            raise RuntimeError("these programs were submitted before the fork; submit them again in this process")
        try:
            done = self._done.wait(timeout)
        except BaseException:
            self.cancel()
            raise
        if not done:
            raise TimeoutError(f"not graded within {timeout} s")
        if self._error is not None:
            raise self._error
        verdicts = [verdict for verdict in self._verdicts if verdict is not None]
        if len(verdicts) < len(self._verdicts):
            raise InfrastructureError(
                f"{len(self._verdicts) - len(verdicts)} of {len(self._verdicts)} programs have no verdict: a mistake "
                "of the judge's, please report it; submit them again, to a new judge"
            )
        return verdicts

    def cancel(self) -> None:
        """Withdraw what is not graded yet; `result` raises then."""
        self._engine.withdraw(self)

    def settle(self, index: int, verdict: Verdict) -> None:
        """For the engine: one verdict is there."""
        self._verdicts[index] = verdict
        self._left -= 1
        if not self._left:
            self._done.set()

    def fail(self, error: Exception) -> None:
        """For the engine: there will be no verdicts."""
        if not self._done.is_set():
            self._error = error
            self._done.set()


class _Job:
    """One request that is queued or running, and who waits for it."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.waiting: list[tuple[Pending, int]] = []
        self.alone = not request.may_share()
        self.deaths = 0  # of slots at work on it alone
        self.failures = 0  # to have one at all


class _Worker(Slot):
    """A slot, and the jobs that it is at."""

    jobs: Sequence[_Job] = ()
    steps: Grading


class Engine:
    """Grades on up to `workers` slots; starts its thread and them when first needed.

    Args:
        workers: the most slots
        layers: what confines programs
        memory, output: bytes for each program
        installed: modules for programs that name one of them, as `modules.located` writes them
    """

    def __init__(self, workers: int, layers: Layers, memory: int, output: int, installed: str = "") -> None:
        self._installed = installed
        self._limit = workers
        self._layers = layers
        self._memory = memory
        self._output = output
        self._lock = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._queue: deque[_Job] = deque()
        self._jobs: dict[Request, _Job] = {}
        self._verdicts: OrderedDict[Request, Verdict] = OrderedDict()
        self._selector = selectors.PollSelector()  # keeps nothing in the kernel that a fork would share
        self._workers: list[_Worker] = []
        self._bells: tuple[socket.socket, ...] = ()  # what is written to the second wakes the thread

    def submit(self, groups: Sequence[Sequence[Request]]) -> list[Pending]:
        """Queue what was not graded before and is not being graded now."""
        submitted = [Pending(self, len(requests)) for requests in groups]
        with self._lock:
            if self._closed:
                raise RuntimeError("this judge was closed; make another one")
            for pending, requests in zip(submitted, groups, strict=True):
                for index, request in enumerate(requests):
                    known = self._verdicts.get(request)
                    if known is not None:
                        self._verdicts.move_to_end(request)
                        pending.settle(index, known)
                        continue
                    job = self._jobs.get(request)
                    if job is None:
                        job = self._jobs[request] = _Job(request)
                        self._queue.append(job)
                    job.waiting.append((pending, index))
            if self._queue:
                self._wake()
        return submitted

    def withdraw(self, pending: Pending) -> None:
        """Forget a submission; what nobody else waits for is taken from the queue, or killed."""
        with self._lock:
            pending.fail(RuntimeError("this submission was withdrawn"))
            for request, job in list(self._jobs.items()):
                job.waiting = [wait for wait in job.waiting if wait[0] is not pending]
                if not job.waiting:
                    del self._jobs[request]
            if not self._closed:
                self._wake()

    def close(self) -> None:
        """Kill all slots and end the thread; what was not graded fails."""
        with self._lock:
            thread = self._thread
            closed, self._closed = self._closed, True  # before the bell rings: it does not ring again
            if thread is not None and not closed:
                self._wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _wake(self) -> None:
        """Make the thread look at the queue; start it where there is none. The lock is held."""
        if self._thread is None:
            self._bells = socket.socketpair()
            for bell in self._bells:
                bell.setblocking(False)
            self._selector.register(self._bells[0], selectors.EVENT_READ)
            self._thread = threading.Thread(target=self._drive, name="judge", daemon=True)
            self._thread.start()
        with contextlib.suppress(BlockingIOError):  # it has been rung often enough
            self._bells[1].send(b"!")

    def _drive(self) -> None:
        error: Exception = RuntimeError("the judge was closed before this was graded")
        try:
            while not self._closed:
                self._assign()
                deadline = min((worker.deadline for worker in self._workers), default=float("inf"))
                wait = None if deadline == float("inf") else max(0.0, deadline - time.monotonic()) + 0.01
                for key, events in self._selector.select(wait):
                    if key.data is None:
                        self._bells[0].recv(4096)
                    elif self._selector.get_map().get(key.fd) is key:  # not so when its slot was closed just now
                        worker, handle = key.data
                        self._guarded(worker, handle, events)
                now = time.monotonic()
                for worker in self._workers:
                    if now > worker.deadline:
                        self._guarded(worker, worker.expire)
        except Exception as failure:  # a mistake of ours: those who wait are to hear of it
            error = failure
        finally:
            with self._lock:
                self._closed = True
                jobs, self._jobs = self._jobs, {}
                self._queue.clear()
            for worker in self._workers:
                worker.close()
            for end in self._bells:
                end.close()
            for job in jobs.values():
                for pending, _ in job.waiting:
                    pending.fail(error)

    def _assign(self) -> None:
        """Give jobs to slots that have none, new slots among them; stop what nobody waits for any more."""
        for worker in self._workers:
            if worker.jobs and not any(job.waiting for job in worker.jobs):
                worker.close()
                worker.jobs = ()
        while True:
            idle = next((worker for worker in self._workers if not worker.jobs), None)
            with self._lock:
                if not self._queue or (idle is None and len(self._workers) == self._limit):
                    return
                jobs = self._next()
            if not jobs:
                continue
            if idle is None:
                idle = _Worker(self._layers, self._memory, self._selector, self._installed)
                self._workers.append(idle)
            idle.jobs = jobs
            idle.steps = grading([job.request for job in jobs], Sizes(self._memory, self._output))
            self._guarded(idle, self._advance, idle, None)

    def _next(self) -> list[_Job]:
        """Take a job from the queue, or several that follow each other and may share a child: a slot's part of them, or
        a few, since to begin and to end takes a child as long as half a dozen of them.
        """
        jobs: list[_Job] = []
        room = min(TOGETHER, max(TOGETHER // 2, -(-len(self._queue) // self._limit)))
        while self._queue and len(jobs) < room:
            job = self._queue[0]
            if jobs and (job.alone or jobs[0].alone or job.request[2:] != jobs[0].request[2:]):
                break
            self._queue.popleft()
            if job.waiting:
                jobs.append(job)
        return jobs

    def _guarded(self, worker: _Worker, action: Callable[..., None], *args: Any) -> None:
        """Do something for a slot and take the consequences: a verdict, the next step, another slot, an error."""
        try:
            action(*args)
            outcomes = worker.outcomes()
            if outcomes is not None:
                self._advance(worker, outcomes)
        except Exception as error:
            worker.close()
            jobs, worker.jobs = worker.jobs, ()  # none where it died idle: its successor is started when there is work
            for job in reversed(jobs):
                job.failures += isinstance(error, SlotUnavailable)
                job.deaths += isinstance(error, SlotDied) and len(jobs) == 1
                if not isinstance(error, (SlotDied, SlotUnavailable)) or job.failures == 2:
                    self._fail(job, error)
                elif job.deaths == 2:
                    self._fail(job, _lost(error))
                else:
                    self._again(job)

    def _again(self, job: _Job) -> None:
        """Put a job first in the queue, to be graded alone."""
        job.alone = True
        with self._lock:
            self._queue.appendleft(job)

    def _advance(self, worker: _Worker, outcomes: list[Outcome] | None) -> None:
        try:
            launches = next(worker.steps) if outcomes is None else worker.steps.send(outcomes)
        except StopIteration as end:
            jobs, worker.jobs = worker.jobs, ()
            for job, verdict in zip(reversed(jobs), reversed(end.value), strict=True):
                if verdict is None:
                    self._again(job)
                else:
                    self._settle(job, verdict)
        else:
            worker.begin(launches)

    def _settle(self, job: _Job, verdict: Verdict) -> None:
        with self._lock:
            self._forget(job)
            if _FLEETING.isdisjoint(test.reason for test in verdict.tests):
                self._verdicts[job.request] = verdict
                if len(self._verdicts) > REMEMBERED:
                    self._verdicts.popitem(last=False)
            for pending, index in job.waiting:
                pending.settle(index, verdict)

    def _fail(self, job: _Job, error: Exception) -> None:
        with self._lock:
            self._forget(job)
            for pending, _ in job.waiting:
                pending.fail(error)

    def _forget(self, job: _Job) -> None:
        if self._jobs.get(job.request) is job:  # and not a later one, after this was withdrawn
            del self._jobs[job.request]

    def abandon_after_fork(self) -> None:
        """In a process that was forked from the engine's: let go of everything without touching what is shared."""
        self._closed = True
        for worker in self._workers:
            worker.abandon_after_fork()
        for end in self._bells:
            end.close()


def _lost(error: Exception) -> InfrastructureError:
    """The error of a program whose interpreter was lost for the second time, each time with no other program in it."""
    failure = InfrastructureError(
        f"the interpreter that graded a program was lost twice ({error}): this says nothing about the program, so "
        "there is no verdict. Programs can't end it; something else did, often the kernel for want of memory (dmesg). "
        "Give the machine more memory, or the judge fewer `workers` or less `memory` for each, and grade it again"
    )
    failure.__cause__ = error
    return failure
