"""The page of a credit microscope: one HTML file with its data, style and script, and nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

from textmdp.agents.microscope.records import Credit
from textmdp.envs.views.rendering import visible

#: Significant digits of the numbers in the page.
DIGITS = 5


def write_page(credit: Credit, path: str | PathLike[str]) -> Path:
    """Write the page of a microscope; returns its path."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(credit), encoding="utf-8")
    return target


def page(credit: Credit) -> str:
    """The HTML page.

    Models wrote its texts: the script shows them as text, never as markup, and the page's policy lets it load nothing
    and run no other script.
    """
    folder = resources.files("textmdp.agents.microscope")
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = (folder / "page.js").read_text(encoding="utf-8")
    body = (folder / "page.html").read_text(encoding="utf-8")
    data = json.dumps(_plain(credit.as_dict()), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{_sha256(script)}'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(credit.env_id)} · credit microscope</title>\n<style>\n{style}</style>\n</head>\n"
        f'{body}<script type="application/json" id="data">{data}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _plain(value: Any) -> Any:
    """JSON values with rounded numbers, and without characters that reorder text or are invisible."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return visible(value) if isinstance(value, str) else value
