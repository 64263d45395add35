"""Metrics: what rows go through, what their centers are, and how distances are told.

Whatever the metric, rows and centers are compared by their squared Euclidean distance, after the
transforms: so a metric brings no kernel, no bound and no pass of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dask_kmeans.centers import MeanCenters, UnitCenters
from dask_kmeans.read import Transform
from dask_kmeans.read.transforms import UnitRows
from dask_kmeans.state import IterationRecord


class Metric(NamedTuple):
    """What `KMeans(metric=...)` names."""

    transforms: tuple[Transform, ...]
    """What rows go through before they are compared."""
    rule: type[MeanCenters] | type[UnitCenters]
    """What makes centers of sums."""
    of_square: float
    """Share of a squared distance that the inertia counts: a power of two, which rounds nothing."""
    distances: Callable[[np.ndarray], np.ndarray]
    """Squared distances as `transform` gives them, in the same memory."""

    def distances_of(self, squares: np.ndarray) -> np.ndarray:
        """The same, in memory of its own."""
        return self.distances(squares.copy())

    def told(self, record: IterationRecord) -> IterationRecord:
        """The record of an iteration, for users."""
        if self.of_square == 1.0:
            return record
        return record._replace(inertia=self.of_square * record.inertia)


def _roots(squares: np.ndarray) -> np.ndarray:
    return np.sqrt(squares, out=squares)


def _halves(squares: np.ndarray) -> np.ndarray:
    """1 - cos: half of the squared distance of two unit vectors."""
    return np.multiply(squares, 0.5, out=squares)


METRICS = {
    "euclidean": Metric((), MeanCenters, 1.0, _roots),
    "cosine": Metric((UnitRows(),), UnitCenters, 0.5, _halves),
}
"""The metrics by their names."""
EUCLIDEAN = METRICS["euclidean"]
