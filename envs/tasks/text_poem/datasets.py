"""Poems from files and from the Hugging Face hub, as requests for poems of as many lines."""

from __future__ import annotations

from os import PathLike

from textmdp.envs.data.dataset_rows import DataError, Row, held_out, kind_of, load_rows, names_of
from textmdp.envs.rewards.lines import lines_of
from textmdp.envs.tasks.text_poem.verse import Request

_FIELDS = ("lines", "poem", "text")


def load_poems(dataset: str | PathLike[str], split: str | None = None) -> list[Request]:
    """Read a data set of poems, in its order; each row asks for a poem of as many lines as its own has.

    A row holds a poem in the field `lines` (a list of strings), `poem` or `text` (a string with line breaks), whichever
    it has first. Blank lines are dropped.

    Args:
        dataset: a file, a folder, or a name on the hub, see `textmdp.envs.data.dataset_rows.load_rows`.
        split: "train", "test", "all" or None, see there; a file is split by the content of its poems.

    Raises:
        DataError: a row has no poem; the message names file and line.
        FileNotFoundError, ValueError, ImportError: see `load_rows`.
    """
    return load_rows(dataset, split, _request, lambda request: held_out(request.text or ""))


def _request(place: str, row: Row) -> Request:
    field = next((name for name in _FIELDS if name in row), None)
    if field is None:
        raise DataError(f"{place}: a poem is in the field 'lines', 'poem' or 'text'; the row has {names_of(row)}")
    value = row[field]
    if field == "lines":
        if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
            raise DataError(f"{place}: 'lines' must be a list of strings, not {kind_of(value)}")
        value = "\n".join(value)
    if not isinstance(value, str):
        raise DataError(f"{place}: {field!r} must be a string, not {kind_of(value)}")
    lines = [line for line in lines_of(value) if line]
    if not lines:
        raise DataError(f"{place}: {field!r} holds no line of a poem")
    return Request(len(lines), text="\n".join(lines))
