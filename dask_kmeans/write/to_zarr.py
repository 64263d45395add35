"""Labels as a Zarr array."""

from __future__ import annotations

import math
from typing import Any

import dask
import dask.array as da
import numpy as np
import zarr

from dask_kmeans.blockwise import computing, threads_of_its_own
from dask_kmeans.write.place import (
    LABELS_ATTRIBUTES,
    ZARR_MARKER,
    filled,
    marker_last,
    staged,
    zarr_store,
)
from dask_kmeans.write.stream import in_order, lazy_blocks
from dask_kmeans.write.tally import Tally, labels_of, tally_of

CHUNK_ROWS = 1 << 20
"""Labels in a chunk at most: 4 MiB before compression."""

FEWEST_CHUNK_ROWS = 1 << 16
"""Labels in a chunk at least, or blocks are cut anew and rows moved between them."""


def write_zarr(labels: Any, url: str, overwrite: bool) -> Tally:
    """A Zarr array of int32."""
    if isinstance(labels, da.Array) and not math.isnan(sum(labels.shape)):
        return _write_lazy(labels, url, overwrite)
    return _write_in_order(labels, url, overwrite)


def _write_lazy(labels: da.Array, url: str, overwrite: bool) -> Tally:
    """Rows of known number: each task writes its own chunks."""
    # Whole chunks of the store in each block, so that no two tasks write to one chunk.
    chunk = _common_chunk(labels.chunks[0])
    if chunk is None:
        longest = int(max(1, *labels.chunks[0]))
        chunk = min(CHUNK_ROWS, longest)
        labels = labels.rechunk({0: longest // chunk * chunk}, method="tasks")
    starts = np.cumsum((0, *labels.chunks[0][:-1])).tolist()
    if labels.ndim > 1:  # whole rows in each block
        labels = labels.rechunk(dict.fromkeys(range(1, labels.ndim), -1))
    tally = Tally()
    with filled(url, overwrite=overwrite) as place:
        array: Any = _create(zarr_store(place), labels.shape, (chunk,))
        write = dask.delayed(_write_rows, pure=False)
        with marker_last(place, ZARR_MARKER), computing(), threads_of_its_own():
            for of_block in dask.compute(
                *(
                    write(block, array, start)
                    for block, start in zip(lazy_blocks(labels), starts, strict=True)
                )
            ):
                tally.merge(of_block)
    return tally


def _write_rows(block: np.ndarray, array: zarr.Array, start: int) -> Tally:
    """The task that writes the labels of one block, those from row `start` on."""
    array[start : start + len(block)] = labels_of(block).astype(np.int32)
    return tally_of(block)


def _common_chunk(blocks: tuple[int, ...]) -> int | None:
    """Rows of large chunks that every block is whole ones of, but the last; None: of small ones."""
    common = math.gcd(*blocks[:-1])
    if common == 0:
        return min(CHUNK_ROWS, max(1, *blocks))
    parts = range(-(-common // CHUNK_ROWS), common // FEWEST_CHUNK_ROWS + 1)
    return next((common // n for n in parts if common % n == 0), None)


def _write_in_order(labels: Any, url: str, overwrite: bool) -> Tally:
    """Rows in memory, or lazy rows whose number shows only when they are there."""
    with staged(url, overwrite=overwrite) as path:
        array, tally = _create(path, (0,), (CHUNK_ROWS,)), Tally()
        for block in in_order(labels):
            tally.add(block)
            array.append(np.asarray(labels_of(block), dtype=np.int32))
    return tally


def _create(store: Any, shape: tuple[int, ...], chunks: tuple[int, ...]) -> zarr.Array:
    return zarr.create_array(
        store, shape=shape, chunks=chunks, dtype="int32", fill_value=-1,
        attributes=LABELS_ATTRIBUTES,
    )  # fmt: skip
