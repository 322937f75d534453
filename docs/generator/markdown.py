"""Docstrings of this project are Markdown with Google's sections; autodoc reads reStructuredText."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.utils import new_document
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_SECTION = re.compile(r"(Args|Arguments|Attributes|Raises|Returns|Yields):\s*")
_HEADING = re.compile(r"^#+ (.*)")
_ROLE = re.compile(r":[a-z]+:`([^`]+)`")


def setup(app: Sphinx) -> None:
    """Register the directive, and the conversion of docstrings to it."""
    app.add_directive("markdown", Markdown)
    app.connect("autodoc-process-docstring", _to_directive, priority=100)  # before napoleon


def docstring_markdown(text: str) -> str:
    """A docstring as Markdown of a page: interpreted roles become code, and doctests become blocks."""
    text = _ROLE.sub(r"`\1`", text)
    return re.sub(r"^    (?=>>> )(?:.*\n?)(?:    .*\n?)*", _fenced, text, flags=re.MULTILINE)


class Markdown(SphinxDirective):
    """Content in Markdown within reStructuredText."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Parse the content with MyST."""
        document = new_document(self.get_source_info()[0], self.state.document.settings)
        MystParser().parse("\n".join(self.content), document)
        return document.children


def _to_directive(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Wrap the prose of a docstring in the directive; sections are left to napoleon."""
    start = next((i for i, line in enumerate(lines) if _SECTION.fullmatch(line)), len(lines))
    prose, sections = docstring_markdown("\n".join(lines[:start])).splitlines(), lines[start:]
    prose = [_HEADING.sub(r"**\1**", line) for line in prose]  # a description has no sections
    if prose:
        lines[:] = [".. markdown::", "", *(f"   {line}" for line in prose), "", *sections]


def _fenced(match: re.Match[str]) -> str:
    lines = [line[4:] for line in match[0].rstrip("\n").split("\n")]
    return "\n".join(["```pycon", *lines, "```", ""])
