"""Minimum, maximum and the first value that is not finite, at the speed of memory.

Legend: m rows, d features, W lanes in a vector, NV vectors in a tile's row, B = NV * W rows in a
tile.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types

from .compiled import compiled
from .emitter import I64, NV, Emitter, intrinsic, over_features, tile_rows
from .layout import numeric, rows_of
from .tile import (
    EVERY_ROW,
    Target,
    address_of,
    aligned,
    fill,
    fill_side_by_side,
    locate,
    prefetch_rows,
)

SQUARABLE = 2.0**502
"""Numbers whose squares, of any number of features, are below the largest float64."""


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
    exact_in_single = X.dtype.itemsize <= (4 if X.dtype.kind == "f" else 2)
    one = np.float32(1) if exact_in_single else np.float64(1)
    lanes = np.empty(0, one.dtype)
    origin = np.zeros(X.shape[1])
    row, column, is_nan, nan_rows = _extent(rows_of(X), one, lanes, origin, minimum, maximum)
    return int(row), int(column), bool(is_nan), int(nan_rows)


def squared_diagonal(minimum: np.ndarray, maximum: np.ndarray) -> float:
    """Squared distance of the two ends (d,) of the features; infinite where it may overflow."""
    half = 0.5 * maximum - 0.5 * minimum
    return 4.0 * float(half @ half) if half.max() < SQUARABLE else math.inf


@intrinsic
def widen(typingctx, tile, d, low, high):
    """Take a tile into the minimum and maximum, NaN apart; return whether it is not all finite.

    tile : (d, B); low, high : (d, W), the extent of each feature in each lane, updated.
    """
    signature = types.boolean(tile, d, low, high)
    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        tile, d, low, high = e.unpack(signature, arguments)

        def step(feature, x, strange):
            for extremes, better in ((low, e.smaller), (high, e.larger)):
                at = e.at(extremes, builder.mul(feature, I64(e.W)))
                extreme = e.load(at)
                for vector in x:
                    extreme = better(vector, extreme)
                e.store(extreme, at)
            # x - x is 0 where x is finite and NaN elsewhere.
            return [builder.fadd(s, builder.fsub(a, a)) for a, s in zip(x, strange, strict=True)]

        total, *others = over_features(e, tile, d, NV, step)
        for one in others:
            total = builder.fadd(total, one)
        bits = builder.bitcast(builder.fcmp_unordered("uno", total, total), ir.IntType(e.W))
        return builder.icmp_unsigned("!=", bits, bits.type(0))

    return signature, codegen


@compiled
def _extent(rows, one, lanes, origin, minimum, maximum):
    """`extent` of `Rows`, in tiles of lanes of the dtype of `one` and `lanes`; origin : zeros."""
    d, B = rows.d, tile_rows(lanes)
    W = B // NV
    tile, low, high = aligned(d * B, lanes), aligned(d * W, lanes), aligned(d * W, lanes)
    low[:], high[:] = np.inf, -np.inf
    addresses = np.empty(B, np.int64)
    target = Target(address_of(addresses), address_of(origin), one, address_of(tile))
    bad_row, bad_column, is_nan, nan_rows = -1, -1, False, 0
    for start in range(0, rows.m, B):
        count = min(B, rows.m - start)
        if rows.row_stride == rows.itemsize and count == B:
            fill_side_by_side(rows, B, rows.address + start * rows.itemsize, target)
        else:
            locate(rows, EVERY_ROW, start, addresses, count)
            fill(rows, B, target)
            prefetch_rows(rows, start + B, start + 2 * B)
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
