"""The rows that lie nearest to the center of each cluster, and farthest from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dask_kmeans.statistics.record import LabelledRows

NO_ROW = -1


class ExtremeRows(NamedTuple):
    """Up to t rows of each of k clusters, the first in order first, equals by their numbers."""

    keys: np.ndarray
    """float64 (k, t): their distances, or minus these; infinite where there is no row."""
    rows: np.ndarray
    """int64 (k, t): their numbers, as `LabelledRows.first_row` counts; `NO_ROW` for no row."""
    carried: dict[int, dict[str, Any]]
    """What the source carries beside them, by these numbers; of a few other rows too. Empty where
    a pass does not take it along."""

    @property
    def distances(self) -> np.ndarray:
        """float64 (k, t), of those that are rows."""
        return np.abs(self.keys)


@dataclass(frozen=True)
class RowsByDistance:
    """ExtremeRows: those of positive weight that lie nearest to their centers, or farthest."""

    distance: Callable[[np.ndarray], np.ndarray]
    """Distances of squared Euclidean distances (m,)."""
    wanted: int
    """How many of each cluster, at most."""
    farthest: bool = False

    def zero(self, centers: np.ndarray) -> ExtremeRows:
        """See `Statistic`."""
        shape = len(centers), self.wanted
        return ExtremeRows(np.full(shape, np.inf), np.full(shape, NO_ROW), {})

    def chunk(self, known: ExtremeRows, rows: LabelledRows) -> ExtremeRows:
        """See `Statistic`."""
        if not self.wanted:
            return known
        keys = self.distance(rows.distances)
        if self.farthest:
            keys = -keys
        numbers = rows.first_row + np.arange(len(keys))
        last, last_row = known.keys[rows.labels, -1], known.rows[rows.labels, -1]
        # Soon nearly no row comes before the last of its cluster. Keys of rows without a label are
        # NaN, which comes before nothing.
        before = (keys < last) | ((keys == last) & (numbers < last_row))
        if rows.weights is not None:
            before &= rows.weights > 0
        found = np.flatnonzero(before)
        known = _inserted(known, rows.labels[found], keys[found], numbers[found])
        if rows.carried is None or not len(found):
            return known
        found = found[np.isin(numbers[found], known.rows)]
        carried = zip(numbers[found].tolist(), rows.carried.take(found).to_pylist(), strict=True)
        return _with_carried(known, dict(carried))

    def merge(self, a: ExtremeRows, b: ExtremeRows) -> ExtremeRows:
        """See `Statistic`."""
        clusters, ranks = np.nonzero(b.rows != NO_ROW)
        merged = _inserted(a, clusters, b.keys[clusters, ranks], b.rows[clusters, ranks])
        return _with_carried(merged, b.carried)

    def finish(self, known: ExtremeRows, centers: np.ndarray) -> ExtremeRows:
        """See `Statistic`."""
        return known


def _with_carried(known: ExtremeRows, carried: dict[int, dict[str, Any]]) -> ExtremeRows:
    """What is known with more that is carried; now and then what is not wanted is let go of."""
    carried = known.carried | carried
    if len(carried) > 2 * known.rows.size:
        carried = {row: carried[row] for row in known.rows.ravel().tolist() if row in carried}
    return known._replace(carried=carried)


def _inserted(
    known: ExtremeRows, clusters: np.ndarray, keys: np.ndarray, rows: np.ndarray
) -> ExtremeRows:
    """What is known with more rows (m,) of such clusters, in place."""
    if not len(clusters):
        return known
    touched = np.unique(clusters)
    wanted = known.keys.shape[1]
    old, places = np.nonzero(known.rows[touched] != NO_ROW)
    clusters = np.concatenate([touched[old], clusters])
    keys = np.concatenate([known.keys[touched[old], places], keys])
    rows = np.concatenate([known.rows[touched[old], places], rows])
    order = np.lexsort((rows, keys, clusters))
    clusters, keys, rows = clusters[order], keys[order], rows[order]
    ranks = np.arange(len(clusters)) - np.searchsorted(clusters, clusters)
    kept = ranks < wanted
    known.keys[clusters[kept], ranks[kept]] = keys[kept]
    known.rows[clusters[kept], ranks[kept]] = rows[kept]
    return known
