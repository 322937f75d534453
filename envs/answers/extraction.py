r"""The final answer of a response.

1. **Reasoning does not count** (:mod:`textmdp.envs.answers.thinking`).
2. **Markers**: ``#### x``, ``\boxed{x}`` (also ``\fbox``, ``\boxed 5``), ``<answer>x</answer>`` and labels
   (``Answer: x``, ``A: x``, ``the final answer is x``, ``x is the answer``). Boxes joined by *and* or commas alone are
   one list; alternatives joined by *or* that are the same are one answer. Words in a label or behind ``####`` that
   are no mathematics, and labels that only mention an answer, count only where no other marker does.
3. **Without a marker** the whole response, where it is an answer by itself; else the last number or math span of the
   last sentence that has one. Numbers that the sentence denies do not count.
4. **Answers that differ earn nothing**, within and across the kinds of marker, and so do lines that are bare numbers
   when they differ from the final one, and guesses one after another. The same answer twice is fine. An answer that is
   taken back (*that is wrong*, *it is not 5*) is none.
"""

import bisect
import re
from collections.abc import Callable
from typing import NamedTuple

from textmdp.envs.answers.choices import read_choice
from textmdp.envs.answers.exact import parse_quantity
from textmdp.envs.answers.labels import answer_in, labelled, main_clause, without_explanation
from textmdp.envs.answers.notation import clean
from textmdp.envs.answers.phrases import ALTERNATIVE, CLOSING_REMARK, DENIAL, HEDGE, LEAD, OR, QUOTES, RETRACTED
from textmdp.envs.answers.spans import (
    Span,
    bare_lines,
    boxes,
    candidates,
    denied,
    math_spans,
    select_answer,
    sentences,
    stands_alone,
)
from textmdp.envs.answers.thinking import final_part

MAX_CANDIDATES = 8
"""Responses with more than this many differently written answers are spraying."""
MAX_LABELS = 200
"""Labels that are read, from the end of the response."""

Same = Callable[[str, str], bool]
"""Decides whether two answers are the same."""


class Extraction(NamedTuple):
    """Result of :func:`extract_answer`."""

    answer: str | None
    """The final answer as written, or None."""
    reason: str
    """Place of the answer: ``"hash"``, ``"boxed"``, ``"tag"``, ``"label"``, ``"whole"`` or ``"prose"``; without
    one answer ``"none"`` or ``"conflict"``."""
    start: int = -1
    """Index in the response of the marker, or -1."""


class _Found(NamedTuple):
    kind: str
    start: int
    text: str
    weak: bool  # words without mathematics, "the answer is clear", or a label that only mentions an answer


_ANNOTATION = re.compile(r"<<[^<>\n]{0,300}>>")
_HASH = re.compile(r"####[ \t]*([^\n#]*)")
_TAG = re.compile(r"<(/?)(?:final_?)?answer>", re.I)
_NUMBERED_HEADING = re.compile(r"\d{1,2}[.):]\s+[A-Za-z]")
_HEADING = re.compile(r"^[ \t]{0,3}#{1,3}[ \t]+", re.M)


def extract_answer(response: str, same: Same) -> Extraction:
    r"""Find the final answer of a response.

    Args:
        response: a policy's text, reasoning included
        same: decides whether two answers are the same, such as
            :func:`~textmdp.envs.answers.grading.exactly_equivalent`

    Returns:
        The answer with its place; ``answer`` is None where there is none, or where final answers differ.

    >>> from textmdp.envs.answers import exactly_equivalent
    >>> extract_answer(r"So it is $x = \boxed{\frac{1}{2}}$.", exactly_equivalent).answer
    '\\frac{1}{2}'
    >>> extract_answer("#### 1 #### 2", exactly_equivalent).reason
    'conflict'
    """
    text, offset = final_part(response)
    if "<<" in text:  # calculator annotations of GSM8K, blanked so that places stay
        text = _ANNOTATION.sub(lambda match: " " * len(match[0]), text)
    if not text.strip():
        return Extraction(None, "none")
    tags = _tags(text)
    for start, inside in tags:
        if "<" not in inside and _inside(inside, same).answer is None and inside.strip():
            return Extraction(None, "conflict", offset + start)
    found = _marked(_without_tags(text) if tags else text)
    found += [_Found("tag", start, _inside(inside, same).answer or "", False) for start, inside in tags]
    found = sorted((item for item in found if item.text), key=lambda item: item.start)
    if any(not item.weak for item in found):
        found = [item for item in found if not item.weak]
    if not found:
        return _unmarked(text, offset, same)
    found = [item._replace(text=_one_of(item.text, same)) for item in found]
    distinct: list[_Found] = []
    for item in found:
        if all(item.text != other.text for other in distinct):
            distinct.append(item)
        if len(distinct) > MAX_CANDIDATES:
            return Extraction(None, "conflict", offset + item.start)
    last = distinct[-1]
    if any(not same(last.text, other.text) and not same(other.text, last.text) for other in distinct[:-1]):
        return Extraction(None, "conflict", offset + last.start)
    last = found[-1]
    if _taken_back(text, last, same):
        return Extraction(None, "conflict", offset + last.start)
    return Extraction(last.text, last.kind, offset + last.start)


def _tags(text: str) -> list[tuple[int, str]]:
    """Start and content of each ``<answer>..</answer>``; the last may be open, where a stop string cut the response."""
    found: list[tuple[int, str]] = []
    start, end = -1, 0
    for match in _TAG.finditer(text):
        if not match[1]:
            start, end = match.start(), match.end()
        elif start >= 0:
            found.append((start, text[end : match.start()]))
            start = -1
    if start >= 0 and text[end:].strip() and len(text) - end < 2000 and not found:
        found.append((start, text[end:]))
    return [item for item in found if item[1].strip()]


def _without_tags(text: str) -> str:
    """Blank the tags with their content, so that places stay."""
    pieces, end = [], 0
    for start, inside in _tags(text):
        stop = text.find(inside, start) + len(inside)
        pieces += [text[end:start], " " * (stop - start)]
        end = stop
    return "".join([*pieces, text[end:]])


def _inside(text: str, same: Same) -> Extraction:
    """The answer of the content of a tag, read like a response of its own."""
    found = [item for item in _marked(text) if not item.weak]
    if found:
        texts = {_one_of(item.text, same) for item in found}
        last = found[-1].text
        agree = len(texts) <= MAX_CANDIDATES and all(same(last, other) for other in texts)
        return Extraction(last, "tag") if agree else Extraction(None, "conflict")
    return _unmarked(text, 0, same)


def _one_of(text: str, same: Same) -> str:
    """The first of alternatives that are the same (``7/2 or 3.5``, ``4 (or 4/1)``); other text as it is."""
    if len(text) > 500 or not ALTERNATIVE.search(text):
        return text
    parts = [part.strip() for part in ALTERNATIVE.split(text)]
    if text.rstrip().endswith(")") and text.count("(") > parts[0].count("("):
        parts[-1] = parts[-1].removesuffix(")")
    if len(parts) < 2 or not all(parts) or len(parts) > MAX_CANDIDATES:
        return text
    alike = all(same(first, second) for i, first in enumerate(parts) for second in parts[i + 1 :])
    return parts[0] if alike else text


def _taken_back(text: str, found: _Found, same: Same) -> bool:
    """Return True if the text behind the answer denies it: *wait, that is wrong*, *it is not 5*."""
    rest = text[found.start : found.start + 20_000]
    place = rest.find(found.text)
    rest = rest[max(place, 0) + len(found.text) if place >= 0 else 0 :]
    if RETRACTED.search(rest):
        return True
    if not (DENIAL.search(rest) or "wrong" in rest):
        return False
    spans = candidates(rest)[: 4 * MAX_CANDIDATES]
    return any(denied(rest, span) and same(found.text, span.text) for span in spans)


def _unmarked(text: str, offset: int, same: Same) -> Extraction:
    """The answer of a text without markers."""
    text = CLOSING_REMARK.sub("", text[-20_000:] if len(text) > 200_000 else text)
    text = _HEADING.sub("", without_explanation(text)).strip()
    if lead := LEAD.match(text):
        text = text[lead.end() :]
    if len(text) < 300 and "\n" not in text and read_choice(clean(text)) is not None:
        return Extraction(text, "whole", offset)
    if text and "\n" not in text and stands_alone(head := main_clause(text)):
        return Extraction(_one_of(head, same), "whole", offset)
    if len(math_spans(text)) == 1 and stands_alone(text):
        return Extraction(text, "whole", offset)
    parts = sentences(text)
    for i, sentence in enumerate(parts[-1:-4:-1], start=1):
        answer = sentence if parse_quantity(clean(sentence)) is not None else select_answer(sentence)
        if answer is None:
            continue
        answer = _one_of(answer, same)
        others = {line for line in bare_lines(text) if line != answer} | _guesses(parts[-i], answer, parts[:-i][-50:])
        if len(others) > MAX_CANDIDATES or any(not same(answer, other) for other in others):
            return Extraction(None, "conflict")
        if _taken_back(" ".join(parts[len(parts) - i :]), _Found("prose", 0, answer, False), same):
            return Extraction(None, "conflict")
        return Extraction(answer, "prose")
    return Extraction(None, "none")


def _guesses(sentence: str, answer: str, before: list[str]) -> set[str]:
    """Answers of earlier sentences that are guesses too (*it could be 4*), or say the same of another value."""
    found: set[str] = set()
    if len(HEDGE.findall(sentence)) > 1:  # "first guess 4, second guess 5"
        found.update(span.text for span in candidates(sentence))
    choice = read_choice(clean(sentence))
    hedged, shape = HEDGE.search(sentence), sentence.replace(answer, "#").strip(" .!")
    for other in before:
        value = select_answer(other)
        if value is not None and value != answer:
            alike = other.replace(value, "#").strip(" .!") == shape and len(shape) > 1
            other_choice = read_choice(clean(other)) if choice else None
            if alike or other_choice or (hedged and HEDGE.search(other)):
                found.add(value)
    return found


def _marked(text: str) -> list[_Found]:
    """Answers at boxes, hashes and labels, in order of their place."""
    boxed = _join_boxes(text, boxes(text))
    found = [_Found("boxed", box.start, box.text, False) for box in boxed]
    starts = sorted(box.start for box in boxed)
    seen: set[str] = set()
    for match in _HASH.finditer(text):
        content = match[1].strip(QUOTES)
        if content and not _covers(starts, match.start(1), match.end(1)) and content not in seen:
            seen.add(content)
            if len(seen) > 20 * MAX_CANDIDATES:
                break
            if stands_alone(content) or (
                re.match(r"[-+−$€£.(\[{\\]|\d", content) and not _NUMBERED_HEADING.match(content)
            ):
                content = content if stands_alone(content) else answer_in(content)
                found.append(_Found("hash", match.start(), content, _wordy(content)))
    hashes = [item.start for item in found if item.kind == "hash"]
    for label in labelled(text, MAX_LABELS):
        # A label in front of a box, a hash or another label only announces it.
        if not label.text or _covers(starts, label.start, label.end) or _covers(hashes, label.start, label.end + 1):
            continue
        found.append(_Found("label", label.start, label.text, label.aside or _wordy(label.text)))
    return sorted(found, key=lambda item: item.start)


def _covers(starts: list[int], low: int, high: int) -> bool:
    """Return True if one of the sorted starts lies in [low, high)."""
    i = bisect.bisect_left(starts, low)
    return i < len(starts) and starts[i] < high


def _wordy(text: str) -> bool:
    """Return True if the text has no mathematics in it."""
    tidy = clean(text)
    return not re.search(r"\d|[\\^_=<>()\[\]]", tidy) and re.search(r"[^\W\d_]{2}", tidy) is not None


def _join_boxes(text: str, found: list[Span]) -> list[Span]:
    """Boxes with only separators between them are one list: it differs from each of its items."""
    joined: list[Span] = []
    for box in found:
        last = joined[-1] if joined else None
        between = text[last.end : box.start] if last is not None else ""
        only = re.sub(
            r"\\(?:q?quad|text\s?\{\s?(?:and|or)\s?\}|[(),;\[\] ])|\$|,|;|(?<![a-z])(?:and|or)(?![a-z])",
            "",
            between[:200],
        )
        if last is not None and len(between) < 60 and not only.strip() and "\n\n" not in between:
            word = "or" if OR.search(between) else ";"
            if last.text != box.text and len(last.text) < 2000:
                joined[-1] = Span(last.start, box.end, f"{last.text} {word} {box.text}")
        else:
            joined.append(box)
    return joined
