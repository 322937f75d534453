r"""The forms of an answer, read from cleaned text: words, names, lists, brackets, matrices.

Readers only; :mod:`textmdp.envs.answers.structure` compares what they return.
"""

import re

from textmdp.envs.answers.notation import closing_braces, commas_for_words, split_top

_OPEN = ("[", "(", r"\{", "{", r"\langle")
_FUNCTION = re.compile(
    r"\\(?:sin|cos|tan|sec|csc|cot|log|ln|exp|sqrt|frac|sum|int|prod|lim|binom|arc[a-z]{3}|sinh|cosh|tanh)"
)
_SUBSCRIPT = re.compile(r"_(?:\{[^{}]*\}|\w)")
_ARGUMENTS = re.compile(r"(?<=[a-zA-Z'])\([^()]*\)")
_TEXT_MACRO = re.compile(r"\\text\s?\{([^{}]*)\}")
_PLAIN_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{4,}|(?<![\\a-zA-Z])[a-zA-Z]{2,} [a-zA-Z]{2,}")
_MATRIX = re.compile(r"\\begin\{([bpvBV]?matrix|array)\}(?:\{[^{}]*\})?([\s\S]*)\\end\{\1\}")
THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+")
"""One number with thousands marks, or a list of short ones: ``100,200``."""


def is_text(text: str) -> bool:
    """Return True for words rather than mathematics: a whole ``\\text{..}``, or a word of four letters."""
    bare = text.strip()
    if bare.startswith(r"\text") and closing_braces(bare).get(bare.find("{")) == len(bare) - 1:
        return True
    if bare.lower() in ("odd", "yes", "no"):
        return True
    if re.fullmatch(r"\(?[A-Z]\)?", bare):
        return bare.startswith("(")  # "(A)" is a choice, "A" may be a name
    without = re.sub(r"\\(?:begin|end)\s?\{[a-z]*\*?\}(?:\{[lcr|]*\})?|\\[a-zA-Z]+", " ", _TEXT_MACRO.sub(" ", bare))
    return bool(_PLAIN_WORD.search(commas_for_words(without).replace("operatorname", "")))


def text_of(text: str) -> str:
    """Words of an answer for comparison: no macros, punctuation or case (single letters keep their case)."""
    words = re.sub(r"[^\w+\-*/^=<>]+", " ", _TEXT_MACRO.sub(r" \1 ", text).replace("\\", " ")).strip()
    return words if len(words) == 1 else words.lower()


def items(text: str) -> list[str]:
    r"""Items of a list without brackets: split at commas, semicolons, *and*, *or*; ``a \pm b`` is two items."""
    text = commas_for_words(text)
    if THOUSANDS.fullmatch(text):
        return [text]
    parts = split_top(text, frozenset({",", ";"}))
    if len(parts) > 1 and any(THOUSANDS.search(text[max(0, i - 3) : i + 4]) for i in _commas(text)):
        # "1,000, 2,000": a comma with three digits behind it and no space belongs to its number.
        spaced = re.sub(r"(?<=\d),(?=\d\d\d(?!\d))", "", text) if re.search(r", |;", text) and "(" not in text else text
        parts = split_top(spaced, frozenset({",", ";"}))
    result: list[str] = []
    for part, _ in parts:
        if (part and r"\pm" in part) or r"\mp" in part:
            plus = part.replace(r"\pm", "+").replace(r"\mp", "-").strip().removeprefix("+").strip()
            minus = part.replace(r"\pm", "-").replace(r"\mp", "+").strip().removeprefix("+").strip()
            result += [plus.replace("=+", "=").replace("= +", "="), minus]
        elif part:
            result.append(part)
    return result


def _commas(text: str) -> list[int]:
    """Positions of commas (the first few hundred)."""
    return [match.start() for match in re.finditer(",", text[:2000])]


def bracketed(text: str) -> tuple[str, list[str]] | None:
    """Kind and items of a text that is one bracket: ``("()", ["1", "2"])`` for ``(1, 2)``; None for others."""
    text = text.strip()
    opening = next((bracket for bracket in _OPEN if text.startswith(bracket)), None)
    closing = next((bracket for bracket in (r"\rangle", r"\}", ")", "]", "}") if text.endswith(bracket)), None)
    if opening is None or closing is None:
        return None
    inside = text[len(opening) : len(text) - len(closing)]
    # "(a)(b)" starts and ends with brackets that are not partners: the depth falls below zero inside.
    depth = 0
    for match in re.finditer(r"\\begin|\\end|\\[{}]|\\[lr]angle|[()\[\]{}]", inside):
        depth += 1 if match[0] in ("(", "[", "{", r"\{", r"\langle", r"\begin") else -1
        if depth < 0:
            return None
    return opening + closing, [part for part, _ in split_top(inside, frozenset({",", ";"}))]


def matrix_rows(text: str) -> list[list[str]] | None:
    r"""Rows of a matrix environment (brackets around it do not count) or of ``[[1,2],[3,4]]``; None for other text.

    ``vmatrix`` is a determinant: None.
    """
    bare = text.strip()
    if re.match(r"\[\s?\[", bare) and (outer := bracketed(bare)) is not None and outer[0] == "[]":
        inner = [bracketed(row) for row in outer[1]]
        return [row[1] for row in inner if row] if all(row and row[0] == "[]" for row in inner) else None
    for left, right in (("(", ")"), ("[", "]")):
        if bare.startswith(left) and bare.endswith(right):
            bare = bare[1:-1].strip()
    match = _MATRIX.fullmatch(bare)
    if match is None or match[1] in ("vmatrix", "Vmatrix") or r"\begin" in match[2]:
        return None
    rows = [row for row in re.split(r"\\\\|\\cr(?![a-z])", match[2]) if row.strip()]
    return [[cell.strip() for cell in row.split("&")] for row in rows]


def is_name(text: str) -> bool:
    r"""Return True for a name: ``x``, ``a_{37}``, ``f(x)``, ``|AB|``, ``(p, q)``, ``V_1:V_2``, ``\angle A``."""
    bare = _ARGUMENTS.sub("", _SUBSCRIPT.sub("", text.strip()))
    if not bare or len(bare) > 80 or _FUNCTION.search(bare) or not re.search(r"[a-zA-Z]", bare):
        return False
    return not re.search(r"[+*/^=<>]|\\(?:cdot|times|pm)|^\s?[\d-]|[\d]$", bare)
