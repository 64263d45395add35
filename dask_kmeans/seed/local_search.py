"""Local search on a weighted summary: swap a center for a point wherever that lowers the cost.

Lattanzi and Sohler, "A better k-means++ algorithm via local search", ICML 2019: draw a point in
proportion to its share of the cost, find the center whose exchange for this point lowers the cost
most, and exchange them if any does. Two deviations: points are drawn in batches, from the shares at
the batch's begin, so that one call of the kernel measures them all; and what an exchange would cost
is known for all centers at once from each point's nearest and second-nearest center, which a swap
changes for few points only. So an attempt costs one comparison of the points with one center.
"""

from __future__ import annotations

import numpy as np

from dask_kmeans.kernels import distances, first_swap

BATCH = 16
"""Points drawn at a time"""

SCRATCH = 1 << 21
"""Distances held at a time when all points are compared with all centers: 16 MiB"""


MARGIN = 1e-9
"""Part of a gain that may be rounding: lest a swap that gains nothing be undone, and so on."""


class LocalSearch:
    """Centers among weighted points, open to swaps.

    Parameters
    ----------
    points : ndarray of shape (c, d), float64
    weights : ndarray of shape (c,), float64
    centers : ndarray of shape (k, d), float64
        k of 2 or more.
    """

    # Axes: c points, k centers, b points of a batch.

    def __init__(self, points: np.ndarray, weights: np.ndarray, centers: np.ndarray):
        self._points, self._weights = points, weights
        self.centers = centers.copy()
        c = len(points)
        self._nearest, self._apart = np.empty((2, c), np.intp), np.empty((2, c))
        self._orphans = np.empty(c, bool)
        self._compare(np.arange(c))

    def swap(self, attempts: int, random: np.random.RandomState) -> int:
        """Try `attempts` points; return how many became centers."""
        swaps, c = 0, len(self._points)
        for begin in range(0, attempts, BATCH):
            cumulative = np.cumsum(self._weights * self._apart[0])
            targets = random.random_sample(min(BATCH, attempts - begin)) * cumulative[-1]
            picks = np.searchsorted(cumulative[:-1], targets, "right")
            to_picks = distances(self._points, self._points[picks], np.empty((c, len(picks))))
            swaps += self._try(picks, np.ascontiguousarray(to_picks.T))
        return swaps

    def _try(self, picks: np.ndarray, to_picks: np.ndarray) -> int:
        """Exchange the best center for each of some points (b,), if that lowers the cost.

        to_picks (b, c): from the points tried to all points.
        """
        swaps, at, k = 0, 0, len(self.centers)
        while True:
            at, out = first_swap(
                self._weights, self._nearest, self._apart, to_picks, at, k, MARGIN, self._orphans
            )
            if out < 0:
                return swaps
            self.centers[out] = self._points[picks[at]]
            self._compare(np.flatnonzero(self._orphans))
            swaps, at = swaps + 1, at + 1

    def _compare(self, rows: np.ndarray) -> None:
        """Find the nearest and the second-nearest center of some points, from scratch."""
        k = len(self.centers)
        (firsts, seconds), (to_first, to_second) = self._nearest, self._apart
        size = max(1, SCRATCH // k)
        for begin in range(0, len(rows), size):
            some = rows[begin : begin + size]
            each = np.arange(len(some))
            apart = distances(self._points[some], self.centers, np.empty((len(some), k)))
            firsts[some] = first = np.argmin(apart, axis=1)
            to_first[some] = apart[each, first]
            apart[each, first] = np.inf
            seconds[some] = second = np.argmin(apart, axis=1)
            to_second[some] = apart[each, second]
