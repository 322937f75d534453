"""Scores of programs from the judge's verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from textmdp.envs.core.task import Future, Reply, Score
from textmdp.envs.judge.suites import Asserts, Calls, Suite
from textmdp.envs.judge.verdict import Verdict
from textmdp.envs.tasks.text_code.generator.generate import Exercise
from textmdp.envs.tasks.text_code.problem import CodeProblem

#: The reasons of the tests of a program that is not valid Python.
_INVALID_PYTHON = ("error: SyntaxError", "error: IndentationError", "error: TabError")


def suites(problem: CodeProblem) -> tuple[Suite, ...]:
    """The tests of a problem, the hidden ones first; in one suite if possible, which saves a run."""
    hidden, visible = problem.hidden, problem.visible
    if visible is None:
        return (hidden,)
    if not isinstance(hidden, Calls) or not isinstance(visible, Calls):
        return hidden, visible
    joined = replace(hidden, inputs=hidden.inputs + visible.inputs, expected=hidden.expected + visible.expected)
    if replace(joined, inputs=visible.inputs, expected=visible.expected) != visible:  # another tolerance, say
        return hidden, visible
    return (joined,)


#: Bytes that a call may return where the tests are statements, which don't say: HumanEval+ has results of megabytes.
STATEMENTS = 8 << 20


def longest_expected(problem: CodeProblem) -> int:
    """Bytes of the longest value, or output, that a test of the problem expects; `STATEMENTS` where tests don't say."""
    longest = [
        STATEMENTS if isinstance(suite, Asserts) else max(len(text.encode()) for text in suite.expected)
        for suite in suites(problem)
    ]
    return max(longest)


class Scoring(NamedTuple):
    """The rule that makes scores of verdicts."""

    reward: str
    """The part that is the reward: "passed" or "solved"."""
    measure_runtime: bool
    """True for the metric `runtime`."""

    def score(self, problem: CodeProblem, verdicts: Sequence[Verdict]) -> Score:
        """The score of a program from the verdicts on the `suites` of its problem.

        Raises:
            RuntimeError: the verdicts do not cover every test, so the score is unknown.
        """
        tests = [test for verdict in verdicts for test in verdict.tests]
        hidden, visible = tests[: len(problem.hidden)], tests[len(problem.hidden) :]
        shown = 0 if problem.visible is None else len(problem.visible)
        if not hidden or len(tests) != len(problem.hidden) + shown:
            raise RuntimeError(
                f"the judge returned {len(tests)} results for {len(problem.hidden)} hidden and {shown} visible tests "
                f"of {problem.entry or 'a program'!r}: without all of them there is no score"
            )
        passed = sum(test.passed for test in hidden) / len(hidden)
        compiles = not all(test.reason.startswith(_INVALID_PYTHON) for test in tests)
        runtime = sum(verdict.cpu for verdict in verdicts) if self.measure_runtime else None
        return _score(passed, float(compiles), float(all(test.passed for test in visible)), runtime, self.reward)

    def reference_score(self) -> Score:
        """The score of a program that is known to pass all tests; it has no runtime."""
        return _score(1.0, 1.0, 1.0, None, self.reward)


class GradedReply:
    """The reply to a program that the judge grades; a `Future`.

    Args:
        state: the problem.
        pending: the verdicts to come; None for the reference, which needs no grading.
        scoring: the rule that makes a score of them.
    """

    def __init__(self, state: Exercise, pending: Future[list[Verdict]] | None, scoring: Scoring) -> None:
        self._state, self._pending, self._scoring = state, pending, scoring

    def result(self) -> Reply[Exercise]:
        """Wait for the verdicts and return the reply; raises like `Pending.result` if there are none."""
        if self._pending is None:
            score = self._scoring.reference_score()
        else:
            score = self._scoring.score(self._state.problem, self._pending.result())
        return Reply(self._state, "", score, True)

    def cancel(self) -> None:
        """Withdraw the program if it is not graded yet; `result` then raises."""
        if self._pending is not None:
            self._pending.cancel()


@lru_cache(maxsize=1 << 12)
def _score(passed: float, compiles: float, examples: float, runtime: float | None, reward: str) -> Score:
    """The score of these parts, cached."""
    parts = {"passed": passed, "solved": float(passed == 1.0), "compiles": compiles, "passes_examples": examples}
    if runtime is not None:
        parts["runtime"] = runtime
    return Score(parts, {reward: 1.0})
