"""How this machine multiplies small integers: instructions, ranges, and why their sums are exact.

A lane of 32 bits holds two integers of 16 bits or four of 8. Instructions multiply those of a row
by those of a center and add the products up:

    vpdp    AVX512-VNNI, AVX-VNNI   2 or 4 products and the lane's sum, in 32 bits
    vpmadd  AVX2, AVX-512BW         2 products of 16 bits in 32 bits (`vpmaddwd`), or 2 and 2 of 8
                                    bits in the two halves of the lane (`vpmaddubsw`)

Sums wrap around, so what they pass through on their way does not matter: they are exact where the
last one fits. They are taken in *segments* of lanes, each of which fits:

* 8 bits, `vpdp`: sums of any number of features here fit into 32 bits.
* 16 bits: a segment's sum fits where both factors have norms below 2**15.5 (Cauchy-Schwarz).
* 8 bits, `vpmadd`: likewise with norms below 2**7.5, for halves of 16 bits. One instruction's two
  products must fit by themselves, since that addition saturates: 2 * 180 * 90 < 2**15. One
  `vpmaddwd` by ones widens the halves to 32 bits, in which all segments together fit.

Rounding adds at most half a unit to each number, so half the root of the features of a segment to
its norm; that is what `reach` leaves room for.

`vpdpbusd` and `vpmaddubsw` take integers without sign from rows: `zero` stands for zero there, and
every segment's sum begins with -zero times the sum of the center's integers.

Legend: CR centers that are compared at a time.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir

from .emitter import CR, INTEGER_DOT, VECTOR_BITS

MOST_FEATURES = 2**15
"""Features with which sums of 8-bit integers, each at most 255 * 127, stay within 31 bits."""


class Products(NamedTuple):
    """Sums of products of integers of one width.

    row, center : the largest size that a number may have before it is rounded. zero : what stands
    for zero in rows. reach : the largest norm that a segment may have before it is rounded.
    lanes : of a segment. in_halves : whether its sum is taken in halves of 16 bits.
    """

    row: float
    center: float
    zero: int
    reach: float
    lanes: int
    in_halves: bool


ANY = 2.0**40
"""A norm that nothing reaches."""

OF_16_BITS = Products(32_000.0, 32_000.0, 0, 45_500.0, 64, False)
ALL_LANES = MOST_FEATURES // 4

PRODUCTS = {
    "vpdp": {
        np.int8: Products(127.0, 127.0, 128, ANY, ALL_LANES, False),
        np.int16: OF_16_BITS,
    },
    "vpmadd": {
        np.int8: Products(90.0, 90.0, 90, 178.0, 8, True),
        np.int16: OF_16_BITS,
    },
    "": {},
}[INTEGER_DOT]
"""What this machine has, fewer bits first."""

INSTRUCTIONS = {
    ("vpdp", 8, 256): "llvm.x86.avx512.vpdpbusd.256",
    ("vpdp", 8, 512): "llvm.x86.avx512.vpdpbusd.512",
    ("vpdp", 16, 256): "llvm.x86.avx512.vpdpwssd.256",
    ("vpdp", 16, 512): "llvm.x86.avx512.vpdpwssd.512",
    ("vpmadd", 8, 256): "llvm.x86.avx2.pmadd.ub.sw",
    ("vpmadd", 8, 512): "llvm.x86.avx512.pmaddubs.w.512",
    ("vpmadd", 16, 256): "llvm.x86.avx2.pmadd.wd",
    ("vpmadd", 16, 512): "llvm.x86.avx512.pmaddw.d.512",
}
"""What LLVM calls them: the instruction, bits of an integer, bits of a vector."""


TOGETHER = CR // 2 if (INTEGER_DOT, VECTOR_BITS) == ("vpmadd", 256) else CR
"""Centers whose sums are made in one loop: a product needs a register before it is added, and CR
centers would need 17, of 16 that there are."""


def products_of(bits):
    """The `Products` of integers of so many bits."""
    return PRODUCTS[np.int8 if bits == 8 else np.int16]


def multiply_add_integers(e, bits, row, center, total):
    """total + row * center, summed over the integers in each lane, or in each half of it."""
    if INTEGER_DOT == "vpmadd":
        return _add(e, _pairs(e, bits, row, center), total, 16 if bits == 8 else 32)
    name = INSTRUCTIONS[INTEGER_DOT, bits, VECTOR_BITS]
    function = e.function(name, total.type, [total.type] * 3)
    return e.builder.call(function, [total, row, center])


def lane_sums(e, bits, sums):
    """Sums as `multiply_add_integers` leaves them -> one sum in each lane."""
    if not products_of(bits).in_halves:
        return sums
    ones = e.builder.bitcast(_of_bits(16, e.W)([ir.IntType(16)(1)] * (2 * e.W)), e.VI)
    return _pairs(e, 16, sums, ones)


def _pairs(e, bits, row, center):
    """Products of neighbours, in integers of twice the bits, added up in pairs."""
    small, large = _of_bits(bits, e.W), _of_bits(2 * bits, e.W)
    function = e.function(INSTRUCTIONS["vpmadd", bits, VECTOR_BITS], large, [small, small])
    factors = [e.builder.bitcast(vector, small) for vector in (row, center)]
    return e.builder.bitcast(e.builder.call(function, factors), e.VI)


def _add(e, a, b, bits):
    """a + b in integers of so many bits."""
    small = _of_bits(bits, e.W)
    a, b = (e.builder.bitcast(vector, small) for vector in (a, b))
    return e.builder.bitcast(e.builder.add(a, b), e.VI)


def _of_bits(bits, lanes):
    return ir.VectorType(ir.IntType(bits), lanes * 32 // bits)
