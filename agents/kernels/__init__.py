"""Kernels in C: compiled where they are first used, when the machine has a compiler, and kept in the user's cache.

The compiler is `CC`, or else `cc`. Without one nothing is lost but time: whoever asks for a kernel has another way.
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

FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC")
#: For more than one thread; some compilers come without.
THREADS = "-fopenmp"
#: Seconds that a compiler may take; a kernel takes about one.
PATIENCE = 120


@functools.cache
def load(name: str) -> ctypes.CDLL | None:
    """The functions of `NAME.c` in this folder; None where there is no compiler, or it fails, which it warns of."""
    source = Path(__file__).with_name(f"{name}.c")
    command = shlex.split(os.environ.get("CC") or "cc")
    if os.name != "posix" or shutil.which(command[0]) is None:
        return None
    sources = (path.read_text() for path in sorted(source.parent.glob("*.[ch]")))  # they include one another
    content = "\0".join((*sources, *command, *FLAGS, THREADS, _processor()))
    library = _folder() / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:20]}.so"
    try:
        if not library.exists():
            _compile([*command, *FLAGS], source, library)
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or str(error)
        warnings.warn(
            f"{source.name} could not be compiled: language models go on without it, slower. Another compiler can be "
            f"named in the environment variable CC. What {command[0]} said: {told.strip()[-500:]}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def _compile(command: list[str], source: Path, library: Path) -> None:
    """Compile, with threads if that can be; to a file of its own, then rename: others see the whole library or none."""
    library.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made = Path(folder) / library.name
        for options in ([THREADS], []):
            done = subprocess.run(
                [*command, *options, "-o", str(made), str(source), "-lm"],
                check=not options,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=PATIENCE,
            )
            if done.returncode == 0:
                break
        made.replace(library)


def _folder() -> Path:
    """Where libraries are kept: code that is run, so nowhere that others may write."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(root) / "textmdp" / "kernels"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
            return folder
    except OSError:
        pass
    return _own_folder()


@functools.cache
def _own_folder() -> Path:
    """A folder of this process, where the home can't be written to."""
    folder = tempfile.TemporaryDirectory(prefix="textmdp-kernels-")
    _kept.append(folder)
    return Path(folder.name)


#: Folders that go when the process ends.
_kept: list[tempfile.TemporaryDirectory[str]] = []


def _processor() -> str:
    """What `-march=native` depends on: a cache may be shared by machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = {line for line in lines if line.startswith(("flags", "Features", "model name", "CPU part"))}
    return "\n".join((platform.machine(), platform.processor(), *sorted(told)))
