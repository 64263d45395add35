"""Passes over data in memory: on a pool of threads, where it lies."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import dask
from dask.system import CPU_COUNT

from dask_kmeans.blockwise.block import OpenBlock
from dask_kmeans.blockwise.caches import Caches
from dask_kmeans.blockwise.cluster import worker_address

WORTH_THREADS = 1e-3
"""Seconds of work in a pass below which one thread has done it before others have woken up and
taken turns with Python's lock."""


_left_behind: list[Any] = []
"""Pools, as `dask.config` names them, whose threads are not in this process, for it was forked
after they were made. None stands for Dask's own pool."""


def _note_fork() -> None:
    named = (dask.config.get(key, None) for key in ("pool", "scheduler"))
    _left_behind.extend([None, *(pool for pool in named if not isinstance(pool, str))])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


class Threads:
    """Blocks in memory, on threads of this process."""

    def __init__(self) -> None:
        self._caches = Caches(uuid.uuid4().hex)
        self._owned: ThreadPoolExecutor | None = None
        self._seconds: dict[Callable, float] = {}
        """That the blocks took in the latest pass with a task, all threads together."""

    def processes(self) -> int:
        return 1

    def _pool(self) -> Executor:
        """Dask's pool where one is configured, else our own with as many threads as Dask takes."""
        pool = dask.config.get("pool", None)
        if isinstance(pool, Executor) and pool not in _left_behind:
            return pool
        if self._owned is None:
            self._owned = ThreadPoolExecutor(thread_count(), thread_name_prefix="dask-kmeans")
        return self._owned

    def run(self, blocks, task, broadcast, merge, reading):
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

    def gather(self, blocks, task, broadcast, reading):
        return [self._result(block, task, broadcast, reading) for block in blocks]

    def _result(self, block, task, broadcast, reading):
        return task(OpenBlock(block, block.source, self._caches, reading), *broadcast)

    def close(self) -> None:
        self._caches = Caches(self._caches.token)
        if self._owned is not None:
            self._owned.shutdown(wait=False, cancel_futures=True)
            self._owned = None


def thread_count() -> int:
    """Threads for data in memory: Dask's setting, the machine's cores, or 1 inside a Dask task."""
    if worker_address() is not None:
        return 1
    return dask.config.get("num_workers", None) or CPU_COUNT


@contextlib.contextmanager
def threads_of_its_own() -> Iterator[None]:
    """Dask computes on threads that are all idle when the block ends, however it ends.

    When a task fails, Dask's shared threads may go on with others for a while: too late for whoever
    removes what they write.
    """
    with ThreadPoolExecutor(thread_count()) as pool, dask.config.set(pool=pool):
        yield


@contextlib.contextmanager
def living_threads() -> Iterator[None]:
    """Dask computes on threads that this process has: not on those of the one that forked it."""
    scheduler = dask.config.get("scheduler", None)
    on_threads = scheduler in (*_left_behind, "threads", "threading")
    if on_threads and dask.config.get("pool", None) in _left_behind:
        with dask.config.set(scheduler="threads"), threads_of_its_own():
            yield
    else:
        yield
