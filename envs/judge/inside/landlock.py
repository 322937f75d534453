"""Landlock: which files a process may read and write, enforced by the kernel without any privilege.

What Landlock does not ask about (the status of files, their mode, sockets other than TCP, signals before version 6) is
the seccomp filter's part. Constants and structures are those of linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from collections.abc import Iterable, Mapping

from . import linux, syscalls

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REGULAR = 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14

#: Read a file; list a directory; all that a program may do in its scratch directory.
READ, LIST = _READ_FILE, _READ_DIR
WRITE = _READ_FILE | _WRITE_FILE | _TRUNCATE
SCRATCH = WRITE | _READ_DIR | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REGULAR | _REFER

#: Rights that apply to files too; the others may not be given on one.
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

_RULE_PATH_BENEATH = 1
_LOG_SAME_EXEC_OFF = 1  # a hostile program could fill the audit log with what it is refused


@functools.cache
def version() -> int:
    """The version of the kernel's Landlock, from 1; OSError where it has none, or has it switched off."""
    return _create(None, 0, 1)


def ruleset(rights: Mapping[str, int]) -> int:
    """Only these rights at and below these paths, no TCP, no signals and abstract sockets to outside: a descriptor.

    Paths that do not exist are skipped. It may be made while paths are still within reach, and enforced later.
    """
    abi = version()
    handled = (1 << (13 if abi < 2 else 14 if abi < 3 else 15 if abi < 5 else 16)) - 1
    made = _create(_attributes(abi, handled, tcp=True))
    try:
        _add(made, ((path, right & handled) for path, right in rights.items()))
    except OSError:
        os.close(made)
        raise
    return made


def enforce(made: int) -> None:
    """Restrict this process, and all that it forks, for ever; closes the ruleset. Needs no_new_privs."""
    try:
        _restriction(made)()
    finally:
        os.close(made)


def isolation() -> tuple[linux.Call, int]:
    """What puts the process that calls it into a domain of its own inside the present one, each into another: no
    tracing of, and no signals to, whoever is not in it. Also the descriptor that this needs until then.
    """
    made = _create(_attributes(version(), _EXECUTE, tcp=False))
    return _restriction(made), made


def _restriction(made: int) -> linux.Call:
    flags = _LOG_SAME_EXEC_OFF if version() >= 7 else 0
    return linux.Call("syscall", _number("landlock_restrict_self"), made, flags)


def _attributes(abi: int, files: int, tcp: bool) -> bytes:
    """struct landlock_ruleset_attr, as long as this version knows it: rights on files, on TCP, scopes."""
    return struct.pack("<QQQ", files, 3 if tcp else 0, 3)[: 8 if abi < 4 else 16 if abi < 6 else 24]


def _create(attributes: bytes | None, *flags: int) -> int:
    size = [] if attributes is None else [len(attributes)]
    return linux.raw_call(_number("landlock_create_ruleset"), attributes, *size, *(flags or [0]))


def _add(ruleset: int, rights: Iterable[tuple[str, int]]) -> None:
    for path, right in rights:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):
            continue
        try:
            right &= -1 if os.path.isdir(path) else _ON_FILES
            rule = ctypes.create_string_buffer(struct.pack("<Qi", right, place))
            if right:
                linux.raw_call(_number("landlock_add_rule"), ruleset, _RULE_PATH_BENEATH, rule, 0)
        finally:
            os.close(place)


def _number(name: str) -> int:
    assert linux.MACHINE is not None
    number = syscalls.NUMBERS[name][linux.MACHINE]
    assert number is not None
    return number
