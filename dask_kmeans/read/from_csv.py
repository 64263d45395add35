"""CSV with a header, read by byte ranges; how many rows there are is known only once it is read."""

from __future__ import annotations

import csv
import io
import lzma
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from dask_kmeans import checks, memory
from dask_kmeans.blockwise import Block
from dask_kmeans.read.columns import numeric_columns
from dask_kmeans.read.pieces import Piece
from dask_kmeans.read.points import uncounted
from dask_kmeans.read.retry import Part, retried
from dask_kmeans.read.stored import Source
from dask_kmeans.read.url import full_name, is_local

HEAD_BYTES = 2**20
"""Read of a file to learn its columns and which of them are numbers."""

BLOCK_BYTES = 32 * 2**20
"""Text that a task reads, at most, unless it is compressed: then it is read as a stream."""

PARSED_BYTES = 2**20
"""Text that is parsed at once; of a stream Arrow holds 32 times as much in advance."""


class CsvSource(Source):
    """CSV files with the same header; every number is read as float64, what is missing as NaN.

    Lines end at a newline: a text with a newline in it, quoted or not, breaks them.
    """

    n_rows = None
    dtype = np.dtype(np.float64)

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
        self._sizes = {
            path: retried(partial(fs.size, path), full_name(fs, path), Part("its size"))
            for path in files
        }
        self._header, head = _head(fs, files[0])
        for other in files[1:]:
            header, _ = _head(fs, other)
            if header != self._header:
                raise checks.headers_differ_error(files[0], other, self._header, header)
        types = _types(self._header, head)
        self.columns = numeric_columns(
            {name: self.dtype if _is_number(kind) else None for name, kind in types.items()},
            types, self._header, columns, weight_column, url,
        )  # fmt: skip
        self.feature_names = checks.check_feature_names(self.columns)
        self.n_features = len(self.columns)
        self.weight_column = weight_column
        self.weighted = weight_column is not None
        self._line_bytes = max(1, len(head) // max(1, head.count(b"\n")))

    def blocks(self, threads: int, max_block_rows: int | None = None) -> tuple[Block, ...]:
        most = BLOCK_BYTES
        if max_block_rows is not None:
            most = max(1, min(most, max_block_rows * self._line_bytes))
        ranges: list[tuple[str, int, int | None]] = []
        for path, size in self._sizes.items():
            if _is_compressed(path):
                ranges.append((path, 0, None))
                continue
            parts = max(1, -(-size // most), min(threads, size // HEAD_BYTES))
            edges = memory.spread(size, parts)
            ranges += [(path, a, b) for a, b in pairwise(edges)]
        names = tuple(self._header)
        return uncounted(
            [CsvRows(self._fs, *where, names, self.columns, self.weight_column) for where in ranges]
        )


@dataclass(frozen=True)
class CsvRows:
    """The lines that begin in bytes start..stop of a file (stop None: all of a compressed file)."""

    fs: Any
    path: str
    start: int
    stop: int | None
    header: tuple[str, ...]
    columns: tuple[str, ...]
    weight_column: str | None

    def pieces(self) -> Iterator[Piece]:
        if self.stop is None:
            yield from self._streamed()
            return
        read = partial(self._read, self.stop - self.start)
        text = retried(read, self._name, Part(self._where))
        if self.start == 0:
            text = text[text.find(b"\n") + 1 or len(text) :]
        if text.strip():
            yield from self._parsed(io.BytesIO(text))

    def _read(self, length: int) -> bytes:
        from fsspec.utils import read_block

        with self.fs.open(self.path, "rb") as file:
            return read_block(file, self.start, length, delimiter=b"\n")

    def _streamed(self) -> Iterator[Piece]:
        """A compressed file, little by little; no new try, since it has no middle to begin at."""
        try:
            with self.fs.open(self.path, "rb", compression="infer") as file:
                lines = io.BufferedReader(file)
                lines.readline()
                if lines.peek(1):
                    yield from self._parsed(lines)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise checks.unreadable_error(self._name, self._where, None, None, error) from error

    def _parsed(self, file: Any) -> Iterator[Piece]:
        """Rows of lines without a header."""
        import pyarrow as pa
        import pyarrow.csv as pacsv

        wanted = list(self.columns)
        if self.weight_column is not None and self.weight_column not in wanted:
            wanted.append(self.weight_column)
        try:
            batches = pacsv.open_csv(
                file,
                read_options=pacsv.ReadOptions(
                    column_names=self.header, use_threads=False, block_size=PARSED_BYTES
                ),
                convert_options=pacsv.ConvertOptions(
                    include_columns=wanted, column_types=dict.fromkeys(wanted, pa.float64())
                ),
            )
            for batch in batches:
                values = np.empty((len(self.columns), batch.num_rows))
                for row, name in zip(values, self.columns, strict=True):
                    row[:] = batch.column(name).to_numpy(zero_copy_only=False)
                weights = None
                if self.weight_column is not None:
                    weights = batch.column(self.weight_column).to_numpy(zero_copy_only=False)
                yield Piece(values.T, weights)
        except pa.ArrowInvalid as error:
            part = f"{self._name}, {self._where},"
            raise checks.invalid_file_error(part, "CSV", error) from error

    @property
    def _name(self) -> str:
        return full_name(self.fs, self.path)

    @property
    def _where(self) -> str:
        return "a part" if self.stop is None else f"bytes {self.start} to {self.stop}"


def _is_compressed(path: str) -> bool:
    return not path.lower().endswith(".csv")


def _head(fs: Any, path: str) -> tuple[list[str], bytes]:
    """Names of the columns, and the first lines after them."""

    def read() -> bytes:
        with fs.open(path, "rb", compression="infer") as file:
            return file.read(HEAD_BYTES)

    text = retried(read, full_name(fs, path), Part("the first lines"))
    line, _, rest = text.partition(b"\n")
    shown = line.decode("utf-8-sig", "replace").rstrip("\r")
    names = next(csv.reader([shown]), [])
    if names and all(_reads_as_number(name) for name in names):
        raise checks.no_header_error(full_name(fs, path), shown)
    if len(text) == HEAD_BYTES:  # the last line is cut
        rest = rest[: rest.rfind(b"\n") + 1]
    return names, rest


def _types(header: Sequence[str], head: bytes) -> dict[str, Any]:
    """Arrow type of each column, as the first lines show it."""
    import pyarrow as pa
    import pyarrow.csv as pacsv

    if not head.strip():
        return dict.fromkeys(header, pa.float64())
    try:
        table = pacsv.read_csv(
            io.BytesIO(head),
            read_options=pacsv.ReadOptions(column_names=list(header), use_threads=False),
        )
    except pa.ArrowInvalid as error:
        raise checks.invalid_file_error("The source", "CSV", error) from error
    return dict(zip(table.schema.names, table.schema.types, strict=True))


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
