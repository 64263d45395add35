"""Minimum, maximum and the first value that is not finite, at the speed of memory."""

import numpy as np
from numba import njit

from .lanes import NV, tile_rows, widen
from .layout import numeric, rows_of
from .tile import EVERY_ROW, address_of, aligned, fill, fill_side_by_side, locate, prefetch_rows


def extent(X: np.ndarray, minimum: np.ndarray, maximum: np.ndarray) -> tuple[int, int, bool, int]:
    """Widen the running minimum and maximum of every feature by the rows of X, NaN ignored.

    X : (m, d), any numeric dtype and strides; minimum, maximum : float64 (d,), updated in place
    (start from +inf and -inf).

    Returns
    -------
    (row, column, is_nan, nan_rows) : where the first non-finite value lies in row-major order
    (-1, -1 where there is none), whether it is a NaN, and how many rows hold a NaN.
    """
    X = numeric(X)
    exact_in_single = X.dtype == np.float32 or (X.dtype.kind in "iu" and X.dtype.itemsize <= 2)
    one = np.float32(1) if exact_in_single else np.float64(1)
    lanes = np.empty(0, one.dtype)
    origin = np.zeros(X.shape[1])
    row, column, is_nan, nan_rows = _extent(rows_of(X), one, lanes, origin, minimum, maximum)
    return int(row), int(column), bool(is_nan), int(nan_rows)


@njit(cache=True, nogil=True)
def _extent(rows, one, lanes, origin, minimum, maximum):
    d, B = rows.d, tile_rows(lanes)
    W = B // NV
    tile, low, high = aligned(d * B, lanes), aligned(d * W, lanes), aligned(d * W, lanes)
    low[:], high[:] = np.inf, -np.inf
    addresses = np.empty(B, np.int64)
    at_addresses, at_origin, at_tile = address_of(addresses), address_of(origin), address_of(tile)
    bad_row, bad_column, is_nan, nan_rows = -1, -1, False, 0
    for start in range(0, rows.m, B):
        count = min(B, rows.m - start)
        if rows.row_stride == rows.itemsize and count == B:
            address = rows.address + start * rows.itemsize
            fill_side_by_side(rows, B, address, at_origin, one, at_tile)
        else:
            locate(rows, EVERY_ROW, start, addresses, count)
            fill(rows, B, at_addresses, at_origin, one, at_tile)
            prefetch_rows(rows, B, start + B)
        if widen(tile, d, low, high):
            for r in range(count):
                missing = False
                for feature in range(d):
                    x = tile[feature * B + r]
                    if not np.isfinite(x):
                        missing = missing or np.isnan(x)
                        if bad_row < 0:
                            bad_row, bad_column, is_nan = start + r, feature, np.isnan(x)
                nan_rows += missing
    for feature in range(d):
        for w in range(feature * W, (feature + 1) * W):
            minimum[feature] = min(minimum[feature], np.float64(low[w]))
            maximum[feature] = max(maximum[feature], np.float64(high[w]))
    return bad_row, bad_column, is_nan, nan_rows
