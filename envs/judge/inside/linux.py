"""System calls that Python has no function for, by ctypes: prctl, unshare, mount, pivot_root, capabilities."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Collection
from typing import Any

#: Column of this machine in the table of system calls, or None where there is none (macOS, 32 bits, RISC-V, …).
MACHINE = {"x86_64": 0, "AMD64": 0, "aarch64": 1, "arm64": 1}.get(os.uname().machine)

_libc = ctypes.CDLL(None, use_errno=True)
_Long, _Text = ctypes.c_long, ctypes.c_char_p

# prctl(2)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME, PR_GET_NAME = 1, 4, 15, 16
PR_SET_SECCOMP, PR_CAPBSET_READ, PR_CAPBSET_DROP = 22, 23, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47

# unshare(2), clone(2)
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

# mount(2)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
MNT_DETACH = 2

CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN = 6, 7, 21


class Call:
    """A call of a function of the C library that can be made any number of times: prepared before a fork, it costs a
    child less. None is a null pointer.

    Integers are passed as long, which fills a register: a narrower one would leave rubbish in its upper half.
    """

    __slots__ = ("_arguments", "_function", "_name")

    def __init__(self, name: str, *arguments: Any) -> None:
        self._name = name
        self._function = getattr(_libc, name)
        self._arguments = tuple(_Long(a) if isinstance(a, int) else a for a in arguments)

    def __call__(self) -> int:
        """Make the call: what the function returns, OSError where that is -1."""
        result = self._function(*self._arguments)
        if result == -1:
            number = ctypes.get_errno()
            raise OSError(number, f"{self._name}: {os.strerror(number)}")
        return result


def system_call(name: str, *arguments: Any) -> int:
    """Make a `Call` once."""
    return Call(name, *arguments)()


def raw_call(number: int, *arguments: Any) -> int:
    """The system call of this number, for those that the C library has no function for."""
    return system_call("syscall", number, *arguments)


def telling(option: int, *arguments: Any) -> Call:
    """To say or ask something about the process that calls, by prctl(2)."""
    return Call("prctl", option, *arguments, *[0] * (4 - len(arguments)))


def prctl(option: int, *arguments: Any) -> int:
    """Say or ask something about this process."""
    return telling(option, *arguments)()


def limiting(what: int, value: int) -> Call:
    """To set the soft and the hard limit of the process that calls."""
    return Call("setrlimit", what, struct.pack("QQ", value, value))


def reap() -> int:
    """Wait for all children that have ended; 0 where others are left, and -1 where none is. An exception, as Python has
    it, takes twice as long.
    """
    while (pid := _libc.waitpid(-1, None, os.WNOHANG)) > 0:
        pass
    return pid


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` names for new ones."""
    system_call("unshare", flags)


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """mount(2)."""
    words = [None if word is None else _Text(os.fsencode(word)) for word in (source, target, kind, options)]
    system_call("mount", words[0], words[1], words[2], flags, words[3])


def detach(target: str) -> None:
    """Unmount what is mounted there, as soon as nobody uses it."""
    system_call("umount2", _Text(os.fsencode(target)), MNT_DETACH)


def sethostname(name: bytes) -> None:
    """Name the machine (in one's own UTS namespace)."""
    system_call("sethostname", _Text(name), len(name))


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


_CAPABILITY_VERSION_3 = 0x20080522  # two sets of 32 bits each


def has_capability(number: int) -> bool:
    """Whether a capability is effective. To be uid 0 is not to have one: a container's root often lacks them."""
    sets = (_Sets * 2)()
    system_call("capget", ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), sets)
    return bool(sets[number // 32].effective >> number % 32 & 1)


def drop_bounding_set() -> None:
    """Take every capability out of what executing a file could give; needs CAP_SETPCAP, and does nothing without."""
    number = 0
    try:
        while True:
            if prctl(PR_CAPBSET_READ, number):
                prctl(PR_CAPBSET_DROP, number)
            number += 1
    except OSError:
        pass  # EPERM at the first, or EINVAL beyond the last that this kernel knows


def drop_capabilities() -> None:
    """Give up every capability."""
    prctl(PR_CAP_AMBIENT, 4)  # PR_CAP_AMBIENT_CLEAR_ALL
    system_call("capset", ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), (_Sets * 2)())


def tell(path: str, text: str) -> None:
    """Write to a file of /proc at once: a buffered file would raise in its destructor, where nobody hears it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def close_all_but(keep: Collection[int]) -> None:
    """Close every descriptor but these."""
    kept = sorted({*keep})
    last = min(max(os.sysconf("SC_OPEN_MAX"), 1 << 16), 1 << 20)
    for low, high in zip([-1, *kept], [*kept, last], strict=True):
        if low + 1 < high:  # closerange(0, 0) closes all there is, from Python 3.10 to 3.13 at least
            os.closerange(low + 1, high)
