"""Kernels in C, compiled at their first use and kept in the user's cache.

The compiler is the one in the environment variable `CC`, or else `cc`. Without a compiler, or with `TEXTMDP_KERNEL=0`
in the environment, language models decode through torch: slower, equal but for rounding. `docs/kernel.md` describes the
kernels for those who change them.

Kernels run on OpenMP's threads, as torch does. As with torch, a process that has used them must not be forked and then
use them in the child, which would wait for threads that it doesn't have: start processes by `spawn` or `forkserver`.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

#: The environment variable that switches kernels off, with "0".
SWITCH = "TEXTMDP_KERNEL"
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC")
#: For more than one thread. Some compilers lack it, and compile without.
THREADS = "-fopenmp"
#: Seconds after which a compiler has failed; a kernel takes about one.
TIMEOUT = 120


def load(name: str) -> ctypes.CDLL | None:
    """The library of `NAME.c` in this folder; None without a compiler, or if it fails, which raises a warning once."""
    switch = os.environ.get(SWITCH) or "1"
    if switch not in ("0", "1"):
        raise ValueError(f"{SWITCH}={switch!r} must be 0, for no kernel, or 1")
    return None if switch == "0" else _load(name)


@functools.cache
def _load(name: str) -> ctypes.CDLL | None:
    source = Path(__file__).with_name(f"{name}.c")
    command = _compiler()
    if command is None:
        return None
    try:
        return ctypes.CDLL(str(_library(source, command)))
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        _warn(
            f"{source.name} could not be compiled by {command[0]}. Name another compiler in the environment variable "
            f"CC. Its error: {reason.strip()[-500:]}"
        )
        return None


def _warn(message: str) -> None:
    warnings.warn(
        f"{message} (language models decode without their kernel, slower; {SWITCH}=0 switches it off)",
        RuntimeWarning,
        stacklevel=4,
    )


def _compiler() -> list[str] | None:
    """The compiler and its arguments; None if there is none, with a warning if `CC` names one."""
    named = os.environ.get("CC") or None
    if os.name != "posix":
        return None
    try:
        command = shlex.split(named or "cc")
    except ValueError as error:  # unbalanced quotes
        _warn(f"CC={named!r} can't be read ({error}): give a command such as CC='gcc -m64', or unset CC.")
        return None
    if command and shutil.which(command[0]) is not None:
        return command
    if named is not None:
        _warn(f"CC={named!r} names no program that there is: give a compiler such as CC=gcc, or unset CC.")
    return None


def _library(source: Path, command: list[str]) -> Path:
    """The compiled library, from the cache if it is there and whole.

    Its name has two hashes: of its sources and compiler, and of its own bytes, since loading a truncated library
    kills the process.
    """
    sources = (path.read_text() for path in sorted(source.parent.glob("*.[ch]")))  # they include one another
    content = "\0".join((*sources, *command, *FLAGS, THREADS, _processor()))
    stem, folder = f"{source.stem}-{_digest(content.encode())}", _folder()
    for library in sorted(folder.glob(f"{stem}-*.so")):
        if library.name == f"{stem}-{_digest(library.read_bytes())}.so":
            return library
        library.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / "library.so"
        _compile([*command, *FLAGS], source, made)
        library = folder / f"{stem}-{_digest(made.read_bytes())}.so"
        made.replace(library)  # atomic: other processes find a whole library or none
    return library


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:20]


def _compile(command: list[str], source: Path, library: Path) -> None:
    """Compile with threads, or else without."""
    for options in ([THREADS], []):
        done = subprocess.run(
            [*command, *options, "-o", str(library), str(source), "-lm"],
            check=not options,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT,
        )
        if done.returncode == 0:
            return


def _folder() -> Path:
    """The folder of compiled libraries. They are code that is run, so nobody else may write there."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    if not root.is_absolute():
        warnings.warn(
            f"the cache folder {str(root)!r} is not absolute, so kernels are compiled for this process alone: give an "
            "absolute XDG_CACHE_HOME (or HOME)",
            RuntimeWarning,
            stacklevel=5,
        )
        return _own_folder()
    folder = root / "textmdp" / "kernels"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
            return folder
    except OSError:
        pass
    return _own_folder()


@functools.cache
def _own_folder() -> Path:
    """A folder of this process, where the user's cache can't be written to."""
    folder = tempfile.TemporaryDirectory(prefix="textmdp-kernels-")
    _kept.append(folder)
    return Path(folder.name)


#: Folders that are removed when the process ends.
_kept: list[tempfile.TemporaryDirectory[str]] = []


def _processor() -> str:
    """The processor as far as `-march=native` depends on it: machines may share a cache."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    relevant = {line for line in lines if line.startswith(("flags", "Features", "model name", "CPU part"))}
    return "\n".join((platform.machine(), platform.processor(), *sorted(relevant)))
