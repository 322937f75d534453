"""Docstrings for autodoc: it reads reStructuredText, and ours are Markdown with Google's sections."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docutils import nodes
from docutils.utils import new_document
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.util.docutils import SphinxDirective

from generator.docstrings import prose, section_start

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_ARRAY = re.compile(r"[~.\w]*ndarray\[[~.\w]*tuple\[[~.\w]*Any, \.\.\.\], [~.\w]*dtype\[(.+?)\]\]")
_HEADING = re.compile(r"^#+ (.*)", re.MULTILINE)


def setup(app: Sphinx) -> None:
    """Register the directive, and the conversion of docstrings to it."""
    app.add_directive("markdown", Markdown)
    app.connect("autodoc-process-docstring", _to_directive, priority=100)  # before napoleon
    app.connect("object-description-transform", _shorten_arrays, priority=100)  # before autodoc merges types in


class Markdown(SphinxDirective):
    """Content in Markdown within reStructuredText."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Parse the content with MyST."""
        document = new_document(self.get_source_info()[0], self.state.document.settings)
        MystParser().parse("\n".join(self.content), document)
        return document.children


def _to_directive(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Wrap the prose of a docstring in the directive; sections are left to napoleon."""
    sections = lines[section_start(lines) :]
    text = _HEADING.sub(r"**\1**", prose("\n".join(lines)))  # a description has no sections of its own
    if text.strip():
        lines[:] = [".. markdown::", "", *(f"   {line}" for line in text.split("\n")), "", *sections]


def _shorten_arrays(app: Sphinx, domain: str, objtype: str, content: nodes.Element) -> None:
    """Write the types of arrays as the code does: `NDArray[float64]`."""
    for types in app.env.current_document.autodoc_annotations.values():
        for name, annotation in types.items():
            types[name] = _ARRAY.sub(r"NDArray[\1]", annotation)
