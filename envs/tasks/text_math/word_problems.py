"""Word problems: stories of one to three steps in a small lexicon, each with the expression of its answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from string import Formatter
from typing import NamedTuple

from textmdp.envs.data.counter_rng import CounterRNG
from textmdp.envs.tasks.text_math.expressions import Term, number, write_fraction

NAMES = ("Ann", "Ben", "Eva", "Max", "Mia", "Tom")
THINGS = ("apples", "books", "cards", "coins", "pens", "shells")
HOLDERS = ("bags", "boxes", "cases", "crates")


class Story(NamedTuple):
    """A template for a story with the numbers a, b, c, d."""

    text: str
    """The text, with fields for names (x, y), things (t), holders (h) and numbers."""
    answer: Callable[[Term, Term, Term, Term], Term]
    """The expression of the answer."""
    is_possible: Callable[[int, int, int, int], bool] = lambda a, b, c, d: True
    """True if the numbers make sense at every step: nobody gives away more than they have."""


STORIES = (
    Story("{x} has {a} {t}. {y} has {b} {t}. How many {t} do they have together? ", lambda a, b, c, d: a + b),
    Story("{x} has {a} {t} and gives {b} to {y}. How many {t} does {x} have now? ", lambda a, b, c, d: a - b),
    Story("{x} buys {a} {h}. There are {b} {t} in each. How many {t} does {x} buy? ", lambda a, b, c, d: a * b),
    Story("{x} shares {a} {t} among {b} children. How many {t} does each child get? ", lambda a, b, c, d: a / b),
    Story(
        "{x} has {a} {t}, gives {b} to {y} and finds {c} more. How many {t} does {x} have now? ",
        lambda a, b, c, d: a - b + c,
        lambda a, b, c, d: a >= b,
    ),
    Story(
        "{x} has {a} {t} and buys {b} {h} with {c} {t} in each. How many {t} does {x} have now? ",
        lambda a, b, c, d: a + b * c,
    ),
    Story(
        "{x} fills {a} {h} with {b} {t} each and sells {c} {t}. How many {t} are left? ",
        lambda a, b, c, d: a * b - c,
    ),
    Story(
        "{x} has {a} {t} and {y} has {b}. They share them among {c} children. How many {t} does each child get? ",
        lambda a, b, c, d: (a + b) / c,
    ),
    Story(
        "{x} has {a} {t}. {y} has {b} times as many. How many {t} do they have together? ",
        lambda a, b, c, d: a + a * b,
    ),
    Story(
        "{x} packs {a} {h} with {b} {t} each, and {y} packs {c} {h} with {d} {t} each. "
        "How many more {t} does {x} pack than {y}? ",
        lambda a, b, c, d: a * b - c * d,
    ),
    Story(
        "{x} and {y} each have {a} {t}. {x} sells {b} and {y} finds {c}. How many {t} do they have together? ",
        lambda a, b, c, d: a + a - b + c,
        lambda a, b, c, d: a >= b,
    ),
)

_TOKEN = re.compile(r" ?[A-Za-z]+|[^A-Za-z]")


def words(rng: CounterRNG) -> tuple[str, Term, str] | None:
    """A random story, its expression and its answer, a natural number; None to reject."""
    story = rng.choice(STORIES)
    a, b, c, d = (rng.between(2, 60) for _ in range(4))
    term = story.answer(number(a), number(b), number(c), number(d))
    if term.value.denominator != 1 or not 0 <= term.value <= 999 or not story.is_possible(a, b, c, d):
        return None
    if term.value in (a, b, c, d):  # a response that repeats the story would contain the answer
        return None
    x, y = rng.sample(NAMES, 2)
    text = story.text.format(x=x, y=y, t=rng.choice(THINGS), h=rng.choice(HOLDERS), a=a, b=b, c=c, d=d)
    return text, term, write_fraction(term.value)


def equation(question: str) -> str:
    """The expression of a story's answer.

    >>> equation("Ann has 12 coins and gives 5 to Ben. How many coins does Ann have now? ")
    '12-5'
    """
    for pattern, answer in _FORMS:
        if match := pattern.fullmatch(question):
            found = match.groupdict()
            return answer(*(number(int(found.get(name, 1))) for name in "abcd")).text
    raise ValueError(f"{question!r} is none of the stories of textmdp.envs.tasks.text_math.word_problems")


def _form(text: str) -> re.Pattern[str]:
    """A regular expression for the stories of a template, with its numbers as groups."""
    pattern, seen = "", set[str]()
    for before, field, _, _ in Formatter().parse(text):
        pattern += re.escape(before)
        if field in seen:
            pattern += f"(?P={field})"
        elif field:
            seen.add(field)
            pattern += rf"(?P<{field}>\d+)" if field in "abcd" else rf"(?P<{field}>\w+)"
    return re.compile(pattern)


_FORMS = tuple((_form(story.text), story.answer) for story in STORIES)


def lexicon() -> tuple[str, ...]:
    """The words of all stories as tokens, with the blank before them if there is one; no digits."""
    text = " ".join(story.text for story in STORIES)
    found = {token for token in _TOKEN.findall(re.sub(r"\{\w\}", "0", text)) if token[-1].isalpha()}
    found |= {blank + name for name in NAMES for blank in ("", " ")}
    found |= {f" {thing}" for thing in THINGS + HOLDERS}
    return tuple(sorted(found))
