"""Rows with their labels as a table: what is carried beside them, `label`, perhaps `distance`.

Every block is one task, which reads its rows, labels them and writes what is wanted of them, batch
by batch, so that it never holds them all:

    .parquet   a folder, a part a block
    .csv       a part a block, put together in order
    clusters   a folder for each (`partitions`)
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from dask_kmeans.blockwise import Advances, computing
from dask_kmeans.read.stored import Streams
from dask_kmeans.write.follow import telling
from dask_kmeans.write.place import FOLDER_MARKER, SIGNATURE, Output, filled, parts_beside, staged
from dask_kmeans.write.tally import Tally

LABEL, DISTANCE = "label", "distance"

GROUP_ROWS, GROUP_BYTES = 2**20, 16 * 2**20
"""Rows of a row group of Parquet, and bytes of them in memory, at most, by and large."""

Batches = Iterable[tuple[np.ndarray, Any]]
"""Labels (`predict.LABELLED`), and what is carried beside them: a `pyarrow.Table` or None."""


@dataclass(frozen=True)
class RowTable:
    """What is to be written.

    Attributes
    ----------
    streams : read.stored.Streams
        Of `predict.LABELLED`.
    with_distance : bool
        Whether there is a column of distances.
    work : Advances or None
        What hears how far tasks are.
    """

    streams: Streams
    with_distance: bool = False
    work: Advances | None = None

    @property
    def schema(self) -> pa.Schema:
        """Columns of the table."""
        carried = [] if self.streams.carry is None else list(self.streams.carry.schema)
        distance = [pa.field(DISTANCE, pa.float64())] if self.with_distance else []
        return pa.schema([*carried, pa.field(LABEL, pa.int32()), *distance])

    def tasks(self, task: Callable[..., Any], urls: Iterable[str], *more: Any) -> list[Any]:
        """`task(batches, schema, url, *more)` for each block, as `Delayed`."""
        arguments = [(number, self.schema, url, *more) for number, url in enumerate(urls)]
        return self.streams.tasks(partial(_told, task, self.work), arguments)

    def names(self, ending: str) -> list[str]:
        """Of a part for each block; they sort as the blocks do."""
        number = len(self.streams.blocks)
        digits = max(5, len(str(number)))
        return [f"part-{part:0{digits}}{ending}" for part in range(number)]


def write_parquet(table: RowTable, url: str, overwrite: bool) -> Tally:
    """A folder with a part for each block."""
    with filled(url, overwrite=overwrite) as place:
        urls = [inside(place, name) for name in table.names(".parquet")]
        with computing():
            written = dask.compute(*table.tasks(_write_parquet, urls))
        finish(place)
    return merged(written)


def write_csv(table: RowTable, url: str, overwrite: bool) -> Tally:
    """One file with a header; rows are made text by the tasks."""
    with (
        staged(url, overwrite=overwrite) as path,
        open(path, "wb") as file,
        parts_beside(url) as parts,
    ):
        header = pd.DataFrame(columns=table.schema.names).to_csv(index=False, lineterminator="\n")
        file.write(header.encode())
        names = table.names(".csv")
        with computing():
            tasks = table.tasks(_write_csv, [inside(parts, name) for name in names])
            written = dask.compute(*tasks)
        for name in names:
            with parts.fs.open(parts.inside(name), "rb") as part:
                shutil.copyfileobj(part, file, 2**20)
    return merged(written)


def rows_of(values: np.ndarray, carried: Any, schema: pa.Schema) -> pa.Table:
    """A batch as the rows of the table."""
    of_carried = [] if carried is None else carried.columns
    own = [pa.array(values[name]) for name in schema.names[len(of_carried) :]]
    return pa.Table.from_arrays([*of_carried, *own], schema=schema)


class RowGroups:
    """Writes Parquet: rows come as they like, and are put together to row groups of a good size."""

    def __init__(self, file: Any, schema: pa.Schema):
        self._writer = pq.ParquetWriter(file, schema)
        self._rows: list[pa.Table] = []
        self._n_rows = self._n_bytes = 0

    def add(self, rows: pa.Table) -> None:
        """Write rows, sooner or later."""
        self._rows.append(rows)
        self._n_rows += rows.num_rows
        self._n_bytes += rows.nbytes
        if self._n_rows >= GROUP_ROWS or self._n_bytes >= GROUP_BYTES:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, *error: Any) -> None:
        """Write what is left, unless something has failed."""
        with self._writer:
            if kind is None and self._rows:
                self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.concat_tables(self._rows).unify_dictionaries())
        self._rows = []
        self._n_rows = self._n_bytes = 0


def inside(place: Output, name: str) -> str:
    """The URL of a file in a folder."""
    return f"{place.url.rstrip('/')}/{name}"


def finish(place: Output) -> None:
    """Say that a folder is complete, and ours."""
    place.fs.pipe_file(place.inside(FOLDER_MARKER), f"{SIGNATURE} labels\n".encode())


def merged(tallies: Iterable[Tally]) -> Tally:
    """All of them in one."""
    whole = Tally()
    for each in tallies:
        whole.merge(each)
    return whole


def counted(batches: Batches, schema: pa.Schema, tally: Tally) -> Iterator[pa.Table]:
    """Rows of the table, counted as they come."""
    for values, carried in batches:
        tally.add(values)
        yield rows_of(values, carried, schema)


def _told(
    task: Callable[..., Any], work: Advances | None, batches: Batches, number: int, *arguments: Any
) -> Any:
    """`task(batches, *arguments)`, which tells how far it is as the part of this number."""
    return task(batches if work is None else telling(batches, work, number), *arguments)


def _write_parquet(batches: Batches, schema: pa.Schema, url: str) -> Tally:
    """The task that writes one part, on whatever worker reads the block."""
    fs, path = url_to_fs(url)
    tally = Tally()
    with fs.open(path, "wb") as file, RowGroups(file, schema) as groups:
        for rows in counted(batches, schema, tally):
            groups.add(rows)
    return tally


def _write_csv(batches: Batches, schema: pa.Schema, url: str) -> Tally:
    """The task that writes the text of one part, without a header."""
    fs, path = url_to_fs(url)
    tally = Tally()
    with fs.open(path, "wb") as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        for rows in counted(batches, schema, tally):
            frame = rows.to_pandas(types_mapper=pd.ArrowDtype)
            frame.to_csv(text, header=False, index=False, lineterminator="\n")
    return tally
