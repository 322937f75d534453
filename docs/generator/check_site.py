"""Checks a built site: `python check_site.py FOLDER` lists broken links and pages without a twin, and exits with 1."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag


class Page(HTMLParser):
    """The targets and the links of an HTML page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect `id`, `href` and `src`."""
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def broken_links(site: Path) -> list[str]:
    """The links of a site that lead to no file, or to no id in it, as "page: link"."""
    pages = {path.resolve(): Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        for link in page.links:
            if ":" in link.partition("/")[0] or link.startswith("//"):
                continue  # another site
            address, anchor = urldefrag(link)
            target = (path.parent / unquote(address.partition("?")[0])).resolve() if address else path
            if not target.exists() or (anchor and target in pages and unquote(anchor) not in pages[target].ids):
                found.append(f"{path.relative_to(site.resolve())}: {link}")
    return found


def missing_twins(site: Path) -> list[str]:
    """The pages of a site that have no Markdown twin, or one that `llms.txt` does not list."""
    listed = (site / "llms.txt").read_text()
    pages = [path.relative_to(site).with_suffix(".md") for path in site.rglob("*.html")]
    written = [path for path in pages if path.parts[0] != "_modules" and path.stem not in ("genindex", "search")]
    return [
        f"{path}: no twin in llms.txt" for path in written if not (site / path).exists() or f"({path})" not in listed
    ]


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    faults = [*broken_links(folder), *missing_twins(folder)]
    print("\n".join(faults) or "every link within the site leads somewhere, and every page has its twin")
    sys.exit(bool(faults))
