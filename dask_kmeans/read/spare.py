"""Memory for decoded rows, used again and again while a pass reads.

The system clears memory before it hands it out, which takes a fifth of the time in which a chunk
of 32 MB is decoded into it. So what one chunk has left serves the next.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np


class Spare:
    """Arrays whose memory comes back when nobody has a view of them any more.

    Shared by the blocks of a source; it has nothing left when none of them is being read. A copy
    in another process is empty.
    """

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []
        self._readers = 0
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple:
        return Spare, ()

    def __dask_tokenize__(self) -> str:
        return "Spare"  # it is no part of what a source holds

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

    def empty(self, shape: tuple[int, int], dtype: Any) -> np.ndarray:
        """Like `np.empty`, in C order."""
        dtype = np.dtype(dtype)
        n_bytes = shape[0] * shape[1] * dtype.itemsize
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

    def _take_back(self, memory: np.ndarray) -> None:
        if self._readers:
            self._free.append(memory)
