"""Zarr arrays, read by slices inside the tasks: no graph per storage chunk.

A group is opened as a Dataset where xarray wrote it, and is refused otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dask_kmeans import checks, planning
from dask_kmeans.blockwise import Block
from dask_kmeans.buffer_pool import ReadingBufferPool
from dask_kmeans.read.casts import kernel_dtype
from dask_kmeans.read.chunk_files import ChunkFiles
from dask_kmeans.read.chunks import read_rows
from dask_kmeans.read.columns import AllBut, Columns
from dask_kmeans.read.packing import Packing
from dask_kmeans.read.pieces import Piece, cut
from dask_kmeans.read.points import numbered
from dask_kmeans.read.retry import Part, retried
from dask_kmeans.read.stored import Source
from dask_kmeans.read.url import Place, is_local_store


def open_path(
    place: Place,
    columns: Sequence[int] | AllBut | None = None,
    weight_column: Any = None,
    variables: Sequence[Any] | AllBut | None = None,
) -> Source:
    """The Zarr array or the Dataset at a path or fsspec URL.

    columns, variables : the features of an array, and of a Dataset
    """
    import zarr

    where: Any = place.path if place.is_local else place.url
    if place.path.endswith(".zip"):
        from zarr.storage import ZipStore

        where = ZipStore(place.path, mode="r")
    node = retried(lambda: zarr.open(where, mode="r"), place.url, Part("the Zarr metadata"))
    if isinstance(node, zarr.Group):
        return open_group(node, variables, weight_column, place.url)
    return ZarrSource(node, columns, weight_column, place.url)


def open_group(
    group: Any,
    variables: Sequence[Any] | AllBut | None = None,
    weight_column: Any = None,
    name: str | None = None,
) -> Source:
    """The Dataset in a group; `name` is None where the user gave the group itself.

    Raises
    ------
    ValueError
        For a group that is no Dataset; the text says what is in it.
    """
    import zarr

    if is_dataset(group):
        from dask_kmeans.read.from_dataset import DatasetSource

        return DatasetSource(group, variables, weight_column, name)
    members = {
        path: member.shape if isinstance(member, zarr.Array) else None
        for path, member in sorted(group.members(max_depth=None))
        if is_dataset(member) or (isinstance(member, zarr.Array) and not _is_coordinate(member))
    }
    raise checks.zarr_group_error(name or str(group.store_path), members, opened=name is None)


def is_dataset(node: Any) -> bool:
    """Whether a Zarr node is a group as xarray writes it: its arrays name their dimensions."""
    import zarr

    if not isinstance(node, zarr.Group):
        return False
    arrays = [array for _, array in node.arrays()]
    named = all(_dimensions(array) is not None for array in arrays if array.ndim)
    return named and any(not _is_coordinate(array) for array in arrays if array.ndim)


def _dimensions(array: Any) -> tuple[Any, ...] | None:
    """Names of the dimensions of an array, in either format of Zarr; None where it has none."""
    names = getattr(array.metadata, "dimension_names", None)
    names = array.attrs.get("_ARRAY_DIMENSIONS") if names is None else names
    return None if names is None or None in names else tuple(names)


def _is_coordinate(array: Any) -> bool:
    """Whether an array is the coordinate of its one dimension."""
    return _dimensions(array) == (array.basename,)


class ZarrSource(Source):
    """A Zarr array (n_rows, n_columns) of which some columns are features, one may be weights.

    Values that are packed by the CF conventions (`scale_factor`, `add_offset`, `_FillValue`,
    `missing_value`) are decoded as `xr.open_zarr` does; what is missing is NaN. Times stay numbers,
    whatever `units` says.
    """

    feature_names = None

    def __init__(
        self,
        array: Any,
        columns: Sequence[int] | AllBut | None = None,
        weight_column: int | None = None,
        name: str | None = None,
    ):
        self.description = checks.shown_url(name or str(array.store_path))
        self.is_local = is_local_store(array.store)
        checks.check_two_dimensional(array.shape, f"Zarr array {self.description}")
        self.array = array
        self.n_rows = array.shape[0]
        self.packing = Packing.of(array, self.description)
        self.dtype = kernel_dtype(
            self.packing.dtype(array.dtype) if self.packing else array.dtype, self.description
        )
        self.columns = Columns.of_positions(
            array.shape[1], columns, weight_column, self.description
        )
        self.positions = self.columns.features
        self.n_features = len(self.columns)
        self.weighted = self.columns.weight is not None
        self._buffers = ReadingBufferPool()

    def blocks(self, threads: int, max_block_rows: int | None = None) -> tuple[Block, ...]:
        plan = planning.plan_blocks(
            self.array.shape[0],
            self.array.chunks[0],
            self.array.shape[1] * self.array.dtype.itemsize,
            threads,
            max_block_rows=max_block_rows,
        )
        sources = [
            ZarrRows(
                self.array,
                self.description,
                start,
                stop,
                plan.read_rows,
                self.columns,
                self._buffers,
                self.packing,
            )
            for start, stop in plan.bounds
        ]
        return numbered(sources, plan.bounds)


@dataclass(frozen=True)
class ZarrRows:
    """Rows start..stop of a Zarr array, read `read_rows` (whole chunks) at a time."""

    array: Any
    name: str
    start: int
    stop: int
    read_rows: int
    columns: Columns
    buffers: ReadingBufferPool
    packing: Packing | None = None

    def pieces(self) -> Iterator[Piece]:
        files = ChunkFiles.of(self.array)
        if files is None:
            yield from self._from_zarr(self.start, self.stop)
            return
        with self.buffers.reading():
            for start, stop in files.cuts(self.start, self.stop):
                values = self.buffers.empty((stop - start, self.array.shape[1]), self.array.dtype)
                for first, after in files.read(start, values):
                    files.require_whole(first, self.name)
                    values[first - start : after - start] = self._read(first, after)
                yield from self._decoded(values)

    def _from_zarr(self, first: int, after: int) -> Iterator[Piece]:
        """Rows first..after as zarr reads them, with all that it knows of stores and codecs."""
        for start in range(first, after, self.read_rows):
            values = self._read(start, min(start + self.read_rows, after))
            yield from self._decoded(values)

    def _decoded(self, stored: np.ndarray) -> Iterator[Piece]:
        """Stored rows as pieces; packed ones grow as they are decoded, and so are cut before."""
        if self.packing is None:
            yield from cut(*self.columns.split(stored))
            return
        row_bytes = stored.shape[1] * 8  # at most: float64
        for start, stop in planning.pieces(len(stored), row_bytes):
            values = self.packing.decode(stored[start:stop])
            yield from cut(*self.columns.split(values))

    def _read(self, start: int, stop: int) -> np.ndarray:
        return read_rows(self.array, self.name, start, stop)
