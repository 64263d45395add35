"""Squared distances in one fixed order of operations, hence the same bits on every machine.

d2(x, c) = the float64 sum over features, first to last, of (x - c)**2: subtract, multiply, add,
each rounded once, never fused. Everything that is reported, compared or drawn from uses this.
"""

import numpy as np
from numba import njit

from .lanes import CR, NV, add_squares, squared_differences, tile_rows
from .layout import numeric, owned, rows_of
from .prepared_centers import pad
from .tile import EVERY_ROW, address_of, aligned, at_once, fill, locate, prefetch_rows


def labelled_distances(
    X: np.ndarray, centers: np.ndarray, labels: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Squared distance of every row to the center of its label; NaN where the label is -1.

    X : (m, d), any numeric dtype and strides; centers : (k, d); labels : int32 (m,);
    out : float64 (m,), written and returned.
    """
    X, centers = numeric(X), np.ascontiguousarray(centers, np.float64)
    labels = owned(np.asarray(labels, np.int32))
    _labelled_distances(rows_of(X), rows_of(centers), labels, out)
    return out


def distances(X: np.ndarray, centers: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Squared distance of every row to every center.

    X : (m, d), any numeric dtype and strides; centers : (k, d); out : float64 (m, k), written and
    returned.
    """
    X, padded = numeric(X), pad(np.asarray(centers, np.float64))
    _distances(rows_of(X), padded, np.zeros(X.shape[1]), out)
    return out


@njit(cache=True, nogil=True)
def _labelled_distances(rows, centers, labels, out):
    d, B = rows.d, tile_rows(out)
    W = B // NV
    P, total = at_once(rows, W), np.empty(B)
    addresses, of_centers = np.empty(B, np.int64), np.empty(B, np.int64)
    x, c, totals = address_of(addresses), address_of(of_centers), address_of(total)
    for start in range(0, rows.m, B):
        count = min(B, rows.m - start)
        locate(rows, EVERY_ROW, start, addresses, count)
        prefetch_rows(rows, B, start + B)
        for r in range(B):
            j = max(labels[start + min(r, count - 1)], 0)
            of_centers[r] = centers.address + j * centers.row_stride
            total[r] = 0.0
        for v in range(0, B, W):
            for begin in range(0, d, P):
                # The last group overlaps the one before it, whose features it skips.
                feature = min(begin, d - P)
                skip = begin - feature
                if P == 8:
                    add_squares(8, rows, x, c, v, feature, skip, totals)
                elif P == 4:
                    add_squares(4, rows, x, c, v, feature, skip, totals)
                elif P == 2:
                    add_squares(2, rows, x, c, v, feature, skip, totals)
                else:
                    add_squares(1, rows, x, c, v, feature, skip, totals)
        for r in range(count):
            out[start + r] = total[r] if labels[start + r] >= 0 else np.nan


@njit(cache=True, nogil=True)
def _distances(rows, centers, origin, out):
    d, B = rows.d, tile_rows(out)
    tile, block = aligned(d * B, out), np.empty((CR, B))
    addresses = np.empty(B, np.int64)
    for start in range(0, rows.m, B):
        count = min(B, rows.m - start)
        locate(rows, EVERY_ROW, start, addresses, count)
        fill(rows, B, address_of(addresses), address_of(origin), 1.0, address_of(tile))
        for j in range(0, len(centers), CR):
            squared_differences(centers, j, tile, d, block)
            for r in range(count):
                for c in range(min(CR, out.shape[1] - j)):
                    out[start + r, j + c] = block[c, r]
