"""HDF5 datasets, read by slices inside the tasks, which open the file for themselves.

The numbers are taken as they are stored: attributes that would pack them are not looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dask_kmeans import checks, planning
from dask_kmeans.blockwise import Block
from dask_kmeans.read.casts import kernel_dtype
from dask_kmeans.read.columns import AllBut, Columns
from dask_kmeans.read.pieces import Piece, cut
from dask_kmeans.read.points import numbered
from dask_kmeans.read.retry import Part, retried
from dask_kmeans.read.stored import Source
from dask_kmeans.read.url import HDF5, Place, full_name, is_local


def open_path(
    url: str,
    columns: Sequence[int] | AllBut | None = None,
    weight_column: int | None = None,
) -> Hdf5Source:
    """The dataset at `file.h5::name`, or the only one of a file."""
    found = HDF5.fullmatch(url)
    assert found is not None
    place = Place(found["file"])
    if not place.is_file():
        raise checks.missing_path_error(place.url)
    return Hdf5Source(Hdf5File(place.fs, place.path), found["dataset"], columns, weight_column)


def of_object(opened: Any) -> Hdf5Source:
    """A `h5py.Dataset`, or the only one of a `h5py.File`, whose file tasks can open to read."""
    if opened.file.mode != "r":
        raise checks.open_for_writing_error(opened.file.filename)
    place = Place(opened.file.filename)
    return Hdf5Source(Hdf5File(place.fs, place.path), opened.name)


@dataclass(frozen=True)
class Hdf5File:
    """Where a file lies."""

    fs: Any
    path: str

    @property
    def name(self) -> str:
        return full_name(self.fs, self.path)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        """The file, as a `h5py.File`."""
        import h5py

        with contextlib.ExitStack() as stack:
            file: Any = self.path
            if not is_local(self.fs):
                file = stack.enter_context(self.fs.open(self.path, "rb"))
            yield stack.enter_context(h5py.File(file, "r"))


class Hdf5Source(Source):
    """A dataset (n_rows, n_columns) of which some columns are features, one may be weights."""

    feature_names = None

    def __init__(
        self,
        file: Hdf5File,
        name: str | None,
        columns: Sequence[int] | AllBut | None = None,
        weight_column: int | None = None,
    ):
        try:
            import h5py  # noqa: F401
        except ImportError as error:
            raise checks.missing_h5py_error(file.name, error) from error
        self.is_local = is_local(file.fs)
        self._file = file
        looked = partial(_look, file, name)
        self._name, self._shape, self._dtype, self._chunks = retried(
            looked, file.name, Part("the names of its datasets")
        )
        self.description = checks.shown_url(f"{file.name}::{self._name}")
        checks.check_two_dimensional(self._shape, f"HDF5 dataset {self.description}")
        self.dtype = kernel_dtype(self._dtype, self.description)
        self.n_rows = self._shape[0]
        self.columns = Columns.of_positions(
            self._shape[1], columns, weight_column, self.description
        )
        self.positions = self.columns.features
        self.n_features = len(self.columns)
        self.weighted = self.columns.weight is not None

    def blocks(self, threads: int, max_block_rows: int | None = None) -> tuple[Block, ...]:
        row_bytes = self._shape[1] * self._dtype.itemsize
        rows = max(1, planning.PIECE_BYTES // max(1, row_bytes))
        plan = planning.plan_blocks(
            self._shape[0],
            # Without chunks, rows may be read from anywhere.
            rows if self._chunks is None else self._chunks[0],
            row_bytes,
            threads,
            max_block_rows=max_block_rows,
        )
        sources = [
            Hdf5Rows(self._file, self._name, start, stop, plan.read_rows, self.columns)
            for start, stop in plan.bounds
        ]
        return numbered(sources, plan.bounds)


def _look(file: Hdf5File, name: str | None) -> tuple[str, tuple, np.dtype, tuple | None]:
    """Name, shape, dtype and chunks of a dataset (None: of the only one)."""
    with file.opened() as opened:
        members: dict[str, Any] = {}

        def add(path: str, node: Any) -> None:
            if hasattr(node, "dtype"):
                members[path] = node

        opened.visititems(add)
        wanted = None if name is None else name.strip("/")
        within = {p: m for p, m in members.items() if not wanted or p.startswith(f"{wanted}/")}
        if wanted in members or len(within) == 1:
            path = wanted if wanted in members else next(iter(within))
            found = members[path]
            return path, found.shape, found.dtype, found.chunks
        shapes = {path: member.shape for path, member in members.items()}
        raise checks.dataset_error(file.name, wanted, shapes)


@dataclass(frozen=True)
class Hdf5Rows:
    """Rows start..stop of a dataset, read `read_rows` (whole chunks) at a time."""

    file: Hdf5File
    name: str
    start: int
    stop: int
    read_rows: int
    columns: Columns

    def pieces(self) -> Iterator[Piece]:
        for start in range(self.start, self.stop, self.read_rows):
            stop = min(start + self.read_rows, self.stop)
            values = retried(
                partial(self._read, start, stop),
                f"{self.file.name}::{self.name}",
                Part("a part", start, stop),
            )
            yield from cut(*self.columns.split(values))

    def _read(self, start: int, stop: int) -> np.ndarray:
        with self.file.opened() as opened:
            return opened[self.name][start:stop]
