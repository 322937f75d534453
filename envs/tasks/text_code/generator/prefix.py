"""The longest beginning of a text that may begin a Python program, from one scan that executes nothing.

The scan checks lexemes, brackets, indentation, and the order of operands and operators. It is more lenient than Python
(it accepts `def 3`, and keywords in meaningless places), and takes time proportional to the length of any text.
"""

from __future__ import annotations

import re

_LEXEME = re.compile(
    r"""
      (?P<blank>[ \t\f]+|\\\n)
    | (?P<comment>\#[^\n]*)
    | (?P<line>\n)
    | (?P<text>(?i:[rbfu]|rb|br|rf|fr)?(?:
          (?:'''(?:[^\\]|\\.)*?(?:'''|\Z)) | (?:\"\"\"(?:[^\\]|\\.)*?(?:\"\"\"|\Z))
        | '(?:[^'\\\n]|\\.)*(?:'|\Z)       | "(?:[^"\\\n]|\\.)*(?:"|\Z)))
    | (?P<number>(?:0[xXoObB][\da-fA-F_]*|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d*)?)[jJ]?(?!\w))
    | (?P<name>[^\W\d]\w*)
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    | (?P<sign>\.\.\.|->|:=|(?:\*\*|//|<<|>>|[-+*/%@&|^<>=!])=|\*\*|//|<<|>>|[-+*/%@&|^~<>=.,:;])
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
#: Keywords that may follow an operand.
_BETWEEN = {"and", "or", "in", "is", "not", "if", "else", "for", "as", "from", "import", "async"}
#: Keywords at which an operand or a statement may begin, and those at which one may end.
_BEFORE = {
    *("not", "lambda", "await", "return", "if", "elif", "else", "for", "while", "def", "class", "with", "try", "yield"),
    *("except", "finally", "raise", "assert", "del", "import", "from", "global", "nonlocal", "async"),
    *("pass", "break", "continue"),
}
_ENDS = {"pass", "break", "continue", "return", "raise", "yield"}
#: Lexemes that a colon may follow although no operand has ended; lexemes that may end a line.
_BARE, _LINE_ENDS = {"else", "try", "finally", "except", "lambda", "*", "/"}, {":", ",", ";", *_ENDS}
#: Signs that may begin any operand, and those that may begin one at the start of an expression.
_UNARY, _STARRED = {"+", "-", "~", "..."}, {"*", "**", "@", "/"}
_FRESH = {",", "=", "return", "yield", "for", ":", "import", "in", "lambda", "except", "", *_CLOSING}
_DOTTED = {"from", "import", ".", "..."}
#: Names that begin statements of some versions of Python.
_SOFT = {"match", "case", "type"}


class _Scan:
    """The state of a scan: the open brackets, the blocks, and the last lexeme."""

    def __init__(self) -> None:
        self.brackets: list[str] = []
        self.blocks: list[int] = []
        self.deeper = False  # the last line ended in a colon
        self.new = True  # nothing stands on this line yet
        self.operand = False  # an operand has just ended
        self.last = ""

    def takes(self, kind: str, lexeme: str) -> bool:
        """True if a lexeme may come next; the state then advances."""
        if kind == "line":
            return self._line()
        fits = self._fits(kind, lexeme)
        self.new, self.last = False, "text" if kind == "text" else lexeme
        return fits

    def indents(self, width: int) -> bool:
        """True if a line of code may begin in this column."""
        if not self.blocks or (self.deeper and width > self.blocks[-1]):
            self.blocks.append(width)
            self.deeper = False
            return True
        while self.blocks and self.blocks[-1] > width:
            self.blocks.pop()
        return not self.deeper and bool(self.blocks) and self.blocks[-1] == width

    def _line(self) -> bool:
        if self.brackets or self.new:
            return True
        self.deeper = self.last == ":"
        complete = self.operand or self.last in _LINE_ENDS or self.last == "*"  # from x import *
        self.new, self.operand, self.last = True, False, ""
        return complete

    def _fits(self, kind: str, lexeme: str) -> bool:
        if kind == "name" and lexeme in _BETWEEN | _BEFORE:
            return self._keyword(lexeme)
        operand, self.operand = self.operand, kind != "open"
        if kind in ("name", "number", "text"):
            # Adjacent string literals are one operand.
            return not operand or (kind == "text" and self.last == "text") or self.last in _SOFT
        if kind == "open":
            self.brackets.append(lexeme)
            return not operand or lexeme != "{" or self.last in _SOFT
        if kind == "close":
            inside = self.brackets.pop() if self.brackets else ""
            return _CLOSING.get(inside) == lexeme and (operand or self.last in (inside, ",", ":", "*", "/", "yield"))
        self.operand = lexeme == "..."
        if operand:
            return lexeme not in ("~", "...")
        if lexeme in _UNARY or (lexeme in _STARRED and self.last in _FRESH):
            return True
        if lexeme in (":", ",", "="):  # x[:, 0], lambda: 0, x, = y, def f(x, /, *, y)
            return self._pauses(lexeme)
        return (lexeme == "." and self.last in _DOTTED) or (lexeme == ";" and self.last in _ENDS)

    def _pauses(self, lexeme: str) -> bool:
        if lexeme == ":":
            return self.last in _BARE or (bool(self.brackets) and self.last in ("[", ":", ","))
        if lexeme == ",":
            return self.last in ("*", "/") or (bool(self.brackets) and self.last == ":")
        return self.last in (",", "yield")

    def _keyword(self, lexeme: str) -> bool:
        operand, self.operand = self.operand, False
        if operand:
            return lexeme in _BETWEEN
        if lexeme == "in":
            return self.last == "not" or self.last == ","  # for x, in y
        if lexeme in ("from", "import"):
            return self.last in ("", ":", ";", "yield", "raise", *_DOTTED)
        return lexeme in _BEFORE


def valid_prefix(text: str) -> int:
    r"""The number of characters at the start of a text that may begin a program, or the body of a function.

    >>> valid_prefix("return x + 2"), valid_prefix("return x + ("), valid_prefix("return x + ) * 2")
    (12, 12, 11)
    >>> valid_prefix("if x:\n    return 1"), valid_prefix("if x:\nreturn 1"), valid_prefix("Here is the code")
    (18, 6, 12)
    """
    scan, position = _Scan(), 0
    while position < len(text):
        found = _LEXEME.match(text, position)
        if not found:
            return position
        kind = str(found.lastgroup)
        if kind not in ("blank", "comment"):
            begins = kind != "line" and scan.new and not scan.brackets
            if (begins and not scan.indents(_width(text, position))) or not scan.takes(kind, found[0]):
                return position
        position = found.end()
    return len(text)


def _width(text: str, position: int) -> int:
    """The column of a position in a text, with tab stops at multiples of eight."""
    return len(text[text.rfind("\n", 0, position) + 1 : position].expandtabs())
