"""Rows of data sets from files, from folders, and from the Hugging Face hub.

A file contains JSON lines, or one JSON array of rows if its name ends in `.json`; either may be compressed (`.gz`). No
row is skipped: an unreadable one raises a `DataError` with file, line and field.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

SPLITS = ("train", "test", "all")
#: One problem in this many is held out for the test split.
HELD_OUT = 5

Row = Mapping[str, Any]
T = TypeVar("T")

_SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


def held_out(content: str) -> bool:
    """True if a problem of this content belongs to the test split: one in five, independent of index and seed."""
    return int.from_bytes(blake2b(content.encode(), digest_size=8).digest(), "little") % HELD_OUT == 0


class DataError(ValueError):
    """A row cannot be read; the message names the file, the line, the field and, if there is one, the fix."""


def load_rows(
    dataset: str | PathLike[str], split: str | None, read: Callable[[str, Row], T], in_test: Callable[[T], bool]
) -> list[T]:
    """Read the rows of a data set, in its order.

    Args:
        dataset: a `.jsonl` or `.json` file, also with `.gz`; a folder with such a file called `train` and one called
            `test`; or a name on the Hugging Face hub, followed by a colon and a configuration if the data set has
            several: `"openai/gsm8k:main"`.
        split: "train", "test" or "all". A folder and the hub have files for them (None is "train"; "all" is train,
            then test). A file called `train*` or `test*` is that split, and None or "all" reads all of it. Any other
            file is read completely with None and "all", and is split by content with "train" and "test".
        read: converts a row. Its arguments are the row's place, with which a `DataError` begins, and the row.
        in_test: True for converted rows of the test split, if a file is split by content.

    Raises:
        DataError: a row cannot be read.
        FileNotFoundError: there is no such file.
        ValueError: there is no such split.
        ImportError: `dataset` is a name of the hub, and `datasets` is not installed.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split={split!r} is none of {', '.join(map(repr, SPLITS))}")
    path = Path(dataset).expanduser()
    if path.is_dir():
        names = ("train", "test") if split == "all" else (split or "train",)
        return [read(place, row) for name in names for place, row in _rows_of_file(_file_of(path, name))]
    if path.is_file():
        return _from_file(path, split, read, in_test)
    if not isinstance(dataset, str) or path.name.endswith(_SUFFIXES) or dataset.startswith((".", "/", "~")):
        raise FileNotFoundError(f"dataset={str(dataset)!r}: there is no such file or folder (from {Path.cwd()})")
    return [read(place, row) for place, row in _rows_of_hub(dataset, split)]


def _file_of(folder: Path, split: str) -> Path:
    """The file of a split in a folder."""
    for suffix in _SUFFIXES:
        if (path := folder / f"{split}{suffix}").is_file():
            return path
    raise FileNotFoundError(f"dataset={str(folder)!r} has no {split}.jsonl, which split={split!r} needs")


def _from_file(path: Path, split: str | None, read: Callable[[str, Row], T], in_test: Callable[[T], bool]) -> list[T]:
    """The rows of one file that belong to the split."""
    own = next((name for name in ("train", "test") if path.name.lower().startswith(name)), None)
    if own is not None and split not in (None, "all", own):
        raise ValueError(
            f"split={split!r}, but {path.name} is the {own} split by its name: leave split out, or name another file"
        )
    items = [read(place, row) for place, row in _rows_of_file(path)]
    if own is None and split in ("train", "test"):
        items = [item for item in items if in_test(item) == (split == "test")]
        if not items:
            raise ValueError(f'{path} has no row left for split={split!r} (one in five is test); use split="all"')
    return items


def _rows_of_file(path: Path) -> Iterator[tuple[str, Row]]:
    """The rows of a file, each with its place for messages."""
    count = 0
    compressed = path.suffix == ".gz"
    try:
        with gzip.open(path, "rb") if compressed else path.open("rb") as file:
            array = (
                path.name.removesuffix(".gz").endswith(".json")
                and file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["
            )
            file.seek(0)
            for place, row in _items(path, file.read()) if array else _lines(path, file):
                if not isinstance(row, dict):
                    raise DataError(f"{place}: a JSON object with named fields is expected, not {kind_of(row)}")
                count += 1
                yield place, row
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the file is not whole, or not compressed by gzip ({error})") from error
    if count == 0:
        raise DataError(f"{path}: the file holds no row")


def _lines(path: Path, lines: Iterable[bytes]) -> Iterator[tuple[str, object]]:
    """The values of the lines with their places, without blank lines."""
    for line_number, line in enumerate(lines, start=1):
        place = f"{path}, line {line_number}"
        text = _decoded(place, line, first=line_number == 1)
        if text.strip():
            yield place, _loaded(place, text, "one object a line is expected")


def _items(path: Path, content: bytes) -> Iterator[tuple[str, object]]:
    """The items of a JSON array, with their places."""
    rows = _loaded(str(path), _decoded(str(path), content, first=True), "a list of objects is expected")
    assert isinstance(rows, list)
    for number, row in enumerate(rows, start=1):
        yield f"{path}, item {number}", row


def _decoded(place: str, content: bytes, *, first: bool) -> str:
    """The text of UTF-8 bytes; the first may begin with a byte order mark."""
    try:
        return content.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: not UTF-8 ({error.reason} at byte {error.start})") from error


def _loaded(place: str, text: str, expected: str) -> object:
    """The value of a JSON text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON ({error}); {expected}") from error


def _rows_of_hub(name: str, split: str | None) -> Iterable[tuple[str, Row]]:
    """The rows of a data set on the Hugging Face hub, with their places."""
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            f"dataset={name!r} is no file or folder, and names of the Hugging Face hub need datasets: "
            'pip install "textmdp[datasets]"'
        ) from error
    repository, _, configuration = name.partition(":")
    wanted = "train+test" if split == "all" else split or "train"
    try:
        table = datasets.load_dataset(repository, configuration or None, split=wanted)
    except Exception as error:  # the library raises many kinds, from network to builder errors
        raise ValueError(
            f"dataset={name!r}: there is no such file, and the hub gave no split {wanted!r} of it "
            f"({type(error).__name__}: {error})"
        ) from error
    rows = [(f"{name}[{wanted}], row {i}", row) for i, row in enumerate(table)]
    if not rows:
        raise DataError(f"{name}[{wanted}]: the data set holds no row")
    return rows


def names_of(row: Row) -> str:
    """The names of a row's fields, for messages."""
    return ", ".join(repr(name) for name in row) or "no fields at all"


def kind_of(value: object) -> str:
    """The kind of a JSON value in words, for messages."""
    for kinds, name in (((int, float), "a number"), (list, "a list"), (dict, "an object"), (str, "text")):
        if isinstance(value, kinds) and not isinstance(value, bool):
            return name
    return "null" if value is None else "a boolean"
