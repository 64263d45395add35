"""The inertia: what k-means makes small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dask_kmeans.kernels import ExactSum
from dask_kmeans.statistics.record import Known, LabelledRows, Statistic


@dataclass(frozen=True)
class Inertia:
    """float: the sum of weight times squared distance to the center of the label."""

    def zero(self, centers: np.ndarray) -> ExactSum:
        """See `Statistic`."""
        return ExactSum()

    def chunk(self, known: ExactSum, rows: LabelledRows) -> ExactSum:
        """See `Statistic`."""
        return known.add(rows.distances, rows.weights)

    def merge(self, a: ExactSum, b: ExactSum) -> ExactSum:
        """See `Statistic`."""
        return a.merge(b)

    def finish(self, known: ExactSum, centers: np.ndarray) -> float:
        """See `Statistic`."""
        return known.value()


def measured_inertia(statistics: Sequence[Statistic], known: Known) -> float | None:
    """The inertia, if it is among what is known of some statistics."""
    for statistic, total in zip(statistics, known, strict=True):
        if isinstance(statistic, Inertia):
            return total.value()
    return None
