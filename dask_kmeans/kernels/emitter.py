"""The emitter of vector instructions, and the shape of the vectors of this machine.

The kernels are written in LLVM vector types, which compile to whatever the machine has: 512, 256 or
128 bits. Only the number of lanes and the shape of the register tile are chosen here, once, from
the features of numba's target.

Vector lanes hold rows. A *tile* is a (d, NV * W) array of lane numbers (float32 or float64): column
r is row r of the data, transposed, so that one vector of W lanes holds one feature of W rows, and
NV such vectors stand side by side. A *register tile* is CR x NV vectors of running sums that stay
in registers: every feature costs NV loads, CR broadcasts and CR * NV fused multiply-adds. Nothing
is reduced across lanes, nothing of size n x k exists, and one code serves every (n, d, k).

Intrinsics that move data take `layout.Rows` and bare addresses: they are called once a tile, where
counting the references of arrays would cost more than the work. Arithmetic takes arrays.

Legend: W lanes in a vector, NV vectors in a tile's row, CR centers in a register tile, d features,
P items that lie side by side.
"""

import functools
from typing import Any

from llvmlite import binding, ir
from numba import config, extending, types

intrinsic: Any = extending.intrinsic  # whose own type keeps the first argument that it hides

I16, I32, I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
F32, F64 = ir.FloatType(), ir.DoubleType()


def _features():
    """The features of the processor that numba compiles for, by LLVM's names."""
    forced: str | None = vars(config)["CPU_FEATURES"]  # numba sets it without declaring it
    if forced is None:
        return {name for name, present in binding.get_host_cpu_features().items() if present}
    return {name[1:] for name in forced.split(",") if name.startswith("+")}


FEATURES = _features()

HALVES = not FEATURES.isdisjoint({"f16c", "neon"})
"""Whether there is an instruction that makes float32 numbers of float16 ones."""


def _vector_shape(features):
    """(bits in a vector, CR, NV, INTEGER_DOT) for a processor with these features.

    CR * NV accumulators, NV rows and a broadcast must fit into the registers (32 with AVX-512 and
    NEON, 16 else): one spill inside the loop over features halves the speed. INTEGER_DOT names the
    instructions that multiply small integers, of `integer_products`: "" where there are none.
    """
    if "avx512f" in features:
        narrow = "vpmadd" if "avx512bw" in features else ""
        return 512, 4, 4, "vpdp" if "avx512vnni" in features else narrow
    if "avx2" in features:
        return 256, 4, 3, "vpdp" if "avxvnni" in features else "vpmadd"
    return (128, 4, 4, "") if "neon" in features else (128, 2, 4, "")


VECTOR_BITS, CR, NV, INTEGER_DOT = _vector_shape(FEATURES)


@intrinsic
def tile_rows(typingctx, items):
    """Rows in a tile whose dtype is that of `items`: a constant for the compiler."""
    rows = NV * VECTOR_BITS // items.dtype.bitwidth
    return types.int64(items), lambda context, builder, signature, arguments: I64(rows)


def field_type(record, name):
    """The type of a field of a record, by its name."""
    return record[record.fields.index(name)]


class Emitter:
    """Vector instructions for lanes of float32, float64 or int32, at the builder's place."""

    def __init__(self, context, builder, dtype):
        self.context, self.builder = context, builder
        self.real = context.get_value_type(dtype)
        self.W, self.align = VECTOR_BITS // dtype.bitwidth, dtype.bitwidth // 8
        self.V, self.VI = ir.VectorType(self.real, self.W), ir.VectorType(I32, self.W)

    def unpack(self, signature, arguments):
        """The arguments of an intrinsic: an array becomes the pointer to its first element, a
        record becomes a record of what its fields become."""
        return [self._unpacked(*pair) for pair in zip(signature.args, arguments, strict=True)]

    def _unpacked(self, type_, value):
        if isinstance(type_, types.Array):
            return self.context.make_array(type_)(self.context, self.builder, value).data
        if isinstance(type_, types.NamedTuple | types.NamedUniTuple):
            return type_.instance_class(
                *(
                    self._unpacked(field, self.builder.extract_value(value, n))
                    for n, field in enumerate(type_)
                )
            )
        return value

    def pointer(self, address, type_):
        """An address as a pointer to items of a type."""
        return self.builder.inttoptr(address, type_.as_pointer())

    def at(self, pointer, *parts):
        """Pointer to the item whose number is the sum of the parts: numbers or values."""
        numbers = [I64(part) if isinstance(part, int) else part for part in parts]
        return self.builder.gep(pointer, [functools.reduce(self.builder.add, numbers)])

    def line(self, tile, number, first):
        """Pointer to the rows from `first` on in a line of a tile."""
        return self.at(tile, self.builder.mul(number, I64(NV * self.W)), first)

    def load(self, pointer, type_=None, align=None):
        """Load a vector, of lanes where no type is said."""
        type_ = type_ or self.V
        loaded = self.builder.load(self.builder.bitcast(pointer, type_.as_pointer()))
        loaded.align = align or self.align
        return loaded

    def store(self, value, pointer, align=None):
        """Store a vector."""
        pointer = self.builder.bitcast(pointer, value.type.as_pointer())
        self.builder.store(value, pointer).align = align or self.align

    def load_vectors(self, pointer, type_=None, align=None):
        """Load NV vectors that lie side by side."""
        return [self.load(self.at(pointer, v * self.W), type_, align) for v in range(NV)]

    def store_vectors(self, vectors, pointer, align=None):
        """Store vectors side by side."""
        for v, vector in enumerate(vectors):
            self.store(vector, self.at(pointer, v * self.W), align)

    def splat(self, scalar, lanes=None):
        """A vector of the same number in all lanes."""
        lanes = lanes or self.W
        vector = ir.VectorType(scalar.type, lanes)
        first = self.builder.insert_element(vector(ir.Undefined), scalar, I32(0))
        return self.shuffle(first, first, [0] * lanes)

    def splat_item(self, pointer, *parts):
        """The item whose number is the sum of the parts, in all lanes."""
        return self.splat(self.builder.load(self.at(pointer, *parts)))

    def shuffle(self, a, b, lanes):
        """The lanes with these numbers among those of `a` and, after them, of `b`."""
        return self.builder.shuffle_vector(a, b, ir.VectorType(I32, len(lanes))(list(lanes)))

    def multiply_add(self, a, b, c):
        """a * b + c: fused where the machine can, and never a call of a library function."""
        name = f"llvm.fmuladd.v{a.type.count}f{32 if a.type.element == F32 else 64}"
        return self.builder.call(self.function(name, a.type, [a.type] * 3), [a, b, c])

    def function(self, name, result, arguments):
        """A function of LLVM."""
        module = self.builder.module
        return module.globals.get(name) or ir.Function(
            module, ir.FunctionType(result, arguments), name
        )

    def resize(self, reals, real):
        """float32 or float64 numbers as `real`, rounded once."""
        target = ir.VectorType(real, reals.type.count)
        if reals.type == target:
            return reals
        return (self.builder.fpext if real == F64 else self.builder.fptrunc)(reals, target)

    def smaller(self, a, b):
        """The smaller of both; `b` where either is NaN."""
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), a, b)

    def larger(self, a, b):
        """The larger of both; `b` where either is NaN."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def loop(self, name, begin, end, step, start, body):
        """Emit a loop over numbers from `begin` on, while they are below `end`, at least once.

        start : the vectors to begin with; body(number, vectors) : emits what replaces them.
        Returns what they come to.
        """
        builder, entry = self.builder, self.builder.block
        loop = builder.function.append_basic_block(name)
        done = builder.function.append_basic_block(f"{name}_done")
        builder.branch(loop)
        builder.position_at_end(loop)
        number = builder.phi(I64)
        before = [builder.phi(vector.type) for vector in start]
        after = body(number, before)
        following = builder.add(number, I64(step))
        for phi, first, new in zip(
            [number, *before], [begin, *start], [following, *after], strict=True
        ):
            phi.add_incoming(first, entry)
            phi.add_incoming(new, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, end), loop, done)
        builder.position_at_end(done)
        return after


class Items:
    """The numbers in a `layout.Rows`, of any dtype, and their way into lanes."""

    def __init__(self, emitter, rows_type, rows):
        self.e, self.dtype = emitter, field_type(rows_type, "item")
        self.half = self.dtype == types.boolean  # see `layout.Rows`
        self.item_type = I16 if self.half else emitter.context.get_value_type(self.dtype)
        self.align = 2 if self.half else self.dtype.bitwidth // 8
        self.column_stride = rows.column_stride
        self.integer = isinstance(self.dtype, types.Integer)
        small = self.half or (self.integer and self.dtype.bitwidth <= 16)
        # Shifted in float32 lanes where the numbers are exact in float32, else in float64.
        self.real = emitter.real if small or self.dtype == types.float32 else F64

    def load(self, address, count):
        """`count` items that lie side by side."""
        vector = ir.VectorType(self.item_type, count)
        return self.e.load(self.e.pointer(address, self.item_type), vector, self.align)

    def to_real(self, vector, real):
        """Loaded items as `real`, rounded once."""
        if self.half:
            return self.e.resize(self._widened(vector), real)
        if not self.integer:
            return self.e.resize(vector, real)
        convert = self.e.builder.sitofp if self.dtype.signed else self.e.builder.uitofp
        return convert(vector, ir.VectorType(real, vector.type.count))

    def _widened(self, bits):
        """float16 numbers, as the integers of their bits, as float32: exact."""
        builder, count = self.e.builder, bits.type.count
        singles, words = ir.VectorType(F32, count), ir.VectorType(I32, count)
        if HALVES:
            halves = builder.bitcast(bits, ir.VectorType(ir.HalfType(), count))
            return builder.fpext(halves, singles)

        def every(constant):
            return self.e.splat(constant, count)

        bits = builder.zext(bits, words)
        sign = builder.shl(builder.and_(bits, every(I32(0x8000))), every(I32(16)))
        size = builder.and_(bits, every(I32(0x7FFF)))
        # Ten bits of fraction become 23, a bias of 15 becomes 127, and infinity, NaN stay such.
        wide, bias = builder.shl(size, every(I32(13))), every(I32(112 << 23))
        wide = builder.add(wide, bias)
        strange = builder.icmp_unsigned(">=", size, every(I32(0x7C00)))
        wide = builder.select(strange, builder.add(wide, bias), wide)
        # Below the normal numbers, of exponent 0, they count units of 2**-24.
        units = builder.fmul(builder.uitofp(size, singles), every(F32(2.0**-24)))
        below = builder.icmp_unsigned("<", size, every(I32(0x400)))
        wide = builder.select(below, builder.bitcast(units, words), wide)
        return builder.bitcast(builder.or_(sign, wide), singles)

    def moved(self, vector, factor, start):
        """factor * items + start as lanes."""
        factor, start = (self.e.resize(a, self.real) for a in (factor, start))
        moved = self.e.multiply_add(self.to_real(vector, self.real), factor, start)
        return self.e.resize(moved, self.e.real)


def over_features(e, tile, features, start, step, across=NV):
    """Emit vectors that are replaced, for each feature, by step(feature, its `across` vectors of
    the tile, vectors); return what they come to.

    features : how many, or the first of them and the one after the last; start : the vectors to
    begin with, or how many zeros.
    """
    start = [e.V(None)] * start if isinstance(start, int) else start
    begin, end = features if isinstance(features, tuple) else (I64(0), features)

    def body(feature, before):
        line = e.at(tile, e.builder.mul(feature, I64(across * e.W)))
        return step(feature, [e.load(e.at(line, v * e.W)) for v in range(across)], before)

    return e.loop("features", begin, end, 1, start, body)


def register_tile(e, tile, features, center, combine, start=None, chosen=range(CR)):
    """Emit CR x NV sums over features of combine(center, x, sum): a list of CR lists.

    features : as for `over_features`; center(r, feature) : pointer to a feature of center r;
    start : CR vectors to begin with, zeros by default; chosen : some of the CR centers.
    """
    first = [vector for vector in start or [e.V(None)] * len(chosen) for _ in range(NV)]

    def step(feature, x, totals):
        after = []
        for n, r in enumerate(chosen):
            c = e.splat(e.builder.load(center(r, feature)))
            after += [combine(c, x[v], totals[n * NV + v]) for v in range(NV)]
        return after

    sums = over_features(e, tile, features, first, step)
    return [sums[n * NV : (n + 1) * NV] for n in range(len(chosen))]


def in_rows(e, centers, first, d):
    """Where the features of centers first, first + 1, ... are, in C order: for `register_tile`."""
    begin = e.at(centers, e.builder.mul(first, d))

    def center(r, feature):
        return e.at(begin, e.builder.mul(I64(r), d), feature)

    return center
