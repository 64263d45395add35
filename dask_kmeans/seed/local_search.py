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

from dask_kmeans.kernels import distances

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
        self._first, self._second = np.empty(c, np.intp), np.empty(c, np.intp)
        self._to_first, self._to_second = np.empty(c), np.empty(c)
        self._compare(np.arange(c))

    def swap(self, attempts: int, random: np.random.RandomState) -> int:
        """Try `attempts` points; return how many became centers."""
        swaps = 0
        for begin in range(0, attempts, BATCH):
            cumulative = np.cumsum(self._weights * self._to_first)
            targets = random.random_sample(min(BATCH, attempts - begin)) * cumulative[-1]
            picks = np.searchsorted(cumulative[:-1], targets, "right")
            to_picks = distances(
                self._points, self._points[picks], np.empty((len(self._points), len(picks)))
            )
            with np.errstate(invalid="ignore"):  # infinite distances: not a number is no gain
                for pick, to_pick in zip(picks, to_picks.T.copy(), strict=True):
                    swaps += self._try(pick, to_pick)
        return swaps

    def _try(self, pick: int, to_pick: np.ndarray) -> bool:
        """Exchange the best center for a point, which has distances `to_pick` (c,) to all
        points."""
        weights, k = self._weights, len(self.centers)
        with_pick = np.minimum(self._to_first, to_pick)
        # What the points of each center lose if it goes, the new one being there.
        loss = np.minimum(self._to_second, to_pick) - with_pick
        loss_of = np.bincount(self._first, weights * loss, minlength=k)
        gain = np.cumsum(weights * (self._to_first - with_pick))[-1]
        out = int(np.argmin(loss_of))
        if not loss_of[out] < gain * (1 - MARGIN):
            return False
        self.centers[out] = self._points[pick]
        orphans = (self._first == out) | (self._second == out)
        closest = to_pick < self._to_first
        closer = ~closest & (to_pick < self._to_second)
        self._second[closest] = self._first[closest]
        self._to_second[closest] = self._to_first[closest]
        self._first[closest], self._to_first[closest] = out, to_pick[closest]
        self._second[closer], self._to_second[closer] = out, to_pick[closer]
        self._compare(np.flatnonzero(orphans))
        return True

    def _compare(self, rows: np.ndarray) -> None:
        """Find the nearest and the second-nearest center of some points, from scratch."""
        k = len(self.centers)
        size = max(1, SCRATCH // k)
        for begin in range(0, len(rows), size):
            some = rows[begin : begin + size]
            each = np.arange(len(some))
            apart = distances(self._points[some], self.centers, np.empty((len(some), k)))
            self._first[some] = first = np.argmin(apart, axis=1)
            self._to_first[some] = apart[each, first]
            apart[each, first] = np.inf
            self._second[some] = second = np.argmin(apart, axis=1)
            self._to_second[some] = apart[each, second]
