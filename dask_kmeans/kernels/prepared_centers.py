"""Centers prepared for comparison, and the bound that certifies a label.

A filter computes, in lanes of unit roundoff u (2**-24 or 2**-53), for a row x and every center c_j

    S_j = |a_j|**2 / 2 - y . a_j      y = s (x - m),  a_j = s (c_j - m)

with a shift m in the middle of the centers and a scale s that is a power of two. With Y = |y|,
A_j = |a_j|, D_j = |y - a_j|:   2 S_j = D_j**2 - Y**2, so the smallest S_j is the nearest center.

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
"""

import math
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from .lanes import CR
from .layout import owned
from .quantized import QuantizedCenters, quantized_by_bits

SAMPLE = 64
"""About how many centers have a say in where their middle is: one far center must not move it."""


FAR_CONSTANT = 3
"""Where it stands in a bound."""


class Filter(NamedTuple):
    """Shifted, scaled centers in one lane dtype, padded to a multiple of CR with half = inf.

    centers : (k', d) lane dtype; half : (k',) lane dtype; origin : float64 (d,), -shift * scale;
    scale : power of two, lane dtype; bound : (6,) lane dtype, see `_bound`.
    """

    centers: np.ndarray
    half: np.ndarray
    origin: np.ndarray
    scale: np.floating
    bound: np.ndarray


class PreparedCenters:
    """Centers prepared for comparison: what that takes is made when it is first asked for.

    They travel as their centers alone, and where nobody compares with them, nothing is made.

    centers : float64 (k, d), C order: all that is for other modules to read, with
    shift : float64 (d,), where the origin is.
    """

    def __init__(self, centers: np.ndarray, shift: np.ndarray):
        self.centers, self.shift = centers, shift

    def __reduce__(self):
        return PreparedCenters, (self.centers, self.shift)

    @cached_property
    def padded(self) -> np.ndarray:
        """float64 (k', d), C order: the centers, and zeros up to a multiple of CR."""
        return pad(self.centers)

    @cached_property
    def single(self) -> Filter:
        """The float32 filter, scaled to numbers below one."""
        return self._filter(np.float32)

    @cached_property
    def double(self) -> Filter:
        """The float64 filter, for which most steps have no rows."""
        return self._filter(np.float64)

    @cached_property
    def quantized_by_bits(self) -> tuple[QuantizedCenters, ...]:
        """The centers of `single` rounded to fewer bits, where that may be of use."""
        return quantized_by_bits(self.single.centers, self.single.half, len(self.centers))

    def _filter(self, dtype: type) -> Filter:
        padded = self.padded
        moved, half = np.empty(padded.shape, dtype), np.empty(len(padded), dtype)
        bound, origin = np.empty(6, dtype), np.empty(padded.shape[1])
        scale = _move(
            padded, len(self.centers), self.shift, _bound(len(origin), dtype), moved, half, origin,
            bound,
        )  # fmt: skip
        return Filter(moved, half, origin, dtype(scale), bound)

    def at(self, centers: np.ndarray) -> "PreparedCenters":
        """Other centers, about the same origin: float64 (k, d), C order."""
        return PreparedCenters(centers, self.shift)


def prepare(centers: np.ndarray, shift: np.ndarray | None = None) -> PreparedCenters:
    """Prepare `centers` (k, d) for `nearest` and `assign`.

    shift : float64 (d,), where to put the origin; by default about the median of some of the
    centers. It bears on speed alone, never on a label.
    """
    centers = np.ascontiguousarray(centers, np.float64)
    with np.errstate(all="ignore"):
        if shift is None:
            some = np.sort(centers[:: -(-len(centers) // SAMPLE)], axis=0)
            shift = some[len(some) // 2]  # np.median takes as long as all the rest here
        # float32 rows are shifted in float32.
        shift = np.asarray(shift).astype(np.float32).astype(np.float64)
        shift[~np.isfinite(shift)] = 0.0
    return PreparedCenters(centers, shift)


def pad(centers: np.ndarray) -> np.ndarray:
    """float64 `centers`, in C order, with rows of zeros up to a multiple of CR."""
    k, d = centers.shape
    if k % CR == 0:
        return owned(centers)
    padded = np.zeros((-(-k // CR) * CR, d))
    padded[:k] = centers
    return padded


@njit(cache=True, nogil=True)
def _move(padded, k, shift, bound_of_unit, moved, half, origin, bound):
    """Write a filter's arrays, in compiled code, since every iteration waits for it.

    Returns the scale: for float32 the power of two that takes all coordinates below one, if it is
    no more than 2**100 away from one.
    """
    extent, largest = 0.0, 0.0
    if half.itemsize == 4:
        for j in range(k):
            for feature in range(len(shift)):
                extent = max(extent, abs(padded[j, feature] - shift[feature]))
    exponent = math.frexp(extent)[1] if 0.0 < extent < np.inf else 0
    scale = math.ldexp(1.0, -min(max(exponent, -100), 100))
    for j in range(len(padded)):
        square = 0.0
        for feature in range(len(shift)):
            value = (padded[j, feature] - shift[feature]) * scale if j < k else 0.0
            moved[j, feature] = value
            wide = np.float64(moved[j, feature])
            square += wide * wide
        half[j] = square / 2 if j < k else np.inf
        largest = max(largest, square)
    for feature in range(len(shift)):
        origin[feature] = shift[feature] * -scale
    for n in range(len(bound)):
        bound[n] = bound_of_unit[n] * (largest if n == FAR_CONSTANT else 1.0)
    return scale


@cache
def constants(d, dtype):
    """u, p and q of the near bound: see the top of this file."""
    u = float(np.finfo(dtype).eps) / 2
    return u, 2 * (d + 2), 2 * (d + 8) + 6 * (d + 3) * (2.0**-53 / u)


@cache
def _bound(d, dtype):
    """float64 (near Y**2, near S_b, far Y**2, far constant, underflow, limit): see the top of this
    file; the far constant for a largest square of one.
    """
    u, p, q = constants(d, dtype)
    g = 2.0**-53 / u
    factor = 1.05 * u if (d + 16) * u < 0.01 else np.inf
    near = factor * (p + q), factor * q
    far = factor * (d + 4 + 2 * (d + 2) * g), factor * (d + 8 + 3 * (d + 3) * g)
    underflow = 64 * (d + 8) * float(np.finfo(dtype).tiny)
    limit = 2.0**60 if dtype == np.float32 else 2.0**900
    return np.array([*near, *far, underflow, limit])
