"""A sheet of work: lines that are written one after the other, of which one may err."""

from __future__ import annotations

from fractions import Fraction
from typing import TypeVar

Number = TypeVar("Number", int, Fraction)


class Work:
    """Collects the steps of one way to work a problem.

    A way computes every number through `write` and goes on with the number it returns. So if one step errs, all later
    steps are consistent with the error.

    Args:
        error_at: index of the computed number that is wrong; None for right work.
        error: the error of its value, such as 1 or -1.

    >>> work = Work(error_at=0, error=1)
    >>> total = work.write("7+8=", 15)
    >>> work.write(f"{total}+3=", total + 3), work.steps
    (19, ['7+8=16', '16+3=19'])
    """

    def __init__(self, error_at: int | None = None, error: int = 1) -> None:
        self.steps: list[str] = []
        self.numbers = 0  # computed so far
        self._error_at, self._error = error_at, error

    def write(self, before: str, value: Number, after: str = "") -> Number:
        """Write a step, such as `7+8=15`, and return its value, which is wrong in the step that errs.

        Args:
            before: text before the value.
            value: the right value.
            after: text behind the value.
        """
        if self.numbers == self._error_at:
            # Numbers from 0 on stay so, as columns of digits need.
            value += self._error if value + self._error >= 0 or value < 0 else -self._error
        self.numbers += 1
        self.steps.append(f"{before}{value}{after}")
        return value

    def write_digit(self, before: str, value: int, after: str = "") -> int:
        """`write` for a value that is a digit, also where it is wrong."""
        if self.numbers == self._error_at:
            value = (value + self._error) % 10
        self.numbers += 1
        self.steps.append(f"{before}{value}{after}")
        return value

    def note(self, text: str) -> None:
        """Write a step that computes nothing, such as the question in another form."""
        self.steps.append(text)
