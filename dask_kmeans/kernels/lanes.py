"""Vector lanes hold rows: the pieces of LLVM from which the kernels are built.

A *tile* is a (d, NV * W) array of lane numbers (float32 or float64): column r is row r of the
data, transposed, so that one vector of W lanes holds one feature of W rows, and NV such vectors
stand side by side. `score` compares a tile with CR centers at a time: CR x NV vectors of running
dot products stay in registers, every feature costs NV loads, CR broadcasts and CR * NV fused
multiply-adds, and each lane keeps its best, its second best and the index of its best. Nothing is
reduced across lanes, nothing of size n x k exists, and one code serves every (n, d, k).

LLVM vector types compile to whatever the machine has: 512, 256 or 128 bits. Only the number of
lanes and the shape of the register tile are chosen here, once, from the features of numba's target.

Functions that move data take `layout.Rows` and bare addresses: they are called once a tile, where
counting the references of arrays would cost more than the work. Arithmetic takes arrays.

Legend: W lanes in a vector, NV vectors in a tile's row, CR centers in a register tile, d features,
P features moved at once by a transposition.
"""

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config, extending, types

intrinsic: Any = extending.intrinsic  # whose own type keeps the first argument that it hides

I32, I64 = ir.IntType(32), ir.IntType(64)
F32, F64 = ir.FloatType(), ir.DoubleType()


def _vector_shape():
    """(bits in a vector, CR, NV, PACKED) for the machine that numba compiles for.

    CR * NV accumulators, NV rows and a broadcast must fit into the registers (32 with AVX-512 and
    NEON, 16 else): one spill inside the loop over features halves the speed. PACKED says whether
    one instruction multiplies the two 16-bit or four 8-bit integers in each 32-bit lane and adds
    the products to the lane: two or four times the products of a float32 multiply-add.
    """
    forced: str | None = vars(config)["CPU_FEATURES"]  # numba sets it without declaring it
    if forced is None:
        features = {name for name, present in binding.get_host_cpu_features().items() if present}
    else:
        features = {name[1:] for name in forced.split(",") if name.startswith("+")}
    if "avx512f" in features:
        return 512, 4, 4, "avx512vnni" in features
    if "avx2" in features:
        return 256, 4, 3, "avxvnni" in features
    return (128, 4, 4, False) if "neon" in features else (128, 2, 4, False)


VECTOR_BITS, CR, NV, INTEGER_DOT = _vector_shape()

UNDECIDED = -2
"""The label of a row that a filter leaves to the next one; -1 is the label of a row with a NaN."""

LOW = 2.0**30
"""Units of the low limb of a sum in one unit of the high limb."""

MAGIC = 1.5 * 2.0**52
"""Adding this to |t| < 2**51 rounds t to an integer, which then stands in the lowest bits: unlike a
conversion, every vector unit has it."""

MAGIC_BITS = int(np.float64(MAGIC).view(np.int64))


@intrinsic
def tile_rows(typingctx, items):
    """Rows in a tile whose dtype is that of `items`: a constant for the compiler."""
    rows = NV * VECTOR_BITS // items.dtype.bitwidth
    return types.int64(items), lambda context, builder, signature, arguments: I64(rows)


class Emitter:
    """Vector instructions for lanes of float32, float64 or int32, at the builder's place."""

    def __init__(self, context, builder, dtype):
        self.context, self.builder = context, builder
        self.real = context.get_value_type(dtype)
        self.W, self.align = VECTOR_BITS // dtype.bitwidth, dtype.bitwidth // 8
        self.V, self.VI = ir.VectorType(self.real, self.W), ir.VectorType(I32, self.W)

    def pointer(self, address, type_):
        return self.builder.inttoptr(address, type_.as_pointer())

    def element(self, array_type, array, index):
        """Pointer to the element of a C-contiguous array at a flat index."""
        data = self.context.make_array(array_type)(self.context, self.builder, array).data
        return self.builder.gep(data, [index])

    def line(self, tile, feature, first):
        """Pointer to a feature of a tile's rows from `first` on."""
        place = self.builder.add(self.builder.mul(feature, I64(NV * self.W)), first)
        return self.builder.gep(tile, [place])

    def load(self, pointer, type_=None, align=None):
        """Load a vector, of lanes where no type is said."""
        type_ = type_ or self.V
        loaded = self.builder.load(self.builder.bitcast(pointer, type_.as_pointer()))
        loaded.align = align or self.align
        return loaded

    def store(self, value, pointer, align=None):
        pointer = self.builder.bitcast(pointer, value.type.as_pointer())
        self.builder.store(value, pointer).align = align or self.align

    def splat(self, scalar, lanes):
        vector = ir.VectorType(scalar.type, lanes)
        first = self.builder.insert_element(vector(ir.Undefined), scalar, I32(0))
        return self.shuffle(first, first, [0] * lanes)

    def shuffle(self, a, b, lanes):
        return self.builder.shuffle_vector(a, b, ir.VectorType(I32, len(lanes))(list(lanes)))

    def multiply_add(self, a, b, c):
        """a * b + c: fused where the machine can, and never a call of a library function."""
        name = f"llvm.fmuladd.v{a.type.count}f{32 if a.type.element == F32 else 64}"
        function = self.builder.module.globals.get(name) or ir.Function(
            self.builder.module, ir.FunctionType(a.type, [a.type] * 3), name
        )
        return self.builder.call(function, [a, b, c])

    def multiply_add_integers(self, bits, row, center, total):
        """total + row * center, summed over the 16-bit (or 8-bit) integers in each 32-bit lane.

        Only where there are PACKED. Integers of 8 bits have no sign in rows, and one in centers.
        """
        name = f"llvm.x86.avx512.vpdp{'busd' if bits == 8 else 'wssd'}.{VECTOR_BITS}"
        function = self.builder.module.globals.get(name) or ir.Function(
            self.builder.module, ir.FunctionType(total.type, [total.type] * 3), name
        )
        return self.builder.call(function, [total, row, center])

    def resize(self, reals, real):
        """float32 or float64 numbers as `real`, rounded once."""
        target = ir.VectorType(real, reals.type.count)
        if reals.type == target:
            return reals
        return (self.builder.fpext if real == F64 else self.builder.fptrunc)(reals, target)

    def smaller(self, a, b):
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), a, b)

    def larger(self, a, b):
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def items(self, rows_type, rows):
        return Items(self, rows_type, rows)


class Items:
    """The numbers in a `layout.Rows`, of any dtype, and their way into lanes."""

    def __init__(self, emitter, rows_type, rows):
        self.e, self.dtype = emitter, rows_type[0]
        self.item_type = emitter.context.get_value_type(self.dtype)
        self.column_stride = emitter.builder.extract_value(rows, 4)
        self.integer = isinstance(self.dtype, types.Integer)
        small = self.integer and self.dtype.bitwidth <= 16
        # Shifted in float32 lanes where the numbers are exact in float32, else in float64.
        self.real = emitter.real if small or self.dtype == types.float32 else F64

    def load(self, address, count):
        """`count` items that lie side by side."""
        pointer, vector = (
            self.e.pointer(address, self.item_type),
            ir.VectorType(self.item_type, count),
        )
        return self.e.load(pointer, vector, self.dtype.bitwidth // 8)

    def to_real(self, vector, real):
        """Loaded items as `real`, rounded once."""
        if not self.integer:
            return self.e.resize(vector, real)
        convert = self.e.builder.sitofp if self.dtype.signed else self.e.builder.uitofp
        return convert(vector, ir.VectorType(real, vector.type.count))

    def moved(self, vector, factor, start):
        """factor * items + start as lanes."""
        factor, start = (self.e.resize(a, self.real) for a in (factor, start))
        moved = self.e.multiply_add(self.to_real(vector, self.real), factor, start)
        return self.e.resize(moved, self.e.real)


# ---- data -> tile -----------------------------------------------------------------------------


def _by_row(e, row, P):
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


def _by_feature(e, vectors):
    """Vectors like those of `_by_row`, transposed: vector p holds item p of W rows, in order."""
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
def transpose(typingctx, P, rows, addresses, first, feature, origin, scale, tile):
    """tile[feature + p, first + w] = scale * x + origin of W rows and P features, P <= W a literal.

    rows : Rows, of which P > 1 needs features side by side; addresses : of int64, the first + w th
    of which says where row w begins; origin : of float64 (d,); scale : power of two, lane dtype;
    tile : of lanes (d, NV * W).
    """
    signature = types.void(P, rows, addresses, first, feature, origin, scale, tile)
    P = P.literal_value

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, scale)
        if P > e.W:  # the caller never asks for this
            return context.get_dummy_value()
        _, view, addresses, first, feature, origin, factor, tile = arguments
        x = e.items(rows, view)
        addresses, origin = e.pointer(addresses, I64), e.pointer(origin, F64)
        offset = builder.mul(feature, x.column_stride)

        def row(w):
            begin = builder.load(builder.gep(addresses, [builder.add(first, I64(w))]))
            return x.load(builder.add(begin, offset), P)

        start = e.load(builder.gep(origin, [feature]), ir.VectorType(F64, P), 8)
        start = e.shuffle(start, start, [lane % P for lane in range(e.W)])
        moved = [x.moved(vector, e.splat(factor, e.W), start) for vector in _by_row(e, row, P)]
        for p, vector in enumerate(_by_feature(e, moved)):
            e.store(vector, e.line(e.pointer(tile, e.real), builder.add(feature, I64(p)), first))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_lanes(typingctx, rows, address, feature, first, origin, scale, tile):
    """tile[feature, first + w] = scale * x + origin of W rows that lie side by side from `address`.

    Arguments as for `transpose`; address : of the first row.
    """
    signature = types.void(rows, address, feature, first, origin, scale, tile)

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, scale)
        view, address, feature, first, origin, factor, tile = arguments
        x = e.items(rows, view)
        vector = x.load(builder.add(address, builder.mul(feature, x.column_stride)), e.W)
        start = builder.load(builder.gep(e.pointer(origin, F64), [feature]))
        moved = x.moved(vector, e.splat(factor, e.W), e.splat(start, e.W))
        e.store(moved, e.line(e.pointer(tile, e.real), feature, first))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def convert(typingctx, P, rows, address, feature, origin, scale, out):
    """out[feature + p] = scale * x + origin of P features of a row that lie side by side.

    Arguments as for `transpose`; address : of the row; out : of lanes (d,).
    """
    signature = types.void(P, rows, address, feature, origin, scale, out)
    P = P.literal_value

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, scale)
        _, view, address, feature, origin, factor, out = arguments
        x = e.items(rows, view)
        items = x.load(builder.add(address, builder.mul(feature, x.column_stride)), P)
        at_origin = builder.gep(e.pointer(origin, F64), [feature])
        start = e.load(at_origin, ir.VectorType(F64, P), 8)
        moved = x.moved(items, e.splat(factor, P), start)
        e.store(moved, builder.gep(e.pointer(out, e.real), [feature]))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def prefetch(typingctx, address):
    """Ask for the cache line at an address, which need not be a valid one."""

    def codegen(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        name = "llvm.prefetch.p0"
        function = builder.module.globals.get(name) or ir.Function(
            builder.module, ir.FunctionType(ir.VoidType(), [pointer.type, I32, I32, I32]), name
        )
        builder.call(function, [pointer, I32(0), I32(3), I32(1)])  # to read, into L1, data
        return context.get_dummy_value()

    return types.void(address), codegen


@intrinsic
def not_equal(typingctx, items, index, address):
    """Bits of a tile's rows, the lowest of the first: which of the labels at an address are others
    than those in `index`. items : of the tile's dtype."""

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, signature.args[0].dtype)
        labels = ir.VectorType(I32, NV * e.W)
        found = e.load(e.element(signature.args[1], arguments[1], I64(0)), labels, 4)
        differ = builder.icmp_signed("!=", found, e.load(e.pointer(arguments[2], I32), labels, 4))
        return builder.zext(builder.bitcast(differ, ir.IntType(NV * e.W)), I64)

    return types.uint64(items, index, address), codegen


@intrinsic
def lowest(typingctx, bits):
    """Position of the lowest bit of a number that is not zero."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(True))

    return types.int64(bits), codegen


# ---- tile x centers -----------------------------------------------------------------------------


def over_features(e, tile, features, start, step, across=NV):
    """Emit vectors that are replaced, for each feature, by step(feature, its `across` vectors of
    the tile, vectors); return what they come to.

    features : how many, or the first of them and the one after the last; start : the vectors to
    begin with, or how many zeros.
    """
    start = [e.V(None)] * start if isinstance(start, int) else start
    begin, end = features if isinstance(features, tuple) else (I64(0), features)
    builder, entry = e.builder, e.builder.block
    loop = builder.function.append_basic_block("features")
    done = builder.function.append_basic_block("totals")
    builder.branch(loop)
    builder.position_at_end(loop)
    feature = builder.phi(I64)
    before = [builder.phi(e.V) for _ in start]
    line = builder.gep(tile, [builder.mul(feature, I64(across * e.W))])
    x = [e.load(builder.gep(line, [I64(v * e.W)])) for v in range(across)]
    after = step(feature, x, before)
    following = builder.add(feature, I64(1))
    feature.add_incoming(begin, entry)
    feature.add_incoming(following, loop)
    for total, first, new in zip(before, start, after, strict=True):
        total.add_incoming(first, entry)
        total.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, end), loop, done)
    builder.position_at_end(done)
    return after


def register_tile(e, tile, features, center, combine, start=None):
    """Emit CR x NV sums over features of combine(center, x, sum): a list of CR lists.

    features : as for `over_features`; center(r, feature) : pointer to a feature of center r;
    start : CR vectors to begin with, zeros by default.
    """
    first = [vector for vector in start or [e.V(None)] * CR for _ in range(NV)]

    def step(feature, x, totals):
        after = []
        for r in range(CR):
            c = e.splat(e.builder.load(center(r, feature)), e.W)
            after += [combine(c, x[v], totals[r * NV + v]) for v in range(NV)]
        return after

    sums = over_features(e, tile, features, first, step)
    return [sums[r * NV : (r + 1) * NV] for r in range(CR)]


def _one_after_another(e, centers, d):
    """Where the features of CR centers are, from `centers` on, in C order."""

    def center(r, feature):
        return e.builder.gep(centers, [e.builder.add(e.builder.mul(I64(r), d), feature)])

    return center


@intrinsic
def score(typingctx, centers, first, half, tile, d, best, second, index):
    """Compare a tile with centers first .. first + CR, and keep each lane's two best scores.

    score = half - x . center, half = |center|**2 / 2; the smallest is the nearest center.
    centers : (k, d) lane dtype, C order, k a multiple of CR; half : (k,); tile : (d, NV * W);
    best, second : (NV * W,) lane dtype; index : (NV * W,) int32; all three updated.
    A score that is NaN makes second = best, which no certificate accepts.
    """
    signature = types.void(centers, first, half, tile, d, best, second, index)
    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        _, first, _, _, d, _, _, _ = arguments

        def at(n, offset):
            return e.element(signature.args[n], arguments[n], offset)

        center = _one_after_another(e, at(0, builder.mul(first, d)), d)
        dot = register_tile(e, at(3, I64(0)), d, center, e.multiply_add)

        lanes = [I64(v * e.W) for v in range(NV)]
        best = [e.load(at(5, n)) for n in lanes]
        second = [e.load(at(6, n)) for n in lanes]
        index = [e.load(at(7, n), e.VI, 4) for n in lanes]
        for r in range(CR):
            number = builder.add(first, I64(r))
            half = e.splat(builder.load(at(2, number)), e.W)
            me = e.splat(builder.trunc(number, I32), e.W)
            for v in range(NV):
                this = builder.fsub(half, dot[r][v])
                closer = builder.fcmp_ordered("<", this, best[v])
                index[v] = builder.select(closer, me, index[v])
                second[v] = e.smaller(e.larger(this, best[v]), second[v])
                best[v] = builder.select(closer, this, best[v])
        for v, n in enumerate(lanes):
            e.store(best[v], at(5, n))
            e.store(second[v], at(6, n))
            e.store(index[v], at(7, n), 4)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def certify(typingctx, tile, d, best, second, bound, squares, index):
    """index[lane] = UNDECIDED where second - best is within the bound (see `prepared_centers`).

    tile : (d, NV * W); best, second : (NV * W,); bound : (6,); squares : (NV * W,), written, of the
    rows; all of lane dtype; index : int32.
    """
    signature = types.void(tile, d, best, second, bound, squares, index)
    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)

        def at(n, offset):
            return e.element(signature.args[n], arguments[n], offset)

        def square(feature, x, totals):
            return [e.multiply_add(a, a, total) for a, total in zip(x, totals, strict=True)]

        squares = over_features(e, at(0, I64(0)), arguments[1], NV, square)
        near_square, near_best, far_square, far, underflow, limit = (
            e.splat(builder.load(at(4, I64(n))), e.W) for n in range(6)
        )
        zero, none = e.V([e.real(0.0)] * e.W), e.VI([I32(UNDECIDED)] * e.W)
        for v in range(NV):
            lanes = I64(v * e.W)
            best, second = e.load(at(2, lanes)), e.load(at(3, lanes))
            near = e.multiply_add(near_best, best, builder.fmul(near_square, squares[v]))
            T = e.smaller(near, e.multiply_add(far_square, squares[v], far))
            T = builder.fadd(T, underflow)
            proved = builder.fcmp_ordered(">", builder.fsub(second, best), T)
            proved = builder.and_(proved, builder.fcmp_ordered(">", T, zero))
            proved = builder.and_(proved, builder.fcmp_ordered("<", T, limit))
            label = e.load(at(6, lanes), e.VI, 4)
            e.store(builder.select(proved, label, none), at(6, lanes), 4)
            e.store(squares[v], at(5, lanes))
        return context.get_dummy_value()

    return signature, codegen


def _add_square(builder, x, c, total):
    """total + (x - c)**2: subtract, multiply, add, each rounded once and never fused."""
    difference = builder.fsub(x, c)
    return builder.fadd(total, builder.fmul(difference, difference))


@intrinsic
def squared_differences(typingctx, centers, first, tile, d, out):
    """out[r, lane] = sum over features, in order, of (x - c)**2 for centers first + r, r < CR.

    This arithmetic defines a distance. centers : (k, d), C order, k a multiple of CR;
    tile : (d, NV * W); out : (CR, NV * W); all float64.
    """
    signature = types.void(centers, first, tile, d, out)
    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        centers, first, tile, d, out = arguments

        def combine(center, x, total):
            return _add_square(builder, x, center, total)

        centers = e.element(signature.args[0], centers, builder.mul(first, d))
        tile = e.element(signature.args[2], tile, I64(0))
        sums = register_tile(e, tile, d, _one_after_another(e, centers, d), combine)
        for r in range(CR):
            for v in range(NV):
                place = e.element(signature.args[4], out, I64((r * NV + v) * e.W))
                e.store(sums[r][v], place)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def add_squares(typingctx, P, rows, addresses, centers, first, feature, skip, totals):
    """totals[first + w] += (x - c)**2 of P features, one after the other, for W rows.

    Squares are taken as the rows lie, and only they are transposed. P, rows, addresses : as for
    `transpose`; centers : like `addresses`, of a row of float64 for each; skip : how many of these
    features have been added before; totals : of float64 (NV * W,).
    """
    signature = types.void(P, rows, addresses, centers, first, feature, skip, totals)
    P = P.literal_value

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float64)
        if P > e.W:  # the caller never asks for this
            return context.get_dummy_value()
        _, view, addresses, centers, first, feature, skip, totals = arguments
        x = e.items(rows, view)
        offset = builder.mul(feature, x.column_stride)
        place = builder.mul(feature, I64(8))

        def begin(of, w):
            return builder.load(builder.gep(e.pointer(of, I64), [builder.add(first, I64(w))]))

        def row(w):
            return x.load(builder.add(begin(addresses, w), offset), P)

        def center(w):
            at = e.pointer(builder.add(begin(centers, w), place), F64)
            return e.load(at, ir.VectorType(F64, P))

        numbers = ir.VectorType(I64, e.W)([I64(lane % P) for lane in range(e.W)])
        new = builder.icmp_signed(">=", numbers, e.splat(skip, e.W))
        squares = []
        for a, c in zip(_by_row(e, row, P), _by_row(e, center, P), strict=True):
            away = builder.fsub(x.to_real(a, F64), c)
            squares.append(builder.select(new, builder.fmul(away, away), e.V(None)))
        at = builder.gep(e.pointer(totals, F64), [first])
        total = e.load(at)
        for square in _by_feature(e, squares):
            total = builder.fadd(total, square)
        e.store(total, at)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def widen(typingctx, tile, d, low, high):
    """Take a tile into the minimum and maximum, NaN apart; return whether it is not all finite.

    tile : (d, NV * W); low, high : (d, W), the extent of each feature in each lane, updated.
    """
    signature = types.boolean(tile, d, low, high)
    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        tile, d, low, high = arguments

        def step(feature, x, strange):
            for array, n, better in ((low, 2, e.smaller), (high, 3, e.larger)):
                at = e.element(signature.args[n], array, builder.mul(feature, I64(e.W)))
                extreme = e.load(at)
                for v in range(NV):
                    extreme = better(x[v], extreme)
                e.store(extreme, at)
            # x - x is 0 where x is finite and NaN elsewhere.
            return [builder.fadd(s, builder.fsub(a, a)) for a, s in zip(x, strange, strict=True)]

        strange = over_features(e, e.element(signature.args[0], tile, I64(0)), d, NV, step)
        total = strange[0]
        for one in strange[1:]:
            total = builder.fadd(total, one)
        bits = builder.bitcast(builder.fcmp_unordered("uno", total, total), ir.IntType(e.W))
        return builder.icmp_unsigned("!=", bits, bits.type(0))

    return signature, codegen


# ---- rows -> integer sums ---------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def scatter_add(
    typingctx, P, rows, address, feature, weight, shift, scale, high, low, leaves, joins
):
    """Move P features of a row from the sums of one cluster to another's, as two integer limbs.

    rows : Rows; address : of the row's feature, P of them side by side; shift, scale : of float64
    (d,); high, low : of int64 sums; leaves, joins : the numbers that the old and the new cluster's
    sums of this feature have there, negative for no cluster.
    """
    signature = types.void(
        P, rows, address, feature, weight, shift, scale, high, low, leaves, joins
    )
    P = P.literal_value

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float64)
        _, view, address, feature, weight, shift, scale, high, low, leaves, joins = arguments
        reals, integers = ir.VectorType(F64, P), ir.VectorType(I64, P)

        def constant(number):
            return reals([F64(number)] * P)

        def rounded(limb):
            """rint(limb), as integers and as reals."""
            shifted = builder.fadd(limb, constant(MAGIC))
            whole = builder.sub(builder.bitcast(shifted, integers), integers([I64(MAGIC_BITS)] * P))
            return whole, builder.fsub(shifted, constant(MAGIC))

        items = e.items(rows, view)
        x = items.to_real(items.load(address, P), F64)
        shift, scale = (
            e.load(builder.gep(e.pointer(array, F64), [feature]), reals) for array in (shift, scale)
        )
        t = builder.fmul(builder.fmul(e.splat(weight, P), builder.fsub(x, shift)), scale)
        of_high, whole = rounded(t)
        of_low, _ = rounded(builder.fmul(builder.fsub(t, whole), constant(LOW)))
        for place, combine in ((leaves, builder.sub), (joins, builder.add)):
            with builder.if_then(builder.icmp_signed(">=", place, I64(0))):
                for sums, limb in ((high, of_high), (low, of_low)):
                    at = builder.gep(e.pointer(sums, I64), [place])
                    e.store(combine(e.load(at, integers), limb), at)
        return context.get_dummy_value()

    return signature, codegen
