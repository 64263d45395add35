"""Passes over data in memory: on a pool of threads, where it lies."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

from dask_kmeans.blockwise.block import OpenBlock
from dask_kmeans.blockwise.caches import Caches
from dask_kmeans.blockwise.pools import configured_pool, thread_count

WORTH_THREADS = 1e-3
"""Seconds of work in a pass below which one thread has done it before others have woken up and
taken turns with Python's lock."""


class Threads:
    """Blocks in memory, on threads of this process."""

    def __init__(self) -> None:
        self._caches = Caches()
        self._owned: ThreadPoolExecutor | None = None
        self._seconds: dict[Callable, float] = {}
        """That the blocks took in the latest pass with a task, all threads together."""

    def client(self) -> None:
        """No client: the data lies here."""

    def processes(self) -> int:
        return 1

    def _pool(self) -> Executor:
        """Dask's pool where one is configured, else our own with as many threads as Dask takes."""
        pool = configured_pool()
        if isinstance(pool, Executor):
            return pool
        if self._owned is None:
            self._owned = ThreadPoolExecutor(thread_count(), thread_name_prefix="dask-kmeans")
        return self._owned

    def run(self, blocks, task, broadcast, merge, reading, name):
        if len(blocks) == 1:
            return self._result(blocks[0], task, broadcast, reading)
        seconds = []

        def call(block):
            start = time.perf_counter()
            result = self._result(block, task, broadcast, reading)
            seconds.append(time.perf_counter() - start)
            return result

        alone = thread_count() == 1 or self._seconds.get(task, math.inf) < WORTH_THREADS
        merged = functools.reduce(merge, (map if alone else self._pool().map)(call, blocks))
        self._seconds[task] = sum(seconds)
        return merged

    def gather(self, blocks, task, broadcast, reading, name):
        return [self._result(block, task, broadcast, reading) for block in blocks]

    def _result(self, block, task, broadcast, reading):
        opened = OpenBlock(block, block.source, self._caches, reading)
        result = task(opened, *broadcast)
        opened.end()
        return result

    def close(self) -> None:
        self._caches = Caches()
        if self._owned is not None:
            self._owned.shutdown(wait=False, cancel_futures=True)
            self._owned = None
