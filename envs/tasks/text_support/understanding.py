"""The acts in a bot's free text: questions, claims, refusals, promises and small talk, by rules on words.

Acts are `ask_` and a fact (`user.FACTS`), the claims of `policy.CLAIMS`, and:

- `done`: something unnamed was done; `lost`: a parcel is lost; `refuse`: a refusal; `promise`: something will be done;
- `wait`, `greet`, `sorry`, `thanks`, `else` (anything else?), `bye`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from textmdp.envs.tasks.text_support.patterns import (
    ASKS,
    CHECK,
    COMMAND,
    CONDITION,
    CUSTOMER,
    DAYS,
    DONE,
    ELSE,
    ENDINGS,
    GENERIC,
    HELP,
    LOGIN,
    LOST,
    MODAL,
    NEGATIVE,
    NOT_DAYS,
    NOT_FOUND,
    NUMBERS,
    POSSIBLE,
    PREAMBLE,
    REASONS,
    REQUEST,
    SMALL,
    SPELT,
    TOPICS,
    WAIT,
    WORD,
)

#: Longer responses are cut here before they are read.
_LONGEST = 600


class Heard(NamedTuple):
    """What a text says."""

    acts: frozenset[str]
    days: int
    """The days in which a parcel arrives, where the text names them."""


@lru_cache(maxsize=1 << 14)
def hear(text: str) -> Heard:
    """Return the acts in a bot's text, and the days that it names; none for nonsense.

    >>> sorted(hear("Sorry, could you give me your order number?").acts)
    ['ask_number', 'sorry']
    >>> hear("Your parcel will arrive in three days.")
    Heard(acts=frozenset({'arrives'}), days=3)
    """
    acts: set[str] = set()
    days = 0
    for clause, question in _sentences(text):
        days = _read(clause, question, acts) or days
    return Heard(frozenset(_consistent(acts)), days if "arrives" in acts else 0)


def _sentences(text: str) -> list[tuple[str, bool]]:
    """The sentences of a text in normal form, each with whether it ends in a question mark."""
    text = text[:_LONGEST].lower().replace("’", "'")
    for short, full in SPELT + ENDINGS:
        text = text.replace(short, full)
    sentences = []
    for piece in re.findall(r"[^.?!;\n]+[.?!;\n]?", text):
        question = piece.endswith("?")
        # A negation or a condition holds for its own clause, but for conditions that come first.
        parts = [piece] if question or CONDITION.match(piece) else piece.split(",")
        for part in parts:
            words = PREAMBLE.sub("", " ".join(WORD.findall(part))).strip()
            if words:
                sentences.append((words, question))
    return sentences


def _read(sentence: str, question: bool, acts: set[str]) -> int:
    """Add the acts of a sentence; return the days that it names."""
    acts.update(act for act, pattern in SMALL.items() if pattern.search(sentence))
    if ELSE.search(sentence) and (question or "let me know" in sentence or "if " in sentence):
        acts.add("else")
        return 0
    if LOGIN.search(sentence) and not question:
        acts.add("unlocked")
        return 0
    command = bool(COMMAND.search(sentence)) or (bool(CHECK.search(sentence)) and bool(ASKS["code"].search(sentence)))
    if question or command or REQUEST.search(sentence):
        asked = _questions(sentence)
        if asked and (question or command or not _is_statement(sentence)):
            acts.update(f"ask_{fact}" for fact in asked)
            return 0
    if WAIT.search(sentence):
        acts.add("wait")
        return 0
    return 0 if question else _claims(sentence, acts)


def _questions(sentence: str) -> list[str]:
    """The facts that a sentence asks for, if it asks."""
    asked = [fact for fact, pattern in ASKS.items() if fact != "kind" and pattern.search(sentence)]
    if "code" in asked or "item" in asked:
        asked = [fact for fact in asked if fact in ("code", "item") or f" and {fact}" in sentence]
    if "want" in asked and HELP.search(sentence) and "or" not in sentence.split():
        asked.remove("want")
    if "want" in asked:
        asked = ["want"]
    if "number" in asked and "name" in asked and " and " not in sentence:
        asked.remove("name")
    if "used" in asked and len(asked) > 1:
        asked.remove("used")
    if "name" in asked and "address you" in sentence:
        asked.remove("city")
    if not asked and ASKS["kind"].search(sentence):
        asked = ["kind"]
    return asked


def _is_statement(sentence: str) -> bool:
    """True if a sentence that could be a request claims something."""
    found: set[str] = set()
    _claims(sentence, found)
    return bool(found - {"promise"})


def _claims(sentence: str, acts: set[str]) -> int:
    """Add the claims, refusals and promises of a sentence; return the days that it names."""
    if CUSTOMER.search(sentence):
        return 0
    negative, modal = bool(NEGATIVE.search(sentence)), bool(MODAL.search(sentence))
    if NOT_FOUND.search(sentence):
        acts.add("ask_number")
        return 0
    if LOST.search(sentence):
        acts.add("lost")
    days = _days(sentence)
    if days and not negative and not NOT_DAYS.search(sentence):
        acts.add("arrives")
        return days
    reasons = [reason for reason, pattern in REASONS.items() if pattern.search(sentence)]
    deeds = [deed for deed, pattern in DONE.items() if pattern.search(sentence)]
    if "moved" in deeds and "replaced" in deeds:
        deeds.remove("replaced" if "address" in sentence else "moved")
    if "replaced" in deeds and "refunded" in deeds:
        deeds.remove("refunded" if re.search(r"\b(?:new|replacement|another)\b", sentence) else "replaced")
    if deeds and not negative and not modal:
        acts.update(deeds[:2])
        return 0
    if "shipped" in reasons and re.search(r"\b(new|replacement|another|money|refund|right one)\b", sentence):
        reasons.remove("shipped")
    if (
        "not_verified" in reasons
        and not negative
        and not re.search(r"\b(wrong|fail|different|incorrect|inval)", sentence)
    ):
        reasons.remove("not_verified")
    if reasons and not (modal and not negative and deeds):
        acts.update(reasons)
        return 0
    topics = deeds or [deed for deed, pattern in TOPICS.items() if pattern.search(sentence)]
    if negative and (topics or POSSIBLE.search(sentence)):
        if not re.search(r"\bno (?:problem|worries|trouble)\b", sentence):
            acts.add("refuse")
    elif modal and topics:
        acts.add("promise")
    elif GENERIC.search(sentence) and not negative and not modal:
        acts.add("done")
    return 0


def _days(sentence: str) -> int:
    """The number of days that a sentence names; 0 for none."""
    match = DAYS.search(sentence)
    if match:
        return 1 if match[1] == "a" else NUMBERS.get(match[1]) or int(match[1])
    return 1 if re.search(r"\btomorrow\b", sentence) else 0


def _consistent(acts: set[str]) -> set[str]:
    """The acts without those that others explain."""
    if acts & {"replaced", "refunded", "moved"}:
        acts -= {"shipped", "used"}
    if "arrives" in acts:
        acts -= {"shipped", "refuse", "moved"}
    if acts & {"shipped", "warranty_over"}:
        acts.discard("too_late")
    if acts & {"not_yours", "not_verified", "warranty_over"}:
        acts.discard("shipped")
    if acts & DONE.keys():
        acts -= {"done", "promise", "refuse"}
    if acts & REASONS.keys():
        acts -= {"refuse", "promise"}
    return acts
