"""From a program and a suite to a verdict: which children to run, and what to make of what they claim.

Each kind of suite is a generator that yields the children to run at the same time, is sent their outcomes, and returns
the verdict. It knows nothing of processes, so it is here that the trust ends: expected values stay in these frames, and
whatever comes back is a claim.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Generator, Sequence
from functools import lru_cache

from textmdp.envs.judge import claims
from textmdp.envs.judge.runs import Launch, Outcome
from textmdp.envs.judge.suites import Asserts, Calls, Stdio, Suite
from textmdp.envs.judge.verdict import TestResult, Verdict, error_reason

#: Yields children to run at the same time, is sent how they ended, returns the verdict.
Grading = Generator[Sequence[Launch], Sequence[Outcome], Verdict]

STDOUT = 8 * 1024
"""Characters kept of what a program printed."""

PASSED = TestResult(True, "passed")
WRONG = TestResult(False, "wrong")
KILLED = TestResult(False, "killed")
#: What a process dies of that runs out of memory without a MemoryError.
_MEMORY_SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
_MAX_ERROR = 8 * 1024  # bytes of a claimed exception
_MAX_STDOUT = 64 * 1024  # bytes of the claim that holds what was printed


def grading(program: str, suite: Suite, wall: float, cpu: float, memory: int) -> Grading:
    """The steps that grade a program.

    Args:
        program: source text, whatever it holds
        suite: what to test
        wall, cpu: limits of the whole grading, in seconds
        memory: limit of each child, in bytes
    """
    if isinstance(suite, Calls):
        return _grade_calls(program, suite, wall, cpu, memory)
    if isinstance(suite, Asserts):
        return _grade_asserts(program, suite, wall, cpu, memory)
    return _grade_stdio(program, suite, wall, cpu, memory)


def all_killed(suite: Suite) -> Verdict:
    """The verdict on a program that brought down its judge twice."""
    return Verdict((KILLED,) * len(suite))


def _grade_calls(program: str, suite: Calls, wall: float, cpu: float, memory: int) -> Grading:
    payload = "\n".join([json.dumps([suite.entry, program]), *suite.inputs]).encode("ascii")
    [outcome] = yield [Launch("calls", payload, wall, cpu, _imports(program))]
    results: list[TestResult] = []
    stdout, count = "", len(suite)
    for line in _lines(outcome.claims, count + 1):
        kind, _, content = line.partition(b" ")
        if kind == b"stdout":
            stdout = _printed(content)
            break
        if len(results) == count:
            break
        if kind == b"load" and not results:
            results = [_error(content)] * count
        elif kind == b"error":
            results.append(_error(content))
        elif kind == b"ok":
            results.append(_compared(suite.expected[len(results)], content, suite.tolerance))
        else:
            break
    if len(results) < count:
        results += [_missing(outcome, memory)] * (count - len(results))
    return Verdict(tuple(results), stdout, outcome.report.wall, outcome.report.cpu)


def _grade_asserts(program: str, suite: Asserts, wall: float, cpu: float, memory: int) -> Grading:
    served, tested = yield [
        Launch("served", json.dumps([suite.entry, program]).encode("ascii"), wall, cpu, _imports(program)),
        Launch("tests", json.dumps([suite.entry, suite.setup, suite.tests]).encode("ascii"), wall, cpu, imports=True),
    ]
    results: list[TestResult] = []
    stdout = ""
    for line in _lines(served.claims, 2):
        kind, _, content = line.partition(b" ")
        if kind == b"load":
            results = [_error(content)] * len(suite)
        elif kind == b"stdout":
            stdout = _printed(content)
    for line in _lines(tested.claims, len(suite))[len(results) :]:
        kind, _, content = line.partition(b" ")
        if kind == b"passed":
            results.append(PASSED)
        elif kind == b"failed":
            error = _error(content)
            results.append(WRONG if error.reason.startswith("error: AssertionError") else error)
        elif kind == b"output":
            results += [TestResult(False, "output")] * (len(suite) - len(results))
        else:  # the program was lost
            break
    if len(results) < len(suite):
        # The rest is owed to whichever did not end by itself: the program first, since the tests wait for it.
        odd = served if tested.report.why == "exit" and not tested.overflow else tested
        odd = served if served.report.why != "exit" else odd
        results += [_missing(odd, memory)] * (len(suite) - len(results))
    wall = max(served.report.wall, tested.report.wall)
    return Verdict(tuple(results), stdout, wall, served.report.cpu + tested.report.cpu)


def _grade_stdio(program: str, suite: Stdio, wall: float, cpu: float, memory: int) -> Grading:
    payload, imports = json.dumps(program).encode("ascii"), _imports(program)
    results: list[TestResult] = []
    stdout = ""
    spent_wall = spent_cpu = 0.0
    for given, expected in zip(suite.stdin, suite.expected, strict=True):
        if spent_wall >= wall or spent_cpu >= cpu:
            results.append(TestResult(False, "timeout"))
            continue
        [outcome] = yield [Launch("stdio", payload, wall - spent_wall, cpu - spent_cpu, imports, given.encode())]
        spent_wall += outcome.report.wall
        spent_cpu += outcome.report.cpu
        printed = outcome.stdout.decode("utf-8", "surrogateescape")
        stdout = (stdout + printed.encode("utf-8", "replace").decode())[-STDOUT:]
        results.append(_script_result(outcome, printed, expected, memory))
    return Verdict(tuple(results), stdout, spent_wall, spent_cpu)


def _script_result(outcome: Outcome, printed: str, expected: str, memory: int) -> TestResult:
    if outcome.report.why != "exit" or outcome.overflow:
        return _missing(outcome, memory)
    if outcome.report.code:
        for line in _lines(outcome.claims, 1):
            return _error(line.partition(b" ")[2])
        return TestResult(False, error_reason("exit status", str(outcome.report.code)))
    return PASSED if _shown(printed) == _shown(expected) else WRONG


def _shown(text: str) -> list[str]:
    """The lines of a text without what can't be seen: blanks at the ends of lines, and empty lines at the end."""
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _imports(program: str) -> bool:
    """Whether a program may import something. That it hides the word costs it time, no more."""
    return "import" in program


def _lines(claimed: bytes, at_most: int) -> list[bytes]:
    """The first lines, without what comes after the last line break."""
    return claimed.split(b"\n", at_most)[:-1]


def _compared(expected: str, claimed: bytes, tolerance: float | None) -> TestResult:
    # The same line is the same value, but for what equals nothing: NaN, and some of what stands in objects.
    if claimed == expected.encode("ascii") and b"NaN" not in claimed and b"{" not in claimed:
        return PASSED
    try:
        return PASSED if claims.matches(_expected_tree(expected), claims.parse(claimed), tolerance) else WRONG
    except claims.ClaimError:
        return KILLED


@lru_cache(1024)
def _expected_tree(line: str) -> claims.Tree:
    return claims.parse(line, None)


def _error(claimed: bytes) -> TestResult:
    try:
        match claims.parse(claimed, _MAX_ERROR):
            case [str(name), str(message), str(base)]:
                memory = "MemoryError" in (name, base)
                return TestResult(False, "memory" if memory else error_reason(name, message))
    except claims.ClaimError:
        pass
    return KILLED


def _printed(claimed: bytes) -> str:
    try:
        text = claims.parse(claimed, _MAX_STDOUT)
    except claims.ClaimError:
        return ""
    return text[-STDOUT:].encode("utf-8", "replace").decode() if isinstance(text, str) else ""


def _missing(outcome: Outcome, memory: int) -> TestResult:
    """Why a child did not say what became of a test."""
    report = outcome.report
    if report.why in ("wall", "cpu"):
        reason = "timeout"
    elif outcome.overflow:
        reason = "output"
    elif report.why == "signal" and report.code in _MEMORY_SIGNALS and report.maxrss > 0.9 * memory:
        reason = "memory"
    else:
        reason = "killed"
    return TestResult(False, reason)
