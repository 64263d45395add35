"""Caches: what earlier passes of a fit have left in this process, block by block."""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import ClassVar, Protocol

from dask_kmeans.buffer_pool import BufferPool


class Piece(Protocol):
    """Some rows of a block, as its source hands them out (`read.Piece`)."""

    @property
    def nbytes(self) -> int: ...


class Caches:
    """The caches of one fit in one process; they go when the fit lets go of this object.

    token : names the fit to other processes; "" for one that stays in its own.
    """

    _alive: ClassVar[weakref.WeakValueDictionary[str, Caches]] = weakref.WeakValueDictionary()
    _lock = threading.Lock()

    def __init__(self, token: str = ""):
        self.token = token
        self.blocks: dict[int, dict] = {}
        self._kept: dict[int, list[Piece]] = {}
        self._bytes_kept = 0
        self._remembered: dict[tuple[int, Hashable], int] = {}
        self._bytes_remembered = 0
        self._granted: defaultdict[int, int] = defaultdict(int)
        self._bytes_granted = 0
        self.buffers = BufferPool()

    @classmethod
    def here(cls, token: str) -> Caches:
        """The caches of the fit `token` in this process (new ones where there are none)."""
        with cls._lock:
            caches = cls._alive.get(token)
            if caches is None:
                cls._alive[token] = caches = cls(token)
            return caches

    def __reduce__(self):
        # Dask may copy or spill it: what arrives is the (maybe empty) cache of the process there.
        return Caches.here, (self.token,)

    def block(self, index: int) -> dict:
        return self.blocks.setdefault(index, {})

    def has_room(self, index: int, key: Hashable, n_bytes: int, budget: int) -> bool:
        """Whether so much may be remembered of a block, in place of what it was; if so, it is."""
        with self._lock:
            self._bytes_remembered -= self._remembered.pop((index, key), 0)
            fits = self._bytes_remembered + n_bytes <= budget
            if fits:
                self._remembered[index, key] = n_bytes
                self._bytes_remembered += n_bytes
            return fits

    def grant(self, index: int, wanted: int, budget: int) -> int:
        """Bytes of chosen rows that a block may have; whole blocks are no longer kept."""
        with self._lock:
            self._kept.clear()
            self._bytes_kept = 0
            self._bytes_granted -= self._granted[index]
            self._granted[index] = max(0, min(wanted, budget - self._bytes_granted))
            self._bytes_granted += self._granted[index]
            return self._granted[index]

    def kept(self, index: int) -> Iterator[Piece] | None:
        """The rows of a block, where they are kept."""
        pieces = self._kept.get(index)
        return None if pieces is None else iter(pieces)

    def keep(self, index: int, pieces: Iterator[Piece], budget: int) -> Iterator[Piece]:
        """Hand the rows of a block through, and keep them if they fit whole into what is left."""
        kept, size = [], 0
        for piece in pieces:
            with self._lock:
                size += piece.nbytes
                fits = self._bytes_kept + size <= budget
            if not fits:
                yield piece
                yield from pieces
                return
            kept.append(piece)
            yield piece
        with self._lock:
            if index not in self._kept and self._bytes_kept + size <= budget:
                self._kept[index] = kept
                self._bytes_kept += size
