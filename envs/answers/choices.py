r"""Multiple choice: the letter of an answer such as ``(B) 7``, ``A) red``, ``\textbf{(C)}\ 5``, ``option C``."""

import re
from typing import NamedTuple

_WORD = r"(?:(?:the |my )?(?:correct |right |best )?(?:option|choice|answer)(?: is)?:? )?"
_CHOICE = re.compile(
    rf"(?:\\text\s?\{{\s?)?{_WORD}(?:\((?P<a>[A-Ja-j])\)|(?P<b>[A-J])\)|(?P<c>[A-J])[.:](?=\s)|(?P<d>[A-J])(?=\s?\}}|$))"
    r"(?P<close>\s?\)?\s?\}\s?\)?)?[.:]?\s?(?P<content>.*)",
    re.IGNORECASE | re.DOTALL,
)
_DASHED = re.compile(r"(?P<letter>[A-J]) ?(?:-|-->?|=>) ?(?P<content>[a-zA-Z]{3}.*)", re.DOTALL)
# Another choice in the content, or a denial: that is no single choice.
_DOUBT = re.compile(
    r"\([A-Ja-j]\)|(?<![a-zA-Z])[A-J]\)|(?<![a-zA-Z])(?:or|and|not|wrong|incorrect|false)(?![a-zA-Z])|n't"
)


class Choice(NamedTuple):
    """A choice as written."""

    letter: str
    """The letter, in upper case."""
    content: str
    """The text of the choice, empty where only the letter was given."""


def read_choice(text: str) -> Choice | None:
    """Read cleaned text as one choice; None where it is none, or more than one."""
    match = _CHOICE.fullmatch(text)
    if match is None:
        dashed = _DASHED.fullmatch(text)
        return Choice(dashed["letter"], dashed["content"]) if dashed and not _DOUBT.search(dashed["content"]) else None
    letter = next(match[name] for name in "abcd" if match[name])
    content = match["content"].strip().lstrip(":.,-").strip()
    bare = match["d"] is not None
    opened = text.startswith(r"\text") and not match["close"]
    if opened:  # "\text{(B) red}": the brace closes behind the content
        if not content.endswith("}"):
            return None
        content = content[:-1].strip()
    if _DOUBT.search(content) or (bare and content) or (letter.islower() and (bare or not match["a"])):
        return None
    return Choice(letter.upper(), content)
