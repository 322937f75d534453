"""A Sphinx extension: pages written from the code, inserts in pages written by hand, and Markdown twins of both.

- Before a build, `environments`, `algorithms` and `api` write the pages of their folders, and notebooks are copied in.
- A line `<!-- insert: NAME ARGUMENT -->` of a page becomes the Markdown that `inserts` makes of it.
- Beside `page.html` stands `page.md`, the source with its inserts, and `llms.txt` lists these twins.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from generator import algorithms, api, environments, inserts, markdown, mathml, twins
from generator.paths import DOCS, NOTEBOOKS

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the generator to a build."""
    app.connect("config-inited", write_pages)
    app.connect("source-read", read_source)
    app.connect("build-finished", twins.write_index)
    markdown.setup(app)
    mathml.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(app: Sphinx, config: Config) -> None:
    """Write the generated pages and copy the notebooks; files that a former build left are removed first."""
    for folder, pages in (
        ("environments", environments.pages()),
        ("algorithms", algorithms.pages()),
        ("api", api.pages()),
    ):
        _empty(folder)
        for name, text in pages.items():
            (DOCS / folder / f"{name}.md").write_text(text)
    _empty("notebooks")
    for notebook in NOTEBOOKS.glob("*.ipynb"):
        shutil.copy(notebook, DOCS / "notebooks")


def read_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Expand the inserts of a page, and write its twin."""
    if docname.startswith("notebooks/"):
        text = twins.of_notebook(source[0])
    else:
        text = source[0] = inserts.expand(source[0])
    twins.write(app, docname, text)


def _empty(folder: str) -> None:
    shutil.rmtree(DOCS / folder, ignore_errors=True)
    (DOCS / folder).mkdir()
