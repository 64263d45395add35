"""Cluster: what this process is to `dask.distributed`, which is not imported unasked."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import dask

from dask_kmeans import checks


def active_client():
    """The active distributed client, unless Dask is told to use another scheduler.

    Inside a task that is the client of its worker.
    """
    if "distributed" not in sys.modules:
        return None
    from distributed import get_client

    if dask.config.get("scheduler", None) not in (None, "distributed", "dask.distributed"):
        return None
    try:
        return get_client()
    except ValueError:
        return None


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
