"""Sums of rows in fixed point: any order, any grouping, the same bits.

Integer addition is associative and undoes itself, so partial sums form a commutative group: blocks
may be merged in any order, and a row may be *subtracted* from the cluster it leaves.

A value is taken relative to its feature's shift and scale, both made from the feature's minimum and
maximum, which no chunking can change, and stored as two integers:

    t = (w (x - shift)) scale         |t| < 2**bits
    high = rint(t)
    low  = rint((t - high) 2**30)

The shift is the point of the feature's range that is nearest to zero, so |x - shift| is at most the
range and small values stay exact beside a heavy tail. A row errs by 2**-53 of the range where
x - shift is rounded and by 2**-60 of it in the low limb, so a mean errs by less than 2**-52 of the
range. Weighted rows err relative to the largest weight.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from .lanes import LOW, deposit
from .layout import numeric, owned, rows_of
from .tile import address_of

BATCH = 1024
"""Rows moved in one call."""


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
    return Sums(
        *(np.add(x, y, out=x if x.flags.writeable else None) for x, y in zip(a, b, strict=True))
    )


@dataclass(frozen=True)
class FixedPoint:
    """How a feature's values become integers.

    shift : float64 (d,), the value of the feature's range that is nearest to zero.
    scale : float64 (d,), powers of two.
    weight_scale : power of two for the weights themselves; 0 when rows are not weighted.
    bits : bits of a row's high limb, so that all rows together stay inside int64.
    lift : None, or powers of two (d,) by which features are multiplied first, where a range is so
        near to the smallest float64 that no finite scale would do.
    """

    shift: np.ndarray
    scale: np.ndarray
    weight_scale: float
    bits: int
    lift: np.ndarray | None = None

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
        exponent = bits - np.frexp(np.maximum(maximum - shift, shift - minimum))[1]
        weight_scale = 0.0
        if max_weight is not None:
            weight_exponent = int(np.frexp(max_weight)[1])
            weight_scale = float(np.ldexp(1.0, bits - weight_exponent))
            exponent -= weight_exponent
        excess = np.maximum(exponent - 1023, 0)
        lift = np.ldexp(1.0, excess) if excess.any() else None
        return cls(shift, np.ldexp(1.0, exponent - excess), weight_scale, bits, lift)

    @property
    def weighted(self) -> bool:
        return self.weight_scale > 0

    def zero_sums(self, n_clusters: int, zeros: Callable = np.zeros) -> Sums:
        """The neutral element for `n_clusters` clusters, in memory that `zeros` gets."""
        shape = (n_clusters, len(self.shift))
        limb, weights = n_clusters * len(self.shift), n_clusters if self.weighted else 0
        # One array: its memory is used again as a whole.
        flat = zeros((2 * limb + n_clusters + 2 * weights,), np.int64)
        high, low, rest = flat[:limb], flat[limb : 2 * limb], flat[2 * limb :]
        return Sums(
            high.reshape(shape), low.reshape(shape), rest[:n_clusters],
            rest[n_clusters : n_clusters + weights], rest[n_clusters + weights :],
        )  # fmt: skip

    def means(self, sums: Sums) -> tuple[np.ndarray, np.ndarray]:
        """(centers float64 (k, d), weights float64 (k,)); the row of an empty cluster is NaN."""
        if self.weighted:
            weights = (sums.weight_high + sums.weight_low / LOW) / self.weight_scale
        else:
            weights = sums.counts.astype(np.float64)
        centers = np.empty(sums.high.shape)
        _means(
            owned(sums.high), owned(sums.low), owned(sums.counts), weights, owned(self.shift),
            owned(self.scale), self._lift_or_ones, centers,
        )  # fmt: skip
        return centers, weights

    @cached_property
    def _lift_or_ones(self) -> np.ndarray:
        return np.ones_like(self.scale) if self.lift is None else owned(self.lift)


@njit(cache=True, nogil=True, error_model="numpy")
def _means(high, low, counts, weights, shift, scale, lift, centers):
    for j in range(len(weights)):
        weight = weights[j] if counts[j] else np.nan
        for feature in range(len(shift)):
            total = high[j, feature] + low[j, feature] / LOW
            offset = total / weight / scale[feature] / lift[feature]
            centers[j, feature] = shift[feature] + offset


def scatter(
    weights: np.ndarray, means: np.ndarray, shift: np.ndarray, centers: np.ndarray
) -> np.ndarray:
    """How much the inertia of each cluster differs from that of its rows about `shift`, (k,).

    With c' = center - shift and m' = mean - shift:  weight * sum over features of c' (c' - 2 m').
    weights : (k,); means, centers : (k, d); shift : (d,); all float64.
    """
    out = np.empty(len(weights))
    _scatter(weights, owned(means), owned(shift), owned(centers), out)
    return out


@njit(cache=True, nogil=True)
def _scatter(weights, means, shift, centers, out):
    for j in range(len(weights)):
        total = 0.0
        for feature in range(len(shift)):
            moved, mean = centers[j, feature] - shift[feature], means[j, feature] - shift[feature]
            total += moved * (moved - 2 * mean)
        out[j] = weights[j] * total


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
    X, shift = numeric(X), fixed_point.shift
    if fixed_point.lift is not None:
        X, shift = X * fixed_point.lift, shift * fixed_point.lift
    weights, weight_scale = checked_weights(weights, fixed_point), fixed_point.weight_scale
    move = weights, owned(shift), owned(fixed_point.scale), weight_scale
    old, new = (owned(labels.astype(np.int32, copy=False)) for labels in (old, new))
    _accumulate(rows_of(X), *move, old, new, sums)


def checked_weights(weights: np.ndarray | None, fixed_point: FixedPoint) -> np.ndarray:
    """Weights as the compiled code takes them: float64, empty where rows are not weighted."""
    if (weights is not None) != fixed_point.weighted:
        raise ValueError("weights and a FixedPoint made with max_weight go together, or neither")
    return _NONE if weights is None else owned(np.asarray(weights, np.float64))


_NONE = np.empty(0)


@njit(cache=True, nogil=True)
def _accumulate(rows, weights, shift, scale, weight_scale, old, new, sums):
    which = np.empty(BATCH, np.int64)
    before, after = np.empty(BATCH, np.int32), np.empty(BATCH, np.int32)
    for start in range(0, rows.m, BATCH):
        moved = 0
        for i in range(start, min(start + BATCH, rows.m)):
            which[moved], before[moved], after[moved] = i, old[i], new[i]
            moved += old[i] != new[i]
        move_rows(rows, which[:moved], before, after, weights, shift, scale, weight_scale, sums)


@njit(cache=True, nogil=True)
def move_rows(rows, which, old, new, weights, shift, scale, weight_scale, sums):
    """Subtract row which[n] from the sums of cluster old[n] and add it to those of new[n].

    -1 = no cluster. Does nothing where there are no sums. Many rows a call: a row costs less than
    the call.
    """
    if len(sums.counts):
        for joins in range(2):  # a sign written out would be compiled twice, as a constant
            labels, sign = (new if joins else old), 2 * joins - 1
            _add_rows(rows, which, labels, sign, weights, shift, scale, weight_scale, sums)


@njit(cache=True, nogil=True)
def _add_rows(rows, which, labels, sign, weights, shift, scale, weight_scale, sums):
    """Add row which[n] to the sums of cluster labels[n], or subtract it where sign = -1."""
    high, low, counts, weight_high, weight_low = sums
    at_shift, at_scale = address_of(shift), address_of(scale)
    at_high, at_low = address_of(high), address_of(low)
    d, itemsize, minus, w = rows.d, rows.itemsize, sign >> 1, 1.0
    side_by_side = rows.column_stride == itemsize
    for n in range(len(which)):
        i, j = which[n], labels[n]
        if j < 0:
            continue
        counts[j] += sign
        if len(weight_high):
            w = weights[i]
            t = w * weight_scale
            whole = np.rint(t)
            weight_high[j] += sign * np.int64(whole)
            weight_low[j] += sign * np.int64(np.rint((t - whole) * LOW))
        at, feature, to = rows.address + i * rows.row_stride, 0, j * d
        if side_by_side:
            while feature + 8 <= d:
                deposit(8, rows, at, feature, w, at_shift, at_scale, minus, at_high, at_low, to)
                at, feature, to = at + 8 * itemsize, feature + 8, to + 8
            if d & 4:
                deposit(4, rows, at, feature, w, at_shift, at_scale, minus, at_high, at_low, to)
                at, feature, to = at + 4 * itemsize, feature + 4, to + 4
            if d & 2:
                deposit(2, rows, at, feature, w, at_shift, at_scale, minus, at_high, at_low, to)
                at, feature, to = at + 2 * itemsize, feature + 2, to + 2
        while feature < d:
            deposit(1, rows, at, feature, w, at_shift, at_scale, minus, at_high, at_low, to)
            at, feature, to = at + rows.column_stride, feature + 1, to + 1
