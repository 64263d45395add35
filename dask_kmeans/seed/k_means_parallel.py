"""k-means||: a few rounds of oversampled draws, then a summary of the data small enough to cluster.

Bahmani, Moseley, Vattani, Kumar, Vassilvitskii, "Scalable K-Means++", PVLDB 5(7), 2012, algorithm
2. Its steps are numbered in the code. What is done otherwise, and why:

1.  *First round.* The paper starts from one random row and spends a pass on its cost (steps 1, 2).
    Here the first pass draws a full round already, half of it uniformly and half in proportion to
    the squared distance from the middle of the data's range, which the survey knows. Such a mixture
    is a coreset by itself (Bachem, Lucic, Krause, "Scalable k-means clustering via lightweight
    coresets", KDD 2018) and needs no center to start from.
2.  *Draws.* The paper draws each row independently, about l of them, and needs the total cost
    first: two passes a round. A race (`seed.race`) draws exactly l distinct rows, and one pass
    does.
3.  *Summary.* The paper weights each candidate with the number of rows in its cell. The pass that
    counts them may as well add them up: the cell's *centroid* stands for its rows far better.
    Every pass but the first does so, along with the next round's draws: when the draws turn out
    to be superfluous, the summary is there already.
4.  *Rounds.* The paper takes log(cost) of them in theory and five in practice. Here the summary is
    asked whether it will do. The inertia of a clustering that keeps cells whole is the scatter
    *within* the cells, which the summary cannot see, plus the scatter *between* their centroids,
    which it can. A further round is due while the part within exceeds the part between and still
    halves. On all data tried the second round was the last one, with seeds as good as after five.
5.  *Recluster.* See `seed.recluster`.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.centers import CenterRule
from dask_kmeans.kernels import (
    ExactSum,
    FixedPoint,
    Sums,
    accumulate,
    exponential,
    labelled_distances,
    merge_sums,
    weighted,
)
from dask_kmeans.seed.candidates import (
    Candidates,
    NearestCandidates,
    no_candidates,
    numbered_pieces,
)
from dask_kmeans.seed.race import Race, distinct_winners
from dask_kmeans.seed.recluster import QUICK, recluster
from dask_kmeans.survey import Survey

FEWEST_ROUNDS, MOST_ROUNDS = 2, 8
"""Bounds on the number of rounds where it is left to us."""

SLOT = ("labels", 0)


class Summary(NamedTuple):
    """The data in small. One summary serves every restart, and every smaller number of clusters."""

    points: np.ndarray
    """float64 (c, d), the center of each candidate's cell"""
    weights: np.ndarray
    """float64 (c,), > 0, what it weighs in the place of its rows (`centers.Update.mass`)"""
    within: float
    """Scatter of the rows about these centroids"""
    complete: bool
    """Whether every distinct row of positive weight is a point"""
    rounds: int
    """Rounds of draws; the summary took one pass more."""


def candidates_per_round(n_clusters: int, oversampling_factor: float | None) -> int:
    """The paper's l: `oversampling_factor` times the number of clusters, rounded up.

    None: 5 times, which costs no more than five Lloyd iterations a round, falling to twice beyond
    200 clusters, where the recluster would come to cost more than the passes (its work grows with k
    * l) and the seeds gain less than 2 % from more candidates.
    """
    if oversampling_factor is None:
        return min(5 * n_clusters, max(2 * n_clusters, 1000))
    return int(np.ceil(oversampling_factor * n_clusters))


def summarize(
    blockwise: Blockwise,
    survey: Survey,
    rule: CenterRule,
    *,
    n_clusters: int,
    per_round: int,
    rounds: int | None,
    seed: int,
    random: np.random.RandomState,
) -> Summary:
    """Draw candidates in a few passes over the data and summarize it by their cells.

    Parameters
    ----------
    blockwise : Blockwise
        Runs the passes.
    survey : Survey
    rule : CenterRule
        For the recluster; its fixed point is that of all rows.
    n_clusters : int
        There are fewer points in the summary only if the data has fewer distinct rows.
    per_round : int
        The paper's l.
    rounds : int or None
        None: as many as are worth while. A given number is exceeded as long as there are fewer
        candidates than clusters, and undercut when every distinct row is a candidate.
    seed : int
        64 random bits, for draws on rows.
    random : RandomState
        For draws on the driver.
    """
    # Steps 1 and 2.
    middle = survey.minimum / 2 + survey.maximum / 2
    uniform, spread = blockwise.run(
        _first_round, middle, seed, per_round, merge=_merge_races, name="seeding round 1"
    )
    candidates = no_candidates(len(middle), SLOT).grown(distinct_winners(uniform, spread))
    fixed_point = rule.fixed_point
    within_before = np.inf
    # Step 3.
    for done in itertools.count(1):
        # Step 7 for the candidates so far, and step 4 for the round that may come.
        sums, cost, race = blockwise.run(
            _cells_and_next_round, candidates, fixed_point, seed, 1 + done, per_round,
            merge=_merge_rounds, name=f"seeding round {1 + done}",
        )  # fmt: skip
        summary = _summary(candidates.centers, rule, sums, cost.value(), done)
        if not _another_round(summary, within_before, n_clusters, rounds, random, rule):
            break
        within_before = summary.within
        candidates = candidates.grown(race.winners())  # step 5
    return summary


def _another_round(
    summary: Summary,
    within_before: float,
    n_clusters: int,
    rounds: int | None,
    random: np.random.RandomState,
    rule: CenterRule,
) -> bool:
    """Whether more candidates are needed, or worth a pass."""
    if summary.complete:
        return False
    if len(summary.points) < n_clusters:
        return True
    if rounds is not None:
        return summary.rounds < rounds
    if summary.rounds < FEWEST_ROUNDS:
        return True
    if summary.rounds >= MOST_ROUNDS or summary.within > within_before / 2:
        return False
    between = recluster(summary.points, summary.weights, n_clusters, QUICK, random, rule)
    return summary.within > between[0].cost


def _first_round(block: OpenBlock, middle: np.ndarray, seed: int, size: int) -> tuple[Race, Race]:
    """A uniform race, and one by squared distance from the middle of the data."""
    uniform, spread = Race((size + 1) // 2), Race((size + 1) // 2)
    for first, values, weights in numbered_pieces(block):
        row = block.start + first
        draws = np.empty(len(values))
        from_middle = np.empty(len(values))
        labelled_distances(values, middle[None], np.zeros(len(values), np.int32), from_middle)
        mass = np.where(np.isnan(from_middle), 0.0, 1.0 if weights is None else weights)
        uniform.enter(exponential(seed, 0, row, draws), mass, values, row)
        mass = weighted(from_middle, weights)
        spread.enter(exponential(seed, 1, row, draws), mass, values, row)
    return uniform, spread


def _cells_and_next_round(
    block: OpenBlock,
    candidates: Candidates,
    fixed_point: FixedPoint,
    seed: int,
    purpose: int,
    size: int,
) -> tuple[Sums, ExactSum, Race]:
    """Sums of the rows nearest to each candidate; the sum of their distances and a race by
    these."""
    sums, cost, race = fixed_point.zero_sums(len(candidates.centers)), ExactSum(), Race(size)
    nearest = NearestCandidates(block, candidates)
    for first, values, weights in numbered_pieces(block):
        row = block.start + first
        mass = weighted(nearest.measure(first, values), weights)
        cost.add(mass)
        race.enter(exponential(seed, purpose, row, np.empty(len(values))), mass, values, row)
        labels = nearest.labels.of(slice(first, first + len(values)))
        accumulate(values, weights, fixed_point, np.full_like(labels, -1), labels, sums)
    nearest.keep()
    return sums, cost, race


def _merge_races(a: tuple[Race, Race], b: tuple[Race, Race]) -> tuple[Race, Race]:
    return a[0].merge(b[0]), a[1].merge(b[1])


def _merge_rounds(
    a: tuple[Sums, ExactSum, Race], b: tuple[Sums, ExactSum, Race]
) -> tuple[Sums, ExactSum, Race]:
    return merge_sums(a[0], b[0]), a[1].merge(b[1]), a[2].merge(b[2])


def _summary(
    candidates: np.ndarray, rule: CenterRule, sums: Sums, cost: float, rounds: int
) -> Summary:
    """From the sums of the candidates' cells, and the scatter of the rows about the candidates."""
    update = rule.update(sums, candidates)
    filled = update.mass > 0
    centroids, weights = update.centers[filled], update.mass[filled]
    complete = cost == 0
    if complete:
        # Cells of equal rows: the row itself, not its sum divided by their number.
        return Summary(candidates[filled], weights, 0.0, complete, rounds)
    moved = np.cumsum((centroids - candidates[filled]) ** 2, axis=1)[:, -1]
    gain = ExactSum()
    gain.add(moved, weights)
    return Summary(centroids, weights, max(0.0, cost - gain.value()), complete, rounds)
