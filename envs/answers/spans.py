r"""Mathematics inside prose: math spans, numbers, boxes and the sentences around them.

Every function is linear in the length of the text (one pass, no nested repetition).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from textmdp.envs.answers.exact import parse_quantity
from textmdp.envs.answers.forms import is_name
from textmdp.envs.answers.notation import clean, closing_braces
from textmdp.envs.answers.phrases import ADJUNCT, DENIED, DENIED_BEHIND, JOIN, MINUS, OR
from textmdp.envs.answers.units import split_unit


class Span(NamedTuple):
    """A piece of the text that could be an answer."""

    start: int
    """Index of its first character."""
    end: int
    """Index behind its last character."""
    text: str
    """The mathematics, without delimiters."""
    money: bool = False
    """True if a sign of currency stands at it."""


_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])\s{0,3}")
_BOX_TOKEN = re.compile(r"[^\s{}$,;.!?]{1,50}(?:\.\d{1,50})?")
_DELIMITER = re.compile(r"\\.|\$\$|\$", re.DOTALL)
_CLOSERS = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]"}
_PROSE = re.compile(r"(?<![\\a-zA-Z{])[a-zA-Z]{3,}[ ,]{1,2}[a-zA-Z]{2,}(?![a-zA-Z}])")
_MONEY = "$€£¥₹₽₩"
_NUMBER = (
    rf"(?<![A-Za-z0-9_.\\^])(?:(?<![\w)])[-−+])?[{_MONEY}]?\s?(?:(?<![\w)])-)?"
    r"(?:\d{1,3}(?:,\d{3})+(?![\d])|\d+)?(?:\.\d+)?(?<=\d)(?:\s?/\s?\d+(?:\.\d+)?|[eE][-+]?\d+|:\d+(?:\.\d+)?)?"
    r"(?!\d|(?:st|nd|rd|th)(?![a-z]))"
    # Behind it a percent sign, a currency, an exponent, a unit or a name without a blank, or a scale word.
    rf"(?:\s?(?:\\?[%٪％]|(?:percent|pct)(?![a-z])|[{_MONEY}](?!\s?\d))|\^\{{?[-\w]{{1,20}}\}}?"
    r"|[a-zA-Z]{1,3}(?:\^\{?\d\}?)?(?![\w'])|\s(?:hundred|thousand|million|billion|trillion|dozen)(?![a-z]))?"
)
_MACRO = (
    r"-?[\d.]{0,20}\\(?!text|boxed|fbox|q?quad|begin|end|left|right)[a-zA-Z]{2,20}(?:\[\w{1,20}\])?"
    r"(?:\s?\{(?:[^{}]|\{[^{}]{0,100}\}){0,200}\}){0,2}(?:\^\{?\w{1,10}\}?)?"
)
_TERM = r"[-+−]?[\w/^()|]{1,30}(?:\.\d{1,20})?"
_SIGN = r"(?:<=|>=|[<>≤≥])(?!/?[a-zA-Z_]{1,20}>)"
_CALLED = r"(?:√|sqrt|sin|cos|tan|log|ln|exp|(?<![a-zA-Z\d])[a-zA-Z])"
# More than a number: 1/2 < x < 4, \sqrt{3} + 1, y = 3x + 2, sqrt(5), √5, x^3. Its number alone would be another answer.
_FORMULA = (
    rf"(?<![\w.]){_TERM}(?P<gap>\s?){_SIGN}(?P=gap){_TERM}(?:(?P=gap){_SIGN}(?P=gap){_TERM})?",
    rf"{_MACRO}(?:\s?[-+*/=]?\s?(?:{_MACRO}|[\d.]{{0,20}}\d)){{0,4}}",
    rf"(?<![\w.\\])(?:[a-zA-Z]\s?=\s?-?\s?{_TERM}|\d{{0,10}}[a-z](?=\s?[-+]\s?[\da-z(]))(?:\s?[-+*]\s?{_TERM}){{0,6}}(?!\w)",
    rf"(?<![a-zA-Z\\])\d{{0,10}}(?:\s?\*\s?)?{_CALLED}\s?\([^()\n]{{1,60}}\)",
    r"\d{0,10}√\s?\d{1,20}",
    r"(?<![a-zA-Z\\])\d{0,10}[a-zA-Z]\^\{?[-\w]{1,20}\}?",
)
_PLAIN = re.compile(f"{'|'.join(_FORMULA)}|{_NUMBER}")
_SENTENCE = re.compile(r"(?<=[.!?])[\"*)']{0,3}\s+(?=\S)|[。！？]|\n+")
_WORDS = re.compile(r"(?<![\\a-zA-Z])[^\W\d_]{2,}")
_KNOWN_WORDS = "and or sin cos tan log ln exp sqrt pi cm mm km kg mod max min gcd lcm percent pct infinity inf oo"
_KNOWN = frozenset(_KNOWN_WORDS.split(" "))


def boxes(text: str) -> list[Span]:
    r"""Outermost ``\boxed{..}``, ``\fbox{..}`` and ``\boxed 5``; empty and unclosed boxes are none."""
    pairs, found, end = closing_braces(text), [], 0
    for match in _BOX.finditer(text):
        if match.start() < end:
            continue  # inside the box before
        opening = match.end()
        if opening < len(text) and text[opening] == "{":
            if opening not in pairs:
                continue
            end, inside = pairs[opening] + 1, text[opening + 1 : pairs[opening]]
        else:
            token = _BOX_TOKEN.match(text, opening)
            if token is None or match[0] in (r"\boxed", r"\fbox"):
                continue
            end, inside = token.end(), token[0]
        if inside.strip():
            found.append(Span(match.start(), end, inside.strip()))
    return found


def math_spans(text: str) -> list[Span]:
    r"""``$..$``, ``$$..$$``, ``\(..\)``, ``\[..\]``; a dollar sign before prose is money, not a delimiter."""
    tokens = [(match.start(), match[0]) for match in _DELIMITER.finditer(text)]
    # Next closer of each kind behind a token, found from the right: no search is ever repeated.
    following: list[dict[str, int]] = [{} for _ in tokens]
    ahead: dict[str, int] = {}
    for i in range(len(tokens) - 1, -1, -1):
        following[i] = (
            {opening: ahead[closing] for opening, closing in _CLOSERS.items() if closing in ahead}
            if (tokens[i][1] in _CLOSERS)
            else {}
        )
        ahead[tokens[i][1]] = tokens[i][0]
    spans: list[Span] = []
    end = 0
    for (start, token), after in zip(tokens, following, strict=True):
        if start < end or token not in _CLOSERS or token not in after:
            continue
        stop, closing = after[token], _CLOSERS[token]
        inside = text[start + len(token) : stop]
        if token == "$" and ("\n" in inside or not inside.strip() or _PROSE.search(inside[:2000])):
            continue
        if inside.strip():
            end = stop + len(closing)
            spans.append(Span(start, end, inside.strip()))
    return spans


def candidates(text: str) -> list[Span]:
    """Math spans and the plain numbers between them, in order; neighbours joined by *and* or commas are one list."""
    found: list[Span] = []
    end = 0
    for span in [*math_spans(text), Span(len(text), len(text), "")]:
        found += [_plain_span(text, match) for match in _PLAIN.finditer(text, end, span.start) if match[0].strip()]
        if span.text:
            found.append(span)
        end = span.end
    joined: list[Span] = []
    for span in found:
        last = joined[-1] if joined else None
        between = text[last.end : span.start] if last is not None else ""
        if last is not None and between and len(between) < 200 and JOIN.fullmatch(between):
            word = "or" if OR.search(between) else ";"
            joined[-1] = Span(last.start, span.end, f"{last.text} {word} {span.text}", last.money and span.money)
        else:
            joined.append(span)
    return joined


def _plain_span(text: str, match: re.Match[str]) -> Span:
    """A number or a relation outside of math spans, with the word *negative* or *minus* before it as its sign."""
    written = match[0].strip()
    if MINUS.search(text[max(0, match.start() - 20) : match.start()]):
        written = f"-{written}"
    return Span(match.start(), match.end(), written, any(sign in match[0] for sign in _MONEY))


def denied(text: str, span: Span) -> bool:
    """Return True if the words around the span deny it: *not 5*, *isn't 5*, *rather than 5*, *5 is wrong*."""
    before = text[max(0, span.start - 60) : span.start]
    return bool(DENIED.search(before) or DENIED_BEHIND.match(text[span.end : span.end + 20]))


def select_answer(text: str, *, prefer_money: bool = False) -> str | None:
    r"""Select the one answer of a sentence: its last math span or number that is more than a name and is not denied.

    A number that only says more about the one before it is passed over: *24 apples in 3 boxes* is 24.

    Args:
        text: a sentence, or the text behind a label
        prefer_money: take the one amount of money where there is just one ("earns $24 in 2 hours")

    Returns:
        The answer, or None.
    """
    found = [span for span in candidates(text) if not denied(text, span)]
    money = [span for span in found if span.money]
    if prefer_money and len(money) == 1:
        return money[0].text
    while len(found) > 1 and ADJUNCT.fullmatch(text, found[-2].end, found[-1].start):
        found.pop()
    for span in reversed(found):
        if not is_name(clean(span.text)):
            return span.text
    return found[-1].text if found else None


def sentences(text: str) -> list[str]:
    """Sentences and lines of the text, empty ones left out."""
    return [part.strip() for part in _SENTENCE.split(text) if part and part.strip()]


def stands_alone(text: str) -> bool:
    """Return True for an answer by itself: mathematics without prose, or at most three words without digits."""
    if len(text) > 2000:
        return parse_quantity(clean(text)) is not None
    tidy = clean(text)
    if not tidy:
        return False
    if parse_quantity(tidy) is not None:
        return True
    body, _ = split_unit(tidy)
    if body != tidy and not re.search(r"[a-zA-Z]{3}", re.sub(r"\\[a-zA-Z]+", "", body)):
        return True
    outside = re.sub(r"\\(?:begin|end)\s?\{[a-z]*\*?\}|\\text\s?\{[^{}]*\}", " ", tidy)
    words = [word for word in _WORDS.findall(outside) if word.lower() not in _KNOWN]
    if any(ord(letter) > 0x2E7F for word in words for letter in word):  # no spaces between words there
        return len(tidy) <= 8 and not re.search(r"\d", tidy)
    long = [word for word in words if len(word) > 2]
    return not long or (len(words) <= 3 and not re.search(r"\d|\\frac|=", outside))


def bare_lines(text: str) -> Iterator[str]:
    """Lines that are nothing but a number."""
    for line in text.splitlines():
        if line.strip() and len(line) < 200 and parse_quantity(clean(line)) is not None:
            yield line.strip()
