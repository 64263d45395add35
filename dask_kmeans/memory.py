"""How many bytes a task holds, and a process with it: pure functions of shapes.

The cuts that the bytes follow from are made in `dask_kmeans.planning`; what is done about a process
that has too little memory is in `dask_kmeans.capacity`.
"""

from __future__ import annotations

from dask_kmeans.blockwise import LABEL_BUDGET, MERGE_ARITY

# Whoever states bytes needs the plan that they follow from, and finds it here too.
from dask_kmeans.planning import MAX_BLOCK_ROWS as MAX_BLOCK_ROWS
from dask_kmeans.planning import piece_rows as piece_rows
from dask_kmeans.planning import plan_blocks as plan_blocks
from dask_kmeans.planning import strip_rows as strip_rows

READS_HELD = 4
"""The read that is being worked on and the next one: as stored, decoded, and put together."""

PAGE_BYTES = 3 * 2**20
"""Of each Parquet column a dictionary and a page, the latter also as stored (1 MiB is usual)."""

PREPARED_BYTES = 31
"""A center's value as float64 (as it came, and padded), as float64 and float32 about the shift, and
rounded to 16 and to 8 bits (filters)."""

MARGIN_BYTES = 12
"""Of each row of a block: its float32 margin, and its number where that does not prove its
label."""

MEASURE_BYTES = 40
"""Of each row of a piece: its distance, what draws and weights make of it, and its rank."""

PROCESS_BYTES = 300 * 10**6
"""A worker with Dask, Zarr, Numba and compiled kernels, and what Dask loads to label lazily."""

TABLE_COPIES = 5
"""Of rows that a task writes as a table: as they come, in one piece, sorted, and encoded."""

RACE_COPIES = 12
"""Of the winners of a race: those so far, those of a piece, and both while they are merged, put in
order and rid of equal ones."""

SUMMARY_COPIES = 8
"""Of the candidates: themselves, their cells' sums and means, and what clusters these."""

MOMENT_BYTES = 92
"""Of a feature of a cluster: the sums of its values and of their squares, in 11 digits, and where
these begin."""

CLUSTER_BYTES = 2400
"""Of a cluster: five exact sums, and a few numbers."""

OCTAVE_BYTES = 2400
"""Of a cluster, where distances lie between two powers of two: 128 bins of two digits each."""

OCTAVES = 12
"""Powers of two over which the distances in a cluster are spread, as a rule."""

INERTIA_BYTES = 34_000
"""Of one exact sum, in bins for all exponents."""


def reading_bytes(read_bytes: int, parquet_columns: int = 0, ahead: bool = False) -> int:
    """Bytes that reading takes at its peak.

    Parameters
    ----------
    read_bytes : int
        Decoded bytes of one read: `Plan.read_rows` rows, at least one storage chunk; a batch of a
        Parquet file.
    parquet_columns : int
        Columns that are read of a Parquet file.
    ahead : bool
        Whether a read is made in advance, as it is on stores that are not local.
    """
    return (READS_HELD + ahead) * read_bytes + PAGE_BYTES * parquet_columns


def transform_bytes(n_features: int, itemsize: int, left_out: bool, scaled: int) -> int:
    """Bytes of the rows on their way from reading to comparing, at the peak of a task.

    They are mapped a strip at a time, which is 64 rows where rows are long; the strip before lives
    on until the next one is made. It comes on top of `task_bytes`.

    Parameters
    ----------
    n_features : int
        That are read.
    itemsize : int
        Bytes of one value of the data.
    left_out : bool
        Whether features are left out that have no value: what is left of a strip is a copy.
    scaled : int
        How many of these there are, each of which makes float64 of a strip: standardizing or
        weights of features, nodata, unit vectors of the cosine.
    """
    return 2 * strip_rows(n_features) * n_features * (itemsize * left_out + 8 * scaled)


def sums_bytes(n_clusters: int, n_features: int) -> int:
    """Bytes of one partial result: two int64 limbs a value, counts and weights of the clusters."""
    return 16 * n_clusters * n_features + 24 * n_clusters


def least_bytes(n_centers: int, n_features: int, threads: int, read: int) -> int:
    """Bytes that no process can do with less than, while all its threads are at work on a pass.

    Parameters
    ----------
    n_centers : int
        Centers of all runs, which the process has once.
    n_features, threads : int
    read : int
        Bytes of the rows that a task reads at once.
    """
    return 8 * n_centers * n_features + threads * (sums_bytes(n_centers, n_features) + read)


def least_bytes_to_describe(n_clusters: int, n_features: int, threads: int, read: int) -> int:
    """Bytes that no process can do with less than, while all its threads describe clusters.

    Parameters
    ----------
    n_clusters, n_features, threads : int
    read : int
        Bytes of the rows that a task reads at once.
    """
    return 8 * n_clusters * n_features + threads * (MOMENT_BYTES * n_clusters * n_features + read)


def worker_bytes(
    task: int, threads: int, partial: int, labels: int, memory_limit: int, sample: int = 0
) -> int:
    """Bytes that a worker process takes at its peak.

    Parameters
    ----------
    task : int
        Bytes of the largest task (`task_bytes`, `seeding_task_bytes`).
    threads : int
        Tasks that run at once.
    partial : int
        Bytes of a partial result (`sums_bytes` of all runs, `seeding_partial_bytes`).
    labels : int
        Bytes of the labels of the rows that this worker reads, in all runs (`label_bytes`); they
        are kept as far as there is room for them.
    memory_limit : int
        Of the worker.
    sample : int
        Bytes of the rows of this worker that are in the sample.
    """
    remembered = min(labels, int(LABEL_BUDGET * memory_limit))
    held = threads + MERGE_ARITY + 1
    return PROCESS_BYTES + threads * task + held * partial + remembered + 2 * sample


def race_bytes(size: int, n_features: int, itemsize: int) -> int:
    """Bytes of one race for `size` draws: the rows that lead, their keys and their numbers."""
    return size * (n_features * itemsize + 16)


def seeding_task_bytes(
    reading: int,
    block_rows: int,
    piece_rows: int,
    n_features: int,
    itemsize: int,
    n_candidates: int,
    per_round: int,
    weighted: bool = False,
) -> int:
    """Bytes that one task of k-means|| holds at its peak: as one run with all candidates, and a
    race for the next ones.

    Parameters
    ----------
    reading, block_rows, piece_rows, n_features, weighted
        As for `task_bytes`.
    itemsize : int
        Bytes of one value of the data.
    n_candidates, per_round : int
        Candidates so far, and those that one round draws.
    """
    run = task_bytes(reading, block_rows, piece_rows, n_features, n_candidates, 1, weighted)
    return run + RACE_COPIES * race_bytes(per_round, n_features, itemsize)


def seeding_partial_bytes(n_features: int, itemsize: int, n_candidates: int, per_round: int) -> int:
    """Bytes of one partial result of a round of k-means||."""
    return sums_bytes(n_candidates, n_features) + race_bytes(per_round, n_features, itemsize)


def summary_bytes(n_candidates: int, n_features: int) -> int:
    """Bytes that the driver takes to make starting centers of the candidates' cells."""
    return SUMMARY_COPIES * 8 * n_candidates * n_features


def description_bytes(n_clusters: int, n_features: int, top: int) -> int:
    """Bytes of what one task of `KMeans.describe` brings back: a partial result.

    Of the distances in a cluster this counts `OCTAVES` powers of two. More, or fewer, add or save
    `OCTAVE_BYTES` each.

    Parameters
    ----------
    n_clusters, n_features : int
    top : int
        Rows of each cluster that are told, nearest and farthest ones each.
    """
    distances = OCTAVES * OCTAVE_BYTES + 2 * 16 * top
    return n_clusters * (MOMENT_BYTES * n_features + distances + CLUSTER_BYTES) + INERTIA_BYTES


def table_task_bytes(reading: int, n_clusters: int, n_features: int, held: int) -> int:
    """Bytes that a task takes at its peak which labels rows and writes them as a table.

    Parameters
    ----------
    reading : int
        What reading takes (`reading_bytes`), with the columns that are kept.
    n_clusters, n_features : int
    held : int
        Bytes of the rows of the table that it puts together before it writes them:
        `write.row_table.GROUP_BYTES`, or by clusters `write.partitions.RUN_BYTES`.
    """
    return reading + PREPARED_BYTES * n_clusters * n_features + TABLE_COPIES * held


def label_bytes(n_clusters: int) -> int:
    """Bytes of the label of a row between two passes, where the data does not lie in memory; in the
    kernels it has four."""
    return next(size for size in (1, 2, 4) if n_clusters <= 2 ** (8 * size - 1))


def task_bytes(
    reading: int,
    block_rows: int,
    piece_rows: int,
    n_features: int,
    n_clusters: int,
    n_runs: int = 1,
    weighted: bool = False,
    bounded: bool = False,
    kept: int = 0,
) -> int:
    """Bytes that one task of a pass holds at its peak, the process itself left out.

    Parameters
    ----------
    reading : int
        What reading takes (`reading_bytes`).
    block_rows, piece_rows : int
        Rows of the block and of one piece.
    n_features, n_clusters, n_runs : int
        Shape of the work; runs are restarts that share the pass.
    weighted : bool
        Whether rows have weights.
    bounded : bool
        Whether margins are kept: not for `algorithm="lloyd"`.
    kept : int
        The block's share of the memory budget, of which its rows take twice as much while they are
        put together.
    """
    labels = label_bytes(n_clusters) * block_rows * n_runs + (4 + MEASURE_BYTES) * piece_rows
    labels += MARGIN_BYTES * block_rows * n_runs * bounded + 2 * kept
    weights = 8 * piece_rows if weighted else 0
    prepared = PREPARED_BYTES * n_clusters * n_features
    return reading + labels + weights + n_runs * (prepared + sums_bytes(n_clusters, n_features))
