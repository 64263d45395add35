"""Nearest centers, and the sums of the rows that changed cluster, in one pass over a block."""

from typing import NamedTuple

import numba
import numpy as np

from .layout import numeric
from .panel import Panel
from .sums import FixedPoint, Sums, accumulate


class Tally(NamedTuple):
    """What one call did.

    changed : rows whose label changed.
    undecided : rows that the float32 filter could not decide.
    tied : rows that the float64 filter could not decide either.
    """

    changed: int
    undecided: int
    tied: int


def nearest(X: np.ndarray, panel: Panel, labels: np.ndarray) -> Tally:
    """Write the label of every row's nearest center, ties to the lowest, -1 for a row with a NaN.

    X : (m, d), any numeric dtype and strides; labels : int32 (m,), written.
    """
    before = labels.copy()
    _nearest(numeric(X), panel.centers, labels)
    return Tally(int(np.count_nonzero(labels != before)), 0, 0)


def assign(
    X: np.ndarray,
    weights: np.ndarray | None,
    panel: Panel,
    fixed_point: FixedPoint,
    labels: np.ndarray,
    sums: Sums,
) -> Tally:
    """`nearest`, and move every row whose label changed from its old cluster's sums to its new one's.

    X : (m, d), any numeric dtype and strides; weights : float64 (m,) or None;
    labels : int32 (m,), -1 = in no cluster yet, updated in place; sums : updated in place.
    """
    before = labels.copy()
    _nearest(numeric(X), panel.centers, labels)
    accumulate(X, weights, fixed_point, before, labels, sums)
    return Tally(int(np.count_nonzero(labels != before)), 0, 0)


@numba.njit(cache=True, nogil=True)
def _nearest(X, centers, labels):
    m, d = X.shape
    for i in range(m):
        best, label, missing = np.inf, 0, False
        for j in range(len(centers)):
            total = 0.0
            for feature in range(d):
                difference = np.float64(X[i, feature]) - centers[j, feature]
                total += difference * difference
            missing = missing or np.isnan(total)
            if total < best:
                best, label = total, j
        labels[i] = label
        if missing:
            for feature in range(d):
                if np.isnan(np.float64(X[i, feature])):
                    labels[i] = -1
