"""Sums, differences, products and quotients of natural numbers as they are worked on paper, digit by digit."""

from __future__ import annotations

from textmdp.envs.tasks.text_math.steps.work import Work


def add(work: Work, a: int, b: int) -> int:
    """Work a+b column by column from the right: a digit of each, and the carry.

    >>> work = Work()
    >>> add(work, 68, 57), work.steps
    (125, ['8+7=15', '6+5+1=12'])
    """
    total, place, carry = 0, 1, 0
    while a and b:
        (a, x), (b, y) = divmod(a, 10), divmod(b, 10)
        column = work.write(f"{x}+{y}+{carry}=" if carry else f"{x}+{y}=", x + y + carry)
        if not (a or b):
            return total + column * place
        carry, digit = divmod(column, 10)
        total, place = total + digit * place, 10 * place
    rest = a or b
    if carry:
        rest = work.write(f"{rest}+{carry}=", rest + carry)
    return total + rest * place


def subtract(work: Work, a: int, b: int) -> int:
    """Work a-b, for a at least b, column by column from the right, with borrows.

    >>> work = Work()
    >>> subtract(work, 52, 17), work.steps
    (35, ['12-7=5', '5-1-1=3'])
    """
    total, place, borrow = 0, 1, 0
    while b:
        (a, x), (b, y) = divmod(a, 10), divmod(b, 10)
        top = x + 10 if x < y + borrow else x
        total += place * work.write_digit(f"{top}-{y}-1=" if borrow else f"{top}-{y}=", top - y - borrow)
        borrow, place = int(top != x), 10 * place
    if borrow:
        a = work.write(f"{a}-1=", a - 1)
    return total + a * place


def add_signed(work: Work, a: int, b: int) -> int:
    """Work a+b for numbers of any sign: the sum of the amounts, or the smaller from the larger one."""
    if (a < 0) == (b < 0):
        total = add(work, abs(a), abs(b))
        return -total if a < 0 else total
    larger, smaller = (a, b) if abs(a) >= abs(b) else (b, a)
    difference = subtract(work, abs(larger), abs(smaller))
    return -difference if larger < 0 else difference


def multiply(work: Work, a: int, b: int) -> int:
    """Work a*b: a row for each digit of the shorter number, and the sum of the rows.

    >>> work = Work()
    >>> multiply(work, 17, 63), work.steps
    (1071, ['7*3=21', '1*3+2=5', '17*3=51', '7*6=42', '1*6+4=10', '17*6=102', '51+1020=1071'])
    """
    if len(str(a)) < len(str(b)):
        a, b = b, a
    if b < 10:
        return by_digit(work, a, b)
    total, place = None, 1
    while b:
        b, digit = divmod(b, 10)
        if digit:
            row = by_digit(work, a, digit)
            if a >= 10:
                row = work.write(f"{a}*{digit}=", row)
            row *= place
            total = row if total is None else work.write(f"{total}+{row}=", total + row)
        place *= 10
    return total or 0


def by_digit(work: Work, a: int, digit: int) -> int:
    """Work a*digit from the right, with carries."""
    total, place, carry = 0, 1, 0
    while True:
        a, x = divmod(a, 10)
        column = work.write(f"{x}*{digit}+{carry}=" if carry else f"{x}*{digit}=", x * digit + carry)
        if not a:
            return total + column * place
        carry, last = divmod(column, 10)
        total, place = total + last * place, 10 * place


def divide(work: Work, a: int, b: int) -> int:
    """Work a/b, for b that divides a, by long division: each step is the part divided, `b*digit`, and the rest.

    >>> work = Work()
    >>> divide(work, 51, 3), work.steps
    (17, ['5=3*1+2', '21=3*7+0'])
    """
    quotient = rest = 0
    for digit in str(a):
        part = 10 * rest + int(digit)
        if part < b and not quotient and part != a:
            rest = part
            continue
        times, rest = divmod(part, b)
        quotient = 10 * quotient + work.write_digit(f"{part}={b}*", times, f"+{rest}")
    return quotient
