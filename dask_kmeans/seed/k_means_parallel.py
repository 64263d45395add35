"""k-means||: a few rounds of oversampled draws, then a summary of the data small enough to cluster.

Bahmani, Moseley, Vattani, Kumar, Vassilvitskii, "Scalable K-Means++", PVLDB 5(7), 2012, algorithm 2.
Its steps are numbered in the code. What is done otherwise, and why:

1.  *First round.* The paper starts from one random row and spends a pass on its cost (steps 1 and 2).
    Here the first pass draws a full round already, half of it uniformly and half in proportion to
    the squared distance from the middle of the data's range, which the survey knows. Such a mixture
    is a coreset by itself (Bachem, Lucic, Krause, "Scalable k-means clustering via lightweight
    coresets", KDD 2018) and needs no center to start from.
2.  *Draws.* The paper draws each row independently, about l of them, and needs the total cost first:
    two passes a round. A race (`seed.race`) draws exactly l distinct rows, and one pass does.
3.  *Rounds.* The paper takes log(cost) in theory and five in practice. Here two rounds follow the
    first one, and more for as long as the cost halves; also until there are as many candidates as
    centers to be found, unless every row is a candidate already.
4.  *Summary.* The paper weights each candidate with the rows of its cell. The pass that counts them may
    as well add them up: the cell's *centroid* stands for its rows far better than the candidate.
5.  *Recluster.* See `seed.recluster`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.kernels import (
    ExactSum,
    FixedPoint,
    Sums,
    accumulate,
    distances,
    exponential,
    merge_sums,
)
from dask_kmeans.seed.chosen import Chosen, NearestChosen, none_chosen, numbered_pieces
from dask_kmeans.seed.race import Race, first_of_equals
from dask_kmeans.survey import Survey

ADAPTIVE_ROUNDS = 2
"""Rounds after the first one, at least."""

MOST_ROUNDS = 8
"""Rounds in all, at most, where their number is left to us."""

SLOT = "nearest candidate"


class Summary(NamedTuple):
    """The data in small: the centroid of each candidate's cell, and the weight of its rows.

    One summary serves every restart, and every number of clusters that it has points enough for.
    """

    points: np.ndarray
    """float64 (c, d), distinct candidates or the centroids of their cells"""
    weights: np.ndarray
    """float64 (c,), > 0"""
    rounds: int
    """Passes that drew candidates; one more made the summary."""
    complete: bool
    """Whether every distinct row is a candidate: the points *are* the data."""


def summarize(
    blockwise: Blockwise,
    survey: Survey,
    *,
    n_clusters: int,
    candidates_per_round: int,
    rounds: int | None,
    seed: int,
) -> Summary:
    """Draw candidates in a few passes over the data and summarize it by their cells.

    Parameters
    ----------
    blockwise : Blockwise
        Runs the passes.
    survey : Survey
    n_clusters : int
        Fewer candidates than this do, where the data has no more distinct rows.
    candidates_per_round : int
        The paper's l.
    rounds : int or None
        None: as many as are worth while. A given number is exceeded only as long as there are fewer candidates
        than clusters.
    seed : int
        64 random bits.
    """
    # Steps 1 and 2, deviation 1.
    middle = survey.minimum / 2 + survey.maximum / 2
    uniform, spread = blockwise.run(
        _first_race, middle, seed, candidates_per_round, merge=_merge_all
    )
    drawn = np.concatenate([uniform.winners(), spread.winners()])
    chosen = none_chosen(len(middle), SLOT).grown(drawn[first_of_equals(drawn)])
    done, costs = 1, []
    # Step 3.
    while _another(done, rounds, costs) or len(chosen.centers) < n_clusters:
        # Step 4, and the cost of the candidates so far (step 2).
        race, cost = blockwise.run(
            _race, chosen, seed, 1 + done, candidates_per_round, merge=_merge_all
        )
        done += 1
        costs.append(cost.value())
        # Step 5.
        chosen = chosen.grown(race.winners().reshape(-1, len(middle)))
        if costs[-1] == 0:
            break
    # Step 7, deviation 4.
    fixed_point = survey.fixed_point()
    sums, cost = blockwise.run(_add_up_cells, chosen, fixed_point, merge=_merge_cells)
    centroids, weights = fixed_point.means(sums)
    complete = cost.value() == 0
    filled = weights > 0
    return Summary((chosen.centers if complete else centroids)[filled], weights[filled], done, complete)


def _another(done: int, rounds: int | None, costs: list[float]) -> bool:
    """Whether another round is due: after so many, with these costs of the candidates before each."""
    if rounds is not None:
        return done < rounds
    if done <= ADAPTIVE_ROUNDS:
        return True
    return done < MOST_ROUNDS and costs[-1] <= costs[-2] / 2


def _first_race(
    block: OpenBlock, middle: np.ndarray, seed: int, size: int
) -> tuple[Race, Race]:
    """The first round: a uniform race, and one by distance from the middle of the data."""
    uniform, spread = Race(size - size // 2), Race(size // 2)
    for first, values, weights in numbered_pieces(block):
        row = block.start + first
        draws = np.empty(len(values))
        from_middle = distances(values, middle[None], np.empty((len(values), 1)))[:, 0]
        mass = ~np.isnan(from_middle) * (1.0 if weights is None else weights)
        uniform.enter(exponential(seed, 0, row, draws), mass, values, row)
        spread.enter(exponential(seed, 1, row, draws), mass * from_middle, values, row)
    return uniform, spread


def _race(
    block: OpenBlock, chosen: Chosen, seed: int, purpose: int, size: int
) -> tuple[Race, ExactSum]:
    """A later round: a race by distance from the nearest candidate, and the sum of these distances."""
    race, cost = Race(size), ExactSum()
    candidates = NearestChosen(block, chosen)
    for first, values, weights in numbered_pieces(block):
        row = block.start + first
        mass = candidates.measure(first, values)
        if weights is not None:
            mass *= weights
        cost.add(mass)
        race.enter(exponential(seed, purpose, row, np.empty(len(values))), mass, values, row)
    candidates.keep()
    return race, cost


def _add_up_cells(
    block: OpenBlock, chosen: Chosen, fixed_point: FixedPoint
) -> tuple[Sums, ExactSum]:
    """Sums of the rows nearest to each candidate, and of their distances."""
    sums, cost = fixed_point.zero_sums(len(chosen.centers)), ExactSum()
    candidates = NearestChosen(block, chosen)
    for first, values, weights in numbered_pieces(block):
        mass = candidates.measure(first, values)
        cost.add(mass if weights is None else mass * weights)
        labels = candidates.labels[first : first + len(values)]
        accumulate(values, weights, fixed_point, np.full(len(values), -1, np.int32), labels, sums)
    return sums, cost


def _merge_all(a: tuple, b: tuple) -> tuple:
    return tuple(x.merge(y) for x, y in zip(a, b, strict=True))


def _merge_cells(a: tuple[Sums, ExactSum], b: tuple[Sums, ExactSum]) -> tuple[Sums, ExactSum]:
    return merge_sums(a[0], b[0]), a[1].merge(b[1])
