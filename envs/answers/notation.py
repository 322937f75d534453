"""One spelling for every way of writing the same thing: wrappers off, LaTeX synonyms merged.

:func:`clean` is the first step of every comparison. It never evaluates anything; it only rewrites text, in time linear
in its length (every regex here is free of nested repetition), so that hostile text costs no more than honest text.
"""

import re

MAX_CLEAN = 20_000
"""Characters. Longer texts are only stripped: nothing but a plain number is that long and an answer."""

_GLYPHS = {
    "−": "-",
    "–": "-",
    "‐": "-",
    "‑": "-",
    "×": r"\times ",
    "÷": "/",
    "·": r"\cdot ",
    "∙": r"\cdot ",
    "≤": r"\le ",
    "⩽": r"\le ",
    "≥": r"\ge ",
    "⩾": r"\ge ",
    "≠": r"\ne ",
    "≈": r"\approx ",
    "∞": r"\infty ",
    "π": r"\pi ",
    "θ": r"\theta ",
    "∪": r"\cup ",
    "∈": r"\in ",
    "±": r"\pm ",
    "√": r"\sqrt ",
    "°": r"^{\circ}",
    "²": "^{2}",
    "³": "^{3}",
    "½": " 1/2",
    "¼": " 1/4",
    "¾": " 3/4",
    "⅓": " 1/3",
    "⅔": " 2/3",
    "，": ",",
    "：": ":",
    "（": "(",
    "）": ")",
    "％": "%",
    "。": ".",
    "…": r"\ldots ",
    "“": '"',
    "”": '"',
    "’": "'",
    "\x00": " ",
    **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000\t\r\n\f\v", " "),
    # Marks that are not seen: zero width, direction, byte order.
    **dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"),
    **dict.fromkeys("€£¥₹₽₩₪₫฿"),  # money is a unit, and units of money are dropped
}
_TABLE = {ord(key): value for key, value in _GLYPHS.items()}

# (pattern, replacement), applied in this order.
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\{\s?,\s?\}", ","),  # 1{,}000
        (r",\s?\\!\s?", ","),  # 1,\!000
        (r"\\!", ""),
        (r"(?<=\d)\\[,;: ](?=\d\d\d(?!\d))", ","),  # 1\,000: a thousands mark
        (r"(?<!\\)\\(?:[,;:> ]|q?quad(?![a-zA-Z])|hspace\{[^{}]*\}|displaystyle|phantom\{\})|~", " "),
        (r"\\(?:left|right|bigl|bigr|Bigl|Bigr|big|Big|middle)(?![a-zA-Z])\.?", ""),
        (r"\\\$|\\(?:pounds|euro)(?![a-zA-Z])|\$", ""),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\(?:mbox|textnormal|textrm|textbf|textit|texttt|textsf|emph)(?=\s?\{)", r"\\text"),
        (r"\\(?:mathrm|mathbf|mathit|mathsf|boldsymbol|operatorname)\s?\{\s?([^{}]*)\}", r"{\1}"),
        (r"\\text\s?\{\s*(?:,?\s*(and|or)|([,;]))\s*\}", r" \1\2 "),
        (r"\\text\s?\{\s*\}", ""),
        (r"\\%|(?:\\text\s?\{\s*)?(?<![a-zA-Z])(?:percentage|percent|pct)(?![a-zA-Z])(?:\s*\})?", "%"),
        (r"\\(?:leqslant|leq|le)(?![a-zA-Z])|<=|=<", r"\\le "),
        (r"\\(?:geqslant|geq|ge)(?![a-zA-Z])|>=", r"\\ge "),
        (r"\\(?:neq|ne)(?![a-zA-Z])|!=|\\not\s?=", r"\\ne "),
        (r"\\lt(?![a-zA-Z])", "<"),
        (r"\\gt(?![a-zA-Z])", ">"),
        (r"\\colon(?![a-zA-Z])", ":"),
        (r"\\(?:lbrace)(?![a-zA-Z])", r"\\{"),
        (r"\\(?:rbrace)(?![a-zA-Z])", r"\\}"),
        (r"\\(?:l?dots|cdots|dotsc)(?![a-zA-Z])|\.\.\.", r"\\ldots "),
        (r"\\(?:approx|simeq)(?![a-zA-Z])|~=", r"\\approx "),
        (r"\^\s?\\circ(?![a-zA-Z])|\^\s?\{\s?\\circ\s?\}|\\(?:degree|deg)(?![a-zA-Z])", "^{\\\\circ}"),
        (r"(?<![a-zA-Z\\])(?:infinity|inf|oo)(?![a-zA-Z])", r"\\infty "),
        (r"\+\s?\\infty", r"\\infty "),
        (r"(?<![a-zA-Z\\])(sqrt|sin|cos|tan|log|ln|exp|pi|theta)(?![a-zA-Z])", r"\\\1 "),
        (r"\\sqrt\s{0,2}\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"\\sqrt\s{0,2}(\d)", r"\\sqrt{\1}"),
        (r"\\sqrt\s{0,2}([a-zA-Z])(?![a-zA-Z])", r"\\sqrt{\1}"),
        (r"\\frac\s{0,2}(\d)\s{0,2}(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s{0,2}(\d)\s{0,2}\{", r"\\frac{\1}{"),
        (r"\\frac\s{0,2}\{([^{}]*)\}\s{0,2}(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s{1,2}\{", r"\\frac{"),
        (r"\*\*", "^"),
        (r"(?<![a-zA-Z])([aApP])\.\s?[mM](?![a-zA-Z])\.?", r"\1m"),
    )
)
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z])")
_SPACES = re.compile(r"\s{2,}")
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"), ('"', '"'))
_MACROS = (r"\boxed", r"\fbox", r"\text", r"\textbf", r"\textit", r"\mathrm", r"\mathbf", r"\mbox", r"\textnormal")


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
        text = text.strip().rstrip(",;。").rstrip()
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
    if len(text) > MAX_CLEAN:
        return text.strip()
    text = unbox(unwrap(text.translate(_TABLE)))
    if "\\begin" not in text:  # there a doubled backslash ends a row
        text = _DOUBLED.sub(r"\\", text)
    text = text.replace(r"\mathrm{e}", "e")
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return unwrap(_SPACES.sub(" ", text))


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
