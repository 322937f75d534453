"""Confinement of hostile programs: what is set up once, for the zygote, and what is added for each program.

The zygote imports modules (`preload`) and calls `confine_zygote`. For each program it makes a `confinement`, forks a
child that calls `confine_program` with it, and calls `sweep` when that has ended. Three layers overlap, so that each
covers what another leaves open:

- namespaces: no other process, network or file is there at all;
- Landlock: no file but the library and a scratch directory may be opened, nobody outside be traced or signalled;
- seccomp: no sockets, no processes, no shared memory, none of the calls that a program that computes does not need.

With namespaces there is a scratch directory, the program's home, of 8 MiB in memory. Without, it can write nowhere.
With seccomp alone nothing can be opened, so a program has the modules that `preload` has imported and no others.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import math
import os
import resource
import signal
import stat
import sys
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from . import landlock, linux, namespaces, seccomp
from .errors import SandboxError, doing

__all__ = [
    "Confinement",
    "Layers",
    "Limits",
    "SandboxError",
    "can_import",
    "confine_program",
    "confine_zygote",
    "confinement",
    "sweep",
]

_LINUX = sys.platform == "linux"
_DEVICES = {"/dev/null": landlock.WRITE, "/dev/zero": landlock.READ}
_DEVICES |= {"/dev/random": landlock.READ, "/dev/urandom": landlock.READ}
_HIDDEN = ("site-packages", "dist-packages")  # may hold anything, data sets with their answers too
_STACK, _FILE = 64 << 20, 4 << 20  # bytes
_DESCRIPTORS, _THREADS = 64, 64
_WARM_UPS = 20  # an interpreter rewrites what it has run 16 times; in a child that would cost copies of pages
_PATIENCE = 5.0  # seconds until processes that were killed must be gone


class Layers(NamedTuple):
    """Which layers confine programs. All False: nothing but limits does, and a program may do whatever its user may."""

    namespaces: bool
    landlock: bool
    seccomp: bool


class Limits(NamedTuple):
    """What one program may use: seconds of CPU (rounded up), bytes of address space."""

    cpu: float
    memory: int


#: The calls that confine a program, each with its layer and what it does.
Confinement = Sequence[tuple[str, str, Callable[[], object]]]


class _Prepared(NamedTuple):
    """What `confine_zygote` leaves for each program."""

    scratch: str | None
    threads: int | None
    steps: Confinement


_prepared = _Prepared(None, None, ())


def can_import(layers: Layers) -> bool:
    """Whether programs will be able to read the library: bound into a root of their own, or where it is."""
    if layers.namespaces or not any(layers):
        return True
    if not layers.landlock:
        return False
    if _private_user() is None:
        return True
    # Another user than ours will read: each directory on the way, say /root, must let others in.
    path = os.path.realpath(os.path.dirname(os.__file__))
    if not os.stat(path).st_mode & stat.S_IROTH:
        return False
    while os.stat(path).st_mode & stat.S_IXOTH:
        if path == "/":
            return True
        path = os.path.dirname(path)
    return False


def confine_zygote(layers: Layers, keep: Collection[int]) -> None:
    """Confine this process, and all that it forks, for ever. To be called once, with one thread, after `preload`.

    With namespaces it returns in a new process, the first of its pid namespace; the old one waits and ends with it, and
    killing either ends both. Descriptors other than `keep` are closed; of 0 to 2 those not in `keep` become /dev/null.
    The environment is emptied. Raises SandboxError, after which the process is good for nothing but to end.
    """
    global _prepared
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in {0, 1, 2}.difference(keep):
        os.dup2(null, descriptor)
    linux.close_all_but({0, 1, 2, *keep})
    os.environ.clear()
    os.umask(0o022)  # or another user could not enter the directories that are made
    if not _LINUX:
        if any(layers):
            raise SandboxError("seccomp" if layers.seccomp else "namespaces", "confine on this system", errno.ENOSYS)
        return
    if os.getpid() != os.getsid(0):
        os.setsid()  # signals of a terminal are for others
    _volunteer()
    library, user = _library(), _private_user() if any(layers) else None
    scratch = _scratch_beside(library) if layers.namespaces else None
    if scratch is not None:
        step = functools.partial(doing, "namespaces")
        namespaces.enter(step)
        if os.geteuid():
            user = None  # in a user namespace
        hidden = [f"{path}/{name}" for path in library for name in _HIDDEN if os.path.isdir(f"{path}/{name}")]
        namespaces.new_root(step, library, hidden, scratch, user)
        os.environ.update(HOME=scratch, TMPDIR=scratch)
    if layers.landlock:
        with doing("landlock", "make the rules"):
            rules = landlock.ruleset(_rights(library, scratch))
    if any(layers):
        os.chdir(scratch or "/")
        with doing("limits", "give up privileges"):
            _give_up_privileges(user)
    countable = layers.namespaces or user is not None
    threads = _THREADS if countable and _threads_are_counted() else None
    with doing("limits", "limit what programs inherit"):
        for what in (resource.RLIMIT_CORE, resource.RLIMIT_MEMLOCK, resource.RLIMIT_MSGQUEUE):
            _limiting(what, 0)()
        _limiting(resource.RLIMIT_STACK, _STACK)()
        _limiting(resource.RLIMIT_FSIZE, _FILE)()
        _limiting(resource.RLIMIT_NOFILE, _DESCRIPTORS)()
    steps: list[tuple[str, str, Callable[[], object]]] = []
    if not layers.namespaces:  # there, all end with the first process anyhow
        steps.append(("limits", "end with the zygote", linux.telling(linux.PR_SET_PDEATHSIG, signal.SIGKILL)))
        steps.append(("limits", "see the zygote", functools.partial(_end_without, os.getpid())))
    if threads is not None:  # not for the zygote, which must fork whatever others do that may be the same user
        steps.append(("limits", "limit the threads", _limiting(resource.RLIMIT_NPROC, threads)))
    if layers.landlock:
        with doing("landlock", "restrict the zygote"):
            landlock.enforce(rules)
            isolate, rules = landlock.isolation()
        steps.append(("landlock", "isolate the program", isolate))
        steps.append(("landlock", "close the rules", linux.Call("close", rules)))
    _warm_up()
    if not any(layers):
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)  # what a program leaves behind comes here, and is killed
    if layers.seccomp:
        program = _filter_zygote(files=layers.namespaces or layers.landlock, links=layers.namespaces)
        steps.append(("seccomp", "filter the program", program.install))
    _prepared = _Prepared(scratch, threads, steps)


@functools.lru_cache(8)
def confinement(limits: Limits) -> Confinement:
    """What `confine_program` does, prepared before the fork: a child pays for all that it does with copies of pages.

    At the limit of CPU time the kernel kills a program; at the limit of memory Python raises MemoryError.
    """
    seconds = max(1, math.ceil(limits.cpu))
    steps = list(_prepared.steps)
    steps.append(("limits", "limit the time", _limiting(resource.RLIMIT_CPU, seconds)))
    if _LINUX:  # others do not enforce it, and some refuse to set it; last, since the steps before may need some
        steps.append(("limits", "limit the memory", _limiting(resource.RLIMIT_AS, limits.memory)))
    return steps


def confine_program(confinement: Confinement) -> None:
    """Confine a child of the zygote further, the last thing before it runs a program. Raises SandboxError."""
    for layer, step, call in confinement:
        try:
            call()
        except OSError as error:
            raise SandboxError(layer, step, error.errno or 0) from error


def sweep(layers: Layers) -> None:
    """Kill and reap whatever a program left running, and empty the scratch directory.

    Raises SandboxError where something is left: then this zygote must not be used any more.
    """
    if layers.namespaces and os.getpid() != 1:
        raise SandboxError("sweep", "kill all processes outside of a pid namespace", errno.EPERM)
    deadline = 0.0
    while linux.reap() >= 0:  # in a pid namespace, whoever has no children is alone: all descend from the first
        deadline = deadline or time.monotonic() + _PATIENCE
        for pid in (-1,) if layers.namespaces else _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise SandboxError("sweep", "end the processes of a program", errno.EBUSY)
        time.sleep(0.0005)
    try:
        if _prepared.scratch is not None and os.listdir(_prepared.scratch):
            _empty(_prepared.scratch)
    except OSError as error:
        raise SandboxError("sweep", "empty the scratch directory", error.errno or 0) from error


def _volunteer() -> None:
    """Be the first that is killed when the machine runs out of memory: before the process that trains."""
    with contextlib.suppress(OSError):  # no /proc, or not for us: no part of what is promised
        linux.tell("/proc/self/oom_score_adj", "1000")


def _library() -> dict[str, str]:
    """The directories of the standard library: where Python looks, and where that is without symbolic links."""
    paths = [os.path.dirname(os.__file__)]
    paths += [p for p in sys.path if os.path.basename(p) == "lib-dynload" and not p.startswith(f"{paths[0]}/")]
    return {path: os.path.realpath(path) for path in paths if os.path.isdir(path)}


def _scratch_beside(library: Collection[str]) -> str:
    """Where the scratch directory is to be: /tmp, unless Python itself is below it."""
    return "/scratch" if any(path.startswith("/tmp/") for path in library) else "/tmp"


def _rights(library: Collection[str], scratch: str | None) -> dict[str, int]:
    """What Landlock lets through. Rights hold below a path too, so where something is to be hidden that no mount hides,
    all else is listed entry by entry: hundreds of rules, which the kernel copies for each program.
    """
    rights = dict(_DEVICES)
    for path in library:
        names = os.listdir(path)
        if scratch is not None or not set(_HIDDEN).intersection(names):
            rights[path] = landlock.READ | landlock.LIST
            continue
        rights[path] = landlock.LIST
        rights |= {f"{path}/{name}": landlock.READ | landlock.LIST for name in names if name not in _HIDDEN}
    if scratch is not None:
        rights[scratch] = landlock.SCRATCH
    return rights


def _private_user() -> int | None:
    """A user that nobody else is, for root to become; None where one is no root, or there is no such user.

    Not `nobody`: others are that too. The second choice is from the range that systemd gives to services.
    """
    if os.geteuid() or not (linux.has_capability(linux.CAP_SETUID) and linux.has_capability(linux.CAP_SETGID)):
        return None
    choices = (0x70000000 + os.getpid(), 61184 + os.getpid() % 4336)
    return next((c for c in choices if _is_mapped(c, "uid_map") and _is_mapped(c, "gid_map")), None)


def _is_mapped(number: int, table: str) -> bool:
    """Whether a user or group of this number exists in our user namespace."""
    try:
        with open(f"/proc/self/{table}") as file:
            rows = [line.split() for line in file]
    except OSError:
        return False
    return any(int(first) <= number < int(first) + int(count) for first, _, count in rows)


def _give_up_privileges(user: int | None) -> None:
    linux.drop_bounding_set()
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    linux.drop_capabilities()
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    if os.getpid() == 1:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)  # which changing the user has undone


def _threads_are_counted() -> bool:
    """Whether RLIMIT_NPROC counts our threads alone, by trying: a child starts one when few are allowed.

    Before Linux 5.14 a user namespace does not count by itself, and what the user runs elsewhere would count too.
    """
    pid = os.fork()
    if pid == 0:
        try:
            import _thread

            _limiting(resource.RLIMIT_NPROC, 8)()
            _thread.start_new_thread(lambda: None, ())
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def _end_without(parent: int) -> None:
    """End where the parent has ended before it could be asked to take its children along."""
    if os.getppid() != parent:
        os._exit(1)


def _warm_up() -> None:
    """Do what each child will do, without effect, so that all inherit what the interpreter makes of it."""
    nothing = linux.telling(linux.PR_CAPBSET_READ, 0)
    still_there = functools.partial(_end_without, os.getppid())
    for _ in range(_WARM_UPS):
        confine_program((("limits", "do nothing", nothing), ("limits", "see the parent", still_there)))


def _filter_zygote(files: bool, links: bool) -> seccomp.Filter:
    """Put the zygote under its filter; what programs get on top."""
    if linux.MACHINE is None:
        raise SandboxError("seccomp", "find the system calls of this architecture", errno.ENOSYS)
    with doing("seccomp", "filter the zygote"):
        program = seccomp.program_filter(linux.MACHINE)
        seccomp.zygote_filter(linux.MACHINE, files, links).install()
    return program


def _limiting(what: int, value: int) -> linux.Call:
    """To set a soft and hard limit, or leave a lower one: with both equal no signal comes that could be caught."""
    hard = resource.getrlimit(what)[1]
    return linux.limiting(what, value if hard == resource.RLIM_INFINITY else min(value, hard))


def _children() -> list[int]:
    """Our children; none where /proc can't be read, and then none can have had children of its own."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _empty(directory: str) -> None:
    """Remove all that is in a directory, however deep, with two descriptors and no recursion.

    Nothing runs that could change it meanwhile, so going up by `..` is safe.
    """
    here = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    above: list[str] = []
    try:
        while True:
            inner = next((name for name in os.listdir(here) if not _removed(name, here)), None)
            if inner is not None:
                os.chmod(inner, 0o700, dir_fd=here)
                there = os.open(inner, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
                above.append(inner)
            elif above:
                there = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
                os.rmdir(above.pop(), dir_fd=there)
            else:
                return
            os.close(here)
            here = there
    finally:
        os.close(here)


def _removed(name: str, directory: int) -> bool:
    """Remove a file or an empty directory; False where it is a directory with something in it."""
    try:
        os.unlink(name, dir_fd=directory)
    except IsADirectoryError:
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False
    return True
