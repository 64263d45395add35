"""The labels of a block's rows between passes: what spares the next pass to find them again.

One number a row is all that a fit remembers of its data, but of rows without end that is too much.
So labels of data that does not lie in memory take as few bytes as their number of clusters allows,
a block has no more rows than `planning.MAX_BLOCK_ROWS`, and where a process has no room left for
them (`blockwise.LABEL_BUDGET`) they are found again from the centers, as are those that a lost
worker had.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from dask_kmeans import memory
from dask_kmeans.blockwise import OpenBlock


class Labels:
    """The labels of the rows of one block; -1 for rows that have none.

    Parameters
    ----------
    stored : ndarray of shape (rows,), signed integers
    """

    def __init__(self, stored: np.ndarray):
        self.stored = stored

    @classmethod
    def recall(
        cls, block: OpenBlock, slot: Hashable, tag: Hashable, n_clusters: int
    ) -> tuple[Labels, bool]:
        """Labels that an earlier task left in `slot` under `tag`, and True; else none, and False.

        They leave the cache while they are being changed: a task that fails half-way and is run
        again must not take them for what they were.
        """
        size = 4 if block.label_budget is None else memory.label_bytes(n_clusters)
        dtype = np.dtype(f"i{size}")
        left, stored = block.cache.pop(slot, (None, None))
        if stored is None or left != tag:
            return cls(np.full(block.rows, -1, dtype)), False
        return cls(stored.astype(np.promote_types(dtype, stored.dtype), copy=False)), True

    def leave(self, block: OpenBlock, slot: Hashable, tag: Hashable) -> None:
        """Leave them for a later task, if there is room."""
        block.remember(slot, (tag, self.stored), self.stored.nbytes)

    def of(self, rows: slice) -> np.ndarray:
        """int32 labels of some rows, to be changed and `put` back."""
        return self.stored[rows].astype(np.int32, copy=False)

    def put(self, rows: slice, labels: np.ndarray) -> None:
        """Take over the array that `of` gave for these rows (it may be the stored one itself)."""
        if self.stored.dtype != np.int32:
            self.stored[rows] = labels
