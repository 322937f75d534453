"""Docstrings as Markdown. They are written in it, but for Google's sections and for doctests."""

from __future__ import annotations

import re

SECTION = re.compile(r"(Args|Arguments|Attributes|Raises|Returns|Yields):\s*")
_ROLE = re.compile(r":[a-z]+:`([^`]+)`")
_DOCTEST = re.compile(r"^    (?=>>> )(?:.*\n?)(?:    .*\n?)*", re.MULTILINE)
_ENTRY = re.compile(r"    ([\w*.][\w*., ]*): (.*)")


def prose(text: str) -> str:
    """The part of a docstring before its sections: interpreted roles become code, doctests become blocks."""
    lines = text.split("\n")
    text = "\n".join(lines[: section_start(lines)])
    return _DOCTEST.sub(_fenced, _ROLE.sub(r"`\1`", text))


def section_start(lines: list[str]) -> int:
    """The number of the line with which Google's sections begin; that of all lines where there are none."""
    return next((i for i, line in enumerate(lines) if SECTION.fullmatch(line)), len(lines))


def page_text(text: str) -> str:
    """A whole docstring, its sections as lists."""
    lines = text.split("\n")
    return "\n".join([prose(text), *map(_item, lines[section_start(lines) :])])


def _item(line: str) -> str:
    if match := SECTION.fullmatch(line):
        return f"**{match[1]}**\n"
    if match := _ENTRY.fullmatch(line):
        return f"- `{match[1]}`: {match[2]}"
    return re.sub(r"^ +", "  ", line)


def _fenced(match: re.Match[str]) -> str:
    lines = [line[4:] for line in match[0].rstrip("\n").split("\n")]
    return "\n".join(["```pycon", *lines, "```", ""])
