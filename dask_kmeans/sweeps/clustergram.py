"""Where clusters lie along one direction, by their number: from centers alone, of any data.

Schonlau, "The clustergram: a graph for visualizing hierarchical and nonhierarchical cluster
analyses", Stata Journal 2(4), 2002; with the first principal direction as the one that is drawn.

Legend: k clusters, d features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from dask_kmeans.result import FitResult
from dask_kmeans.statistics import mean_of_means

MOST_STEPS = 1000
"""Power iterations at most: where so many do not tell two directions apart, either will do."""

SETTLED = 2.0**-48
"""Change of a unit vector below which its iteration ends."""


def clustergram(results: Mapping[int, FitResult]) -> pd.DataFrame:
    """Position and size of each cluster of each fit.

    Returns
    -------
    DataFrame
        A row for each (n_clusters, cluster). position: of the center along the leading direction of
        the scatter between the clusters of the fit with the most of them, seen from the mean of all
        rows; in the unit of what is compared (features, standardized ones, or unit vectors). The
        largest coefficient of the direction is positive. size: rows of the cluster.
    """

    most = results[max(results)]
    means, weights = most.moments.means, most.moments.weights
    middle = mean_of_means(means, weights)
    filled = weights > 0
    direction = leading_direction(
        (means[filled] - middle) * np.sqrt(weights[filled, None] / weights.max())
    )
    parts = {
        k: pd.DataFrame(
            {
                "position": ((result.compared_centers - middle) * direction).sum(axis=1),
                "size": result.sizes,
            },
            index=pd.RangeIndex(k, name="cluster"),
        )
        for k, result in results.items()
    }
    return pd.concat(parts, names=["n_clusters"])


def leading_direction(rows: np.ndarray) -> np.ndarray:
    """The unit vector (d,) that rows (k, d) have the largest sum of squares along.

    Zeros for rows of zeros. Operations are in an order of their own, not that of a BLAS, so that
    the bits are the same on every machine.
    """
    largest = np.abs(rows).max(initial=0)
    if not largest > 0:
        return np.zeros(rows.shape[1])
    rows = rows / largest
    wide = rows.shape[1] > rows.shape[0]
    basis = rows if wide else np.ascontiguousarray(rows.T)
    products = np.array([(basis * each).sum(axis=1) for each in basis])
    vector = _unit(products[np.argmax(np.diagonal(products))])
    for _ in range(MOST_STEPS):
        before, vector = vector, _unit((products * vector).sum(axis=1))
        if np.abs(vector - before).max() < SETTLED:
            break
    direction = _unit((basis.T * vector).sum(axis=1)) if wide else vector
    return direction if direction[np.argmax(np.abs(direction))] > 0 else -direction


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / math.sqrt(math.fsum(vector * vector))
