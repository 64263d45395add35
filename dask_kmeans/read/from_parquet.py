"""Parquet: rows counted in the footers, columns decoded straight into (m, d) in Fortran order."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from dask_kmeans import checks, memory
from dask_kmeans.blockwise import Block
from dask_kmeans.read.columns import numeric_columns
from dask_kmeans.read.pieces import Piece
from dask_kmeans.read.points import numbered
from dask_kmeans.read.retry import Part, retried
from dask_kmeans.read.stored import Source
from dask_kmeans.read.url import full_name, is_local

FOOTERS_AT_ONCE = 16
"""Footers that are fetched side by side: they are small and far away, so latency is what counts."""


BATCH_BYTES = 8 * 2**20
"""Rows are decoded in batches of about this size; larger ones take more memory and no less time."""

BUFFER_BYTES = 2**16
"""Read at once of each column chunk of a local file."""


class Footer(NamedTuple):
    """What a Parquet file says of itself."""

    path: str
    types: dict[str, Any]
    """Arrow type of each column, without those that pandas or Dask wrote as an index."""
    index_types: dict[str, Any]
    group_rows: list[int]
    with_nulls: frozenset[str]
    """Integer and bool columns that have, or may have, nulls."""


class RowGroup(NamedTuple):
    """A row group, or some rows of it."""

    path: str
    group: int
    skip: int
    """Rows of the group before the first of these."""
    rows: int


class ParquetSource(Source):
    """Parquet files of one schema, as one table.

    Parameters
    ----------
    fs : fsspec file system
    files : sequence of str
        In the order of their rows.
    url : str
        What the user called them.
    columns : sequence of str, optional
        The features. Default: every numeric column; a warning names the others.
    weight_column : str, optional
    """

    def __init__(
        self,
        fs: Any,
        files: Sequence[str],
        url: str,
        columns: Sequence[str] | None = None,
        weight_column: str | None = None,
    ):
        self.description = url
        self.is_local = is_local(fs)
        self._fs = fs
        with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
            footers = list(pool.map(lambda path: _footer(fs, path), files))
        types = footers[0].types | (footers[0].index_types if columns or weight_column else {})
        wanted = (
            None if columns is None else [*columns, *([weight_column] if weight_column else [])]
        )
        _check_schemas(footers, wanted)

        nulls = frozenset().union(*(footer.with_nulls for footer in footers))
        dtypes = {name: _numpy_dtype(kind, name in nulls) for name, kind in types.items()}
        names = list(footers[0].types) if columns is None else list(columns)
        self.columns = numeric_columns(dtypes, types, names, columns, weight_column, url)
        self.feature_names = checks.check_feature_names(self.columns)
        self.weight_column = weight_column
        self.weighted = weight_column is not None
        self.n_features = len(self.columns)
        self.dtype = np.result_type(*(dtypes[name] for name in self.columns))
        self._parts = [
            RowGroup(footer.path, group, 0, rows)
            for footer in footers
            for group, rows in enumerate(footer.group_rows)
            if rows
        ]
        self.n_rows = sum(part.rows for part in self._parts)

    def blocks(self, threads: int, max_block_rows: int | None = None) -> tuple[Block, ...]:
        parts = [piece for part in self._parts for piece in _split(part, max_block_rows)]
        row_bytes = self.n_features * self.dtype.itemsize
        groups = memory.group_parts(
            [part.rows * row_bytes for part in parts],
            threads,
            max_group=None if max_block_rows is None else max_block_rows * row_bytes,
        )
        edges = np.cumsum([0, *(part.rows for part in parts)]).tolist()
        sources = [
            ParquetRows(
                self._fs, tuple(parts[a:b]), edges[a], self.columns, self.weight_column, self.dtype
            )
            for a, b in groups
        ]
        return numbered(sources, [(edges[a], edges[b]) for a, b in groups])


def _split(part: RowGroup, most: int | None) -> list[RowGroup]:
    """A row group that is larger than a block may be, as several parts of it."""
    if most is None or part.rows <= most:
        return [part]
    edges = memory.spread(part.rows, -(-part.rows // most))
    return [part._replace(skip=a, rows=b - a) for a, b in pairwise(edges)]


@dataclass(frozen=True)
class ParquetRows:
    """Consecutive row groups (of one or several files), read batch by batch."""

    fs: Any
    parts: tuple[RowGroup, ...]
    start: int
    columns: tuple[str, ...]
    weight_column: str | None
    dtype: np.dtype

    def pieces(self) -> Iterator[Piece]:
        start = self.start
        with contextlib.closing(_OpenFile(self.fs)) as file:
            for part in self.parts:
                with contextlib.closing(_Batches(self, file, part, start)) as batches:
                    while (batch := batches.read()) is not None:
                        yield _features(batch, self.columns, self.dtype), self._weights(batch)
                start += part.rows

    def _weights(self, batch: Any) -> np.ndarray | None:
        if self.weight_column is None:
            return None
        return _features(batch, (self.weight_column,), np.dtype(np.float64))[:, 0]

    @property
    def batch_rows(self) -> int:
        return memory.piece_rows(self.dtype.itemsize * len(self.columns), BATCH_BYTES)

    @property
    def names(self) -> list[str]:
        """The columns that are read."""
        weight = () if self.weight_column in (None, *self.columns) else (self.weight_column,)
        return [*self.columns, *weight]


class _Batches:
    """The batches of one part of a row group; after a failure they go on where they were."""

    def __init__(self, rows: ParquetRows, file: _OpenFile, part: RowGroup, start: int):
        self._rows, self._file, self._part, self._start = rows, file, part, start
        self._done = 0
        self._batches: Generator[Any] | None = None

    def read(self) -> Any:
        """The next batch, or None after the last."""
        part = self._part
        if self._done == part.rows:
            return None
        batch = retried(self._next, full_name(self._rows.fs, part.path), self._named)
        self._done += batch.num_rows
        return batch

    def _named(self) -> Part:
        rows = self._part.rows
        return Part(f"row group {self._part.group}", self._start, self._start + rows)

    def close(self) -> None:
        """Let go of Arrow's reader, which holds pages of every column."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None

    def _next(self) -> Any:
        try:
            if self._batches is None:
                self._batches = self._open()
            return next(self._batches)
        except BaseException:
            self._batches = None
            self._file.close()  # the next try opens it anew
            raise

    def _open(self) -> Generator[Any]:
        """Batches from row `skip` + `done` of the row group on, to the end of the part."""
        first, stop = self._part.skip + self._done, self._part.skip + self._part.rows
        position = 0
        for batch in self._file.at(self._part.path).iter_batches(
            batch_size=self._rows.batch_rows,
            row_groups=[self._part.group],
            columns=self._rows.names,
            use_threads=False,
        ):
            begin, end = max(first - position, 0), min(stop - position, batch.num_rows)
            if begin < end:
                yield batch.slice(begin, end - begin)
            position += batch.num_rows
            if position >= stop:
                return
        raise OSError(f"{stop - position} rows fewer than its footer said")


class _OpenFile:
    """The Parquet file that is being read, open from one of its row groups to the next."""

    def __init__(self, fs: Any):
        self._fs = fs
        self._path: str | None = None
        self._file: Any = None

    def at(self, path: str) -> Any:
        """The file at `path`, as a ParquetFile."""
        if path != self._path:
            self.close()
            self._file, self._path = _open(self._fs, path), path
        return self._file

    def close(self) -> None:
        if self._file is not None:
            # Also what was opened for it.
            self._file.close(force=True)
        self._file = self._path = None


def _open(fs: Any, path: str) -> Any:
    """A ParquetFile. Not memory-mapped: a file cut short while it is mapped kills the process."""
    import pyarrow.parquet as pq

    if is_local(fs):
        # Column chunks are read little by little: a task holds a few pages, not the row group.
        return pq.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False)
    # Column chunks are fetched in few large requests; a cache of the file would read them twice.
    return pq.ParquetFile(fs.open(path, "rb", cache_type="none"), pre_buffer=True)


def _footer(fs: Any, path: str) -> Footer:
    import pyarrow as pa

    name = full_name(fs, path)

    def read() -> Any:
        try:
            with _open(fs, path) as file:
                return file.metadata, file.schema_arrow
        except pa.ArrowInvalid as error:
            raise checks.invalid_file_error(name, "Parquet", error) from error

    metadata, schema = retried(read, name, Part("the footer"))
    written = (schema.pandas_metadata or {}).get("index_columns", [])
    index = {name for name in written if isinstance(name, str)}
    types = dict(zip(schema.names, schema.types, strict=True))
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return Footer(
        path=path,
        types={name: kind for name, kind in types.items() if name not in index},
        index_types={name: kind for name, kind in types.items() if name in index},
        group_rows=[group.num_rows for group in groups],
        with_nulls=frozenset(_with_nulls(metadata, groups, types)),
    )


def _with_nulls(metadata: Any, groups: list[Any], types: dict[str, Any]) -> Iterator[str]:
    import pyarrow as pa

    for number in range(metadata.num_columns):
        name = metadata.schema.column(number).path
        kind = types.get(name)
        if kind is None or not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            continue
        statistics = (group.column(number).statistics for group in groups)
        if any(s is None or not s.has_null_count or s.null_count for s in statistics):
            yield name


def _numpy_dtype(kind: Any, nulls: bool) -> np.dtype | None:
    """The dtype for values of an Arrow type; None where they are no numbers."""
    import pyarrow as pa

    if pa.types.is_decimal(kind):
        return np.dtype(np.float64)
    if pa.types.is_boolean(kind):
        return np.dtype(np.float32 if nulls else np.uint8)
    if pa.types.is_integer(kind):
        dtype = np.dtype(kind.to_pandas_dtype())
        # Nulls come as NaN, in a float that holds every value of the integer (but of 64 bits).
        return np.promote_types(dtype, np.float32) if nulls else dtype
    if pa.types.is_floating(kind):
        return np.dtype(kind.to_pandas_dtype())
    return None


def _features(batch: Any, columns: Sequence[str], dtype: np.dtype) -> np.ndarray:
    """Columns of a record batch as (m, d) in Fortran order, nulls as NaN."""
    import pyarrow as pa

    out = np.empty((len(columns), batch.num_rows), dtype)
    positions = {name: number for number, name in enumerate(batch.schema.names)}
    for row, name in zip(out, columns, strict=True):
        column = batch.column(positions[name])
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        elif pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        row[:] = column.to_numpy(zero_copy_only=False)
    return out.T


def _check_schemas(footers: list[Footer], columns: Sequence[str] | None) -> None:
    """Raise ValueError unless all files agree in `columns` (None: in all of them)."""
    first = footers[0]

    def seen(footer: Footer) -> dict[str, Any]:
        if columns is None:
            return footer.types
        types = footer.types | footer.index_types
        return {name: types[name] for name in columns if name in types}

    there = seen(first)
    for footer in footers[1:]:
        here = seen(footer)
        if here != there:
            differences = {
                name: (there.get(name), here.get(name))
                for name in {**there, **here}
                if there.get(name) != here.get(name)
            }
            raise checks.schemas_differ_error(first.path, footer.path, differences)
