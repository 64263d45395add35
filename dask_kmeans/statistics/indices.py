"""Indices that tell how well clusters hold together and keep apart, from figures of a pass.

Definitions are those of `sklearn.metrics`, where a weight stands for so many equal rows. Only
clusters with weight count; where there are fewer than two of them, an index is NaN.

Legend: k clusters, d features.
"""

from __future__ import annotations

import math

import numpy as np

from dask_kmeans.kernels import distances, exact_total

CENTERS_AT_ONCE = 2**8
"""Centers whose distances to all others are in memory at a time."""


def mean_of_means(means: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mean (d,) of rows in clusters with these means (k, d) and weights (k,)."""
    filled = weights > 0
    parts = (means[filled] * weights[filled, None]).T
    return np.array([math.fsum(part) for part in parts]) / math.fsum(weights)


def total_inertia(
    means: np.ndarray, weights: np.ndarray, centers: np.ndarray, inertia: float, center: np.ndarray
) -> float:
    """Sum of weight times squared distance of all rows to one `center` (d,).

    Others as for `calinski_harabasz`.
    """
    filled = weights > 0
    means, weights = means[filled], weights[filled, None]
    away = exact_total(weights * (means - centers[filled]) ** 2)
    return max(0.0, inertia - away) + exact_total(weights * (means - center) ** 2)


def calinski_harabasz(
    means: np.ndarray, weights: np.ndarray, centers: np.ndarray, inertia: float
) -> float:
    """Scatter between clusters over scatter within them, each by its degrees of freedom.

    means : (k, d), of the rows of each cluster; weights : (k,); inertia : sum of weight times
    squared distance to the `centers` (k, d), which need not be the means.
    """
    filled = weights > 0
    k, total = int(np.count_nonzero(filled)), math.fsum(weights)
    if k < 2 or total <= k:
        return math.nan
    means, weights = means[filled], weights[filled]
    away = exact_total(weights[:, None] * (means - centers[filled]) ** 2)
    within = max(0.0, inertia - away)
    between = exact_total(weights[:, None] * (means - mean_of_means(means, weights)) ** 2)
    if within == 0:
        return 1.0  # as scikit-learn has it
    return between / within * (total - k) / (k - 1)


def davies_bouldin(centers: np.ndarray, weights: np.ndarray, mean_distances: np.ndarray) -> float:
    """The mean over clusters of how much they overlap with the cluster that they do most with.

    That is, of two clusters, the sum of the mean distances of their rows to their centers, over the
    distance of the centers.

    centers : (k, d); weights : (k,); mean_distances : (k,), of the rows of each cluster.
    """
    filled = weights > 0
    centers, spread = np.ascontiguousarray(centers[filled]), mean_distances[filled]
    k = len(centers)
    if k < 2:
        return math.nan
    most = []
    for start in range(0, k, CENTERS_AT_ONCE):
        some = slice(start, start + CENTERS_AT_ONCE)
        apart = np.sqrt(distances(centers[some], centers, np.empty((len(centers[some]), k))))
        apart[apart == 0] = np.inf  # a center itself, or one at the same place
        most.extend(((spread[some, None] + spread) / apart).max(axis=1).tolist())
    return math.fsum(most) / k
