"""The bound that certifies a label: the proof, its constants, and the instructions that apply it.

S_j, y, a_j, m and s are as in `prepared_centers`; u is the unit roundoff of the lanes, 2**-24 or
2**-53. With Y = |y|, A_j = |a_j|, D_j = |y - a_j|:  2 S_j = D_j**2 - Y**2.

**What is to be shown.** The label is defined by D64_j: the float64 sum of (x - c_j)**2, feature by
feature, which errs by a factor within 1 +- 1.01 (d + 2) v, v = 2**-53. Let b be the filter's best.
Label b is certified when no other j can have D64_j <= D64_b. If some j had, then
D_j**2 <= D_b**2 (1 + 2.1 (d + 2) v), so

    S_j - S_b <= 1.05 (d + 2) v D_b**2                                                          (1)

**What the filter computes** differs from S_j by at most E_j, to first order in u:

    u Y A_j                   y is rounded to lanes,
    u A_j D_j                 a_j is rounded, and half its squared norm is that of the rounded a_j,
    (d + 1) u Y A_j           the dot product, in any order, fused or not (Cauchy-Schwarz),
    (u + (d + 3) v) A_j**2/2  half the squared norm, a float64 sum rounded to lanes,
    u |S_j|                   the last subtraction.

So (1) is excluded, and b certified, when  second - best > T >= E_j + E_b + (1).

**Near bound.** No maximum over centers is needed, for one far center must not spoil every row. A j
with (1) has D_j <= 1.01 D, D = D_b, and A_j <= Y + D_j. With M = (Y**2 + D**2) / 2 = Y**2 + S_b:
Y A <= Y**2 + M,  A D <= D**2 + M,  A**2 / 2 <= 2 M,  |S| <= M,  D**2 <= 2 M,  and with g = v / u

    T = u ( p Y**2 + q (Y**2 + S_b) ),   p = 2 (d + 2),   q = 2 (d + 8) + 6 (d + 3) g

**Far bound.** With A the largest A_j, Y A <= (Y**2 + A**2) / 2, D**2 <= 2 (Y**2 + A**2) and
|S| <= A**2 / 2 + Y A, which is smaller where rows lie between the centers:

    T = u ( (d + 4 + 2 (d + 2) g) Y**2 + (d + 8 + 3 (d + 3) g) A**2 )

The smaller of the two is taken, times 1.05 for all products of roundings (this needs
(d + 16) u < 0.01; a filter of more features certifies nothing), those in
Y**2, S_b and T themselves included.

**Underflow** costs each operation at most w, the smallest normal number (even where subnormals are
flushed), times a factor below 1 + Y + A; 64 (d + 8) w is added to T. It covers the underflow of D64
too, since s <= 2**100 in float32 lanes and s = 1 in float64 lanes.

**Overflow.** A label is certified only for 0 < T < limit, which bounds Y and D_b by 2**42 in
float32 lanes (2**480 in float64). A center whose a_j or norm overflowed is farther than that, so
what its score came to does not matter; with s >= 2**-100 no certified D64_b has overflowed. A NaN
anywhere fails the comparisons.

Legend: B = NV * W rows in a tile, d features.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types

from .compiled import internal
from .emitter import I32, I64, NV, Emitter, intrinsic, over_features
from .score import UNDECIDED


class Bound(NamedTuple):
    """The numbers from which T is made; an array holds them in this order.

    T = the smaller of near_square Y**2 + near_best S_b and far_square Y**2 + far, plus underflow;
    it certifies where it is below `limit`.
    """

    near_square: float
    near_best: float
    far_square: float
    far: float
    underflow: float
    limit: float


BOUND: Any = Bound(*range(len(Bound._fields)))
"""The place of each number in such an array."""


@cache
def constants(d: int, dtype: type) -> tuple[float, float, float]:
    """u, p and q of the near bound, for d features in lanes of a dtype."""
    u = float(np.finfo(dtype).eps) / 2
    return u, 2 * (d + 2), 2 * (d + 8) + 6 * (d + 3) * (2.0**-53 / u)


@cache
def bound_of_unit(d: int, dtype: type) -> np.ndarray:
    """A `Bound` for a largest A of one: float64 (6,)."""
    u, p, q = constants(d, dtype)
    g = 2.0**-53 / u
    factor = 1.05 * u if (d + 16) * u < 0.01 else np.inf
    return np.array(
        Bound(
            near_square=factor * (p + q),
            near_best=factor * q,
            far_square=factor * (d + 4 + 2 * (d + 2) * g),
            far=factor * (d + 8 + 3 * (d + 3) * g),
            underflow=64 * (d + 8) * float(np.finfo(dtype).tiny),
            limit=2.0**60 if dtype == np.float32 else 2.0**900,
        )
    )


@intrinsic
def certify(typingctx, tile, d, best, second, bound, squares, index):
    """index[lane] = UNDECIDED where second - best is within the bound T.

    tile : (d, B); best, second : (B,); bound : (6,), a `Bound`; squares : (B,), written, Y**2 of
    the rows; all of lane dtype; index : int32 (B,).
    """
    signature = types.void(tile, d, best, second, bound, squares, index)
    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        tile, d, best, second, bound, squares, index = e.unpack(signature, arguments)

        def square(feature, x, totals):
            return [e.multiply_add(a, a, total) for a, total in zip(x, totals, strict=True)]

        # Loaded here: a store of what was just loaded, or not, becomes one under a mask, and slow.
        labels = e.load_vectors(index, e.VI, 4)
        found = over_features(e, tile, d, NV, square)
        T = Bound(*(e.splat_item(bound, n) for n in BOUND))
        zero, none = e.V([e.real(0.0)] * e.W), e.VI([I32(UNDECIDED)] * e.W)
        for v, of_row in enumerate(found):
            lanes = I64(v * e.W)
            of_best, of_second = e.load(e.at(best, lanes)), e.load(e.at(second, lanes))
            near = e.multiply_add(T.near_best, of_best, builder.fmul(T.near_square, of_row))
            far = e.multiply_add(T.far_square, of_row, T.far)
            least = builder.fadd(e.smaller(near, far), T.underflow)
            proved = builder.fcmp_ordered(">", builder.fsub(of_second, of_best), least)
            proved = builder.and_(proved, builder.fcmp_ordered(">", least, zero))
            proved = builder.and_(proved, builder.fcmp_ordered("<", least, T.limit))
            e.store(builder.select(proved, labels[v], none), e.at(index, lanes), 4)
        e.store_vectors(found, squares)
        return context.get_dummy_value()

    return signature, codegen


@internal
def threshold(square, best, bound):
    """T of the float32 filter for Y**2 and the best score; NaN where it certifies nothing."""
    near = bound[BOUND.near_square] * square + bound[BOUND.near_best] * best
    far = bound[BOUND.far_square] * square + bound[BOUND.far]
    T = (near if near < far else far) + bound[BOUND.underflow]
    return T if 0 < T < bound[BOUND.limit] else np.float32(np.nan)
