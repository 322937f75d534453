"""Seccomp: two filters of system calls, for the zygote and for each program, and the assembler that makes them.

The zygote's filter is a list of what is let through, and programs inherit it. A program's filter takes away what only
the zygote needs; it has no number that changes from one program to the next, so it is assembled once. A filter sees
registers, never memory: only arguments that are numbers can be looked at.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from . import linux, syscalls

# The instructions of classic BPF that are used (linux/bpf_common.h), and the answers (linux/seccomp.h).
_LOAD, _AND, _EQUAL, _GREATER, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x35, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

# struct seccomp_data: the number, the architecture, the instruction pointer, six arguments of 64 bits.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_AUDIT_ARCHITECTURES = (0xC000003E, 0xC00000B7)  # x86-64, aarch64: both little-endian

#: x86-64 has the calls of x32 a second time from here on.
_X32 = 0x40000000


class Check(NamedTuple):
    """A condition: 32 bits of the arguments, counted from the lower half of the first, masked, equal a value."""

    word: int
    mask: int
    value: int


#: What arguments a call may have: one of the alternatives must hold, each of them whole.
Rule = Sequence[Sequence[Check]]

_ALL = 0xFFFFFFFF


def _argument(index: int, value: int, mask: int = _ALL) -> Check:
    """About an argument that the kernel takes as 32 bits, whatever the rest of the register holds."""
    return Check(2 * index, mask, value)


def _one_of(index: int, *values: int) -> Rule:
    return [[_argument(index, value)] for value in values]


_CLONE_THREAD, _CLONE_NEW = 0x10000, 0x7E020080  # the second: every CLONE_NEW… and no CLONE_VFORK
_CLONE_OTHER = 0x2000 | 0x4000 | 0x8000  # CLONE_PTRACE, CLONE_VFORK, CLONE_PARENT
_O_ACCMODE, _O_WRONLY, _O_RDWR, _O_TRUNC, _O_ASYNC = 3, 1, 2, 0x200, 0x2000
_AT_EMPTY_PATH = 0x1000
_F_SETFL = 4
_MAP_HUGETLB = 0x40000  # huge pages are few, and the whole machine's
#: Of send and recv: peek, truncate, don't wait, wait for all, no signal. Out-of-band data least of all.
_MESSAGE_FLAGS = 0x2 | 0x20 | 0x40 | 0x100 | 0x4000
#: Of fcntl: copies and flags. Not the commands that have signals sent (F_SETOWN, F_SETSIG, F_SETLEASE, F_NOTIFY).
_FCNTL = (0, 1, 2, 3, 1030)
#: Of fcntl, to lock: F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW. Those that ask for locks are refused.
_LOCKING = (6, 7, 37, 38)
#: Of futex: for one process alone; with a clock of real time; the commands that wait.
_FUTEX_PRIVATE, _FUTEX_REALTIME, _FUTEX_WAIT, _FUTEX_WAIT_BITSET = 0x80, 0x100, 0, 9
#: The clocks of one process or thread that are one's own: the numbers of pid and tid 0.
_OWN_CPU_CLOCKS = (0xFFFFFFFA, 0xFFFFFFFE)
#: Of ioctl: TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX.
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)


def _opening(flags: int) -> Rule:
    """Open to read, or to write; `flags` is the argument that says.

    Reading with O_TRUNC, and the access mode 3, empty a file without being asked by Landlock before version 3.
    """
    return [
        [_argument(flags, 0, _O_ACCMODE | _O_TRUNC)],
        [_argument(flags, _O_WRONLY, _O_ACCMODE)],
        [_argument(flags, _O_RDWR, _O_ACCMODE)],
    ]


#: What both the zygote and programs may ask for only so.
_RULES: Mapping[str, Rule] = {
    "open": _opening(1),
    "openat": _opening(2),
    "clone": [[_argument(0, 0, _CLONE_NEW)]],
    "fcntl": [*_one_of(1, *_FCNTL), [_argument(1, _F_SETFL), _argument(2, 0, _O_ASYNC)]],
    "ioctl": _one_of(1, *_IOCTL),
    "mmap": [[_argument(3, 0, _MAP_HUGETLB)]],
    "prctl": _one_of(
        0, linux.PR_SET_NAME, linux.PR_GET_NAME, linux.PR_SET_PDEATHSIG, linux.PR_SET_SECCOMP, linux.PR_SET_NO_NEW_PRIVS
    ),
    "prlimit64": _one_of(0, 0),  # oneself
    "sched_getaffinity": _one_of(0, 0),
    "recvfrom": [[_argument(3, 0, _ALL ^ _MESSAGE_FLAGS)]],
    "sendto": [[_argument(3, 0, _ALL ^ _MESSAGE_FLAGS), Check(8, _ALL, 0), Check(9, _ALL, 0)]],  # no address
    "socketpair": [[_argument(0, 1), _argument(1, 1, 0xF)]],  # AF_UNIX, SOCK_STREAM
}

#: Of the machine, and of whoever asks. Any other tells what a process has spent, and that it is there.
_CLOCKS: Rule = [[_argument(0, 0, _ALL ^ 0xF)], *_one_of(0, *_OWN_CPU_CLOCKS)]

#: What programs may ask for only so.
_PROGRAM_RULES: Mapping[str, Rule] = {
    "clock_gettime": _CLOCKS,
    "clock_getres": _CLOCKS,
    "clock_nanosleep": _CLOCKS,
    "futex": [[_argument(1, _FUTEX_PRIVATE, _FUTEX_PRIVATE)]],
    "clone": [[_argument(0, _CLONE_THREAD, _CLONE_THREAD | _CLONE_OTHER | _CLONE_NEW)]],
    "prctl": _one_of(0, linux.PR_SET_NAME, linux.PR_GET_NAME),
}

#: What is answered in the place of the kernel: arguments, and the error number (0: as if it were done). Programs of the
#: same moment map and open the same files of the library, so a lock, or a wait for a word, of one would tell the other.
#: A program shares its own files with nobody, so no lock is missed; whoever waits for a thread looks at its word again.
_PROGRAM_ANSWERS: Mapping[str, tuple[Rule, int]] = {
    "fcntl": (_one_of(1, *_LOCKING), 0),
    "futex": (
        [[_argument(1, command, _ALL ^ _FUTEX_REALTIME)] for command in (_FUTEX_WAIT, _FUTEX_WAIT_BITSET)],
        errno.EAGAIN,
    ),
}

#: Where no layer says which files there are: the status of open files, and of no others.
_STATUS_RULES: Mapping[str, Rule] = {
    "newfstatat": [[_argument(3, _AT_EMPTY_PATH, _AT_EMPTY_PATH)]],
    "statx": [[_argument(2, _AT_EMPTY_PATH, _AT_EMPTY_PATH)]],
}


class Filter:
    """An assembled filter, which may be installed any number of times.

    Attributes:
        code: its instructions.
        install: puts the process that calls it, and all that this makes, under the filter for ever; needs no_new_privs.
    """

    def __init__(self, code: bytes) -> None:
        self.code = code
        self.install = linux.telling(linux.PR_SET_SECCOMP, 2, ctypes.byref(_Program(len(code) // 8, code)))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))  # which keeps the bytes it points to


def zygote_filter(machine: int, files: bool, links: bool = True) -> Filter:
    """What the zygote may call; `files`: whether files may be opened at all; `links`: and links be read."""
    names = syscalls.PROGRAM | syscalls.ZYGOTE | (syscalls.FILES if files else frozenset())
    names |= syscalls.LINKS if files and links else frozenset()
    rules = _RULES if files else {**_RULES, **_STATUS_RULES}
    code = [_statement(_LOAD, _ARCHITECTURE), _jump(_EQUAL, _AUDIT_ARCHITECTURES[machine], 1, 0)]
    code += [_statement(_RETURN, _KILL), _statement(_LOAD, _NUMBER)]
    if machine == 0:
        code += [_jump(_AT_LEAST, _X32, 0, 1), _statement(_RETURN, _KILL)]
    code += _ruled({name: rule for name, rule in rules.items() if name in names}, machine)
    code += _answer(names - rules.keys(), machine, _ALLOW)
    code += _answer(syscalls.MISSING, machine, _ERRNO | errno.ENOSYS)
    code += [_jump(_GREATER, syscalls.LAST, 0, 1), _statement(_RETURN, _ERRNO | errno.ENOSYS)]
    return Filter(b"".join([*code, _statement(_RETURN, _ERRNO | errno.EPERM)]))


def program_filter(machine: int) -> Filter:
    """What a program loses on top of the zygote's filter."""
    code = [_statement(_LOAD, _NUMBER)]
    for name, (rule, error) in _PROGRAM_ANSWERS.items():
        code += _ruled({name: rule}, machine, _ERRNO | error, otherwise=None)
    code += _ruled(_PROGRAM_RULES, machine)
    code += _answer(syscalls.ZYGOTE, machine, _ERRNO | errno.EPERM)
    return Filter(b"".join([*code, _statement(_RETURN, _ALLOW)]))


def _answer(names: Collection[str], machine: int, answer: int) -> list[bytes]:
    """The same answer to each of these calls."""
    code = []
    for name in sorted(names):
        number = syscalls.NUMBERS[name][machine]
        if number is not None:
            code += [_jump(_EQUAL, number, 0, 1), _statement(_RETURN, answer)]
    return code


def _ruled(
    rules: Mapping[str, Rule], machine: int, answer: int = _ALLOW, otherwise: int | None = _ERRNO | errno.EPERM
) -> list[bytes]:
    """Let calls through whose arguments follow their rule, and refuse the others; or give other answers.

    With `otherwise` None the instructions that follow decide about the others.
    """
    code = []
    for name, rule in rules.items():
        number = syscalls.NUMBERS[name][machine]
        if number is None:
            continue
        body = []
        for alternative in rule:
            checks = []
            for index, check in enumerate(alternative):
                left = 3 * (len(alternative) - 1 - index)  # instructions of the checks that follow
                checks += [_statement(_LOAD, _ARGUMENTS + 4 * check.word), _statement(_AND, check.mask)]
                checks += [_jump(_EQUAL, check.value, 0, left + 1)]
            body += [*checks, _statement(_RETURN, answer)]
        body += [_statement(_LOAD, _NUMBER) if otherwise is None else _statement(_RETURN, otherwise)]
        code += [_jump(_EQUAL, number, 0, len(body)), *body]
    return code


def _statement(operation: int, value: int) -> bytes:
    return struct.pack("<HBBI", operation, 0, 0, value)


def _jump(operation: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("<HBBI", operation, if_true, if_false, value)  # raises where a jump does not fit a byte
