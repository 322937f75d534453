"""Labels of the final answer (``Answer: x``, ``the answer is x``, ``x is the answer``) and the answers at them."""

import re
from typing import NamedTuple

from textmdp.envs.answers.exact import parse_quantity
from textmdp.envs.answers.notation import clean
from textmdp.envs.answers.phrases import (
    CERTAIN_REASON,
    DENIAL,
    DENYING_LABEL,
    EXPLANATION,
    FILLER,
    LABEL,
    LABEL_BEHIND,
    LEAD,
    MENTION,
    OPERATOR,
    QUOTES,
    REASON,
    REMARK,
    RESULT,
    UNKNOWN,
)
from textmdp.envs.answers.spans import candidates, denied, math_spans, select_answer, stands_alone

_UNIT_WORDS = re.compile(r"\s?[^\W\d_]{1,20}(?:\s[^\W\d_]{1,20}){0,2}")


class Labelled(NamedTuple):
    """An answer at a label."""

    start: int
    """Index of the label."""
    text: str
    """The answer as written; the words behind the label where they name none."""
    aside: bool
    """True if the sentence only mentions an answer (*a check of our answer: ...*)."""
    end: int
    """Index behind the text that the label announces."""


def without_explanation(text: str) -> str:
    """Cut an explanation behind the answer: a line that starts with ``Explanation:`` and all that follows."""
    for match in EXPLANATION.finditer(text):
        if text[: match.start()].strip():
            return text[: match.start()]
    return text


def labelled(text: str, limit: int) -> list[Labelled]:
    """Return the answers at the last ``limit`` labels, in order; the text is empty for a label without one."""
    found: list[Labelled] = []
    labels = list(LABEL.finditer(text))
    for i, label in enumerate(labels[-limit:], start=max(0, len(labels) - limit)):
        stop = labels[i + 1].start() if i + 1 < len(labels) else len(text)
        region = region_of(text[label.end() : min(stop, label.end() + 2000)])
        denies = DENYING_LABEL.search(label[0]) is not None
        answer = _denied_answer(region) if denies else answer_in(region)
        before = re.split(r"[.!?\n]\s|\n", text[max(0, label.start() - 120) : label.start()])[-1]
        aside = MENTION.search(before) is not None
        aside = aside or (DENIAL.match(answer) or UNKNOWN.match(answer)) is not None
        found.append(Labelled(label.start(), answer, aside, label.end() + len(region)))
    for match in list(LABEL_BEHIND.finditer(text))[-limit:]:
        before = re.split(r"[.!?]\s|\n", text[max(0, match.start() - 300) : match.start()])[-1]
        content = before.strip(QUOTES)
        content = content[lead.end() :] if (lead := LEAD.match(content)) else content
        choice = re.fullmatch(r"(?:[Oo]ption|[Cc]hoice)?\s?(\(?[A-J]\)?)", content)
        if choice:
            found.append(Labelled(match.start() - len(before), choice[1], False, match.end()))
        elif content and not MENTION.search(content) and not match[0].endswith("correct"):
            selected = content if stands_alone(content) and candidates(content) else select_answer(content)
            if selected:
                found.append(Labelled(match.start() - len(before), selected, False, match.end()))
    return sorted(found)


def region_of(text: str) -> str:
    """The text that a label announces: up to the end of the sentence or the line, math spans kept whole."""
    lead = len(text) - len(text.lstrip(QUOTES))
    spans = math_spans(text)
    for match in re.finditer(r"[.!?](?:[\"*)'\\]{0,3})(?=\s|$)|[。！？]|\n", text[lead:]):
        end = lead + match.start()
        abbreviated = match[0] == "." and re.search(r"(?<![a-zA-Z])(?:i\.e|e\.g|sq|cu|ft|approx|i|e)$", text[:end])
        if not abbreviated and not any(span.start < end < span.end for span in spans):
            return text[:end]
    return text


def _denied_answer(region: str) -> str:
    """The answer behind *the answer isn't 6, it is 5*; the words where they name none."""
    content = region.strip(QUOTES)
    return select_answer(f"not {content}") or f"not {content}"


def answer_in(region: str) -> str:
    """Select the answer of the text behind a label; the first words where it has none, empty for no text at all.

    An expression right behind the label is the answer, and its reasons and circumstances are left out: *18 dollars,
    since she sells 9 eggs at 2 dollars each* is 18 dollars. Without one it is the answer of the sentence.
    """
    content = re.sub(r"\*\*(?=[\s.,;:)]|$)", "", region.replace('\\"', '"')).strip(QUOTES)  # the end of bold print
    for _ in range(3):
        if filler := FILLER.match(content):
            content = content[filler.end() :].strip(QUOTES)
    if not content:
        return ""
    if DENIAL.match(content):
        return select_answer(content) or content[:80]
    if UNKNOWN.match(content):
        return content[:80]
    first, mark, rest = content.partition("; ")  # "42; 6 * 7 = 42"
    if mark and "=" in rest and "=" not in first and candidates(first):
        content = first
    head = main_clause(content)
    if stands_alone(head):
        return head
    leading = next(iter(candidates(head)), None)
    if leading is not None and leading.start <= 1 and not denied(head, leading):
        behind = head[leading.end :].lstrip("*_` ")
        if OPERATOR.match(head[leading.end :]):
            return head
        if not (RESULT.search(behind) and candidates(behind)):
            return _with_unit(head, leading.text, leading.end)
    if leading is None:
        content_answer = select_answer(content, prefer_money=True)
        return content_answer or (content[:200] if len(content.split()) <= 3 or stands_alone(content) else head[:80])
    return select_answer(head, prefer_money=True) or head[:80]


def main_clause(text: str) -> str:
    """Cut reasons, alternatives that are denied, and remarks in brackets behind the first words of an answer."""
    spans = math_spans(text)
    for match in sorted([*REASON.finditer(text), *REMARK.finditer(text)], key=lambda found: found.start()):
        head = text[: match.start()].strip(QUOTES + ",;")
        if head and not any(span.start < match.start() < span.end for span in spans):
            return head if candidates(head) or CERTAIN_REASON.match(match[0]) else text
    return text


def _with_unit(head: str, answer: str, end: int) -> str:
    """The answer with the words of its unit, as far as they make a quantity: *5 meters* of *5 meters for 3 days*."""
    words = _UNIT_WORDS.match(head, end)
    if words is None:
        return answer
    pieces = words[0].split(" ")
    for count in range(len(pieces), 0, -1):
        written = answer + " ".join(pieces[:count])
        quantity = parse_quantity(clean(written))
        if quantity is not None and quantity.unit:
            return written
    return answer
