"""Means and deviations of the features of each cluster, in the unit of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from dask_kmeans.kernels import ClusterMoments, dense
from dask_kmeans.statistics.record import LabelledRows


class FeatureChoice(Protocol):
    """Leaves out features, as a transform of rows does."""

    def forward(self, rows: Any) -> Any:
        """Rows (m, d) without the features."""

    def undo(self, values: np.ndarray) -> np.ndarray:
        """Values (k, d') of the features that are left, NaN in the places of the others."""


class ClusterFeatures(NamedTuple):
    """Of rows of positive weight, as they were read."""

    means: np.ndarray
    """float64 (k, d); NaN for a cluster without rows."""
    deviations: np.ndarray
    """float64 (k, d), of a sample; see `kernels.ClusterMoments`."""


@dataclass(frozen=True)
class FeaturesByCluster:
    """ClusterFeatures: where the rows of each cluster lie, whatever they went through."""

    present: FeatureChoice | None = None
    """What leaves out features of the rows that are read, of which then NaN is told."""

    def zero(self, centers: np.ndarray) -> ClusterMoments:
        """See `Statistic`."""
        return ClusterMoments.zero(*centers.shape)

    def chunk(self, known: ClusterMoments, rows: LabelledRows) -> ClusterMoments:
        """See `Statistic`."""
        values = dense(rows.as_read)
        if self.present is not None:
            values = self.present.forward(values)
        return known.add(values, rows.all_weights(), rows.labels)

    def merge(self, a: ClusterMoments, b: ClusterMoments) -> ClusterMoments:
        """See `Statistic`."""
        return a.merge(b)

    def finish(self, known: ClusterMoments, centers: np.ndarray) -> ClusterFeatures:
        """See `Statistic`."""
        found = known.means_and_deviations()
        return ClusterFeatures(*(found if self.present is None else map(self.present.undo, found)))
