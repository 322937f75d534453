"""From programs and suites to verdicts: which children to run, and what to make of what they claim.

Each kind of suite is a generator that yields the children to run at the same time, is sent their outcomes, and returns
the verdict. It knows nothing of processes, so it is here that the trust ends: expected values stay in these frames, and
whatever comes back is a claim.

Several programs may share a child that found each in the restricted subset (`inside/restricted_subset.py`). What was
not run there, or did not end as if it had been alone, has no verdict yet, and is graded alone.
"""

from __future__ import annotations

import signal
from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import NamedTuple

from textmdp.envs.judge import claims
from textmdp.envs.judge.outputs import PASSED, WRONG, compared
from textmdp.envs.judge.runs import Launch, Outcome
from textmdp.envs.judge.suites import Asserts, Calls, Stdio, Suite
from textmdp.envs.judge.verdict import TestResult, Verdict, error_reason

#: Yields children to run at the same time, is sent how they ended, returns the verdict.
Steps = Generator[Sequence[Launch], Sequence[Outcome], Verdict]
#: The same for several programs; None for those that have to be graded alone.
Grading = Generator[Sequence[Launch], Sequence[Outcome], Sequence[Verdict | None]]

STDOUT = 8 * 1024
"""Characters kept of what a program printed."""

PATIENCE = 0.5
"""Seconds in which programs that share a child must be done, all of them: they take some milliseconds. The others have
the limits that were asked for, alone."""

KILLED = TestResult(False, "killed")
#: What a process dies of that runs out of memory without a MemoryError.
_MEMORY_SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
_MAX_ERROR = 8 * 1024  # bytes of a claimed exception
_MAX_STDOUT = 64 * 1024  # bytes of the claim that holds what was printed


#: Words that few restricted programs have, which need not be tried then. It is no matter of trust: the child finds out.
_UNRESTRICTED = ("import", "class", "__", "try:", "yield")
#: Characters of the longest program that is worth a try.
_LONGEST = 4096
#: What restricted programs raise by themselves. Other errors may be due to the child: with few builtins Python 3.12
#: can't divide huge numbers, which imports a module, and of memory and depth others may have left less.
_OWN_ERRORS = """
    AttributeError IndentationError IndexError NameError OverflowError SyntaxError TabError TypeError UnboundLocalError
    ValueError ZeroDivisionError
"""


class Request(NamedTuple):
    """What is to be graded: equal requests have equal verdicts. Seconds are for the whole suite; `sharing` says whether
    it may be in one child with others.
    """

    program: str
    suite: Suite
    wall: float
    cpu: float
    sharing: bool

    def may_share(self) -> bool:
        """Whether it is to be tried. Arguments must be numbers, texts and lists: then a line has two objects, the tuple
        of positional and the dict of named ones.
        """
        if not self.sharing or not isinstance(self.suite, Calls) or len(self.program) > _LONGEST:
            return False
        if self.suite.check != "result" or self.suite.preamble:
            return False
        plain = all(line.count("{") == 2 for line in self.suite.inputs)
        return plain and not any(word in self.program for word in _UNRESTRICTED)


def grading(requests: Sequence[Request], memory: int) -> Grading:
    """The steps that grade one program, or several that `may_share` and have the same limits.

    Args:
        requests: what to grade
        memory: limit of each child, in bytes
    """
    return _grade_alone(requests[0], memory) if len(requests) == 1 else _grade_together(requests, memory)


def _grade_alone(request: Request, memory: int) -> Grading:
    program, suite, wall, cpu, _ = request
    if isinstance(suite, Calls):
        steps = _grade_calls(program, suite, wall, cpu, memory)
    elif isinstance(suite, Asserts):
        steps = _grade_asserts(program, suite, wall, cpu, memory)
    else:
        steps = _grade_stdio(program, suite, wall, cpu, memory)
    return [(yield from steps)]


def _grade_together(requests: Sequence[Request], memory: int) -> Grading:
    of_calls = [(request.program, request.suite) for request in requests if isinstance(request.suite, Calls)]
    payload = "\n".join(suite.program_payload(program) for program, suite in of_calls).encode("ascii")
    wall, cpu = (min(limit, PATIENCE) for limit in (requests[0].wall, requests[0].cpu))
    [outcome] = yield [Launch("calls", payload, wall, cpu, imports=False)]
    verdicts: list[Verdict | None] = [None] * len(of_calls)
    if outcome.report.maxrss > memory / 2:  # one may have had less than it may have
        return verdicts
    for index, (lines, end) in enumerate(_parts(outcome.claims)[: len(of_calls)]):
        verdicts[index] = _shared_verdict(of_calls[index][1], lines, end)
    return verdicts


def _grade_calls(program: str, suite: Calls, wall: float, cpu: float, memory: int) -> Steps:
    payload = suite.program_payload(program).encode("ascii")
    [outcome] = yield [Launch("calls", payload, wall, cpu, _imports(program, suite))]
    results, stdout = _call_results(suite, _lines(outcome.claims, len(suite) + 1))
    if len(results) < len(suite):
        results += [_missing(outcome, memory)] * (len(suite) - len(results))
    return Verdict(tuple(results), stdout, outcome.report.wall, outcome.report.cpu)


def _call_results(suite: Calls, lines: list[bytes]) -> tuple[list[TestResult], str]:
    """What became of the calls that something was claimed about, and what was printed."""
    results: list[TestResult] = []
    count = len(suite)
    for line in lines:
        kind, _, content = line.partition(b" ")
        if kind == b"stdout":
            return results, _printed(content)
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
    return results, ""


def _parts(claimed: bytes) -> list[tuple[list[bytes], bytes]]:
    """The lines about each of several programs, and the line that ended them."""
    parts = []
    lines: list[bytes] = []
    for line in claimed.split(b"\n")[:-1]:
        if line == b"alone" or line.startswith(b"end "):
            parts.append((lines, line))
            lines = []
        else:
            lines.append(line)
    return parts


def _shared_verdict(suite: Calls, lines: list[bytes], end: bytes) -> Verdict | None:
    """The verdict on one of several programs; None where it was not run, or may have ended otherwise than alone."""
    results, stdout = _call_results(suite, lines)
    if len(results) < len(suite) or not all(map(_is_own, results)):
        return None
    try:
        wall, cpu = map(float, end.split()[1:])
    except ValueError:
        return None
    return Verdict(tuple(results), stdout, wall, cpu)


def _is_own(result: TestResult) -> bool:
    """Whether a result is a value, or an error that a restricted program raises by itself."""
    kind, _, error = result.reason.partition(": ")
    return kind in ("passed", "wrong") or (kind == "error" and error.partition(":")[0] in _OWN_ERRORS.split())


def _grade_asserts(program: str, suite: Asserts, wall: float, cpu: float, memory: int) -> Steps:
    served, tested = yield [
        Launch("served", suite.program_payload(program).encode("ascii"), wall, cpu, _imports(program, suite)),
        Launch("tests", suite.tests_payload().encode("ascii"), wall, cpu, imports=True),
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


def _grade_stdio(program: str, suite: Stdio, wall: float, cpu: float, memory: int) -> Steps:
    payload, imports = suite.program_payload(program).encode("ascii"), _imports(program, suite)
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
        unusual = _unusual_end(outcome, memory)
        results.append(unusual or compared(given, printed, expected, suite.compare, suite.tolerance))
    return Verdict(tuple(results), stdout, spent_wall, spent_cpu)


def _unusual_end(outcome: Outcome, memory: int) -> TestResult | None:
    """The result of a program that did not end by itself, or not with status 0; None for the others."""
    if outcome.report.why != "exit" or outcome.overflow:
        return _missing(outcome, memory)
    if outcome.report.code:
        for line in _lines(outcome.claims, 1):
            return _error(line.partition(b" ")[2])
        return TestResult(False, error_reason("exit status", str(outcome.report.code)))
    return None


def _imports(program: str, suite: Suite) -> bool:
    """Whether a program may import something. That it hides the word costs it time, no more."""
    return "import" in program or "import" in suite.preamble


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
