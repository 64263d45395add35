"""Centers from sums: the one place that says what a center is.

Seeds, Lloyd's step, the relocation of empty clusters, fused steps, leaps, the warm-up on a sample
and the recluster on the driver all ask a `CenterRule`; a metric names its own (`metrics`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from dask_kmeans.kernels import FixedPoint, Moments, Sums, accumulate, exact_total, unit_vectors
from dask_kmeans.statistics import Farthest


class Update(NamedTuple):
    """Where sums send the centers that their labels belong to."""

    centers: np.ndarray
    """float64 (k, d); a cluster without weight stays where it was."""
    center_shift: float
    """Euclidean norm of the way from the centers before to these."""
    moved: bool
    """Whether any center is not where it was."""
    moments: Moments
    """Of the sums, beside the centers before."""
    mass: np.ndarray
    """float64 (k,): what each center weighs where it stands for its rows, so that the inertia about
    any centers is that of these few, but for a constant; 0 where it cannot."""

    @property
    def complete(self) -> bool:
        """Whether every cluster has weight."""
        return self.moments.complete

    @property
    def empty(self) -> np.ndarray:
        """Clusters without weight, in order."""
        return np.flatnonzero(~self.moments.filled)

    @property
    def scatter(self) -> float:
        """Inertia about the centers before, less a constant of the data.

        With S_j the sum of w (x - shift) over cluster j, W_j its weight and c'_j = c_j - shift,
        sum w |x - c_j|^2 = sum w |x - shift|^2 + sum_j (W_j |c'_j|^2 - 2 c'_j . S_j), and the first
        sum is the same for all centers and labels. So one measured inertia gives that of every
        later step without another look at the rows.
        """
        return exact_total(self.moments.scatter)

    def inertia(self, scatter_offset: float) -> float:
        """Inertia about the centers before.

        scatter_offset : an inertia that was measured less the `scatter` that belongs to it.
        """
        return max(0.0, scatter_offset + self.scatter)


class CenterRule(Protocol):
    """Makes centers from sums."""

    @property
    def fixed_point(self) -> FixedPoint:
        """What the integers of the sums stand for."""

    def at(self, fixed_point: FixedPoint) -> CenterRule:
        """The same rule for sums of other rows."""

    def update(self, sums: Sums, before: np.ndarray | None = None) -> Update:
        """The centers that follow from the sums of labels, which belong to `before` (k, d).

        None: to no centers; clusters without weight are not a number then.
        """

    @staticmethod
    def place(means: np.ndarray, known: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Centers (k, d) of clusters with these means (k, d), which count where `known` (k,).

        The others stay at `before` (k, d).
        """

    def project(self, points: np.ndarray) -> np.ndarray:
        """The centers (k, d) that are nearest to some points (k, d); NaN for one that has none."""

    def merging_cost(self, mass: np.ndarray, other: np.ndarray, apart: np.ndarray) -> np.ndarray:
        """How much the inertia rises where clusters of these masses, whose centers have the squared
        distances `apart`, become one; all may be broadcast."""


@dataclass(frozen=True)
class MeanCenters:
    """The rule of k-means: a center is the weighted mean of the rows of its cluster."""

    fixed_point: FixedPoint

    def at(self, fixed_point: FixedPoint) -> MeanCenters:
        """See `CenterRule`."""
        return MeanCenters(fixed_point)

    def update(self, sums: Sums, before: np.ndarray | None = None) -> Update:
        """See `CenterRule`."""
        moments = self.fixed_point.moments(sums, before)
        centers = moments.means
        if before is not None and not moments.complete:
            centers = self.place(centers, moments.filled, before)
        return Update(centers, moments.center_shift, moments.moved, moments, moments.weights)

    @staticmethod
    def place(means: np.ndarray, known: np.ndarray, before: np.ndarray) -> np.ndarray:
        """See `CenterRule`."""
        return np.where(known[:, None], means, before)

    def project(self, points: np.ndarray) -> np.ndarray:
        """See `CenterRule`: any point will do."""
        return points

    def merging_cost(self, mass: np.ndarray, other: np.ndarray, apart: np.ndarray) -> np.ndarray:
        """See `CenterRule`: by Ward's formula."""
        total = mass + other
        return mass * other * apart / np.where(total > 0, total, 1.0)


SHORTEST = 2.0**-40
"""Length of a mean of unit vectors that rounding alone may come to, with room to spare: it has no
direction. A sum errs by less than 2**-50 a row in each feature."""


@dataclass(frozen=True)
class UnitCenters:
    """The rule of spherical k-means: a center is the weighted mean of its rows, at length one.

    Rows have length one too. Where those of a cluster cancel out, so that their mean is zero, every
    center is as near to them as any other, and theirs stays where it was; if it was nowhere, it is
    the unit vector of the first feature.
    """

    fixed_point: FixedPoint

    def at(self, fixed_point: FixedPoint) -> UnitCenters:
        """See `CenterRule`."""
        return UnitCenters(fixed_point)

    def update(self, sums: Sums, before: np.ndarray | None = None) -> Update:
        """See `CenterRule`.

        With m the mean of a cluster of weight W, sum w |x - c|^2 = W |m| |m / |m| - c|^2 + constant
        for centers of length one: W |m| is the mass of its center.
        """
        moments = self.fixed_point.moments(sums, before)
        units, lengths = unit_vectors(moments.means)
        if before is None:
            before = np.where(moments.filled[:, None], np.eye(1, units.shape[1]), np.nan)
        centers = _directed(units, lengths, moments.filled, before)
        way = centers - before
        return Update(
            centers, math.sqrt(exact_total(way[moments.filled] ** 2)), bool((way != 0).any()),
            moments, np.where(lengths > SHORTEST, moments.weights * lengths, 0.0),
        )  # fmt: skip

    @staticmethod
    def place(means: np.ndarray, known: np.ndarray, before: np.ndarray) -> np.ndarray:
        """See `CenterRule`."""
        return _directed(*unit_vectors(means), known, before)

    def project(self, points: np.ndarray) -> np.ndarray:
        """See `CenterRule`."""
        return self.place(points, np.ones(len(points), bool), np.full(points.shape, np.nan))

    def merging_cost(self, mass: np.ndarray, other: np.ndarray, apart: np.ndarray) -> np.ndarray:
        """See `CenterRule`.

        With a and b the masses, which are the lengths of the sums, that of both sums is
        sqrt((a + b)**2 - a b apart), and the inertia rises by twice what is lost of a + b.
        """
        total, product = mass + other, mass * other * apart
        left = np.sqrt(np.maximum(total**2 - product, 0.0))
        return 2 * product / np.where(total > 0, total + left, 1.0)


def _directed(
    units: np.ndarray, lengths: np.ndarray, known: np.ndarray, before: np.ndarray
) -> np.ndarray:
    """Unit vectors (k, d) of what is known and has a direction; else what was there before."""
    return np.where((known & (lengths > SHORTEST))[:, None], units, before)


def relocate(
    fixed_point: FixedPoint, sums: Sums, empty: np.ndarray, farthest: Farthest
) -> tuple[Sums, int]:
    """Sums in which far rows have gone over to the empty clusters, and how many clusters got one.

    The farthest row goes to the first empty cluster, and so on, as in scikit-learn. Two deviations:
    equally far rows go in the order of the rows, and a row is passed over where it is all that its
    cluster has, since moving it would only empty another one. Labels stay as they are: the next
    step sees the moved centers and settles who belongs to them.
    """
    sums = Sums(*(np.copy(part) for part in sums))
    unfilled = list(empty)
    for at in np.flatnonzero(farthest.distances > 0):
        if not unfilled:
            break
        donor = farthest.labels[at]
        if sums.counts[donor] < 2:
            continue
        one = slice(at, at + 1)
        target = np.array([unfilled[0]], np.int32)
        moved = Sums(*(np.copy(part) for part in sums))
        accumulate(
            farthest.values[one], farthest.weights[one] if len(sums.weight_high) else None,
            fixed_point, farthest.labels[one], target, moved,
        )  # fmt: skip
        if fixed_point.moments(moved).weights[donor] > 0:
            sums = moved
            unfilled.pop(0)
    return sums, len(empty) - len(unfilled)
