"""Tiles of small integers: the instructions that `quantized` is built from.

Where the vector unit multiplies the two 16-bit or four 8-bit integers of each 32-bit lane and adds
the products up, a tile of such lanes takes half or a quarter of the instructions of a float32 tile.
A tile of integers is an int32 (p, B) array: line n of it holds `per_lane` features of each row.
`integer_products` says by which instructions, and what keeps the sums exact.

Legend: W lanes in a vector, NV vectors in a tile's row, B = NV * W rows in a tile, CR centers in a
register tile, k' centers, a multiple of CR, p lanes of 2 or 4 features, g segments of them.
"""

import functools
from typing import NamedTuple

from llvmlite import ir
from numba import types

from .emitter import CR, I32, I64, NV, Emitter, field_type, intrinsic, over_features, register_tile
from .integer_products import ALL_LANES, TOGETHER, lane_sums, multiply_add_integers, products_of

MAGIC = 1.5 * 2.0**23
"""A number of which the float32 sum with |t| < 2**22 has rint(t) in its low bits."""


class Lanes(NamedTuple):
    """The numbers that each row of a tile has, in lines of a float32 (len(Lanes._fields), B) array.

    The first lines are `score.Scores`.

    best : the least upper bound of a score. second : of those of all other centers the least lower
    bound. square : |y|**2. unit : -1 / R, which makes a score of a product of integers.
    of_centers, of_rounding : rho / R and |y|, by which A + F and F add to the error of a score.
    limit : the score of a candidate is below. scale : R. scratch : of no lasting meaning. first :
    the least lower bound of a score.
    """

    best: int
    second: int
    square: int
    unit: int
    of_centers: int
    of_rounding: int
    limit: int
    scale: int
    scratch: int
    first: int


LINE = Lanes(*range(len(Lanes._fields)))
"""The line of each number."""


def _lanes(e, lanes, v):
    """The numbers of the rows in vector v of a tile, as pointers."""
    return Lanes(*(e.line(lanes, I64(n), I64(v * e.W)) for n in LINE))


def _score_at(e, scores, line, r, v):
    """Pointer to the scores of the center in line + r for the rows in vector v of a tile."""
    return e.line(scores, e.builder.add(line, I64(r)), I64(v * e.W))


def _of_register_tile(e, numbers, first):
    """The number that CR centers share, in all lanes."""
    return e.splat_item(numbers, e.builder.sdiv(first, I64(CR)))


def _error(e, lanes, size, rest):
    """How far the score of a center may be off."""
    of_rounding = e.builder.fmul(e.load(lanes.of_rounding), rest)
    return e.multiply_add(e.load(lanes.of_centers), size, of_rounding)


@intrinsic
def magnitudes(typingctx, tile, begin, end, squares, largest):
    """squares[lane] = sum of x**2 over features begin .. end; largest[lane] = the largest |x|.

    tile : (d, B); squares, largest : (B,); all float32. `largest` ignores NaN.
    """
    signature = types.void(tile, begin, end, squares, largest)

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        tile, begin, end, squares, largest = e.unpack(signature, arguments)

        def step(feature, x, totals):
            added = [e.multiply_add(a, a, total) for a, total in zip(x, totals[:NV], strict=True)]
            sizes = (e.larger(a, builder.fneg(a)) for a in x)
            return added + [e.larger(a, b) for a, b in zip(sizes, totals[NV:], strict=True)]

        found = over_features(e, tile, (begin, end), 2 * NV, step)
        e.store_vectors(found[:NV], squares)
        e.store_vectors(found[NV:], largest)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def to_integers(typingctx, centers, tile, p, scale, integers, away):
    """integers[n, lane] = rint(scale[lane] * x) of the features that line n holds, side by side.

    centers : an array of the dtype to round to, int8 or int16; tile : float32 (p * per_lane, B);
    scale : float32 (B,), by which x comes into the range of the dtype; integers : int32 (p, B);
    away : float32 (B,), becomes the sum of (rint(t) - t)**2.
    """
    signature = types.void(centers, tile, p, scale, integers, away)
    bits = centers.dtype.bitwidth
    per_lane = 32 // bits

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        _, tile, p, scale, integers, away = e.unpack(signature, arguments)
        scales = e.load_vectors(scale)

        def real(number):
            return e.V([e.real(number)] * e.W)

        def integer(number):
            return e.VI([I32(number)] * e.W)

        def step(n, x, totals):
            line = e.line(integers, n, I64(0))
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
                    low = builder.add(low, integer(products_of(bits).zero))
                    low = builder.and_(low, integer(2**bits - 1))
                    lanes = builder.or_(lanes, builder.shl(low, integer(part * bits)))
                e.store(lanes, e.at(line, v * e.W))
            return totals

        e.store_vectors(over_features(e, tile, p, NV, step, across=per_lane * NV), away)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def score_integers(typingctx, quantized, first, tile, p, lanes, scores, line):
    """scores[line + r, lane] = half - x . center for centers first + r, r < CR.

    The product is exact but for the sum over segments. Of `lanes`, `best` becomes the least upper
    bound of a score.

    quantized : `QuantizedCenters`; tile : int32 (p, B); lanes : `Lanes`; scores : float32 (lines,
    B).
    """
    signature = types.void(quantized, first, tile, p, lanes, scores, line)
    bits = field_type(quantized, "centers").dtype.bitwidth

    def codegen(context, builder, signature, arguments):
        integers = Emitter(context, builder, types.int32)
        e = Emitter(context, builder, types.float32)
        quantized, first, tile, p, lanes, scores, line = e.unpack(signature, arguments)
        dots = _dots(integers, e, bits, quantized, first, tile, p)
        step, size, rest = (
            _of_register_tile(e, numbers, first)
            for numbers in (quantized.step, quantized.size, quantized.rest)
        )
        # Loaded here: a store of what was just loaded, or not, becomes one under a mask, and slow.
        best = [e.load(_lanes(e, lanes, v).best) for v in range(NV)]
        halves = [e.splat_item(quantized.half, first, r) for r in range(CR)]
        for v in range(NV):
            own = _lanes(e, lanes, v)
            unit = builder.fmul(e.load(own.unit), step)
            found = [e.multiply_add(dots[r][v], unit, halves[r]) for r in range(CR)]
            for r, this in enumerate(found):
                e.store(this, _score_at(e, scores, line, r, v))
            least = functools.reduce(e.smaller, found)
            most = builder.fadd(least, _error(e, own, size, rest))
            e.store(e.smaller(most, best[v]), own.best)
        return context.get_dummy_value()

    return signature, codegen


def _dots(integers, e, bits, quantized, first, tile, p):
    """Emit CR x NV dot products as reals.

    Those of 8 bits are exact; those of 16 bits are exact sums of segments, added up in float32.
    first : the first center; tile : int32 (p, B).
    """
    builder, products = e.builder, products_of(bits)
    begin = e.at(quantized.centers, builder.mul(first, builder.mul(p, I64(32 // bits))))
    begin = builder.bitcast(begin, I32.as_pointer())
    segments = builder.sdiv(builder.add(p, I64(products.lanes - 1)), I64(products.lanes))
    bases = e.at(quantized.base, builder.mul(first, segments))

    def center(r, n):
        return e.at(begin, builder.mul(n, I64(CR)), r)

    def combine(c, x, total):
        return multiply_add_integers(integers, bits, x, c, total)

    def real(vector):
        return builder.sitofp(vector, e.V)

    def some(chosen):
        """The products of some of the CR centers."""

        def segment(first_lane, before):
            following = builder.add(first_lane, I64(products.lanes))
            end = builder.select(builder.icmp_signed("<", following, p), following, p)
            base = builder.mul(builder.sdiv(first_lane, I64(products.lanes)), I64(CR))
            start = [e.splat_item(bases, base, r) for r in chosen]
            features = first_lane, end
            found = register_tile(integers, tile, features, center, combine, start, chosen)
            new = [lane_sums(integers, bits, vector) for row in found for vector in row]
            if bits == 8:
                return [builder.add(total, sums) for total, sums in zip(before, new, strict=True)]
            return [
                builder.fadd(total, real(sums)) for total, sums in zip(before, new, strict=True)
            ]

        nothing = [(e.VI if bits == 8 else e.V)(None)] * (len(chosen) * NV)
        if products.lanes == ALL_LANES:
            after = segment(I64(0), nothing)
        else:
            after = e.loop("segments", I64(0), p, products.lanes, nothing, segment)
        dots = [real(total) for total in after] if bits == 8 else after
        return [dots[n * NV : (n + 1) * NV] for n in range(len(chosen))]

    return [row for first in range(0, CR, TOGETHER) for row in some(range(first, first + TOGETHER))]


@intrinsic
def count_candidates(typingctx, quantized, first, end, lanes, scores, count, index):
    """Count the centers first .. end - 1 whose score may be within the limit; note the last one.

    count : int32 (B,), updated; index : int32 (B,), becomes the number of that center. Other
    arguments as for `score_integers`; scores begin with those of center `first`.
    """
    signature = types.void(quantized, first, end, lanes, scores, count, index)

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        quantized, first, end, lanes, scores, count, index = e.unpack(signature, arguments)
        own = [_lanes(e, lanes, v) for v in range(NV)]
        limits, of_centers, of_rounding = (
            [e.load(getattr(numbers, name)) for numbers in own]
            for name in ("limit", "of_centers", "of_rounding")
        )
        one = e.VI([I32(1)] * e.W)

        def body(j, before):
            counts, indices = before[:NV], before[NV:]
            size = _of_register_tile(e, quantized.size, j)
            rest = _of_register_tile(e, quantized.rest, j)
            numbers = [e.splat_item(quantized.order, j, r) for r in range(CR)]
            line = builder.sub(j, first)
            for v in range(NV):
                error = e.multiply_add(of_centers[v], size, builder.fmul(of_rounding[v], rest))
                most = builder.fadd(limits[v], error)
                for r in range(CR):
                    score = e.load(_score_at(e, scores, line, r, v))
                    below = builder.fcmp_ordered("<=", score, most)
                    indices[v] = builder.select(below, numbers[r], indices[v])
                    counts[v] = builder.select(below, builder.add(counts[v], one), counts[v])
            return counts + indices

        start = e.load_vectors(count, e.VI, 4) + e.load_vectors(index, e.VI, 4)
        found = e.loop("register_tiles", first, end, CR, start, body)
        e.store_vectors(found[:NV], count, 4)
        e.store_vectors(found[NV:], index, 4)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def lanes_below(typingctx, quantized, j, lanes, scores, line, found):
    """found[r] = the lanes where the score of center j + r, r < CR, may be within the limit.

    Lanes as the bits of an integer; where the limit is NaN there are none. Arguments as for
    `score_integers`; found : uint64 (CR,). Returns whether there are any.
    """
    signature = types.boolean(quantized, j, lanes, scores, line, found)

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        quantized, j, lanes, scores, line, found = e.unpack(signature, arguments)
        size = _of_register_tile(e, quantized.size, j)
        rest = _of_register_tile(e, quantized.rest, j)
        bits = [I64(0)] * CR
        for v in range(NV):
            own = _lanes(e, lanes, v)
            most = builder.fadd(e.load(own.limit), _error(e, own, size, rest))
            for r in range(CR):
                score = e.load(_score_at(e, scores, line, r, v))
                below = builder.bitcast(builder.fcmp_ordered("<=", score, most), ir.IntType(e.W))
                here = builder.shl(builder.zext(below, I64), I64(v * e.W))
                bits[r] = builder.or_(bits[r], here)
        for r in range(CR):
            builder.store(bits[r], e.at(found, r))
        return builder.icmp_unsigned("!=", functools.reduce(builder.or_, bits), I64(0))

    return signature, codegen


@intrinsic
def two_least(typingctx, quantized, first, lanes, scores, line):
    """Update `first` and `second` of the lanes, the two least lower bounds of a score.

    Arguments as for `score_integers`.
    """
    signature = types.void(quantized, first, lanes, scores, line)

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        quantized, first, lanes, scores, line = e.unpack(signature, arguments)
        size = _of_register_tile(e, quantized.size, first)
        rest = _of_register_tile(e, quantized.rest, first)
        for v in range(NV):
            own = _lanes(e, lanes, v)
            error = _error(e, own, size, rest)
            least, second = e.load(own.first), e.load(own.second)
            for r in range(CR):
                this = builder.fsub(e.load(_score_at(e, scores, line, r, v)), error)
                second = e.smaller(e.larger(this, least), second)
                least = e.smaller(this, least)
            e.store(least, own.first)
            e.store(second, own.second)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def dot(typingctx, a, b, d):
    """Sum of the products of two rows of d >= W float32, given their addresses; in some order."""
    signature = types.float32(a, b, d)

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float32)
        a, b, d = e.unpack(signature, arguments)
        a, b, W = e.pointer(a, e.real), e.pointer(b, e.real), I64(e.W)
        # The last vector, less what belongs to the one before it.
        begin = builder.sub(d, W)
        new = builder.srem(builder.sub(d, I64(1)), W)
        numbers = e.VI([I32(n) for n in range(e.W)])
        first_new = e.splat(builder.trunc(builder.sub(builder.sub(W, I64(1)), new), I32))
        counted = builder.icmp_signed(">=", numbers, first_new)
        last = e.load(e.at(a, begin))
        last = builder.select(counted, last, e.V(None))
        total = builder.fmul(last, e.load(e.at(b, begin)))

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
        x, c = (e.load(e.at(row, at)) for row in (a, b))
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
