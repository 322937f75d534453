r"""Tables of spellings: glyphs and LaTeX synonyms, each with the one form that the rest of the package reads.

Every pattern is free of nested repetition, so that rewriting takes time linear in the length of the text.
"""

import re
import unicodedata

_SPACES = "\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000\t\r\n\f\v\x00"
_INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_VULGAR_FRACTIONS = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_STYLED = (*range(0xFF01, 0xFF5F), *range(0x1D400, 0x1D800))  # full width; bold, italic and so on
_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "λ": "lambda", "μ": "mu", "σ": "sigma", "ω": "omega"}
_GLYPHS = {
    **{chr(code): unicodedata.normalize("NFKC", chr(code)) for code in _STYLED},
    **{glyph: " " + unicodedata.normalize("NFKC", glyph).replace("⁄", "/") for glyph in _VULGAR_FRACTIONS},
    **{letter: f"\\{name} " for letter, name in _GREEK.items()},
    **dict.fromkeys("−–‐‑", "-"),
    **dict.fromkeys("÷⁄∕", "/"),
    **dict.fromkeys("·∙⋅", r"\cdot "),
    **dict.fromkeys("≤⩽", r"\le "),
    **dict.fromkeys("≥⩾", r"\ge "),
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys(_SPACES, " "),
    **dict.fromkeys(_INVISIBLE),
    **dict.fromkeys("€£¥₹₽₩₪₫฿"),  # what stands before a number alone became a unit before this table is used
    "×": r"\times ",
    "≠": r"\ne ",
    "≈": r"\approx ",
    "≡": r"\equiv ",
    "∞": r"\infty ",
    "π": r"\pi ",
    "θ": r"\theta ",
    "∪": r"\cup ",
    "∈": r"\in ",
    "∅": r"\emptyset ",
    "±": r"\pm ",
    "√": r"\sqrt ",
    "∛": r"\sqrt[3] ",
    "∜": r"\sqrt[4] ",
    "ℝ": r"\mathbb{R}",
    "∴": r"\therefore ",
    "∨": " or ",
    "∧": " and ",
    "⟨": r"\langle ",
    "⟩": r"\rangle ",
    "°": r"^{\circ}",
    "¢": " cents",
    "。": ".",
    "、": ",",
    "…": r"\ldots ",
    "’": "'",
}
GLYPHS = {ord(glyph): form for glyph, form in _GLYPHS.items()}
"""For ``str.translate``."""

_RAISED = {
    ord(glyph): unicodedata.normalize("NFKC", glyph).replace("\u2212", "-") for glyph in "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ₀₁₂₃₄₅₆₇₈₉"
}
_SUPERSCRIPT, _SUBSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+"), re.compile("[₀₁₂₃₄₅₆₇₈₉]+")

_CURRENCIES = {"dollars": r"\\?\$|USD|US\s?\$|US\s?\\\$", "euros": r"€|EUR|\\euro", "pounds": r"£|GBP|\\pounds"}
_CURRENCIES |= {"yen": "¥|JPY", "rupees": "₹|INR|Rs\\.?", "cents": "¢"}
_MONEY = tuple(
    (
        re.compile(
            rf"([-+−]?)\s?(?:{signs})\s?([-+−]?\s?\d[\d.,]*(?:\{{,\}}[\d.,]+)*)"
            r"(\s?(?:\\text\s?\{\s?)?(?:hundred|thousand|million|billion|trillion)?\s?\}?)[.\s]*"
        ),
        name,
    )
    for name, signs in _CURRENCIES.items()
)

_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_BASES |= {"twelve": 12, "sixteen": 16, "binary": 2, "octal": 8, "hexadecimal": 16, "hex": 16}
_BASED = re.compile(
    r"\(?(?P<digits>[\da-zA-Z.]{1,200})\)?"
    r"(?:\s?_\s?\{?\s?(?:\\text\s?\{)?\s?\(?(?:base\s?\}?\s?)?"
    r"|,?\s?(?:\\text\s?\{)?\s?\(?(?:in )?base[ -]?(?:\}\s?)?_?\{?)"
    rf"(?P<base>{'|'.join(_BASES)}|\d{{1,2}})\)?\s?\}}{{0,2}}\)?",
    re.IGNORECASE,
)

_NAME_END = "(?![a-zA-Z])"
_ARGUMENT = r"(\d|\\(?:pi|theta|alpha|beta)(?![a-zA-Z])|(?<=\s)[a-zA-Z](?![a-zA-Z]{2}))"
# (pattern, replacement), applied in this order.
_REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\{\s?,\s?\}", ","),  # 1{,}000
        (r"\{\s?:\s?\}", ":"),  # 11{:}00
        (r",\s?\\!\s?", ","),  # 1,\!000
        (r"\\!", ""),
        (r"(?<=\d)\\[,;: ](?=\d\d\d(?!\d))", ","),  # 1\,000: a thousands mark
        (rf"(?<!\\)\\(?:[,;:> ]|q?quad{_NAME_END}|hspace\{{[^{{}}]*\}}|displaystyle|phantom\{{\}})|~", " "),
        (rf"\\(?:left|right|bigl|bigr|Bigl|Bigr|big|Big|middle){_NAME_END}\.?", ""),
        (r"\\(?:begin|end)\{(?:equation|align|aligned|gather|gathered|displaymath|math|multline|center)\*?\}", " "),
        (r"&\s?=", "="),
        (rf"\\\$|\\(?:pounds|euro){_NAME_END}|\$", ""),
        (rf"\\(?:[dtc]frac|nicefrac|sfrac){_NAME_END}", r"\\frac"),
        (r"\\(?:mbox|textnormal|textrm|textbf|textit|texttt|textsf|textup|emph)(?=\s?\{)", r"\\text"),
        (r"\\(?:underline|uline|underbrace)\s?(?=\{)", ""),
        (r"\\(?:hat|widehat|vec|mathbf)\s?\{\s?\\?(?:mathbf\s?\{)?\s?\\?([ijk])(?:math)?\s?\}{1,2}", r" \1 "),
        (r"\\overrightarrow(?=\s?\{)", r"\\vec"),
        (r"(?<=[\d}\s])\\(?:mathrm|operatorname)\s?\{\s?([a-zA-Z]{1,2}|mol|min)\s?\}(?!\s?\()", r"\\text{ \1}"),
        (r"\\(?:mathrm|mathbf|mathit|mathsf|boldsymbol|operatorname)\s?\{\s?([^{}]*)\}", r"{\1}"),
        (r"\\text\s?\{\s*(?:,?\s*(and|or)|([,;]))\s*\}", r" \1\2 "),
        (r"\\text\s?\{\s*\}", ""),
        (rf"\\%|(?:\\text\s?\{{\s*)?(?<![a-zA-Z])(?:percentage|per ?cent|pct){_NAME_END}(?:\s*\}})?", "%"),
        (rf"\\(?:leqslant|leq|le){_NAME_END}|<=|=<", r"\\le "),
        (rf"\\(?:geqslant|geq|ge){_NAME_END}|>=", r"\\ge "),
        (rf"\\(?:neq|ne){_NAME_END}|!=|\\not\s?=", r"\\ne "),
        (rf"\\lt{_NAME_END}", "<"),
        (rf"\\gt{_NAME_END}", ">"),
        (rf"\\colon{_NAME_END}", ":"),
        (rf"\\(?:lbrace){_NAME_END}", r"\\{"),
        (rf"\\(?:rbrace){_NAME_END}", r"\\}"),
        (rf"\\(?:lor|vee){_NAME_END}", " or "),
        (rf"\\(?:land|wedge){_NAME_END}", " and "),
        (rf"\\varnothing{_NAME_END}|\\\{{\s?\\\}}|^\{{\s?\}}$", r"\\emptyset "),
        (rf"\\(?:mathbb\s?R|Reals|R){_NAME_END}", r"\\mathbb{R}"),
        (rf"\\(?:smallsetminus|backslash){_NAME_END}", r"\\setminus "),
        (rf"\\(?:l?dots|cdots|dotsc|dotsb){_NAME_END}|\.\.\.", r"\\ldots "),
        (rf"\\(?:approx|simeq){_NAME_END}|~=", r"\\approx "),
        (rf"\^\s?\\circ{_NAME_END}|\^\s?\{{\s?\\circ\s?\}}|\\(?:degree|deg){_NAME_END}", "^{\\\\circ}"),
        (rf"(?<![a-zA-Z\\])(?:infinity|inf|oo){_NAME_END}", r"\\infty "),
        (r"\+\s?\\infty", r"\\infty "),
        (r"\+\s?/\s?-", r"\\pm "),
        (r"(?<=[)\]])\s?(?:U|union)\s?(?=[(\[])", r"\\cup "),
        (r"^\s?(?:(?:\\(?:therefore|implies|Rightarrow|Longrightarrow|because)(?![a-zA-Z])|=(?!=))\s?){1,3}", ""),
        (r"^(?:negative|minus)\s(?=[\d.\\(])", "-"),
        (r"^positive\s(?=[\d.\\(])", ""),
        (r"(?<=\d)\s?[xX]\s?(?=\d)", r" \\times "),
        (rf"(?<![a-zA-Z\\])(sqrt|sin|cos|tan|log|ln|exp|pi|theta){_NAME_END}", r"\\\1 "),
        (r"(?<![a-zA-Z\\])cbrt\s?(?=[({\d])", r"\\sqrt[3]"),
        (r"(\\sqrt(?:\s?\[\d{1,3}\])?)\s{0,2}\(([^()]*)\)", r"\1{\2}"),
        (r"(\\sqrt\s?\[\d{1,3}\])\s{0,2}(\d{1,1000}|[a-zA-Z])", r"\1{\2}"),
        (r"\\sqrt\s{0,2}(\d)", r"\\sqrt{\1}"),
        (r"\\sqrt\s{0,2}([a-zA-Z])(?![a-zA-Z])", r"\\sqrt{\1}"),
        (rf"\\frac\s{{0,2}}{_ARGUMENT}\s{{0,2}}(?:(\d)|(?<=[a-zA-Z\s])([a-zA-Z]))", r"\\frac{\1}{\2\3}"),
        (rf"\\frac\s{{0,2}}{_ARGUMENT}\s{{0,2}}\{{", r"\\frac{\1}{"),
        (r"\\frac\s{0,2}\{([^{}]*)\}\s{0,2}(\d|[a-zA-Z])", r"\\frac{\1}{\2}"),
        (r"\\frac\s{1,2}\{", r"\\frac{"),
        # Repeating decimals: 0.\dot{1}4285\dot{7}, 0.\dot3, 0.\bar{3}, 0.1(6)
        (r"(?<=[\d.])\\dot\s?\{?(\d)\}?(\d{0,100})\\dot\s?\{?(\d)\}?", r"\\overline{\1\2\3}"),
        (r"(?<=[\d.])\\dot\s?\{?(\d)\}?", r"\\overline{\1}"),
        (r"(?<=[\d.])\\(?:bar|overline)\s?\{?(\d{1,1000})\}?", r"\\overline{\1}"),
        (r"^(-?\d{0,100}\.\d{0,100})\((\d{1,100})\)$", r"\1\\overline{\2}"),
        (r"\*\*", "^"),
        (r"(?<![a-zA-Z])([aApP])\.\s?[mM](?![a-zA-Z])\.?", r"\1m"),
    )
)


def translate(text: str) -> str:
    """Replace Unicode glyphs by ASCII and LaTeX; a sign of currency before a lone number becomes a unit behind it."""
    for pattern, name in _MONEY:
        if match := pattern.fullmatch(text):
            text = f"{match[1]}{match[2]}{match[3]} {name}"
            break
    text = _SUPERSCRIPT.sub(lambda match: f"^{{{match[0].translate(_RAISED)}}}", text)
    text = _SUBSCRIPT.sub(lambda match: f"_{{{match[0].translate(_RAISED)}}}", text)
    return text.translate(GLYPHS)


def rewrite(text: str) -> str:
    """Apply the table of LaTeX synonyms, and write the base of a number as a subscript of digits."""
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    if based := _BASED.fullmatch(text.strip()):
        return f"{based['digits']}_{{{_BASES.get(based['base'].lower(), based['base'])}}}"
    return text
