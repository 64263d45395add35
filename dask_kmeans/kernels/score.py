"""A tile of rows against centers: the scores of a filter, and the distances that define a label.

Legend: W lanes in a vector, NV vectors in a tile's row, B = NV * W rows in a tile, CR centers in a
register tile, k' centers, a multiple of CR, d features.
"""

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
        best, second = (e.load_vectors(scores) for scores in updated[:2])
        index = e.load_vectors(updated[2], e.VI, 4)
        for r in range(CR):
            number = builder.add(first, I64(r))
            half_of_center = e.splat_item(half, number)
            me = e.splat(builder.trunc(number, I32))
            for v in range(NV):
                this = builder.fsub(half_of_center, dot[r][v])
                closer = builder.fcmp_ordered("<", this, best[v])
                index[v] = builder.select(closer, me, index[v])
                second[v] = e.smaller(e.larger(this, best[v]), second[v])
                best[v] = builder.select(closer, this, best[v])
        e.store_vectors(best, updated[0])
        e.store_vectors(second, updated[1])
        e.store_vectors(index, updated[2], 4)
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
        labels = ir.VectorType(I32, NV * e.W)
        before = e.load(e.pointer(address, I32), labels, 4)
        differ = builder.icmp_signed("!=", e.load(index, labels, 4), before)
        return builder.zext(builder.bitcast(differ, ir.IntType(NV * e.W)), I64)

    return types.uint64(items, index, address), codegen


@intrinsic
def lowest_bit(typingctx, bits):
    """Position of the lowest bit that is set in a number that is not zero."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(True))

    return types.int64(bits), codegen
