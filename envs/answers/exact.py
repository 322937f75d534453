r"""Exact numbers: integers, decimals, fractions, mixed numbers, powers of ten, with their units, as ``Fraction``.

Nothing here is a float, and nothing here can blow up: digits are counted before they are converted, exponents are
bounded (``Fraction("1e999999999")`` would fill the memory), and every regex is linear.
"""

import math
import re
from fractions import Fraction
from typing import NamedTuple

from textmdp.envs.answers.notation import clean

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
        rf"(?P<plain>{_DECIMAL}){_POWER}",
        _TEN,
        rf"(?P<plain>{_DECIMAL})",
    )
)
_SIGN = re.compile(r"[+-]?\s?")
_DIGITS = re.compile(r"-?\d+")
_SCALE = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
UNITS = {
    name: canonical
    for canonical, names in {
        "m": "m meter meters metre metres",
        "cm": "cm centimeter centimeters centimetre centimetres",
        "mm": "mm millimeter millimeters",
        "km": "km kilometer kilometers kilometre kilometres",
        "in": "inch inches",
        "ft": "ft foot feet",
        "mi": "mi mile miles",
        "s": "s sec secs second seconds",
        "min": "min mins minute minutes",
        "h": "h hr hrs hour hours",
        "day": "day days",
        "week": "week weeks",
        "month": "month months",
        "year": "yr yrs year years",
        "g": "g gram grams",
        "kg": "kg kilogram kilograms",
        "lb": "lb lbs pound pounds",
        "l": "l L liter liters litre litres",
        "ml": "ml mL milliliter milliliters",
        "dollar": "dollar dollars usd USD",
        "cent": "cent cents",
        "mph": "mph",
        "degree": "degree degrees",
        "radian": "rad radian radians",
        "am": "am AM Am",
        "pm": "pm PM Pm",
    }.items()
    for name in names.split()
}
"""Common units: every spelling with the one it stands for."""
# The rest of "15 \text{cm}^{2}", "125 miles", "60 km/h", "17\text{ any text}": words, small powers, no other digits.
_TEXT = re.compile(r"\\text\s?\{([^{}\d]*)\}")
_UNIT_REST = re.compile(r"[a-zA-Z \-/.'^()&]*(?:\^\s?\{?-?[1-9]\}?)?[a-zA-Z \-/.]*")
_JOINS = re.compile(r"(?<![a-zA-Z])(?:and|or|not|to|plus|minus|times|over|sqrt|if|is|per)(?![a-zA-Z])")


class Quantity(NamedTuple):
    """An exact number as written."""

    value: Fraction
    """The number, its percent sign left aside."""
    percent: bool
    """Whether a percent sign followed."""
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


def _unit(rest: str) -> str | None:
    """Name of the unit in ``rest`` (``""`` for none or an uncommon one), or None where it is no unit at all."""
    marked = "\\text" in rest
    words = _TEXT.sub(r" \1 ", rest).replace(r"^{\circ}", " degrees ").strip(" .")
    if not words:
        return ""
    if _UNIT_REST.fullmatch(words) is None or _JOINS.search(words) or len(words) > 200:
        return None
    name = UNITS.get(words) or UNITS.get(words.lower())
    if name is not None:
        return name
    # "5x" and "5 x" are products; a unit is a word, or is set as \text, or is a power of a known unit.
    base, _, power = words.partition("^")
    if base.strip() in UNITS:
        return f"{UNITS[base.strip()]}^{power.strip('{}')}"
    return "" if marked or (re.match(r"[a-zA-Z]{3}", words) and rest[0] == " ") else None


def parse_quantity(text: str) -> Quantity | None:
    """Read cleaned text as one exact number with an optional percent sign or unit; None where it is not one."""
    if not text or len(text) > MAX_DIGITS + 100:
        return None
    if _DIGITS.fullmatch(text):  # most answers
        return Quantity(Fraction(_integer(text[1:]) * -1 if text[0] == "-" else _integer(text)), False, "", 0)
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
        percent, scale, unit = False, 0, ""
        if rest:
            stripped = rest.strip()
            word, _, after = stripped.partition(" ")
            if stripped[:1] == "%":
                percent, stripped = True, stripped[1:].strip(" .")
                if stripped:
                    continue
            elif word in _SCALE and rest[0] == " ":
                scale, rest = _SCALE[word], (" " + after if after else "")
            if not percent:
                found = _unit(rest)
                if found is None:
                    continue
                unit = found
        number = _value(match)
        if number is None:
            return None
        plain = match.groupdict().get("plain") or ""
        precision = len(re.sub(r"\D", "", plain).lstrip("0")) if "." in plain and match[0] == plain else 0
        return Quantity((-number if negative else number) * 10**scale, percent, unit, precision)
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
    plain = groups.get("plain")
    return power if plain is None else _decimal(plain) * power


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
    """Whether :func:`parse_number` reads the text."""
    return parse_number(text) is not None


def same_quantity(gold: Quantity, answer: Quantity) -> bool:
    """Exact equality, with the conventions for percent signs, units and decimals of full double precision."""
    if gold.unit and answer.unit and gold.unit != answer.unit:
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
    """Whether the value has a finite decimal expansion."""
    rest = value.denominator
    if rest.bit_length() > 4096:  # far beyond what a double can stand for: compare exactly
        return True
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def within_last_digit(double: Quantity, value: Fraction) -> bool:
    """Whether ``value`` is within one unit of the last digit of ``double`` (at most its 16th significant digit)."""
    if double.value == 0:
        return False
    size = abs(double.value)
    # Position of the leading digit, 10**lead <= size < 10**(lead+1): an estimate from the lengths, then put right.
    lead = math.floor((size.numerator.bit_length() - size.denominator.bit_length()) * math.log10(2)) + 1
    while size < Fraction(10) ** lead:
        lead -= 1
    return abs(double.value - value) < Fraction(10) ** (lead - min(double.precision, 16) + 1)
