"""Squared distances in one fixed order of operations, hence the same bits on every machine.

d2(x, c) = the float64 sum over features, first to last, of (x - c)**2: subtract, multiply, add, each
rounded once, never fused. Everything that is reported, compared or drawn from uses this.
"""

import numba
import numpy as np

from .layout import numeric


def labelled_distances(
    X: np.ndarray, centers: np.ndarray, labels: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Squared distance of every row to the center of its label; NaN where the label is -1.

    X : (m, d), any numeric dtype and strides; centers : (k, d); labels : int32 (m,);
    out : float64 (m,), written and returned.
    """
    _labelled_distances(numeric(X), np.ascontiguousarray(centers, np.float64), labels, out)
    return out


def distances(X: np.ndarray, centers: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Squared distance of every row to every center.

    X : (m, d), any numeric dtype and strides; centers : (k, d); out : float64 (m, k), written and
    returned.
    """
    _distances(numeric(X), np.ascontiguousarray(centers, np.float64), out)
    return out


@numba.njit(cache=True, nogil=True)
def _labelled_distances(X, centers, labels, out):
    m, d = X.shape
    for i in range(m):
        j = labels[i]
        if j < 0:
            out[i] = np.nan
            continue
        total = 0.0
        for feature in range(d):
            difference = np.float64(X[i, feature]) - centers[j, feature]
            total += difference * difference
        out[i] = total


@numba.njit(cache=True, nogil=True)
def _distances(X, centers, out):
    m, d = X.shape
    for i in range(m):
        for j in range(len(centers)):
            total = 0.0
            for feature in range(d):
                difference = np.float64(X[i, feature]) - centers[j, feature]
                total += difference * difference
            out[i, j] = total
