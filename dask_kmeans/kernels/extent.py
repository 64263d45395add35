"""Minimum, maximum and the first value that is not finite, at the speed of memory."""

import numba
import numpy as np

from .layout import numeric


def extent(
    X: np.ndarray, minimum: np.ndarray, maximum: np.ndarray
) -> tuple[int, int, bool, int]:
    """Widen the running minimum and maximum of every feature by the rows of X, NaN ignored.

    X : (m, d), any numeric dtype and strides; minimum, maximum : float64 (d,), updated in place
    (start from +inf and -inf).

    Returns
    -------
    (row, column, is_nan, nan_rows) : where the first non-finite value lies in row-major order
    (-1, -1 where there is none), whether it is a NaN, and how many rows hold a NaN.
    """
    row, column, is_nan, nan_rows = _extent(numeric(X), minimum, maximum)
    return int(row), int(column), bool(is_nan), int(nan_rows)


@numba.njit(cache=True, nogil=True)
def _extent(X, minimum, maximum):
    m, d = X.shape
    bad_row, bad_column, is_nan, nan_rows = -1, -1, False, 0
    for i in range(m):
        nan = False
        for j in range(d):
            x = np.float64(X[i, j])
            if x < minimum[j]:
                minimum[j] = x
            if x > maximum[j]:
                maximum[j] = x
            if not np.isfinite(x):
                nan = nan or np.isnan(x)
                if bad_row < 0:
                    bad_row, bad_column, is_nan = i, j, np.isnan(x)
        nan_rows += nan
    return bad_row, bad_column, is_nan, nan_rows
