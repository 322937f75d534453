"""The judge: programs that a model wrote, graded fast and safely, with verdicts that they can't forge.

```python
from textmdp.envs.judge import Judge, calls

with Judge(workers=2) as judge:
    [verdict] = judge.grade([("def add(x, y): return x + y", calls("add", [((1, 2), {})], expected=[3]))])
    print(verdict.score, verdict.tests)
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textmdp.envs.judge.suites import Suite, asserts, calls, stdio
from textmdp.envs.judge.verdict import TestResult, Verdict

if TYPE_CHECKING:
    from textmdp.envs.judge.judge import Judge
    from textmdp.envs.judge.tiers import TIERS, JudgeUnavailable

__all__ = ["TIERS", "Judge", "JudgeUnavailable", "Suite", "TestResult", "Verdict", "asserts", "calls", "stdio"]


def __getattr__(name: str) -> Any:
    """Import what starts processes when first asked for it."""
    if name == "Judge":
        from textmdp.envs.judge.judge import Judge

        return Judge
    if name in ("TIERS", "JudgeUnavailable"):
        from textmdp.envs.judge import tiers

        return getattr(tiers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
