"""Move: new centers from sums, and empty clusters to the rows that lie farthest from theirs."""

from __future__ import annotations

import numpy as np

from dask_kmeans.kernels import ExactSum, FixedPoint, Sums, accumulate
from dask_kmeans.step.measure import Farthest


def empty_clusters(fixed_point: FixedPoint, sums: Sums) -> np.ndarray:
    """Clusters without weight, ascending."""
    _, weights = fixed_point.means(sums)
    return np.flatnonzero(weights == 0)


def move(fixed_point: FixedPoint, sums: Sums, centers: np.ndarray) -> np.ndarray:
    """The mean of each cluster, float64 (k, d); an empty one stays where it is in `centers`."""
    means, weights = fixed_point.means(sums)
    return np.where((weights > 0)[:, None], means, centers)


def relocate(
    fixed_point: FixedPoint, sums: Sums, empty: np.ndarray, farthest: Farthest
) -> tuple[Sums, int]:
    """Sums in which far rows have gone over to the empty clusters, and how many clusters got one.

    The farthest row goes to the first empty cluster, and so on, as in scikit-learn. Two deviations:
    equally far rows go in the order of the rows, and a row is passed over where it is all that its
    cluster has, since moving it would only empty another one. Labels stay as they are: the next
    step sees the moved centers and settles who belongs to them.
    """
    sums = Sums(*(np.copy(part) for part in sums))
    unfilled = list(empty)
    for at in np.flatnonzero(farthest.distances > 0):
        if not unfilled:
            break
        donor = farthest.labels[at]
        if sums.counts[donor] < 2:
            continue
        one = slice(at, at + 1)
        target = np.array([unfilled[0]], np.int32)
        moved = Sums(*(np.copy(part) for part in sums))
        accumulate(
            farthest.values[one], farthest.weights[one] if len(sums.weight_high) else None,
            fixed_point, farthest.labels[one], target, moved,
        )  # fmt: skip
        _, weights = fixed_point.means(moved)
        if weights[donor] > 0:
            sums = moved
            unfilled.pop(0)
    return sums, len(empty) - len(unfilled)


def scatter_of_centers(fixed_point: FixedPoint, sums: Sums, centers: np.ndarray) -> float:
    """Inertia of the labels behind `sums` about `centers`, less a constant of the data.

    With S_j the sum of w (x - shift) over cluster j, W_j its weight and c'_j = c_j - shift,
    sum w |x - c_j|^2 = sum w |x - shift|^2 + sum_j (W_j |c'_j|^2 - 2 c'_j . S_j), and the first sum
    is the same for all centers and labels. So one measured inertia gives that of every later step
    without another look at the rows.
    """
    means, weights = fixed_point.means(sums)
    filled = weights > 0
    moved = centers[filled] - fixed_point.shift
    mean = means[filled] - fixed_point.shift
    total = ExactSum()
    total.add((weights[filled, None] * moved * (moved - 2 * mean)).ravel())
    return total.value()


def center_shift(before: np.ndarray, after: np.ndarray) -> float:
    """Euclidean norm of how far the centers have moved together, in the unit of the data."""
    return float(np.sqrt(((after - before) ** 2).sum()))
