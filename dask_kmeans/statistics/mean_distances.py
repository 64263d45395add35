"""How far the rows of each cluster lie from its center, on average."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dask_kmeans.kernels import ExactSums
from dask_kmeans.statistics.record import LabelledRows

Sums = tuple[ExactSums, ExactSums]
"""Of weight times distance, and of the weights."""


@dataclass(frozen=True)
class MeanDistances:
    """float64 (k,): the weighted mean distance of a cluster's rows to its center.

    NaN for a cluster without weight.
    """

    distance: Callable[[np.ndarray], np.ndarray] = np.sqrt
    """Distances of squared Euclidean distances (m,)."""

    def zero(self, centers: np.ndarray) -> Sums:
        """See `Statistic`."""
        return ExactSums(len(centers)), ExactSums(len(centers))

    def chunk(self, known: Sums, rows: LabelledRows) -> Sums:
        """See `Statistic`."""
        distances, weights = known
        distances.add(self.distance(rows.distances), rows.labels, rows.weights)
        if rows.weights is not None:
            return distances, weights.add(rows.weights, rows.labels)
        counts = np.bincount(rows.labels[rows.labels >= 0], minlength=len(rows.centers))
        return distances, weights.add(counts, np.arange(len(counts), dtype=np.int32))

    def merge(self, a: Sums, b: Sums) -> Sums:
        """See `Statistic`."""
        return a[0].merge(b[0]), a[1].merge(b[1])

    def finish(self, known: Sums, centers: np.ndarray) -> np.ndarray:
        """See `Statistic`."""
        distances, weights = (sums.values() for sums in known)
        with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of an empty cluster
            return distances / weights
