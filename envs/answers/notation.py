"""One spelling for every way of writing the same thing: wrappers off, LaTeX synonyms merged.

:func:`clean` is the first step of every comparison. It never evaluates anything; it only rewrites text, in time linear
in its length (every regex here is free of nested repetition), so that hostile text costs no more than honest text.
"""

import functools
import re

from textmdp.envs.answers.spelling import rewrite, translate

MAX_CACHED = 200
"""Characters. Shorter texts are cleaned once: extraction and comparison look at the same pieces several times."""
MAX_CLEAN = 20_000
"""Characters. Longer texts are only stripped: nothing but a plain number is that long and an answer."""

_NUMBER = re.compile(r"-?[0-9]{1,100}(?:[./][0-9]{1,100})?")
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z])")
_SPACES = re.compile(r"\s{2,}")
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"), ('"', '"'))
_MACROS = (r"\boxed", r"\fbox", r"\text", r"\textbf", r"\textit", r"\mathrm", r"\mathbf", r"\mbox", r"\textnormal")
_TRAILING = ",;。 \t\n"


def closing_braces(text: str) -> dict[int, int]:
    r"""Positions of matching braces: ``{open: close}``, escaped ``\{`` and ``\}`` left aside; unmatched ones absent.

    One pass with a stack, so 100,000 open braces cost no more than 100,000 letters.
    """
    pairs: dict[int, int] = {}
    stack: list[int] = []
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if match[0] == "{":
            stack.append(match.start())
        elif match[0] == "}" and stack:
            pairs[stack.pop()] = match.start()
    return pairs


def unbox(text: str) -> str:
    r"""Put what stands in ``\boxed{..}`` in the place of the box: ``$\boxed{28}$ pct`` is ``$28$ pct``."""
    if r"\boxed" not in text and r"\fbox" not in text:
        return text
    pairs, drop = closing_braces(text), set[int]()
    for match in re.finditer(r"\\(?:boxed|fbox)\s{0,3}(?=\{)", text):
        if match.end() in pairs:
            drop.update(range(match.start(), match.end() + 1), (pairs[match.end()],))
    return "".join(" " if i in drop else letter for i, letter in enumerate(text))


def unwrap(text: str) -> str:
    r"""Take off what encloses the whole text: ``$..$``, ``\(..\)``, ``\boxed{..}``, ``**..**``, quotes, a full stop."""
    for _ in range(12):
        before = text
        text = text.strip()
        bare = text.rstrip(_TRAILING)
        text = text[: len(bare) + 1].rstrip() if bare.endswith("\\") else bare  # the comma of a thin space "\\," stays
        if text.endswith("\\") and not text.endswith("\\\\"):
            text = text[:-1].rstrip()
        if text.endswith(".") and not text.endswith(".."):
            text = text[:-1].rstrip()
        for left, right in _WRAPPERS:
            inner = text[len(left) : len(text) - len(right)]
            if len(text) > len(left + right) and text.startswith(left) and text.endswith(right) and left not in inner:
                text = inner
                break
        macro = next((name for name in _MACROS if text.startswith(name)), None)
        if macro is not None and text.endswith("}") and text[len(macro) :].lstrip().startswith("{"):
            start = text.index("{")
            if closing_braces(text).get(start) == len(text) - 1:
                # Text stays marked as text: "\text{odd}" is a word, not o * d * d.
                inner = text[start + 1 : -1]
                if macro in (r"\boxed", r"\fbox"):
                    text = inner
                elif text != rf"\text{{{inner}}}":
                    text = rf"\text{{{inner}}}"
        if text == before:
            break
    return text


def clean(text: str) -> str:
    r"""Return ``text`` in one spelling.

    >>> clean(r"$\dfrac12$."), clean(r"1{,}000"), clean(r"\left( 3, \tfrac{\pi}{2} \right)")
    ('\\frac{1}{2}', '1,000', '( 3, \\frac{\\pi}{2} )')
    """
    if _NUMBER.fullmatch(text):
        return text
    if len(text) > MAX_CLEAN:
        return text.strip()
    return _clean_short(text) if len(text) < MAX_CACHED else _clean(text)


def _clean(text: str) -> str:
    text = unbox(unwrap(translate(unwrap(text))))
    if "\\begin" not in text:  # there a doubled backslash ends a row
        text = _DOUBLED.sub(r"\\", text)
    text = text.replace(r"\mathrm{e}", "e")
    return unwrap(_SPACES.sub(" ", rewrite(unwrap(text))))


_clean_short = functools.lru_cache(maxsize=8192)(_clean)


def squash(text: str) -> str:
    """Drop white space except between digits, and braces around one character: ``x_{1}`` and ``x_1`` are one name."""
    text = re.sub(r"(?<!\d)\s+|\s+(?!\s|\d)", "", text)
    return re.sub(r"(?<=[_^])\{(\w)\}", r"\1", text)


_TOKEN = re.compile(r"\\(?:begin|end)\{[a-zA-Z*]{1,20}\}|\\[a-zA-Z]+|\\.|[\s\S]")
_WORD = re.compile(r"(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z])")


def split_top(text: str, separators: frozenset[str]) -> list[tuple[str, str]]:
    r"""Split at separators outside every bracket.

    Args:
        text: cleaned text
        separators: tokens: single characters or commands such as ``\cup``

    Returns:
        ``[(part, separator after it), ...]``; the last separator is ``""``. Brackets of every kind count alike, because
        ``[0,1)`` is balanced; text with a closing bracket too many stays whole.
    """
    parts: list[tuple[str, str]] = []
    depth, start = 0, 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if (
            token in "([{"
            or token == r"\{"
            or token.startswith(r"\begin")
            or token in (r"\langle", r"\lfloor", r"\lceil")
        ):
            depth += 1
        elif (
            token in ")]}"
            or token == r"\}"
            or token.startswith(r"\end")
            or token in (r"\rangle", r"\rfloor", r"\rceil")
        ):
            depth -= 1
        elif depth == 0 and token in separators:
            parts.append((text[start : match.start()].strip(), token))
            start = match.end()
    parts.append((text[start:].strip(), ""))
    return parts if depth == 0 else [(text.strip(), "")]


def commas_for_words(text: str) -> str:
    """Write the words ``and``, ``or`` between items as ``;``: ``19, 46, and 82`` becomes ``19, 46 ; 82``."""
    text = re.sub(r"[,;]\s?(?=(?:and|or)(?![a-zA-Z]))", " ", text)
    # "(11,7)or(7,11)": a word is also ended by a bracket or a digit.
    return _WORD.sub(";", text)
