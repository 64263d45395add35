"""One task on every block of the data, the results merged: all that this package asks of Dask.

The only module that builds Dask graphs or talks to a client; it knows nothing of k-means. A *pass*
runs `task(open_block, *broadcast)` on every block and folds the results with `merge(a, b)`, which
has to be associative and commutative: no order of completion is promised.

Where a pass runs:

* data in memory: on a pool of threads, where it lies; a single block is simply called;
* lazy data: as a Dask graph, on the active `dask.distributed` client or Dask's own threads.

Tasks may keep what they like in `open_block.cache`, a dictionary that lives in the process where
the block was last worked on; what grows with the number of rows goes there by `remember`, as far as
there is room. It is *a cache, never the truth*: a lost worker, a moved task or another process
finds it empty, so a task must be able to rebuild what it looks for from its arguments.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import heapq
import itertools
import math
import pickle
import sys
import threading
import time
import uuid
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, ClassVar, NamedTuple, Protocol

import dask
import numpy as np
import psutil
from dask.system import CPU_COUNT

from dask_kmeans import checks
from dask_kmeans.spare import Spare

MERGE_ARITY = 8
"""Partial results that one merging task takes: a shallow tree that holds few partials at a time."""

COPIES = 8
"""Of what a pass tells its tasks, that the scheduler sends out itself."""

RETRIES = 3
"""Runs again of a task that raised, before the fit gives up (lost workers are Dask's affair)."""


UNCOUNTED = -1
"""In place of a number of rows that is not known yet."""


ROOM = 1 / 8
"""Of a process's memory, what tasks may remember in it of blocks that do not lie in memory."""

WORTH_THREADS = 1e-3
"""Seconds of work in a pass below which one thread has done it before others have woken up and
taken turns with Python's lock."""

STALL_SECONDS = 2
"""How often a pass is looked after, while its result is awaited."""


class Block(NamedTuple):
    """What one task reads: consecutive rows of the data."""

    index: int  # type: ignore[assignment]  # tuple.index is of no use here
    start: int | None
    """Global number of its first row; None until the rows of the blocks before it are counted."""
    rows: int | None
    source: Any
    """Object with `pieces()`, or a `dask.delayed.Delayed` that computes to one."""


Piece = tuple[np.ndarray, np.ndarray | None]
"""Rows (m, d) and their weights (m,) or None."""


class Collector(Protocol):
    """Looks at rows on their way through a pass, and keeps what it likes in the block's cache."""

    def collect(self, cache: dict, first_row: int, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Hand the pieces of a block through, whose first row has the global number `first_row`."""


class Reading(NamedTuple):
    """How tasks read their blocks."""

    collector: Collector | None = None
    """Collects from the rows of every pass."""
    budget: int = 0
    """Bytes of rows that each process may keep between passes."""
    process_rows: int = 0
    """0: whole blocks are kept, first come, first served. Else tasks choose which rows to keep:
    each block has its share of the budget, where about so many rows share the process."""
    brought: bool = False
    """Whether Dask brings the rows to the task, wanted or not."""


class OpenBlock:
    """A block as its task sees it.

    Attributes
    ----------
    index : int
        Position of the block among the blocks.
    start, rows : int
        Global number of its first row, and how many rows it has; `UNCOUNTED` until that is known.
    cache : dict
        What earlier passes of the same fit left in this process for this block.
    room : int or None
        Bytes that tasks may `remember` in this process, of all blocks of the fit; None for data in
        memory, beside which they are few.
    bytes_read : int
        Bytes of the values that came from the source, not from memory.
    quota : int
        Bytes of chosen rows that the task may leave in `cache`.
    read_anyway : bool
        Whether the block is read even if the task does without its rows.
    """

    def __init__(
        self,
        block: Block,
        source: Any,
        caches: _Caches,
        reading: Reading,
        room: int | None = None,
    ):
        self.index = block.index
        self.start = UNCOUNTED if block.start is None else block.start
        self.rows = UNCOUNTED if block.rows is None else block.rows
        self.cache = caches.block(block.index)
        self.room = room
        self.bytes_read = 0
        self._source, self._caches, self._reading = source, caches, reading
        self.read_anyway = reading.brought
        self.quota = 0
        if reading.process_rows:
            share = reading.budget * self.rows // reading.process_rows
            self.quota = caches.grant(block.index, share, reading.budget)

    def pieces(self) -> Iterator[Piece]:
        """Rows (m, d) and weights (m,) or None, piece by piece in the order of the rows."""
        pieces = self._caches.kept(self.index)
        if pieces is None:
            pieces = self._read()
            if self._reading.budget and not self._reading.process_rows:
                pieces = self._caches.keep(self.index, pieces, self._reading.budget)
        if self._reading.collector is None or self.start == UNCOUNTED:
            return pieces
        return self._reading.collector.collect(self.cache, self.start, pieces)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Like `np.zeros`, for what a task brings back: in memory that others have let go of."""
        return self._caches.spare.zeros(shape, dtype)

    def remember(self, key: Hashable, value: Any, n_bytes: int, share: float = 1.0) -> None:
        """Put something of this size into the cache, if this share of the room has space for it."""
        room = self.room
        if room is None or self._caches.has_room(self.index, key, n_bytes, int(share * room)):
            self.cache[key] = value

    def _read(self) -> Iterator[Piece]:
        for values, weights in self._source.pieces():
            self.bytes_read += values.nbytes
            yield values, weights


class _Caches:
    """The caches of one fit in one process; they go when the fit lets go of this object."""

    _alive: ClassVar[weakref.WeakValueDictionary[str, _Caches]] = weakref.WeakValueDictionary()
    _lock = threading.Lock()

    def __init__(self, token: str):
        self.token = token
        self.blocks: dict[int, dict] = {}
        self._kept: dict[int, list[Piece]] = {}
        self._bytes_kept = 0
        self._remembered: dict[tuple[int, Hashable], int] = {}
        self._bytes_remembered = 0
        self._granted: Counter[int] = Counter()
        self._bytes_granted = 0
        self.spare = Spare()

    @classmethod
    def here(cls, token: str) -> _Caches:
        """The caches of the fit `token` in this process (new ones where there are none)."""
        with cls._lock:
            caches = cls._alive.get(token)
            if caches is None:
                cls._alive[token] = caches = cls(token)
            return caches

    def __reduce__(self):
        # Dask may copy or spill it: what arrives is the (maybe empty) cache of the process there.
        return _Caches.here, (self.token,)

    def block(self, index: int) -> dict:
        return self.blocks.setdefault(index, {})

    def has_room(self, index: int, key: Hashable, n_bytes: int, room: int) -> bool:
        """Whether so much may be remembered of a block, in place of what it was; if so, it is."""
        with self._lock:
            self._bytes_remembered -= self._remembered.pop((index, key), 0)
            fits = self._bytes_remembered + n_bytes <= room
            if fits:
                self._remembered[index, key] = n_bytes
                self._bytes_remembered += n_bytes
            return fits

    def grant(self, index: int, wanted: int, budget: int) -> int:
        """Bytes of chosen rows that a block may have; whole blocks are no longer kept."""
        with self._lock:
            self._kept.clear()
            self._bytes_kept = 0
            self._bytes_granted -= self._granted[index]
            self._granted[index] = max(0, min(wanted, budget - self._bytes_granted))
            self._bytes_granted += self._granted[index]
            return self._granted[index]

    def kept(self, index: int) -> Iterator[Piece] | None:
        """The rows of a block, where they are kept."""
        pieces = self._kept.get(index)
        return None if pieces is None else iter(pieces)

    def keep(self, index: int, pieces: Iterator[Piece], budget: int) -> Iterator[Piece]:
        """Hand the rows of a block through, and keep them if they fit whole into what is left."""
        kept, size = [], 0
        for values, weights in pieces:
            with self._lock:
                size += values.nbytes + (0 if weights is None else weights.nbytes)
                fits = self._bytes_kept + size <= budget
            if not fits:
                yield values, weights
                yield from pieces
                return
            kept.append((values, weights))
            yield values, weights
        with self._lock:
            if index not in self._kept and self._bytes_kept + size <= budget:
                self._kept[index] = kept
                self._bytes_kept += size


class _Stalled(Exception):
    """A pass has to be submitted again."""


class _Parcel:
    """Carries values through a graph to where a task opens it: once in a process.

    Neither Dask looks into it nor the scheduler, through which it only passes.
    """

    def __init__(self, value: Any):
        self._value = value
        self._packed: bytes | None = None
        self._lock = threading.Lock()

    def open(self) -> Any:
        """The values."""
        with self._lock:
            if self._packed is not None:
                self._value, self._packed = pickle.loads(self._packed), None
            return self._value

    def __reduce__(self):
        with self._lock:
            packed = self._packed
        return _Parcel._sealed, (packed or pickle.dumps(self._value, pickle.HIGHEST_PROTOCOL),)

    @classmethod
    def _sealed(cls, packed: bytes) -> _Parcel:
        parcel = cls(None)
        parcel._packed = packed
        return parcel


def _worker() -> Any:
    """The distributed worker whose task this is; None anywhere else."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_worker

    try:
        return get_worker()
    except ValueError:
        return None


def _worker_address() -> str | None:
    """Address of the distributed worker whose task this is; None anywhere else."""
    worker = _worker()
    return None if worker is None else worker.address


def _room() -> int:
    """Bytes that tasks may remember in this process."""
    worker = _worker()
    limit = None if worker is None else worker.memory_manager.memory_limit
    return int(ROOM * (limit or psutil.virtual_memory().total))


def _run_block(token: str, task: Callable, carried: _Parcel, source: Any, shared: _Parcel):
    """The task that Dask runs: (result, {block: where it ran})."""
    block, (broadcast, reading) = carried.open(), shared.open()
    if source is None:
        source = block.source
    else:
        # Dask brings these rows, whether they are kept or not.
        reading = reading._replace(budget=0, process_rows=0, brought=True)
    # Held until the task is done even where nobody else holds it (a process without an anchor).
    caches = _Caches.here(token)
    result = task(OpenBlock(block, source, caches, reading, _room()), *broadcast)
    address = _worker_address()
    return result, ({} if address is None else {block.index: address})


def _merge_all(merge: Callable, parts: Sequence[tuple[Any, dict]]) -> tuple[Any, dict]:
    where: dict[int, str] = {}
    for _, places in parts:
        where.update(places)
    first, *others = (result for result, _ in parts)
    # `merge` may write into its first argument, which is another task's result: Dask may ask for
    # that result again, when this task is repeated.
    merged = functools.reduce(merge, others, copy.deepcopy(first)) if others else first
    return merged, where


def _merged(parts: list[Any], merge: Callable, name: str) -> Any:
    """Lazy parts as one, merged by a shallow tree of tasks."""
    merge_all = dask.delayed(_merge_all, pure=False)
    for depth in itertools.count():
        if len(parts) == 1:
            return parts[0]
        parts = [
            merge_all(merge, list(group), dask_key_name=f"merge-{name}-{depth}-{number}")
            for number, group in enumerate(_grouped(parts, MERGE_ARITY))
        ]


class Blockwise:
    """Runs passes over one set of blocks.

    Parameters
    ----------
    blocks : sequence of Block
    in_memory : bool
        Whether the data lies in this process: then it is worked on here, by threads, even when a
        distributed client is active.
    budget : int
        Bytes of lazy rows that each process may keep between passes.

    Attributes
    ----------
    in_memory : bool
    blocks : tuple of Block
        May be replaced by the same blocks with their row numbers, once these are known.
    collector : Collector or None
        Collects from the rows of every pass; set once row numbers are known.
    choosing : bool
        Whether tasks choose which rows are kept, instead of whole blocks being kept.
    passes : int
        How often every block has been read.
    """

    def __init__(self, blocks: Sequence[Block], in_memory: bool, budget: int = 0):
        self.blocks = tuple(blocks)
        self.in_memory = in_memory
        self.collector: Collector | None = None
        self._budget = 0 if in_memory else budget
        self.choosing = False
        self.passes = 0
        self._engine: _Threads | _Graph = _Threads() if in_memory else _Graph()

    def run(self, task: Callable, *broadcast: Any, merge: Callable[[Any, Any], Any]) -> Any:
        """Fold `task(open_block, *broadcast)` over all blocks with `merge`: one pass.

        Parameters
        ----------
        task : callable
            A module-level function; single-threaded, free to release the GIL.
        *broadcast : object
            Handed to every task; picklable where the data is lazy.
        merge : callable
            `merge(a, b)`, associative and commutative; may reuse the memory of `a`.
        """
        self.passes += 1
        return self.visit(task, *broadcast, merge=merge)

    def visit(self, task: Callable, *broadcast: Any, merge: Callable[[Any, Any], Any]) -> Any:
        """Like `run`, for a task that may do without the rows: whoever calls it counts the pass."""
        return self._engine.run(self.blocks, task, broadcast, merge, self._reading())

    def gather(self, task: Callable, *broadcast: Any) -> list[Any]:
        """`task(open_block, *broadcast)` of every block, in the order of the blocks, brought here.

        For tasks that look into the caches alone: no block is read, and no pass counted. Results
        are fetched one by one: no worker ever holds more of them than those of its own blocks.
        """
        cached = [block._replace(source=None) for block in self.blocks]
        return self._engine.gather(cached, task, broadcast, self._plain_reading())

    def read_again(self, blocks: Sequence[int], task: Callable, *broadcast: Any) -> list[Any]:
        """Like `gather`, of some blocks by their numbers, which are read: counted as a pass."""
        self.passes += 1
        wanted = [self.blocks[index] for index in blocks]
        return self._engine.gather(wanted, task, broadcast, self._plain_reading())

    def _plain_reading(self) -> Reading:
        return Reading(self.collector, self._budget)

    def _reading(self) -> Reading:
        """How a pass reads, with a share of the budget for each block where tasks choose rows."""
        reading = self._plain_reading()
        if self.choosing and self._budget:
            n_rows = sum(block.rows or 0 for block in self.blocks)
            reading = reading._replace(process_rows=-(-n_rows // self._engine.processes()))
        return reading

    def room(self) -> int:
        """Bytes of lazy rows that all processes together may keep."""
        return self._budget * self._engine.processes()

    def close(self) -> None:
        """Let go of the caches and of the threads."""
        self._engine.close()


class _Threads:
    """Blocks in memory, on threads of this process."""

    def __init__(self) -> None:
        self._caches = _Caches(uuid.uuid4().hex)
        self._owned: ThreadPoolExecutor | None = None
        self._seconds: dict[Callable, float] = {}
        """That the blocks took in the latest pass with a task, all threads together."""

    def processes(self) -> int:
        return 1

    def _pool(self) -> Executor:
        """Dask's pool where one is configured, else our own with as many threads as Dask takes."""
        pool = dask.config.get("pool", None)
        if isinstance(pool, Executor):
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
        self._caches = _Caches(self._caches.token)
        if self._owned is not None:
            self._owned.shutdown(wait=False, cancel_futures=True)
            self._owned = None


class _Graph:
    """Lazy blocks, as Dask graphs; each block goes back to the worker that has its cache.

    It stays with the client that was active at its start: were that one closed, going on without
    it would read all the data into this process, unasked.
    """

    def __init__(self) -> None:
        self._client = _client()
        self._token = uuid.uuid4().hex
        self._serial = itertools.count()
        self._anchors: dict[str | None, Any] = {None: _Caches.here(self._token)}
        self._where: dict[int, str] = {}

    def processes(self) -> int:
        """Processes that have caches."""
        return max(1, len(self._workers()))

    def run(self, blocks, task, broadcast, merge, reading):
        with _cluster_failures(self._client):
            while True:
                with contextlib.suppress(_Stalled):
                    return self._run(blocks, task, broadcast, merge, reading)

    def gather(self, blocks, task, broadcast, reading):
        found: dict[int, Any] = {}
        with _cluster_failures(self._client):
            while missing := [block for block in blocks if block.index not in found]:
                with contextlib.suppress(_Stalled):
                    self._gather(missing, task, broadcast, reading, found)
        return [found[block.index] for block in blocks]

    def _run(self, blocks, task, broadcast, merge, reading):
        workers = self._workers()
        where = _balanced(self._where, workers, [block.index for block in blocks])
        name, parts = self._parts(blocks, task, broadcast, reading, workers, where)
        # Those of a worker first, so that a single one of each has to travel.
        together: dict[str | None, list[Any]] = {}
        for block, part in zip(blocks, parts, strict=True):
            together.setdefault(where.get(block.index), []).append(part)
        roots = [
            _merged(group, merge, f"{name}-{number}")
            for number, group in enumerate(together.values())
        ]
        lazy = [_merged(roots, merge, name)]
        with contextlib.closing(self._computed(lazy, name, set(where.values()))) as computed:
            result, ran = next(computed)
        self._where.update(ran)
        return result

    def _gather(self, blocks, task, broadcast, reading, found: dict[int, Any]) -> None:
        workers = self._workers()
        # Nowhere but where the caches are, be it out of balance.
        where = {index: at for index, at in self._where.items() if at in workers}
        name, parts = self._parts(blocks, task, broadcast, reading, workers, where, strictly=True)
        with contextlib.closing(self._computed(parts, name, set(where.values()))) as computed:
            for block, (result, ran) in zip(blocks, computed, strict=True):
                found[block.index] = result
                self._where.update(ran)

    def _parts(
        self, blocks, task, broadcast, reading, workers, where, strictly=False
    ) -> tuple[str, list[Any]]:
        """The name of a pass, and its lazy (result, where it ran) block by block."""
        self._anchor(workers)
        name = f"{task.__name__.strip('_')}-{self._token[:8]}-{next(self._serial)}"
        copies = self._copies(_Parcel((broadcast, reading)), name, workers)
        run_block = dask.delayed(_run_block, pure=False, traverse=False)
        parts = []
        for block in blocks:
            lazy = dask.is_dask_collection(block.source)
            carried = _Parcel(block._replace(source=None) if lazy else block)
            at = where.get(block.index)
            with _pinned(at, strictly):
                part = run_block(
                    self._token, task, carried, block.source if lazy else None,
                    copies.get(at, copies[None]), dask_key_name=f"{name}-{block.index}",
                )  # fmt: skip
            parts.append(part)
        return name, parts

    def _copies(self, parcel: _Parcel, name: str, workers: dict[str, int]) -> dict[str | None, Any]:
        """The broadcast, lazy: what each worker takes, and what a task does that has no place.

        A few workers get it from the scheduler, at once; many hand it on to each other.
        """

        def copy(number: int, address: str | None) -> Any:
            with _pinned(address, strictly=False):
                return dask.delayed(
                    parcel, name=f"broadcast-{name}-{number}", pure=False, traverse=False
                )

        copies = [copy(n, at) for n, at in enumerate(list(workers)[:COPIES] or [None])]
        return {
            None: copies[0],
            **{at: copies[n % len(copies)] for n, at in enumerate(workers)},
        }

    def _computed(self, lazy: list[Any], name: str, pinned: set[str]) -> Generator[Any]:
        """The results of a pass, each let go of by its worker once it is here."""
        if self._client is None:
            yield from dask.compute(*lazy)
            return
        # The broadcast travels in the graph, not scattered: scattered data dies with its worker.
        # (Not set without a client: should distributed be imported in here for the first time, its
        # whole configuration would be taken away again at the end of the block.)
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TiB"}):
            futures = self._client.compute(lazy, retries=RETRIES)
        try:
            with _making_room():
                for future in futures:
                    self._await(future, name, pinned)
                    yield future.result()
                    future.release()
        finally:
            for future in futures:
                future.release()

    def _await(self, future: Any, name: str, pinned: set[str]) -> None:
        from distributed import TimeoutError, wait

        while True:
            try:
                wait(future, timeout=STALL_SECONDS)
            except TimeoutError:
                self._check_progress(name, pinned)
            else:
                return

    def _check_progress(self, name: str, pinned: set[str]) -> None:
        """Raise _Stalled where a pass waits for a worker that is gone.

        A strictly pinned task does. Another one may run elsewhere, but where no worker at all is
        there at the moment that its own is lost, Dask (2026.8) forgets that: it then waits for that
        very worker, for ever.
        """
        if pinned <= self._workers().keys():
            return
        running = itertools.chain.from_iterable(self._client.processing().values())
        if not any(name in str(key) for key in running):
            raise _Stalled

    def _workers(self) -> dict[str, int]:
        """Threads of each worker of the active client; empty without one."""
        return {} if self._client is None else dict(self._client.nthreads())

    def _anchor(self, workers: dict[str, int]) -> None:
        """Hold the caches of every worker by a future: they go with the fit, or with its client."""
        for gone in self._anchors.keys() - workers.keys() - {None}:
            del self._anchors[gone]
        for address in workers.keys() - self._anchors.keys():
            self._anchors[address] = self._client.submit(
                _Caches.here, self._token, workers=[address], pure=False,
                key=f"cache-{self._token[:8]}-{uuid.uuid4().hex[:8]}",
            )  # fmt: skip

    def close(self) -> None:
        self._anchors.clear()


def _client():
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


@contextlib.contextmanager
def _making_room() -> Iterator[None]:
    """Inside a task: let its worker run others meanwhile, for they are those that it waits for."""
    if _worker_address() is None:
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
def _cluster_failures(client: Any) -> Iterator[None]:
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


def _balanced(where: dict[int, str], workers: dict[str, int], blocks: list[int]) -> dict[int, str]:
    """Where blocks go: to the worker that has their cache, except what a new worker takes over.

    Blocks without a place (a first pass, a lost worker) are left to Dask, which knows where
    persisted data lies. A worker with more than its share of the blocks gives the surplus to those
    that have the least to do.
    """
    if not workers:
        return {}
    share = len(blocks) / sum(workers.values())
    placed: dict[int, str] = {}
    load: Counter[str] = Counter()
    surplus = []
    for index in blocks:
        address = where.get(index)
        if address not in workers:
            continue
        # Rounded up: a pass takes as long as its busiest worker, and no less than that share.
        if load[address] < math.ceil(share * workers[address]):
            placed[index] = address
            load[address] += 1
        else:
            surplus.append(index)
    if surplus:
        idlest = [(load[address] / threads, address) for address, threads in workers.items()]
        heapq.heapify(idlest)
        for index in surplus:
            busy, placed[index] = idlest[0]
            heapq.heapreplace(idlest, (busy + 1 / workers[placed[index]], placed[index]))
    return placed


def _pinned(address: str | None, strictly: bool):
    if address is None:
        return contextlib.nullcontext()
    return dask.annotate(workers=[address], allow_other_workers=not strictly)


def _grouped(items: list, size: int) -> Iterator[list]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


@contextlib.contextmanager
def threads_of_its_own() -> Iterator[None]:
    """Dask computes on threads that are all idle when the block ends, however it ends.

    When a task fails, Dask's shared threads may go on with others for a while: too late for whoever
    removes what they write.
    """
    with ThreadPoolExecutor(thread_count()) as pool, dask.config.set(pool=pool):
        yield


def thread_count() -> int:
    """Threads for data in memory: Dask's setting, the machine's cores, or 1 inside a Dask task."""
    if _worker_address() is not None:
        return 1
    return dask.config.get("num_workers", None) or CPU_COUNT


def parallelism(in_memory: bool) -> int:
    """Threads that a pass has: of this process, or of all the workers of the active client."""
    client = None if in_memory else _client()
    if client is None:
        return thread_count()
    return max(1, sum(client.nthreads().values()))
