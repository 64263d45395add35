"""Parquet files: how they are opened, and what their footers say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dask_kmeans import checks
from dask_kmeans.read import arrow_columns, one_hot
from dask_kmeans.read.arrow_columns import index_columns, is_vector, numpy_dtype
from dask_kmeans.read.identifiers import ranges_in_order
from dask_kmeans.read.retry import Part, retried
from dask_kmeans.read.url import full_name, is_local

BUFFER_BYTES = 2**16
"""Read at once of each column chunk of a local file."""

FIRST_ROWS = 64
"""Rows that are decoded at once to see how long the vectors in a column are."""


@dataclass(frozen=True)
class Footer:
    """What a Parquet file says of itself."""

    path: str
    names: tuple[str, ...]
    """All columns, in order."""
    types: dict[str, Any]
    """Arrow type of each."""
    index: frozenset[str]
    """Those that pandas or Dask wrote as an index."""
    group_rows: list[int]
    with_nulls: frozenset[str]
    """Columns of integers or bools, or of vectors of them, that have, or may have, nulls, and those
    of nothing but nulls."""
    in_order: frozenset[str]
    """Columns whose integers seem to tell rows apart: see `identifiers.ranges_in_order`."""

    def seen(self, columns: Sequence[str] | None) -> dict[str, Any]:
        """Types of the chosen columns, as far as they are there; None: of all but the index."""
        if columns is None:
            return {name: kind for name, kind in self.types.items() if name not in self.index}
        return {name: self.types[name] for name in columns if name in self.types}


def open_file(fs: Any, path: str, *, little: bool = False) -> Any:
    """A ParquetFile. Not memory-mapped: a file cut short while it is mapped kills the process.

    little : whether only a few rows are wanted
    """
    import pyarrow.parquet as pq

    if is_local(fs):
        # Column chunks are read little by little: a task holds a few pages, not the row group.
        return pq.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False)
    if little:
        return pq.ParquetFile(fs.open(path, "rb"), buffer_size=BUFFER_BYTES, pre_buffer=False)
    # Column chunks are fetched in few large requests; a cache of the file would read them twice.
    return pq.ParquetFile(fs.open(path, "rb", cache_type="none"), pre_buffer=True)


def read_footer(fs: Any, path: str) -> Footer:
    """The footer of one file.

    Raises
    ------
    checks.InvalidFileError
        Where there is none.
    """
    import pyarrow as pa

    name = full_name(fs, path)

    def read() -> Any:
        try:
            with open_file(fs, path) as file:
                return file.metadata, file.schema_arrow
        except pa.ArrowInvalid as error:
            raise checks.invalid_file_error(name, "Parquet", error) from error

    metadata, schema = retried(read, name, Part("the footer"))
    types = dict(zip(schema.names, schema.types, strict=True))
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return Footer(
        path=path,
        names=tuple(schema.names),
        types=types,
        index=frozenset(index_columns(schema)),
        group_rows=[group.num_rows for group in groups],
        with_nulls=frozenset(_with_nulls(metadata, groups, types)),
        in_order=frozenset(_in_order(metadata, groups[:2], types)),
    )


def _in_order(metadata: Any, groups: list[Any], types: dict[str, Any]) -> Iterator[str]:
    import pyarrow as pa

    for number in range(metadata.num_columns):
        name = metadata.schema.column(number).path
        if not pa.types.is_integer(types.get(name, pa.string())):
            continue
        ranges = [
            (statistics.min, statistics.max, group.num_rows)
            for group in groups
            if (statistics := group.column(number).statistics) is not None
            and statistics.has_min_max
        ]
        if len(ranges) == len(groups) and ranges_in_order(ranges):
            yield name


def _with_nulls(metadata: Any, groups: list[Any], types: dict[str, Any]) -> Iterator[str]:
    import pyarrow as pa

    # The numbers of vectors in `v` are a column `v.list.element`, or whatever the writer calls it.
    vectors = [name for name, kind in types.items() if is_vector(kind)]
    for number in range(metadata.num_columns):
        path = metadata.schema.column(number).path
        name = next((name for name in vectors if path.startswith(f"{name}.")), path)
        kind = types.get(name, pa.string())
        if pa.types.is_null(kind):
            yield name
        dtype = numpy_dtype(kind)
        if dtype is None or dtype.kind == "f":
            continue
        statistics = (group.column(number).statistics for group in groups)
        if any(s is None or not s.has_null_count or s.null_count for s in statistics):
            yield name


def first_width(fs: Any, footers: Sequence[Footer], name: str) -> int | None:
    """How long the first vector in a column is; None where there is none."""
    for footer in footers:
        read = partial(_first_width, fs, footer, name)
        width = retried(read, full_name(fs, footer.path), Part("its first rows"))
        if width is not None:
            return width
    return None


def _first_width(fs: Any, footer: Footer, name: str) -> int | None:
    with open_file(fs, footer.path, little=True) as file:
        for batch in file.iter_batches(FIRST_ROWS, columns=[name], use_threads=False):
            width = arrow_columns.first_width(batch.column(name))
            if width is not None:
                return width
    return None


def categories(fs: Any, path: str, name: str) -> set[str]:
    """The categories in a column of one file."""

    def read() -> set[str]:
        with open_file(fs, path) as file:
            batches = file.iter_batches(columns=[name], use_threads=False)
            return one_hot.found_in((batch.column(name) for batch in batches), name)

    return retried(read, full_name(fs, path), Part(f"column {name!r}"))


def common_types(footers: Sequence[Footer], columns: Sequence[str] | None) -> dict[str, Any]:
    """Arrow types of `columns` (None: of all), in which the files agree.

    A column of nulls alone is of any type.

    Raises
    ------
    ValueError
        For files that disagree.
    """
    import pyarrow as pa

    first = footers[0]
    there = first.seen(columns)
    for footer in footers[1:]:
        here = footer.seen(columns)
        differences = {
            name: (there.get(name), here.get(name))
            for name in {**there, **here}
            if there.get(name) != here.get(name)
            and pa.null() not in (there.get(name), here.get(name, "missing"))
        }
        if differences:
            raise checks.schemas_differ_error(first.path, footer.path, differences)
        there |= {name: kind for name, kind in here.items() if there[name] == pa.null()}
    return there
