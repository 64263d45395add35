"""k centers from a weighted summary of the data, on the driver, without reading the data.

Step 8 of k-means|| (see `seed.k_means_parallel`). The paper leaves the method open; its published
seed costs need Lloyd iterations here. Done: greedy k-means++ several times over (Arthur and
Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007, with the local trials of
its section 5), each followed by Lloyd's iterations on the weighted summary; the cheapest wins.

Every float that decides something comes from the fixed-order kernels, from elementwise operations
or from cumulative sums, whose order is defined; BLAS and `np.sum` add in an order of their own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dask_kmeans.kernels import (
    ExactSum,
    FixedPoint,
    assign,
    distances,
    labelled_distances,
    nearest,
    prepare,
)

STARTS = 10
LLOYD_ITERATIONS = 100

WORK = 2e8
"""Differences of coordinates that a recluster may take in any case: a tenth of a second or so."""


class Clustering(NamedTuple):
    """Centers, and what they cost the points."""

    centers: np.ndarray
    """float64 (k, d)"""
    cost: float
    """Sum of weighted squared distances of the points to their nearest centers"""


def recluster(
    points: np.ndarray,
    weights: np.ndarray,
    n_clusters: int,
    n_init: int,
    random: np.random.RandomState,
    work: float,
) -> list[Clustering]:
    """The `n_init` best of several clusterings of weighted points, best first.

    Parameters
    ----------
    points : ndarray of shape (c, d), float64
        Distinct.
    weights : ndarray of shape (c,), float64
        > 0
    n_clusters : int
    n_init : int
        How many are wanted.
    random : RandomState
    work : float
        About how many differences of coordinates the greedy seeding may take, if that is more than
        `WORK`; beyond, it makes do with fewer starts and trials.

    Returns
    -------
    list of Clustering
        The points themselves where they are not more than n_clusters.
    """
    if len(points) <= n_clusters:
        return [Clustering(points, 0.0)] * n_init
    trials, starts = plan(len(points), points.shape[1], n_clusters, n_init, max(work, WORK))
    found = _clusterings(points, weights, n_clusters, trials, starts, random)
    return sorted(found, key=lambda clustering: clustering.cost)[:n_init]  # ties: the first start


def quick_clustering(
    points: np.ndarray, weights: np.ndarray, n_clusters: int, random: np.random.RandomState
) -> Clustering:
    """One clustering from a single start without local trials: see `recluster`."""
    return _clusterings(points, weights, n_clusters, 1, 1, random)[0]


def _clusterings(
    points: np.ndarray,
    weights: np.ndarray,
    n_clusters: int,
    trials: int,
    starts: int,
    random: np.random.RandomState,
) -> list[Clustering]:
    fixed_point = FixedPoint.from_range(
        points.min(axis=0), points.max(axis=0), len(points), weights.max()
    )
    seeds = greedy_seeds(points, weights, n_clusters, trials, starts, random)
    return [lloyd(points, weights, centers, fixed_point) for centers in seeds]


def plan(c: int, d: int, n_clusters: int, n_init: int, work: float) -> tuple[int, int]:
    """(local trials, starts) of the greedy seeding, so that it stays within `work` where it can.

    Ten starts with all trials where that is cheap; else fewer starts, then fewer trials. A function
    of sizes alone, so that results do not depend on the machine.
    """
    trials = 2 + int(math.log(n_clusters))
    affordable = work / (float(c) * d * n_clusters)
    wanted = STARTS + n_init - 1
    starts = min(wanted, max(n_init, int(affordable / trials)))
    return max(1, min(trials, int(affordable / starts))), starts


def greedy_seeds(
    points: np.ndarray,
    weights: np.ndarray,
    n_clusters: int,
    trials: int,
    starts: int,
    random: np.random.RandomState,
) -> np.ndarray:
    """Greedy k-means++ on weighted points, several starts side by side.

    The starts go in step, so that each step is one call of the kernel for all of them.

    Returns
    -------
    ndarray of shape (starts, n_clusters, d), float64
    """
    # Axes: s starts, t trials, c points.
    c, t = len(points), trials
    every_start = np.arange(starts)
    picks = _draw(np.tile(weights, (starts, 1)), 1, random)[:, 0]
    chosen = [picks]
    nearest_chosen = distances(points, points[picks], np.empty((c, starts))).T  # (s, c)
    to_trials = np.empty((c, starts * t))
    for _ in range(n_clusters - 1):
        picks = _draw(nearest_chosen * weights, t, random)  # (s, t)
        distances(points, points[picks.ravel()], to_trials)
        left = np.minimum(to_trials.T.reshape(starts, t, c), nearest_chosen[:, None])
        potential = np.cumsum(left * weights, axis=2)[:, :, -1]
        best = np.argmin(potential, axis=1)
        nearest_chosen = left[every_start, best]
        chosen.append(picks[every_start, best])
    return points[np.stack(chosen, axis=1)]


def _draw(mass: np.ndarray, size: int, random: np.random.RandomState) -> np.ndarray:
    """int (s, size): columns of `mass` (s, c) drawn in proportion to it, for each of its rows."""
    cumulative = np.cumsum(mass, axis=1)
    targets = random.random_sample((len(mass), size)) * cumulative[:, -1:]
    # side="right": a point of no mass is never drawn, whatever the target.
    drawn = [np.searchsorted(row, target, "right") for row, target in zip(cumulative, targets)]
    # A target may be rounded up to the total: the last point that has mass is meant.
    last = np.argmax(cumulative == cumulative[:, -1:], axis=1)
    return np.minimum(drawn, last[:, None])


def lloyd(
    points: np.ndarray,
    weights: np.ndarray,
    centers: np.ndarray,
    fixed_point: FixedPoint,
) -> Clustering:
    """Lloyd's iterations on weighted points.

    An emptied cluster stays where it was: other starts will do better.
    """
    labels = np.full(len(points), -1, np.int32)
    sums = fixed_point.zero_sums(len(centers))
    for _ in range(LLOYD_ITERATIONS):
        tally = assign(points, weights, prepare(centers), fixed_point, labels, sums)
        if tally.changed == 0:
            break
        means, filled = fixed_point.means(sums)
        centers = np.where((filled > 0)[:, None], means, centers)
    else:
        nearest(points, prepare(centers), labels)
    apart = labelled_distances(points, centers, labels, np.empty(len(points)))
    cost = ExactSum()
    cost.add(apart, weights)
    return Clustering(centers, cost.value())
