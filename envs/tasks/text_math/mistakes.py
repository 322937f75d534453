"""Common mistakes in arithmetic: sums without the carry, differences without the sign."""

from __future__ import annotations

import re

_SUM = re.compile(r"([0-9]+)([+-])([0-9]+)=")
_LAST_DIGIT = re.compile(r"[0-9](?=[^0-9]*\Z)")


def common_mistake(question: str, answer: str) -> str:
    """The answer without the carry, the borrow and the minus sign.

    It is right if there are none. For questions other than a sum of two numbers, the last digit is one too high.

    Args:
        question: a question of arithmetic, such as "37+45=".
        answer: its answer.

    >>> common_mistake("37+45=", "82"), common_mistake("37+42=", "79"), common_mistake("52-17=", "35")
    ('72', '79', '45')
    >>> common_mistake("12-45=", "-33"), common_mistake("7*(2+3)=", "35")
    ('33', '36')
    """
    operands = _SUM.fullmatch(question)
    if operands is None:
        careless = _LAST_DIGIT.sub(lambda digit: str((int(digit[0]) + 1) % 10), answer.removeprefix("-"))
        # A denominator must not become zero, and 0/1 must not become 0/2.
        return careless if not re.search(r"/0*\Z", careless) else f"{careless[:-1]}2"
    low, high = sorted((int(operands[1]), int(operands[3])))
    places = range(len(str(high)))
    digits = [(high // 10**place % 10, low // 10**place % 10) for place in places]
    sign = 1 if operands[2] == "+" else -1
    return str(sum((a + sign * b) % 10 * 10**place for place, (a, b) in zip(places, digits, strict=True)))
