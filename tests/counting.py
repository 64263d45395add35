"""Sources that count how often each of their chunks is read."""

from __future__ import annotations

import threading
import uuid
from collections import Counter

import dask
import dask.array as da
import zarr
from zarr.storage import MemoryStore, WrapperStore

CHUNK = 50


class CountingChunks:
    """A lazy dask array that counts how often each of its chunks is made."""

    def __init__(self, X, chunk=CHUNK):
        self.X, self.chunk, self.reads, self._lock = X, chunk, Counter(), threading.Lock()

    def _load(self, first):
        with self._lock:
            self.reads[first] += 1
        return self.X[first : first + self.chunk].copy()

    def array(self):
        blocks = [
            da.from_delayed(
                dask.delayed(self._load, pure=False)(first),
                shape=self.X[first : first + self.chunk].shape,
                dtype=self.X.dtype,
                meta=self.X[:0],
            )
            for first in range(0, len(self.X), self.chunk)
        ]
        return da.concatenate(blocks)

    def passes(self):
        """How often every chunk was read; the chunks must agree."""
        counts = {self.reads[first] for first in range(0, len(self.X), self.chunk)}
        assert len(counts) == 1, f"chunks were read unequally often: {self.reads}"
        return counts.pop()


FETCHED: dict[str, Counter] = {}
"""Name of a store -> its counter: here, since pickled copies of a store count together."""


class CountingStore(WrapperStore):
    """A Zarr store that counts how often each chunk is fetched."""

    def __init__(self, store, name):
        super().__init__(store)
        self.name = name

    def _with_store(self, store):
        return type(self)(store, self.name)

    async def get(self, key, prototype, byte_range=None):
        if key.startswith("c/"):
            FETCHED[self.name][key] += 1
        return await super().get(key, prototype, byte_range)


class CountingZarr:
    """A zarr.Array that counts how often each of its chunks is fetched."""

    def __init__(self, X, chunk=CHUNK):
        store, name = MemoryStore(), uuid.uuid4().hex
        zarr.create_array(store, data=X, chunks=(chunk, X.shape[1]))
        self.reads = FETCHED[name] = Counter()
        self._array = zarr.open_array(CountingStore(store, name), mode="r")
        self.n_chunks = -(-len(X) // chunk)

    def array(self):
        return self._array

    def passes(self):
        counts = (
            set(self.reads.values())
            if len(self.reads) == self.n_chunks
            else {0, *self.reads.values()}
        )
        assert len(counts) == 1, f"chunks were fetched unequally often: {self.reads}"
        return counts.pop()
