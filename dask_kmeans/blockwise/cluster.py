"""Cluster: what this process is to `dask.distributed`, which is not imported unasked."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import dask

from dask_kmeans import checks
from dask_kmeans.blockwise.versions import check_same_version

_left_behind: weakref.WeakSet[Any] = weakref.WeakSet()
"""Clients that were active when this process was forked: the threads that serve them are not in
the child."""


def _note_fork() -> None:
    client = _dask_client()
    if client is not None:
        _left_behind.add(client)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def current_client() -> Any:
    """The active distributed client, unless Dask is told to use another scheduler; else None.

    Inside a task that is the client of its worker.

    Raises
    ------
    ClusterError
        For a client that a fork has copied.
    """
    client = _dask_client()
    if client is not None and client in _left_behind:
        raise checks.forked_client_error(client.scheduler.address)
    return client


def _dask_client() -> Any:
    if "distributed" not in sys.modules:
        return None
    from distributed import get_client

    scheduler = dask.config.get("scheduler", None)
    if scheduler not in (None, "distributed", "dask.distributed"):
        return scheduler if _is_client(scheduler) else None
    try:
        return get_client()
    except ValueError:
        return None


def _is_client(scheduler: Any) -> bool:
    from distributed import Client

    return isinstance(scheduler, Client)


def active_client() -> Any:
    """The client that passes run on; None where they run on another scheduler.

    Raises
    ------
    ClusterError
        For a client that cannot be waited for here, or whose workers cannot run this package.
    """
    client = current_client()
    if client is None:
        return None
    if client.asynchronous:
        if dask.config.get("admin.async-client-fallback", None):
            return None
        raise checks.asynchronous_client_error()
    if client.status != "running":
        raise checks.client_closed_error()
    worker_threads(client)
    return client


def worker_threads(client: Any) -> dict[str, int]:
    """Threads of each worker, all of which have this version of the package."""
    threads = dict(client.nthreads())
    check_same_version(client, threads)
    return threads


def worker() -> Any:
    """The distributed worker whose task this is; None anywhere else."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_worker

    try:
        return get_worker()
    except ValueError:
        return None


def worker_address() -> str | None:
    """Address of the distributed worker whose task this is; None anywhere else."""
    here = worker()
    return None if here is None else here.address


@contextlib.contextmanager
def seceded() -> Iterator[None]:
    """Inside a task: let its worker run others meanwhile, for they are those that it waits for."""
    if worker_address() is None:
        yield
        return
    from distributed import rejoin, secede

    try:
        secede()
    except Exception:  # the caller has done so before
        yield
        return
    try:
        yield
    finally:
        rejoin()


@contextlib.contextmanager
def sending() -> Iterator[None]:
    """Say in one error what cannot be sent to workers; Dask logs its own tracebacks of it."""
    log = logging.getLogger("distributed.protocol.pickle")
    log.addFilter(_nothing)
    try:
        yield
    except TypeError as error:
        raise checks.not_sent_error(error) from None
    finally:
        log.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


@contextlib.contextmanager
def cluster_failures(client: Any) -> Iterator[None]:
    """Say what happened where it is the cluster that fails, not a task."""
    if client is None:
        yield
        return
    from distributed import CancelledError, KilledWorker

    if client.status != "running":
        raise checks.client_closed_error()
    try:
        yield
    except KilledWorker as error:
        raise checks.workers_lost_error(error.allowed_failures + 1, str(error.task)) from error
    except Exception as error:
        if client.status != "running":
            raise checks.client_closed_error() from error
        if isinstance(error, CancelledError):
            raise checks.cancelled_error() from error
        raise
