"""Memory that is used again and again: of decoded rows, and of partial sums.

The system clears memory before it hands it out. That takes a fifth of the time in which a chunk of
32 MB is decoded into it, and where centers are large as long as a block of rows is worked on.
"""

from __future__ import annotations

import contextlib
import math
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

LEAST_BYTES = 2**16
"""Of an array: smaller ones have memory that this process has at hand."""


class BufferPool:
    """Arrays whose memory comes back when nobody has a view of them any more.

    A copy in another process is empty.
    """

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []

    def __reduce__(self) -> tuple:
        return type(self), ()

    def __dask_tokenize__(self) -> str:
        return type(self).__name__  # it is no part of what a source holds

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Like `np.empty`, in C order."""
        dtype = np.dtype(dtype)
        n_bytes = math.prod(shape) * dtype.itemsize
        if n_bytes < LEAST_BYTES:
            return np.empty(shape, dtype)
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(0, np.uint8)
        if len(memory) < n_bytes:
            memory = np.empty(n_bytes, np.uint8)
        # Views of this array hold it, not the memory below, for its base is no array.
        lent = np.frombuffer(memory.data[:n_bytes], dtype)
        weakref.finalize(lent, self._take_back, memory).atexit = False
        return lent.reshape(shape)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Like `np.zeros`."""
        array = self.empty(shape, dtype)
        array.fill(0)
        return array

    def _take_back(self, memory: np.ndarray) -> None:
        self._free.append(memory)


class ReadingBufferPool(BufferPool):
    """Shared by the blocks of a source; has nothing left when none of them is being read."""

    def __init__(self) -> None:
        super().__init__()
        self._readers = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """While some block is being read, memory is kept for the next."""
        with self._lock:
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    self._free.clear()

    def _take_back(self, memory: np.ndarray) -> None:
        if self._readers:
            super()._take_back(memory)
