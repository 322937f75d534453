"""Namespaces: processes, network, IPC and a file system of one's own, in which there is nothing but the library.

The order of the mounts, with two pivots so that nothing of the old root is needed below the new one, is bubblewrap's.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NoReturn

from . import linux, syscalls

#: What says which step is being done, for errors.
Step = Callable[[str], AbstractContextManager[None]]

_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
#: A program's files: 8 MiB in 512 files and directories, none of them executable.
_SCRATCH = "mode=0700,size=8m,nr_inodes=512"
_FIXED = linux.MS_NOSUID | linux.MS_NODEV
_INSIDE = 1000  # the user in a user namespace


def enter(step: Step) -> None:
    """Move into new namespaces. Returns in another process, the first of its pid namespace.

    The present process waits for that one, holding none of the descriptors, and ends as it ends; if it is killed, so is
    everything in the namespace.
    """
    flags = linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
    uid, gid = os.geteuid(), os.getegid()
    privileged = linux.has_capability(linux.CAP_SYS_ADMIN)
    with step("unshare"):
        linux.unshare(flags if privileged else flags | linux.CLONE_NEWUSER)
    if not privileged:
        with step("map the user"):
            linux.tell("/proc/self/setgroups", "deny")
            linux.tell("/proc/self/uid_map", f"{_INSIDE} {uid} 1")
            linux.tell("/proc/self/gid_map", f"{_INSIDE} {gid} 1")
    with step("name the machine"):
        linux.sethostname(b"judge")
    with step("fork into the pid namespace"):
        alive, held = os.pipe()
        pid = os.fork()
    if pid:
        _wait(pid, held)
    os.close(held)
    with step("tie the process to its keeper"):
        linux.prctl(linux.PR_SET_PDEATHSIG, 9)
        if select.select([alive], [], [], 0)[0]:  # the keeper ended before it could be asked to tell
            os._exit(1)
    os.close(alive)


def _wait(pid: int, held: int) -> NoReturn:
    """Be the keeper: hold nothing open but the end of a pipe that tells that one is there, and wait."""
    linux.close_all_but({held})
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os._exit(status if status >= 0 else 128 - status)


def new_root(step: Step, library: Mapping[str, str], hidden: Sequence[str], scratch: str, owner: int | None) -> None:
    """Make a root of the library's directories, read-only, some of them hidden, and a scratch directory.

    `library` has where a directory is to be, and where it is now, without symbolic links. The scratch directory
    belongs to the user `owner`, or to the present one.
    """
    with step("make mounts private"):
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    with step("mount the new root"):
        base = next(place for place in ("/tmp", "/var/tmp", "/mnt", "/dev/shm", "/proc") if os.path.isdir(place))
        linux.mount("root", base, "tmpfs", _FIXED, "mode=0755,size=1m,nr_inodes=1024")
        os.chdir(base)
        for name in ("new", "old"):
            os.mkdir(name, 0o755)
        linux.mount("new", "new", None, linux.MS_BIND)
    with step("pivot to the new root"):
        _pivot(b".", b"old")
        os.chdir("/")
    for path, source in library.items():
        with step(f"bind {path}"):
            os.makedirs(f"/new{path}", 0o755, exist_ok=True)
            _bind(f"/old{source}", f"/new{path}")
    for path in hidden:
        with step(f"hide {path}"):
            linux.mount("hidden", f"/new{path}", "tmpfs", _FIXED | linux.MS_RDONLY, "mode=0555,size=4k,nr_inodes=1")
    os.mkdir("/new/dev", 0o755)
    for path in _DEVICES:
        if os.path.exists(f"/old{path}"):
            with step(f"bind {path}"):
                os.close(os.open(f"/new{path}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444))
                linux.mount(f"/old{path}", f"/new{path}", None, linux.MS_BIND)
    with step("mount the scratch directory"):
        os.makedirs(f"/new{scratch}", 0o755, exist_ok=True)
        options = _SCRATCH if owner is None else f"{_SCRATCH},uid={owner},gid={owner}"
        linux.mount("scratch", f"/new{scratch}", "tmpfs", _FIXED | linux.MS_NOEXEC, options)
    with step("leave the old root"):
        linux.mount(None, "/old", None, linux.MS_REC | linux.MS_PRIVATE)
        linux.detach("/old")
        before = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.chdir("/new")
        _pivot(b".", b".")
        os.fchdir(before)
        linux.detach(".")
        os.close(before)
        os.chdir("/")
    with step("make the root read-only"):
        linux.mount(None, "/", None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NOEXEC | _FIXED)


def _bind(source: str, path: str) -> None:
    """Bind a directory read-only; a bind takes its flags from the source, and only a second call can change them."""
    linux.mount(source, path, None, linux.MS_BIND | linux.MS_REC)
    locked = os.statvfs(path).f_flag & linux.MS_NOEXEC  # in a user namespace it may not be taken away
    linux.mount(None, path, None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | _FIXED | locked)


def _pivot(new: bytes, old: bytes) -> None:
    assert linux.MACHINE is not None, sys.platform
    linux.raw_call(syscalls.NUMBERS["pivot_root"][linux.MACHINE] or 0, new, old)
