"""Capacity: a pass that cannot fit into memory is refused before it reads anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dask_kmeans import checks
from dask_kmeans.blockwise import Process, processes
from dask_kmeans.memory import least_bytes, least_bytes_to_describe
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
    read, d = _bytes_of_a_read(points), points.n_features
    for process, threads, needed in _short(
        points, lambda threads: least_bytes(n_clusters, d, threads, read)
    ):
        raise checks.too_little_memory_error(
            process.name, process.memory, needed, threads, (n_clusters, d), read, n_runs
        )


def check_capacity_to_describe(points: Points, n_clusters: int) -> None:
    """Raise ValueError where a process has less memory than describing clusters needs in any case.

    That is the moments of every feature of every cluster, in each of its tasks.
    """
    read, d = _bytes_of_a_read(points), points.n_features
    for process, threads, needed in _short(
        points, lambda threads: least_bytes_to_describe(n_clusters, d, threads, read)
    ):
        raise checks.too_little_memory_to_describe_error(
            process.name, process.memory, needed, threads, (n_clusters, d), read
        )


def _short(points: Points, needed: Callable[[int], int]) -> Iterator[tuple[Process, int, int]]:
    """Processes with less memory than they need: with their threads at work, and that need.

    needed : bytes by the tasks that run at once
    """
    if needed(len(points.blocks)) <= ALWAYS_THERE:
        return
    running = processes(points.in_memory)
    blocks = -(-len(points.blocks) // max(1, len(running)))
    for process in running:
        threads = min(process.threads, blocks)
        if 0 < process.memory < needed(threads):
            yield process, threads, needed(threads)


def _bytes_of_a_read(points: Points) -> int:
    """Bytes of the rows that a task holds at once, at least: a piece of an average block."""
    if points.in_memory or points.bytes is None:
        return 0
    return min(PIECE_BYTES, points.bytes // len(points.blocks))
