"""Resources: the memory and the threads of the processes that a pass would run in."""

from __future__ import annotations

from typing import NamedTuple

import psutil

from dask_kmeans.blockwise.cluster import active_client
from dask_kmeans.blockwise.threads import thread_count


class Process(NamedTuple):
    """A process that works on blocks."""

    name: str
    threads: int
    memory: int
    """Bytes that it may take; 0 for no limit."""


def processes(in_memory: bool) -> list[Process]:
    """Where a pass over data in memory, or over lazy data, would run now."""
    client = None if in_memory else active_client()
    if client is None:
        return [Process("this process", thread_count(), psutil.virtual_memory().total)]
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return [
        Process(f"the worker {address}", worker["nthreads"], worker["memory_limit"] or 0)
        for address, worker in workers.items()
    ]
