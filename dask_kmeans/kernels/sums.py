"""Sums of rows in fixed point: any order, any grouping, the same bits.

Integer addition is associative and undoes itself, so partial sums form a commutative group: blocks
may be merged in any order, and a row may be *subtracted* from the cluster it leaves.

A value is stored relative to its feature's shift and scale (both taken from the feature's minimum
and maximum, which no chunking can change) as two integers:

    t = (x - shift) * scale           |t| <= 2**bits
    high = rint(t)
    low  = rint((t - high) * 2**30)

One row errs by at most 2**-53 of the feature's range in the subtraction and 2**-58 in the low limb,
so a mean errs by less than 2**-52 of the range, one heavy tail or not.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from .layout import numeric

LOW = 2.0**30
"""Units of the low limb in one unit of the high limb."""

MAGIC = 1.5 * 2.0**52
"""Adding this to |t| < 2**51 rounds t to an integer, which then stands in the lowest bits."""

MAGIC_BITS = int(np.float64(MAGIC).view(np.int64))


class Sums(NamedTuple):
    """Fixed-point sums of the rows of each cluster: a commutative group under `merge_sums`.

    high, low : int64 (k, d), the limbs of the sum of weight * (x - shift) * scale.
    counts : int64 (k,), rows, whatever their weights.
    weight_high, weight_low : int64 (k,), the limbs of the sum of weights; length 0 when unweighted.
    """

    high: np.ndarray
    low: np.ndarray
    counts: np.ndarray
    weight_high: np.ndarray
    weight_low: np.ndarray


def merge_sums(a: Sums, b: Sums) -> Sums:
    """Add `b` to `a`, in `a`'s memory where that is writeable."""
    return Sums(*(np.add(x, y, out=x if x.flags.writeable else None) for x, y in zip(a, b)))


@dataclass(frozen=True)
class FixedPoint:
    """How a feature's values become integers.

    shift : float64 (d,), the value of the feature's range that is nearest to zero.
    scale : float64 (d,), powers of two.
    weight_scale : power of two for the weights themselves; 0 when rows are not weighted.
    bits : bits of a row's high limb, so that all rows together stay inside int64.
    """

    shift: np.ndarray
    scale: np.ndarray
    weight_scale: float
    bits: int

    @classmethod
    def from_range(
        cls, minimum: np.ndarray, maximum: np.ndarray, rows: int, max_weight: float | None = None
    ) -> "FixedPoint":
        """Choose shift and scale from the extent of the data.

        Parameters
        ----------
        minimum, maximum : float (d,), finite
        rows : an upper bound on the number of rows ever added
        max_weight : the largest weight, or None for rows without weights
        """
        minimum, maximum = np.asarray(minimum, np.float64), np.asarray(maximum, np.float64)
        bits = min(29, 62 - int(rows).bit_length())
        shift = np.clip(0.0, minimum, maximum)
        # Halved before the subtraction: a range may exceed the largest float64.
        _, exponent = np.frexp(maximum / 2 - minimum / 2)
        weight_scale, weight_exponent = 0.0, 0
        if max_weight is not None:
            weight_exponent = int(np.frexp(max_weight)[1])
            weight_scale = _power_of_two(bits - weight_exponent)
        scale = _power_of_two(bits - 1 - exponent - weight_exponent)
        return cls(shift, np.where(maximum > minimum, scale, 1.0), float(weight_scale), bits)

    @property
    def weighted(self) -> bool:
        return self.weight_scale > 0

    def zero_sums(self, n_clusters: int) -> Sums:
        """The neutral element for `n_clusters` clusters."""
        shape = (n_clusters, len(self.shift))
        weights = n_clusters if self.weighted else 0
        return Sums(*(np.zeros(s, np.int64) for s in (shape, shape, n_clusters, weights, weights)))

    def means(self, sums: Sums) -> tuple[np.ndarray, np.ndarray]:
        """(centers float64 (k, d), weights float64 (k,)); the row of an empty cluster is NaN."""
        if self.weighted:
            weights = (sums.weight_high + sums.weight_low / LOW) / self.weight_scale
        else:
            weights = sums.counts.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            offset = (sums.high + sums.low / LOW) / weights[:, None] / self.scale
        offset[sums.counts == 0] = np.nan
        return self.shift + offset, weights


def _power_of_two(exponent):
    """2.0 ** exponent, held inside the finite normal numbers."""
    return np.ldexp(1.0, np.clip(exponent, -1022, 1023))


def accumulate(
    X: np.ndarray,
    weights: np.ndarray | None,
    fixed_point: FixedPoint,
    old: np.ndarray,
    new: np.ndarray,
    sums: Sums,
) -> None:
    """Move every row whose label differs from the sums of `old` to those of `new`, in place.

    X : (m, d), any numeric dtype and strides; weights : float64 (m,) or None;
    old, new : int32 (m,), -1 = in no cluster.
    """
    weights = np.empty(0) if weights is None else weights
    _accumulate(
        numeric(X), weights, fixed_point.shift, fixed_point.scale, fixed_point.weight_scale,
        old, new, *sums,
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _accumulate(X, weights, shift, scale, weight_scale, old, new, high, low, counts, w_high, w_low):
    m, d = X.shape
    for i in range(m):
        a, b = old[i], new[i]
        if a == b:
            continue
        w = weights[i] if len(weights) else 1.0
        if a >= 0:
            counts[a] -= 1
        if b >= 0:
            counts[b] += 1
        if weight_scale > 0:
            t = w * weight_scale
            h = np.rint(t)
            g = np.int64(np.rint((t - h) * LOW))
            if a >= 0:
                w_high[a] -= np.int64(h)
                w_low[a] -= g
            if b >= 0:
                w_high[b] += np.int64(h)
                w_low[b] += g
        for j in range(d):
            t = (w * (np.float64(X[i, j]) - shift[j])) * scale[j]
            h = np.rint(t)
            g = np.int64(np.rint((t - h) * LOW))
            if a >= 0:
                high[a, j] -= np.int64(h)
                low[a, j] -= g
            if b >= 0:
                high[b, j] += np.int64(h)
                low[b, j] += g
