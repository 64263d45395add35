"""One number a row, its margin, that proves its label without a look at the row: exactly.

With D_a the distance of a row to its own center and D_j that to any other, in exact arithmetic and
in the unit of the data, the label stands, to the bit, where

    D_a GAP < D_j   for all j,   GAP = 1 + 2**-20

since a label is the argmin of D64_j, the float64 sum of (x - c_j)**2, which errs by a factor within
1 +- 1.01 (d + 2) 2**-53: below GAP**2 for any d that fits into memory. So D64_a < D64_j for every
other j, and no tie is left to break. (Where D_j is above LEAST, that is: no square of it comes near
float64's smallest number.)

A step that moves every center by some distance m_j changes no D_j by more than that (triangle
inequality). So it takes no more than m_a GAP + max over j != a of m_j from D_j - D_a GAP: that, for
every cluster a, is added to its *drift*. A row's margin is a lower bound on D_j - D_a GAP, the
least for all j, plus the drift of its cluster when it was made. Until the drift has grown beyond
it, the label stands. Nothing is written while it does, and one comparison tells.

This is the bound of Hamerly ("Making k-means even faster", SIAM SDM 2010) with the upper and the
lower one in one number. His second test, by the distance between centers, has no place in it: it
spares no row on the data tried (GloVe, mixtures; one in a hundred on covertype). Nor do drifts that
count how far a center has come, instead of the way that it went: 2 to 4 % fewer rows.

**Drift** is kept in float64, each sum rounded up; so the difference between two drifts is no less
than what was added in between. The float32 numbers that rows are compared with, or made with, are
drifts rounded up, or down.

**Making** margins from the scores of a filter (`certify` has S, Y, A, D, u, g). For any
center j

    E_j <= u ((d + 2) Y A_j + A_j D_j + (1 + (d + 3) g) A_j**2 / 2 + |S_j|)

and with A_j <= Y + D_j, M = (Y**2 + D_j**2) / 2:   Y A_j <= Y**2 + M,  A_j D_j <= 3 M,
A_j**2 / 2 <= 2 M,  |S_j| <= M,  so that with the p and q of `certify`

    2 E_j <= u ((p + q/2) Y**2 + (q/2) D_j**2)

A filter knows that the score of every other center is at least `second`, and that of its own at
most `best`, but for E_j and what underflow adds, w (own error is in these two
numbers). From D_j**2 = Y**2 + 2 S_j follows

    D_j**2 (1 + u q/2) >= Y**2 (1 - u (p + q/2)) + 2 second - 2 w      for every other center
    D_a**2 (1 - u q/2) <= Y**2 (1 + u (p + q/2)) + 2 best + 2 w

Y**2 itself is computed from the rounded row, in lanes: it errs by (d + 2) u, which is added to
u (p + q/2), as are 8 u for the arithmetic of these two lines. Where a label was certified, Y and
D_a are below 2**42 (2**480 in float64 lanes), and a center whose numbers overflowed is farther than
that: D_j is cut off there, or where float32 ends.

With l <= D_j and v >= D_a GAP in float32 and z the drift, the margin is (l + z) (1 - 2**-22) - v.
Its three roundings cost less than 2**-24 (l + z) each, and what is left of the fourth makes a proof
by it imply D_j > 2**-24 l, which is above LEAST where l is above TRUSTED.

Legend: m rows, k centers, B rows in a tile.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .certify import BOUND, bound_of_unit, constants
from .compiled import compiled, internal
from .layout import owned
from .score import SCORE, UNDECIDED

GAP = 1 + 2.0**-20
LEAST, TRUSTED = 1e-30, np.float32(1e-22)
LARGE = np.float32(3e38)

WIDE, IN = np.float32(1 + 2.0**-20 + 2.0**-21), np.float32(1 - 2.0**-22)
"""More than GAP, and less than 1, by four roundings of a float32 number."""

NOTHING = np.float32(-np.inf)
"""A margin that proves nothing."""


class Margins(NamedTuple):
    """Where the margins of rows go that are looked at.

    values : float32 (m,), written; of no rows where none are kept.
    drift : float32 (k,), no more than the drift now.
    """

    values: np.ndarray
    drift: np.ndarray


NO_MARGINS = Margins(np.empty(0, np.float32), np.empty(0, np.float32))
"""Keep none."""


def no_margins(rows: int) -> np.ndarray:
    """The margins of so many rows, which prove nothing: float32."""
    return np.full(rows, NOTHING)


class Drift(NamedTuple):
    """How far centers have gone, as far as it matters to the rows of each; (k,) all.

    total : float64, what the steps so far have added, see above; latest : float64, the latest
    one's part of it; below, above : float32 next to the total.
    """

    total: np.ndarray
    latest: np.ndarray
    below: np.ndarray
    above: np.ndarray

    def margins(self, values: np.ndarray) -> Margins:
        """`values` (m,), to be written by a step that compares with the centers as they are now."""
        return Margins(values, self.below)

    def further(self, before: np.ndarray, after: np.ndarray) -> "Drift":
        """The drift after centers (k, d) have gone from `before` to `after`."""
        total, latest = self.total.copy(), np.empty(len(after))
        below, above = np.empty((2, len(after)), np.float32)
        _go_on(owned(before), owned(after), total, latest, below, above)
        return Drift(total, latest, below, above)


@compiled
def _go_on(before, after, total, latest, below, above):
    """Add what a step adds to the drift of each center, and write all that follows from it."""
    k, d = after.shape
    most, second, farthest = 0.0, 0.0, 0
    for j in range(k):
        square, stays = 0.0, True
        for feature in range(d):
            move = after[j, feature] - before[j, feature]
            square += move * move
            stays &= after[j, feature] == before[j, feature]
        # More than sums of d squares, and their roots, err by; and a move so small that its square
        # vanishes is still a move.
        moved = 0.0 if stays else np.sqrt(square) * (1 + (d + 16) * 2.0**-51) + 1e-150
        latest[j] = moved if moved < np.inf else np.inf
        if latest[j] > most:
            most, second, farthest = latest[j], most, j
        elif latest[j] > second:
            second = latest[j]
    for j in range(k):
        others = second if j == farthest else most
        if latest[j] + others > 0:
            latest[j] = np.nextafter(latest[j] * GAP + others, np.inf)
            total[j] = np.nextafter(total[j] + latest[j], np.inf)
        near = np.float32(total[j])
        below[j] = min(np.nextafter(near, NOTHING), LARGE)
        above[j] = np.nextafter(near, -NOTHING)


def drift_after(drift: Drift | None, before: np.ndarray | None, after: np.ndarray) -> Drift:
    """The drift that the step to `after` adds to; none of it for the first centers."""
    if drift is None or before is None:
        return no_drift(len(after))
    return drift.further(before, after)


def no_drift(n_clusters: int) -> Drift:
    """Before the first step."""
    zero = np.zeros((n_clusters, 1))
    nothing = np.zeros(n_clusters), np.zeros(n_clusters), *np.zeros((2, n_clusters), np.float32)
    return Drift(*nothing).further(zero, zero)


def failing(margins: np.ndarray, labels: np.ndarray, drift: Drift) -> np.ndarray:
    """The rows whose margins do not prove that their labels stand: int64, in order.

    margins : float32 (m,); labels : int32 (m,), -1 = a row with a NaN, whose label stands whatever
    the centers do.
    """
    picks = np.empty(len(labels) + 1, np.int64)
    n = _failing(margins, labels, drift.above, picks)
    return picks[:n]


@compiled
def _failing(margins, labels, drift, picks):
    n = 0
    for i in range(len(labels)):
        j = labels[i]
        picks[n] = i
        n += (not margins[i] > drift[np.uint32(max(j, 0))]) & (j >= 0)
    return n


class Widths(NamedTuple):
    """The constants of "making" margins for a filter; an array holds them in this order.

    square_lower, square_upper : what multiplies Y**2 for D_j and for D_a; spread_lower,
    spread_upper : what multiplies the result; underflow : of both; furthest : the most that D_j**2
    may be; unit : 1 / scale.
    """

    square_lower: float
    square_upper: float
    spread_lower: float
    spread_upper: float
    underflow: float
    furthest: float
    unit: float


WIDTH: Any = Widths(*range(len(Widths._fields)))
"""The place of each number in such an array."""


@cache
def widths(d: int, dtype: type, scale: float) -> np.ndarray:
    """The `Widths` of a filter for d features in lanes of a dtype: (7,) of that dtype."""
    u, p, q = constants(d, dtype)
    of_square = 1.05 * u * (p + q / 2 + d + 10)
    of_distance = 1.05 * u * (q / 2 + 8)
    made = Widths(
        square_lower=1 - of_square,
        square_upper=1 + of_square,
        spread_lower=1 / (1 + of_distance),
        spread_upper=1 / (1 - of_distance),
        underflow=2 * float(dtype(bound_of_unit(d, dtype)[BOUND.underflow])),
        furthest=2.0**84 if dtype == np.float32 else 2.0**250,
        unit=1 / scale,
    )
    return np.array(made, dtype)


@internal
def keep_margins(picks, start, count, index, scores, widths, work, margins):
    """Make the margins of a tile's rows from the scores of a filter, where it decided.

    picks, start, count : which rows the tile holds, see `assign._filter`; index : int32 (B,), their
    labels; scores : `score.Scores`; widths : (7,), `Widths`; work : float32 (2, B), to work
    in; margins : Margins, written.
    """
    B = len(index)
    best = scores[SCORE.best * B : (SCORE.best + 1) * B]
    second = scores[SCORE.second * B : (SCORE.second + 1) * B]
    squares = scores[SCORE.square * B : (SCORE.square + 1) * B]
    two, zero, largest = best.dtype.type(2), best.dtype.type(0), best.dtype.type(LARGE)
    square_lower, square_upper = widths[WIDTH.square_lower], widths[WIDTH.square_upper]
    spread_lower, spread_upper = widths[WIDTH.spread_lower], widths[WIDTH.spread_upper]
    underflow, furthest, unit = (
        widths[WIDTH.underflow],
        widths[WIDTH.furthest],
        widths[WIDTH.unit],
    )
    uppers, lowers = work[0], work[1]
    for r in range(len(best)):
        most = (squares[r] * square_upper + (two * best[r] + underflow)) * spread_upper
        least = (squares[r] * square_lower + (two * second[r] - underflow)) * spread_lower
        least = min(max(least, zero), furthest)
        uppers[r] = np.float32(np.sqrt(max(most, zero)) * unit) * WIDE
        lowers[r] = np.float32(min(np.sqrt(least) * unit, largest)) * IN
    values, drift = margins
    for r in range(count):
        j = index[r]
        if j != UNDECIDED:
            i = picks[start + r] if len(picks) else start + r
            lower, total = lowers[r], lowers[r] + drift[np.uint32(j)]
            known = (lower > TRUSTED) & (total < LARGE)
            values[i] = total * IN - uppers[r] if known else NOTHING
