"""Compiled kernels: built once, rebuilt if damaged, and never needed; and the memory that they work in."""

from __future__ import annotations

import collections
import gc
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from textmdp.agents import kernels
from textmdp.agents.kernels import memory
from textmdp.agents.kernels.memory import Memory

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on this machine")


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A process that has loaded no kernel, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    kernels._load.cache_clear()
    yield tmp_path
    kernels._load.cache_clear()


@pytest.mark.parametrize("named", ["no-such-compiler", " ", "'cc", "/nowhere/cc -O2"])
def test_a_compiler_that_is_none_is_warned_of(fresh, monkeypatch, named):
    monkeypatch.setenv("CC", named)
    with pytest.warns(RuntimeWarning, match="unset CC"):
        assert kernels.load("llama") is None
    assert kernels.load("llama") is None  # and warned of once


def test_no_compiler_at_all_is_not_warned_of(fresh, monkeypatch):
    monkeypatch.setenv("PATH", str(fresh))
    assert kernels.load("llama") is None


def test_a_compiler_that_fails_is_warned_of(fresh, monkeypatch):
    broken = fresh / "broken"
    broken.write_text(f"#!{sys.executable}\nimport sys; sys.exit('this compiler is out of order')\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.warns(RuntimeWarning, match="out of order"):
        assert kernels.load("llama") is None
    assert kernels.load("llama") is None  # and warned of once


@needs_compiler
def test_compiles_once(fresh):
    assert kernels.load("llama") is not None
    (library,) = (fresh / "cache" / "textmdp" / "kernels").iterdir()
    assert stat.S_IMODE(library.parent.stat().st_mode) == 0o700
    made = library.stat().st_mtime_ns
    kernels._load.cache_clear()
    assert kernels.load("llama") is not None
    assert library.stat().st_mtime_ns == made


@needs_compiler
@pytest.mark.parametrize("left", [0, 20000])
def test_a_truncated_library_is_built_again(fresh, left):
    """In a process of its own: to load half a library kills Python."""
    assert kernels.load("llama") is not None
    (library,) = (fresh / "cache" / "textmdp" / "kernels").iterdir()
    whole = library.read_bytes()
    library.unlink()  # and not written over: it is mapped into this process
    library.write_bytes(whole[:left])
    code = "from textmdp.agents import kernels; assert kernels.load('llama').llama_generate"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (library,) = (fresh / "cache" / "textmdp" / "kernels").iterdir()
    assert len(library.read_bytes()) > left


@needs_compiler
def test_a_cache_that_cannot_be_written_to(fresh, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert kernels.load("llama") is not None


@needs_compiler
def test_a_relative_cache_is_not_used(fresh, monkeypatch):
    monkeypatch.chdir(fresh)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    with pytest.warns(RuntimeWarning, match="'relative' is not absolute"):
        assert kernels.load("llama") is not None
    assert not (fresh / "relative").exists()


def test_the_switch_is_0_or_1(fresh, monkeypatch):
    monkeypatch.setenv("TEXTMDP_KERNEL", "0")
    assert kernels.load("llama") is None
    monkeypatch.setenv("TEXTMDP_KERNEL", "off")
    with pytest.raises(ValueError, match="TEXTMDP_KERNEL='off' must be 0, for no kernel, or 1"):
        kernels.load("llama")


def test_sources_are_installed():
    assert (Path(kernels.__file__).parent / "llama.c").exists()


class NonBlocking:
    """A lock that fails where another would wait for ever: for the thread that holds it."""

    def __init__(self):
        self.held, self.deadlocks = False, 0

    def __enter__(self):
        self.deadlocks += self.held
        self.held = True

    def __exit__(self, *_):
        self.held = False


def test_the_garbage_collector_may_free_memory_at_any_time(monkeypatch):
    """Even while this thread asks for memory, and so holds the lock."""
    lock, allocate = NonBlocking(), memory._aligned
    monkeypatch.setattr(Memory, "_lock", lock)

    def collecting(size):
        gc.collect()
        return allocate(size)

    monkeypatch.setattr(memory, "_aligned", collecting)
    size = 1 << 20  # more than any array that is free
    cycle = [Memory(size)]
    cycle.append(cycle)
    del cycle
    array = Memory(size + 1).array
    assert len(array) > size
    assert not lock.deadlocks
    assert len(Memory(size).array) == size  # the one of the cycle, which is free again


def test_memory_is_used_again_and_aligned(monkeypatch):
    monkeypatch.setattr(Memory, "_spare", [])  # other tests may have left larger ones
    monkeypatch.setattr(Memory, "_returned", collections.deque(maxlen=4))
    first = Memory(12345)
    address = first.array.ctypes.data
    assert address % 64 == 0
    del first
    again, other = Memory(12345), Memory(12345)
    assert again.array.ctypes.data == address
    assert not np.shares_memory(again.array, other.array)
    assert again.pointer.value == address
