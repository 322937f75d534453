r"""Exact numbers: integers, decimals, fractions, mixed numbers, powers of ten, with their units, as ``Fraction``.

Nothing here is a float, and nothing here can blow up: digits are counted before they are converted, exponents are
bounded (``Fraction("1e999999999")`` would fill the memory), and every regex is linear.
"""

import math
import re
from fractions import Fraction
from typing import NamedTuple

from textmdp.envs.answers.notation import clean
from textmdp.envs.answers.number_words import number_in_words
from textmdp.envs.answers.units import NO_TAIL, Tail, read_tail, same_unit

MAX_DIGITS = 100_000
"""Longer numbers are not converted (they are still equal to themselves, as text)."""
MAX_EXPONENT = 10_000
"""Largest power of ten that is written out."""

_INT = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?: \d{3})+(?! ?\d)|\d+)"
_DECIMAL = rf"(?:{_INT}(?:\.\d*)?|\.\d+)"
_SLASH = rf"(?P<top>{_DECIMAL})\s?/\s?(?P<under>{_DECIMAL})"
_FRAC = rf"\\frac\s?\{{\s?(?P<ftop>-?\s?{_DECIMAL})\s?\}}\s?\{{\s?(?P<funder>-?\s?{_DECIMAL})\s?\}}"
_TEN = r"10\s?\^\s?(?:\{\s?(?P<p1>[+-]?\d+)\s?\}|\(?(?P<p2>[+-]?\d+)\)?)"
_POWER = rf"(?:\s?(?:\\times|\\cdot|\*|x)\s?{_TEN}|[eE](?P<p3>[+-]?\d+))"
_NUMBERS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<whole>\d+)\s?{_FRAC}",
        rf"(?P<whole>\d+) {_SLASH}",
        _FRAC,
        _SLASH,
        r"(?P<start>\d{0,1000}\.\d{0,1000})\\overline\s?\{(?P<repeat>\d{1,1000})\}",
        r"(?P<dotted>\d{0,1000}\.\d{2,1000})\s?\\ldots",
        rf"(?P<plain>{_DECIMAL}){_POWER}",
        _TEN,
        rf"(?P<plain>{_DECIMAL})",
    )
)
_SIGN = re.compile(r"[+-]?\s?")
_DIGITS = re.compile(r"-?\d+")


class Quantity(NamedTuple):
    """An exact number as written."""

    value: Fraction
    """The number, its percent sign left aside."""
    percent: bool
    """True if a percent sign follows."""
    unit: str
    """The unit in one spelling where it is a common one, else ``""``."""
    precision: int
    """Significant digits of a plain decimal with a point (``0.250`` has 3), else 0."""


def _integer(digits: str) -> int:
    """Digits of any length as an integer; ``int`` alone refuses more than 4,300 digits."""
    if len(digits) <= 4000:
        return int(digits)
    half = len(digits) // 2
    return _integer(digits[:-half]) * 10**half + _integer(digits[-half:])


def _decimal(text: str) -> Fraction:
    """``1,000.25`` as a Fraction; the caller has checked form and length."""
    sign = -1 if "-" in text else 1
    whole, _, part = text.replace(",", "").replace(" ", "").replace("-", "").partition(".")
    number = _integer(whole + part or "0")
    return Fraction(sign * number, 10 ** len(part)) if part else Fraction(sign * number)


def parse_quantity(text: str) -> Quantity | None:
    """Read cleaned text as one exact number with an optional percent sign or unit; None where it is not one."""
    if not text or len(text) > MAX_DIGITS + 100:
        return None
    if _DIGITS.fullmatch(text):  # most answers
        return Quantity(Fraction(_integer(text[1:]) * -1 if text[0] == "-" else _integer(text)), False, "", 0)
    if text[-1] in "}." or text[-1].isalpha():
        spoken = _spoken(text)
        if spoken is not None:
            return spoken
    head = _SIGN.match(text)
    assert head is not None
    negative = head[0].startswith("-")
    body = text[head.end() :]
    if body.startswith("(") and body.endswith(")") and body.count("(") == 1:
        inner = body[1:-1].strip()
        if inner.startswith("-"):
            negative, inner = not negative, inner[1:].strip()
        body = inner
    for pattern in _NUMBERS:
        match = pattern.match(body)
        if match is None:
            continue
        rest = body[match.end() :]
        percent = rest.lstrip()[:1] == "%"
        if percent:
            if rest.strip(" .") != "%":
                continue
            tail: Tail | None = NO_TAIL
        else:
            tail = read_tail(rest) if rest else NO_TAIL
        if tail is None:
            continue
        number = _value(match)
        if number is None:
            return None
        plain = match.groupdict().get("plain") or ""
        precision = len(re.sub(r"\D", "", plain).lstrip("0")) if "." in plain and match[0] == plain else 0
        return Quantity((-number if negative else number) * tail.scale, percent, tail.unit, precision)
    return None


def _spoken(text: str) -> Quantity | None:
    """A number in words, with a unit of at most three words behind it: *twenty-five dollars*."""
    if len(text) > 200:
        return None
    words = text.split(" ")
    for count in range(len(words), max(0, len(words) - 4), -1):
        number = number_in_words(" ".join(words[:count]))
        if number is not None:
            tail = read_tail(" " + " ".join(words[count:])) if count < len(words) else NO_TAIL
            return None if tail is None else Quantity(number * tail.scale, False, tail.unit, 0)
    return None


def _value(match: re.Match[str]) -> Fraction | None:
    """The unsigned number of a match of ``_NUMBERS``; None for a zero denominator or a power out of bounds."""
    groups = match.groupdict()
    exponent_text = next((groups[name] for name in ("p1", "p2", "p3") if groups.get(name)), "0")
    if len(exponent_text) > 6 or abs(int(exponent_text)) > MAX_EXPONENT:
        return None
    power = Fraction(10) ** int(exponent_text)
    top, under = groups.get("top") or groups.get("ftop"), groups.get("under") or groups.get("funder")
    if top and under:
        below = _decimal(under)
        if below == 0:
            return None
        return _decimal(top) / below + (_decimal(groups["whole"]) if groups.get("whole") else 0)
    if groups.get("repeat"):  # 0.1666.. is 0.1 and 6/9 of a tenth
        start, repeat = groups["start"], groups["repeat"]
        tail = Fraction(int(repeat), 10 ** len(repeat) - 1) / 10 ** len(start.partition(".")[2])
        return _decimal("0" + start) + tail
    if groups.get("dotted"):
        return _continued(groups["dotted"])
    plain = groups.get("plain")
    return power if plain is None else _decimal(plain) * power


def _continued(digits: str) -> Fraction | None:
    """``0.1666...`` as 1/6: the shortest group of digits that is repeated at the end; None where none is."""
    repeated = re.search(r"(\d)\1\1$|(\d{2,20}?)\2$|\.(\d)\3$", digits)
    if repeated is None:
        return None
    group = repeated[1] or repeated[2] or repeated[3]
    places = len(digits.partition(".")[2])
    return _decimal("0" + digits) + Fraction(int(group), 10 ** len(group) - 1) / 10**places


def parse_number(text: str) -> Fraction | None:
    r"""Read an exact number: ``72``, ``1,000``, ``-3/4``, ``\frac{3}{4}``, ``1 1/2``, ``2.5e-3``, ``$36``, ``5 cm``.

    Args:
        text: any text

    Returns:
        The number, or None where the text is not one exact number. A percent sign divides by 100.

    >>> parse_number("1,000.50"), parse_number(r"$\frac34$"), parse_number("12%"), parse_number("sqrt(2)")
    (Fraction(2001, 2), Fraction(3, 4), Fraction(3, 25), None)
    """
    quantity = parse_quantity(clean(text))
    if quantity is None:
        return None
    return quantity.value / 100 if quantity.percent else quantity.value


def is_number(text: str) -> bool:
    """Return True if :func:`parse_number` can read the text."""
    return parse_number(text) is not None


def same_quantity(gold: Quantity, answer: Quantity) -> bool:
    """Exact equality, with the conventions for percent signs, units and decimals of full double precision."""
    if not same_unit(gold.unit, answer.unit):
        return False
    if gold.percent == answer.percent:
        return same_value(gold, answer)
    # A percent sign is read as a unit or as a division: 10 % answers 10 and 0.1.
    plain, percent = (answer, gold) if gold.percent else (gold, answer)
    return plain.value in (percent.value, percent.value / 100)


def same_value(gold: Quantity, answer: Quantity) -> bool:
    """Equality of the values; a printed double (15 digits and more) stands for the fraction that it rounds."""
    if gold.value == answer.value:
        return True
    if (gold.precision >= 15) == (answer.precision >= 15):
        return False
    double, other = (gold, answer) if gold.precision >= 15 else (answer, gold)
    # Only for what no decimal can write: two decimals, or a decimal and an integer, are compared exactly.
    return not terminates(other.value) and within_last_digit(double, other.value)


def terminates(value: Fraction) -> bool:
    """Return True if the value has a finite decimal expansion."""
    rest = value.denominator
    if rest.bit_length() > 4096:  # far beyond the range of a double: compare exactly
        return True
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def within_last_digit(double: Quantity, value: Fraction) -> bool:
    """Return True if ``value`` is within one unit of the last digit of ``double`` (at most its 16th digit)."""
    if double.value == 0:
        return False
    size = abs(double.value)
    # Position of the leading digit, 10**lead <= size < 10**(lead+1): an estimate from the lengths, then put right.
    lead = math.floor((size.numerator.bit_length() - size.denominator.bit_length()) * math.log10(2)) + 1
    while size < Fraction(10) ** lead:
        lead -= 1
    return abs(double.value - value) < Fraction(10) ** (lead - min(double.precision, 16) + 1)
