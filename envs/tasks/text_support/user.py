"""The simulated customer: the interface between the task and any user, and the user made of rules.

A user is a pure function of a scenario, its own memory of the dialogue, the bot's turn as the task judged it, and a
generator. The task alone decides whether an issue is resolved; a user only finds words, tells facts and loses patience.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from textmdp.envs.tasks.text_support.phrases import OPENINGS, PERSONS, PHRASES, PLACES
from textmdp.envs.tasks.text_support.policy import Facts
from textmdp.envs.tasks.text_support.scenarios import Issue, Scenario

#: The facts that a customer may tell.
FACTS = ("kind", "number", "name", "item", "code", "want", "used", "city")
#: Moods, from the worst to the best.
WORST_MOOD, BEST_MOOD = -3, 3


class Mind(NamedTuple):
    """A customer's memory of the dialogue; immutable and hashable."""

    patience: int
    issue: int = 0
    """The index of the issue in hand."""
    told: frozenset[str] = frozenset()
    """The facts of this issue that the customer has told, of `FACTS`."""
    number: int = 0
    """The order's number as the customer told it last; 0 for none."""
    want: str = ""
    """What the customer would like for a lost parcel now."""
    mood: int = 0
    last: frozenset[str] = frozenset()
    """The acts of the bot's last words."""
    transcript: tuple[str, ...] = ()
    """For users that read the dialogue as text, such as language models: its messages so far."""


class Turn(NamedTuple):
    """The bot's words to the customer, as the task understood and judged them."""

    text: str
    acts: frozenset[str]
    """Asks (`ask_` and a fact), claims and small talk, see `understanding`."""
    false: int
    """The number of claims that are not true."""
    unfounded: bool
    """Whether there is a claim that the bot could not know."""
    resolved: bool
    """Whether the issue in hand is resolved with this turn."""
    outcome: str
    """Of a resolved issue: "done", "refused" or "informed"."""
    acted: bool
    """Whether the records of the issue have been changed; nobody changes their mind after that."""


class Answer(NamedTuple):
    """A user's answer."""

    text: str
    mind: Mind
    leaves: bool = False
    """Whether the user ends the dialogue."""


class Request(NamedTuple):
    """The arguments of one answer."""

    scenario: Scenario
    mind: Mind
    turn: Turn
    rng: np.random.Generator


class User(Protocol):
    """A customer, played by rules, by a language model or by a person."""

    def open(self, scenario: Scenario) -> Answer:
        """The first message."""

    def answer(self, request: Request) -> Answer:
        """The answer to one turn; it ends the dialogue if the last issue is resolved."""

    def answers(self, requests: Sequence[Request]) -> list[Answer]:
        """`answer` for each request; a language model answers them together."""


def facts_of(scenario: Scenario, mind: Mind) -> Facts:
    """The facts of the issue in hand, as they are now."""
    issue = scenario.issues[mind.issue]
    return Facts(issue.kind, issue.number, scenario.name, scenario.code, mind.want, issue.used, issue.city)


class RuleUser:
    """A customer made of rules, offline and seeded; it answers what it is asked, and volunteers nothing."""

    def open(self, scenario: Scenario) -> Answer:
        """The first message, which tells the problem unless the customer is vague."""
        mind = Mind(scenario.patience, mood=0 if scenario.style != "upset" else -1)
        text, mind = _state_issue(scenario, mind, scenario.phrase)
        if scenario.gives_name:
            text, mind = f"{scenario.name} here. {text}", mind._replace(told=mind.told | {"name"})
        return Answer(text, mind)

    def answer(self, request: Request) -> Answer:
        """The answer to one turn of the bot."""
        scenario, mind, turn, rng = request
        draw = int(rng.integers(1 << 30))
        if turn.resolved:
            return _settled(scenario, mind, turn, draw)
        acts = turn.acts
        if turn.false > 1:
            return _react(scenario, mind, turn, "contradiction", draw, 2)
        if turn.false:
            return _react(scenario, mind, turn, "false", draw, 2)
        asked = [fact for fact in FACTS if f"ask_{fact}" in acts]
        if asked:
            return _tell(scenario, mind, turn, asked[:2], draw)
        loop = acts == mind.last
        if turn.unfounded:
            return _react(scenario, mind, turn, "unfounded", draw, 1 + loop)
        if not acts:
            return _react(scenario, mind, turn, "confused", draw, 1 + loop)
        if "refuse" in acts:
            return _react(scenario, mind, turn, "why", draw, loop)
        if "promise" in acts or "wait" in acts:
            return _react(scenario, mind, turn, "hurry" if loop else "wait", draw, loop)
        if acts <= {"greet", "thanks"}:
            return _react(scenario, mind, turn, "hurry" if loop else "greeting", draw, loop)
        if acts <= {"greet", "thanks", "sorry", "else", "bye"}:
            return _react(scenario, mind, turn, "hurry", draw, 1)
        return _react(scenario, mind, turn, "and_then", draw, loop)

    def answers(self, requests: Sequence[Request]) -> list[Answer]:
        """`answer` for each request."""
        return [self.answer(request) for request in requests]


def say(scenario: Scenario, intent: str, draw: int, issue: Issue, number: int = 0) -> str:
    """A phrase in the customer's manner; at the entry level, what has no phrase is beside the point."""
    phrases = PHRASES[intent].get(scenario.style) or PHRASES["irrelevant"][scenario.style]
    return _fill(phrases[draw % len(phrases)], scenario, issue, number or issue.number)


def _fill(template: str, scenario: Scenario, issue: Issue, number: int) -> str:
    return template.format(
        number=number,
        item=issue.item,
        name=scenario.name,
        code=scenario.code,
        city=issue.city,
        person=PERSONS[scenario.phrase // 8 % len(PERSONS)],
        place=PLACES[scenario.phrase // 64 % len(PLACES)],
    )


def _state_issue(scenario: Scenario, mind: Mind, draw: int) -> tuple[str, Mind]:
    """The message that opens an issue."""
    issue = scenario.issues[mind.issue]
    text, told, number = _opening(
        scenario, issue, "vague" if issue.vague else issue.kind, draw, issue.gives_number, mind.issue > 0
    )
    return text, mind._replace(told=mind.told | told, number=number, want=issue.want)


def _opening(
    scenario: Scenario, issue: Issue, kind: str, draw: int, numbered: bool, begun: bool
) -> tuple[str, frozenset[str], int]:
    """A statement of the problem, without a greeting if the dialogue has begun; the facts in it, and the number."""
    templates = OPENINGS[kind][scenario.style]
    template = choose(templates[draw % len(templates)], numbered)
    if begun:
        template = without_greeting(template)
    number = (issue.misread or issue.number) if "{number}" in template else 0
    told = {"kind"} if kind != "vague" else set()
    told |= {fact for fact in ("number", "item") if f"{{{fact}}}" in template}
    text = _fill(template, scenario, issue, number)
    if issue.rather and kind != "vague":  # who changes their mind says what they want before they are asked
        told.add("want")
        text = f"{text} {say(scenario, f'want_{issue.want}', draw, issue)}"
    return text, frozenset(told), number


@lru_cache(maxsize=1024)
def choose(template: str, numbered: bool) -> str:
    """A template with its choices made.

    >>> choose("Cancel [order {number}|it].", False)
    'Cancel it.'
    """
    pieces = template.replace("]", "[").split("[")
    return "".join(p.split("|")[not numbered] if "|" in p else p for p in pieces)


@lru_cache(maxsize=1024)
def without_greeting(template: str) -> str:
    """A template without a greeting at its beginning.

    >>> without_greeting("Hello, I can't log in.")
    "I can't log in."
    """
    rest = template.removeprefix("Hello, ").removeprefix("Good morning, ")
    return rest[0].upper() + rest[1:]


def _settled(scenario: Scenario, mind: Mind, turn: Turn, draw: int) -> Answer:
    """The end of an issue: a farewell, or the next issue."""
    mood = min(BEST_MOOD, mind.mood + (turn.outcome != "refused"))
    if mind.issue + 1 == len(scenario.issues):
        return Answer(say(scenario, turn.outcome, draw, scenario.issues[mind.issue]), mind._replace(mood=mood), True)
    kept = mind.told & {"name", "code"}
    mind = Mind(mind.patience, mind.issue + 1, kept, mood=mood, transcript=mind.transcript)
    more = say(scenario, "one_more", draw, scenario.issues[mind.issue])
    text, mind = _state_issue(scenario, mind, draw // 7)
    return Answer(f"{more} {text}", mind)


def _react(scenario: Scenario, mind: Mind, turn: Turn, intent: str, draw: int, cost: int) -> Answer:
    """A reaction that costs patience, or the end of it."""
    issue = scenario.issues[mind.issue]
    patience, mood = mind.patience - cost, max(WORST_MOOD, mind.mood - (cost > 0))
    if "sorry" in turn.acts and "sorry" not in mind.last:
        mood = min(BEST_MOOD, mood + 1)
    mind = mind._replace(patience=patience, mood=mood, last=turn.acts)
    if patience <= 0:
        return Answer(say(scenario, "give_up", draw, issue), mind, True)
    return Answer(say(scenario, intent, draw, issue), mind)


def _tell(scenario: Scenario, mind: Mind, turn: Turn, asked: Sequence[str], draw: int) -> Answer:
    """Answers to the bot's questions."""
    issue = scenario.issues[mind.issue]
    texts: list[str] = []
    known = all(fact in mind.told for fact in asked)
    cost = int(known and turn.acts == mind.last)
    if known and not ("number" in asked and mind.number != issue.number):
        cost += 1
        if len(asked) == 1:
            texts.append(say(scenario, "again", draw // 3, issue))
    told, number, want = set(mind.told), mind.number, mind.want
    for fact in asked:
        if fact == "kind":
            text, more, _ = _opening(scenario, issue, issue.kind, draw, False, True)
            told |= more
        elif fact == "number" and issue.kind != "login":
            if not issue.knows_number:
                text = say(scenario, "number_unknown", draw, issue)
                told.add("number_unknown")
            elif number and number != issue.number:
                text, number = say(scenario, "number_corrected", draw, issue), issue.number
            else:
                number = number or issue.misread or issue.number
                text = say(scenario, "number", draw, issue, number)
        elif fact == "want" and issue.kind == "late":
            text = say(scenario, f"want_{want}", draw, issue)
        elif fact == "used" and issue.kind in ("return", "warranty"):
            text = say(scenario, "used_yes" if issue.used or issue.kind == "warranty" else "used_no", draw, issue)
        elif fact in ("name", "code") or (fact == "item" and issue.kind != "login") or (fact == "city" and issue.city):
            text = say(scenario, fact, draw, issue)
        else:
            texts.append(say(scenario, "irrelevant", draw, issue))
            cost += 1
            break
        if not (fact == "number" and not issue.knows_number):
            told.add(fact)
        texts.append(text)
    if issue.rather and want != issue.rather and "want" in mind.told and "want" not in asked and not turn.acted:
        want = issue.rather
        texts.append(say(scenario, f"rather_{want}", draw, issue))
    patience = mind.patience - cost
    mood = max(WORST_MOOD, mind.mood - (cost > 0))
    mind = mind._replace(told=frozenset(told), number=number, want=want, patience=patience, mood=mood, last=turn.acts)
    if patience <= 0:
        return Answer(say(scenario, "give_up", draw, issue), mind, True)
    return Answer(" ".join(texts), mind)
