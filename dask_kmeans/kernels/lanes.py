"""Vector lanes hold rows: the pieces of LLVM from which the kernels are built.

A *tile* is a (d, NV * W) array of lane numbers (float32 or float64): column r is row r of the data,
transposed, so that one vector of W lanes holds one feature of W rows, and NV such vectors stand side
by side. `score` compares a tile with CR centers at a time: CR x NV vectors of running dot products
stay in registers, every feature costs NV loads, CR broadcasts and CR * NV fused multiply-adds, and
each lane keeps its best, its second best and the index of its best. Nothing is reduced across
lanes, nothing of size n x k exists, and one code serves every (n, d, k).

LLVM vector types compile to whatever the machine has: 512, 256 or 128 bits. Only the number of lanes
and the shape of the register tile are chosen here, once, from the features of numba's target.

Legend: W lanes in a vector, NV vectors in a tile's row, CR centers in a register tile, d features,
P features moved at once by a transposition.
"""

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.extending import intrinsic

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
F32, F64 = ir.FloatType(), ir.DoubleType()


def _vector_shape():
    """(bits in a vector, CR, NV) for the machine that numba compiles for.

    CR * NV accumulators, NV rows and a broadcast must fit into the registers (32 with AVX-512 and
    NEON, 16 else): one spill inside the loop over features halves the speed.
    """
    if config.CPU_FEATURES is None:
        features = {name for name, present in binding.get_host_cpu_features().items() if present}
    else:
        features = {name[1:] for name in config.CPU_FEATURES.split(",") if name.startswith("+")}
    if "avx512f" in features:
        return 512, 4, 4
    if "avx2" in features:
        return 256, 4, 2
    return (128, 4, 4) if "neon" in features else (128, 4, 2)


VECTOR_BITS, CR, NV = _vector_shape()

UNDECIDED = -2
"""The label of a row that a filter leaves to the next one; -1 is the label of a row with a NaN."""

LOW = 2.0**30
"""Units of the low limb of a sum in one unit of the high limb."""

MAGIC = 1.5 * 2.0**52
"""Adding this to |t| < 2**51 rounds t to an integer, which then stands in the lowest bits: unlike a
conversion, every vector unit has it."""

MAGIC_BITS = int(np.float64(MAGIC).view(np.int64))


def tile_rows(dtype: np.dtype) -> int:
    """Rows in a tile of `dtype` lanes."""
    return NV * VECTOR_BITS // (8 * np.dtype(dtype).itemsize)


ROWS32, ROWS64 = tile_rows(np.float32), tile_rows(np.float64)


class _Emitter:
    """Vector instructions for lanes of one dtype, at the builder's place."""

    def __init__(self, context, builder, dtype):
        self.context, self.builder = context, builder
        self.real = F32 if dtype == types.float32 else F64
        self.W, self.align = VECTOR_BITS // dtype.bitwidth, dtype.bitwidth // 8
        self.V, self.VI = ir.VectorType(self.real, self.W), ir.VectorType(I32, self.W)

    def address(self, array_type, array, index):
        """Pointer to the element of a C-contiguous array at a flat index."""
        data = self.context.make_array(array_type)(self.context, self.builder, array).data
        return self.builder.gep(data, [index])

    def load(self, pointer, type_, align):
        loaded = self.builder.load(self.builder.bitcast(pointer, type_.as_pointer()))
        loaded.align = align
        return loaded

    def store(self, value, pointer, align):
        cast = self.builder.bitcast(pointer, value.type.as_pointer())
        self.builder.store(value, cast).align = align

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

    def to_real(self, vector, dtype, real):
        """Numbers of numba's `dtype` as `real`, rounded once."""
        target = ir.VectorType(real, vector.type.count)
        if isinstance(dtype, types.Integer):
            convert = self.builder.sitofp if dtype.signed else self.builder.uitofp
            return convert(vector, target)
        if vector.type == target:
            return vector
        return (self.builder.fpext if real == F64 else self.builder.fptrunc)(vector, target)

    def smaller(self, a, b):
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), a, b)

    def larger(self, a, b):
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)


def _exact_in_float32(dtype):
    return dtype == types.float32 or (isinstance(dtype, types.Integer) and dtype.bitwidth <= 16)


# ---- data -> tile -----------------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def transpose(typingctx, P, items, addresses, first, stride, feature, origin, scale, tile):
    """tile[feature + p, first + w] = scale * x + origin of W rows and P features, P <= W a literal.

    items : array whose dtype is that of x; addresses : int64, addresses[first + w] is where row w
    begins; stride : bytes from a feature to the next, the item's size unless P = 1;
    origin : float64 (d,); scale : float64, a power of two.
    """
    signature = types.void(P, items, addresses, first, stride, feature, origin, scale, tile)
    lane, item, P = tile.dtype, items.dtype, P.literal_value

    def codegen(context, builder, signature, arguments):
        e = _Emitter(context, builder, lane)
        if P > e.W:  # the caller asks for no more than `widest_move`
            return context.get_dummy_value()
        _, _, addresses, first, stride, feature, origin, scale, tile = arguments
        item_type = context.get_value_type(item)
        real = F32 if e.real == F32 and _exact_in_float32(item) else F64

        offset = builder.mul(feature, stride)

        def row(w):
            place = e.address(signature.args[2], addresses, builder.add(first, I64(w)))
            start = builder.add(builder.load(place), offset)
            pointer = builder.inttoptr(start, item_type.as_pointer())
            return e.load(pointer, ir.VectorType(item_type, P), item.bitwidth // 8)

        # Vector q holds, one after the other, the P features of rows q, q + P, q + 2P, ...
        vectors = []
        for q in range(P):
            parts = [row(w) for w in range(q, e.W, P)]
            while len(parts) > 1:
                lanes = range(2 * parts[0].type.count)
                parts = [e.shuffle(a, b, lanes) for a, b in zip(parts[::2], parts[1::2])]
            vectors.append(parts[0])

        at = e.address(signature.args[6], origin, feature)
        start = e.to_real(e.load(at, ir.VectorType(F64, P), 8), types.float64, real)
        start = e.shuffle(start, start, [lane % P for lane in range(e.W)])
        factor = e.splat(builder.fptrunc(scale, F32) if real == F32 else scale, e.W)
        for q, vector in enumerate(vectors):
            moved = e.multiply_add(e.to_real(vector, item, real), factor, start)
            vectors[q] = e.to_real(moved, types.float64, e.real)

        # P x P blocks are transposed inside each group of P lanes: exchange bit s of the vector's
        # number with bit s of the lane's.
        for s in (1 << bit for bit in range(P.bit_length() - 1)):
            for q in range(P):
                if not q & s:
                    a, b, lanes = vectors[q], vectors[q + s], range(e.W)
                    low = [e.W + n - s if n & s else n for n in lanes]
                    high = [e.W + n if n & s else n + s for n in lanes]
                    vectors[q], vectors[q + s] = e.shuffle(a, b, low), e.shuffle(a, b, high)
        _store_features(e, vectors, signature.args[8], tile, feature, first)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_lanes(typingctx, items, address, feature, first, origin, scale, tile):
    """tile[feature, first + w] = scale * x + origin of W rows that lie side by side at `address`."""
    signature = types.void(items, address, feature, first, origin, scale, tile)
    lane, item = tile.dtype, items.dtype

    def codegen(context, builder, signature, arguments):
        e = _Emitter(context, builder, lane)
        _, address, feature, first, origin, scale, tile = arguments
        item_type = context.get_value_type(item)
        real = F32 if e.real == F32 and _exact_in_float32(item) else F64
        pointer = builder.inttoptr(address, item_type.as_pointer())
        x = e.load(pointer, ir.VectorType(item_type, e.W), item.bitwidth // 8)
        start = builder.load(e.address(signature.args[4], origin, feature))
        start, scale = (builder.fptrunc(n, F32) if real == F32 else n for n in (start, scale))
        moved = e.multiply_add(e.to_real(x, item, real), e.splat(scale, e.W), e.splat(start, e.W))
        vector = e.to_real(moved, types.float64, e.real)
        _store_features(e, [vector], signature.args[6], tile, feature, first)
        return context.get_dummy_value()

    return signature, codegen


def _store_features(e, vectors, tile_type, tile, feature, first):
    for p, vector in enumerate(vectors):
        line = e.builder.mul(e.builder.add(feature, I64(p)), I64(NV * e.W))
        pointer = e.address(tile_type, tile, e.builder.add(line, first))
        e.store(vector, pointer, e.align)


# ---- tile x centers -----------------------------------------------------------------------------


def _over_features(e, tile, d, totals, step):
    """Emit `totals` vectors that start at zero and are replaced, for each feature, by
    step(feature, its NV vectors of the tile, totals)."""
    builder, entry = e.builder, e.builder.block
    loop = builder.function.append_basic_block("features")
    done = builder.function.append_basic_block("totals")
    builder.branch(loop)
    builder.position_at_end(loop)
    feature = builder.phi(I64)
    before = [builder.phi(e.V) for _ in range(totals)]
    line = builder.gep(tile, [builder.mul(feature, I64(NV * e.W))])
    x = [e.load(builder.gep(line, [I64(v * e.W)]), e.V, e.align) for v in range(NV)]
    after = step(feature, x, before)
    following = builder.add(feature, I64(1))
    feature.add_incoming(I64(0), entry)
    feature.add_incoming(following, loop)
    for total, new in zip(before, after):
        total.add_incoming(e.V([e.real(0.0)] * e.W), entry)
        total.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, d), loop, done)
    builder.position_at_end(done)
    return after


def _register_tile(e, centers, d, tile, combine):
    """Emit CR x NV sums over features of combine(center, x, sum): a list of CR lists."""

    def step(feature, x, totals):
        after = []
        for r in range(CR):
            place = e.builder.add(e.builder.mul(I64(r), d), feature)
            center = e.splat(e.builder.load(e.builder.gep(centers, [place])), e.W)
            after += [combine(center, x[v], totals[r * NV + v]) for v in range(NV)]
        return after

    sums = _over_features(e, tile, d, CR * NV, step)
    return [sums[r * NV : (r + 1) * NV] for r in range(CR)]


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
        e = _Emitter(context, builder, lane)
        _, first, _, _, d, _, _, _ = arguments

        def at(n, offset):
            return e.address(signature.args[n], arguments[n], offset)

        rows = at(0, builder.mul(first, d))
        dot = _register_tile(e, rows, d, at(3, I64(0)), e.multiply_add)
        lanes = [I64(v * e.W) for v in range(NV)]
        best = [e.load(at(5, n), e.V, e.align) for n in lanes]
        second = [e.load(at(6, n), e.V, e.align) for n in lanes]
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
            e.store(best[v], at(5, n), e.align)
            e.store(second[v], at(6, n), e.align)
            e.store(index[v], at(7, n), 4)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def certify(typingctx, tile, d, best, second, bound, index):
    """index[lane] = UNDECIDED where second - best is within the rounding bound that `panel` derives.

    tile : (d, NV * W); best, second : (NV * W,); bound : (6,), all of lane dtype; index : int32.
    """
    signature = types.void(tile, d, best, second, bound, index)
    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = _Emitter(context, builder, lane)

        def at(n, offset):
            return e.address(signature.args[n], arguments[n], offset)

        def square(feature, x, totals):
            return [e.multiply_add(a, a, total) for a, total in zip(x, totals)]

        squares = _over_features(e, at(0, I64(0)), arguments[1], NV, square)
        near_square, near_best, far_square, far, underflow, limit = (
            e.splat(builder.load(at(4, I64(n))), e.W) for n in range(6)
        )
        zero, none = e.V([e.real(0.0)] * e.W), e.VI([I32(UNDECIDED)] * e.W)
        for v in range(NV):
            lanes = I64(v * e.W)
            best, second = e.load(at(2, lanes), e.V, e.align), e.load(at(3, lanes), e.V, e.align)
            near = e.multiply_add(near_best, best, builder.fmul(near_square, squares[v]))
            T = e.smaller(near, e.multiply_add(far_square, squares[v], far))
            T = builder.fadd(T, underflow)
            proved = builder.fcmp_ordered(">", builder.fsub(second, best), T)
            proved = builder.and_(proved, builder.fcmp_ordered(">", T, zero))
            proved = builder.and_(proved, builder.fcmp_ordered("<", T, limit))
            label = e.load(at(5, lanes), e.VI, 4)
            e.store(builder.select(proved, label, none), at(5, lanes), 4)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def squared_differences(typingctx, centers, first, tile, d, out):
    """out[r, lane] = sum over features, in order, of (x - c)**2 for centers first + r, r < CR.

    Subtract, multiply, add, each rounded once and never fused: the arithmetic that defines a
    distance. centers : (k, d), C order, k a multiple of CR; tile : (d, NV * W);
    out : (CR, NV * W); all float64.
    """
    signature = types.void(centers, first, tile, d, out)
    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = _Emitter(context, builder, lane)
        centers, first, tile, d, out = arguments

        def combine(center, x, total):
            difference = builder.fsub(x, center)
            return builder.fadd(total, builder.fmul(difference, difference))

        rows = e.address(signature.args[0], centers, builder.mul(first, d))
        tile = e.address(signature.args[2], tile, I64(0))
        sums = _register_tile(e, rows, d, tile, combine)
        for r in range(CR):
            for v in range(NV):
                place = e.address(signature.args[4], out, I64((r * NV + v) * e.W))
                e.store(sums[r][v], place, e.align)
        return context.get_dummy_value()

    return signature, codegen


# ---- rows -> integer sums ---------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def deposit(typingctx, P, items, address, feature, weight, shift, scale, sign, high, low, place):
    """Add (sign = 0) or subtract (sign = -1) P features of a row, as two integer limbs.

    items : array whose dtype is that of x; address : where the row's feature lies, P of them side by
    side; shift, scale : float64 (d,); high, low : int64, flat; place : where the cluster's sum of
    this feature lies in them.
    """
    signature = types.void(
        P, items, address, feature, weight, shift, scale, sign, high, low, place
    )
    item, P = items.dtype, P.literal_value

    def codegen(context, builder, signature, arguments):
        e = _Emitter(context, builder, types.float64)
        _, _, address, feature, weight, shift, scale, sign, _, _, place = arguments
        item_type = context.get_value_type(item)
        reals, integers = ir.VectorType(F64, P), ir.VectorType(I64, P)

        def constant(number):
            return reals([F64(number)] * P)

        pointer = builder.inttoptr(address, item_type.as_pointer())
        x = e.to_real(e.load(pointer, ir.VectorType(item_type, P), item.bitwidth // 8), item, F64)
        shift = e.load(e.address(signature.args[5], shift, feature), reals, 8)
        scale = e.load(e.address(signature.args[6], scale, feature), reals, 8)
        t = builder.fmul(builder.fmul(e.splat(weight, P), builder.fsub(x, shift)), scale)

        def add(limb, n):
            """Add rint(limb) to the sums; return it as a real."""
            rounded = builder.fadd(limb, constant(MAGIC))
            bits = builder.bitcast(rounded, integers)
            whole = builder.sub(bits, integers([I64(MAGIC_BITS)] * P))
            whole = builder.sub(builder.xor(whole, minus), minus)
            at = e.address(signature.args[n], arguments[n], place)
            e.store(builder.add(e.load(at, integers, 8), whole), at, 8)
            return builder.fsub(rounded, constant(MAGIC))

        minus = e.splat(sign, P)
        rest = builder.fsub(t, add(t, 8))
        add(builder.fmul(rest, constant(LOW)), 9)
        return context.get_dummy_value()

    return signature, codegen
