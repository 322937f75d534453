"""The judge: grades programs that nobody trusts against suites, many at a time, in warm sandboxed interpreters.

Three parties: the process that uses the judge owns the expected values, the deadlines and the comparison; a zygote (see
`inside/zygote.py`) knows no task at all; its child runs one program and claims what came of it. A verdict rests on what
the first compares and on how the second says that the third ended, never on what the third says of itself.
"""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections.abc import Sequence
from types import TracebackType

from textmdp.envs.judge import tiers
from textmdp.envs.judge.engine import Engine, Pending, Request
from textmdp.envs.judge.limits import check_limits
from textmdp.envs.judge.modules import located
from textmdp.envs.judge.suites import Asserts, Calls, Stdio, Suite
from textmdp.envs.judge.verdict import Verdict

#: Bytes of address space that an interpreter needs before it runs anything.
MIN_MEMORY = 64 << 20


class Judge:
    """Grades programs against suites.

    Cheap to make: nothing is started before the first program. May be used from many threads at once, and by
    processes that were forked (each starts its own slots) or that it was pickled to. Equal programs under equal suites
    and limits are graded once, and remembered unless the clock or the machine had a say in the verdict.

    Args:
        workers: how many programs run at the same time; None for one more than there are cores, since some sleep.
        isolation: "best" for the best tier that this machine offers, one of `tiers.TIERS` for exactly that, or
            "process-only-unsafe" for none: verdicts can't be forged then either, but a program may read and
            write what the user may, so it is for programs that you trust, and warns.
        min_tier: the lowest tier that "best" may settle for.
        memory: bytes of address space for each program.
        output: the most bytes of one value that a program returns, or of what it prints to its standard output in a
            case of a `stdio` suite.
        modules: names of installed modules, such as `("numpy",)`, that programs and tests may import besides the
            standard library. Those that name one of them are forked from interpreters that have imported it before
            their files got out of reach, so a part that is imported later needs a name of its own (`"scipy.stats"`).
            A module's C code is then in reach of programs, as the interpreter's is. Scalars of numpy that a program
            returns are compared as numbers, arrays as lists.

    Raises:
        JudgeUnavailable: at first use, where no such tier can be had, naming what is missing and the remedy.
        ModuleNotFoundError: where one of the modules is not installed.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        isolation: str = "best",
        min_tier: str = "C",
        memory: int = 1 << 30,
        output: int = 1 << 20,
        modules: Sequence[str] = (),
    ) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"workers must be at least 1, or None for one more than there are cores; got {workers}")
        if memory < MIN_MEMORY:
            raise ValueError(f"memory must be at least {MIN_MEMORY} bytes, the interpreter's own; got {memory}")
        if output < 1:
            raise ValueError(f"output must be at least 1 byte, got {output}")
        tiers.check_names(isolation, min_tier)
        self.workers = workers or _cores() + 1
        self.isolation = isolation
        self.min_tier = min_tier
        self.memory = memory
        self.output = output
        self.modules = (modules,) if isinstance(modules, str) else tuple(modules)
        located(modules)
        self._reset()
        if isolation == tiers.UNSAFE:
            warnings.warn(
                'isolation="process-only-unsafe": programs that this judge runs can read and write all that you can; '
                'use it for programs that you trust, and isolation="best" for any other',
                RuntimeWarning,
                stacklevel=2,
            )

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._tier: str | None = None
        self._engine: Engine | None = None
        self._finalizer: weakref.finalize[[], Judge] | None = None
        self._closed = False
        _judges.add(self)

    @property
    def tier(self) -> str:
        """The tier that programs are confined with (see `tiers.TIERS`); "none" where that was asked for."""
        with self._lock:
            if self._tier is None:
                self._tier = tiers.choose(self.isolation, self.min_tier)
            return self._tier

    def grade(
        self,
        programs: Sequence[tuple[str, Suite]],
        wall: float = 3.0,
        cpu: float = 2.0,
        *,
        test_wall: float | None = None,
        test_cpu: float | None = None,
        output: int | None = None,
        sharing: bool = False,
    ) -> list[Verdict]:
        """The verdict on each program, in the order given.

        A test that loops, sleeps or crashes costs itself: the others go on in a fresh process, and the score is the
        same wherever it stands. What a busy machine takes from a program counts for neither limit.

        Args:
            programs: pairs of source text, whatever a model wrote, and the suite to test it with
            wall: seconds in which each program may be idle (asleep or blocked), in all its tests together
            cpu: seconds of processor time for each program, all its tests together
            test_wall, test_cpu: the same for each test; None for half of the total where there are several tests. The
                first test includes loading the program. The rest of the total is reserved for the other tests in equal
                parts: with `cpu=2` and three tests one may take 1 second, and each other is sure of half a second.
            output: as the judge's own, for these programs; None for that
            sharing: whether those that are plain functions of numbers and lists may follow each other in one process:
                several times as fast, and no more apart than an interpreter can keep them (see `textmdp.envs.judge`)

        Raises:
            JudgeUnavailable: where the sandbox can't be had.
            InfrastructureError: where no interpreter starts, or the one that graded was lost twice: never a verdict.
            RuntimeError, OSError: where it could not be graded for another reason, such as a judge that was closed.
        """
        return self.submit(
            programs, wall, cpu, test_wall=test_wall, test_cpu=test_cpu, output=output, sharing=sharing
        ).result()

    def submit(
        self,
        programs: Sequence[tuple[str, Suite]],
        wall: float = 3.0,
        cpu: float = 2.0,
        *,
        test_wall: float | None = None,
        test_cpu: float | None = None,
        output: int | None = None,
        sharing: bool = False,
    ) -> Pending:
        """As `grade`, without waiting: `submit(…).result()` is `grade(…)`."""
        return self.submit_each(
            [programs], wall, cpu, test_wall=test_wall, test_cpu=test_cpu, output=output, sharing=sharing
        )[0]

    def submit_each(
        self,
        groups: Sequence[Sequence[tuple[str, Suite]]],
        wall: float = 3.0,
        cpu: float = 2.0,
        *,
        test_wall: float | None = None,
        test_cpu: float | None = None,
        output: int | None = None,
        sharing: bool = False,
    ) -> list[Pending]:
        """As `submit` for each of several groups of programs; faster, since more of them wait at the same time."""
        check_limits(wall, cpu, test_wall, test_cpu)
        if output is not None and output < 1:
            raise ValueError(f"output must be at least 1 byte, or None for the judge's own; got {output}")
        requests: list[list[Request]] = []
        for programs in groups:
            requests.append([])
            for program, suite in programs:
                if not isinstance(program, str) or not isinstance(suite, (Calls, Asserts, Stdio)):
                    raise TypeError(
                        "a program must be a pair (source text, suite made by calls, asserts or stdio), "
                        f"got ({type(program).__name__}, {type(suite).__name__})"
                    )
                requests[-1].append(
                    Request(program, suite, float(wall), float(cpu), bool(sharing), test_wall, test_cpu, output)
                )
        return self._running().submit(requests)

    def _running(self) -> Engine:
        tier = self.tier
        with self._lock:
            if self._closed:
                raise RuntimeError("this judge was closed; make another one")
            if self._engine is None:
                self._engine = Engine(self.workers, tiers.layers(tier), self.memory, self.output, located(self.modules))
                self._finalizer = weakref.finalize(self, self._engine.close)
            return self._engine

    def close(self) -> None:
        """End all processes. Programs that are being graded get no verdict: whoever waits for them gets an error."""
        with self._lock:
            self._closed = True
            finalizer = self._finalizer
        if finalizer is not None:
            finalizer()

    def __enter__(self) -> Judge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._reset()

    def _forked(self) -> None:
        """In a process that was just forked: the slots are the other's, and locks may be held by threads left there."""
        if self._finalizer is not None:
            self._finalizer.detach()
        if self._engine is not None:
            self._engine.abandon_after_fork()
        closed, tier = self._closed, self._tier
        self._reset()
        self._closed, self._tier = closed, tier


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_judges: weakref.WeakSet[Judge] = weakref.WeakSet()


def _forked() -> None:
    for judge in list(_judges):
        judge._forked()


os.register_at_fork(after_in_child=_forked)
