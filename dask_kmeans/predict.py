"""What a fitted model says of rows, as functions from rows to rows.

`read.Points.apply` runs them on every block and gives the answers back in the caller's kind; so
they are module-level classes, picklable, and hold no more than the centers.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Protocol

import numpy as np

from dask_kmeans import checks
from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.kernels import dense, distances, extent, labelled_distances, nearest, prepare
from dask_kmeans.metrics import EUCLIDEAN, Metric
from dask_kmeans.read import RowName
from dask_kmeans.statistics import (
    Known,
    Statistic,
    figures,
    first_row_of,
    learn,
    merge_known,
    nothing_known,
)
from dask_kmeans.survey import first_unusable


class Labeller(Protocol):
    """What finds labels where they are not the nearest centers. Picklable."""

    def labels(self, values: np.ndarray) -> np.ndarray:
        """int32 (m,): the clusters of rows (m, d); -1 for rows that are left out."""


class Finest:
    """Centers that stand in for others where labels are found: each belongs to one of them.

    Parameters
    ----------
    centers : ndarray of shape (n_finest, n_features)
    parent : ndarray of shape (n_finest,), int32
        The center that each belongs to.
    """

    def __init__(self, centers: np.ndarray, parent: np.ndarray):
        self._prepared = prepare(centers)
        self._parent = np.append(parent, -1).astype(np.int32)  # the last one is that of no center

    def labels(self, values: np.ndarray) -> np.ndarray:
        """See `Labeller`: the centers that the nearest ones belong to."""
        labels = np.empty(len(values), np.int32)
        nearest(values, self._prepared, labels)
        return self._parent[labels]


class RowFunction:
    """A function of rows about given centers, which refuses what is not finite.

    Parameters
    ----------
    centers : ndarray of shape (n_clusters, n_features)
    nan : {"raise", "skip"}
    feature_names : tuple of str or None
        For the message about a value that is not finite.
    metric : Metric
        How distances are told.
    features : ndarray of int, optional
        Positions of the centers' features among those of the data; default: the same.
    labeller : Labeller, optional
        What labels are found by, in place of the nearest center.
    """

    def __init__(
        self,
        centers: np.ndarray,
        nan: str,
        feature_names: tuple[str, ...] | None,
        metric: Metric = EUCLIDEAN,
        features: np.ndarray | None = None,
        labeller: Labeller | None = None,
    ):
        self.prepared = prepare(centers)
        self.nan, self.feature_names, self.metric = nan, feature_names, metric
        self.features, self.labeller = features, labeller

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Rows (m, d) -> (m,) or (m, n_outputs)."""
        raise NotImplementedError

    def check(self, values: np.ndarray, name: RowName = str) -> None:
        """Raise for an infinity, and for a NaN unless its row is to be skipped."""
        if values.dtype.kind != "f":
            return
        bounds = np.full((2, values.shape[1]), [[math.inf], [-math.inf]])
        row, *_ = extent(values, bounds[0], bounds[1])
        bad = first_unusable(dense(values), self.nan) if row >= 0 else None
        if bad is not None:
            row, column, value = bad
            column = column if self.features is None else int(self.features[column])
            raise checks.non_finite_error(name(row), column, value, self.feature_names)


class LabelRows(RowFunction):
    """The nearest center of each row: (m, d) -> (m,) int32; -1 for a row that is skipped.

    With a `labeller`: the one that it finds.
    """

    def __call__(self, values: np.ndarray) -> np.ndarray:
        if self.labeller is not None:
            return self.labeller.labels(values)
        labels = np.empty(len(values), np.int32)
        nearest(values, self.prepared, labels)
        return labels


LABELLED = np.dtype([("label", np.int32), ("distance", np.float64), ("inertia", np.float64)])
"""A row's label, its distance to that center, and what it adds to the inertia; NaN for both where
the row is skipped."""


class LabelledRows(LabelRows):
    """The nearest center of each row and how far that is: (m, d) -> (m,) `LABELLED`."""

    def __call__(self, values: np.ndarray) -> np.ndarray:
        out = np.empty(len(values), LABELLED)
        out["label"] = labels = super().__call__(values)
        squares = labelled_distances(values, self.prepared.centers, labels, np.empty(len(values)))
        out["inertia"] = self.metric.of_square * squares
        out["distance"] = self.metric.distances(squares)
        return out


class DistanceRows(RowFunction):
    """Distances of each row to all centers: (m, d) -> (m, k) float64."""

    def __call__(self, values: np.ndarray) -> np.ndarray:
        out = np.empty((len(values), len(self.prepared.centers)))
        distances(values, self.prepared.centers, out)
        return self.metric.distances(out)


def statistics_of(
    blockwise: Blockwise,
    function: RowFunction,
    statistics: tuple[Statistic, ...],
    carrying: bool = False,
) -> list[Any]:
    """Figures of all rows and their labels by `function`: one pass, however many figures.

    carrying : whether statistics are to see what the source carries beside the rows.
    """
    known = blockwise.run(
        _measure_block, function, statistics, carrying,
        merge=functools.partial(merge_known, statistics),
    )  # fmt: skip
    return figures(statistics, known, function.prepared.centers)


def _measure_block(
    block: OpenBlock, function: RowFunction, statistics: tuple[Statistic, ...], carrying: bool
) -> Known:
    """What a block's rows teach."""
    centers = function.prepared.centers
    known, first = nothing_known(statistics, centers), first_row_of(block.index, block.start)
    for as_read, (values, weights), carried in block.pieces_as_read(carrying):
        function.check(values)
        checks.check_weights(weights, first)
        labels = function(values)
        known = learn(statistics, known, values, weights, labels, centers, first, as_read, carried)
        first += len(values)
    return known
