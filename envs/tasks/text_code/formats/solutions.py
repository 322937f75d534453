"""Runs the canonical solutions of a data set in a judge of their own, for results that the data set does not hold."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from textmdp.envs.judge import stdio

if TYPE_CHECKING:
    from textmdp.envs.judge import Judge

#: Limits of one solution for all its inputs: seconds, and bytes of memory and of output.
WALL, CPU, MEMORY, OUTPUT = 120.0, 60.0, 4 << 30, 1 << 28


class Solutions:
    """Runs programs; the judge starts with the first of them.

    Args:
        isolation: see `textmdp.envs.judge.Judge`.
    """

    def __init__(self, isolation: str = "best") -> None:
        self._isolation = isolation
        self._judge: Judge | None = None

    def run(self, program: str, lines: Sequence[str]) -> list[str]:
        """The lines that a program prints, which reads these.

        Raises:
            JudgeUnavailable: no sandbox can be had.
            RuntimeError: the program failed.
        """
        from textmdp.envs.judge import Judge

        if self._judge is None:
            self._judge = Judge(1, isolation=self._isolation, memory=MEMORY, output=OUTPUT)
        printed: list[str] = []

        def keep(given: str, output: str, expected: str) -> bool:
            printed.append(output)
            return True

        suite = stdio("".join(f"{line}\n" for line in lines), "", compare=keep)
        [verdict] = self._judge.grade([(program, suite)], WALL, CPU)
        if not verdict.tests[0].passed:
            raise RuntimeError(f"it failed in the judge: {verdict.tests[0].reason}")
        return printed[0].splitlines()

    def __enter__(self) -> Solutions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._judge is not None:
            self._judge.close()
