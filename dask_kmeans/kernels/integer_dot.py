"""Lanes of packed integers: the pieces of LLVM that `quantized` is built from.

Where the vector unit multiplies the two 16-bit or four 8-bit integers of each 32-bit lane and adds
the products up, a tile of such lanes takes half or a quarter of the instructions of a float32 tile.
A packed tile is an int32 (p, NV * W) array: line n of it holds `per_lane` features of each row.
Integers of 8 bits have no sign in rows, where they stand for themselves less 128, and one in
centers: that is what the instruction multiplies.
"""

import functools

from llvmlite import ir
from numba import types

from .lanes import (
    CR,
    I32,
    I64,
    NV,
    Emitter,
    intrinsic,
    over_features,
    register_tile,
)

MAGIC = 1.5 * 2.0**23
"""Adding this to |t| < 2**22 in float32 rounds t to an integer, which is then in the low bits."""

UNSIGNED = 128
"""Zero among the integers of 8 bits in rows."""

SEGMENT = 64
"""Lanes of 16-bit integers whose products are summed up in 32 bits; 8-bit ones never fill them."""

BASE, HALF, STEP, SIZE, REST, ORDER = range(1, 7)
"""Places in a `quantized.QuantizedCenters` of what a score is made from."""

UNIT, OF_CENTERS, OF_ROUNDING, SQUARE, BEST, LIMIT, SCALE, SCRATCH, FIRST, SECOND, LANES = range(11)
"""Numbers of the lines of `lanes`, which has a number of each kind for each row of a tile; the last
is how many there are."""


@intrinsic
def magnitudes(typingctx, tile, begin, end, squares, largest):
    """squares[lane] = sum of x**2 over features begin .. end; largest[lane] = the largest |x|.

    tile : (d, NV * W); squares, largest : (NV * W,); all float32. `largest` ignores NaN.
    """
    signature = types.void(tile, begin, end, squares, largest)

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        tile, squares, largest = (
            e.element(signature.args[n], arguments[n], I64(0)) for n in (0, 3, 4)
        )

        def step(feature, x, totals):
            added = [e.multiply_add(a, a, total) for a, total in zip(x, totals[:NV], strict=True)]
            sizes = (e.larger(a, builder.fneg(a)) for a in x)
            return added + [e.larger(a, b) for a, b in zip(sizes, totals[NV:], strict=True)]

        found = over_features(e, tile, (arguments[1], arguments[2]), 2 * NV, step)
        for v in range(NV):
            e.store(found[v], builder.gep(squares, [I64(v * e.W)]))
            e.store(found[NV + v], builder.gep(largest, [I64(v * e.W)]))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def pack(typingctx, integers, tile, p, scale, packed, away):
    """packed[n, lane] = rint(scale[lane] * x) of the features that line n holds, side by side.

    integers : an array of the dtype to round to, int8 or int16; tile : float32 (p * per_lane,
    NV * W); scale : float32 (NV * W,), by which x comes into the range of the dtype;
    packed : int32 (p, NV * W); away : float32 (NV * W,), becomes the sum of (rint(t) - t)**2.
    """
    signature = types.void(integers, tile, p, scale, packed, away)
    bits = integers.dtype.bitwidth
    per_lane = 32 // bits

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        tile, scale, packed, away = (
            e.element(signature.args[n], arguments[n], I64(0)) for n in (1, 3, 4, 5)
        )
        scales = [e.load(builder.gep(scale, [I64(v * e.W)])) for v in range(NV)]

        def real(number):
            return e.V([e.real(number)] * e.W)

        def integer(number):
            return e.VI([I32(number)] * e.W)

        def step(n, x, totals):
            line = e.line(packed, n, I64(0))
            totals = list(totals)
            for v in range(NV):
                lanes = integer(0)
                for part in range(per_lane):
                    here = x[part * NV + v]
                    shifted = e.multiply_add(here, scales[v], real(MAGIC))
                    whole = builder.fsub(shifted, real(MAGIC))
                    rest = e.multiply_add(here, scales[v], builder.fneg(whole))
                    totals[v] = e.multiply_add(rest, rest, totals[v])
                    low = builder.bitcast(shifted, e.VI)
                    if bits == 8:
                        low = builder.add(low, integer(UNSIGNED))
                    low = builder.and_(low, integer(2**bits - 1))
                    lanes = builder.or_(lanes, builder.shl(low, integer(part * bits)))
                e.store(lanes, builder.gep(line, [I64(v * e.W)]))
            return totals

        found = over_features(e, tile, arguments[2], NV, step, across=per_lane * NV)
        for v in range(NV):
            e.store(found[v], builder.gep(away, [I64(v * e.W)]))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def score_integers(typingctx, quantized, first, tile, p, lanes, scores, line):
    """scores[line + r, lane] = half - x . center for centers first + r, r < CR.

    The product is exact but for the sum over segments.

    quantized : QuantizedCenters; tile : int32 (p, NV * W);
    scores : float32 (lines, NV * W); lanes : float32 (n, NV * W), of which those with the numbers
    UNIT, OF_CENTERS and OF_ROUNDING are read, and BEST becomes the least upper bound of a score.
    """
    signature = types.void(quantized, first, tile, p, lanes, scores, line)
    bits = quantized[0].dtype.bitwidth

    def codegen(context, builder, signature, arguments):
        integers = Emitter(context, builder, types.int32)
        e = Emitter(context, builder, types.float32)
        quantized, first, _, p, _, _, line = arguments

        def at(n, offset):
            return e.element(signature.args[n], arguments[n], offset)

        def of_quantized(n, offset):
            array = builder.extract_value(quantized, n)
            return e.element(signature.args[0][n], array, offset)

        centers = of_quantized(0, builder.mul(first, builder.mul(p, I64(32 // bits))))
        centers = builder.bitcast(centers, I32.as_pointer())

        def center(r, n):
            return builder.gep(centers, [builder.add(builder.mul(n, I64(CR)), I64(r))])

        def combine(c, x, total):
            return integers.multiply_add_integers(bits, x, c, total)

        tile = at(2, I64(0))
        if bits == 8:
            numbers = [builder.add(first, I64(r)) for r in range(CR)]
            base = [builder.load(of_quantized(BASE, number)) for number in numbers]
            start = [integers.splat(number, e.W) for number in base]
            exact = register_tile(integers, tile, p, center, combine, start)
            dot = [[builder.sitofp(vector, e.V) for vector in line] for line in exact]
        else:
            dot = _sum_of_segments(integers, e, tile, p, center, combine)

        step, size, rest = (
            _of_tile(e, signature.args[0], quantized, n, first) for n in (STEP, SIZE, REST)
        )
        halves = [
            e.splat(builder.load(of_quantized(HALF, builder.add(first, I64(r)))), e.W)
            for r in range(CR)
        ]
        for v in range(NV):
            unit, of_centers, of_rounding, best = (
                e.load(at(4, I64((n * NV + v) * e.W)))
                for n in (UNIT, OF_CENTERS, OF_ROUNDING, BEST)
            )
            unit = builder.fmul(unit, step)
            found = [e.multiply_add(dot[r][v], unit, halves[r]) for r in range(CR)]
            for r, this in enumerate(found):
                place = builder.mul(builder.add(line, I64(r)), I64(NV * e.W))
                e.store(this, at(5, builder.add(place, I64(v * e.W))))
            least = functools.reduce(e.smaller, found)
            error = e.multiply_add(of_centers, size, builder.fmul(of_rounding, rest))
            best = e.smaller(builder.fadd(least, error), best)
            e.store(best, at(4, I64((BEST * NV + v) * e.W)))
        return context.get_dummy_value()

    return signature, codegen


def _sum_of_segments(integers, e, tile, p, center, combine):
    """Emit CR x NV dot products as reals: exact sums of SEGMENT lanes each, added up in float32."""
    builder, entry = e.builder, e.builder.block
    loop = builder.function.append_basic_block("segments")
    done = builder.function.append_basic_block("dots")
    builder.branch(loop)
    builder.position_at_end(loop)
    begin = builder.phi(I64)
    before = [builder.phi(e.V) for _ in range(CR * NV)]
    following = builder.add(begin, I64(SEGMENT))
    end = builder.select(builder.icmp_signed("<", following, p), following, p)
    exact = register_tile(integers, tile, (begin, end), center, combine)
    after = [
        builder.fadd(total, builder.sitofp(new, e.V))
        for total, new in zip(before, (vector for line in exact for vector in line), strict=True)
    ]
    begin.add_incoming(I64(0), entry)
    begin.add_incoming(following, builder.block)
    for total, new in zip(before, after, strict=True):
        total.add_incoming(e.V(None), entry)
        total.add_incoming(new, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, p), loop, done)
    builder.position_at_end(done)
    return [after[r * NV : (r + 1) * NV] for r in range(CR)]


def _of_tile(e, quantized_type, quantized, which, first):
    """A number that CR centers share, in all lanes."""
    array = e.builder.extract_value(quantized, which)
    place = e.builder.sdiv(first, I64(CR))
    return e.splat(e.builder.load(e.element(quantized_type[which], array, place)), e.W)


@intrinsic
def count_candidates(typingctx, quantized, first, end, lanes, scores, count, index):
    """Count the centers first .. end - 1 whose score may be within LIMIT, and note the last one.

    count : int32 (NV * W,), updated; index : int32 (NV * W,), becomes the number of that center.
    Other arguments as for `score_packed`; scores begin with those of center `first`.
    """
    signature = types.void(quantized, first, end, lanes, scores, count, index)

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        quantized, first, end, _, _, _, _ = arguments

        def at(n, offset):
            return e.element(signature.args[n], arguments[n], offset)

        def lines(*numbers):
            return [[e.load(at(3, I64((n * NV + v) * e.W))) for v in range(NV)] for n in numbers]

        limits, of_centers, of_rounding = lines(LIMIT, OF_CENTERS, OF_ROUNDING)
        one = e.VI([I32(1)] * e.W)
        order = e.element(signature.args[0][ORDER], builder.extract_value(quantized, ORDER), I64(0))

        entry, loop, done = builder.block, *map(builder.append_basic_block, ("tiles", "counted"))
        start = [e.load(at(n, I64(v * e.W)), e.VI, 4) for n in (5, 6) for v in range(NV)]
        builder.branch(loop)
        builder.position_at_end(loop)
        j = builder.phi(I64)
        before = [builder.phi(e.VI) for _ in start]
        counts, indices = before[:NV], before[NV:]
        size, rest = (_of_tile(e, signature.args[0], quantized, n, j) for n in (SIZE, REST))
        line = builder.mul(builder.sub(j, first), I64(NV * e.W))
        numbers = [
            e.splat(builder.load(builder.gep(order, [builder.add(j, I64(r))])), e.W)
            for r in range(CR)
        ]
        for v in range(NV):
            error = e.multiply_add(of_centers[v], size, builder.fmul(of_rounding[v], rest))
            most = builder.fadd(limits[v], error)
            for r in range(CR):
                score = e.load(at(4, builder.add(line, I64((r * NV + v) * e.W))))
                below = builder.fcmp_ordered("<=", score, most)
                indices[v] = builder.select(below, numbers[r], indices[v])
                counts[v] = builder.select(below, builder.add(counts[v], one), counts[v])
        following = builder.add(j, I64(CR))
        j.add_incoming(first, entry)
        j.add_incoming(following, loop)
        for phi, old, new in zip(before, start, counts + indices, strict=True):
            phi.add_incoming(old, entry)
            phi.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed("<", following, end), loop, done)
        builder.position_at_end(done)
        for n, vectors in ((5, counts), (6, indices)):
            for v, vector in enumerate(vectors):
                e.store(vector, at(n, I64(v * e.W)), 4)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def lanes_below(typingctx, quantized, j, lanes, scores, line, found):
    """found[r] = the lanes where the score of center j + r, r < CR, may be within LIMIT.

    Lanes as the bits of an integer; where LIMIT is NaN there are none. Arguments as for
    `score_packed`; found : uint64 (CR,). Returns whether there are any.
    """
    signature = types.boolean(quantized, j, lanes, scores, line, found)

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        quantized, j, _, _, line, _ = arguments

        def at(n, offset):
            return e.element(signature.args[n], arguments[n], offset)

        size, rest = (_of_tile(e, signature.args[0], quantized, n, j) for n in (SIZE, REST))
        bits = [I64(0)] * CR
        for v in range(NV):
            of_centers, of_rounding, limit = (
                e.load(at(2, I64((n * NV + v) * e.W))) for n in (OF_CENTERS, OF_ROUNDING, LIMIT)
            )
            error = e.multiply_add(of_centers, size, builder.fmul(of_rounding, rest))
            most = builder.fadd(limit, error)
            for r in range(CR):
                place = builder.mul(builder.add(line, I64(r)), I64(NV * e.W))
                score = e.load(at(3, builder.add(place, I64(v * e.W))))
                below = builder.bitcast(builder.fcmp_ordered("<=", score, most), ir.IntType(e.W))
                here = builder.shl(builder.zext(below, I64), I64(v * e.W))
                bits[r] = builder.or_(bits[r], here)
        for r in range(CR):
            builder.store(bits[r], at(5, I64(r)))
        return builder.icmp_unsigned("!=", functools.reduce(builder.or_, bits), I64(0))

    return signature, codegen


@intrinsic
def two_least(typingctx, quantized, first, lanes, scores, line):
    """Update the lanes FIRST and SECOND, the two least lower bounds of a score.

    Arguments as for `score_packed`.
    """
    signature = types.void(quantized, first, lanes, scores, line)

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        quantized, first, _, _, line = arguments

        def at(n, offset):
            return e.element(signature.args[n], arguments[n], offset)

        def of_tile(n):
            array = builder.extract_value(quantized, n)
            number = builder.sdiv(first, I64(CR))
            return e.splat(builder.load(e.element(signature.args[0][n], array, number)), e.W)

        size, rest = of_tile(SIZE), of_tile(REST)
        for v in range(NV):
            place = {n: at(2, I64((n * NV + v) * e.W)) for n in range(LANES)}
            of_rounding = builder.fmul(e.load(place[OF_ROUNDING]), rest)
            error = e.multiply_add(e.load(place[OF_CENTERS]), size, of_rounding)
            least, second = e.load(place[FIRST]), e.load(place[SECOND])
            for r in range(CR):
                number = builder.mul(builder.add(line, I64(r)), I64(NV * e.W))
                score = e.load(at(3, builder.add(number, I64(v * e.W))))
                this = builder.fsub(score, error)
                second = e.smaller(e.larger(this, least), second)
                least = e.smaller(this, least)
            e.store(least, place[FIRST])
            e.store(second, place[SECOND])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def dot(typingctx, a, b, d):
    """Sum of the products of two rows of d >= W float32, given their addresses; in some order."""
    signature = types.float32(a, b, d)

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        a, b = (e.pointer(address, e.real) for address in arguments[:2])
        d, W = arguments[2], I64(e.W)
        # The last vector, less what belongs to the one before it.
        begin = builder.sub(d, W)
        new = builder.srem(builder.sub(d, I64(1)), W)
        numbers = e.VI([I32(n) for n in range(e.W)])
        first_new = e.splat(builder.trunc(builder.sub(builder.sub(W, I64(1)), new), I32), e.W)
        counted = builder.icmp_signed(">=", numbers, first_new)
        last = e.load(builder.gep(a, [begin]))
        last = builder.select(counted, last, e.V(None))
        total = builder.fmul(last, e.load(builder.gep(b, [begin])))

        entry = builder.block
        head, body, done = map(builder.function.append_basic_block, ("head", "vectors", "sum"))
        builder.branch(head)
        builder.position_at_end(head)
        at, so_far = builder.phi(I64), builder.phi(e.V)
        at.add_incoming(I64(0), entry)
        so_far.add_incoming(total, entry)
        following = builder.add(at, W)
        builder.cbranch(builder.icmp_signed("<", following, d), body, done)
        builder.position_at_end(body)
        x, c = (e.load(builder.gep(row, [at])) for row in (a, b))
        at.add_incoming(following, body)
        so_far.add_incoming(e.multiply_add(x, c, so_far), body)
        builder.branch(head)
        builder.position_at_end(done)
        total = so_far
        while total.type.count > 1:
            count = total.type.count
            low, high = (
                e.shuffle(total, total, part)
                for part in (range(count // 2), range(count // 2, count))
            )
            total = builder.fadd(low, high)
        return builder.extract_element(total, I32(0))

    return signature, codegen


@intrinsic
def lowest_bit(typingctx, bits):
    """The number of the lowest bit that is set in an integer that is not zero."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.uint64), codegen
