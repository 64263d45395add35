"""k centers from a weighted summary of the data, on the driver, without reading the data.

Step 8 of k-means|| (see `seed.k_means_parallel`), whose method the paper leaves open; its published
seed costs need Lloyd's iterations here. Done up to ten times over, three times in a small fit, the
cheapest wins:

* greedy k-means++ (Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA
  2007, section 5);
* swaps of centers for points (`seed.local_search`), then Lloyd's iterations; and once more.
  Measured on Spam, covertype and xclara, the swaps lower the inertia of the finished fit by 1 to 3
  % for half as much time again.

Every float that decides something comes from the fixed-order kernels, from elementwise operations
or from cumulative sums, whose order is defined; BLAS and `np.sum` add in an order of their own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import Size, counted, thread_count, working
from dask_kmeans.centers import CenterRule
from dask_kmeans.kernels import (
    ExactSum,
    FixedPoint,
    accumulate,
    distances,
    labelled_distances,
    nearest,
    prepare,
)
from dask_kmeans.seed.local_search import LocalSearch

STARTS, FEW_STARTS = 10, 3
SWAP_ROUNDS = 2
LLOYD_ITERATIONS = 100

WORK = 2e8
"""Differences of coordinates that a recluster may take in any case: a tenth of a second or so."""

SMALL_WORK = 2**19
"""Work that passes hide, below which a fit takes milliseconds, and its recluster has few starts. In
the median over 40 seeds fits end as low on digits and xclara, 0.4 % lower on 3000 rows of Letter,
and 0.4 % higher on iris (k=8), where those of scikit-learn end 9 % higher. Digits take half the
time."""

WORTH_THREADS = 1e6
"""Differences of coordinates in a comparison of all points with all centers, from which on it pays
to improve the starts on several threads."""

LITTLE = 2**19
"""Differences of coordinates in such a comparison, up to which all distances take no longer than
the filters that spare most of them: a small fit need not have these compiled for float64 rows."""


class Clustering(NamedTuple):
    """Centers, and what they cost the points."""

    centers: np.ndarray
    """float64 (k, d)"""
    cost: float
    """Sum of weighted squared distances of the points to their nearest centers"""


class Effort(NamedTuple):
    """How hard to look for good centers."""

    starts: int
    trials: int
    """Points that each step of greedy k-means++ chooses from"""
    swap_rounds: int


QUICK = Effort(starts=1, trials=1, swap_rounds=0)


def affordable_effort(c: int, d: int, k: int, n_init: int, work: float) -> Effort:
    """As many starts, trials and swaps as `work` differences of coordinates allow.

    Fewer starts first, then no swaps, then fewer trials. A function of sizes alone, so that results
    do not depend on the machine. With few clusters there are few ways to go wrong: fewer starts.
    """
    trials = 2 + int(math.log(k))
    most = FEW_STARTS if work < SMALL_WORK else STARTS
    # In comparisons of all points with all centers. A round of swaps tries k points, and begins
    # by finding everybody's two nearest centers.
    swapping = 2 * SWAP_ROUNDS
    allowed = max(work, WORK) / (float(c) * d * k)
    starts = min(most, k) + n_init - 1
    starts = max(n_init, min(starts, int(allowed / (trials + swapping))))
    each = allowed / starts
    if each >= trials + swapping:
        return Effort(starts, trials, SWAP_ROUNDS)
    return Effort(starts, max(1, min(trials, int(each))), 0)


def recluster(
    points: np.ndarray,
    weights: np.ndarray,
    n_clusters: int,
    effort: Effort,
    random: np.random.RandomState,
    rule: CenterRule,
    *,
    threads: int | None = None,
) -> list[Clustering]:
    """Clusterings of weighted points, one from each start, the cheapest first.

    Parameters
    ----------
    points : ndarray of shape (c, d), float64
        Distinct.
    weights : ndarray of shape (c,), float64
        > 0
    n_clusters : int
    effort : Effort
    random : RandomState
    rule : CenterRule
    threads : int, optional
        Threads that improve the starts; by default all there are, where that pays.

    Returns
    -------
    list of Clustering
        The points themselves where they are not more than n_clusters.
    """
    if len(points) <= n_clusters:
        return [Clustering(points, 0.0)] * effort.starts
    rule = rule.at(
        FixedPoint.from_range(points.min(axis=0), points.max(axis=0), len(points), weights.max())
    )
    starts = functools.partial(Size, effort.starts, unit="starts")
    with working(f"reclustering {len(points)} candidates", starts) as work:
        seeds = greedy_seeds(points, weights, n_clusters, effort, random)
        # A stream for each start: threads may take them in any order.
        streams = [np.random.RandomState(seed) for seed in random.randint(2**32, size=len(seeds))]
        improve = functools.partial(_improved, points, weights, effort, rule)
        if threads is None:
            threads = thread_count() if points.size * n_clusters >= WORTH_THREADS else 1
        if threads > 1:
            threads = min(threads, len(seeds))
            with ThreadPoolExecutor(threads, thread_name_prefix="dask-kmeans") as pool:
                found = counted(pool.map(improve, seeds, streams), work)
        else:
            found = counted(map(improve, seeds, streams), work)
    return sorted(found, key=lambda clustering: clustering.cost)  # ties: the first start


def _improved(
    points: np.ndarray,
    weights: np.ndarray,
    effort: Effort,
    rule: CenterRule,
    centers: np.ndarray,
    random: np.random.RandomState,
) -> Clustering:
    """The clustering that a start ends in."""
    for _ in range(max(1, effort.swap_rounds)):
        if effort.swap_rounds and len(centers) > 1:
            search = LocalSearch(points, weights, centers)
            search.swap(len(centers), random)
            centers = search.centers
        clustering = lloyd(points, weights, centers, rule)
        centers = clustering.centers
    return clustering


def greedy_seeds(
    points: np.ndarray,
    weights: np.ndarray,
    n_clusters: int,
    effort: Effort,
    random: np.random.RandomState,
) -> np.ndarray:
    """Greedy k-means++ on weighted points, the starts side by side.

    They go in step, so that each step is one call of the kernel for all of them.

    Returns
    -------
    ndarray of shape (starts, n_clusters, d), float64
    """
    # Axes: s starts, t trials, c points.
    c, s, t = len(points), effort.starts, effort.trials
    each = np.arange(s)
    picks = _draw(np.broadcast_to(weights, (s, c)), 1, random)[:, 0]
    chosen = [picks]
    to_nearest = distances(points, points[picks], np.empty((c, s))).T  # (s, c)
    to_trials = np.empty((c, s * t))
    for _ in range(n_clusters - 1):
        picks = _draw(to_nearest * weights, t, random)  # (s, t)
        distances(points, points[picks.ravel()], to_trials)
        left = np.minimum(to_trials.T.reshape(s, t, c), to_nearest[:, None])
        cost = np.cumsum(left * weights, axis=2)[:, :, -1]
        best = np.argmin(cost, axis=1)
        to_nearest = left[each, best]
        chosen.append(picks[each, best])
    return points[np.stack(chosen, axis=1)]


def _draw(mass: np.ndarray, size: int, random: np.random.RandomState) -> np.ndarray:
    """int (s, size): columns of `mass` (s, c) drawn in proportion to it, for each of its rows."""
    cumulative = np.cumsum(mass, axis=1)
    targets = random.random_sample((len(mass), size)) * cumulative[:, -1:]
    # A point of no mass is never drawn: its sum equals the one before, and `right` looks beyond.
    # Nor is one behind the last mass, should a target have been rounded up to the total.
    last = np.argmax(cumulative == cumulative[:, -1:], axis=1)
    found = map(functools.partial(np.searchsorted, side="right"), cumulative, targets)
    return np.minimum(list(found), last[:, None])


def lloyd(
    points: np.ndarray, weights: np.ndarray, centers: np.ndarray, rule: CenterRule
) -> Clustering:
    """Lloyd's iterations on weighted points, until no label changes or there have been enough.

    An emptied cluster stays where it was: other starts will do better.
    """
    labels = np.full(len(points), -1, np.int32)
    sums = rule.fixed_point.zero_sums(len(centers))
    for _ in range(LLOYD_ITERATIONS):
        before = labels
        labels, apart = nearest_centers(points, centers)
        if np.array_equal(before, labels):
            break
        accumulate(points, weights, rule.fixed_point, before, labels, sums)
        centers = rule.update(sums, centers).centers
    else:
        labels, apart = nearest_centers(points, centers)
    return Clustering(centers, ExactSum().add(apart(), weights).value())


def nearest_centers(
    points: np.ndarray, centers: np.ndarray
) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
    """The nearest center of each point, int32 (c,), ties to the lowest, and a function that gives
    the squared distances to them, float64 (c,)."""
    labels = np.empty(len(points), np.int32)
    if points.size * len(centers) <= LITTLE:
        every = distances(points, centers, np.empty((len(points), len(centers))))
        labels[:] = every.argmin(axis=1)
        return labels, functools.partial(np.min, every, axis=1)
    nearest(points, prepare(centers), labels)
    return labels, functools.partial(
        labelled_distances, points, centers, labels, np.empty(len(points))
    )
