"""Block: what one task reads, and what the task sees of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from dask_kmeans import checks
from dask_kmeans.blockwise.caches import Caches
from dask_kmeans.blockwise.work import Advances

UNCOUNTED = -1
"""In place of a number of rows that is not known yet."""


class Block(NamedTuple):
    """What one task reads: consecutive rows of the data."""

    index: int  # type: ignore[assignment]  # tuple.index is of no use here
    start: int | None
    """Global number of its first row; None until the rows of the blocks before it are counted."""
    rows: int | None
    source: Any
    """A `read.RowSource`, or a `dask.delayed.Delayed` that computes to one."""
    way: Callable[[Iterator[Any]], Iterator[Any]] | None = None
    """What its pieces go through between the source, or what is kept of it, and the task: a map of
    rows, in their order."""

    def __repr__(self) -> str:
        """What logs of Dask show; where the source lies may be secret."""
        return f"Block({self.index}, start={self.start}, rows={self.rows})"


class Collector(Protocol):
    """Looks at rows on their way through a pass, and keeps what it likes in the block's cache."""

    def collect(self, cache: dict, first_row: int, pieces: Iterator[Any]) -> Iterator[Any]:
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
    work: Advances | None = None
    """What hears how far tasks are; None where nobody listens."""


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
    label_budget : int or None
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
        caches: Caches,
        reading: Reading,
        label_budget: int | None = None,
    ):
        self.index = block.index
        self.start = UNCOUNTED if block.start is None else block.start
        self.rows = UNCOUNTED if block.rows is None else block.rows
        self.cache = caches.block(block.index)
        self.label_budget = label_budget
        self.bytes_read = 0
        self._source, self._caches, self._reading = source, caches, reading
        self._way = block.way
        self._rows_seen = 0
        self.read_anyway = reading.brought
        self.quota = 0
        if reading.process_rows:
            share = reading.budget * self.rows // reading.process_rows
            self.quota = caches.grant(block.index, share, reading.budget)

    def pieces(self) -> Iterator[Any]:
        """Rows (m, d) and weights (m,) or None, piece by piece in the order of the rows."""
        pieces = self._pieces_as_read()
        return pieces if self._way is None else self._way(pieces)

    def pieces_as_read(self, carrying: bool = False) -> Iterator[tuple[Any, Any, Any]]:
        """The same pieces, each with the rows (m, d) that it was before its way here.

        carrying : whether the source hands out what it carries, for m rows each, which comes third;
        else that is None.
        """
        read = self._batches() if carrying else ((each, None) for each in self._pieces_as_read())
        for piece, carried in read:
            first = 0
            for strip in (piece,) if self._way is None else self._way(iter((piece,))):
                rows = slice(first, first + len(strip.values))
                yield piece.values[rows], strip, None if carried is None else carried[rows]
                first += len(strip.values)

    def _pieces_as_read(self) -> Iterator[Any]:
        pieces = self._caches.kept(self.index)
        if pieces is None:
            pieces = self._read()
            if self._reading.budget and not self._reading.process_rows:
                pieces = self._caches.keep(self.index, pieces, self._reading.budget)
        if self._reading.collector is not None and self.start != UNCOUNTED:
            pieces = self._reading.collector.collect(self.cache, self.start, pieces)
        if self._reading.work is not None:
            pieces = self._told(pieces, self._reading.work)
        return pieces

    def end(self) -> None:
        """The task is done, with as many of its rows as it wanted."""
        if self._reading.work is not None:
            rows = self._rows_seen if self.rows == UNCOUNTED else self.rows
            self._reading.work.advance(self.index, rows, self.bytes_read, whole=True)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Like `np.zeros`, for what a task brings back: in memory that others have let go of."""
        return self._caches.buffers.zeros(shape, dtype)

    def remember(self, key: Hashable, value: Any, n_bytes: int, share: float = 1.0) -> None:
        """Put something of this size into the cache, if this share of the budget has room."""
        label_budget = self.label_budget
        if label_budget is None or self._caches.has_room(
            self.index, key, n_bytes, int(share * label_budget)
        ):
            self.cache[key] = value

    def _told(self, pieces: Iterator[Any], work: Advances) -> Iterator[Any]:
        """Hand pieces through, and tell of each when it has been worked on."""
        self._rows_seen = 0
        for piece in pieces:
            yield piece
            self._rows_seen += len(piece.values)
            work.advance(self.index, self._rows_seen, self.bytes_read)

    def _read(self) -> Iterator[Any]:
        return (piece for piece, _ in self._counted((each, None) for each in self._source.pieces()))

    def _batches(self) -> Iterator[tuple[Any, Any]]:
        return self._counted(self._source.batches())

    def _counted(self, batches: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        """Pieces and what is carried beside them, as long as they are as many rows as expected."""
        rows = 0
        for piece, carried in batches:
            self.bytes_read += piece.values.nbytes
            rows += len(piece.values)
            if rows > self.rows >= 0:
                break
            yield piece, carried
        if self.rows not in (UNCOUNTED, rows):
            raise checks.data_changed_error(
                f"where rows {self.start} to {self.start + self.rows - 1} were, there are "
                f"{'more' if rows > self.rows else rows} now"
            )
