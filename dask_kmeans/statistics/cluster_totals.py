"""Rows, weight and inertia of each cluster, and its largest distance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dask_kmeans.kernels import ExactSums
from dask_kmeans.statistics.record import LabelledRows


class ClusterTotals(NamedTuple):
    """Figures of k clusters; all but the sizes are of rows of positive weight."""

    sizes: np.ndarray
    """int64 (k,): rows with this label, whatever their weight."""
    weights: np.ndarray
    """float64 (k,)"""
    squares: np.ndarray
    """float64 (k,): sums of weight times squared distance."""
    largest: np.ndarray
    """float64 (k,): the largest distance; NaN where there is none."""


class _Known(NamedTuple):
    sizes: np.ndarray
    weights: ExactSums
    squares: ExactSums
    largest: np.ndarray
    """Minus infinity where there is no distance."""


@dataclass(frozen=True)
class TotalsByCluster:
    """ClusterTotals: how many rows each cluster has, and how far from its center they lie."""

    distance: Callable[[np.ndarray], np.ndarray]
    """Distances of squared Euclidean distances (m,)."""

    def zero(self, centers: np.ndarray) -> _Known:
        """See `Statistic`."""
        k = len(centers)
        return _Known(np.zeros(k, np.int64), ExactSums(k), ExactSums(k), np.full(k, -np.inf))

    def chunk(self, known: _Known, rows: LabelledRows) -> _Known:
        """See `Statistic`."""
        counted = rows.counted_labels()
        own = counted >= 0
        np.maximum.at(known.largest, counted[own], self.distance(rows.distances)[own])
        labelled = rows.labels[rows.labels >= 0]
        return known._replace(
            sizes=known.sizes + np.bincount(labelled, minlength=len(known.sizes)),
            weights=known.weights.add(rows.all_weights(), counted),
            squares=known.squares.add(rows.distances, counted, rows.weights),
        )

    def merge(self, a: _Known, b: _Known) -> _Known:
        """See `Statistic`."""
        return _Known(
            a.sizes + b.sizes, a.weights.merge(b.weights), a.squares.merge(b.squares),
            np.maximum(a.largest, b.largest),
        )  # fmt: skip

    def finish(self, known: _Known, centers: np.ndarray) -> ClusterTotals:
        """See `Statistic`."""
        largest = np.where(known.largest < 0, np.nan, known.largest)
        return ClusterTotals(known.sizes, known.weights.values(), known.squares.values(), largest)
