"""The compact lexicon: the words of the customers, the system and the bot at a level, with their leading blanks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from textmdp.envs.tasks.text_support.expert import ENTRY_SENTENCES, SENTENCES, SPARE
from textmdp.envs.tasks.text_support.phrases import OPENINGS, PERSONS, PHRASES, PLACES
from textmdp.envs.tasks.text_support.policy import TEXT
from textmdp.envs.tasks.text_support.scenarios import LEVELS
from textmdp.envs.tasks.text_support.shop import CITIES, ITEMS, NAMES, age
from textmdp.envs.tasks.text_support.tools import TOOLS
from textmdp.envs.tasks.text_support.user import choose, without_greeting

OPENING, CUSTOMER, SYSTEM, AGENT = "customer: ", "\ncustomer: ", "\nsystem: ", "\nagent: "
#: The texts of the system, apart from those that end a dialogue.
_SYSTEM_TEXTS = (
    "Order {number}: {item} for {name}, packed, shipped, cancelled, replaced.",
    "Order was delivered {number} day, days, months ago.",
    "Parcel {number} has not left, is lost, was cancelled, was delivered, arrives in {number} days.",
    "Order {number} was charged twice, once, is refunded, goes to {city}.",
    "One charge of order {number} is refunded.",
    "The {item} is in stock, is sold out.",
    "A new {item} is on its way.",
    "The postcode is right, is wrong.",
    "The account of {name} is open.",
    "Orders of {name}: {number} {item}, none.",
    "That is not possible.",
    "There is no order {number}, no such city, no such customer.",
)
_ENTRY_SYSTEM_TEXTS = (
    "Order {number} is cancelled.",
    "Parcel {number} has not left, was cancelled, arrives in {number} days.",
    "There is no order {number}.",
    "That is not possible.",
)
#: The system's last text, for each rule of the policy.
BROKEN = {"not allowed": "That is not allowed.", "not checked first": "That was not checked first."}
_TOKEN = re.compile(r"\n(?:customer|system|agent): |customer: | ?[A-Za-z_][A-Za-z_'-]*| ?\{\w+\}| ?\d|\n|[^\w\s]")
_VALUES = {"{name}": NAMES, "{item}": ITEMS, "{city}": CITIES, "{person}": PERSONS, "{place}": PLACES}
_DIGITS = tuple("0123456789")


@lru_cache(maxsize=16)
def vocabulary(level: str, policy: bool) -> tuple[str, ...]:
    """The tokens of a level, with the words of the policy's text or without."""
    rules = LEVELS[level]
    entry = not rules.strict
    tables = [OPENINGS[kind] for kind in (*rules.kinds, *(["vague"] if rules.vague else []))]
    texts = [
        choose(template, numbered)
        for table in tables
        for style in rules.styles
        for template in table[style]
        for numbered in (True, False)
    ]
    for table in PHRASES.values():
        texts.extend(template for style in rules.styles for template in table.get(style, ()))
    texts.extend([without_greeting(text) for text in texts])
    if not entry:
        # Sentences also follow others, and then begin with a blank.
        texts.extend([f" {text}" for text in texts])
        texts.append("{name} here.")
    texts.extend(_ENTRY_SYSTEM_TEXTS if entry else _SYSTEM_TEXTS)
    texts.extend([BROKEN["not allowed"]] if entry else BROKEN.values())
    if policy:
        texts.append(f"{TEXT}\n\n")
    tokens = (*tool_names(entry), OPENING, CUSTOMER, SYSTEM, AGENT, *_DIGITS, *(f" {digit}" for digit in _DIGITS))
    return tuple(dict.fromkeys((*tokens, *bot_tokens(entry), *tokens_of(texts))))


def tool_names(entry: bool) -> tuple[str, ...]:
    """The tools that a level's lexicon has."""
    return ("cancel", "track") if entry else tuple(TOOLS)


@lru_cache(maxsize=2)
def bot_tokens(entry: bool) -> tuple[str, ...]:
    """The tokens of the bot's sentences, those that begin one first."""
    sentences = [s for table in (ENTRY_SENTENCES if entry else SENTENCES).values() for s in table]
    if not entry:
        sentences.extend(SPARE)
    return tokens_of(sentence.replace("{days}", age(days)) for sentence in sentences for days in range(1, 10))


@lru_cache(maxsize=2)
def sentence_starts(entry: bool) -> tuple[str, ...]:
    """The tokens that the bot's sentences begin with."""
    if entry:
        return ("Cancelled", *_DIGITS)
    return tuple(token for token in bot_tokens(entry) if token[0].isupper() and token not in CITIES)


def tokens_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The tokens of texts, once each, with every value in the place of a placeholder."""
    tokens: dict[str, None] = {}
    for text in texts:
        for token in pieces(text):
            blank, _, name = token.rpartition("{")
            values: Sequence[str] | None = _VALUES.get(f"{{{name}") if token.endswith("}") else None
            if values is not None:
                tokens.update((f"{blank}{value}", None) for value in values)
            elif not token.endswith("}"):
                tokens[token] = None
    return tuple(tokens)


def pieces(text: str) -> list[str]:
    """The tokens of a text; a placeholder is one."""
    return _TOKEN.findall(text)


class Longest(NamedTuple):
    """Bounds of one message of the environment."""

    bytes: int
    tokens: int


@lru_cache(maxsize=16)
def longest_message(level: str) -> Longest:
    """Bounds of a message at a level: an opening after another sentence, two answers and a change of mind."""
    return Longest(_bound(level, lambda text: len(text.encode())), _bound(level, lambda text: len(pieces(text))))


def _bound(level: str, size: Callable[[str], int]) -> int:
    rules = LEVELS[level]
    digits = "0" * max(3, rules.digits)
    values = {"name": NAMES, "item": ITEMS, "city": CITIES, "person": PERSONS, "place": PLACES}
    longest = {name: max(words, key=len) for name, words in values.items()}

    def of(tables: Iterable[dict[str, tuple[str, ...]]]) -> int:
        templates = (template for table in tables for style in rules.styles for template in table.get(style, ()))
        return max((size(choose(t, True).format(number=digits, code=digits, **longest)) for t in templates), default=0)

    markers = size(AGENT) + size(CUSTOMER) + 3  # and blanks between sentences
    said = of(table for name, table in PHRASES.items() if not name.startswith("rather"))
    opening = of([*(OPENINGS[kind] for kind in rules.kinds), OPENINGS["vague"]])
    rather = of(table for name, table in PHRASES.items() if name.startswith("rather"))
    find = size("Orders of : , , .") + size(longest["name"]) + (rules.issues + 2) * size(f" {digits} {longest['item']}")
    longest_system = max(
        find, size("Order : jacket for Gina, delivered 50 months ago, refunded, replaced.") + len(digits)
    )
    return markers + max(opening + 2 * said, 2 * said + rather, longest_system)
