"""Generated verse: a grammar of lines in iambic metre, and poems that rhyme as they are asked to."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from textmdp.envs.core.task import END_OF_TURN
from textmdp.envs.tasks.text_poem.lexicon import RHYMES, TEMPLATES, THEMES, words_of

_ADJECTIVE = "[A]"


class Request(NamedTuple):
    """A poem that is asked for, the hidden state of `TextPoem`."""

    num_lines: int
    theme: str | None = None
    """A key of `lexicon.THEMES`; None for any."""
    scheme: str | None = None
    """A letter for each line: lines with the same letter rhyme. None for any."""
    syllables: int | None = None
    """Of each line; None for any."""
    distinct: bool = False
    """Whether no line may be repeated."""
    text: str | None = None
    """A poem that answers the request, where it comes from a data set."""


class LinePattern(NamedTuple):
    """One way to write a line: its symbols, each a word or a class of words, and its syllables."""

    symbols: tuple[str, ...]
    syllables: int


def _patterns() -> tuple[LinePattern, ...]:
    """Every template with each choice of its optional adjectives."""
    patterns = []
    for template in TEMPLATES:
        pieces = re.findall(r"\[A\]|\w+|,", template)
        for choice in product((False, True), repeat=pieces.count(_ADJECTIVE)):
            chosen = iter(choice)
            symbols = tuple("A" if p == _ADJECTIVE else p for p in pieces if p != _ADJECTIVE or next(chosen))
            # All words have one syllable, but for adjectives, which have two.
            syllables = len(symbols) - symbols.count(",") + symbols.count("A")
            patterns.append(LinePattern(symbols, syllables))
    return tuple(patterns)


PATTERNS = _patterns()
#: Syllables of a line for which there are at least five patterns.
SYLLABLES = tuple(n for n in range(4, 16) if sum(pattern.syllables == n for pattern in PATTERNS) >= 5)


def token_of(word: str, first: bool) -> str:
    """The token that writes a word: words within a line begin with a blank, punctuation and first words don't."""
    return word if first or word == "," else f" {word}"


def line_tokens() -> tuple[str, ...]:
    """The tokens that lines are made of, each once, in a fixed order; the line break last."""
    tokens: dict[str, None] = {}
    for pattern in PATTERNS:
        for place, symbol in enumerate(pattern.symbols):
            tokens.update((token_of(word, place == 0), None) for word in words_of(symbol))
    return (*tokens, "\n")


# Writing


def write_poem(request: Request, rng: np.random.Generator) -> str:
    """Draw a poem that meets a request: lines, rhymes (couplets where none are asked for), theme and metre.

    Args:
        request: of a scheme in which no letter occurs more often than the words of a rhyme (four).
        rng: the source of chance.
    """
    scheme = request.scheme or couplets(request.num_lines)
    syllables = request.syllables or int(rng.choice((6, 8)))
    endings = _endings(scheme, rng)
    lines: list[str] = []
    while len(lines) < request.num_lines:
        line = _write_line(endings[len(lines)], syllables, request.theme, rng)
        if line not in lines:
            lines.append(line)
    return "\n".join(lines)


def couplets(num_lines: int) -> str:
    """The scheme AABB…, whose last three lines rhyme where the number is odd.

    >>> couplets(4), couplets(5), couplets(1)
    ('AABB', 'AABBB', 'A')
    """
    pairs = max(num_lines // 2, 1)
    return "".join(chr(ord("A") + min(line // 2, pairs - 1)) for line in range(num_lines))


def _endings(scheme: str, rng: np.random.Generator) -> list[str]:
    """A last word for each line: those of a letter rhyme and differ, those of two letters don't rhyme."""
    letters = sorted(set(scheme))
    groups = rng.permutation(len(RHYMES))[: len(letters)].tolist()
    words = {letter: rng.permutation(RHYMES[group]).tolist() for letter, group in zip(letters, groups, strict=True)}
    return [words[letter].pop() for letter in scheme]


def _write_line(ending: str, syllables: int, theme: str | None, rng: np.random.Generator) -> str:
    """One line of so many syllables that ends in a word; its nouns are the theme's, where there is one."""
    fitting = [pattern for pattern in PATTERNS if pattern.syllables == syllables]
    pattern = fitting[int(rng.integers(len(fitting)))]
    nouns = words_of("N") if theme is None else THEMES[theme]
    used, words = {ending}, []
    for symbol in pattern.symbols:
        choice: Sequence[str] = nouns if symbol == "N" else words_of(symbol)
        left = [word for word in choice if word not in used] if len(choice) > 1 else choice
        word = ending if symbol == "E" else left[int(rng.integers(len(left)))]
        if len(choice) > 1:
            used.add(word)
        words.append(word)
    return "".join(token_of(word, place == 0) for place, word in enumerate(words))


# The grammar


def continuations(partial: str) -> Collection[str]:
    """The tokens that may follow an unfinished poem: lines of the patterns, and single blank lines between them."""
    before, _, line = partial.rpartition("\n")
    if not line:
        # A poem begins with a line, and has at most one blank line in a row.
        return _after("") if not before or before.endswith("\n") else (*_after(""), "\n")
    return _after(line)


@lru_cache(maxsize=4096)
def _after(line: str) -> tuple[str, ...]:
    """The tokens that may follow an unfinished line."""
    words = re.findall(r" ?\w+|,", line)
    following: dict[str, None] = {}
    for pattern in PATTERNS:
        symbols = pattern.symbols
        if len(words) > len(symbols) or not all(
            word in {token_of(w, place == 0) for w in words_of(symbol)}
            for place, (word, symbol) in enumerate(zip(words, symbols, strict=False))
        ):
            continue
        if len(words) == len(symbols):
            following.update({"\n": None, END_OF_TURN: None})
        else:
            symbol = symbols[len(words)]
            following.update((token_of(word, not words), None) for word in words_of(symbol))
    return tuple(following)
