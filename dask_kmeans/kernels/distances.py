"""Squared distances in one fixed order of operations, hence the same bits on every machine.

d2(x, c) = the float64 sum over features, first to last, of (x - c)**2: subtract, multiply, add,
each rounded once, never fused. Everything that is reported, compared or drawn from uses this.

Legend: m rows, k centers, d features, W lanes in a vector, NV vectors in a tile's row, B = NV * W
rows in a tile, CR centers in a register tile, P features that are moved at once.
"""

import numpy as np
from llvmlite import ir
from numba import types

from .compiled import compiled
from .emitter import CR, F64, I64, NV, Emitter, Items, intrinsic, tile_rows
from .layout import numeric, owned, rows_of
from .prepared_centers import pad
from .score import squared_differences
from .tile import EVERY_ROW, Target, address_of, aligned, at_once, fill, locate, prefetch_rows
from .transpose import by_feature, by_row


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


def second_distances(
    X: np.ndarray, centers: np.ndarray, labels: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Squared distance of every row to the nearest of the centers but that of its label.

    X : (m, d), any numeric dtype and strides; centers : (k, d); labels : int32 (m,), -1 = of none;
    out : float64 (m,), written and returned; infinite where there is no other center.
    """
    X, padded = numeric(X), pad(np.asarray(centers, np.float64))
    labels = owned(np.asarray(labels, np.int32))
    _second_distances(rows_of(X), padded, len(centers), np.zeros(X.shape[1]), labels, out)
    return out


@intrinsic(prefer_literal=True)
def add_squares(typingctx, P, rows, addresses, centers, first, feature, skip, totals):
    """totals[first + w] += (x - c)**2 of P features, one after the other, for W rows.

    Squares are taken as the rows lie, and only they are transposed. P : a literal, at most W, and 1
    unless features lie side by side; addresses, centers : addresses of int64 (B,), where each row
    begins, and the center of each, float64 (d,); skip : how many of these features have been added
    before; totals : address of float64 (B,).
    """
    signature = types.void(P, rows, addresses, centers, first, feature, skip, totals)
    rows_type, P = rows, P.literal_value

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float64)
        if P > e.W:  # the caller never asks for this
            return context.get_dummy_value()
        _, rows, addresses, centers, first, feature, skip, totals = e.unpack(signature, arguments)
        x = Items(e, rows_type, rows)
        offset = builder.mul(feature, x.column_stride)
        place = builder.mul(feature, I64(8))

        def begin(of, w):
            return builder.load(e.at(e.pointer(of, I64), first, w))

        def row(w):
            return x.load(builder.add(begin(addresses, w), offset), P)

        def center(w):
            at = e.pointer(builder.add(begin(centers, w), place), F64)
            return e.load(at, ir.VectorType(F64, P))

        numbers = ir.VectorType(I64, e.W)([I64(lane % P) for lane in range(e.W)])
        new = builder.icmp_signed(">=", numbers, e.splat(skip))
        squares = []
        for a, c in zip(by_row(e, row, P), by_row(e, center, P), strict=True):
            away = builder.fsub(x.to_real(a, F64), c)
            squares.append(builder.select(new, builder.fmul(away, away), e.V(None)))
        at = e.at(e.pointer(totals, F64), first)
        total = e.load(at)
        for square in by_feature(e, squares):
            total = builder.fadd(total, square)
        e.store(total, at)
        return context.get_dummy_value()

    return signature, codegen


@compiled
def _labelled_distances(rows, centers, labels, out):
    """`labelled_distances` of `Rows` to `Rows`."""
    d, B = rows.d, tile_rows(out)
    W = B // NV
    P, total = at_once(rows, W), np.empty(B)
    addresses, of_centers = np.empty(B, np.int64), np.empty(B, np.int64)
    x, c, totals = address_of(addresses), address_of(of_centers), address_of(total)
    for start in range(0, rows.m, B):
        count = min(B, rows.m - start)
        locate(rows, EVERY_ROW, start, addresses, count)
        prefetch_rows(rows, start + B, start + 2 * B)
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


@compiled
def _distances(rows, centers, origin, out):
    """`distances` of `Rows` to centers (k', d), padded to a multiple of CR; origin : zeros (d,)."""
    d, B = rows.d, tile_rows(out)
    tile, block = aligned(d * B, out), np.empty((CR, B))
    addresses = np.empty(B, np.int64)
    target = Target(address_of(addresses), address_of(origin), 1.0, address_of(tile))
    for start in range(0, rows.m, B):
        count = min(B, rows.m - start)
        locate(rows, EVERY_ROW, start, addresses, count)
        fill(rows, B, target)
        for j in range(0, len(centers), CR):
            squared_differences(centers, j, tile, d, block)
            for r in range(count):
                for c in range(min(CR, out.shape[1] - j)):
                    out[start + r, j + c] = block[c, r]


@compiled
def _second_distances(rows, centers, k, origin, labels, out):
    """`second_distances` of `Rows` to centers (k', d), padded to a multiple of CR; origin : zeros
    (d,)."""
    d, B = rows.d, tile_rows(out)
    tile, block = aligned(d * B, out), np.empty((CR, B))
    nearest, own, addresses = np.empty(B), np.empty(B, np.int64), np.empty(B, np.int64)
    target = Target(address_of(addresses), address_of(origin), 1.0, address_of(tile))
    for start in range(0, rows.m, B):
        count = min(B, rows.m - start)
        locate(rows, EVERY_ROW, start, addresses, count)
        fill(rows, B, target)
        for r in range(B):
            nearest[r], own[r] = np.inf, labels[start + min(r, count - 1)]
        for j in range(0, len(centers), CR):
            squared_differences(centers, j, tile, d, block)
            for c in range(min(CR, k - j)):
                for r in range(B):
                    square = np.inf if own[r] == j + c else block[c, r]
                    nearest[r] = square if square < nearest[r] else nearest[r]
        for r in range(count):
            out[start + r] = nearest[r]
