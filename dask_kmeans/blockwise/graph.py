"""Passes over lazy data: as Dask graphs, on a cluster or on Dask's own threads."""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections.abc import Callable, Generator, Iterator
from typing import Any

import dask

from dask_kmeans.blockwise.caches import Caches
from dask_kmeans.blockwise.cluster import (
    active_client,
    cluster_failures,
    seceded,
    sending,
    worker_threads,
)
from dask_kmeans.blockwise.layers import Key, Tasks
from dask_kmeans.blockwise.placement import balanced, turns
from dask_kmeans.blockwise.pools import own_pool
from dask_kmeans.blockwise.tasks import Parcel, merge_all, run_block

MERGE_ARITY = 8
"""Partial results that one merging task takes: a shallow tree that holds few partials at a time."""

COPIES = 8
"""Of what a pass tells its tasks, that the scheduler sends out itself."""

RETRIES = 3
"""Runs again of a task that raised, before the fit gives up (lost workers are Dask's affair)."""

STALL_SECONDS = 2
"""How often a pass is looked after, while its result is awaited."""


class _Stalled(Exception):
    """A pass has to be submitted again."""


class Graph:
    """Lazy blocks, as Dask graphs; each block goes back to the worker that has its cache.

    It stays with the client that was active at its start: were that one closed, going on without
    it would read all the data into this process, unasked.
    """

    def __init__(self) -> None:
        self._client = active_client()
        self._settings = own_pool() if self._client is None else {}
        self._token = uuid.uuid4().hex
        self._serial = itertools.count()
        self._anchors: dict[str | None, Any] = {None: Caches.here(self._token)}
        self._where: dict[int, str] = {}

    def client(self) -> Any:
        """The client that passes run on; None where they run on Dask's own scheduler."""
        return self._client

    def processes(self) -> int:
        """Processes that have caches."""
        return max(1, len(self._workers()))

    def run(self, blocks, task, broadcast, merge, reading, name):
        with cluster_failures(self._client):
            while True:
                with contextlib.suppress(_Stalled):
                    return self._run(blocks, task, broadcast, merge, reading, name)

    def gather(self, blocks, task, broadcast, reading, name):
        found: dict[int, Any] = {}
        with cluster_failures(self._client):
            while missing := [block for block in blocks if block.index not in found]:
                with contextlib.suppress(_Stalled):
                    self._gather(missing, task, broadcast, reading, name, found)
        return [found[block.index] for block in blocks]

    def _run(self, blocks, task, broadcast, merge, reading, name):
        workers = self._workers()
        where = balanced(self._where, workers, [block.index for block in blocks])
        tasks, parts = self._parts(blocks, task, broadcast, reading, name, workers, where)
        # Those of a worker first, so that a single one of each has to travel.
        together: dict[str | None, list[Key]] = {}
        for block, part in zip(blocks, parts, strict=True):
            together.setdefault(where.get(block.index), []).append(part)
        roots = [
            _merged(tasks, group, merge, number) for number, group in enumerate(together.values())
        ]
        lazy = tasks.lazily([_merged(tasks, roots, merge, len(roots))])
        with contextlib.closing(self._computed(lazy, tasks.name, set(workers))) as computed:
            result, ran = next(computed)
        self._where.update(ran)
        return result

    def _gather(self, blocks, task, broadcast, reading, name, found: dict[int, Any]) -> None:
        workers = self._workers()
        # Nowhere but where the caches are, be it out of balance.
        where = {index: at for index, at in self._where.items() if at in workers}
        by_index = {block.index: block for block in blocks}
        for turn in turns(where, workers, list(by_index)) if workers else [list(by_index)]:
            tasks, parts = self._parts(
                [by_index[index] for index in turn], task, broadcast, reading, name, workers, where,
                strictly=True,
            )  # fmt: skip
            lazy = tasks.lazily(parts)
            with contextlib.closing(self._computed(lazy, tasks.name, set(workers))) as computed:
                for index, (result, ran) in zip(turn, computed, strict=True):
                    found[index] = result
                    self._where.update(ran)

    def _parts(
        self, blocks, task, broadcast, reading, name, workers, where, strictly=False
    ) -> tuple[Tasks, list[Key]]:
        """The tasks of a pass, and which of them make (result, where it ran), block by block."""
        self._anchor(workers)
        unique = f"{self._token[:8]}-{next(self._serial)}"
        tasks = Tasks(f"{name.replace(' ', '-')}-{unique}", strictly)
        parcel = Parcel if self._client is None else Parcel.packed
        copies = _copies(tasks, parcel((broadcast, reading)), workers)
        parts = []
        for block in blocks:
            lazy = dask.is_dask_collection(block.source)
            carried = parcel(block._replace(source=None) if lazy else block)
            source = tasks.take(block.source) if lazy else None
            at = where.get(block.index)
            shared = copies.get(at, copies[None])
            parts.append(
                tasks.add(
                    tasks.key("", block.index),
                    (run_block, self._token, task, carried, source, shared),
                    at,
                )
            )
        return tasks, parts

    def _computed(self, lazy: list[Any], name: str, workers: set[str]) -> Generator[Any]:
        """The results of a pass, each let go of by its worker once it is here."""
        if self._client is None:
            with dask.config.set(self._settings):
                results = dask.compute(*lazy)
            yield from results
            return
        # The broadcast travels in the graph, not scattered: scattered data dies with its worker.
        # (Not set without a client: should distributed be imported in here for the first time, its
        # whole configuration would be taken away again at the end of the block.)
        with (
            dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TiB"}),
            sending(),
        ):
            futures = self._client.compute(lazy, retries=RETRIES)
        try:
            with seceded():
                for future in futures:
                    self._await(future, name, workers)
                    yield future.result()
                    future.release()
        finally:
            for future in futures:
                future.release()

    def _await(self, future: Any, name: str, workers: set[str]) -> None:
        from distributed import TimeoutError, wait

        while True:
            try:
                wait(future, timeout=STALL_SECONDS)
            except TimeoutError:
                self._check_progress(name, workers)
            else:
                return

    def _check_progress(self, name: str, workers: set[str]) -> None:
        """Raise _Stalled where a pass waits for a worker that is gone.

        A strictly pinned task does. Another one may run elsewhere, but where no worker at all is
        there at the moment that its own is lost, Dask (2026.8) forgets that: it then waits for that
        very worker, for ever.
        """
        if workers <= self._workers().keys():
            return
        running = itertools.chain.from_iterable(self._client.processing().values())
        if not any(name in str(key) for key in running):
            raise _Stalled

    def _workers(self) -> dict[str, int]:
        """Threads of each worker of the active client; empty without one."""
        return {} if self._client is None else worker_threads(self._client)

    def _anchor(self, workers: dict[str, int]) -> None:
        """Hold the caches of every worker by a future: they go with the fit, or with its client."""
        for gone in self._anchors.keys() - workers.keys() - {None}:
            del self._anchors[gone]
        for address in workers.keys() - self._anchors.keys():
            self._anchors[address] = self._client.submit(
                Caches.here, self._token, workers=[address], pure=False,
                key=f"kmeans-cache-{self._token[:8]}-{uuid.uuid4().hex[:8]}",
            )  # fmt: skip

    def close(self) -> None:
        self._anchors.clear()
        if "pool" in self._settings:
            self._settings.pop("pool").shutdown(wait=False, cancel_futures=True)


def _copies(tasks: Tasks, parcel: Parcel, workers: dict[str, int]) -> dict[str | None, Key]:
    """The broadcast: what each worker takes, and what a task does that has no place.

    A few copies are sent out by the scheduler, at once; workers hand them on to each other. They
    have no place of their own: one that is lost with its worker is sent to any other.
    """
    copies = [
        tasks.share(tasks.key("broadcast", number), parcel)
        for number in range(min(COPIES, max(1, len(workers))))
    ]
    return {
        None: copies[0],
        **{address: copies[number % len(copies)] for number, address in enumerate(workers)},
    }


def _merged(tasks: Tasks, parts: list[Key], merge: Callable, tree: int) -> Key:
    """Parts as one, merged by a shallow tree of tasks."""
    depth = 0
    while len(parts) > 1:
        parts = [
            tasks.add(tasks.key("merge", tree, depth, number), (merge_all, merge, group))
            for number, group in enumerate(_grouped(parts, MERGE_ARITY))
        ]
        depth += 1
    return parts[0]


def _grouped(items: list, size: int) -> Iterator[list]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
