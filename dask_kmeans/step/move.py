"""Move: new centers from sums, and empty clusters to the rows that lie farthest from theirs."""

from __future__ import annotations

import numpy as np

from dask_kmeans.kernels import ExactSum, FixedPoint, Sums, accumulate
from dask_kmeans.step.measure import Farthest

LEAST_LEFT = 0.3
"""Share of a cluster's weight that must be left for a leap of its center to be trusted."""


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


def leap(
    fixed_point: FixedPoint, sums: Sums, before: Sums, after: Sums, factor: float, image: np.ndarray
) -> np.ndarray:
    """Centers as the sums would give them if all rows had moved as a sample of them did.

    The sums of all rows, known exactly for one set of centers, plus `factor` times what the sums of
    the sample have changed since then. The estimate errs only in the *change*, so it vanishes
    where the labels settle, unlike that of the sample alone (the variance reduction of Johnson and
    Zhang, "Accelerating stochastic gradient descent using predictive variance reduction", NIPS
    2013, applied to Lloyd's map).

    Parameters
    ----------
    sums : Sums
        Of all rows.
    before, after : Sums
        Of the sample: for the centers that `sums` belong to, and for those reached since.
    factor : float
        Rows for each sampled row.
    image : ndarray of shape (k, d)
        The plain means of `sums`, kept for a cluster that the estimate leaves little of.
    """
    total, weights = _offsets(fixed_point, sums)
    total_before, weights_before = _offsets(fixed_point, before)
    total_after, weights_after = _offsets(fixed_point, after)
    total = total + factor * (total_after - total_before)
    estimated = weights + factor * (weights_after - weights_before)
    usable = estimated > LEAST_LEFT * weights
    divisor = np.where(usable, estimated, 1.0)[:, None]
    return np.where(usable[:, None], fixed_point.shift + total / divisor, image)


def _offsets(fixed_point: FixedPoint, sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Sums of weight * (x - shift), (k, d), and of weights, (k,), in float64."""
    means, weights = fixed_point.means(sums)
    filled = (weights > 0)[:, None]
    return np.where(filled, (means - fixed_point.shift) * weights[:, None], 0.0), weights


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
