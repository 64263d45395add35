"""A few rows of each cluster, drawn by their numbers: what a cluster looks like from inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dask_kmeans.kernels import dense, exponential
from dask_kmeans.statistics.record import LabelledRows

PURPOSE = (1 << 20) + 3
"""Keeps these draws apart from those of the sample, of shares and for the eye; that by cost is the
next one."""


class RowsByCluster(NamedTuple):
    """Drawn rows: by their cluster, and in each in the order in which they were drawn."""

    labels: np.ndarray  # (m,) int32
    keys: np.ndarray  # (m,) float64, which are small for rows that are drawn early
    rows: np.ndarray  # (m,) int64, global row numbers
    values: np.ndarray  # (m, d) float64, as rows are compared
    weights: np.ndarray  # (m,) float64

    def of(self, cluster: int) -> RowsByCluster:
        """Those of one cluster."""
        begin, end = np.searchsorted(self.labels, [cluster, cluster + 1])
        return RowsByCluster(*(part[begin:end] for part in self))


@dataclass(frozen=True)
class DrawnByCluster:
    """RowsByCluster: of each cluster some rows, without replacement.

    The chance of a row to be the next is its share of the weight, or of the inertia: a race of
    exponential variates, which are hashes of (seed, global row number).
    """

    wanted: int
    """How many of each cluster, at most."""
    seed: int
    by_cost: bool = False
    """Whether by the share of the inertia."""

    def zero(self, centers: np.ndarray) -> RowsByCluster:
        """See `Statistic`."""
        return RowsByCluster(
            np.empty(0, np.int32), np.empty(0), np.empty(0, np.int64),
            np.empty((0, centers.shape[1])), np.empty(0),
        )  # fmt: skip

    def chunk(self, known: RowsByCluster, rows: LabelledRows) -> RowsByCluster:
        """See `Statistic`."""
        weights = rows.all_weights()
        mass = weights * rows.distances if self.by_cost else weights
        purpose = PURPOSE + int(self.by_cost)
        keys = exponential(self.seed, purpose, rows.first_row, np.empty(len(mass)))
        with np.errstate(all="ignore"):  # rows without weight or cost are never drawn
            keys /= mass
        # Later chunks mostly hold few rows that are drawn: only those are sorted.
        latest = np.full(len(rows.centers) + 1, np.inf)
        counts = np.bincount(known.labels, minlength=len(rows.centers))
        full = np.flatnonzero(counts == self.wanted)
        latest[full] = known.keys[np.cumsum(counts)[full] - 1]
        with np.errstate(invalid="ignore"):
            drawn = np.flatnonzero(
                (rows.labels >= 0) & (keys <= latest[rows.labels]) & np.isfinite(keys)
            )
        found = RowsByCluster(
            rows.labels[drawn], keys[drawn], rows.first_row + drawn,
            dense(rows.values[drawn]).astype(np.float64), weights[drawn],
        )  # fmt: skip
        return self.merge(known, found)

    def merge(self, a: RowsByCluster, b: RowsByCluster) -> RowsByCluster:
        """See `Statistic`."""
        both = [np.concatenate(parts) for parts in zip(a, b, strict=True)]
        labels, keys, rows = both[:3]
        order = np.lexsort((rows, keys, labels))
        ordered = labels[order]
        place = np.arange(len(order)) - np.searchsorted(ordered, ordered)
        first = order[place < self.wanted]
        return RowsByCluster(*(part[first] for part in both))

    def finish(self, known: RowsByCluster, centers: np.ndarray) -> RowsByCluster:
        """See `Statistic`."""
        return known
