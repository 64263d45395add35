"""Anchors: centers where the sums of all rows are known, and with them the error of the sample's.

A leap (`dask_kmeans.accelerate`) steps on a sample, whose sums stray from those of all rows. How
far is known where a pass has been: at the *anchors* of a run. In between it is interpolated. The
error changes with the rows that change their label; each adds its own at random, like the steps of
a random walk, so its variance grows in proportion to how far the centers have moved. The best
linear guess of such a quantity from what is known of it is kriging with a linear variogram
(Matheron, "Principles of geostatistics", Economic Geology 58, 1963): straight lines between
anchors, never beyond them; with a single anchor, its error everywhere.

So a leap that went too far is not lost: it becomes the anchor that shows the next one the way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from dask_kmeans.centers import CenterRule
from dask_kmeans.kernels import FixedPoint, Sums
from dask_kmeans.state import Anchor

MOST_ANCHORS = 6
"""Anchors of a run, at most: on all data tried, more of them saved no further pass."""

VALUES = 2**22
"""Numbers in the anchors of a run, of which there are fewer where centers are large: 32 MiB."""

LEAST_LEFT = 0.3
"""Share of a cluster's weight that must be left for a leap of its center to be trusted."""


def anchor(
    fixed_point: FixedPoint, centers: np.ndarray, sums: Sums, sampled: Sums, factor: float
) -> Anchor:
    """The anchor at `centers`, given the sums of all rows there and those of the sample.

    factor : rows for each sampled row.
    """
    total, weights = _offsets(fixed_point, sums)
    sampled_total, sampled_weights = _offsets(fixed_point, sampled)
    return Anchor(centers, total - factor * sampled_total, weights - factor * sampled_weights)


def with_anchor(anchors: Sequence[Anchor], new: Anchor) -> tuple[Anchor, ...]:
    """The latest anchors, `new` the last of them."""
    most = max(1, min(MOST_ANCHORS, VALUES // (2 * new.centers.size)))
    others = [each for each in anchors if not np.array_equal(each.centers, new.centers)]
    return (*others, new)[-most:]


class Bearings:
    """What is known of the error at some anchors.

    Parameters
    ----------
    anchors : sequence of Anchor
    weights : ndarray of shape (k,)
        Those of the clusters, by which the moves of their centers count.
    """

    def __init__(self, anchors: Sequence[Anchor], weights: np.ndarray):
        self._anchors, self.weights = anchors, weights
        # The unknowns are the shares and the multiplier that holds their sum at one.
        apart = [[0.0] * len(anchors) for _ in anchors]
        for i, j in combinations(range(len(anchors)), 2):
            apart[i][j] = apart[j][i] = self._apart(anchors[i], anchors[j].centers)
        self._system = [[*row, 1.0] for row in apart] + [[1.0] * len(anchors) + [0.0]]

    def error_at(self, centers: np.ndarray) -> Anchor:
        """The error that is to be expected at `centers`."""
        shares = self._shares(centers)
        if not np.isfinite(shares).all():
            return self._anchors[-1]._replace(centers=centers)
        totals, of_weights = np.zeros_like(centers), np.zeros_like(self.weights)
        for share, each in zip(shares, self._anchors, strict=True):
            totals += share * each.totals
            of_weights += share * each.weights
        return Anchor(centers, totals, of_weights)

    def _shares(self, centers: np.ndarray) -> list[float]:
        """How much each anchor's error counts; one in all."""
        m = len(self._anchors)
        if m == 1:
            return [1.0]
        wanted = [self._apart(each, centers) for each in self._anchors] + [1.0]
        return _solved(self._system, wanted)[:m]

    def _apart(self, anchor: Anchor, centers: np.ndarray) -> float:
        """Distance of two sets of centers, each center's move counted by its cluster's weight."""
        with np.errstate(over="ignore"):
            moves = np.square(anchor.centers - centers)
            moves *= self.weights[:, None]
            return math.sqrt(_total(moves.ravel()))


def estimated_centers(
    rule: CenterRule,
    sampled: Sums,
    factor: float,
    error: Anchor,
    weights: np.ndarray,
    otherwise: np.ndarray,
) -> np.ndarray:
    """Centers as the sums would give them if all rows had moved as a sample of them did.

    `factor` times the sums of the sample, plus the error of this estimate as it is known from where
    the sums of all rows are. So what remains is the *change* of the error since then, which
    vanishes where the labels settle, unlike the error itself (the variance reduction of Johnson and
    Zhang, "Accelerating stochastic gradient descent using predictive variance reduction", NIPS
    2013, applied to Lloyd's map).

    Parameters
    ----------
    rule : CenterRule
    sampled : Sums
        Of the sample, for the centers reached.
    factor : float
        Rows for each sampled row.
    error : Anchor
        The error that is to be expected there (`Bearings`).
    weights : ndarray of shape (k,)
        Of the clusters, in the latest step over all rows.
    otherwise : ndarray of shape (k, d)
        Where the center of a cluster goes of which the estimate leaves little.
    """
    total, estimated = _offsets(rule.fixed_point, sampled)
    total = factor * total + error.totals
    estimated = factor * estimated + error.weights
    usable = estimated > LEAST_LEFT * weights
    divisor = np.where(usable, estimated, 1.0)[:, None]
    return rule.place(rule.fixed_point.shift + total / divisor, usable, otherwise)


def _offsets(fixed_point: FixedPoint, sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Sums of weight * (x - shift), (k, d), and of weights, (k,), in float64."""
    moments = fixed_point.moments(sums)
    total = (moments.means - fixed_point.shift) * moments.weights[:, None]
    return np.where(moments.filled[:, None], total, 0.0), moments.weights


def _total(values: np.ndarray) -> float:
    """The sum of `values` (m,), half added to half: an order that no instruction set changes."""
    while len(values) > 1:
        half = len(values) // 2
        halved = values[:half] + values[half : 2 * half]
        if len(values) % 2:
            halved[0] += values[-1]
        values = halved
    return float(values[0])


def _solved(system: list[list[float]], wanted: list[float]) -> list[float]:
    """Gaussian elimination with pivots, in an order of its own: LAPACK's changes with the machine.

    Not a number throughout where there is no solution.
    """
    n = len(wanted)
    rows = [[*row, right] for row, right in zip(system, wanted, strict=True)]
    for column in range(n):
        pivot = max(range(column, n), key=lambda at: abs(rows[at][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        top = rows[column]
        if not 0 < abs(top[column]) < float("inf"):
            return [float("nan")] * n
        for row in rows[column + 1 :]:
            ratio = row[column] / top[column]
            row[column:] = [a - ratio * b for a, b in zip(row[column:], top[column:], strict=True)]
    solution = [0.0] * n
    for column in reversed(range(n)):
        row = rows[column]
        known = sum(row[at] * solution[at] for at in range(column + 1, n))
        solution[column] = (row[n] - known) / row[column]
    return solution
