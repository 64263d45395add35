"""How many rows have each pair of labels, of two runs that share a pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ROWS_AT_ONCE = 2**16
"""Rows whose pairs are counted at a time."""

TABLE = 2**16
"""Entries of a table that pairs are counted in, at most: beyond that they are sorted, lest a table
of many clusters take more memory than the rows."""


class PairCounts(NamedTuple):
    """Counts of the pairs that occur: no more of them than rows, however many clusters there are.

    Rows that have no label are not counted.
    """

    # Axes: p pairs.
    shape: tuple[int, int]
    """Clusters of the one run and of the other."""
    pairs: np.ndarray
    """int64 (p,), in order: the one label times the clusters of the other run, plus the other."""
    counts: np.ndarray
    """int64 (p,)"""

    @classmethod
    def of(cls, one: np.ndarray, other: np.ndarray, shape: tuple[int, int]) -> PairCounts:
        """The pairs of labels of the same rows: signed integers (m,) each, -1 for none."""
        found, size = cls(shape, np.empty(0, np.int64), np.empty(0, np.int64)), shape[0] * shape[1]
        for start in range(0, len(one), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            first, second = one[rows].astype(np.int64), other[rows]
            pairs = (first * shape[1] + second)[(first >= 0) & (second >= 0)]
            if size <= TABLE:
                table = np.bincount(pairs, minlength=size)
                pairs = np.flatnonzero(table)
                counts = table[pairs]
            else:
                pairs, counts = np.unique(pairs, return_counts=True)
            found = found.merge(cls(shape, pairs, counts))
        return found

    def merge(self, more: PairCounts) -> PairCounts:
        """The counts of the rows of both."""
        pairs = np.concatenate([self.pairs, more.pairs])
        order = np.argsort(pairs, kind="stable")
        pairs, counts = pairs[order], np.concatenate([self.counts, more.counts])[order]
        first = np.flatnonzero(np.diff(pairs, prepend=-1))
        if len(first):
            counts = np.add.reduceat(counts, first)
        return PairCounts(self.shape, pairs[first], counts)

    def table(self) -> np.ndarray:
        """All pairs: int64 of `shape`."""
        table = np.zeros(self.shape[0] * self.shape[1], np.int64)
        table[self.pairs] = self.counts
        return table.reshape(self.shape)
