"""Many centers from rows in memory: a few groups first, then centers within each group.

Greedy k-means++ over c rows compares each of them with several rows for every center. Where there
are many centers, a row has nothing to do with most of them. So the rows are clustered into about
sqrt(k) groups, the centers are divided among these in proportion to what the groups cost, and each
group is seeded by itself: that takes a sqrt(k)-th of the work, so that many more rows have a say
than k-means|| would draw candidates. On GloVe (k=1000) and on sentence embeddings (40 rows a
cluster) fits from these seeds end within 0.2 % of those from greedy k-means++ over the same rows.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from dask_kmeans.blockwise import Blockwise, OpenBlock, Size, counted, thread_count, working
from dask_kmeans.centers import CenterRule
from dask_kmeans.kernels import dense
from dask_kmeans.seed.candidates import numbered_pieces
from dask_kmeans.seed.race import counting_mass
from dask_kmeans.seed.recluster import Effort, greedy_seeds, nearest_centers, recluster

MANY = 256
"""Clusters from which on k-means|| and its recluster would take longer than the steps that follow:
their work grows with the square of the number of clusters."""

ROWS_A_CLUSTER = 64
"""Rows for each center that are looked at, or up to twice as many. With four times as many, inertia
falls by 0.1 %."""

MOST_VALUES = 2**25
"""Numbers in these rows, or up to twice as many: 256 MiB of float64 on the driver, and as much
for the groups."""


def two_level_seeds(
    blockwise: Blockwise,
    rule: CenterRule,
    n_clusters: int,
    n_init: int,
    random: np.random.RandomState,
) -> list[np.ndarray] | None:
    """`n_clusters` distinct rows, `n_init` times over.

    Parameters
    ----------
    blockwise : Blockwise
        Over rows in memory here.
    rule : CenterRule
    n_clusters, n_init : int
    random : RandomState
        For draws on the driver.

    Returns
    -------
    list of ndarray of shape (n_clusters, d), float64
        None where there are fewer than two distinct rows for each center.
    """
    most = min(ROWS_A_CLUSTER * n_clusters, MOST_VALUES // len(rule.fixed_point.shift))
    step = max(1, blockwise.n_rows // max(1, most))
    parts = blockwise.run(_every, step, merge=dict.__or__, name="seeding")
    in_order = [parts[index] for index in sorted(parts)]
    values, mass = (np.concatenate(part) for part in zip(*in_order, strict=True))
    points, weights = _distinct(values[mass > 0], mass[mass > 0])
    if len(points) < 2 * n_clusters:
        return None
    return [_start(points, weights, n_clusters, random, rule) for _ in range(n_init)]


def _every(block: OpenBlock, step: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """By the number of the block: every so many rows, float64 (m, d), and what they weigh, (m,)."""
    found = []
    for first, values, weights in numbered_pieces(block):
        chosen = slice(-(block.start + first) % step, None, step)
        some = values[chosen]
        mass = counting_mass(some, None if weights is None else weights[chosen])
        found.append((dense(some).astype(np.float64), mass))
    values, masses = zip(*found, strict=True)
    return {block.index: (np.concatenate(values), np.concatenate(masses))}


def _distinct(values: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of `values` (m, d), in order, and what all equal ones weigh."""
    values = np.ascontiguousarray(values + 0.0)  # -0.0 is 0.0
    bits = values.view(np.uint64)
    factors = np.random.RandomState(0).randint(2**63, size=values.shape[1], dtype=np.uint64)
    # Sorting whole rows takes as long as seeding them. High bits have a say in the low ones, which
    # are zero in small integers.
    hashes = (bits ^ (bits >> np.uint64(32))) @ (2 * factors + np.uint64(1))
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return values[first[order]], np.bincount(inverse, mass)[order]


def _start(
    points: np.ndarray,
    weights: np.ndarray,
    n_clusters: int,
    random: np.random.RandomState,
    rule: CenterRule,
) -> np.ndarray:
    """One set of centers."""
    n_groups = math.isqrt(n_clusters)
    some = slice(None, None, max(1, len(points) // (ROWS_A_CLUSTER * n_groups)))
    (coarse,) = recluster(points[some], weights[some], n_groups, _effort(n_groups), random, rule)
    labels, apart = nearest_centers(points, coarse.centers)
    cost = np.bincount(labels, weights * apart(), minlength=n_groups)
    shares = divided(n_clusters, cost, np.bincount(labels, minlength=n_groups))
    groups = [np.flatnonzero(labels == group) for group in range(n_groups)]
    # A stream for each group: threads may take them in any order.
    streams = [np.random.RandomState(seed) for seed in random.randint(2**32, size=n_groups)]

    def seeded(rows: np.ndarray, share: int, own_random: np.random.RandomState) -> np.ndarray:
        if share == len(rows):
            return points[rows]
        (centers,) = greedy_seeds(points[rows], weights[rows], share, _effort(share), own_random)
        return centers

    size = partial(Size, n_groups, unit="groups")
    with (
        working(f"seeding {n_clusters} clusters", size) as work,
        ThreadPoolExecutor(thread_count(), thread_name_prefix="dask-kmeans") as pool,
    ):
        return np.concatenate(counted(pool.map(seeded, groups, shares.tolist(), streams), work))


def _effort(n_clusters: int) -> Effort:
    """One start by greedy k-means++."""
    return Effort(starts=1, trials=2 + int(math.log(max(1, n_clusters))), swap_rounds=0)


def divided(n_clusters: int, cost: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """int (g,): how many of the centers each group gets, in proportion to what it costs.

    Parameters
    ----------
    n_clusters : int
        No more than there are points, no fewer than groups.
    cost : ndarray of shape (g,), float64
    sizes : ndarray of shape (g,), int
        Points of each group: it gets no more centers than these, and one at least if it has any.
    """
    with np.errstate(over="ignore"):
        total = np.cumsum(cost)[-1]
    if not 0 < total < np.inf:
        cost, total = sizes.astype(float), float(sizes.sum())
    wanted = n_clusters * (cost / total)
    shares = np.clip(wanted.astype(np.int64), np.minimum(sizes, 1), sizes)
    while (missing := n_clusters - shares.sum()) != 0:
        if missing > 0:
            shares[np.argmax(np.where(shares < sizes, wanted - shares, -np.inf))] += 1
        else:
            shares[np.argmin(np.where(shares > 1, wanted - shares, np.inf))] -= 1
    return shares
