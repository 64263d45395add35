"""NumPy files (`.npy`), read by byte ranges: locally or far away, in C or Fortran order."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.lib import format as npy

from dask_kmeans import checks, planning
from dask_kmeans.blockwise import Block
from dask_kmeans.read.casts import kernel_dtype
from dask_kmeans.read.columns import AllBut, Columns
from dask_kmeans.read.pieces import Piece, cut
from dask_kmeans.read.points import numbered
from dask_kmeans.read.retry import Part, retried
from dask_kmeans.read.stored import Source
from dask_kmeans.read.url import full_name, is_local

HEADER_BYTES = 2**16
"""More than the header of any array of numbers takes."""


class NpySource(Source):
    """A `.npy` file of shape (n_rows, n_columns), of which some columns are features."""

    def __init__(
        self,
        fs: Any,
        path: str,
        columns: Sequence[int] | AllBut | None = None,
        weight_column: int | None = None,
    ):
        self.description = checks.shown_url(full_name(fs, path))
        self.is_local = is_local(fs)
        shape, fortran, dtype, offset = _header(fs, path)
        checks.check_two_dimensional(shape, self.description)
        self.dtype = kernel_dtype(dtype, self.description)
        self.n_rows = shape[0]
        self.columns = Columns.of_positions(shape[1], columns, weight_column, self.description)
        self.positions = self.columns.features
        self.n_features = len(self.columns)
        self.weighted = self.columns.weight is not None
        self.feature_names = None
        self._file = NpyFile(fs, path, shape, fortran, dtype, offset)

    def blocks(self, threads: int, max_block_rows: int | None = None) -> tuple[Block, ...]:
        row_bytes = self._file.shape[1] * self._file.dtype.itemsize
        chunk_rows = max(1, planning.PIECE_BYTES // max(1, row_bytes))
        plan = planning.plan_blocks(
            self._file.shape[0], chunk_rows, row_bytes, threads, max_block_rows=max_block_rows
        )
        sources = [
            NpyRows(self._file, start, stop, plan.read_rows, self.columns)
            for start, stop in plan.bounds
        ]
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
    """Rows start..stop of a `.npy` file, `read_rows` at a time."""

    file: NpyFile
    start: int
    stop: int
    read_rows: int
    columns: Columns

    def pieces(self) -> Iterator[Piece]:
        for start in range(self.start, self.stop, self.read_rows):
            stop = min(start + self.read_rows, self.stop)
            values = retried(
                partial(self.file.read, start, stop), self.file.name, Part("a part", start, stop)
            )
            yield from cut(*self.columns.split(values))


def _header(fs: Any, path: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order, dtype and the offset of the values."""

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
    return shape, fortran, dtype, file.tell()
