r"""Units and scale words behind a number or a formula: ``15\text{ cm}^2``, ``5 square meters``, ``5\text{ million}``.

A unit is brought to one spelling, ``"m.s^-2"`` for ``m/s^2``, ``meters per second squared`` and ``\frac{m}{s^2}``. Only
common units have a spelling; other words (``eggs``, ``units``) are dropped.
"""

import re
from fractions import Fraction
from typing import NamedTuple

UNITS = {
    name: canonical
    for canonical, names in {
        "m": "m meter meters metre metres",
        "cm": "cm centimeter centimeters centimetre centimetres",
        "mm": "mm millimeter millimeters millimetre millimetres",
        "km": "km kms kilometer kilometers kilometre kilometres",
        "nm": "nm nanometer nanometers",
        "in": "in inch inches",
        "ft": "ft foot feet",
        "yd": "yd yds yard yards",
        "mi": "mi mile miles",
        "acre": "acre acres",
        "hectare": "ha hectare hectares",
        "s": "s sec secs second seconds",
        "ms": "ms millisecond milliseconds",
        "min": "min mins minute minutes",
        "h": "h hr hrs hour hours",
        "day": "day days",
        "week": "week weeks",
        "month": "month months",
        "year": "yr yrs year years",
        "decade": "decade decades",
        "century": "century centuries",
        "g": "g gram grams",
        "mg": "mg milligram milligrams",
        "kg": "kg kgs kilogram kilograms",
        "ton": "ton tons tonne tonnes",
        "pound": "lb lbs pound pounds",  # of mass and of money: which of them is seen from the question
        "oz": "oz ounce ounces",
        "l": "l L liter liters litre litres",
        "ml": "ml mL milliliter milliliters millilitre millilitres",
        "gallon": "gal gallon gallons",
        "quart": "qt quart quarts",
        "pint": "pint pints",
        "cup": "cup cups",
        "dollar": "dollar dollars usd USD",
        "cent": "cent cents",
        "euro": "euro euros EUR",
        "yen": "yen",
        "rupee": "rupee rupees",
        "degree": "degree degrees",
        "celsius": "celsius Celsius",
        "fahrenheit": "fahrenheit Fahrenheit",
        "kelvin": "kelvin Kelvin kelvins",
        "radian": "rad rads radian radians",
        "N": "N newton newtons Newton Newtons",
        "J": "J joule joules Joule Joules",
        "kJ": "kJ kilojoule kilojoules",
        "W": "W watt watts Watt Watts",
        "kW": "kW kilowatt kilowatts",
        "V": "V volt volts Volt Volts",
        "A": "A amp amps ampere amperes",
        "Pa": "Pa pascal pascals",
        "Hz": "Hz hertz Hertz",
        "mol": "mol mole moles",
        "am": "am AM Am",
        "pm": "pm PM Pm",
    }.items()
    for name in names.split()
}
"""Common units: every spelling with the one it stands for."""
_SHORTHAND = {"mph": ("mi", "h"), "kph": ("km", "h"), "kmh": ("km", "h"), "mpg": ("mi", "gallon"), "fps": ("ft", "s")}
SCALES = {
    "dozen": Fraction(12),
    "hundred": Fraction(10**2),
    "thousand": Fraction(10**3),
    "million": Fraction(10**6),
    "billion": Fraction(10**9),
    "trillion": Fraction(10**12),
}
SCALES |= {f"{name}s": value for name, value in SCALES.items()}
"""Words that multiply the number before them."""
_POWER_WORDS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWERS_BEHIND = {"squared": 2, "cubed": 3}

_FRACTION = re.compile(r"\\frac\s?\{([a-zA-Z .*]{1,40})\}\s?\{([a-zA-Z .^\d{]{1,40}\}?)\}")
_TEXT = re.compile(r"\\text\s?\{([^{}\d]*)\}")
_REST = re.compile(r"[a-zA-Z \-/.'^()&*{}\d]*")
_TOKEN = re.compile(
    r"/|\*|(?<![a-zA-Z])per(?![a-zA-Z])|([a-zA-Z]+)\.?\s?(?:\^\s?\{?\s?(-?[1-9])\s?\}?|([23])(?!\d))?|[^\s.-]"
)
_JOINS = re.compile(
    r"(?<![a-zA-Z])(?:and|or|not|to|plus|minus|times|over|sqrt|if|is|was|are|be|mod|modulo|choose|factorial|percent|can|cannot"
    r"|could|would|should|might|may|isn|won|don|wrong|incorrect|impossible|never|than|but|except|without|less|because|since)"
    r"(?![a-zA-Z])"
)
_TRAILING_TEXT = re.compile(r"(?:\\text\s?\{[^{}]*\}\s?(?:\^\s?\{?-?\d\}?)?[\s/]?)$")
_LONG_NAMES = "|".join(name for name in UNITS if len(name) > 1 and name != "in")
_TRAILING_WORDS = re.compile(
    rf"(?<=[\s}})\d])(?:(?:square|cubic|sq\.?|cu\.?) )?(?:units?|{_LONG_NAMES})"
    r"(?:\s?\^\s?\{?[23]\}?| squared| cubed)?$"
)


class Tail(NamedTuple):
    """The words behind a number."""

    scale: Fraction
    """Product of the scale words."""
    unit: str
    """The unit in one spelling where it is a common one, else ``""``."""


NO_TAIL = Tail(Fraction(1), "")
"""Nothing behind the number."""


def same_unit(first: str, second: str) -> bool:
    """Compatibility of two units in one spelling; one that is absent or uncommon agrees with all."""
    temperatures = {"celsius", "fahrenheit"}
    bare_degree = "degree" in (first, second) and bool(temperatures & {first, second})
    return not first or not second or first == second or bare_degree


def read_tail(rest: str) -> Tail | None:
    """Read all that stands behind a number as scale words and a unit; None where it is something else."""
    if not rest.strip(" ."):
        return NO_TAIL
    marked = "\\text" in rest
    words = _FRACTION.sub(r" \1/\2", _TEXT.sub(r" \1 ", rest)).replace(r"^{\circ}", " degrees ")
    words = words.replace(r"\cdot", "*").strip(" .")
    scale = Fraction(1)
    while (first := words.partition(" "))[0].lower() in SCALES and (rest[0] == " " or marked):
        scale *= SCALES[first[0].lower()]
        words = first[2].strip()
    if not words:
        return Tail(scale, "")
    if _REST.fullmatch(words) is None or _JOINS.search(words) or len(words) > 200:
        return None
    unit = canonical_unit(words)
    if unit or (marked and not re.search(r"\d", words)):
        return Tail(scale, unit or "")
    # "5x" and "5 x" are products; a unit is a known one, is set as \text, or is a word.
    is_word = (
        re.match(r"(?!squared|cubed|more|less|fewer|root)[a-zA-Z]{3}", words)
        and (rest[0] == " " or scale != 1)
        and not re.search(r"[\d{}*]", words)
    )
    return Tail(scale, "") if is_word else None


def canonical_unit(words: str) -> str | None:
    """One spelling of a unit in words or symbols; ``""`` where a known one is not first, None where none is known."""
    powers: dict[str, int] = {}
    sign, pending, last = 1, 1, ""
    for match in _TOKEN.finditer(words):
        token, name = match[0], match[1]
        if token in ("/", "per"):
            sign = -1
        elif token == "*":
            continue
        elif name is None:
            if token in "(){}":
                continue
            return None
        elif name.lower() in _POWER_WORDS:
            pending = _POWER_WORDS[name.lower()]
        elif name.lower() in _POWERS_BEHIND:
            if last:
                powers[last] *= _POWERS_BEHIND[name.lower()]
        else:
            bases = _SHORTHAND.get(name.lower()) or ((known,) if (known := _lookup(name)) else ())
            if last in ("degree", "celsius", "fahrenheit") and name in ("C", "F"):
                bases = ("celsius" if name == "C" else "fahrenheit",)
            if not bases:
                break
            if name == "in" and words[match.end() :].strip():  # "5 in all", "3 in a row"
                break
            power = int(match[2] or match[3] or 1) * pending
            last, pending = bases[0], 1
            if last in ("celsius", "fahrenheit"):
                powers.pop("degree", None)
            powers[last] = powers.get(last, 0) + sign * power
            for below in bases[1:]:
                powers[below] = powers.get(below, 0) - 1
    if not powers:
        return None
    return ".".join(name if power == 1 else f"{name}^{power}" for name, power in sorted(powers.items()))


def _lookup(name: str) -> str | None:
    return UNITS.get(name) or (UNITS.get(name.lower()) if len(name) > 2 else None)


def split_unit(text: str) -> tuple[str, str]:
    r"""Split a formula from its unit: ``(r"8\pi", "cm")`` for ``8\pi\text{ cm}``; the unit is ``""`` for none.

    A scale word becomes a factor of the formula.
    """
    body, tail = text, ""
    for _ in range(4):
        match = _TRAILING_TEXT.search(body) or _TRAILING_WORDS.search(body)
        before = body[: match.start()].rstrip() if match else ""
        if match is None or not re.search(
            r"\d|\\[a-zA-Z]|^[a-zA-Z]$|[a-zA-Z]\s?[\^+*/)]", before.removeprefix(r"\text")
        ):
            break
        body, tail = before, f"{match[0]} {tail}".strip()
    if not tail:
        return text, ""
    found = read_tail(" " + tail)
    if found is None:
        return text, ""
    if found.scale != 1:
        body = rf"({body}) \cdot {found.scale}"
    return body, found.unit
