"""Parquet: rows counted in the footers, columns decoded straight into (m, d) in Fortran order."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import dask
import numpy as np

from dask_kmeans import checks, planning
from dask_kmeans.blockwise import Block
from dask_kmeans.buffer_pool import ReadingBufferPool
from dask_kmeans.read import one_hot as one_hots
from dask_kmeans.read.arrow_columns import (
    fixed_width,
    is_vector,
    numbers,
    numpy_dtype,
    vectors,
)
from dask_kmeans.read.carry import (
    CARRIED_ROWS,
    Batch,
    Carry,
    folder_types,
)
from dask_kmeans.read.casts import side_by_side, smallest_dtype
from dask_kmeans.read.columns import AllBut, Features, numeric_columns
from dask_kmeans.read.folder import (
    Listing,
    constants_of,
    folder_categories,
    partition_columns,
)
from dask_kmeans.read.one_hot import Find, OneHot, OneHotColumn, encoded, is_categorical
from dask_kmeans.read.parquet_files import (
    Footer,
    categories,
    common_types,
    first_width,
    open_file,
    read_footer,
)
from dask_kmeans.read.pieces import Piece, cut
from dask_kmeans.read.points import numbered
from dask_kmeans.read.results import RowsFrom
from dask_kmeans.read.retry import Part, retried
from dask_kmeans.read.stored import Source
from dask_kmeans.read.url import full_name, is_local

FOOTERS_AT_ONCE = 16
"""Footers that are fetched side by side: they are small and far away, so latency is what counts."""


BATCH_BYTES = 32 * 2**20
"""A local row group of at most this size is decoded whole, column by column: a third faster than in
batches of 8 MiB, since a column that is finished at once is still in the cache when it is put in
its place. A larger one, and one from afar, comes in batches of about this size."""

VECTOR_BATCH_BYTES = 2**20
"""Size of the batches that vectors come in. They are compared where Arrow has put them, which is
still in the cache: reading takes a tenth less time than with 4 MiB."""


class RowGroup(NamedTuple):
    """A row group, or some rows of it."""

    path: str
    group: int
    skip: int
    """Rows of the group before the first of these."""
    rows: int
    constants: dict[str, Any]
    """Values of the columns that the folders of the file stand for."""
    first: int
    """Number of the first of these rows in the file."""
    carry: Carry | None = None
    """What is carried beside the features."""
    is_whole: bool = True


class ParquetSource(Source):
    """Parquet files of one schema, as one table.

    Parameters
    ----------
    fs : fsspec file system
    listing : Listing
        The files, in the order of their rows.
    url : str
        What the user called them.
    columns : sequence of str, optional
        The features. Default: every numeric column; a warning names the others.
    weight_column : str, optional
    one_hot : mapping
        Columns of categories, each of which is a feature.
    """

    def __init__(
        self,
        fs: Any,
        listing: Listing,
        url: str,
        columns: Sequence[str] | AllBut | None = None,
        weight_column: str | None = None,
        one_hot: OneHot = MappingProxyType({}),
    ):
        self.description = checks.shown_url(url)
        self.is_local = is_local(fs)
        self._fs = fs
        with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
            footers = list(pool.map(partial(read_footer, fs), listing.files))
        chosen = [*one_hot, *([] if weight_column is None else [weight_column])]
        types = footers[0].types | common_types(footers, chosen)  # of an index, perhaps
        names = [name for name in footers[0].names if name not in footers[0].index]
        agreeing = columns.kept(names) if isinstance(columns, AllBut) else columns
        types |= common_types(footers, agreeing)
        nulls = frozenset().union(*(footer.with_nulls for footer in footers))
        dtypes = {name: numpy_dtype(kind, name in nulls) for name, kind in types.items()}
        self._footers, self._listing = footers, listing
        everything = {name for footer in footers for name in footer.names}
        self._folders = folders = partition_columns(listing, everything)
        widths = _widths(fs, footers, types)
        types |= {name: "text" if values is None else "int64" for name, values in folders.items()}
        dtypes |= {
            name: values if values is None else smallest_dtype(values)
            for name, values in folders.items()
        }
        dtypes |= {name: OneHotColumn.dtype for name in one_hot if name in types}
        self.features = numeric_columns(
            dtypes, types, [*names, *folders], columns, weight_column, url, widths,
            footers[0].in_order.__contains__, f"open_source({url!r}, exclude={{}})",
            one_hots.finders(one_hot, partial(self._categories, types), url),
        )  # fmt: skip
        self.categories = self.features.categories
        self.feature_names = checks.check_feature_names(self.features.names)
        self.weight_column = weight_column
        self.weighted = weight_column is not None
        self._buffers = ReadingBufferPool()
        self.n_features = len(self.features)
        self.dtype = np.result_type(*(dtypes[name] for name in self.features.columns))
        read = {*self.features.columns, weight_column}
        self._parts = [
            part._replace(constants=constants_of(listing, folders, number, read, one_hot))
            for number, footer in enumerate(footers)
            for part in _row_groups(footer)
        ]
        self.n_rows = sum(part.rows for part in self._parts)
        self.n_files = len(footers)

    def _categories(self, types: dict[str, Any], name: str) -> Find:
        """What finds the categories of a column, by reading all of it."""
        if name in self._folders:
            return partial(folder_categories, self._listing, self._folders, name)
        if not is_categorical(types[name]):
            raise checks.no_categories_error(name, types[name])
        files = [footer.path for footer in self._footers]
        tasks = [dask.delayed(categories)(self._fs, path, name) for path in files]
        return partial(one_hots.found_by, tasks, name)

    def carrying(self, columns: Sequence[str] | None) -> ParquetSource:
        if columns is None:
            carry = Carry.of_places()
        else:
            footers = self._footers
            types = footers[0].types | folder_types(self._folders)
            known = [name for name in columns if name in types and name not in self._folders]
            types |= common_types(footers, known)
            carry = Carry.of_columns(columns, types, self.description)
        in_files = carry.in_files(self._listing, self._folders)
        of_path = dict(zip(self._listing.files, in_files, strict=True))
        other = copy.copy(self)
        other.carry = carry
        other._parts = [part._replace(carry=of_path[part.path]) for part in self._parts]
        return other

    def blocks(self, threads: int, max_block_rows: int | None = None) -> tuple[Block, ...]:
        parts = [piece for part in self._parts for piece in _split(part, max_block_rows)]
        row_bytes = self.n_features * self.dtype.itemsize
        groups = planning.group_parts(
            [part.rows * row_bytes for part in parts],
            threads,
            max_group=None if max_block_rows is None else max_block_rows * row_bytes,
        )
        edges = np.cumsum([0, *(part.rows for part in parts)]).tolist()
        sources = [
            ParquetRows(
                self._fs,
                tuple(parts[a:b]),
                edges[a],
                self.features,
                self.weight_column,
                self.dtype,
                self._buffers,
            )
            for a, b in groups
        ]
        return numbered(sources, [(edges[a], edges[b]) for a, b in groups])


def _widths(
    fs: Any, footers: Sequence[Footer], types: dict[str, Any]
) -> dict[str, Callable[[], int | None]]:
    """Columns of vectors, and what finds how long they are: it may have to look into the files."""

    def width(name: str, kind: Any) -> int | None:
        return fixed_width(kind) or first_width(fs, footers, name)

    return {name: partial(width, name, kind) for name, kind in types.items() if is_vector(kind)}


def _row_groups(footer: Footer) -> Iterator[RowGroup]:
    """The row groups of a file that have rows."""
    starts = itertools.accumulate(footer.group_rows, initial=0)
    for group, (rows, first) in enumerate(zip(footer.group_rows, starts, strict=False)):
        if rows:
            yield RowGroup(footer.path, group, 0, rows, {}, first)


def _split(part: RowGroup, most: int | None) -> list[RowGroup]:
    """A row group that is larger than a block may be, as several parts of it."""
    if most is None or part.rows <= most:
        return [part]
    edges = planning.spread(part.rows, -(-part.rows // most))
    return [
        part._replace(skip=a, rows=b - a, first=part.first + a, is_whole=False)
        for a, b in pairwise(edges)
    ]


@dataclass(frozen=True)
class ParquetRows:
    """Consecutive row groups (of one or several files), read batch by batch."""

    fs: Any
    parts: tuple[RowGroup, ...]
    start: int
    features: Features
    weight_column: str | None
    dtype: np.dtype
    buffers: ReadingBufferPool

    def pieces(self) -> Iterator[Piece]:
        for batch in self.batches():
            yield from cut(*batch.piece)

    def batches(self) -> Iterator[Batch]:
        start = self.start
        with self.buffers.reading(), contextlib.closing(_OpenFile(self.fs)) as file:
            for part in self.parts:
                with contextlib.closing(_Batches(self, file, part, start)) as batches:
                    while (batch := batches.read()) is not None:
                        yield batch
                start += part.rows

    def split(
        self, start: int, done: int, n_rows: int, part: RowGroup, column: Callable[[str], Any]
    ) -> Batch:
        """`n_rows` rows of a part, those after `done` others, from Arrow columns by their names.

        start : number of the first row of the part among all rows
        """
        carried = None
        if part.carry is not None:
            carried = part.carry.table(part.first + done, n_rows, column)

        def values(name: str, width: int | None = None) -> np.ndarray:
            if (known := self.features.categories.get(name)) is not None:
                if name in part.constants:
                    of_rows = one_hots.repeated(part.constants[name], n_rows)
                else:
                    of_rows = column(name)
                return np.asarray(encoded(of_rows, known, name, RowsFrom(start + done)))
            if name in part.constants:
                return np.broadcast_to(part.constants[name], (n_rows,))
            if width is not None:
                return vectors(column(name), width, name, RowsFrom(start + done))
            return numbers(column(name))

        rows = side_by_side(
            itertools.starmap(values, self.features.items()),
            (n_rows, len(self.features)),
            self.dtype,
            in_rows=self.features.with_vectors,
            empty=self.buffers.empty,
        )
        if self.weight_column is None:
            return Batch(Piece(rows), carried)
        return Batch(Piece(rows, values(self.weight_column).astype(np.float64)), carried)

    @property
    def batch_rows(self) -> int:
        most = VECTOR_BATCH_BYTES if self.features.with_vectors else BATCH_BYTES
        rows = planning.piece_rows(self.dtype.itemsize * len(self.features), most)
        with_texts = self._carried or self.features.categories
        return min(rows, CARRIED_ROWS) if with_texts else rows

    @property
    def _carried(self) -> list[str]:
        """The columns that are read to be carried."""
        carry = self.parts[0].carry
        return [] if carry is None else carry.read

    @property
    def names(self) -> list[str]:
        """The columns that are read from the files."""
        names = dict.fromkeys(self.features.columns)
        if self.weight_column is not None:
            names[self.weight_column] = None
        of_features = [name for name in names if name not in self.parts[0].constants]
        return list(dict.fromkeys([*of_features, *self._carried]))


class _Batches:
    """The batches of one part of a row group; after a failure they go on where they were."""

    def __init__(self, rows: ParquetRows, file: _OpenFile, part: RowGroup, start: int):
        self._rows, self._file, self._part, self._start = rows, file, part, start
        self._done = 0
        self._batches: Generator[Batch] | None = None

    def read(self) -> Batch | None:
        """The next batch, or None after the last."""
        part = self._part
        if self._done == part.rows:
            return None
        batch = retried(self._next, full_name(self._rows.fs, part.path), self._named)
        self._done += len(batch.piece.values)
        return batch

    def _named(self) -> Part:
        rows = self._part.rows
        return Part(f"row group {self._part.group}", self._start, self._start + rows)

    def close(self) -> None:
        """Let go of Arrow's reader, which holds pages of every column."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None

    def _next(self) -> Batch:
        try:
            if self._batches is None:
                self._batches = self._open()
            return next(self._batches)
        except BaseException:
            self._batches = None
            self._file.close()  # the next try opens it anew
            raise

    def _open(self) -> Generator[Batch]:
        """The rows from number `skip` + `done` of the row group on, to the end of the part."""
        rows, part, file = self._rows, self._part, self._file.at(self._part.path)
        if is_local(rows.fs) and part.is_whole and part.rows <= rows.batch_rows:
            yield rows.split(self._start, 0, part.rows, part, partial(self._column, file))
            return
        first, stop = part.skip + self._done, part.skip + part.rows
        position = 0
        for batch in file.iter_batches(
            batch_size=rows.batch_rows,
            row_groups=[part.group],
            columns=rows.names,
            use_threads=False,
        ):
            begin, end = max(first - position, 0), min(stop - position, batch.num_rows)
            if begin < end:
                done = position + begin - part.skip
                taken = batch.slice(begin, end - begin)
                yield rows.split(self._start, done, end - begin, part, taken.column)
            position += batch.num_rows
            if position >= stop:
                return
        raise _too_short(stop - position)

    def _column(self, file: Any, name: str) -> Any:
        """One column of the whole row group."""
        table = file.read_row_group(self._part.group, columns=[name], use_threads=False)
        if table.num_rows < self._part.rows:
            raise _too_short(self._part.rows - table.num_rows)
        # By name: Arrow takes "a.b" for a part of "a", and reads both.
        return table.column(name)


def _too_short(missing: int) -> OSError:
    return OSError(f"{missing} rows fewer than its footer said")


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
            self._file, self._path = open_file(self._fs, path), path
        return self._file

    def close(self) -> None:
        if self._file is not None:
            # Also what was opened for it.
            self._file.close(force=True)
        self._file = self._path = None
