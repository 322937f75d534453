"""The judge: programs that a model wrote, graded fast and safely, with verdicts that they can't forge.

```python
from textmdp.envs.judge import Judge, calls

with Judge(workers=2) as judge:
    [verdict] = judge.grade([("def add(x, y): return x + y", calls("add", [((1, 2), {})], expected=[3]))])
    print(verdict.score, verdict.tests)
```

## What is covered

- **The verdict.** Expected values and the source of tests never enter the process that runs a program, nor any
  process that it was forked from; there is nothing to find. A program's process can only claim values, in a format of
  plain data that is read in linear time; the process that asked compares them, driven by what it expects. How a child
  ended is what its parent says, not the child. So exits, objects that equal everything, patched builtins, walks
  through frames, threads and handlers that outlive the call, and lines forged on the wire gain nothing.
- **The machine.** No network of any family; no file but the standard library, read-only, and a scratch directory that
  is emptied after each program; no process, no signal, no shared memory, no environment, no descriptor of the caller.
  Time, memory, output, files and threads are bounded, and whatever runs is killed at its limit.
  `textmdp.envs.judge.tiers` says which layers see to that, and on which machines.
- **The next program.** Each runs in a process of its own, forked from one that never sees a task. With `sharing=True`,
  programs that are plain functions of numbers, texts and lists may follow each other in one process: their compiled
  code is held against a short list of operations and names before any of it runs
  (`textmdp.envs.judge.inside.restricted_subset`).
  Nothing leads from such a program to the interpreter, and what it leaves goes before the next begins. Whatever doesn't
  end there as it would alone (in time, with memory to spare, by no error but its own) is graded again, alone.

## What is not covered

- Bugs of the kernel behind the hundred system calls that are left, of the processor (Spectre and its kin), and of the
  interpreter's own C code, as far as those lead to the kernel. With `sharing=True`, also as far as they lead from one
  plain function to the next: red teams broke longer lists than the present one by such bugs. It is for programs of
  few tokens, such as TextCode generates problems for, and off by default.
- What a program can know from its inputs: it may recognise tests that are public and have their answers by heart.
  Weak tests stay weak.
- Other programs of the same moment: time, caches and the load of the machine are shared, so a program may measure that
  others run, and two that mean to can tell each other a few bits by it. Locks of files, futexes, and the clocks of
  other processes are out of reach.
- The limit of one test among several: a program that writes the judge's lines before their time may take a later test's
  share of the total for an earlier one. The total holds.
- In tier B, `stat` tells whether a file exists and how large it is; no file and no link can be read.
- Assert tests and test modules see plain data: changes that a program makes to its arguments in place, and classes of
  its own, stay with it. The check of an argument in `calls`, and `operations`, are for these.
- The C code of modules that a judge was given (`Judge(modules=("numpy",))`), as little as the interpreter's own.
- A function that compares what programs print (`stdio(compare=…)`) runs in your process, on hostile text.
- With `isolation="process-only-unsafe"` none of the second and third points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textmdp.envs.judge.preambles import LEETCODE
from textmdp.envs.judge.suites import Suite, asserts, calls, operations, stdio
from textmdp.envs.judge.unittests import unittests
from textmdp.envs.judge.verdict import TestResult, Verdict

if TYPE_CHECKING:
    from textmdp.envs.judge.judge import Judge
    from textmdp.envs.judge.slot import InfrastructureError
    from textmdp.envs.judge.tiers import TIERS, JudgeUnavailable

__all__ = [
    "LEETCODE",
    "TIERS",
    "InfrastructureError",
    "Judge",
    "JudgeUnavailable",
    "Suite",
    "TestResult",
    "Verdict",
    "asserts",
    "calls",
    "operations",
    "stdio",
    "unittests",
]


def __getattr__(name: str) -> Any:
    """Import what starts processes when first asked for it."""
    if name == "Judge":
        from textmdp.envs.judge.judge import Judge

        return Judge
    if name in ("TIERS", "JudgeUnavailable"):
        from textmdp.envs.judge import tiers

        return getattr(tiers, name)
    if name == "InfrastructureError":
        from textmdp.envs.judge.slot import InfrastructureError

        return InfrastructureError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
