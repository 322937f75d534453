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
from textmdp.envs.judge.limits import Allowance, Budget
from textmdp.envs.judge.outputs import PASSED, WRONG, compared
from textmdp.envs.judge.runs import Launch, Limits, Outcome
from textmdp.envs.judge.suites import Asserts, Calls, Stdio, Suite
from textmdp.envs.judge.verdict import TestResult, Verdict, error_reason

#: Yields children to run at the same time, is sent how they ended, returns the verdict.
Steps = Generator[Sequence[Launch], Sequence[Outcome], Verdict]
#: The same for several programs; None for those that have to be graded alone.
Grading = Generator[Sequence[Launch], Sequence[Outcome], Sequence[Verdict | None]]

STDOUT = 8 * 1024
"""Characters kept of what a program printed."""

FEW = 8
"""Tests for a child after one that has not ended well."""

PATIENCE = 0.5
"""Seconds in which programs that share a child must be done, all of them: they take some milliseconds. The others have
the limits that were asked for, alone."""

KILLED = TestResult(False, "killed")
TIMEOUT = TestResult(False, "timeout")
OUTPUT = TestResult(False, "output")
MEMORY = TestResult(False, "memory")
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


class Sizes(NamedTuple):
    """Limits of each child, in bytes: of its memory, and of what it returns or prints."""

    memory: int
    output: int


class Budgets(NamedTuple):
    """What a suite may spend: idle time, and processor time."""

    wall: Budget
    cpu: Budget

    def allowances(self) -> tuple[Allowance, Allowance]:
        """What a child may spend now."""
        return self.wall.allowance(), self.cpu.allowance()

    def spend(self, idle: float, cpu: float) -> None:
        """Take off what children have spent."""
        self.wall.spend(idle)
        self.cpu.spend(cpu)

    @property
    def exhausted(self) -> bool:
        """True if nothing is left of one of them."""
        return self.wall.exhausted or self.cpu.exhausted


class Request(NamedTuple):
    """What is to be graded: equal requests have equal verdicts. Seconds of `wall` and `cpu` are for the whole suite,
    those of `test_wall` and `test_cpu` for each test (None: see `limits.Budget`); `output`: the most bytes of what a
    test returns or prints, None for the judge's own; `sharing` says whether it may be in
    one child with others.
    """

    program: str
    suite: Suite
    wall: float
    cpu: float
    sharing: bool
    test_wall: float | None = None
    test_cpu: float | None = None
    output: int | None = None

    def budgets(self) -> Budgets:
        """What its tests may spend."""
        count = len(self.suite)
        return Budgets(Budget(self.wall, self.test_wall, count), Budget(self.cpu, self.test_cpu, count))

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


def grading(requests: Sequence[Request], sizes: Sizes) -> Grading:
    """The steps that grade one program, or several that `may_share` and have the same limits.

    Args:
        requests: what to grade
        sizes: limits of each child
    """
    sizes = sizes._replace(output=requests[0].output or sizes.output)
    return _grade_alone(requests[0], sizes) if len(requests) == 1 else _grade_together(requests, sizes)


def _grade_alone(request: Request, sizes: Sizes) -> Grading:
    if isinstance(request.suite, Calls):
        steps = _grade_calls(request.program, request.suite, request.budgets(), sizes)
    elif isinstance(request.suite, Asserts):
        steps = _grade_asserts(request.program, request.suite, request.budgets(), sizes)
    else:
        steps = _grade_stdio(request.program, request.suite, request.budgets(), sizes)
    return [(yield from steps)]


def _grade_together(requests: Sequence[Request], sizes: Sizes) -> Grading:
    of_calls = [(request.program, request.suite) for request in requests if isinstance(request.suite, Calls)]
    payload = "\n".join(suite.program_payload(program, sizes.output) for program, suite in of_calls).encode("ascii")
    wall, cpu = (min(limit, PATIENCE) for limit in (requests[0].wall, requests[0].cpu))
    limits = Limits(Allowance(wall, wall), Allowance(cpu, cpu), sizes.output, steps=1, tests=1)
    [outcome] = yield [Launch("calls", payload, limits, imports=False)]
    verdicts: list[Verdict | None] = [None] * len(of_calls)
    if outcome.report.maxrss > sizes.memory / 2:  # one may have had less than it may have
        return verdicts
    for index, (lines, end) in enumerate(_parts(outcome.claims)[: len(of_calls)]):
        verdicts[index] = _shared_verdict(of_calls[index][1], lines, end, outcome.report.maxrss)
    return verdicts


class _Tally:
    """The results of a suite's tests as they come, over as many children as it takes.

    A child runs all the tests that are left. Where it ends before it has said what became of one, that one fails if it
    was the child's first and had its due of time; else it runs again, as the first of another child. So a test that
    loops, crashes, or floods costs itself and no other, wherever it stands. Children after that run `FEW` tests, and
    twice as many each time that all goes well: their inputs are sent again and again otherwise.
    """

    def __init__(self, count: int, budgets: Budgets) -> None:
        self.results: list[TestResult] = []
        self.stdout = ""
        self._count = count
        self._budgets = budgets
        self._first = 0  # test of the present child
        self._room = count
        self._was_killed = False
        self._wall = self._cpu = 0.0
        self._memory = 0

    def next_test(self) -> int | None:
        """The test to go on with; None if all have a result, as they do when no time is left: "timeout"."""
        if self._budgets.exhausted:
            self.fail_rest(TIMEOUT)
        self._first = len(self.results)
        return self._first if self._first < self._count else None

    def room(self) -> int:
        """How many tests the next child is to run."""
        return min(self._room, self._count - self._first)

    def spend(self, outcomes: Sequence[Outcome]) -> None:
        """Count what children have used that ran at the same time."""
        reports = [outcome.report for outcome in outcomes]
        self._room *= 2
        self._budgets.spend(outcomes[0].idle, max(report.cpu for report in reports))
        self._wall += max(report.wall for report in reports)
        self._cpu += sum(report.cpu for report in reports)
        self._memory = max(self._memory, *(report.maxrss for report in reports))

    def print(self, text: str) -> None:
        """Keep the last of what was printed."""
        self.stdout = (self.stdout + text)[-STDOUT:]

    def fail_rest(self, result: TestResult) -> None:
        """Give all tests that have no result this one."""
        self.results += [result] * (self._count - len(self.results))

    def interrupted(self, outcome: Outcome, result: TestResult, loaded: bool, lines: int) -> None:
        """A child has ended without a word on the next test.

        Args:
            outcome: how.
            result: what this makes of the test that it was at.
            loaded: whether the program was loaded before.
            lines: how many steps it has ended.
        """
        self._room = FEW
        progressed = len(self.results) > self._first
        killed = outcome.report.why == "signal" and outcome.report.code == signal.SIGKILL and result == KILLED
        if result == TIMEOUT:
            again = progressed and lines > outcome.marked  # so it had a part of a limit that had begun before
        elif killed:  # from outside, unless the program can do so itself
            again = progressed or not self._was_killed
        else:
            again = progressed
        self._was_killed = killed and not progressed
        if not again and not loaded and not progressed:
            self.fail_rest(result)
        elif not again:
            self.results.append(result)

    def verdict(self) -> Verdict:
        """The verdict, when all is done."""
        return Verdict(tuple(self.results), self.stdout, self._wall, self._cpu, self._memory)


def _grade_calls(program: str, suite: Calls, budgets: Budgets, sizes: Sizes) -> Steps:
    tally = _Tally(len(suite), budgets)
    while (first := tally.next_test()) is not None:
        count = tally.room()
        payload = suite.program_payload(program, sizes.output, first, count).encode("ascii")
        limits = Limits(*budgets.allowances(), sizes.output, steps=1 + count, tests=len(suite) - first, prepared=1)
        [outcome] = yield [Launch("calls", payload, limits, _imports(program, suite))]
        tally.spend([outcome])
        lines = _lines(outcome.claims, count + 2)
        results, stdout = _call_results(suite, lines, first, count)
        tally.results += results
        tally.print(stdout)
        if len(results) < count:
            tally.interrupted(outcome, _missing(outcome, sizes.memory), lines[:1] == [b"loaded"], len(lines))
    return tally.verdict()


def _call_results(suite: Calls, lines: list[bytes], first: int, count: int) -> tuple[list[TestResult], str]:
    """What became of so many calls from the first on, as far as something was claimed, and what was printed."""
    results: list[TestResult] = []
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
            results.append(_compared(suite.expected[first + len(results)], content, suite.tolerance))
        elif kind == b"output":
            results.append(OUTPUT)
        elif kind != b"loaded" or results:
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


def _shared_verdict(suite: Calls, lines: list[bytes], end: bytes, memory: int) -> Verdict | None:
    """The verdict on one of several programs; None where it was not run, or may have ended otherwise than alone."""
    results, stdout = _call_results(suite, lines, 0, len(suite))
    if len(results) < len(suite) or not all(map(_is_own, results)):
        return None
    try:
        wall, cpu = map(float, end.split()[1:])
    except ValueError:
        return None
    return Verdict(tuple(results), stdout, wall, cpu, memory)


def _is_own(result: TestResult) -> bool:
    """Whether a result is a value, or an error that a restricted program raises by itself."""
    kind, _, error = result.reason.partition(": ")
    return kind in ("passed", "wrong") or (kind == "error" and error.partition(":")[0] in _OWN_ERRORS.split())


def _grade_asserts(program: str, suite: Asserts, budgets: Budgets, sizes: Sizes) -> Steps:
    tally = _Tally(len(suite), budgets)
    served_payload = suite.program_payload(program, sizes.output).encode("ascii")
    while (first := tally.next_test()) is not None:
        count = tally.room()
        payload = suite.tests_payload(sizes.output, first, count).encode("ascii")
        limits = Limits(*budgets.allowances(), sizes.output, steps=count, tests=len(suite) - first)
        served, tested = yield [
            Launch("served", served_payload, limits, _imports(program, suite)),
            Launch("tests", payload, limits, imports=True),
        ]
        tally.spend([served, tested])
        loaded = False
        for line in _lines(served.claims, 2):
            kind, _, content = line.partition(b" ")
            if kind == b"load" and not loaded:
                tally.fail_rest(_error(content))
            elif kind == b"stdout":
                tally.print(_printed(content))
            loaded |= kind == b"loaded"
        if tally.next_test() is None:
            break
        lines = _lines(tested.claims, count)
        results = _test_results(lines)
        tally.results += results
        if len(results) < count:
            # It is owed to whichever did not end by itself: the program first, since the tests wait for it.
            odd = served if tested.report.why == "exit" and not tested.overflow else tested
            odd = served if served.report.why != "exit" else odd
            too_long = lines[len(results) : len(results) + 1] == [b"output"]
            result = OUTPUT if too_long else _missing(odd, sizes.memory)
            tally.interrupted(odd, result, loaded, len(results))
    return tally.verdict()


def _test_results(lines: list[bytes]) -> list[TestResult]:
    """What became of the tests until the program was lost."""
    results = []
    for line in lines:
        kind, _, content = line.partition(b" ")
        if kind == b"passed":
            results.append(PASSED)
        elif kind == b"failed":
            error = _error(content)
            results.append(WRONG if error.reason.startswith("error: AssertionError") else error)
        else:
            break
    return results


def _grade_stdio(program: str, suite: Stdio, budgets: Budgets, sizes: Sizes) -> Steps:
    payload, imports = suite.program_payload(program).encode("ascii"), _imports(program, suite)
    tally = _Tally(len(suite), budgets)
    while (case := tally.next_test()) is not None:
        given, expected = suite.stdin[case], suite.expected[case]
        limits = Limits(*budgets.allowances(), sizes.output, steps=1, tests=len(suite) - case)
        [outcome] = yield [Launch("stdio", payload, limits, imports, given.encode())]
        tally.spend([outcome])
        printed = outcome.stdout.decode("utf-8", "surrogateescape")
        tally.print(printed.encode("utf-8", "replace").decode())
        if outcome.report.why != "exit" or outcome.overflow:
            tally.interrupted(outcome, _missing(outcome, sizes.memory), True, 0)
        else:
            odd = _status_result(outcome)
            tally.results.append(odd or compared(given, printed, expected, suite.compare, suite.tolerance))
    return tally.verdict()


def _status_result(outcome: Outcome) -> TestResult | None:
    """The result of a program that ended by itself with a status other than 0; None for the others."""
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
        return PASSED if claims.matches(_expected_tree(expected), claims.parse(claimed, None), tolerance) else WRONG
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
                return MEMORY if memory else TestResult(False, error_reason(name, message))
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
        return TIMEOUT
    if outcome.overflow:
        return OUTPUT
    if report.why == "signal" and report.code in _MEMORY_SIGNALS and report.maxrss > 0.9 * memory:
        return MEMORY
    return KILLED
