"""Rows of data sets from files, from folders, and from the Hugging Face hub.

`textmdp.envs.data.data_files` has the formats. No row is skipped: an unreadable one raises a `DataError` with file,
line and field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from typing import TypeVar

from textmdp.envs.data.data_files import SUFFIXES, DataError, Row, checked, kind_of, rows_of_file
from textmdp.envs.tokenizers.hub import hub_or_cache

SPLITS = ("train", "test", "all")
#: One problem in this many is held out for the test split.
HELD_OUT = 5

T = TypeVar("T")


def held_out(content: str) -> bool:
    """True if a problem of this content belongs to the test split: one in five, independent of index and seed."""
    return int.from_bytes(blake2b(content.encode(), digest_size=8).digest(), "little") % HELD_OUT == 0


def load_rows(
    dataset: str | PathLike[str], split: str | None, read: Callable[[str, Row], T], in_test: Callable[[T], bool]
) -> list[T]:
    """Read the rows of a data set, in its order.

    Args:
        dataset: a file, see `textmdp.envs.data.data_files`; a folder with files or folders called `train` and `test`
            (`test.jsonl`, `test-00000-of-00001.parquet`, `main/test/data.arrow`), as the hub and `datasets` write them;
            or a name on the Hugging Face hub, followed by a colon and a configuration if the data set has several:
            `"openai/gsm8k:main"`.
        split: "train", "test" or "all". A folder and the hub have files for them (None is "train"; "all" is train,
            then test). A file called `train*` or `test*` is that split, and None or "all" reads all of it. Any other
            file is read completely with None and "all", and is split by content with "train" and "test".
        read: converts a row. Its arguments are the row's place, with which a `DataError` begins, and the row.
        in_test: True for converted rows of the test split, if a file is split by content.

    Raises:
        DataError: a row cannot be read.
        FileNotFoundError: there is no such file.
        ValueError: there is no such split.
        ImportError: `dataset` is a name of the hub or a Parquet or Arrow file, and `datasets` is not installed.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split={split!r} is none of {', '.join(map(repr, SPLITS))}")
    path = Path(dataset).expanduser()
    if path.is_dir():
        names = ("train", "test") if split == "all" else (split or "train",)
        files = [file for name in names for file in _files_of(path, name)]
        return [read(place, row) for file in files for place, row in rows_of_file(file)]
    if path.is_file():
        return _from_file(path, split, read, in_test)
    if not isinstance(dataset, str) or path.name.endswith(SUFFIXES) or dataset.startswith((".", "/", "~")):
        raise FileNotFoundError(f"dataset={str(dataset)!r}: there is no such file or folder (from {Path.cwd()})")
    return [read(place, row) for place, row in _rows_of_hub(dataset, split)]


def _files_of(folder: Path, split: str) -> list[Path]:
    """The files of a split in a folder: one file, or the parts of one, in their order."""
    for suffix in SUFFIXES:
        if (path := folder / f"{split}{suffix}").is_file():
            return [path]
    # Parts: main/test-00000-of-00002.parquet as on the hub, test/data-00000-of-00002.arrow as `save_to_disk` writes.
    found: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder).parts
        if not path.is_file() or not path.name.endswith(SUFFIXES) or any(part.startswith(".") for part in inner):
            continue
        if re.match(rf"{split}(?![a-z])", path.name.lower()):
            found.setdefault(path.parent, []).append(path)
        elif len(inner) > 1 and path.parent.name == split and path.suffix != ".json":  # state.json is no data
            found.setdefault(path.parent.parent, []).append(path)
    if not found:
        raise FileNotFoundError(
            f"dataset={str(folder)!r} has no {split}.jsonl and no parts {split}-….parquet, which split={split!r} needs"
        )
    if len(found) > 1:
        names = ", ".join(repr(str(place)) for place in found)
        raise ValueError(f"dataset={str(folder)!r} holds several data sets: give one of {names}")
    return next(iter(found.values()))


def _from_file(path: Path, split: str | None, read: Callable[[str, Row], T], in_test: Callable[[T], bool]) -> list[T]:
    """The rows of one file that belong to the split."""
    own = next((name for name in ("train", "test") if path.name.lower().startswith(name)), None)
    if own is not None and split not in (None, "all", own):
        raise ValueError(
            f"split={split!r}, but {path.name} is the {own} split by its name: leave split out, or name another file"
        )
    items = [read(place, row) for place, row in rows_of_file(path)]
    if own is None and split in ("train", "test"):
        items = [item for item in items if in_test(item) == (split == "test")]
        if not items:
            raise ValueError(f'{path} has no row left for split={split!r} (one in five is test); use split="all"')
    return items


def _rows_of_hub(name: str, split: str | None) -> Iterable[tuple[str, Row]]:
    """The rows of a data set on the Hugging Face hub, with their places."""
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            f"dataset={name!r} is no file or folder, and names of the Hugging Face hub need datasets: "
            'pip install "textmdp[datasets]"',
            name="datasets",
        ) from error
    repository, _, configuration = name.partition(":")
    wanted = "train+test" if split == "all" else split or "train"
    try:
        with hub_or_cache():
            table = datasets.load_dataset(repository, configuration or None, split=wanted)
    except Exception as error:  # the library raises many kinds, from network to builder errors
        raise ValueError(
            f"dataset={name!r}: there is no such file, and the hub gave no split {wanted!r} of it "
            f"({type(error).__name__}: {error})"
        ) from error
    source = f"{name}[{wanted}]"
    return checked(source, ((f"{source}, row {i}", row) for i, row in enumerate(table)))


def names_of(row: Row) -> str:
    """The names of a row's fields, for messages."""
    return ", ".join(repr(name) for name in row) or "no fields at all"


__all__ = ["HELD_OUT", "SPLITS", "DataError", "Row", "held_out", "kind_of", "load_rows", "names_of"]
