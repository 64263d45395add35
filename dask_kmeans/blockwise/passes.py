"""Passes over one set of blocks, wherever they run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from dask_kmeans.blockwise.block import Block, Collector, Reading
from dask_kmeans.blockwise.cluster import current_client, worker_threads
from dask_kmeans.blockwise.graph import Graph
from dask_kmeans.blockwise.pools import thread_count
from dask_kmeans.blockwise.threads import Threads
from dask_kmeans.blockwise.work import Size, Work, working


class Plan(NamedTuple):
    """What a pass reads, and what becomes of the rows on their way."""

    blocks: tuple[Block, ...]
    budget: int = 0
    """Bytes of lazy rows that each process may keep between passes."""
    choose_rows: bool = False
    """Whether tasks choose which rows are kept, instead of whole blocks being kept."""
    collector: Collector | None = None
    """Collects from the rows of numbered blocks."""


class Blockwise:
    """Runs passes over one set of blocks, as planned.

    A plan never changes: `with_plan` gives passes that go by another one. These share caches,
    threads and count with the ones that they were made of; to close any of them closes all.

    Parameters
    ----------
    blocks : sequence of Block
    in_memory : bool
        Whether the data lies in this process: then it is worked on here, by threads, even when a
        distributed client is active.
    budget : int
        Bytes of lazy rows that each process may keep between passes.
    row_bytes : int
        Of the values of a row, for those who follow the work; 0 where that is not known.

    Attributes
    ----------
    in_memory : bool
    plan : Plan
    """

    def __init__(
        self, blocks: Sequence[Block], in_memory: bool, budget: int = 0, row_bytes: int = 0
    ):
        self.in_memory, self._row_bytes = in_memory, row_bytes
        self.plan = Plan(tuple(blocks), 0 if in_memory else budget)
        self._engine: Threads | Graph = Threads() if in_memory else Graph()
        self._counted = _Count()

    def with_plan(self, **changes: Any) -> Blockwise:
        """Passes by a plan that differs in these fields.

        Blocks may be replaced by the same ones with their row numbers, or with another way from
        their source to the tasks.
        """
        other = Blockwise.__new__(Blockwise)
        other.__dict__.update(self.__dict__, plan=self.plan._replace(**changes))
        return other

    def over(self, blocks: Sequence[Block], budget: int) -> Blockwise:
        """Passes over other blocks, with caches and threads of their own; counted with these."""
        other = Blockwise(blocks, self.in_memory, budget, self._row_bytes)
        other._counted = self._counted
        return other

    @property
    def passes(self) -> int:
        """How often every block has been read."""
        return self._counted.passes

    @property
    def n_rows(self) -> int:
        """Rows of the blocks, as far as they are counted."""
        return sum(block.rows or 0 for block in self.plan.blocks)

    def run(
        self,
        task: Callable,
        *broadcast: Any,
        merge: Callable[[Any, Any], Any],
        count: Callable[[Any], int] | None = None,
        name: str | None = None,
    ) -> Any:
        """Fold `task(open_block, *broadcast)` over all blocks with `merge`: one pass.

        Parameters
        ----------
        task : callable
            A module-level function; single-threaded, free to release the GIL.
        *broadcast : object
            Handed to every task; picklable where the data is lazy.
        merge : callable
            `merge(a, b)`, associative and commutative; may reuse the memory of `a`.
        count : callable, optional
            As how many passes the result counts, for tasks that may do without the rows or look at
            them several times. By default as one.
        name : str, optional
            What the pass is called on dashboards and by those who follow it, such as "iteration 7".
            By default as the task.
        """
        blocks, name = self.plan.blocks, name or _name_of(task)
        with self._working(name, blocks) as work:
            reading = self._reading(work)
            result = self._engine.run(blocks, task, broadcast, merge, reading, name)
        self._counted.passes += 1 if count is None else count(result)
        return result

    def gather(self, task: Callable, *broadcast: Any, name: str | None = None) -> list[Any]:
        """`task(open_block, *broadcast)` of every block, in the order of the blocks, brought here.

        For tasks that look into the caches alone: no block is read, and no pass counted. Results
        are fetched one by one: no worker ever holds more of them than those of its own blocks.
        """
        cached = [block._replace(source=None) for block in self.plan.blocks]
        name = name or _name_of(task)
        with self._working(name, cached) as work:
            return self._engine.gather(cached, task, broadcast, Reading(work=work), name)

    def read_again(
        self, blocks: Sequence[int], task: Callable, *broadcast: Any, name: str | None = None
    ) -> list[Any]:
        """Like `gather`, of some blocks by their numbers, which are read: counted as a pass."""
        self._counted.passes += 1
        wanted = [self.plan.blocks[index] for index in blocks]
        name = name or _name_of(task)
        with self._working(name, wanted) as work:
            reading = Reading(self.plan.collector, self.plan.budget, work=work)
            return self._engine.gather(wanted, task, broadcast, reading, name)

    def _working(
        self, name: str, blocks: Sequence[Block]
    ) -> contextlib.AbstractContextManager[Work | None]:
        """A pass over these blocks, as listeners hear of it."""
        return working(name, partial(size_of, blocks, self._row_bytes), self._engine.client)

    def _reading(self, work: Work | None) -> Reading:
        """How tasks read, with a share of the budget for each block where they choose rows."""
        plan = self.plan
        reading = Reading(plan.collector, plan.budget, work=work)
        if plan.choose_rows and plan.budget:
            reading = reading._replace(process_rows=-(-self.n_rows // self._engine.processes()))
        return reading

    @property
    def single_task(self) -> bool:
        """Whether all rows lie in this process, before a single task."""
        return self.in_memory and len(self.plan.blocks) == 1

    def row_budget(self) -> int:
        """Bytes of lazy rows that all processes together may keep."""
        return self.plan.budget * self._engine.processes()

    def close(self) -> None:
        """Let go of the caches and of the threads."""
        self._engine.close()


def _name_of(task: Callable) -> str:
    return task.__name__.strip("_").removesuffix("_block").replace("_", " ")


def size_of(blocks: Sequence[Block], row_bytes: int = 0) -> Size:
    """How much a pass over these blocks is."""
    if any(block.rows is None for block in blocks):
        return Size(len(blocks))
    n_rows = sum(block.rows or 0 for block in blocks)
    return Size(len(blocks), n_rows, n_rows * row_bytes)


class _Count:
    """Passes so far, of all that share an engine."""

    passes = 0


def parallelism(in_memory: bool) -> int:
    """Threads that a pass has: of this process, or of all the workers of the active client."""
    client = None if in_memory else current_client()
    # An asynchronous client cannot be asked, which is no reason to refuse what stays lazy.
    if client is None or client.asynchronous:
        return thread_count()
    return max(1, sum(worker_threads(client).values()))
