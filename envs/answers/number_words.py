"""English number words as exact numbers: *twenty-five*, *two thirds*, *three and a half*, *a dozen*."""

import re
from fractions import Fraction

from textmdp.envs.answers.units import SCALES

_UNDER_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_CARDINALS = {word: value for value, word in enumerate(_UNDER_TWENTY.split())}
_CARDINALS |= {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
_PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4, "hundredth": 100, "hundredths": 100}
_ORDINALS = "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_PARTS |= {word + ending: value for value, word in enumerate(_ORDINALS.split(), start=3) for ending in ("", "s")}
_WORDS = re.compile(r"[a-z]+(?:[ -][a-z]+){0,20}")
_MIXED = re.compile(r"(-?)(\d{1,15}) (?:and|&) (?:a |an |(\d{1,6}) |one )?([a-z]+)")


def number_in_words(text: str) -> Fraction | None:
    """Read a text as one number in words; None where it is not one.

    >>> number_in_words("three and a half"), number_in_words("minus twenty-five"), number_in_words("five eggs")
    (Fraction(7, 2), Fraction(-25, 1), None)
    """
    if len(text) > 200:
        return None
    bare = re.sub(r"\\text\s?\{([^{}]*)\}", r"\1", text).strip().lower()
    if match := _MIXED.fullmatch(bare):  # "3 and a half"
        if match[4] not in _PARTS:
            return None
        value = int(match[2]) + Fraction(int(match[3] or 1), _PARTS[match[4]])
        return -value if match[1] else value
    if _WORDS.fullmatch(bare) is None:
        return None
    words = re.split("[ -]", bare)
    negative = words[0] in ("minus", "negative")
    spoken = _mixed(words[1:] if negative else words)
    return -spoken if spoken is not None and negative else spoken


def _mixed(words: list[str]) -> Fraction | None:
    """A whole number, a fraction, or both joined by *and*."""
    for i, word in enumerate(words):
        if word == "and" and i > 0 and words[-1] in _PARTS:
            whole, part = _whole(words[:i]), _fraction(words[i + 1 :])
            if whole is not None and part is not None and part < 1:
                return whole + part
    fraction = _fraction(words)
    if fraction is not None:
        return fraction
    if words[:2] == ["half", "a"] and len(words) == 3 and words[2] in SCALES:
        return SCALES[words[2]] / 2
    return _whole(words)


def _fraction(words: list[str]) -> Fraction | None:
    """*two thirds*, *a half*, *one half of*: a count of parts."""
    if not words or words[-1] not in _PARTS:
        return None
    if len(words) == 1:
        return Fraction(1, 2) if words[0] == "half" else None  # "third" alone is a rank
    count = Fraction(1) if words[:-1] in (["a"], ["an"]) else _whole(words[:-1])
    return None if count is None else count / _PARTS[words[-1]]


def _whole(words: list[str]) -> Fraction | None:
    """A cardinal number: tens and units in order, multiplied by the scale words behind them."""
    if not words or words[0] == "and" or words[-1] == "and":
        return None
    total, group, room = Fraction(0), Fraction(0), 100
    for i, word in enumerate(words):
        if word == "and" and i > 0 and words[i - 1] in SCALES:
            continue
        if word in ("a", "an") and i == 0 and len(words) > 1 and words[1] in SCALES:
            group, room = Fraction(1), 0
        elif word in _CARDINALS:
            value = _CARDINALS[word]
            # "twenty five" and "one hundred five", never "five twenty" or "five five"
            if value >= room or (value == 0 and len(words) > 1):
                return None
            group += value
            room = 10 if value >= 20 else 0
        elif word == "hundred" and group:
            group, room = group * 100, 100
        elif word in SCALES and group:
            total, group, room = total + group * SCALES[word], Fraction(0), 100
        else:
            return None
    return total + group
