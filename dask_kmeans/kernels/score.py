"""A tile of rows against centers: the scores of a filter, and the distances that define a label.

Legend: W lanes in a vector, NV vectors in a tile's row, B = NV * W rows in a tile, CR centers in a
register tile, k' centers, a multiple of CR, d features.
"""

import math
from typing import NamedTuple

from llvmlite import ir
from numba import types

from .compiled import internal
from .emitter import CR, I32, I64, NV, Emitter, in_rows, intrinsic, register_tile

UNDECIDED = -2
"""The label of a row that a filter leaves to the next one; -1 is the label of a row with a NaN."""


class Scores(NamedTuple):
    """What a filter finds of each row of a tile: B numbers of each kind, one kind after the other.

    best, second : bounds on the score of the nearest center and of all others; square : |y|**2.
    An array of lane dtype holds them.
    """

    best: int
    second: int
    square: int


SCORE = Scores(*range(len(Scores._fields)))
"""The place of each kind."""


@intrinsic
def no_scores(typingctx, best, second, index):
    """What `score` begins with: best = second = inf, index = 0.

    A loop over the three would store one number at a time.
    """
    signature = types.void(best, second, index)
    lane = best.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        best, second, index = e.unpack(signature, arguments)
        worst = [e.V([e.real(math.inf)] * e.W)] * NV
        e.store_vectors(worst, best)
        e.store_vectors(worst, second)
        e.store_vectors([e.VI(None)] * NV, index, 4)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def score(typingctx, centers, first, half, tile, d, best, second, index):
    """Compare a tile with centers first .. first + CR, and keep each lane's two best scores.

    score = half - x . center, half = |center|**2 / 2; the smallest is the nearest center.
    centers : (k', d) lane dtype, C order; half : (k',); tile : (d, B); best, second : (B,) lane
    dtype; index : int32 (B,); all three updated.
    A score that is NaN makes second = best, which no certificate accepts.
    """
    signature = types.void(centers, first, half, tile, d, best, second, index)
    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        centers, first, half, tile, d, *updated = e.unpack(signature, arguments)
        dot = register_tile(e, tile, d, in_rows(e, centers, first, d), e.multiply_add)
        numbers = [builder.add(first, I64(r)) for r in range(CR)]
        halves = [e.splat_item(half, number) for number in numbers]
        names = [e.splat(builder.trunc(number, I32)) for number in numbers]
        for v in range(NV):  # one after the other: the numbers of all vectors fill the registers
            places = [e.at(lanes, v * e.W) for lanes in updated]
            best, second = (e.load(place) for place in places[:2])
            index = e.load(places[2], e.VI, 4)
            for r in range(CR):
                this = builder.fsub(halves[r], dot[r][v])
                closer = builder.fcmp_ordered("<", this, best)
                index = builder.select(closer, names[r], index)
                second = e.smaller(e.larger(this, best), second)
                best = builder.select(closer, this, best)
            e.store(best, places[0])
            e.store(second, places[1])
            e.store(index, places[2], 4)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def squared_differences(typingctx, centers, first, tile, d, out):
    """out[r, lane] = sum over features, in order, of (x - c)**2 for centers first + r, r < CR.

    This arithmetic defines a distance: subtract, multiply, add, each rounded once and never fused.
    centers : (k', d), C order; tile : (d, B); out : (CR, B); all float64.
    """
    signature = types.void(centers, first, tile, d, out)
    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        centers, first, tile, d, out = e.unpack(signature, arguments)

        def combine(center, x, total):
            difference = builder.fsub(x, center)
            return builder.fadd(total, builder.fmul(difference, difference))

        sums = register_tile(e, tile, d, in_rows(e, centers, first, d), combine)
        e.store_vectors([vector for line in sums for vector in line], out)
        return context.get_dummy_value()

    return signature, codegen


@internal
def squared_distance(x, centers, j):
    """The arithmetic of `squared_differences` for one row x (d,) and center j of (k, d)."""
    total = 0.0
    for feature in range(len(x)):
        difference = x[feature] - centers[j, feature]
        total += difference * difference
    return total


@intrinsic
def not_equal(typingctx, items, index, address):
    """The rows of a tile whose label at an address is another than that in `index`: bits of a
    number, the lowest for the first row.

    items : an array of the tile's dtype; index : int32 (B,); address : of int32 (B,).
    """
    lane = items.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        _, index, address = e.unpack(signature, arguments)
        before, same = e.pointer(address, I32), I64(0)
        for v in range(NV):
            now, was = (e.load(e.at(labels, v * e.W), e.VI, 4) for labels in (index, before))
            lanes = builder.bitcast(builder.icmp_signed("==", now, was), ir.IntType(e.W))
            same = builder.or_(same, builder.shl(builder.zext(lanes, I64), I64(v * e.W)))
        return builder.xor(same, I64((1 << NV * e.W) - 1))

    return types.uint64(items, index, address), codegen


@intrinsic
def lowest_bit(typingctx, bits):
    """Position of the lowest bit that is set in a number that is not zero."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(True))

    return types.int64(bits), codegen
