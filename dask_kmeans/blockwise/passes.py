"""Passes over one set of blocks, wherever they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dask_kmeans.blockwise.block import Block, Collector, Reading
from dask_kmeans.blockwise.cluster import current_client, worker_threads
from dask_kmeans.blockwise.graph import Graph
from dask_kmeans.blockwise.pools import thread_count
from dask_kmeans.blockwise.threads import Threads


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
        self._engine: Threads | Graph = Threads() if in_memory else Graph()

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

    @property
    def single_task(self) -> bool:
        """Whether all rows lie in this process, before a single task."""
        return self.in_memory and len(self.blocks) == 1

    def row_budget(self) -> int:
        """Bytes of lazy rows that all processes together may keep."""
        return self._budget * self._engine.processes()

    def close(self) -> None:
        """Let go of the caches and of the threads."""
        self._engine.close()


def parallelism(in_memory: bool) -> int:
    """Threads that a pass has: of this process, or of all the workers of the active client."""
    client = None if in_memory else current_client()
    # An asynchronous client cannot be asked, which is no reason to refuse what stays lazy.
    if client is None or client.asynchronous:
        return thread_count()
    return max(1, sum(worker_threads(client).values()))
