"""Capacity: a fit that cannot fit into memory is refused before it reads anything."""

from __future__ import annotations

from dask_kmeans import checks
from dask_kmeans.blockwise import processes
from dask_kmeans.memory import least_bytes
from dask_kmeans.planning import PIECE_BYTES
from dask_kmeans.read import Points

ALWAYS_THERE = 2**20
"""Bytes that every process has. To ask for its memory takes longer than a step of a small fit."""


def check_capacity(points: Points, n_clusters: int, n_runs: int) -> None:
    """Raise ValueError where a process has less memory than its tasks need in any case.

    The least that they need is compared, not the peak that `dask_kmeans.memory` states: what is
    refused here would certainly have failed.

    Parameters
    ----------
    points : Points
    n_clusters : int
        Of all runs together.
    n_runs : int
        Runs that share each pass.
    """
    read = _bytes_of_a_read(points)
    if least_bytes(n_clusters, points.n_features, len(points.blocks), read) <= ALWAYS_THERE:
        return
    running = processes(points.in_memory)
    blocks = -(-len(points.blocks) // max(1, len(running)))
    for process in running:
        threads = min(process.threads, blocks)
        needed = least_bytes(n_clusters, points.n_features, threads, read)
        if 0 < process.memory < needed:
            raise checks.too_little_memory_error(
                process.name, process.memory, needed, threads, (n_clusters, points.n_features),
                read, n_runs,
            )  # fmt: skip


def _bytes_of_a_read(points: Points) -> int:
    """Bytes of the rows that a task holds at once, at least: a piece of an average block."""
    if points.in_memory or points.bytes is None:
        return 0
    return min(PIECE_BYTES, points.bytes // len(points.blocks))
