"""The instructions that `directions` is built from: projections, bounds of scores, dot products.

Legend: W lanes in a vector, NV vectors in a tile's row, B = NV * W rows in a tile, CR centers in a
register tile, k' centers, a multiple of CR, d features, p directions, a multiple of CR.
"""

import functools

from llvmlite import ir
from numba import types

from .emitter import I32, I64, Emitter, in_rows, intrinsic, register_tile

AT_ONCE = 4
"""Centers whose dot products with a row are made at once: each item of the row is loaded once, and
no sum waits for itself."""


@intrinsic
def project(typingctx, basis, first, tile, d, out):
    """out[first + r, lane] = x . basis[first + r], r < CR.

    basis : (p, d), C order; tile : (d, B); out : (>= p, B); all of lane dtype.
    """
    signature = types.void(basis, first, tile, d, out)
    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        basis, first, tile, d, out = e.unpack(signature, arguments)
        dots = register_tile(e, tile, d, in_rows(e, basis, first, d), e.multiply_add)
        for r, line in enumerate(dots):
            e.store_vectors(line, e.line(out, builder.add(first, I64(r)), I64(0)))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def scores_within(typingctx, centers, first, half, tile, d, limit, scores, found):
    """found[r] = the lanes where half - x . center is within the limit, for center first + r.

    Lanes as the bits of an integer; none where the limit is NaN. centers : (k', d), C order; half :
    (k',); tile : (d, B); limit : (B,); scores : (CR, B), written, the scores; all of lane dtype;
    found : uint64 (CR,). Returns whether there are any.
    """
    signature = types.boolean(centers, first, half, tile, d, limit, scores, found)
    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        centers, first, half, tile, d, limit, scores, found = e.unpack(signature, arguments)
        dots = register_tile(e, tile, d, in_rows(e, centers, first, d), e.multiply_add)
        limits = e.load_vectors(limit)
        every = []
        for r, line in enumerate(dots):
            of_center, bits = e.splat_item(half, first, r), I64(0)
            for v, dot in enumerate(line):
                score = builder.fsub(of_center, dot)
                e.store(score, e.line(scores, I64(r), I64(v * e.W)))
                within = builder.fcmp_ordered("<=", score, limits[v])
                here = builder.zext(builder.bitcast(within, ir.IntType(e.W)), I64)
                bits = builder.or_(bits, builder.shl(here, I64(v * e.W)))
            builder.store(bits, e.at(found, r))
            every.append(bits)
        return builder.icmp_unsigned("!=", functools.reduce(builder.or_, every), I64(0))

    return signature, codegen


@intrinsic
def dots(typingctx, row, others, d, out):
    """out[n] = the sum, in some order, of the products of a row with others[n], n < AT_ONCE.

    row : address of d >= W float32; others : int64 (AT_ONCE,), such addresses; out : float32
    (AT_ONCE,).
    """
    signature = types.void(row, others, d, out)

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        row, others, d, out = e.unpack(signature, arguments)
        row, W = e.pointer(row, e.real), I64(e.W)
        others = [e.pointer(builder.load(e.at(others, n)), e.real) for n in range(AT_ONCE)]

        def step(at, x, totals):
            return [
                e.multiply_add(x, e.load(e.at(other, at)), total)
                for other, total in zip(others, totals, strict=True)
            ]

        # The last vector first, less what belongs to the one before it.
        begin = builder.sub(d, W)
        whole = builder.mul(builder.sdiv(begin, W), W)
        numbers = builder.add(e.splat(begin), ir.VectorType(I64, e.W)([I64(n) for n in range(e.W)]))
        new = builder.icmp_signed(">=", numbers, e.splat(builder.add(whole, W)))
        new = builder.or_(new, e.splat(builder.icmp_signed("==", begin, whole)))
        last = builder.select(new, e.load(e.at(row, begin)), e.V(None))
        totals = step(begin, last, [e.V(None)] * AT_ONCE)
        # What is left: `whole` features where the last vector overlaps none, else one vector more.
        overlaps = builder.icmp_signed("!=", begin, whole)
        rest = builder.select(overlaps, builder.add(whole, W), whole)
        entry = builder.block
        head, body, done = map(builder.function.append_basic_block, ("head", "vectors", "sum"))
        builder.branch(head)
        builder.position_at_end(head)
        at = builder.phi(I64)
        so_far = [builder.phi(e.V) for _ in totals]
        at.add_incoming(I64(0), entry)
        for phi, total in zip(so_far, totals, strict=True):
            phi.add_incoming(total, entry)
        builder.cbranch(builder.icmp_signed("<", at, rest), body, done)
        builder.position_at_end(body)
        following = step(at, e.load(e.at(row, at)), so_far)
        at.add_incoming(builder.add(at, W), body)
        for phi, total in zip(so_far, following, strict=True):
            phi.add_incoming(total, body)
        builder.branch(head)
        builder.position_at_end(done)
        for n, total in enumerate(so_far):
            while total.type.count > 1:
                half = total.type.count // 2
                low = e.shuffle(total, total, range(half))
                total = builder.fadd(low, e.shuffle(total, total, range(half, 2 * half)))
            builder.store(builder.extract_element(total, I32(0)), e.at(out, n))
        return context.get_dummy_value()

    return signature, codegen
