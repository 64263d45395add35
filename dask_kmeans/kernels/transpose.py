"""Rows of any dtype and memory order -> lanes of a tile, shifted and scaled on the way.

Legend: W lanes in a vector, NV vectors in a tile's row, d features, P features that are moved at
once.
"""

from llvmlite import ir
from numba import types

from .emitter import F64, I32, I64, Emitter, Items, field_type, intrinsic


def by_row(e, row, P):
    """P vectors of W lanes: vector q holds, one after the other, P items of rows q, q + P, ...

    row(w) : the vector of row w's P items.
    """
    vectors = []
    for q in range(P):
        parts = [row(w) for w in range(q, e.W, P)]
        while len(parts) > 1:
            lanes = range(2 * parts[0].type.count)
            parts = [e.shuffle(a, b, lanes) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        vectors.append(parts[0])
    return vectors


def by_feature(e, vectors):
    """Vectors like those of `by_row`, transposed: vector p holds item p of W rows, in order."""
    # Blocks of P x P inside each group of P lanes: exchange bit s of the vector's number with bit s
    # of the lane's.
    vectors, P = list(vectors), len(vectors)
    for s in (1 << bit for bit in range(P.bit_length() - 1)):
        for q in range(P):
            if not q & s:
                a, b, lanes = vectors[q], vectors[q + s], range(e.W)
                low = [e.W + n - s if n & s else n for n in lanes]
                high = [e.W + n if n & s else n + s for n in lanes]
                vectors[q], vectors[q + s] = e.shuffle(a, b, low), e.shuffle(a, b, high)
    return vectors


@intrinsic(prefer_literal=True)
def transpose(typingctx, P, rows, first, feature, target):
    """tile[feature + p, first + w] = scale * x + origin of W rows and P features, P <= W a literal.

    rows : Rows, of which P > 1 needs features side by side; target : `tile.Target`, which says
    where row first + w begins.
    """
    signature, rows_type, P = types.void(P, rows, first, feature, target), rows, P.literal_value
    lane = field_type(target, "scale")

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        if P > e.W:  # the caller never asks for this
            return context.get_dummy_value()
        _, rows, first, feature, target = e.unpack(signature, arguments)
        x = Items(e, rows_type, rows)
        addresses, origin = e.pointer(target.addresses, I64), e.pointer(target.origin, F64)
        offset = builder.mul(feature, x.column_stride)

        def row(w):
            begin = builder.load(e.at(addresses, first, w))
            return x.load(builder.add(begin, offset), P)

        start = e.load(e.at(origin, feature), ir.VectorType(F64, P), 8)
        start = e.shuffle(start, start, [lane % P for lane in range(e.W)])
        moved = [x.moved(vector, e.splat(target.scale), start) for vector in by_row(e, row, P)]
        tile = e.pointer(target.tile, e.real)
        for p, vector in enumerate(by_feature(e, moved)):
            e.store(vector, e.line(tile, builder.add(feature, I64(p)), first))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_lanes(typingctx, rows, address, feature, first, target):
    """tile[feature, first + w] = scale * x + origin of W rows that lie side by side from `address`.

    rows, target : as for `transpose`; address : of row `first`.
    """
    signature, rows_type = types.void(rows, address, feature, first, target), rows
    lane = field_type(target, "scale")

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        rows, address, feature, first, target = e.unpack(signature, arguments)
        x = Items(e, rows_type, rows)
        vector = x.load(builder.add(address, builder.mul(feature, x.column_stride)), e.W)
        start = e.splat_item(e.pointer(target.origin, F64), feature)
        moved = x.moved(vector, e.splat(target.scale), start)
        e.store(moved, e.line(e.pointer(target.tile, e.real), feature, first))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def convert(typingctx, P, rows, address, feature, origin, scale, out):
    """out[feature + p] = scale * x + origin of P features of a row that lie side by side.

    address : of the row; origin, out : addresses of float64 (d,) and of the row in lanes (d,), of
    the dtype of `scale`.
    """
    signature = types.void(P, rows, address, feature, origin, scale, out)
    rows_type, lane, P = rows, scale, P.literal_value

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        _, rows, address, feature, origin, scale, out = e.unpack(signature, arguments)
        x = Items(e, rows_type, rows)
        items = x.load(builder.add(address, builder.mul(feature, x.column_stride)), P)
        start = e.load(e.at(e.pointer(origin, F64), feature), ir.VectorType(F64, P), 8)
        moved = x.moved(items, e.splat(scale, P), start)
        e.store(moved, e.at(e.pointer(out, e.real), feature))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def prefetch(typingctx, address):
    """Ask for the cache line at an address, which need not be a valid one."""

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        pointer = e.pointer(arguments[0], ir.IntType(8))
        ask = e.function("llvm.prefetch.p0", ir.VoidType(), [pointer.type, I32, I32, I32])
        builder.call(ask, [pointer, I32(0), I32(3), I32(1)])  # to read, into L1, data
        return context.get_dummy_value()

    return types.void(address), codegen
