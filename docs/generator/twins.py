"""Markdown twins of the pages beside the HTML, and `llms.txt`, the index of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from generator.api import as_markdown

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: Figures lie in the repository; Sphinx copies those that pages show.
_FIGURES = re.compile(r"\((?:\.\./)+benchmarks/results/([^)/]+\.png)\)")
#: Directives that mean nothing outside Sphinx.
_DIRECTIVES = re.compile(r"^(`{3,}|:{3,})\{(toctree)\}.*?^\1\n?", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_AUTODOC = re.compile(r"^```\{eval-rst\}\n\.\. auto\w+:: (\S+)\n.*?^```\n?", re.DOTALL | re.MULTILINE)
_CONTAINERS = re.compile(r"^:{3,}.*\n?", re.MULTILINE)


def write(app: Sphinx, docname: str, text: str) -> None:
    """Write the twin of a page."""
    path = Path(app.outdir) / f"{docname}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _FIGURES.sub(rf"({'../' * docname.count('/')}_images/\1)", text)
    text = _AUTODOC.sub(lambda match: as_markdown(match[1]) + "\n", text)
    path.write_text(_CONTAINERS.sub("", _DIRECTIVES.sub("", text)))


def of_notebook(source: str) -> str:
    """A notebook as Markdown: its cells, and what they print."""
    parts = []
    for cell in json.loads(source)["cells"]:
        text = "".join(cell["source"])
        parts.append(f"```python\n{text}\n```" if cell["cell_type"] == "code" else text)
        for output in cell.get("outputs", ()):
            printed = "".join(output.get("text", output.get("data", {}).get("text/plain", "")))
            if printed:
                parts.append(f"```text\n{printed.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def write_index(app: Sphinx, exception: Exception | None) -> None:
    """Write `llms.txt`: every page in the order of the site, with a link to its twin."""
    if exception is not None or app.builder.format != "html":
        return
    lines = [f"# {app.config.project}", "", f"> {_summary(Path(app.outdir) / 'index.md')}", "", "## Pages", ""]
    for docname in _in_order(app, app.config.root_doc):
        title = app.env.titles[docname].astext()
        summary = _summary(Path(app.outdir) / f"{docname}.md")
        lines.append(f"- [{title}]({docname}.md)" + (f": {summary}" if summary else ""))
    (Path(app.outdir) / "llms.txt").write_text("\n".join(lines) + "\n")


def _in_order(app: Sphinx, docname: str) -> list[str]:
    children = app.env.toctree_includes.get(docname, [])
    return [docname, *(below for child in children for below in _in_order(app, child))]


def _summary(path: Path) -> str:
    """The first sentence of a page."""
    for paragraph in re.split(r"\n\s*\n", _CODE.sub("", path.read_text())):
        text = " ".join(paragraph.split())
        if text and text[0] not in "#|!<-*(:$":
            return re.split(r"(?<=[.])\s", text)[0].rstrip(":.") + "."
    return ""
