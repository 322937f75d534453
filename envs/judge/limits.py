"""Limits of time: seconds for each test, and for all tests of a suite, whatever their order.

Two kinds are limited alike: processor time, which decides, and idle time, in which a program neither computes nor waits
for a processor. Idle time only guards against programs that sleep or are blocked; what a busy machine takes from a
program is neither.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Allowance(NamedTuple):
    """Seconds of one kind that a child may spend on the tests that it runs, one after the other.

    Attributes:
        test: the most for one test.
        total: the most for all of them.
        reserve: what a test leaves of the total for each that follows it.
    """

    test: float
    total: float
    reserve: float = 0.0

    def cap(self, following: int) -> float:
        """The most that the child may have spent in all when so many tests follow the one that it is at."""
        return max(0.0, self.total - self.reserve * following)


class Budget:
    """Seconds of one kind for a suite.

    A test may spend `test` seconds, half of the total by default. What then remains of the total is reserved for the
    others in equal parts, so that tests that run into their limits leave something to those after them.

    Args:
        total: seconds for all tests.
        test: seconds for each; None for half of the total, or all of it for a single test.
        count: how many tests there are.
    """

    def __init__(self, total: float, test: float | None, count: int) -> None:
        if test is None:
            test = total / 2 if count > 1 else total
        self._test = min(test, total)
        self._reserve = (total - self._test) / (count - 1) if count > 1 else 0.0
        self._left = total

    def allowance(self) -> Allowance:
        """What a child may spend now."""
        return Allowance(self._test, self._left, self._reserve)

    def spend(self, seconds: float) -> None:
        """Take off what a child has spent."""
        self._left = max(0.0, self._left - seconds)

    @property
    def exhausted(self) -> bool:
        """True if nothing is left."""
        return self._left <= 0.0


def check_limits(wall: float, cpu: float, test_wall: float | None = None, test_cpu: float | None = None) -> None:
    """Raise ValueError for limits that are no positive numbers of seconds, or for a test's above those of all tests."""
    for name, total, test in (("wall", wall, test_wall), ("cpu", cpu, test_cpu)):
        if not 0 < total < math.inf:
            raise ValueError(f"{name}={total} must be a positive number of seconds")
        if test is not None and not 0 < test <= total:
            raise ValueError(
                f"test_{name}={test} must be positive seconds, at most those of all tests ({name}={total}): "
                f"lower it, or raise {name}"
            )
