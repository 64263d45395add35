"""Centers prepared for comparison, and the bound that certifies a label.

A filter computes, in lanes of unit roundoff u (2**-24 or 2**-53), for a row x and every center c_j

    S_j = |a_j|**2 / 2 - y . a_j      y = s (x - m),  a_j = s (c_j - m)

with a shift m in the middle of the centers and a scale s that is a power of two. With Y = |y|,
A_j = |a_j|, D_j = |y - a_j|:   2 S_j = D_j**2 - Y**2, so the smallest S_j is the nearest center.

`certify` proves by what difference of scores a label is certain.

Legend: k centers, k' of them padded to a multiple of CR, d features.
"""

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .certify import BOUND, bound_of_unit
from .compiled import compiled
from .directions import Directions, FewDirections, along
from .emitter import CR
from .layout import owned
from .margins import widths
from .quantized import QuantizedCenters, may_quantize, quantized_by_bits

SAMPLE = 64
"""About how many centers have a say in where their middle is: one far center must not move it."""


class Filter(NamedTuple):
    """Shifted, scaled centers in one lane dtype, padded to a multiple of CR with half = inf.

    centers : (k', d) lane dtype; half : (k',) lane dtype; origin : float64 (d,), -shift * scale;
    scale : power of two, lane dtype; bound : (6,) lane dtype, a `certify.Bound`; widths : (7,) lane
    dtype, `margins.Widths`; padded : float64 (k', d), the centers as they are.
    """

    centers: np.ndarray
    half: np.ndarray
    origin: np.ndarray
    scale: np.floating
    bound: np.ndarray
    widths: np.ndarray
    padded: np.ndarray


class PreparedCenters:
    """Centers prepared for comparison: what that takes is made when it is first asked for.

    They travel as their centers alone, and where nobody compares with them, nothing is made.

    centers : float64 (k, d), C order: all that is for other modules to read, with
    shift : float64 (d,), where the origin is; few : what centers that follow these share with them.
    """

    def __init__(self, centers: np.ndarray, shift: np.ndarray, few: FewDirections | None = None):
        self.centers, self.shift, self.few = centers, shift, few or FewDirections()
        self._along: dict[int, Directions | None] = {}

    def __reduce__(self):
        return PreparedCenters, (self.centers, self.shift, self.few)

    @property
    def padded(self) -> np.ndarray:
        """float64 (k', d), C order: the centers, and zeros up to a multiple of CR."""
        return self.single.padded

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

    @property
    def quantizes(self) -> bool:
        """Whether there are centers of fewer bits."""
        return may_quantize(len(self.centers), self.centers.shape[1])

    def along(self, p: int) -> Directions | None:
        """The centers of `single` along p directions; None where rounding leaves no use of them."""
        basis = self.few.basis
        if p and p not in self._along and basis is not None:
            single = self.single
            self._along[p] = along(basis[:p], single.centers, single.half, single.bound)
        return self._along.get(p)

    def _filter(self, dtype: type) -> Filter:
        k, d = self.centers.shape
        shape = _padded(k), d
        padded, moved, half = np.empty(shape), np.empty(shape, dtype), np.empty(shape[0], dtype)
        bound, origin = np.empty(6, dtype), np.empty(d)
        scale = _move(
            owned(self.centers), self.shift, bound_of_unit(d, dtype), padded, moved, half, origin,
            bound,
        )  # fmt: skip
        made = widths(d, dtype, scale)
        return Filter(moved, half, origin, dtype(scale), bound, made, padded)

    def at(self, centers: np.ndarray) -> "PreparedCenters":
        """Other centers, about the same origin: float64 (k, d), C order."""
        return PreparedCenters(centers, self.shift, self.few)


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
    padded = np.zeros((_padded(k), d))
    padded[:k] = centers
    return padded


def _padded(k: int) -> int:
    """k, or the multiple of CR that follows."""
    return -(-k // CR) * CR


@compiled
def _move(centers, shift, unit_bound, padded, moved, half, origin, bound):
    """Write a filter's arrays, in compiled code, since every iteration waits for it.

    Returns the scale: for float32 the power of two that takes all coordinates below one, if it is
    no more than 2**100 away from one.
    """
    extent, largest, k = 0.0, 0.0, len(centers)
    if half.itemsize == 4:
        for j in range(k):
            for feature in range(len(shift)):
                extent = max(extent, abs(centers[j, feature] - shift[feature]))
    exponent = math.frexp(extent)[1] if 0.0 < extent < np.inf else 0
    scale = math.ldexp(1.0, -min(max(exponent, -100), 100))
    for j in range(len(padded)):
        square = 0.0
        for feature in range(len(shift)):
            padded[j, feature] = centers[j, feature] if j < k else 0.0
            value = (padded[j, feature] - shift[feature]) * scale if j < k else 0.0
            moved[j, feature] = value
            wide = np.float64(moved[j, feature])
            square += wide * wide
        half[j] = square / 2 if j < k else np.inf
        largest = max(largest, square)
    for feature in range(len(shift)):
        origin[feature] = shift[feature] * -scale
    for n in range(len(bound)):
        bound[n] = unit_bound[n] * (largest if n == BOUND.far else 1.0)
    return scale
