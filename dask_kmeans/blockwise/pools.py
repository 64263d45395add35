"""Pools: what Dask's own schedulers compute on, where those that they have will not do."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import dask
import dask.threaded
from dask.system import CPU_COUNT

from dask_kmeans.blockwise.cluster import active_client, cluster_failures, worker_address

_left_behind: list[Any] = []
"""Pools, as `dask.config` names them, whose threads are not in this process, for it was forked
after they were made. None stands for Dask's own pool."""

HASH_SEED = "6640"
"""As `dask.multiprocessing` sets it: tasks that shuffle need the same hashes in all processes."""


THREADS = ("threads", "threading")
"""Names of Dask's scheduler on threads, which is its default."""


def _note_fork() -> None:
    named = (dask.config.get(key, None) for key in ("pool", "scheduler"))
    _left_behind.extend([None, *(pool for pool in named if not isinstance(pool, str))])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def configured_pool() -> Any:
    """The pool that Dask is told to use; None without one, or with one that a fork has copied."""
    pool = dask.config.get("pool", None)
    return None if pool in _left_behind else pool


def thread_count() -> int:
    """Threads for data in memory: Dask's setting, the machine's cores, or 1 inside a Dask task."""
    if worker_address() is not None:
        return 1
    return dask.config.get("num_workers", None) or CPU_COUNT


def own_pool() -> dict[str, Any]:
    """Settings with which Dask computes on a new pool; none where its own one will do.

    Its processes end with each computation, and a new one is slow to import what tasks need. Its
    threads may have stayed behind in the process that this one was forked from. By name they would
    have Dask import distributed, for 0.1 s, to see whether a client is there.
    """
    scheduler = dask.config.get("scheduler", None)
    if configured_pool() is not None:
        return {}
    if scheduler in ("processes", "multiprocessing"):
        os.environ.setdefault("PYTHONHASHSEED", HASH_SEED)
        context = multiprocessing.get_context(dask.config.get("multiprocessing.context", "spawn"))
        return {"pool": ProcessPoolExecutor(thread_count(), mp_context=context)}
    if scheduler in (*_left_behind, *(THREADS if _left_behind else ())):
        return {"pool": ThreadPoolExecutor(thread_count()), "scheduler": "threads"}
    if scheduler in (None, *THREADS) and "distributed" not in sys.modules:
        return {"scheduler": dask.threaded.get}
    return {}


@contextlib.contextmanager
def computing() -> Iterator[None]:
    """Dask computes where passes do: on a client that can be waited for, or on a living pool."""
    client = active_client()
    settings = own_pool() if client is None else {}
    pool = settings.get("pool", contextlib.nullcontext())
    with pool, dask.config.set(settings), cluster_failures(client):
        yield


@contextlib.contextmanager
def threads_of_its_own() -> Iterator[None]:
    """Dask computes on threads that are all idle when the block ends, however it ends.

    When a task fails, Dask's shared threads may go on with others for a while: too late for whoever
    removes what they write.
    """
    with ThreadPoolExecutor(thread_count()) as pool, dask.config.set(pool=pool):
        yield
