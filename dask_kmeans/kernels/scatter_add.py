"""A row -> the integer sums of the cluster that it leaves and of the one that it joins.

Legend: d features, P of them at once.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types

from .emitter import F64, I64, Emitter, Items, intrinsic

LOW = 2.0**30
"""Units of the low limb of a sum in one unit of the high limb."""

MAGIC = 1.5 * 2.0**52
"""A number of which the sum with |t| < 2**51 has rint(t) in its lowest bits. Every vector unit can
add; not every one can convert float64 to int64."""

MAGIC_BITS = int(np.float64(MAGIC).view(np.int64))


class Limbs(NamedTuple):
    """Addresses of sums, and of what values are measured by.

    shift, scale : of float64 (d,); high, low : of int64 (k, d), the limbs of the sums.
    """

    shift: int
    scale: int
    high: int
    low: int


@intrinsic(prefer_literal=True)
def scatter_add(typingctx, P, rows, address, feature, weight, limbs, leaves, joins):
    """Move P features of a row from the sums of one cluster to another's, as two integer limbs.

    rows : Rows; address : of the row's feature, P of them side by side; limbs : Limbs; leaves,
    joins : the numbers that the old and the new cluster's sums of this feature have there, negative
    for no cluster.
    """
    signature = types.void(P, rows, address, feature, weight, limbs, leaves, joins)
    rows_type, P = rows, P.literal_value

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, types.float64)
        _, rows, address, feature, weight, limbs, leaves, joins = e.unpack(signature, arguments)
        reals, integers = ir.VectorType(F64, P), ir.VectorType(I64, P)

        def constant(number):
            return reals([F64(number)] * P)

        def rounded(limb):
            """rint(limb), as integers and as reals."""
            shifted = builder.fadd(limb, constant(MAGIC))
            whole = builder.sub(builder.bitcast(shifted, integers), integers([I64(MAGIC_BITS)] * P))
            return whole, builder.fsub(shifted, constant(MAGIC))

        items = Items(e, rows_type, rows)
        x = items.to_real(items.load(address, P), F64)
        shift, scale = (
            e.load(e.at(e.pointer(array, F64), feature), reals)
            for array in (limbs.shift, limbs.scale)
        )
        t = builder.fmul(builder.fmul(e.splat(weight, P), builder.fsub(x, shift)), scale)
        of_high, whole = rounded(t)
        of_low, _ = rounded(builder.fmul(builder.fsub(t, whole), constant(LOW)))
        for place, combine in ((leaves, builder.sub), (joins, builder.add)):
            with builder.if_then(builder.icmp_signed(">=", place, I64(0))):
                for sums, limb in ((limbs.high, of_high), (limbs.low, of_low)):
                    at = e.at(e.pointer(sums, I64), place)
                    e.store(combine(e.load(at, integers), limb), at)
        return context.get_dummy_value()

    return signature, codegen
