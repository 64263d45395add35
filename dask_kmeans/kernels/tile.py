"""Rows of any dtype and memory order -> a tile of lanes, shifted and scaled on the way."""

import numpy as np
from numba import njit

from .lanes import NV, copy_lanes, transpose

CACHE_LINE = 64
MOVE = 8
"""Features transposed at once, where there are so many and the vector is so wide."""


@njit(cache=True, nogil=True)
def aligned(size, items):
    """Uninitialized array of the dtype of `items` that starts on a cache line."""
    space = np.empty(size + CACHE_LINE // items.itemsize, items.dtype)
    skip = (-space.ctypes.data % CACHE_LINE) // items.itemsize
    return space[skip : skip + size]


@njit(cache=True, nogil=True)
def locate(rows, picks, start, count, addresses):
    """Write where rows start .. start + count begin: of all rows, or of those that `picks` lists.

    A ragged tile is filled up with its last row.
    """
    for r in range(len(addresses)):
        i = start + min(r, count - 1)
        if len(picks):
            i = picks[i]
        addresses[r] = rows.address + i * rows.row_stride


@njit(cache=True, nogil=True)
def fill(rows, addresses, side_by_side, origin, scale, tile):
    """tile[l, r] = scale * x + origin[l] for feature l of the row that begins at addresses[r].

    side_by_side : whether each feature's values of these rows touch each other (Fortran order).
    """
    d, W = rows.d, len(addresses) // NV
    if side_by_side:
        for v in range(0, len(addresses), W):
            for feature in range(d):
                place = addresses[v] + feature * rows.column_stride
                copy_lanes(rows.items, place, feature, v, origin, scale, tile)
        return
    P = MOVE if rows.column_stride == rows.items.itemsize else 1
    while P > d or P > W:
        P //= 2
    for v in range(0, len(addresses), W):
        for begin in range(0, d, P):
            # The last group overlaps the one before it: no masks, no remainders.
            l = min(begin, d - P)
            if P == 8:
                transpose(8, rows.items, addresses, v, rows.column_stride, l, origin, scale, tile)
            elif P == 4:
                transpose(4, rows.items, addresses, v, rows.column_stride, l, origin, scale, tile)
            elif P == 2:
                transpose(2, rows.items, addresses, v, rows.column_stride, l, origin, scale, tile)
            else:
                transpose(1, rows.items, addresses, v, rows.column_stride, l, origin, scale, tile)
