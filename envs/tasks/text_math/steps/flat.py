"""Ways to work sums, differences and products of two numbers, and sums modulo 10."""

from __future__ import annotations

import re

from textmdp.envs.tasks.text_math.steps.columns import add_signed, multiply
from textmdp.envs.tasks.text_math.steps.work import Work

_PAIR = re.compile(r"(\d+)([+\-*])(\d+)=")


def operands(question: str) -> tuple[int, str, int]:
    """The two numbers and the sign of a question such as `12-45=`."""
    match = _PAIR.fullmatch(question)
    assert match is not None, question
    return int(match[1]), match[2], int(match[3])


def count(work: Work, question: str) -> str:
    """3+9: from 9 on, one more three times; 3-9: from 3 down, nine times."""
    a, sign, b = operands(question)
    total, times = (max(a, b), min(a, b)) if sign == "+" else (a, b)
    if not times:
        total = work.write(f"{total}{sign}0=", total)
    for _ in range(times):
        total = work.write(f"{total}{sign}1=", total + 1 if sign == "+" else total - 1)
    return str(total)


def ten(work: Work, question: str) -> str:
    """8+7: up to 10, and the rest; 3-9: down to 0, and the rest."""
    a, sign, b = operands(question)
    edge = 10 - a if sign == "+" else a
    if 0 < edge < b:
        total = work.write(f"{a}{sign}{edge}=", 10 if sign == "+" else 0)
        b -= edge
    else:
        total = a
    return str(work.write(f"{total}{sign}{b}=", total + b if sign == "+" else total - b))


def columns(work: Work, question: str) -> str:
    """Column by column from the right."""
    a, sign, b = operands(question)
    return str(add_signed(work, a, b if sign == "+" else -b))


def places(work: Work, question: str) -> str:
    """47+38: 47+30, and 8 more; the smaller from the larger number, if the difference is negative."""
    a, sign, b = operands(question)
    negative = sign == "-" and a < b
    total, rest = (b, a) if negative else (a, b)
    for power in range(len(str(rest)) - 1, -1, -1):
        part = rest // 10**power % 10 * 10**power
        if part:
            total = work.write(f"{total}{sign}{part}=", total + part if sign == "+" else total - part)
    return str(-total if negative else total)


def rows(work: Work, question: str) -> str:
    """17*63: the rows 17*3 and 17*6, digit by digit with carries, and their sum."""
    a, _, b = operands(question)
    return str(multiply(work, a, b))


def parts(work: Work, question: str) -> str:
    """17*63: the partial products 17*3 and 17*60, each at once, and their sum."""
    a, _, b = operands(question)
    return str(multiply_parts(work, a, b))


def multiply_parts(work: Work, a: int, b: int) -> int:
    """Work a*b by a partial product for each digit of b that is not 0, each added to the sum so far."""
    total, place = None, 1
    while b:
        b, digit = divmod(b, 10)
        if digit:
            product = work.write(f"{a}*{digit * place}=", a * digit * place)
            total = product if total is None else work.write(f"{total}+{product}=", total + product)
        place *= 10
    return total or 0


def totals(work: Work, question: str) -> str:
    """(6+9+1+7)%10: the first digit, and the last digit of each sum so far, `6 5 6 3`."""
    return _running(work, question, 1)


def pairs(work: Work, question: str) -> str:
    """(6+9+1+7)%10: the first digit, and the last digit after every second summand and at the end, `6 6 3`."""
    return _running(work, question, 2)


def _running(work: Work, question: str, stride: int) -> str:
    digits = [int(digit) for digit in question.partition(")")[0] if digit.isdigit()]
    total = work.write_digit("", digits[0])
    for start in range(1, len(digits), stride):
        total = work.write_digit("", (total + sum(digits[start : start + stride])) % 10)
    return str(total)
