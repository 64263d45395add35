"""How a CSV file is written, as its first MiB shows: header, separator, line ends, compression."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.read.identifiers import FIRST_ROWS, first_in_order
from dask_kmeans.read.retry import Part, retried
from dask_kmeans.read.url import full_name

HEAD_BYTES = 2**20
"""Read of a file to learn its columns and which of them are numbers."""

SEPARATORS = (",", ";", "\t", "|")
"""What may stand between values, the likeliest first."""

COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"(\xb5/\xfd": "zstd"}
"""How compressed files begin, whatever their names end in."""

QUOTED_TEXT = re.compile(rb'(?:^|(?<=[,;\t|\r\n]))"(?:[^"]|"")*"(?=[,;\t|\r\n]|$)')
OPEN_QUOTE = re.compile(rb'(?:^|[,;\t|\r\n])"')


@dataclass(frozen=True)
class CsvFormat:
    """What has to be known of a file to read its rows from any byte on.

    Attributes
    ----------
    header : tuple of str
    separator, line_end : str
    first_row : int
        Bytes before the rows.
    breaks_in_quotes : bool
        Whether texts in quotes have line ends in them: then no place in the file is known to be
        between two rows without a look at all that is before it.
    compression : str or None
        As fsspec names it.
    """

    header: tuple[str, ...]
    separator: str
    line_end: str
    first_row: int
    breaks_in_quotes: bool
    compression: str | None

    @property
    def is_stream(self) -> bool:
        """Whether the file can only be read from its beginning on."""
        return self.breaks_in_quotes or self.compression is not None


@dataclass(frozen=True)
class CsvHead:
    """The first bytes of a file."""

    format: CsvFormat
    size: int
    """Bytes of the file."""
    line_bytes: int
    """Mean length of the rows that are seen."""
    types: dict[str, Any]
    """Arrow type of each column in those rows; of nulls where it has no value there."""
    in_order: frozenset[str]
    """Columns whose integers tell those rows apart: see `identifiers.first_in_order`."""


def read_head(fs: Any, path: str) -> CsvHead:
    """What the first bytes of a CSV file say.

    Raises
    ------
    checks.InvalidFileError
        For anything but text with a header of names.
    """
    return _seen(fs, path)[0]


def kept_types(fs: Any, path: str, columns: Sequence[str]) -> dict[str, Any]:
    """Arrow type of columns that are kept: of numbers, or texts as they stand there.

    Texts that a number would not give back, such as the whole number 007, stay texts.
    """
    import pyarrow as pa

    head, rows = _seen(fs, path)
    if not rows.strip():
        return {name: pa.null() for name in columns}
    types, found = {}, _first_rows(head.format, rows, full_name(fs, path), as_text=True)
    for name in columns:
        kind = head.types[name]
        if pa.types.is_integer(kind):
            texts = found.column(str(head.format.header.index(name)))
            is_exact = texts.cast(kind).cast(pa.string()).equals(texts)
            kind = kind if is_exact else pa.string()
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        types[name] = kind if is_number or pa.types.is_null(kind) else pa.string()
    return types


def common_kept(kinds: Sequence[Any]) -> Any:
    """The type of a kept column that several files show."""
    import pyarrow as pa

    known = {kind for kind in kinds if not pa.types.is_null(kind)}
    if len(known) == 1:
        return known.pop()
    return pa.float64() if known == {pa.int64(), pa.float64()} else pa.string()


def _seen(fs: Any, path: str) -> tuple[CsvHead, bytes]:
    """The head of a file, and the whole rows in it."""
    name = full_name(fs, path)
    begin = retried(partial(_read, fs, path, None, 6), name, Part("the first bytes"))
    if begin[:4] == b"PAR1":
        raise checks.invalid_file_error(name, "CSV", "it is a Parquet file; name it *.parquet")
    found = (kind for magic, kind in COMPRESSIONS.items() if begin.startswith(magic))
    compression = next(found, None)
    try:
        text = retried(partial(_read, fs, path, compression, HEAD_BYTES), name, Part("the head"))
    except EOFError as error:
        raise checks.invalid_file_error(name, "CSV", error) from error
    is_whole = len(text) < HEAD_BYTES
    line_end = "\r" if b"\r" in text and b"\n" not in text else "\n"
    header, separator, first_row = _header(text, line_end, name)
    rows = text[first_row:]
    breaks = _has_breaks_in_quotes(rows, line_end)
    if not is_whole:  # the last line is cut
        rows = rows[: _last_row_end(rows, line_end, breaks)]
    layout = CsvFormat(header, separator, line_end, first_row, breaks, compression)
    size = retried(partial(fs.size, path), name, Part("its size"))
    line_bytes = max(1, len(rows) // max(1, rows.count(line_end.encode())))
    return CsvHead(layout, size, line_bytes, *_types(layout, rows, name)), rows


def _read(fs: Any, path: str, compression: str | None, length: int) -> bytes:
    with fs.open(path, "rb", compression=compression) as file:
        return file.read(length)


def _header(text: bytes, line_end: str, name: str) -> tuple[tuple[str, ...], str, int]:
    """Names of the columns, the separator, and the bytes that the header takes."""
    used, begun = 0, False

    def lines() -> Iterator[str]:
        nonlocal used, begun
        for line in io.BytesIO(text.replace(b"\r", b"\n") if line_end == "\r" else text):
            used += len(line)
            shown = line.decode("utf-8-sig" if used == len(line) else "utf-8")
            begun = begun or bool(shown.strip())
            if begun:  # lines without anything may come before
                yield shown

    def wrong(reason: Any) -> Exception:
        return checks.invalid_file_error(name, "CSV", reason)

    try:
        rest = lines()
        first = next(rest, "")
        separator = _separator(text, line_end)
        record = next(csv.reader(itertools.chain([first], rest), delimiter=separator), [])
    except UnicodeDecodeError as error:
        raise wrong("its header is no UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise wrong(f"its header: {error}") from error
    if not record:
        raise wrong("it is empty, without even a header")
    if any("\0" in column for column in record):
        raise wrong("its header is no UTF-8 text; save it as UTF-8")
    if ends_in_quotes(text[:used]):
        raise wrong("a quote in its header has no end")
    if all(map(_reads_as_number, record)):
        raise checks.no_header_error(name, first.strip())
    return tuple(record), separator, used


def _separator(text: bytes, line_end: str) -> str:
    """What cuts the first two lines into as many parts, and most of them; commas otherwise."""
    bare = QUOTED_TEXT.sub(b"", text[: 2**16].removeprefix(codecs.BOM_UTF8))
    lines = [line for line in bare.split(line_end.encode()) if line.strip()][:2] or [b""]

    def cuts(separator: str) -> int:
        first, *second = (line.count(separator.encode()) for line in lines)
        return first if second in ([], [first]) else 0

    return max(SEPARATORS, key=cuts)


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _has_breaks_in_quotes(rows: bytes, line_end: str) -> bool:
    """Whether a line ends after an odd number of quotes, or may do so behind what is seen."""
    if b'"' not in rows:
        return False
    values = np.frombuffer(rows, np.uint8)
    quotes = np.flatnonzero(values == ord('"'))
    ends = np.flatnonzero(values == ord(line_end))
    return bool((np.searchsorted(quotes, ends) % 2).any())


def _last_row_end(rows: bytes, line_end: str, breaks: bool) -> int:
    """Bytes of the whole rows in a text that is cut."""
    stop = rows.rfind(line_end.encode()) + 1
    while breaks and stop and ends_in_quotes(rows[:stop]):
        stop = rows.rfind(line_end.encode(), 0, stop - 1) + 1
    return stop


def ends_in_quotes(rows: bytes) -> bool:
    """Whether a text of rows ends within a text in quotes."""
    if rows.count(b'"') % 2 == 0:
        return False
    # Quotes in the middle of a field mean nothing.
    return OPEN_QUOTE.search(QUOTED_TEXT.sub(b"", rows)) is not None


def _types(layout: CsvFormat, rows: bytes, name: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Arrow type of each column, and which are in order, as the first rows show it."""
    import pyarrow as pa

    if not rows.strip():
        return dict.fromkeys(layout.header, pa.null()), frozenset()
    table = _first_rows(layout, rows, name)
    types = dict(zip(layout.header, table.schema.types, strict=True))
    first = table.slice(0, FIRST_ROWS)
    in_order = (
        column
        for column, values in zip(layout.header, first.columns, strict=True)
        if pa.types.is_integer(values.type) and first_in_order(values.to_numpy())
    )
    return types, frozenset(in_order)


def _first_rows(layout: CsvFormat, rows: bytes, name: str, as_text: bool = False) -> Any:
    """Rows as an Arrow table, whose columns are called by their places: two of one name are refused
    by whoever asks."""
    import pyarrow as pa
    import pyarrow.csv as pacsv

    places = [str(place) for place in range(len(layout.header))]
    try:
        return pacsv.read_csv(
            io.BytesIO(rows),
            read_options=pacsv.ReadOptions(column_names=places, use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=layout.separator, newlines_in_values=layout.breaks_in_quotes
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.string()) if as_text else None,
                strings_can_be_null=as_text,
            ),
        )
    except pa.ArrowInvalid as error:
        raise checks.invalid_file_error(name, "CSV", error) from error


def common_type(kinds: Sequence[Any]) -> Any:
    """The type of a column that several files show, or texts where they do not agree.

    Nulls alone may stand for numbers: a column may have its first value far down.
    """
    import pyarrow as pa

    known = [kind for kind in kinds if not pa.types.is_null(kind)]
    if not known or all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in known):
        return pa.float64()
    return known[0] if len(set(known)) == 1 else pa.string()
