"""Labels as a hive-partitioned Parquet dataset: `cluster=3/part-00000.parquet`.

A cluster has one file, and one more for every `FILE_ROWS` rows, however many blocks the data has;
rows that are skipped are in `cluster=-1`. Within a cluster rows keep their order. They are sorted
as data that does not fit into memory is:

    block --labels--> runs: some MiB of rows each, sorted by cluster, in a file
    all runs --the rows of some neighbouring clusters--> a file for each of these

Runs lie in the output's own folder until it is complete, and take as much room as the output.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import dask
import numpy as np
import pyarrow as pa
from fsspec.core import url_to_fs

from dask_kmeans import planning
from dask_kmeans.blockwise import computing, parallelism
from dask_kmeans.read.url import is_local
from dask_kmeans.write.place import filled
from dask_kmeans.write.row_table import (
    LABEL,
    Batches,
    RowGroups,
    RowTable,
    counted,
    finish,
    inside,
    merged,
)
from dask_kmeans.write.tally import Tally

RUNS = "_runs"
"""Folder of the runs: readers pass over names that begin so."""

RUN_BYTES = 32 * 2**20
"""Bytes of a run in memory, and of the clusters that a task puts together."""

BATCH_ROWS = 2**12
"""Rows that can be read at once from a run: of a few clusters not much more than they have."""

FILE_ROWS = 2**22
"""Rows of a file of a cluster, at most."""


class Run(NamedTuple):
    """Rows sorted by cluster."""

    url: str
    n_bytes: int
    edges: np.ndarray
    """(k + 2,) where the rows of each cluster begin, from that of skipped rows on, and the end."""


def write_partitions(table: RowTable, url: str, overwrite: bool, n_clusters: int) -> Tally:
    """A folder for each cluster that has rows."""
    schema = table.schema
    with filled(url, overwrite=overwrite) as place:
        runs_at = inside(place, RUNS)
        with computing():
            urls = [f"{runs_at}/{name}" for name in table.names("")]
            written = dask.compute(*table.tasks(_write_runs, urls, n_clusters))
            runs = [run for _, of_block in written for run in of_block]
            dask.compute(
                *(
                    dask.delayed(_write_clusters, pure=False)(
                        [(run.url, run.edges[first : stop + 1]) for run in runs],
                        schema, first - 1, place.url,
                    )
                    for first, stop in _groups(runs)
                )
            )  # fmt: skip
        place.fs.invalidate_cache()
        if runs:
            place.fs.rm(place.inside(RUNS), recursive=True)
        finish(place)
    return merged(tally for tally, _ in written)


def _groups(runs: Sequence[Run]) -> list[tuple[int, int]]:
    """Neighbouring clusters that one task puts together, counted from that of skipped rows on."""
    if not runs:
        return []
    rows = np.sum([np.diff(run.edges) for run in runs], axis=0, dtype=np.int64)
    row_bytes = sum(run.n_bytes for run in runs) / rows.sum()
    threads = parallelism(in_memory=False)
    return planning.group_parts(
        (rows * row_bytes).astype(int).tolist(), threads, max_group=RUN_BYTES
    )


def _write_runs(
    batches: Batches, schema: pa.Schema, url: str, n_clusters: int
) -> tuple[Tally, list[Run]]:
    """The task that sorts the rows of a block, as many at a time as are a run."""
    runs: list[Run] = []
    tally, held, n_bytes = Tally(), [], 0
    for rows in counted(batches, schema, tally):
        held.append(rows)
        n_bytes += rows.nbytes
        if n_bytes >= RUN_BYTES:
            runs.append(_write_run(held, f"{url}-{len(runs)}.arrow", n_clusters))
            held, n_bytes = [], 0
    if held:
        runs.append(_write_run(held, f"{url}-{len(runs)}.arrow", n_clusters))
    return tally, runs


def _write_run(held: list[pa.Table], url: str, n_clusters: int) -> Run:
    rows = _sorted(pa.concat_tables(held))
    edges = np.searchsorted(rows.column(LABEL).to_numpy(), np.arange(-1, n_clusters + 1))
    with _created(url) as file, pa.ipc.new_file(file, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=BATCH_ROWS)
    return Run(url, rows.nbytes, edges.astype(np.int32))


def _sorted(rows: pa.Table) -> pa.Table:
    """By cluster, and within one in the order in which they come; in one chunk."""
    rows = rows.unify_dictionaries().combine_chunks()
    return rows.take(np.argsort(rows.column(LABEL).to_numpy(), kind="stable"))


def _write_clusters(
    runs: Sequence[tuple[str, np.ndarray]], schema: pa.Schema, first: int, url: str
) -> None:
    """The task that writes some neighbouring clusters, from label `first` on.

    runs : each with the edges of these clusters in it
    """
    n_clusters = len(runs[0][1]) - 1
    slices = _slices(runs)
    if n_clusters == 1:
        _write_cluster(slices, schema, first, url)
        return
    rows = _sorted(pa.concat_tables([schema.empty_table(), *slices]))
    edges = np.searchsorted(rows.column(LABEL).to_numpy(), first + np.arange(n_clusters + 1))
    for label, (begin, end) in enumerate(itertools.pairwise(edges), first):
        _write_cluster(iter([rows.slice(begin, end - begin)]), schema, label, url)


def _slices(runs: Sequence[tuple[str, np.ndarray]]) -> Iterator[pa.Table]:
    """The rows between the first and the last edge of every run."""
    for url, edges in runs:
        begin, end = int(edges[0]), int(edges[-1])
        if begin == end:
            continue
        fs, path = url_to_fs(url)
        with fs.open(path, "rb") as file, pa.ipc.open_file(file) as reader:
            for number in range(begin // BATCH_ROWS, -(-end // BATCH_ROWS)):
                at = number * BATCH_ROWS
                from_, to = max(begin - at, 0), min(end - at, BATCH_ROWS)
                batch = reader.get_batch(number).slice(from_, to - from_)
                yield pa.Table.from_batches([batch])


def _write_cluster(slices: Iterator[pa.Table], schema: pa.Schema, label: int, url: str) -> None:
    """The files of one cluster."""
    number, room = 0, 0
    with contextlib.ExitStack() as stack:
        for rows in slices:
            while rows.num_rows:
                if room == 0:
                    stack.close()
                    name = f"{url.rstrip('/')}/cluster={label}/part-{number:05}.parquet"
                    file = stack.enter_context(_created(name))
                    groups = stack.enter_context(RowGroups(file, schema))
                    number, room = number + 1, FILE_ROWS
                taken = rows.slice(0, room)
                groups.add(taken)
                room -= taken.num_rows
                rows = rows.slice(taken.num_rows)


@contextlib.contextmanager
def _created(url: str) -> Iterator[Any]:
    """A new file; locally its folder comes into being with it."""
    fs, path = url_to_fs(url)
    if is_local(fs):
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    with fs.open(path, "wb") as file:
        yield file
