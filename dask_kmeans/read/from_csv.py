"""CSV with a header, read by byte ranges; how many rows there are is known only once it is read."""

from __future__ import annotations

import copy
import dataclasses
import io
import lzma
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import dask
import numpy as np
import pyarrow as pa

from dask_kmeans import checks, planning
from dask_kmeans.blockwise import Block
from dask_kmeans.read import one_hot as one_hots
from dask_kmeans.read.arrow_columns import numbers
from dask_kmeans.read.carry import Batch, Carry, folder_types
from dask_kmeans.read.columns import AllBut, Features, numeric_columns
from dask_kmeans.read.csv_format import (
    HEAD_BYTES,
    CsvFormat,
    CsvHead,
    common_kept,
    common_type,
    ends_in_quotes,
    kept_types,
    read_head,
)
from dask_kmeans.read.folder import (
    Listing,
    constants_of,
    folder_categories,
    partition_columns,
)
from dask_kmeans.read.one_hot import Find, OneHot
from dask_kmeans.read.pieces import Piece
from dask_kmeans.read.points import uncounted
from dask_kmeans.read.retry import Part, retried
from dask_kmeans.read.stored import Source
from dask_kmeans.read.url import full_name, is_local

BLOCK_BYTES = 32 * 2**20
"""Text that a task reads, at most, unless it can only be read as a stream."""

PARSED_BYTES = 2**20
"""Text that is parsed at once; of a stream Arrow holds 32 times as much in advance."""


class CsvSource(Source):
    """CSV files with the same header; every number is read as float64, what is missing as NaN.

    A column is one of numbers where the first MiB of each file shows nothing else.
    """

    n_rows = None
    dtype = np.dtype(np.float64)

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
        heads = [read_head(fs, path) for path in listing.files]
        header = heads[0].format.header
        for path, head in zip(listing.files, heads, strict=True):
            if head.format.header != header:
                raise checks.headers_differ_error(
                    listing.files[0], path, header, head.format.header
                )
        types = {name: common_type([head.types[name] for head in heads]) for name in header}
        self._listing = listing
        self._folders = folders = partition_columns(listing, types)
        dtypes = {name: self.dtype if _is_number(kind) else None for name, kind in types.items()}
        dtypes |= {
            name: values if values is None else self.dtype for name, values in folders.items()
        }
        shown = types | {
            name: "text" if values is None else "int64" for name, values in folders.items()
        }
        names = [*header, *folders]
        dtypes |= dict.fromkeys([name for name in one_hot if name in shown], self.dtype)
        self.features = numeric_columns(
            dtypes, shown, names, columns, weight_column, url,
            in_order=heads[0].in_order.__contains__,
            leave_out=f"open_source({url!r}, exclude={{}})",
            one_hot=one_hots.finders(one_hot, partial(self._categories, heads), url),
        )  # fmt: skip
        self.categories = self.features.categories
        self.feature_names = checks.check_feature_names(self.features.names)
        self.n_features = len(self.features)
        self.weight_column = weight_column
        self.weighted = weight_column is not None
        read = {*self.features.columns, weight_column}
        kinds = types | dict.fromkeys(self.categories, pa.string())
        self._tables = [
            CsvTable(
                fs, path, head.format, head.size,
                {name: kinds[name] for name in types if name in read},
                constants_of(listing, folders, number, read, one_hot),
            )
            for number, (path, head) in enumerate(zip(listing.files, heads, strict=True))
        ]  # fmt: skip
        self._line_bytes = heads[0].line_bytes
        self.n_files = len(heads)

    def _categories(self, heads: Sequence[CsvHead], name: str) -> Find:
        """What finds the categories of a column, by reading all of it."""
        if name in self._folders:
            return partial(folder_categories, self._listing, self._folders, name)
        tasks = [
            dask.delayed(part.categories)(name)
            for path, head in zip(self._listing.files, heads, strict=True)
            for part in _parts(
                CsvTable(self._fs, path, head.format, head.size, {name: pa.string()}, {}),
                Features((), ()),
                None,
                BLOCK_BYTES,
            )
        ]
        return partial(one_hots.found_by, tasks, name)

    def carrying(self, columns: Sequence[str] | None) -> CsvSource:
        names = () if columns is None else columns
        here = [name for name in self._tables[0].format.header if name in names]
        heads = [kept_types(self._fs, table.path, here) for table in self._tables if here]
        types = {name: common_kept([head[name] for head in heads]) for name in here}
        types |= {name: pa.string() for name in here if name in self.categories}
        known = dict.fromkeys(self._tables[0].format.header) | types | folder_types(self._folders)
        if columns is None:
            carry = Carry.of_places()
        else:
            carry = Carry.of_columns(columns, known, self.description)
        other = copy.copy(self)
        other.carry = carry
        other._tables = [
            dataclasses.replace(table, types=types | table.types, carry=in_file)
            for table, in_file in zip(
                self._tables, carry.in_files(self._listing, self._folders), strict=True
            )
        ]
        return other

    def blocks(self, threads: int, max_block_rows: int | None = None) -> tuple[Block, ...]:
        most = BLOCK_BYTES
        if max_block_rows is not None:
            most = max(1, min(most, max_block_rows * self._line_bytes))
        rows: list[Any] = []
        for table in self._tables:
            parts = _parts(table, self.features, self.weight_column, most, threads)
            # The number of a row in its file is that of the rows before it, which are counted.
            located = self.carry is not None and self.carry.located
            rows += [CsvInTurn(tuple(parts))] if located else parts
        return uncounted(rows)


def _parts(
    table: CsvTable, features: Features, weight_column: str | None, most: int, threads: int = 1
) -> list[CsvRows]:
    """The rows of a file, in parts of at most `most` bytes."""
    return [
        CsvRows(table, start, stop, features, weight_column)
        for start, stop in table.ranges(most, threads)
    ]


@dataclass(frozen=True)
class CsvTable:
    """A CSV file, and what is read of it."""

    fs: Any
    path: str
    format: CsvFormat
    size: int
    types: dict[str, Any]
    """Arrow type of each column that is read."""
    constants: dict[str, Any]
    """Values of the columns that the folders of the file stand for."""
    carry: Carry | None = None
    """What is carried beside the features."""

    @property
    def name(self) -> str:
        return full_name(self.fs, self.path)

    def ranges(self, most: int, threads: int) -> Iterable[tuple[int, int | None]]:
        """Bytes of parts that can be read by themselves, of at most `most` each if possible."""
        if self.format.is_stream:
            return [(0, None)]
        first = self.format.first_row
        parts = max(1, -(-(self.size - first) // most), min(threads, self.size // HEAD_BYTES))
        return pairwise(first + edge for edge in planning.spread(self.size - first, parts))

    def open(self) -> io.BufferedReader:
        """The rows, from the first on."""
        file = self.fs.open(self.path, "rb", compression=self.format.compression)
        lines = io.BufferedReader(file)
        lines.read(self.format.first_row)
        return lines

    def batches(self, file: Any, quoted: bool, as_text: bool = False) -> Iterator[Any]:
        """Rows of a file without a header, as Arrow reads them.

        quoted : whether texts in quotes may have line ends in them
        """
        import pyarrow.csv as pacsv

        types = dict.fromkeys(self.types, pa.string()) if as_text else self.types
        # Of no columns Arrow would read all.
        yield from pacsv.open_csv(
            file,
            read_options=pacsv.ReadOptions(
                column_names=self.format.header, use_threads=False, block_size=PARSED_BYTES
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=self.format.separator, newlines_in_values=quoted
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=list(types) or [self.format.header[0]],
                column_types=types,
                # Texts are only read to be kept, as they stand there, or to be looked at.
                strings_can_be_null=as_text,
            ),
        )

    def parse_error(self, where: str, error: Exception) -> Exception:
        """What to say of rows that Arrow refused: the first text among numbers, if that is it."""
        row = 0
        try:
            with self.open() as file:
                for batch in self.batches(file, quoted=True, as_text=True):
                    found = [
                        (place, name, text)
                        for name, kind in self.types.items()
                        for place, text in [_first_other(batch.column(name), kind)]
                        if place is not None
                    ]
                    if found:
                        place, name, text = min(found)
                        return checks.text_among_numbers_error(self.name, name, row + place, text)
                    row += batch.num_rows
        except pa.ArrowInvalid as whole:  # it is no table of texts either
            error = whole  # which counts rows from the beginning of the file
        return checks.invalid_file_error(f"{self.name}, {where},", "CSV", error)


@dataclass(frozen=True)
class CsvRows:
    """The lines that begin in bytes start..stop of a file (stop None: all of a stream)."""

    table: CsvTable
    start: int
    stop: int | None
    features: Features
    weight_column: str | None

    def categories(self, name: str) -> set[str]:
        """The categories in a column."""
        batches = (batch.column(name) for _, batch in self._read_rows())
        return one_hots.found_in(batches, name, empty_is_missing=True)

    def pieces(self) -> Iterator[Piece]:
        return (batch.piece for batch in self.batches())

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """The rows; `first`: number of the first of them in the file."""
        for piece, batch in self._read_rows():
            carried, carry = None, self.table.carry
            if carry is not None:
                carried = carry.table(first, len(piece.values), batch.column)
            yield Batch(piece, carried)
            first += len(piece.values)

    def _read_rows(self) -> Iterator[tuple[Piece, Any]]:
        """Pieces, each with the Arrow batch that it was in."""
        if self.stop is None:
            yield from self._streamed()
            return
        read = partial(self._read, self.stop - self.start)
        text = retried(read, self.table.name, Part(self._where))
        if ends_in_quotes(text):
            raise checks.break_in_quotes_error(self.table.name, self._where)
        if text.strip():
            yield from self._parsed(io.BytesIO(text), b'"' in text)

    def _read(self, length: int) -> bytes:
        """The lines; from the end of the line before on, since the one that is cut is skipped."""
        from fsspec.utils import read_block

        with self.table.fs.open(self.table.path, "rb") as file:
            return read_block(
                file, self.start - 1, length, delimiter=self.table.format.line_end.encode()
            )

    def _streamed(self) -> Iterator[tuple[Piece, Any]]:
        """A file from its beginning on; no new try, since it has no middle to begin at."""
        try:
            with self.table.open() as lines:
                if lines.peek(1):
                    yield from self._parsed(lines, quoted=True)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            name = self.table.name
            raise checks.unreadable_error(name, self._where, None, None, error) from error

    def _parsed(self, file: Any, quoted: bool) -> Iterator[tuple[Piece, Any]]:
        """Rows of lines without a header."""
        try:
            before = 0
            for batch in self.table.batches(file, quoted):
                values = np.empty((len(self.features), batch.num_rows))
                first = 0
                for name, width in self.features.items():
                    if width is None:
                        values[first] = self._values(batch, name)
                    else:
                        values[first : first + width] = self._one_hot(batch, name, before).T
                    first += width or 1
                before += batch.num_rows
                weights = None
                if self.weight_column is not None:
                    weights = np.empty(batch.num_rows)
                    weights[:] = self._values(batch, self.weight_column)
                yield Piece(values.T, weights), batch
        except pa.ArrowInvalid as error:
            raise self.table.parse_error(self._where, error) from error

    def _values(self, batch: Any, name: str) -> Any:
        constants = self.table.constants
        return constants[name] if name in constants else numbers(batch.column(name))

    def _one_hot(self, batch: Any, name: str, before: int) -> np.ndarray:
        """A column of categories as features (m, w); `before`: rows of this part before these."""

        def row_name(row: int) -> str:
            return f"{before + row} of {self.table.name}, {self._where}"

        if name in self.table.constants:
            column = one_hots.repeated(self.table.constants[name], batch.num_rows)
        else:
            column = batch.column(name)
        categories = self.features.categories[name]
        return np.asarray(
            one_hots.encoded(column, categories, name, row_name, empty_is_missing=True)
        )

    @property
    def _where(self) -> str:
        return "a part" if self.stop is None else f"bytes {self.start} to {self.stop}"


@dataclass(frozen=True)
class CsvInTurn:
    """The parts of a file, which are read one after the other, so that its rows are counted."""

    parts: tuple[CsvRows, ...]

    def pieces(self) -> Iterator[Piece]:
        return (batch.piece for batch in self.batches())

    def batches(self) -> Iterator[Batch]:
        first = 0
        for part in self.parts:
            for batch in part.batches(first):
                yield batch
                first += len(batch.piece.values)


def _is_number(kind: Any) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _first_other(texts: Any, kind: Any) -> tuple[int | None, str]:
    """Place and text of the first value that is not of the type; None if there is none."""
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(texts)
    try:
        trimmed.cast(kind)
    except pa.ArrowInvalid:
        for place, text in enumerate(trimmed.to_pylist()):
            try:
                pa.scalar(text).cast(kind)
            except pa.ArrowInvalid:
                return place, text
    return None, ""
