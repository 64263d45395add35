"""Numbers of rows, also where a pass does not know how many rows come before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dask_kmeans.statistics.record import BLOCK_BITS, LabelledRows

RowCounts = dict[int, int]
"""Rows of each block, by its number."""


@dataclass(frozen=True)
class BlockRows:
    """RowCounts: what `global_rows` needs to number the rows of a pass among all rows.

    Where blocks are counted, all rows are those of block 0.
    """

    def zero(self, centers: np.ndarray) -> RowCounts:
        """See `Statistic`."""
        return {}

    def chunk(self, known: RowCounts, rows: LabelledRows) -> RowCounts:
        """See `Statistic`."""
        return self.merge(known, {rows.first_row >> BLOCK_BITS: len(rows.labels)})

    def merge(self, a: RowCounts, b: RowCounts) -> RowCounts:
        """See `Statistic`."""
        return a | {block: a.get(block, 0) + count for block, count in b.items()}

    def finish(self, known: RowCounts, centers: np.ndarray) -> RowCounts:
        """See `Statistic`."""
        return known


def global_rows(numbers: np.ndarray, counts: RowCounts) -> np.ndarray:
    """Numbers among all rows, from 0, of rows that are numbered as `LabelledRows.first_row` is."""
    starts = np.zeros(max(counts, default=0) + 2, np.int64)
    for block, count in counts.items():
        starts[block + 1] = count
    blocks = numbers >> BLOCK_BITS
    return np.cumsum(starts)[blocks] + numbers - (blocks << BLOCK_BITS)
