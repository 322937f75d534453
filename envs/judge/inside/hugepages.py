"""The interpreter's own code on huge pages of this process, which its children inherit by an entry of a table each.

Code that is mapped from a file is missing from a child's page table: it pays a fault for every 64 KiB that it runs,
and to take all that down again at its end. Children that live for three milliseconds spend a fifteenth of that on it.
"""

from __future__ import annotations

import ctypes
import sys

from . import linux

_HUGE = 1 << 21
_READ, _WRITE, _EXECUTE = 1, 2, 4
_MAP_PRIVATE, _MAP_ANONYMOUS = 0x2, 0x20
_MREMAP_MAYMOVE, _MREMAP_FIXED = 1, 2
_MADV_HUGEPAGE = 14
_X86_64 = 0  # column of the table of system calls


def move_interpreter() -> int:
    """Put copies on huge pages in the place of the interpreter's code and constants, as far as they fill such pages.

    Returns how many bytes were moved: 0, with nothing changed, where there are no huge pages to have, memory must not
    be executed that was written (SELinux), or the machine is no Linux on x86-64, on which alone it was tried.
    """
    if sys.platform != "linux" or linux.MACHINE != _X86_64:
        return 0
    try:
        start, end = _interpreter()
        start, end = -(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE
        return _move(start, end - start) if start < end else 0
    except OSError:
        return 0


def _move(start: int, size: int) -> int:
    room = linux.map_memory(size + _HUGE, _READ | _WRITE, _MAP_PRIVATE | _MAP_ANONYMOUS)
    copy = -(-room // _HUGE) * _HUGE
    try:
        linux.system_call("madvise", copy, size, _MADV_HUGEPAGE)
        ctypes.memmove(copy, start, size)
        if _on_huge_pages(copy) < size:
            return 0
        linux.system_call("mprotect", copy, size, _READ | _EXECUTE)
        linux.move_memory(copy, size, _MREMAP_MAYMOVE | _MREMAP_FIXED, start)
    finally:
        linux.system_call("munmap", room, size + _HUGE)  # what is left of it
    return size


def _interpreter() -> tuple[int, int]:
    """From where to where the file that holds the interpreter's functions is mapped without being written to."""
    function = ctypes.cast(ctypes.pythonapi.Py_IncRef, ctypes.c_void_p).value or 0
    start = end = 0
    file: list[str] = []
    with open("/proc/self/maps") as rows:
        for row in rows:
            place, rights, _, *of = row.split()[:5]
            low, high = (int(word, 16) for word in place.split("-"))
            if "w" in rights or (low, of) != (end, file):
                if start <= function < end:
                    break
                start, file = low, of
            end = high if "w" not in rights else low
    return start, end


def _on_huge_pages(address: int) -> int:
    """Bytes on huge pages of the mapping that holds an address."""
    inside = False
    with open("/proc/self/smaps") as rows:
        for row in rows:
            words = row.split()
            if "-" in words[0]:
                low, high = (int(word, 16) for word in words[0].split("-"))
                inside = low <= address < high
            elif inside and words[0] == "AnonHugePages:":
                return 1024 * int(words[1])
    return 0
