"""Bounds on the distances of a row, which prove that its label stands: Hamerly's, exactly.

A row keeps two float32 numbers beside its label a: `upper`, no less than its distance D_a to its
own center, and `lower`, no more than its distance D_j to any other. Distances here are those of
exact arithmetic, in the unit of the data. A step that moves every center by some distance changes
no D_j by more than that (triangle inequality), so bounds are *loosened* by it instead of computed
anew (Hamerly, "Making k-means even faster", SIAM SDM 2010). Where

    upper GAP < lower,   GAP = 1 + 2**-20

the label stands, to the bit: a label is the argmin of D64_j, the float64 sum of (x - c_j)**2, which
errs by a factor within 1 +- 1.01 (d + 2) 2**-53. That is below GAP**2 for any d that fits into
memory, so D64_a < D64_j for every other j, and no tie is left to break. Numbers below LEAST are not
trusted: above it no square of a distance comes near float64's smallest number.

**Loosening** rounds outward: each sum or difference of two float32 numbers errs by half a unit in
the last place, and is moved by two of them. A center that stayed leaves bounds as they are, however
often. Hamerly's second criterion needs no numbers of its own: with s_a the distance from the own
center to the nearest other one, D_j >= s_a - D_a, so `lower` is at least s_a - upper.

**Making** bounds from the scores of a filter (`panel` has S, Y, A, D, u, g). For any center j

    E_j <= u ((d + 2) Y A_j + A_j D_j + (1 + (d + 3) g) A_j**2 / 2 + |S_j|)

and with A_j <= Y + D_j, M = (Y**2 + D_j**2) / 2:   Y A_j <= Y**2 + M,  A_j D_j <= 3 M,
A_j**2 / 2 <= 2 M,  |S_j| <= M,  so that with the p and q of `panel`

    2 E_j <= u ((p + q/2) Y**2 + (q/2) D_j**2)

A filter knows that the score of every other center is at least `second`, and that of its own at
most `best`, but for E_j and what underflow adds, w (the lattice's own error is in these two
numbers). From D_j**2 = Y**2 + 2 S_j follows

    D_j**2 (1 + u q/2) >= Y**2 (1 - u (p + q/2)) + 2 second - 2 w      for every other center
    D_a**2 (1 - u q/2) <= Y**2 (1 + u (p + q/2)) + 2 best + 2 w

Y**2 itself is computed from the rounded row, in lanes: it errs by (d + 2) u, which is added to
u (p + q/2), as are 8 u for the arithmetic of these two lines. Where a label was certified, Y and
D_a are below 2**42 (2**480 in float64 lanes), and a center whose numbers overflowed is farther than
that: `lower` is cut off there, or where float32 ends.

Legend: m rows, k centers, B rows in a tile.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from .distances import distances
from .lanes import UNDECIDED
from .panel import Filter, constants

GAP = np.float32(1 + 2.0**-20)
LEAST = np.float32(1e-30)

OUT, IN = np.float32(1 + 2.0**-22), np.float32(1 - 2.0**-22)
"""Two units in the last place of a float32 number, and more."""

ROWS_A_PAIR = 100
"""Rows for each center that there must be for distances between centers to cost nothing beside a
pass."""


class Bounds(NamedTuple):
    """What is known of the distances of rows.

    upper, lower : float32 (m,); of no rows where no bounds are kept.
    """

    upper: np.ndarray
    lower: np.ndarray

    @classmethod
    def unknown(cls, rows: int) -> "Bounds":
        """Bounds that prove nothing."""
        return cls(np.full(rows, np.inf, np.float32), np.zeros(rows, np.float32))

    def of(self, rows) -> "Bounds":
        """Those of some rows: a view for a slice, else a copy."""
        return Bounds(self.upper[rows], self.lower[rows])

    def put(self, rows, bounds) -> None:
        """Write `bounds`, numbers or arrays, as those of the rows that an array lists."""
        self.upper[rows], self.lower[rows] = bounds


NO_BOUNDS = Bounds(np.empty(0, np.float32), np.empty(0, np.float32))
"""Keep none."""


class Motion(NamedTuple):
    """How far centers have moved in a step, and how far they lie apart after it; float32 (k,) all.

    own : at least the distance that each center moved; others : at least what any other did;
    apart : at most the distance of each to the nearest other one, 0 where that is not known.
    """

    own: np.ndarray
    others: np.ndarray
    apart: np.ndarray


def motion(before: np.ndarray, after: np.ndarray, rows: int) -> Motion:
    """The motion of centers (k, d) from `before` to `after`, for data of so many rows."""
    k, d = after.shape
    with np.errstate(all="ignore"):
        moves = np.sqrt(np.square(after - before).sum(axis=1))
        # A move so small that its square vanishes is still a move.
        own = _outward(moves * _factor(d) + 1e-37)
        own[(after == before).all(axis=1)] = 0
    own[np.isnan(own)] = np.inf
    others = np.full(k, own.max())
    first = own.argmax()
    others[first] = np.delete(own, first).max(initial=0)
    apart = np.zeros(k, np.float32)
    if k > 1 and k * ROWS_A_PAIR <= rows:
        between = np.empty((k, k))
        distances(after, after, between)
        np.fill_diagonal(between, np.inf)
        with np.errstate(all="ignore"):
            apart = (np.sqrt(between.min(axis=1)) / _factor(d)).astype(np.float32) * IN
        apart[~(apart > LEAST) | (apart == np.inf)] = 0
    return Motion(own, others, apart)


def _factor(d):
    """More than float64 sums of d squares, and their roots, err by."""
    return 1 + (d + 8) * 2.0**-51


def _outward(numbers):
    """float64 numbers >= 0 as float32 numbers that are no smaller."""
    return numbers.astype(np.float32) * OUT


def loosen(bounds: Bounds, labels: np.ndarray, motion: Motion) -> np.ndarray:
    """Make bounds those of the moved centers; return the rows whose labels they do not prove.

    bounds : of m rows, updated in place; labels : int32 (m,), -1 = a row with a NaN, whose label
    stands whatever the centers do. Returns int64, in order.
    """
    picks = np.empty(len(labels) + 1, np.int64)
    failing = _loosen(bounds.upper, bounds.lower, labels, *motion, picks)
    return picks[:failing]


@njit(cache=True, nogil=True)
def _loosen(uppers, lowers, labels, own, others, apart, picks):
    failing, zero = 0, np.float32(0)
    for i in range(len(labels)):
        j = labels[i]
        at = max(j, 0)
        upper, lower = uppers[i], lowers[i]
        if own[at] > zero:
            upper = (upper + own[at]) * OUT
        if others[at] > zero:
            lower = max((lower - others[at]) * IN, zero)
        lower = max(lower, (apart[at] - upper) * IN)
        uppers[i], lowers[i] = upper, lower
        picks[failing] = i
        stands = (upper * GAP < lower) & (lower > LEAST)
        failing += (not stands) & (j >= 0)
    return failing


class Widths(NamedTuple):
    """The constants of "making bounds", in the lane dtype of a filter.

    square : what multiplies Y**2 for `lower` and for `upper`; spread : what multiplies the result;
    underflow : of both; most : of `lower`, squared; unit : 1 / scale.
    """

    square_lower: np.floating
    square_upper: np.floating
    spread_lower: np.floating
    spread_upper: np.floating
    underflow: np.floating
    most: np.floating
    unit: np.floating


def widths(panel: Filter) -> Widths:
    """The constants for a filter."""
    return _widths(panel.centers.shape[1], panel.half.dtype.type, panel.bound[4], panel.scale)


@cache
def _widths(d, lane, underflow, scale):
    u, p, q = constants(d, lane)
    of_square = 1.05 * u * (p + q / 2 + d + 10)
    of_distance = 1.05 * u * (q / 2 + 8)
    return Widths(
        lane(1 - of_square), lane(1 + of_square),
        lane(1 / (1 + of_distance)), lane(1 / (1 - of_distance)),
        lane(2 * underflow), lane(2.0**84 if lane == np.float32 else 2.0**250),
        lane(1 / np.float64(scale)),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def keep_bounds(picks, start, count, index, best, second, squares, widths, room, bounds):
    """Make the bounds of a tile's rows from the scores of a filter, where it decided.

    picks, start : which rows the tile holds, as for `assign._filter`; index : int32 (B,);
    best, second, squares (Y**2) : (B,) in lane dtype; room : float32 (2, B) to work in.
    """
    two, zero, largest = best.dtype.type(2), best.dtype.type(0), best.dtype.type(3e38)
    more = widths.underflow
    uppers, lowers = room[0], room[1]
    for r in range(len(best)):
        most = (squares[r] * widths.square_upper + (two * best[r] + more)) * widths.spread_upper
        least = (squares[r] * widths.square_lower + (two * second[r] - more)) * widths.spread_lower
        least = min(max(least, zero), widths.most)
        uppers[r] = np.float32(np.sqrt(max(most, zero)) * widths.unit) * OUT
        lowers[r] = np.float32(min(np.sqrt(least) * widths.unit, largest)) * IN
    upper, lower = bounds
    for r in range(count):
        if index[r] != UNDECIDED:
            i = picks[start + r] if len(picks) else start + r
            upper[i], lower[i] = uppers[r], lowers[r]
