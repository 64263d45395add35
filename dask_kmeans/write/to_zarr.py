"""Labels as a Zarr array."""

from __future__ import annotations

import math
from typing import Any

import dask.array as da
import numpy as np
import zarr

from dask_kmeans.blockwise import threads_of_its_own
from dask_kmeans.write.place import (
    LABELS_ATTRIBUTES,
    ZARR_MARKER,
    filled,
    marker_last,
    staged,
    zarr_store,
)
from dask_kmeans.write.stream import in_order

CHUNK_ROWS = 1 << 20
"""Labels in a chunk at most: 4 MiB before compression."""


def write_zarr(labels: Any, url: str, overwrite: bool) -> int:
    """A Zarr array of int32."""
    if isinstance(labels, da.Array) and not math.isnan(sum(labels.shape)):
        return _write_lazy(labels, url, overwrite)
    return _write_in_order(labels, url, overwrite)


def _write_lazy(labels: da.Array, url: str, overwrite: bool) -> int:
    """Rows of known number: each task writes its own chunks."""
    longest = int(max(1, *labels.chunks[0]))
    chunk = min(CHUNK_ROWS, longest)
    # Whole chunks of the store in each block, so that no two tasks write to one chunk.
    aligned = labels.rechunk({0: longest // chunk * chunk}, method="tasks").astype(np.int32)
    with filled(url, overwrite=overwrite) as place:
        array: Any = _create(zarr_store(place), labels.shape, (chunk,))
        with marker_last(place, ZARR_MARKER), threads_of_its_own():
            da.store(aligned, array, lock=False)
    return labels.size


def _write_in_order(labels: Any, url: str, overwrite: bool) -> int:
    """Rows in memory, or lazy rows whose number shows only when they are there."""
    with staged(url, overwrite=overwrite) as path:
        array = _create(path, (0,), (CHUNK_ROWS,))
        for block in in_order(labels):
            array.append(np.asarray(block, dtype=np.int32))
    return array.size


def _create(store: Any, shape: tuple[int, ...], chunks: tuple[int, ...]) -> zarr.Array:
    return zarr.create_array(
        store, shape=shape, chunks=chunks, dtype="int32", fill_value=-1,
        attributes=LABELS_ATTRIBUTES,
    )  # fmt: skip
