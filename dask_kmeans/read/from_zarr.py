"""Zarr arrays, read by slices inside the tasks: no graph per storage chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dask_kmeans import checks, memory
from dask_kmeans.blockwise import Block
from dask_kmeans.read.columns import Columns
from dask_kmeans.read.pieces import Piece, cut, kernel_dtype
from dask_kmeans.read.points import numbered
from dask_kmeans.read.retry import retried


def open_path(url: str, columns: Sequence[int] | None = None, weight_column: int | None = None):
    """The Zarr array at a path or fsspec URL, as a `ZarrSource`."""
    import zarr

    node = retried(lambda: zarr.open(url, mode="r"), url, "the Zarr metadata")
    if isinstance(node, zarr.Group):
        members = {
            name: member.shape
            for name, member in sorted(node.members(max_depth=None))
            if isinstance(member, zarr.Array)
        }
        raise checks.zarr_group_error(url, members)
    return ZarrSource(node, columns, weight_column)


class ZarrSource:
    """A Zarr array (n_rows, n_columns) of which some columns are features, one may be weights."""

    def __init__(
        self, array: Any, columns: Sequence[int] | None = None, weight_column: int | None = None
    ):
        self.description = f"Zarr array {array.store_path}"
        checks.check_two_dimensional(array.shape, self.description)
        self.array = array
        self.n_rows = array.shape[0]
        self.dtype = kernel_dtype(array.dtype)
        self.columns = Columns.of_positions(
            array.shape[1], columns, weight_column, self.description
        )
        self.n_features = len(self.columns)
        self.weighted = self.columns.weight is not None
        self.feature_names = None

    def blocks(self, threads: int, max_block_rows: int | None = None) -> tuple[Block, ...]:
        plan = memory.plan_blocks(
            self.n_rows,
            self.array.chunks[0],
            self.array.shape[1] * self.array.dtype.itemsize,
            threads,
            max_block_rows=max_block_rows,
        )
        sources = [
            ZarrRows(self.array, start, stop, plan.read_rows, self.columns)
            for start, stop in plan.bounds
        ]
        return numbered(sources, plan.bounds)


@dataclass(frozen=True)
class ZarrRows:
    """Rows start..stop of a Zarr array, read `read_rows` (whole chunks) at a time."""

    array: Any
    start: int
    stop: int
    read_rows: int
    columns: Columns

    def pieces(self) -> Iterator[Piece]:
        for start in range(self.start, self.stop, self.read_rows):
            stop = min(start + self.read_rows, self.stop)
            values = retried(
                lambda a=start, b=stop: np.asarray(self.array[a:b]),
                str(self.array.store_path),
                lambda a=start, b=stop: self._broken_chunk(a, b),
                start,
                stop,
            )
            yield from cut(*self.columns.split(values))

    def _broken_chunk(self, start: int, stop: int) -> str:
        """Name of the first chunk of these rows that cannot be read."""
        chunk_rows, chunk_columns = self.array.chunks
        for row in range(start // chunk_rows, -(-stop // chunk_rows)):
            for column in range(-(-self.array.shape[1] // chunk_columns)):
                rows = slice(row * chunk_rows, (row + 1) * chunk_rows)
                columns = slice(column * chunk_columns, (column + 1) * chunk_columns)
                try:
                    self.array[rows, columns]
                except Exception:
                    return f"chunk ({row}, {column})"
        return f"chunks from ({start // chunk_rows}, 0)"
