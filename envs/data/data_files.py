"""The rows of one data file: JSON lines, a JSON array, CSV, TSV, Parquet or Arrow.

The name's ending tells the format, and JSON is told by its first character where there is no such ending. Text formats
may be compressed by gzip, whatever the name. No row is skipped: an unreadable one raises a `DataError` with file, line
and field.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

Row = Mapping[str, Any]
#: A row, or what stands in its place, with that place for messages.
Placed = tuple[str, object]

#: Endings of data files, the preferred ones first; text formats also with ".gz".
TEXT_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".ndjson")
TABLE_SUFFIXES = (".parquet", ".arrow", ".feather")
SUFFIXES = (*TEXT_SUFFIXES, *(f"{suffix}.gz" for suffix in TEXT_SUFFIXES), *TABLE_SUFFIXES, ".gz")
#: Files that hold no rows, or rows that would need another program.
_UNREAD = (".xlsx", ".xls", ".zip", ".tar", ".bz2", ".xz", ".zst", ".pkl", ".pickle", ".npy", ".npz", ".db", ".sqlite")

_IDS = ("id", "task_id", "unique_id", "problem_id", "question_id")
_SURROGATE = re.compile("[\ud800-\udfff]")


class DataError(ValueError):
    """A row cannot be read; the message names the file, the line, the field and, if there is one, the fix."""


def rows_of_file(path: Path) -> Iterator[tuple[str, Row]]:
    """The rows of a file, each with its place for messages.

    Raises:
        DataError: a row is no object with named fields, or holds half of a character; the file is damaged or empty.
        ValueError: the format is not read.
        ImportError: the format needs pyarrow, which is not installed.
    """
    return checked(str(path), _items(path))


def checked(source: str, items: Iterable[Placed]) -> Iterator[tuple[str, Row]]:
    """The items as rows; `rows_of_file` has the errors. Two rows with one id are a warning."""
    places: dict[tuple[str, object], str] = {}
    count, repeated = 0, []
    for place, row in items:
        if not isinstance(row, dict):
            raise DataError(f"{place}: a JSON object with named fields is expected, not {kind_of(row)}")
        for field, text in _texts(row):
            if found := _SURROGATE.search(text):
                raise DataError(
                    f"{place}, field {field!r}: {found[0]!r} at position {found.start()} is half of a character (a "
                    "lone surrogate), which no tokenizer can encode: write both halves, or U+FFFD"
                )
        name = next((name for name in _IDS if isinstance(row.get(name), (str, int))), None)
        if name is not None and (first := places.setdefault((name, row[name]), place)) is not place:
            repeated.append(f"{name} {row[name]!r} of {place} is also that of {first.removeprefix(source).strip(', ')}")
        count += 1
        yield place, row
    if count == 0:
        raise DataError(f"{source}: the file holds no row")
    if repeated:
        more = f", and {len(repeated) - 1} more are repeated" if len(repeated) > 1 else ""
        warnings.warn(f"{repeated[0]}{more}: both are kept; leave one out if they are one problem", stacklevel=2)


def _texts(row: Row) -> Iterator[tuple[str, str]]:
    """The texts of a row with the names of their fields, those in lists and objects too."""
    waiting: list[tuple[str, object]] = [*row.items()]
    for name, value in waiting:  # which grows
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, (list, dict)):
            waiting += [(name, part) for part in (value.values() if isinstance(value, dict) else value)]


def _items(path: Path) -> Iterator[Placed]:
    """The items of a file in its format."""
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix in TABLE_SUFFIXES:
        yield from _table(path, suffix)
        return
    if suffix in _UNREAD:
        raise ValueError(
            f"{path}: {suffix} files are not read; rows come from {', '.join((*TEXT_SUFFIXES, *TABLE_SUFFIXES))}, and "
            "from text compressed as .gz"
        )
    try:
        with path.open("rb") as plain:
            compressed = name.endswith(".gz") or plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            with gzip.open(plain, "rb") if compressed else plain as file:
                yield from _text(path, suffix, cast(BinaryIO, file))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the file is not whole, or not compressed by gzip ({error})") from error


def _text(path: Path, suffix: str, file: BinaryIO) -> Iterator[Placed]:
    """The items of a text format."""
    if suffix in (".csv", ".tsv"):
        return _csv(path, file, "\t" if suffix == ".tsv" else ",")
    start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    file.seek(0)
    if start == b"[" and suffix not in (".jsonl", ".ndjson"):
        return _array(path, file.read())
    return _lines(path, file)


def _lines(path: Path, lines: Iterable[bytes]) -> Iterator[Placed]:
    """The values of JSON lines, without blank lines."""
    for line_number, line in enumerate(lines, start=1):
        place = f"{path}, line {line_number}"
        text = _decoded(place, line, first=line_number == 1)
        if text.strip():
            yield place, _loaded(place, text, "one object a line is expected")


def _array(path: Path, content: bytes) -> Iterator[Placed]:
    """The items of a JSON array."""
    rows = _loaded(str(path), _decoded(str(path), content, first=True), "a list of objects is expected")
    assert isinstance(rows, list)
    for number, row in enumerate(rows, start=1):
        yield f"{path}, item {number}", row


def _csv(path: Path, file: BinaryIO, delimiter: str) -> Iterator[Placed]:
    """The rows of a table with a line of names; empty cells are null, since CSV has no other way to say so."""
    text = io.StringIO(_decoded(str(path), file.read(), first=True), newline="")
    reader = csv.DictReader(text, delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{path}, line {reader.line_num}: no CSV ({error}); JSON lines have no such limits"
            ) from error
        if row is None:
            return
        place = f"{path}, line {reader.line_num}"
        if None in row or None in row.values():
            cells = len(row) + len(row.get(None, ())) - (None in row)
            raise DataError(
                f"{place}: the row has not the {len(reader.fieldnames or ())} cells of the first line: put texts with "
                f"{delimiter!r} or line breaks in quotes"
                + (f"; it has {cells}" if None in row else "; some are missing")
            )
        yield place, {name: value or None for name, value in row.items()}


def _table(path: Path, suffix: str) -> Iterator[Placed]:
    """The rows of a Parquet or Arrow file, as `datasets` and pandas write them."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            f'{path}: {suffix} files need pyarrow, which comes with datasets: pip install "textmdp[datasets]"',
            name="datasets",
        ) from error
    number = 0
    try:
        with pyarrow.OSFile(str(path), "rb") as source:
            batches: Callable[[], Iterable[Any]]
            if suffix == ".parquet":
                batches = pyarrow.parquet.ParquetFile(source).iter_batches
            elif source.read(6) == b"ARROW1":
                reader = pyarrow.ipc.open_file(source)
                batches = lambda: (reader.get_batch(i) for i in range(reader.num_record_batches))  # noqa: E731
            else:
                source.seek(0)
                stream = pyarrow.ipc.open_stream(source)
                batches = lambda: stream  # noqa: E731
            for batch in batches():
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except pyarrow.ArrowException as error:
        raise DataError(f"{path}: not whole, or no {suffix} file ({' '.join(str(error).split())})") from error


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


def kind_of(value: object) -> str:
    """The kind of a JSON value in words, for messages."""
    for kinds, name in (((int, float), "a number"), (list, "a list"), (dict, "an object"), (str, "text")):
        if isinstance(value, kinds) and not isinstance(value, bool):
            return name
    return "null" if value is None else "a boolean"
