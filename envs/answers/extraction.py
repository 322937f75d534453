r"""The final answer of a response.

1. **Thinking does not count**: only what follows the last ``</think>`` is read; a response that never ends its
   ``<think>`` has no answer. Chat tokens such as ``<|im_end|>`` end the response.
2. **Markers**: ``#### x``, ``\boxed{x}`` (also ``\fbox``, ``\boxed 5``) and labels (``Answer: x``, ``A: x``, ``the
   final answer is x``). Boxes joined by nothing but *and* or commas are one list. Text in a label or behind ``####``
   that is no mathematics counts only where no other marker does.
3. **Without a marker** the whole response, where it is an answer by itself; else the last number or math span of the
   last sentence that has one.
4. **Answers that differ earn nothing**, within and across the kinds of marker, and so do lines that are bare numbers
   when they differ from the final one. The same answer twice is fine.
"""

import bisect
import re
from collections.abc import Callable
from typing import NamedTuple

from textmdp.envs.answers.exact import parse_quantity
from textmdp.envs.answers.notation import clean
from textmdp.envs.answers.spans import Span, bare_lines, boxes, candidates, math_spans, pick, sentences, stands_alone

MAX_CANDIDATES = 8
"""Responses with more than this many differently written answers are spraying."""


class Extraction(NamedTuple):
    """What :func:`extract_answer` found."""

    answer: str | None
    """The final answer as written, or None."""
    reason: str
    """``"hash"``, ``"boxed"``, ``"label"``, ``"whole"``, ``"prose"``: where it stood; ``"none"`` or ``"conflict"``."""
    start: int = -1
    """Index in the response of the marker, or -1."""


class _Found(NamedTuple):
    kind: str
    start: int
    text: str
    weak: bool  # words without mathematics: "the answer is clear"


_CHAT = re.compile(r"<\|[a-zA-Z_]{1,30}\|>|</s>|<eos>")
_ANNOTATION = re.compile(r"<<[^<>\n]{0,300}>>")
_BOILERPLATE = re.compile(r"(?:I|We) hope (?:it|this|that)[^.\n]{0,40}(?:\.|$)", re.I)
_HASH = re.compile(r"####[ \t]*([^\n#]*)")
_LABEL = re.compile(
    r"(?:\b(?:the\s+)?(?:(?:final|correct|right)\s+)?answer(?:\s+to\s+[^.\n:$]{1,80}?)?\s+"
    r"(?:is|are|equals|(?:might|may|could|would|should|must|will)\s+be)(?:\s+(?:therefore|thus|then|simply|now))?(?:\*\*)?\s?:?"
    r"|\b(?:final\s+answer|answer|réponse|respuesta|antwort)(?:\*\*)?\s?[:：]"
    r"|^[ \t>*]{0,4}(?:final\s+)?answer(?=[ \t*]{0,3}(?:\$|\\\(|\\\[))"
    r"|^[ \t>*]{0,4}A\s?:"
    r"|\b(?:réponse\s+est|respuesta\s+es|antwort\s+ist)\s?:?"
    r"|答案(?:是|为|為|[:：]))",
    re.IGNORECASE | re.MULTILINE,
)
_QUOTES = " \t\r\n*\"'“”_`>:："
_NEGATED = re.compile(r"(?:not|never|n't|wrong|incorrect|unclear|unknown)(?![a-z])", re.I)


def final_part(response: str) -> tuple[str, int]:
    """What follows the thinking, up to a chat token, and where it starts; ``("", 0)`` where thinking never ends."""
    start = 0
    if "</think>" in response:
        start = response.rindex("</think>") + len("</think>")
    elif "<think>" in response:
        return "", 0
    for token in _CHAT.finditer(response, start):
        if response[start : token.start()].strip():
            return response[start : token.start()], start
        # The turn's own header stands in front of the text, not behind it.
        start = token.end()
        if response.startswith("assistant\n", start):
            start += len("assistant\n")
    return response[start:], start


def extract_answer(response: str, *, same: Callable[[str, str], bool] | None = None) -> Extraction:
    r"""Find the final answer of a response.

    Args:
        response: what a policy wrote, thinking included
        same: decides whether two answers are the same; the exact comparison by default

    Returns:
        The answer with its reason; ``answer`` is None where there is none, or where final answers differ.

    >>> extract_answer(r"So it is $x = \boxed{\frac{1}{2}}$.").answer
    '\\frac{1}{2}'
    >>> extract_answer("#### 1 #### 2").reason
    'conflict'
    """
    if same is None:
        # grading imports this module; only the default of an argument needs it here.
        from textmdp.envs.answers.grading import equivalent_exactly

        same = equivalent_exactly
    text, offset = final_part(response)
    if "<<" in text:  # calculator annotations of GSM8K, blanked so that places stay
        text = _ANNOTATION.sub(lambda match: " " * len(match[0]), text)
    if not text.strip():
        return Extraction(None, "none")
    found = _marked(text)
    if any(not item.weak for item in found):
        found = [item for item in found if not item.weak]
    if found:
        distinct: list[_Found] = []
        for item in found:
            if all(item.text != other.text for other in distinct):
                distinct.append(item)
            if len(distinct) > MAX_CANDIDATES:
                return Extraction(None, "conflict", offset + item.start)
        last = distinct[-1]
        if any(not same(last.text, other.text) and not same(other.text, last.text) for other in distinct[:-1]):
            return Extraction(None, "conflict", offset + last.start)
        return Extraction(found[-1].text, found[-1].kind, offset + found[-1].start)
    return _unmarked(text, offset, same)


def _unmarked(text: str, offset: int, same: Callable[[str, str], bool]) -> Extraction:
    """The answer of a text without markers."""
    text = _BOILERPLATE.sub("", text[-20_000:] if len(text) > 200_000 else text).strip()
    if text and stands_alone(text) and "\n" not in text.strip():
        return Extraction(text.strip(), "whole", offset)
    if len(math_spans(text)) == 1 and stands_alone(text):
        return Extraction(text, "whole", offset)
    for sentence in sentences(text)[-1:-4:-1]:
        answer = sentence if parse_quantity(clean(sentence)) is not None else pick(sentence)
        if answer is not None:
            others = {line for line in bare_lines(text) if line != answer}
            if len(others) > MAX_CANDIDATES or any(not same(answer, other) for other in others):
                return Extraction(None, "conflict")
            return Extraction(answer, "prose")
    return Extraction(None, "none")


def _marked(text: str) -> list[_Found]:
    """Answers at markers, in order of their place."""
    boxed = _join_boxes(text, boxes(text))
    found = [_Found("boxed", box.start, box.text, False) for box in boxed]
    inside = {box.start: box.end for box in boxed}
    starts = sorted(inside)
    seen: set[str] = set()
    for match in _HASH.finditer(text):
        content = match[1].strip(_QUOTES)
        if content and not _covers(starts, match.start(1), match.end(1)) and content not in seen:
            seen.add(content)
            if len(seen) > 20 * MAX_CANDIDATES:
                break
            if stands_alone(content) or re.match(r"[-+−$€£.(\[{\\]|\d", content):
                found.append(_Found("hash", match.start(), content, _wordy(content)))
    labels = list(_LABEL.finditer(text))
    hashes = [item.start for item in found if item.kind == "hash"]
    for i, label in enumerate(labels[-200:], start=max(0, len(labels) - 200)):
        stop = labels[i + 1].start() if i + 1 < len(labels) else len(text)
        region = _region(text[label.end() : min(stop, label.end() + 2000)])
        end = label.end() + len(region)
        # A label in front of a box, a hash or another label only announces it.
        if _covers(starts, label.end(), end) or any(label.end() <= start <= end for start in hashes):
            continue
        if (answer := _labelled(region)) is not None:
            found.append(_Found("label", label.start(), answer, _wordy(answer)))
    return sorted(found, key=lambda item: item.start)


def _covers(starts: list[int], low: int, high: int) -> bool:
    """Whether one of the sorted starts lies in [low, high)."""

    i = bisect.bisect_left(starts, low)
    return i < len(starts) and starts[i] < high


def _wordy(text: str) -> bool:
    """Whether the text has no mathematics in it."""
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
            if last.text != box.text and len(last.text) < 2000:
                joined[-1] = Span(last.start, box.end, f"{last.text} ; {box.text}")
        else:
            joined.append(box)
    return joined


def _region(text: str) -> str:
    """What a label speaks of: up to the end of the sentence or the line, math spans kept whole."""
    lead = len(text) - len(text.lstrip(_QUOTES))
    spans = math_spans(text)
    for match in re.finditer(r"[.!?](?:[\"*)'\\]{0,3})(?=\s|$)|[。！？]|\n", text[lead:]):
        end = lead + match.start()
        if not any(span.start < end < span.end for span in spans):
            return text[:end]
    return text


def _labelled(region: str) -> str | None:
    """The answer in what a label speaks of, or None."""
    content = region.replace('\\"', '"').strip(_QUOTES)
    if not content or _NEGATED.match(content):
        return None
    if stands_alone(content):
        return content
    spans = candidates(content)
    if not spans:
        return content if len(content.split()) <= 3 else None
    return pick(content, prefer_money=True)
