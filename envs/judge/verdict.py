"""What the judge answers: a verdict on one program, test by test."""

from __future__ import annotations

from dataclasses import dataclass

#: Characters of the longest reason.
MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of one test.

    Attributes:
        passed: whether the program did what the test asks.
        reason: "passed"; "wrong" (another value, a failed assert); "error: ZeroDivisionError: division by zero"
            (what it raised); "timeout" (wall or CPU seconds); "memory"; "output" (it wrote more than it may); "killed"
            (it died, or left the protocol).
    """

    __test__ = False  # pytest: not a test class

    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one program under one suite.

    Attributes:
        tests: a result for each test of the suite, in its order.
        stdout: what the program printed, clipped.
        wall: seconds of wall-clock time that the grading took in the sandbox.
        cpu: seconds of processor time that it took there.
        memory: the most bytes of memory that one of its processes had resident at a time (`ru_maxrss` of wait4(2)).
            That includes the warm interpreter's own, 10 to 40 MB that the process shares with others until it writes to
            them, and leaves out what was allocated and never touched. Programs that shared a process (`sharing`) have
            the same figure.
    """

    tests: tuple[TestResult, ...]
    stdout: str = ""
    wall: float = 0.0
    cpu: float = 0.0
    memory: int = 0

    @property
    def passed(self) -> int:
        """How many tests the program passed."""
        return sum(test.passed for test in self.tests)

    @property
    def total(self) -> int:
        """How many tests there are."""
        return len(self.tests)

    @property
    def score(self) -> float:
        """The fraction of the tests that it passed, in [0, 1]."""
        return self.passed / self.total


def error_reason(name: str, message: str = "") -> str:
    """The reason of a test that ended in an exception: one printable line, whatever the program raised."""
    return "error: " + printable(f"{name}: {message}" if message else name, MAX_REASON - 7)


def printable(text: str, limit: int) -> str:
    """The first `limit` characters of `text` on one line, with whatever could steer a terminal or a log escaped."""
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
