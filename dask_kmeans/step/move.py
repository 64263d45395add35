"""Move: new centers from sums, and empty clusters to the rows that lie farthest from theirs."""

from __future__ import annotations

import numpy as np

from dask_kmeans.kernels import FixedPoint, Moments, Sums, accumulate, exact_total
from dask_kmeans.step.measure import Farthest

LEAST_LEFT = 0.3
"""Share of a cluster's weight that must be left for a leap of its center to be trusted."""


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
    fixed_point: FixedPoint,
    sampled: Sums,
    factor: float,
    error: tuple[np.ndarray, np.ndarray],
    weights: np.ndarray,
    image: np.ndarray,
) -> np.ndarray:
    """Centers as the sums would give them if all rows had moved as a sample of them did.

    `factor` times the sums of the sample, plus the error of this estimate as it is known from where
    the sums of all rows are. So what remains is the *change* of the error since then, which
    vanishes where the labels settle, unlike the error itself (the variance reduction of Johnson and
    Zhang, "Accelerating stochastic gradient descent using predictive variance reduction", NIPS
    2013, applied to Lloyd's map).

    Parameters
    ----------
    sampled : Sums
        Of the sample, for the centers reached.
    factor : float
        Rows for each sampled row.
    error : (ndarray of shape (k, d), ndarray of shape (k,))
        See `step.anchor`.
    weights : ndarray of shape (k,)
        Of the clusters, in the latest step over all rows.
    image : ndarray of shape (k, d)
        Where the center of a cluster goes of which the estimate leaves little.
    """
    total, estimated = offsets(fixed_point, sampled)
    total = factor * total + error[0]
    estimated = factor * estimated + error[1]
    usable = estimated > LEAST_LEFT * weights
    divisor = np.where(usable, estimated, 1.0)[:, None]
    return np.where(usable[:, None], fixed_point.shift + total / divisor, image)


def offsets(fixed_point: FixedPoint, sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Sums of weight * (x - shift), (k, d), and of weights, (k,), in float64."""
    moments = fixed_point.moments(sums)
    total = (moments.means - fixed_point.shift) * moments.weights[:, None]
    return np.where(moments.filled[:, None], total, 0.0), moments.weights


def scatter_of(moments: Moments) -> float:
    """Inertia of the clusters about the centers beside `moments`, less a constant of the data.

    With S_j the sum of w (x - shift) over cluster j, W_j its weight and c'_j = c_j - shift,
    sum w |x - c_j|^2 = sum w |x - shift|^2 + sum_j (W_j |c'_j|^2 - 2 c'_j . S_j), and the first sum
    is the same for all centers and labels. So one measured inertia gives that of every later step
    without another look at the rows.
    """
    return exact_total(moments.scatter)


def inertia_of(moments: Moments, scatter_offset: float) -> float:
    """Inertia of the clusters about the centers beside `moments`.

    scatter_offset : inertia less `scatter_of`, the constant of the data.
    """
    return max(0.0, scatter_offset + scatter_of(moments))


def total_inertia(fixed_point: FixedPoint, sums: Sums, scatter_offset: float) -> float:
    """Inertia of all rows about their one mean.

    Parameters
    ----------
    sums : Sums
        Of any clusters that have all rows between them.
    scatter_offset : float
        See `inertia_of`.
    """
    one = Sums(*(part.sum(axis=0, keepdims=True) for part in sums))
    return inertia_of(fixed_point.moments(one), scatter_offset)
