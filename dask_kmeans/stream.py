"""Batch after batch: what `partial_fit` remembers of rows that it will not see again.

The rows so far are summed up by weighted points, many for each cluster. A batch becomes points;
where there are too many, clusters of them become points in their place; and the clusters of the
model are those of the points (Guha, Meyerson, Mishra, Motwani, O'Callaghan, "Clustering data
streams: theory and practice", IEEE TKDE 15(3), 2003). So a batch that is like none before it finds
centers of its own, which running means of k clusters would not give it.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from dask_kmeans import checks
from dask_kmeans.blockwise import OpenBlock
from dask_kmeans.fit import fit
from dask_kmeans.kernels import dense
from dask_kmeans.metrics import METRICS
from dask_kmeans.parameters import FitParameters
from dask_kmeans.read import Points, as_points
from dask_kmeans.result import FitResult, Stream
from dask_kmeans.rows import all_rows
from dask_kmeans.statistics import TotalsByCluster

POINTS_A_CLUSTER, LEAST_POINTS = 20, 1000
"""Points that rows become, for each cluster, and at least. (covertype in 100 batches, ten clusters:
100 points take the inertia 3 % above that of a fit, 200 take it 2 %, and 1000 take it 0.4 %.)"""

STEPS = 5
"""Iterations in which rows become points: later ones move them little."""

BETTER = 0.99
"""Share of the inertia of centers that went on from those before, below which new ones, with other
numbers, take their place."""


def most_points(n_clusters: int) -> int:
    """Points that the rows of a batch become, at most; twice as many are kept."""
    return max(LEAST_POINTS, POINTS_A_CLUSTER * n_clusters)


def summed_up(points: Points, parameters: FitParameters) -> tuple[Stream, int]:
    """The rows of a batch as weighted points, and how often they were read for it."""
    metric, most = METRICS[parameters.metric], most_points(*parameters.n_clusters)
    with ExitStack() as stack:
        rows = all_rows(points.through(*metric.transforms), parameters, stack, content=False)
        checks.check_every_feature(np.isnan(rows.points.outward(rows.found.minimum[None])[0]))
        if rows.found.positive_rows <= most:
            kept = rows.blockwise.run(_rows_of, merge=_together)
            values, weights = (
                np.concatenate([kept[index][part] for index in sorted(kept)]) for part in (0, 1)
            )
            n_rows = np.ones(len(weights), np.int64)
            return Stream(values, weights, n_rows, np.zeros(1)), 2
    result = _few(points, parameters, most)
    totals = result.statistics[0]
    stream = Stream(result.centers, totals.weights, totals.sizes, np.array([result.inertia]))
    return stream.chosen(totals.weights > 0), 1 + result.passes


def joined(before: Stream, batch: Stream, parameters: FitParameters) -> Stream:
    """The points of both, or fewer that stand for them."""
    both, most = before.followed_by(batch), most_points(*parameters.n_clusters)
    if len(both.points) <= 2 * most:
        return both
    result = _few(as_points(both.points, both.point_weights), parameters, most)
    assert result.labels is not None
    weights, n_rows = np.zeros(most), np.zeros(most, np.int64)
    np.add.at(weights, result.labels, both.point_weights)
    np.add.at(n_rows, result.labels, both.point_rows)
    fewer = Stream(result.centers, weights, n_rows, both.lost + result.inertia)
    return fewer.chosen(weights > 0)


def clustered(stream: Stream, parameters: FitParameters, previous: np.ndarray | None) -> FitResult:
    """The clusters of the points; where it costs little, with the numbers of `previous` (k, d)."""
    points = as_points(stream.points, stream.point_weights)
    best = fit(points, parameters)[0]
    if previous is not None:
        going_on = replace(parameters, init=previous, n_init=1, accelerated=False)
        same = fit(points, going_on)[0]
        if BETTER * same.inertia <= best.inertia:
            best = same
    assert best.labels is not None
    sizes = np.zeros(len(best.centers), np.int64)
    np.add.at(sizes, best.labels, stream.point_rows)
    # Labels are of the points, and mean nothing to the caller.
    return replace(best, labels=None, sizes=sizes, inertia=best.inertia + float(stream.lost[0]))


def _few(points: Points, parameters: FitParameters, most: int) -> FitResult:
    """The clusters, `most` of them, that rows or points become."""
    wanted = replace(
        parameters, n_clusters=(most,), init="random", n_init=1, max_iter=STEPS,
        accelerated=False, oversampling_factor=None, init_rounds=None,
    )  # fmt: skip
    with warnings.catch_warnings():
        # Fewer distinct rows than points: then there are fewer points.
        warnings.simplefilter("ignore", ConvergenceWarning)
        totals = TotalsByCluster(METRICS[parameters.metric].distances)
        return fit(points.for_clusters(most), wanted, statistics=(totals,))[0]


def _rows_of(block: OpenBlock) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """The rows of a block that count, float64 (m, d), and their weights (m,)."""
    values, weights = [np.empty((0, 0))], [np.empty(0)]
    for piece in block.pieces():
        own = dense(piece.values).astype(np.float64)
        of_rows = np.ones(len(own)) if piece.weights is None else piece.weights
        counted = np.isfinite(own).all(axis=1) & (of_rows > 0)
        values[0] = values[0].reshape(0, own.shape[1])
        values.append(own[counted])
        weights.append(of_rows[counted])
    return {block.index: (np.concatenate(values), np.concatenate(weights))}


def _together(a: dict, b: dict) -> dict:
    return a | b
