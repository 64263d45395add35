"""Tasks: what Dask runs for a pass, and how its arguments travel."""

from __future__ import annotations

import copy
import functools
import pickle
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import cloudpickle
import psutil

from dask_kmeans import checks
from dask_kmeans.blockwise.block import OpenBlock
from dask_kmeans.blockwise.caches import Caches
from dask_kmeans.blockwise.cluster import sending, worker, worker_address

LABEL_BUDGET = 1 / 8
"""Of a process's memory, what tasks may remember in it of blocks that do not lie in memory."""


Packed = tuple[Callable[[bytes], Any], bytes]
"""Values as bytes, after what makes them values again."""


class Parcel:
    """Carries values through a graph to where a task opens it: once in a process.

    Neither Dask looks into it nor the scheduler, through which it only passes.
    """

    def __init__(self, value: Any, packed: Packed | None = None):
        self._value, self._packed = value, packed
        self._lock = threading.Lock()

    @classmethod
    def packed(cls, value: Any) -> Parcel:
        """Packed at once: what cannot be sent is known before Dask tries to."""
        return cls(None, pack(value))

    def open(self) -> Any:
        """The values."""
        with self._lock:
            if self._packed is not None:
                unpack, packed = self._packed
                self._value, self._packed = unpack(packed), None
            return self._value

    def __reduce__(self):
        with self._lock:
            packed = self._packed
        return Parcel, (None, packed or pack(self._value))


def pack(value: Any) -> Packed:
    """Pickled as Dask pickles: functions of `__main__`, lambdas and closures by their code."""
    try:
        return pickle.loads, cloudpickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        if "distributed" not in sys.modules:
            raise checks.not_sent_error(error) from None
        from distributed.protocol import deserialize_bytes, serialize_bytes

        # What has no pickle may be known to distributed: files of h5py and netCDF4, for example.
        with sending():
            return deserialize_bytes, serialize_bytes(value, on_error="raise")


def run_block(token: str, task: Callable, carried: Parcel, source: Any, shared: Parcel):
    """The task that Dask runs: (result, {block: where it ran})."""
    block, (broadcast, reading) = carried.open(), shared.open()
    if source is None:
        source = block.source
    else:
        # Dask brings these rows, whether they are kept or not.
        reading = reading._replace(budget=0, process_rows=0, brought=True)
    # Held until the task is done even where nobody else holds it (a process without an anchor).
    caches = Caches.here(token)
    opened = OpenBlock(block, source, caches, reading, label_budget_here())
    result = task(opened, *broadcast)
    opened.end()
    address = worker_address()
    return result, ({} if address is None else {block.index: address})


def label_budget_here() -> int:
    """Bytes that tasks may remember in this process."""
    here = worker()
    limit = None if here is None else here.memory_manager.memory_limit
    return int(LABEL_BUDGET * (limit or psutil.virtual_memory().total))


def merge_all(merge: Callable, parts: Sequence[tuple[Any, dict]]) -> tuple[Any, dict]:
    """What several tasks found, as one, and where all of them ran."""
    where: dict[int, str] = {}
    for _, places in parts:
        where.update(places)
    first, *others = (result for result, _ in parts)
    # `merge` may write into its first argument, which is another task's result: Dask may ask for
    # that result again, when this task is repeated.
    merged = functools.reduce(merge, others, copy.deepcopy(first)) if others else first
    return merged, where
