"""How much nearer rows are to their own center than to the next one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dask_kmeans.kernels import ExactSum, second_distances
from dask_kmeans.statistics.record import LabelledRows

Sums = tuple[ExactSum, ExactSum]
"""Of weight times silhouette, and of the weights."""


@dataclass(frozen=True)
class SimplifiedSilhouette:
    """float: the weighted mean over rows of (b - a) / max(a, b) = 1 - a / b.

    a is the distance of a row to its own center, b that to the nearest of the other centers; 0 for
    a row that is as near to both. NaN for a single center. It is the silhouette with the distances
    to centers in place of the mean distances to all rows of a cluster (Hruschka, de Castro,
    Campello, "Evolutionary algorithms for clustering gene-expression data", ICDM 2004).
    """

    def zero(self, centers: np.ndarray) -> Sums:
        """See `Statistic`."""
        return ExactSum(), ExactSum()

    def chunk(self, known: Sums, rows: LabelledRows) -> Sums:
        """See `Statistic`."""
        silhouettes, weights = known
        if len(rows.centers) == 1:
            return known
        own = np.sqrt(rows.distances)
        other = np.empty(len(own))
        np.sqrt(second_distances(rows.values, rows.centers, rows.labels, other), out=other)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(other > 0, own / other, 1.0)  # both are 0 where the other one is
        counted = rows.labels >= 0
        ratio[~counted] = np.nan
        of_rows = counted.sum() if rows.weights is None else rows.weights[counted]
        return silhouettes.add(1 - ratio, rows.weights), weights.add(of_rows)

    def merge(self, a: Sums, b: Sums) -> Sums:
        """See `Statistic`."""
        return a[0].merge(b[0]), a[1].merge(b[1])

    def finish(self, known: Sums, centers: np.ndarray) -> float:
        """See `Statistic`."""
        silhouettes, weights = (total.value() for total in known)
        return silhouettes / weights if weights > 0 else float("nan")
