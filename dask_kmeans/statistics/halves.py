"""How each cluster falls in two: its farthest row, and the sums of its two halves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dask_kmeans.kernels import (
    FixedPoint,
    Sums,
    accumulate,
    dense,
    labelled_distances,
    merge_sums,
)
from dask_kmeans.statistics.record import LabelledRows


class FarthestOfEach(NamedTuple):
    """The farthest row of every cluster; of equally far ones the first."""

    distances: np.ndarray
    """(k,) float64, squared; -1 for a cluster without rows."""
    rows: np.ndarray
    """(k,) int64, global row numbers"""
    values: np.ndarray
    """(k, d) float64; not a number for a cluster without rows."""


@dataclass(frozen=True)
class FarthestByCluster:
    """FarthestOfEach: of the rows of positive weight."""

    def zero(self, centers: np.ndarray) -> FarthestOfEach:
        """See `Statistic`."""
        k = len(centers)
        return FarthestOfEach(
            np.full(k, -1.0), np.zeros(k, np.int64), np.full(centers.shape, np.nan)
        )

    def chunk(self, known: FarthestOfEach, rows: LabelledRows) -> FarthestOfEach:
        """See `Statistic`."""
        labels = rows.counted_labels()
        before = np.where(labels >= 0, known.distances[labels], np.inf)
        farther = np.flatnonzero(rows.distances > before)  # which is false for NaN
        # Of each cluster the farthest comes first, and of equals the first.
        farther = farther[np.lexsort((-rows.distances[farther], labels[farther]))]
        clusters, first = np.unique(labels[farther], return_index=True)
        chosen = farther[first]
        known.distances[clusters] = rows.distances[chosen]
        known.rows[clusters] = rows.first_row + chosen
        known.values[clusters] = dense(rows.values[chosen])
        return known

    def merge(self, a: FarthestOfEach, b: FarthestOfEach) -> FarthestOfEach:
        """See `Statistic`."""
        tie = (b.distances == a.distances) & (b.rows < a.rows)
        farther = (b.distances > a.distances) | tie
        for mine, others in zip(a, b, strict=True):
            mine[farther] = others[farther]
        return a

    def finish(self, known: FarthestOfEach, centers: np.ndarray) -> FarthestOfEach:
        """See `Statistic`."""
        return known


@dataclass(frozen=True, eq=False)
class HalvesByCluster:
    """Sums of 2 k clusters: rows go to the nearer one of two points of their cluster."""

    fixed_point: FixedPoint
    one: np.ndarray
    """float64 (k, d): the rows of cluster j that are nearer to this one are added up as j."""
    other: np.ndarray
    """float64 (k, d): the others as k + j."""

    def zero(self, centers: np.ndarray) -> Sums:
        """See `Statistic`."""
        return self.fixed_point.zero_sums(2 * len(centers))

    def chunk(self, known: Sums, rows: LabelledRows) -> Sums:
        """See `Statistic`."""
        labels, size = rows.labels, len(rows.labels)
        to_one = labelled_distances(rows.values, self.one, labels, np.empty(size))
        to_other = labelled_distances(rows.values, self.other, labels, np.empty(size))
        halves = np.where(to_other < to_one, labels + len(self.one), labels).astype(np.int32)
        none = np.full(size, -1, np.int32)
        accumulate(rows.values, rows.weights, self.fixed_point, none, halves, known)
        return known

    def merge(self, a: Sums, b: Sums) -> Sums:
        """See `Statistic`."""
        return merge_sums(a, b)

    def finish(self, known: Sums, centers: np.ndarray) -> Sums:
        """See `Statistic`."""
        return known
