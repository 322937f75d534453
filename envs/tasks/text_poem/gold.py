"""The gold score of a poem: an estimate of a reader's verdict, from parts in [0, 1] that each measure one thing.

Pronunciations are those of the CMU Pronouncing Dictionary, through the `pronouncing` library (`pip install
"textmdp[poem]"`). On generated poems, their mean ranks verse above the same words shuffled, that above one word a line,
and that above blank lines; it is no judge of literature, and a policy that is trained on it can hack it, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from statistics import median

from textmdp.envs.rewards.lines import lines_of
from textmdp.envs.tasks.text_poem.lexicon import THEMES
from textmdp.envs.tasks.text_poem.verse import Request

#: Words of a line that reads as a line of verse: fewest and most.
WORDS_PER_LINE = (3, 14)
#: Syllables that count as metre where none were asked for: the median line is held to this range.
SYLLABLES_PER_LINE = (5, 14)
#: The share of different words at which a poem counts as varied.
DISTINCT_WORDS = 0.5

_EDGES = re.compile(r"^[^\w]+|[^\w]+$")


def require_dictionary() -> None:
    """Raise ImportError, with the fix, where the pronouncing dictionary is not installed."""
    try:
        import pronouncing  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'the gold score of poems needs a pronouncing dictionary: pip install "textmdp[poem]", '
            "or leave the gold score out with gold=False"
        ) from error


def gold_parts(text: str, request: Request) -> dict[str, float]:
    """Measure a poem: the parts of its gold score, each in [0, 1], and `gold`, their mean.

    It is about the lines that were written, N of them, blank ones included, and not about how many they should be: that
    is the proxy's. A poem without a word has 0.

    - `words`: words that the dictionary has, out of those written, or of 3 N where fewer are written.
    - `length`: lines of 3 to 14 words, out of N.
    - `variety`: different filled lines out of N, times the share of different words (full from 1/2 on).
    - `rhyme`: lines whose last word rhymes as the scheme says, or with any other line's where there is no scheme, out
      of N. A word does not rhyme with itself; a letter that occurs once asks for nothing.
    - `metre`: lines within one syllable of the number asked for, or of the poem's median, which is first held to the
      range from 5 to 14, out of N.
    - `theme`: words of the theme out of N, at most 1; only where a theme was asked for.

    Args:
        text: the poem.
        request: the request it answers.
    """
    lines = lines_of(unicodedata.normalize("NFKC", text).replace("’", "'"))
    filled = [words for line in lines if (words := _words(line))]
    words = [word for line in filled for word in line]
    total, (low, high) = max(len(lines), 1), WORDS_PER_LINE
    distinct = len(set(words)) / len(words) if words else 0.0
    parts = {
        "words": sum(map(_is_word, words)) / max(len(words), low * total),
        "length": sum(low <= len(line) <= high for line in filled) / total,
        "variety": len({tuple(line) for line in filled}) / total * min(1.0, distinct / DISTINCT_WORDS),
        "rhyme": _rhyming_lines([line[-1] for line in filled], request.scheme) / total,
        "metre": _metrical_lines(filled, request.syllables) / total,
    }
    if request.theme:
        own = THEMES.get(request.theme, ())
        parts["theme"] = min(1.0, sum(word in own for word in words) / total)
    return {"gold": sum(parts.values()) / len(parts), **parts}


def _words(line: str) -> list[str]:
    """The words of a line in lower case, without punctuation around them; hyphens divide words."""
    pieces = (_EDGES.sub("", piece) for piece in line.lower().replace("-", " ").replace("—", " ").split())
    return [piece for piece in pieces if piece]


@lru_cache(maxsize=1 << 16)
def _pronunciations(word: str) -> tuple[str, ...]:
    """The pronunciations of a word, phonemes of ARPAbet each; none where the dictionary lacks it."""
    import pronouncing

    return tuple(pronouncing.phones_for_word(word.removesuffix("'s") if word.endswith("'s") else word))


def _is_word(word: str) -> bool:
    return bool(_pronunciations(word))


@lru_cache(maxsize=1 << 16)
def _syllables(word: str) -> int:
    """Syllables of a word: those of its first pronunciation, or its groups of vowels where it has none."""
    phones = _pronunciations(word)
    if phones:
        return sum(phone[-1].isdigit() for phone in phones[0].split())
    return max(1, len(re.findall(r"[aeiouy]+", word)))


@lru_cache(maxsize=1 << 16)
def _rhyming_parts(word: str) -> frozenset[str]:
    """The sounds from the last stressed vowel on, for each pronunciation of a word."""
    import pronouncing

    return frozenset(map(pronouncing.rhyming_part, _pronunciations(word)))


def _rhyming_lines(last: Sequence[str], scheme: str | None) -> int:
    """Count the lines that rhyme: with all lines of their letter, or with any other where there is no scheme."""
    if scheme is None:
        counts: Counter[str] = Counter(part for word in set(last) for part in _rhyming_parts(word))
        return sum(any(counts[part] > 1 for part in _rhyming_parts(word)) for word in last)
    right = 0
    for place, (letter, word) in enumerate(zip(scheme, last, strict=False)):
        partners = [last[k] for k, other in enumerate(scheme[: len(last)]) if other == letter and k != place]
        right += all(_rhymes(word, partner) for partner in partners)
    return right


def _rhymes(word: str, other: str) -> bool:
    return word != other and not _rhyming_parts(word).isdisjoint(_rhyming_parts(other))


def _metrical_lines(lines: Sequence[Sequence[str]], asked: int | None) -> int:
    """Count the lines whose syllables are within one of the target."""
    if not lines:
        return 0
    counts = [sum(map(_syllables, line)) for line in lines]
    low, high = SYLLABLES_PER_LINE
    target = asked if asked is not None else min(max(median(counts), low), high)
    return sum(abs(count - target) <= 1 for count in counts)
