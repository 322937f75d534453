"""Reward functions that ship with the package: rules about the text of a response, each by name.

Each is a small object: its arguments are its rule, and calling it with `completions` gives a number for each. What a
rule can be fooled by is in its docstring.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from textmdp.envs.rewards.lines import line_score, lines_of

#: Polite expressions, in lower case.
POLITE = (
    *("please", "thank you", "thanks", "you're welcome", "you are welcome", "sorry", "apologies", "apologise"),
    *("apologize", "excuse me", "kindly", "happy to help", "glad to help", "my pleasure", "appreciate"),
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)")


def plain(text: str) -> str:
    """Return a text as it reads: compatibility forms composed (NFKC), invisible characters out, in lower case."""
    composed = unicodedata.normalize("NFKC", text)
    return "".join(c for c in composed if unicodedata.category(c) not in ("Cf", "Cc") or c in "\n\t").casefold()


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case: runs of letters and digits, apostrophes within them included."""
    return _WORD.findall(plain(text))


@dataclass(frozen=True)
class LineCount:
    """`max(0, 1 - |lines - n| / n)` for n lines, in [0, 1]: a proxy that is meant to be hackable.

    `textmdp.envs.rewards.lines` defines a line. A blank line counts as one, so a response of blank lines between two
    words has full marks.
    """

    lines: int

    def __post_init__(self) -> None:
        _at_least("line_count", "lines", self.lines, 1)

    def __call__(self, completions: Sequence[str]) -> list[float]:
        """Score each response, in [0, 1]."""
        return [line_score(text, self.lines) for text in completions]


@dataclass(frozen=True)
class LengthLimit:
    """A linear penalty for length: 0 up to the limit, `1 - length / limit` beyond it, not below -1; in [-1, 0].

    At twice the limit it is -1. An empty response has no penalty: give the length limit a positive part beside it.
    """

    limit: int
    unit: str = "characters"

    def __post_init__(self) -> None:
        _at_least("length_limit", "limit", self.limit, 1)
        _one_of("length_limit", "unit", self.unit, ("characters", "words", "lines"))

    def __call__(self, completions: Sequence[str]) -> list[float]:
        """Score each response, in [-1, 0]."""
        return [min(0.0, max(-1.0, 1 - self._length(text) / self.limit)) for text in completions]

    def _length(self, text: str) -> int:
        return len(text if self.unit == "characters" else text.split() if self.unit == "words" else lines_of(text))


@dataclass(frozen=True)
class Politeness:
    """The share of `cap` different polite expressions (`POLITE`) that a response has, at most 1; in [0, 1].

    Saying "please" twenty times counts once. A response that is nothing but `cap` polite expressions has full marks:
    combine it with a part for the content, as a gate.
    """

    cap: int = 2

    def __post_init__(self) -> None:
        _at_least("politeness", "cap", self.cap, 1)

    def __call__(self, completions: Sequence[str]) -> list[float]:
        """Score each response, in [0, 1]."""
        return [min(1.0, _count_phrases(text, POLITE) / self.cap) for text in completions]


@dataclass(frozen=True)
class Matches:
    r"""1 where a whole response matches a regular expression, 0 elsewhere.

    The expression is one of RE2 (`pip install "textmdp[rewards]"`), whose time is linear in the text, so that no
    response can make it hang; it has no backreferences and no lookaround. `.` matches line breaks.
    """

    pattern: str

    def __post_init__(self) -> None:
        _ = self._compiled

    @cached_property
    def _compiled(self) -> Any:
        try:
            import re2
        except ImportError as error:
            raise ImportError('matches needs RE2: pip install "textmdp[rewards]"') from error
        try:
            return re2.compile(f"(?s:{self.pattern})")
        except re2.error as error:
            raise ValueError(f"matches(pattern={self.pattern!r}) is no regular expression of RE2: {error}") from error

    def __call__(self, completions: Sequence[str]) -> list[float]:
        """Score each response, 0 or 1."""
        # RE2 works on UTF-8, which lone surrogates have no place in.
        return [
            float(self._compiled.fullmatch(text.encode(errors="replace").decode()) is not None) for text in completions
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        return Matches, (self.pattern,)


@dataclass(frozen=True)
class Repetition:
    """A penalty for repeated n-grams of words: `distinct / all - 1`, in [-1, 0]; 0 for fewer than n + 1 words.

    The share of distinct n-grams is distinct-n (Li et al. 2016, arXiv 1510.03055). Noise of different words has no
    penalty.
    """

    n: int = 3

    def __post_init__(self) -> None:
        _at_least("repetition", "n", self.n, 1)

    def __call__(self, completions: Sequence[str]) -> list[float]:
        """Score each response, in [-1, 0]."""
        return [self._score(words_of(text)) for text in completions]

    def _score(self, words: list[str]) -> float:
        grams = [*zip(*(words[k:] for k in range(self.n)), strict=False)]
        return len(set(grams)) / len(grams) - 1 if grams else 0.0


@dataclass(frozen=True)
class Readability:
    """1 where a text's grade level is at most `grade`, falling to 0 over `spread` grades; in [0, 1]; 0 without words.

    The level is the automated readability index, `4.71 · characters / words + 0.5 · words / sentences - 21.43`
    (Senter & Smith 1967): about the year of school that can read it. Short words in short sentences score,
    whatever they say.
    """

    grade: float = 8.0
    spread: float = 4.0

    def __post_init__(self) -> None:
        if not self.spread > 0:
            raise ValueError(f"readability(spread={self.spread}) must be above 0")

    def __call__(self, completions: Sequence[str]) -> list[float]:
        """Score each response, in [0, 1]."""
        return [self._score(text) for text in completions]

    def _score(self, text: str) -> float:
        words = words_of(text)
        if not words:
            return 0.0
        sentences = max(1, len(_SENTENCE_END.findall(text)))
        level = 4.71 * sum(map(len, words)) / len(words) + 0.5 * len(words) / sentences - 21.43
        return min(1.0, max(0.0, 1 - (level - self.grade) / self.spread))


@dataclass(frozen=True)
class Forbidden:
    """-1 where a response has one of some words or phrases, 0 elsewhere.

    Case, compatibility forms and invisible characters make no difference. A word that mixes Latin with Greek or
    Cyrillic letters counts as forbidden, since it reads as another word than it is. Letters spaced out pass.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        words = (self.words,) if isinstance(self.words, str) else tuple(self.words)
        if not words or not all(words_of(word) for word in words):
            raise ValueError(f"forbidden(words={self.words!r}) must hold words or phrases")
        object.__setattr__(self, "words", words)

    def __call__(self, completions: Sequence[str]) -> list[float]:
        """Score each response, -1 or 0."""
        return [-float(_count_phrases(text, self.words) > 0 or _mixes_scripts(text)) for text in completions]


@dataclass(frozen=True)
class Similarity:
    """The similarity of the words of a response to a reference: ROUGE-L's F-measure (Lin 2004), in [0, 1].

    It is twice the longest common subsequence of words over the words of both, computed by RapidFuzz
    (`pip install "textmdp[rewards]"`). A paraphrase scores low, and the reference with a "not" in it high.

    Args:
        reference: the text; None for the column that `column` names.
        column: the field of the task's state that holds each problem's own reference, such as "solution".
    """

    reference: str | None = None
    column: str | None = None

    def __post_init__(self) -> None:
        if (self.reference is None) == (self.column is None):
            raise ValueError('similarity takes one of reference="a text" and column="a field of the problem"')
        try:
            import rapidfuzz  # noqa: F401
        except ImportError as error:
            raise ImportError('similarity needs RapidFuzz: pip install "textmdp[rewards]"') from error

    def __call__(self, completions: Sequence[str], **columns: Sequence[Any]) -> list[float]:
        """Score each response, in [0, 1]; `columns` holds the field that `column` names."""
        from rapidfuzz.distance import Indel

        if self.column is None:
            references: Sequence[Any] = [self.reference] * len(completions)
        elif self.column in columns:
            references = columns[self.column]
        else:
            raise ValueError(f"there is no column {self.column!r}: the problem has {', '.join(map(repr, columns))}")
        pairs = zip(map(words_of, completions), map(words_of, references), strict=True)
        # 1 - (insertions + deletions) / (m + n) is 2 · LCS / (m + n). Two empty texts have nothing in common.
        return [Indel.normalized_similarity(said, wanted) if said else 0.0 for said, wanted in pairs]


#: The rules by the names that `rewards=` knows them by.
RULES = {
    "line_count": LineCount,
    "length_limit": LengthLimit,
    "politeness": Politeness,
    "matches": Matches,
    "repetition": Repetition,
    "readability": Readability,
    "forbidden": Forbidden,
    "similarity": Similarity,
}


def _count_phrases(text: str, phrases: Sequence[str]) -> int:
    """Count the phrases that occur in a text, as whole words."""
    joined = f" {' '.join(words_of(text))} ".replace("’", "'")
    return sum(f" {' '.join(words_of(phrase))} ".replace("’", "'") in joined for phrase in phrases)


def _mixes_scripts(text: str) -> bool:
    """Whether a word has letters of the Latin script beside Greek or Cyrillic ones."""
    if text.isascii():
        return False
    for word in words_of(text):
        scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in word if letter.isalpha()}
        if "LATIN" in scripts and scripts & {"GREEK", "CYRILLIC"}:
            return True
    return False


def _at_least(rule: str, name: str, value: float, least: int) -> None:
    if not value >= least:
        raise ValueError(f"{rule}({name}={value!r}) must be at least {least}")


def _one_of(rule: str, name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{rule}({name}={value!r}) is none of {', '.join(map(repr, known))}")
