"""Memory that kernels write to."""

from __future__ import annotations

import ctypes
from threading import Lock
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray


class Memory:
    """Numbers to write to, given to others when done with: memory is slow when it is touched for the first time."""

    _spare: ClassVar[list[NDArray[np.float32]]] = []  # from the smallest to the largest
    _lock: ClassVar[Lock] = Lock()

    def __init__(self, size: int) -> None:
        with self._lock:
            fitting = [k for k, spare in enumerate(self._spare) if len(spare) >= size]
            self.array = self._spare.pop(fitting[0]) if fitting else np.empty(size, np.float32)
        self.pointer = ctypes.c_void_p(self.array.ctypes.data)

    def __del__(self) -> None:
        with self._lock:
            self._spare.append(self.array)
            self._spare.sort(key=len)
            del self._spare[:-3]  # in training a tape, packed weights, and a room are in use at a time
