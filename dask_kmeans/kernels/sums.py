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

Legend: m rows, k clusters, d features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .compiled import compiled, inlined, internal
from .layout import numeric, owned, rows_of
from .scatter_add import LOW, Limbs, scatter_add
from .tile import CACHE_LINE, address_of

LOW_BITS = 30
"""Bits of the low limb in one unit of the high limb: `LOW` is 2**LOW_BITS."""

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
    """Add `b` to `a`, in `a`'s memory where that is writeable.

    What has gathered in the low limbs goes over to the high ones, so that no limb overflows,
    however many rows come together.
    """
    high, low, counts, weight_high, weight_low = map(owned, a)
    _add_limbs(high.ravel(), low.ravel(), owned(b.high).ravel(), owned(b.low).ravel())
    _add_limbs(weight_high, weight_low, owned(b.weight_high), owned(b.weight_low))
    counts += b.counts
    return Sums(high, low, counts, weight_high, weight_low)


@compiled
def _add_limbs(high, low, other_high, other_low):
    """Add limbs to limbs, int64 (n,) all, and carry."""
    for i in range(len(high)):
        total = low[i] + other_low[i]
        over = _carry(total)
        high[i] += other_high[i] + over
        low[i] = total - (over << LOW_BITS)


def carry(low):
    """What the low limb has of whole units of the high one: it leaves half a unit at most."""
    return (low + (1 << (LOW_BITS - 1))) >> LOW_BITS


_carry = inlined(carry)  # which, called from Python, would be compiled in every process


class Moments(NamedTuple):
    """What sums say of k clusters, beside centers (k, d) that they are to move from.

    means : float64 (k, d), NaN for a cluster without weight.
    weights : float64 (k,).
    complete : whether all clusters have a mean.
    scatter : float64 (k,), how much the inertia of each cluster about its center differs from that
        about the data's shift; with c' = center - shift and m' = mean - shift
        weight * sum over features of c' (c' - 2 m'), and 0 without weight.
    center_shift : the Euclidean norm of the way from the centers to the means, of those there are.
    moved : whether any mean is not where its center is.
    """

    means: np.ndarray
    weights: np.ndarray
    complete: bool
    scatter: np.ndarray
    center_shift: float
    moved: bool

    @property
    def filled(self) -> np.ndarray:
        """(k,) bool: the clusters that have a mean."""
        return self.weights > 0


class Units(NamedTuple):
    """What turns integers back into values: total * unit * unlift + shift, float64 (d,) all.

    unit, unlift : reciprocals of a `FixedPoint`'s scale and lift, exact for powers of two.
    """

    shift: np.ndarray
    unit: np.ndarray
    unlift: np.ndarray


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
        shift = np.minimum(np.maximum(0.0, minimum), maximum)  # np.clip takes five times as long
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
        # One array, whose memory is used again as a whole; both limbs begin on a cache line, which
        # spares a quarter of the time that a row takes.
        line = CACHE_LINE // 8
        begins = -(-limb // line) * line
        flat = zeros((2 * begins + n_clusters + 2 * weights + line,), np.int64)
        flat = flat[-flat.ctypes.data // flat.itemsize % line :]
        high, low, rest = flat[:limb], flat[begins : begins + limb], flat[2 * begins :]
        return Sums(
            high.reshape(shape), low.reshape(shape), rest[:n_clusters],
            rest[n_clusters : n_clusters + weights], rest[n_clusters + weights :][:weights],
        )  # fmt: skip

    def means(self, sums: Sums) -> tuple[np.ndarray, np.ndarray]:
        """(means float64 (k, d), weights float64 (k,)); the mean of an empty cluster is NaN."""
        moments = self.moments(sums)
        return moments.means, moments.weights

    def moments(self, sums: Sums, centers: np.ndarray | None = None) -> Moments:
        """Means and weights of the clusters, and how they lie to `centers` (k, d).

        centers : float64; by default the means themselves.
        """
        if self.weighted:
            over = carry(sums.weight_low)
            rest = sums.weight_low - (over << LOW_BITS)
            weights = (sums.weight_high + over + rest / LOW) / self.weight_scale
        else:
            weights = sums.counts.astype(np.float64)
        means, scatter = np.empty(sums.high.shape), np.empty(len(weights))
        center_shift, moved, complete = _moments(
            owned(sums.high), owned(sums.low), owned(sums.counts), weights, *self._units,
            means if centers is None else owned(centers), means, scatter,
        )  # fmt: skip
        return Moments(means, weights, complete, scatter, center_shift, moved)

    @cached_property
    def _units(self) -> "Units":
        """What turns integers back into values."""
        unlift = np.ones(len(self.scale)) if self.lift is None else 1.0 / self.lift
        return Units(owned(self.shift), 1.0 / self.scale, unlift)


NO_SUMS = FixedPoint.from_range(np.empty(0), np.empty(0), 0)
"""Units of no features, for rows that are assigned and not added up."""


@compiled(error_model="numpy")
def _moments(high, low, counts, weights, shift, unit, unlift, centers, means, scatter):
    """Write means (k, d) and scatter (k,); return center_shift, moved and complete.

    `centers` may be `means` itself. In one compiled function, since every iteration waits for it,
    and of flat arguments, since records take as long as a small step's work; added up one after the
    other, an order that no instruction set changes.
    """
    complete, moved, squares = True, False, 0.0
    for j in range(len(weights)):
        weight, apart = weights[j] if counts[j] else 0.0, 0.0
        filled = weight > 0
        complete &= filled
        for feature in range(len(shift)):
            # Several pairs of limbs stand for the same sum; `carry` makes one of them.
            over = _carry(low[j, feature])
            rest = low[j, feature] - (over << LOW_BITS)
            total = np.float64(high[j, feature] + over) + rest / LOW
            offset = total / weight * unit[feature] * unlift[feature]
            means[j, feature] = shift[feature] + offset if filled else np.nan
            mean, center = means[j, feature] - shift[feature], centers[j, feature] - shift[feature]
            apart += center * (center - 2 * mean)
            move = means[j, feature] - centers[j, feature] if filled else 0.0
            squares += move * move
            moved |= move != 0
        scatter[j] = weight * apart if filled else 0.0
    return np.sqrt(squares), moved, complete


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
        with np.errstate(over="ignore"):  # rows of weight 0 may lie anywhere
            X, shift = X * fixed_point.lift, shift * fixed_point.lift
    old, new = (owned(labels.astype(np.int32, copy=False)) for labels in (old, new))
    _accumulate(rows_of(X), old, new, accumulator(weights, fixed_point, shift, sums))


class Accumulator(NamedTuple):
    """Where rows are added up, as compiled code takes it: flat, since records in records take long.

    weights : float64 (m,), empty where rows are not weighted; shift, scale : float64 (d,);
    weight_scale : of the `FixedPoint`; the others : see `Sums`.
    """

    weights: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    weight_scale: float
    high: np.ndarray
    low: np.ndarray
    counts: np.ndarray
    weight_high: np.ndarray
    weight_low: np.ndarray


def accumulator(
    weights: np.ndarray | None, fixed_point: FixedPoint, shift: np.ndarray, sums: Sums
) -> Accumulator:
    """The `Accumulator` of rows with these weights, in the units of `fixed_point` about `shift`."""
    if (weights is not None) != fixed_point.weighted:
        raise ValueError("weights and a FixedPoint made with max_weight go together, or neither")
    weights = _NONE if weights is None else owned(np.asarray(weights, np.float64))
    scale, weight_scale = owned(fixed_point.scale), fixed_point.weight_scale
    return Accumulator(weights, owned(shift), scale, weight_scale, *sums)


_NONE = np.empty(0)


@compiled
def _accumulate(rows, old, new, accumulator):
    """`accumulate` of `Rows`."""
    which = np.empty(BATCH, np.int64)
    before, after = np.empty(BATCH, np.int32), np.empty(BATCH, np.int32)
    for start in range(0, rows.m, BATCH):
        moved = 0
        for i in range(start, min(start + BATCH, rows.m)):
            which[moved], before[moved], after[moved] = i, old[i], new[i]
            moved += old[i] != new[i]
        move_rows(rows, which[:moved], before, after, accumulator)


@internal
def move_rows(rows, which, old, new, accumulator):
    """Subtract row which[n] from the sums of cluster old[n] and add it to those of new[n].

    which : int64 (n,); old, new : int32, -1 = no cluster. Does nothing where there are no sums.
    Many rows a call: a row costs less than the call.
    """
    weights, shift, scale, weight_scale, high, low, counts, weight_high, weight_low = accumulator
    if len(counts) == 0:
        return
    limbs = Limbs(address_of(shift), address_of(scale), address_of(high), address_of(low))
    d, w = rows.d, 1.0
    for n in range(len(which)):
        i, leaves, joins = which[n], np.int64(old[n]), np.int64(new[n])
        if leaves == joins:
            continue
        if len(weight_high):
            w = weights[i]
            t = w * weight_scale
            whole = np.rint(t)
            of_high, of_low = np.int64(whole), np.int64(np.rint((t - whole) * LOW))
        for cluster, sign in ((leaves, -1), (joins, 1)):
            if cluster >= 0:
                counts[cluster] += sign
                if len(weight_high):
                    weight_high[cluster] += sign * of_high
                    weight_low[cluster] += sign * of_low
        if w == 0:
            continue  # whose values may be beyond all integers
        # The places of a row without a cluster stay negative.
        _scatter_row(rows, rows.address + i * rows.row_stride, w, limbs, leaves * d, joins * d)


@inlined
def _scatter_row(rows, at, w, limbs, a, b):
    """`scatter_add` of all features of the row at an address, to the sums from a and b on."""
    d, itemsize, feature = rows.d, rows.itemsize, 0
    if rows.column_stride == itemsize:
        while feature + 8 <= d:
            scatter_add(8, rows, at, feature, w, limbs, a, b)
            at, feature, a, b = at + 8 * itemsize, feature + 8, a + 8, b + 8
        if d & 4:
            scatter_add(4, rows, at, feature, w, limbs, a, b)
            at, feature, a, b = at + 4 * itemsize, feature + 4, a + 4, b + 4
        if d & 2:
            scatter_add(2, rows, at, feature, w, limbs, a, b)
            at, feature, a, b = at + 2 * itemsize, feature + 2, a + 2, b + 2
    while feature < d:
        scatter_add(1, rows, at, feature, w, limbs, a, b)
        at, feature, a, b = at + rows.column_stride, feature + 1, a + 1, b + 1
