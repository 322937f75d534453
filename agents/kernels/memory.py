"""Memory for kernels."""

from __future__ import annotations

import ctypes
from collections import deque
from threading import Lock
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

#: Bytes of a cache line, which vectors should not straddle.
_LINE = 64
#: Arrays that are kept for later: a workspace and packed weights are in use at a time.
_SPARE = 4


class Memory:
    """An uninitialised float32 array from a pool: memory is slow when it is touched for the first time.

    numpy allocates it, since numpy asks the system for large pages and torch doesn't: address translation is faster.

    Args:
        size: numbers; the array may be longer.

    Attributes:
        array: (at least size,) float32.
        pointer: to its first number.
    """

    #: Arrays that are free again. The garbage collector may run `__del__` at any allocation, even while this thread
    #: holds the lock, so `__del__` takes none: appending to a deque is atomic.
    _returned: ClassVar[deque[NDArray[np.float32]]] = deque(maxlen=_SPARE)
    _spare: ClassVar[list[NDArray[np.float32]]] = []  # from the smallest to the largest
    _lock: ClassVar[Lock] = Lock()

    def __init__(self, size: int) -> None:
        with self._lock:
            while self._returned:
                self._spare.append(self._returned.popleft())
            self._spare.sort(key=len)
            del self._spare[:-_SPARE]
            fitting = [k for k, spare in enumerate(self._spare) if len(spare) >= size]
            self.array = self._spare.pop(fitting[0]) if fitting else _aligned(size)
        self.pointer = ctypes.c_void_p(self.array.ctypes.data)

    def __del__(self) -> None:
        if hasattr(self, "array"):  # not if its allocation failed
            self._returned.append(self.array)


def _aligned(size: int) -> NDArray[np.float32]:
    array = np.empty(size + _LINE // 4, np.float32)
    first = -array.ctypes.data % _LINE // 4
    return array[first : first + size]
