"""Rows of any dtype and memory order -> a tile of lanes, shifted and scaled on the way."""

import numpy as np
from numba import njit

from .lanes import NV, copy_lanes, prefetch, transpose

CACHE_LINE = 64
MOVE = 8
"""Features transposed at once, where there are so many and the vector is so wide."""

EVERY_ROW = np.empty(0, np.int64)
"""No list of rows: all of them, in order."""

# Small functions are inlined by numba: each that is compiled by itself costs a first fit 0.1 s.


@njit(cache=True, nogil=True)
def aligned(size, items):
    """Uninitialized array of the dtype of `items` that starts on a cache line."""
    space = np.empty(size + CACHE_LINE // items.itemsize, items.dtype)
    skip = (-space.ctypes.data % CACHE_LINE) // items.itemsize
    return space[skip : skip + size]


@njit(cache=True, nogil=True)
def address_of(array):
    """Where an array's items begin: functions called for every tile take this, not the array.

    The address does not keep the array alive: an array that a compiled function makes itself must
    still be used as an array for as long as its address is.
    """
    return array.ctypes.data


@njit(inline="always")
def locate(rows, picks, start, addresses, count):
    """Write where rows start .. start + count begin: of all rows, or of those that `picks` lists.

    A ragged tile is filled up with its last row.
    """
    for r in range(len(addresses)):
        i = start + min(r, count - 1)
        if len(picks):
            i = picks[i]
        addresses[r] = rows.address + i * rows.row_stride


@njit(inline="always")
def at_once(rows, W):
    """How many features of W rows are moved at once: a power of two."""
    P = MOVE if rows.column_stride == rows.itemsize else 1
    while rows.d < P or P > W:
        P //= 2
    return P


@njit(cache=True, nogil=True)
def fill(rows, B, addresses, origin, scale, tile):
    """tile[l, r] = scale * x + origin[l] for feature l of the row that begins at addresses[r].

    addresses, origin, tile : addresses of int64 (B,), float64 (d,) and the tile (d, B), whose lanes
    are of the dtype of `scale`.
    """
    d, W = rows.d, B // NV
    P = at_once(rows, W)
    for v in range(0, B, W):
        for begin in range(0, d, P):
            # The last group overlaps the one before it: no masks, no remainders.
            feature = min(begin, d - P)
            if P == 8:
                transpose(8, rows, addresses, v, feature, origin, scale, tile)
            elif P == 4:
                transpose(4, rows, addresses, v, feature, origin, scale, tile)
            elif P == 2:
                transpose(2, rows, addresses, v, feature, origin, scale, tile)
            else:
                transpose(1, rows, addresses, v, feature, origin, scale, tile)


@njit(inline="always")
def fill_side_by_side(rows, B, address, origin, scale, tile):
    """`fill` for B rows from `address` on that touch each other, as in Fortran order."""
    for feature in range(rows.d):
        for v in range(0, B, B // NV):
            copy_lanes(rows, address + v * rows.itemsize, feature, v, origin, scale, tile)


@njit(inline="always")
def prefetch_rows(rows, B, start):
    """Ask memory for the B rows from `start` on, which come next, while these are computed.

    The first lines of each row: the hardware finds the rest of a longer one by itself.
    """
    lines = min(4 * CACHE_LINE, rows.d * rows.itemsize)
    step = max(1, CACHE_LINE // max(1, abs(rows.row_stride)))
    for r in range(start, start + B, step):
        for line in range(0, lines, CACHE_LINE):
            prefetch(rows.address + r * rows.row_stride + line)


@njit(inline="always")
def prefetch_picked(rows, picks, start, stop):
    """`prefetch_rows` for the rows in picks[start:stop]: all of their lines, up to a limit."""
    lines = min(8 * CACHE_LINE, rows.d * rows.itemsize)
    for r in range(start, stop):
        for line in range(0, lines + CACHE_LINE - 1, CACHE_LINE):
            prefetch(rows.address + picks[r] * rows.row_stride + min(line, lines - 1))
