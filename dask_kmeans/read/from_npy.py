"""NumPy files (`.npy`), read by byte ranges: locally or far away, in C or Fortran order."""

from __future__ import annotations

import copy
import io
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.lib import format as npy

from dask_kmeans import checks, planning
from dask_kmeans.blockwise import Block
from dask_kmeans.read.carry import Batch, Carry
from dask_kmeans.read.casts import kernel_dtype
from dask_kmeans.read.columns import AllBut, Columns
from dask_kmeans.read.folder import AT_ONCE, Listing
from dask_kmeans.read.pieces import Piece, cut
from dask_kmeans.read.points import numbered
from dask_kmeans.read.retry import Part, retried
from dask_kmeans.read.stored import Source
from dask_kmeans.read.url import full_name, is_local

HEADER_BYTES = 2**16
"""More than the header of any array of numbers takes."""


class NpySource(Source):
    """`.npy` files of shape (n_rows, n_columns), one after the other: some columns are features.

    Parameters
    ----------
    fs : fsspec file system
    listing : Listing
        The files, in the order of their rows.
    url : str
        What the user called them.
    columns : sequence of int, optional
        Positions of the features. Default: all.
    weight_column : int, optional
    """

    def __init__(
        self,
        fs: Any,
        listing: Listing,
        url: str,
        columns: Sequence[int] | AllBut | None = None,
        weight_column: int | None = None,
    ):
        self.description = checks.shown_url(url)
        self.is_local = is_local(fs)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            self._files = tuple(pool.map(partial(_file, fs), listing.files))
        self._listing, self.n_files = listing, len(listing.files)
        first = self._files[0]
        for file in self._files:
            checks.check_two_dimensional(file.shape, checks.shown_url(file.name))
            if file.shape[1] != first.shape[1]:
                raise checks.shapes_differ_error(first.name, file.name, first.shape, file.shape)
        self.dtype = np.result_type(
            *(kernel_dtype(file.dtype, checks.shown_url(file.name)) for file in self._files)
        )
        self._ends = list(accumulate((file.shape[0] for file in self._files), initial=0))
        self.n_rows = self._ends[-1]
        self.columns = Columns.of_positions(
            first.shape[1], columns, weight_column, self.description
        )
        self.positions = self.columns.features
        self.n_features = len(self.columns)
        self.weighted = self.columns.weight is not None
        self.feature_names = None

    def carrying(self, columns: Sequence[str] | None) -> Source:
        if columns is not None:
            return super().carrying(columns)
        other = copy.copy(self)
        other.carry = Carry.of_places()
        in_files = other.carry.in_files(self._listing, {})
        other._files = tuple(
            replace(file, carry=carry) for file, carry in zip(self._files, in_files, strict=True)
        )
        return other

    def blocks(self, threads: int, max_block_rows: int | None = None) -> tuple[Block, ...]:
        row_bytes = self._files[0].shape[1] * self.dtype.itemsize
        chunk_rows = max(1, planning.PIECE_BYTES // max(1, row_bytes))
        plan = planning.plan_blocks(
            self._ends[-1], chunk_rows, row_bytes, threads, max_block_rows=max_block_rows
        )
        sources = []
        for start, stop in plan.bounds:
            first, last = bisect_right(self._ends, start) - 1, bisect_left(self._ends, stop)
            files = tuple(zip(self._files[first:last], self._ends[first:last], strict=True))
            sources.append(NpyRows(files, start, stop, plan.read_rows, self.columns))
        return numbered(sources, plan.bounds)


@dataclass(frozen=True)
class NpyFile:
    """Where the values of a `.npy` file lie."""

    fs: Any
    path: str
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    offset: int
    carry: Carry | None = None
    """What is carried beside its rows."""

    @property
    def name(self) -> str:
        return full_name(self.fs, self.path)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start..stop. Not mapped: a file cut short while it is mapped kills the process."""
        n_rows, n_columns = self.shape
        with self.fs.open(self.path, "rb") as file:
            if not self.fortran:
                values = np.empty((stop - start, n_columns), self.dtype)
                self._fill(file, start * n_columns, values)
                return values
            values = np.empty((n_columns, stop - start), self.dtype)
            for column in range(n_columns):
                self._fill(file, column * n_rows + start, values[column])
            return values.T

    def _fill(self, file: Any, first: int, out: np.ndarray) -> None:
        file.seek(self.offset + first * self.dtype.itemsize)
        got = file.readinto(out.reshape(-1).view(np.uint8).data)
        if got != out.nbytes:
            raise EOFError(f"the file ends {out.nbytes - got} bytes too early")


@dataclass(frozen=True)
class NpyRows:
    """Rows start..stop of `.npy` files that follow each other, `read_rows` at a time."""

    files: tuple[tuple[NpyFile, int], ...]
    """Those that hold some of the rows, each with the number of its first row."""
    start: int
    stop: int
    read_rows: int
    columns: Columns

    def pieces(self) -> Iterator[Piece]:
        for batch in self.batches():
            yield from cut(*batch.piece)

    def batches(self) -> Iterator[Batch]:
        for file, begin in self.files:
            last = min(self.stop, begin + file.shape[0])
            for start in range(max(self.start, begin), last, self.read_rows):
                stop = min(start + self.read_rows, last)
                values = retried(
                    partial(file.read, start - begin, stop - begin),
                    file.name,
                    Part("a part", start, stop),
                )
                carried = None
                if file.carry is not None:
                    carried = file.carry.table(start - begin, len(values), None)
                yield Batch(Piece(*self.columns.split(values)), carried)


def _file(fs: Any, path: str) -> NpyFile:
    """A `.npy` file, by its header."""

    def read() -> bytes:
        with fs.open(path, "rb") as file:
            return file.read(HEADER_BYTES)

    name = full_name(fs, path)
    file = io.BytesIO(retried(read, name, Part("the header")))
    try:
        version = npy.read_magic(file)
        parse = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = parse(file)
    except ValueError as error:
        raise checks.invalid_file_error(name, "NumPy (.npy)", error) from error
    return NpyFile(fs, path, shape, fortran, dtype, file.tell())
