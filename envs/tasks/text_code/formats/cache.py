"""Problems that took long to make of their rows, kept on disk: in `$XDG_CACHE_HOME/textmdp/problems` or `~/.cache`.

A file of the cache belongs to a data set. It holds problems by the hash of their row and of the code that makes
problems, so what it gives is what would be made, and its first line is the hash of all the rest: a file that was cut
short or changed counts for nothing and is written again. It is data and no code, compressed JSON.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import json
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from hashlib import sha256
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

from textmdp.envs.data.dataset_rows import Row
from textmdp.envs.judge import suites
from textmdp.envs.judge.suites import Asserts, Calls, Stdio, Suite
from textmdp.envs.tasks.text_code.problem import CodeProblem

#: Seconds of making problems after which they are worth a file, and a message.
WORTH = 1.0
_KINDS: dict[str, type[Suite]] = {"Calls": Calls, "Asserts": Asserts, "Stdio": Stdio}


class ProblemCache:
    """The problems of one data set; a context manager, which writes its file at the end.

    Args:
        dataset: the name or path that the file is called after.
    """

    def __init__(self, dataset: str | PathLike[str]) -> None:
        self._dataset = str(dataset)
        path = Path(dataset).expanduser()
        place = str(path.resolve()) if path.exists() else self._dataset
        folder = _folder()
        self._path = folder / f"{sha256(place.encode()).hexdigest()[:24]}.json.gz" if folder else None
        self._known = _read(self._path) if self._path else {}
        self._used: dict[str, Any] = {}
        self._made, self._seconds, self._told = 0, 0.0, 0.0

    def problem(self, row: Row, make: Callable[[], CodeProblem | None]) -> CodeProblem | None:
        """The problem of a row: the one that is kept, or what `make` returns."""
        key = _key(row)
        kept = self._known.get(key)
        if kept is not None:
            self._used[key] = kept
            return _problem(kept)
        started = time.perf_counter()
        problem = make()
        self._seconds += time.perf_counter() - started
        self._made += 1
        if problem is not None:
            self._used[key] = _plain(problem)
        self._tell()
        return problem

    def _tell(self, done: bool = False) -> None:
        """Say on stderr what takes so long: now and then on a terminal, otherwise once."""
        if self._seconds < WORTH or (not done and time.monotonic() < self._told):
            return
        is_terminal = sys.stderr.isatty()
        kept = f"; kept in {self._path}" if self._path else ""
        print(
            f"{Path(self._dataset).name}: {self._made} problems made of their rows, in {self._seconds:.0f} s{kept}",
            end="\n" if done or not is_terminal else "\r",
            file=sys.stderr,
            flush=True,
        )
        self._told = time.monotonic() + 0.5 if is_terminal else float("inf")

    def __enter__(self) -> ProblemCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write the file, also after an error: what was made is right."""
        if self._seconds >= WORTH:
            self._tell(done=True)
            if self._path is not None:
                _write(self._path, self._used)


def _key(row: Row) -> str:
    text = json.dumps(row, sort_keys=True, default=repr)
    return sha256(f"{_version()}{text}".encode("utf-8", "surrogatepass")).hexdigest()


@functools.cache
def _version() -> str:
    """The hash of the code that makes problems, and the version of Python that runs solutions."""
    digest = sha256(repr(sys.version_info[:2]).encode())
    for path in [*sorted(Path(__file__).parent.glob("*.py")), Path(suites.__file__)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _plain(problem: CodeProblem) -> dict[str, Any]:
    fields = problem._asdict()
    for name in ("visible", "hidden"):
        suite = fields[name]
        if suite is not None:
            fields[name] = {"kind": type(suite).__name__, **dataclasses.asdict(suite)}
    return fields


def _problem(plain: dict[str, Any]) -> CodeProblem:
    fields: dict[str, Any] = {**plain, "visible": _suite(plain["visible"]), "hidden": _suite(plain["hidden"])}
    return CodeProblem(**fields)


def _suite(plain: dict[str, Any] | None) -> Suite | None:
    if plain is None:
        return None
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
    kind: Callable[..., Suite] = _KINDS[str(fields.pop("kind"))]
    return kind(**fields)


def _folder() -> Path | None:
    """The folder of the cache; None where there is none that is ours alone to write to."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = root / "textmdp" / "problems"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours = root.is_absolute() and os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid()
    except OSError:
        return None
    return folder if ours else None


def _read(path: Path) -> dict[str, Any]:
    """The problems in a file; none where it is missing, cut short or changed."""
    try:
        digest, _, content = gzip.decompress(path.read_bytes()).partition(b"\n")
        if digest.decode() == sha256(content).hexdigest():
            found = json.loads(content)
            return found if isinstance(found, dict) else {}
    except (OSError, EOFError, ValueError, zlib.error):
        pass
    return {}


def _write(path: Path, problems: dict[str, Any]) -> None:
    """Write a file, whole or not at all."""
    content = json.dumps(problems).encode("ascii")
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(gzip.compress(sha256(content).hexdigest().encode() + b"\n" + content, 1))
        os.replace(name, path)
    except OSError as error:
        print(f"{path}: not written: {error}", file=sys.stderr)
