"""Rows of any dtype and memory order -> a tile of lanes, and what asks memory for the next ones.

Legend: m rows, d features, W lanes in a vector, NV vectors in a tile's row, B = NV * W rows in a
tile, P features that are moved at once.
"""

from typing import NamedTuple

import numpy as np
from numba import types

from .compiled import inlined, internal
from .emitter import NV, intrinsic
from .transpose import copy_lanes, prefetch, transpose

CACHE_LINE = 64
"""Bytes in a cache line."""

MOVE = 8
"""Features transposed at once, where there are so many and the vector is so wide."""

NEAR = 2**19
"""Bytes of rows that lie in a cache which needs no notice."""

EVERY_ROW = np.empty(0, np.int64)
"""No list of rows: all of them, in order."""


class Target(NamedTuple):
    """Where rows are written, and how they are moved on the way: tile = scale * x + origin.

    addresses : address of int64 (B,), where each row begins; origin : of float64 (d,); tile : of
    the tile (d, B), whose lanes are of the dtype of `scale`, a power of two. No arrays, which must
    be kept alive by those who made this.
    """

    addresses: int
    origin: int
    scale: float | np.floating
    tile: int


@internal
def aligned(size, items):
    """Uninitialized array of the dtype of `items` that starts on a cache line."""
    space = np.empty(size + CACHE_LINE // items.itemsize, items.dtype)
    skip = (-space.ctypes.data % CACHE_LINE) // items.itemsize
    return space[skip : skip + size]


@internal
def address_of(array):
    """Where an array's items begin: functions called for every tile take this, not the array.

    The address does not keep the array alive: an array that a compiled function makes itself must
    still be used as an array for as long as its address is.
    """
    return array.ctypes.data


@intrinsic
def borrowed(typingctx, record):
    """A record whose arrays are the same memory, without the references that keep it alive.

    A function that is called for every tile counts the references of all arrays that it is given:
    0.5 microseconds for those of `quantized.decide`. The record itself must be kept alive.
    """

    def codegen(context, builder, signature, arguments):
        (lent,) = arguments
        for n, field in enumerate(record):
            if isinstance(field, types.Array):
                make = context.make_array(field)
                array = make(context, builder, builder.extract_value(lent, n))
                array.meminfo, array.parent = array.meminfo.type(None), array.parent.type(None)
                lent = builder.insert_value(lent, array._getvalue(), n)
        return lent

    return record(record), codegen


@inlined
def locate(rows, picks, start, addresses, count):
    """Write where rows start .. start + count begin: of all rows, or of those that `picks` lists.

    A ragged tile is filled up with its last row.
    """
    # Two loops, since the compiler would ask before every row.
    if len(picks):
        for r in range(count):
            addresses[r] = rows.address + picks[start + r] * rows.row_stride
    else:
        address = rows.address + start * rows.row_stride
        for r in range(count):
            addresses[r] = address
            address += rows.row_stride
    for r in range(count, len(addresses)):
        addresses[r] = addresses[count - 1]


@inlined
def at_once(rows, W):
    """How many features of W rows are moved at once: a power of two."""
    P = MOVE if rows.column_stride == rows.itemsize else 1
    while rows.d < P or P > W:
        P //= 2
    return P


@internal
def fill(rows, B, target):
    """tile[feature, r] = scale * x + origin of the rows that begin at the target's addresses."""
    d, W = rows.d, B // NV
    P = at_once(rows, W)
    for v in range(0, B, W):
        for begin in range(0, d, P):
            # The last group overlaps the one before it: no masks, no remainders.
            feature = min(begin, d - P)
            if P == 8:
                transpose(8, rows, v, feature, target)
            elif P == 4:
                transpose(4, rows, v, feature, target)
            elif P == 2:
                transpose(2, rows, v, feature, target)
            else:
                transpose(1, rows, v, feature, target)


@inlined
def fill_side_by_side(rows, B, address, target):
    """`fill` for B rows from `address` on that touch each other, as in Fortran order."""
    for feature in range(rows.d):
        for v in range(0, B, B // NV):
            copy_lanes(rows, address + v * rows.itemsize, feature, v, target)


@inlined
def prefetch_rows(rows, start, stop):
    """Ask memory for rows start .. stop, which come next, while others are computed.

    The first lines of each row: the hardware finds the rest of a longer one by itself.
    """
    lines = min(4 * CACHE_LINE, rows.d * rows.itemsize)
    step = max(1, CACHE_LINE // max(1, abs(rows.row_stride)))
    for r in range(start, stop, step):
        for line in range(0, lines, CACHE_LINE):
            prefetch(rows.address + r * rows.row_stride + line)


@inlined
def prefetch_picked(rows, picks, start, stop):
    """`prefetch_rows` for the rows in picks[start:stop]: all of their lines, up to a limit."""
    lines = min(8 * CACHE_LINE, rows.d * rows.itemsize)
    for r in range(start, stop):
        for line in range(0, lines + CACHE_LINE - 1, CACHE_LINE):
            prefetch(rows.address + picks[r] * rows.row_stride + min(line, lines - 1))
