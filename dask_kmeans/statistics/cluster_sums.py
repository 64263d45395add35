"""Sums of the rows of each cluster, of which its center is made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dask_kmeans.kernels import FixedPoint, Sums, accumulate, merge_sums
from dask_kmeans.statistics.record import LabelledRows


@dataclass(frozen=True)
class SumsByCluster:
    """Sums: fixed-point sums and counts of the rows with each label."""

    fixed_point: FixedPoint

    def zero(self, centers: np.ndarray) -> Sums:
        """See `Statistic`."""
        return self.fixed_point.zero_sums(len(centers))

    def chunk(self, known: Sums, rows: LabelledRows) -> Sums:
        """See `Statistic`."""
        nowhere = np.full(len(rows.labels), -1, np.int32)
        accumulate(rows.values, rows.weights, self.fixed_point, nowhere, rows.labels, known)
        return known

    def merge(self, a: Sums, b: Sums) -> Sums:
        """See `Statistic`."""
        return merge_sums(a, b)

    def finish(self, known: Sums, centers: np.ndarray) -> Sums:
        """See `Statistic`."""
        return known
