"""Memory that kernels write to."""

from __future__ import annotations

import ctypes
from threading import Lock
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

#: Bytes of a line of the processor's cache, which vectors should not lie across.
_LINE = 64


class Memory:
    """Numbers to write to, given to others when done with: memory is slow when it is touched for the first time.

    It is numpy's, which asks the system for large pages, as torch doesn't: the processor finds its way in them faster.
    """

    _spare: ClassVar[list[NDArray[np.float32]]] = []  # from the smallest to the largest
    _lock: ClassVar[Lock] = Lock()

    def __init__(self, size: int) -> None:
        with self._lock:
            fitting = [k for k, spare in enumerate(self._spare) if len(spare) >= size]
            self.array = self._spare.pop(fitting[0]) if fitting else _aligned(size)
        self.pointer = ctypes.c_void_p(self.array.ctypes.data)

    def __del__(self) -> None:
        with self._lock:
            self._spare.append(self.array)
            self._spare.sort(key=len)
            del self._spare[:-4]  # a workspace and packed weights are in use at a time


def _aligned(size: int) -> NDArray[np.float32]:
    array = np.empty(size + _LINE // 4, np.float32)
    first = -array.ctypes.data % _LINE // 4
    return array[first : first + size]
