"""Move: rows that lie far from their centers go over to clusters that have none."""

from __future__ import annotations

import numpy as np

from dask_kmeans.kernels import FixedPoint, Sums, accumulate
from dask_kmeans.statistics import Farthest


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
        if fixed_point.moments(moved).weights[donor] > 0:
            sums = moved
            unfilled.pop(0)
    return sums, len(empty) - len(unfilled)
