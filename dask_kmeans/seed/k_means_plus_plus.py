"""Greedy k-means++ over the data itself, all restarts together: one pass for each center, and one
more.

Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007, with the greedy
choice of its section 5: of 2 + log(k) rows drawn in proportion to their squared distance from the
centers so far, the one that lowers the sum of these distances most becomes the next center.

Drawing and choosing seem to need a pass each, since nobody can draw for the next center before this
one is chosen. Here each pass weighs the trials for one center and, *for each trial, runs the race*
(`seed.race`) *that would follow if it were chosen*; the driver then keeps the race of the best
trial and forgets the others. Trials are distinct rows: drawn without replacement, which the paper's
are not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.kernels import ExactSum, distances, exponential, weighted
from dask_kmeans.seed.candidates import (
    Candidates,
    NearestCandidates,
    no_candidates,
    numbered_pieces,
)
from dask_kmeans.seed.race import Race, counting_mass


class Growing(NamedTuple):
    """One restart on its way to k centers."""

    candidates: Candidates
    trials: np.ndarray
    """float64 (t, d): rows of which one will be the next center. None left: every row is a
    center."""
    cost: float
    """Sum of weighted squared distances to the nearest center"""


class Weighed(NamedTuple):
    """What a pass learns about the trials of one restart."""

    costs: tuple[ExactSum, ...]
    """What the cost would be with each of them as a center"""
    races: tuple[Race, ...]
    """The draws for the center after that"""

    def merge(self, other: Weighed) -> Weighed:
        """Of both parts of the rows; may reuse the memory of this one."""
        pairs = zip(self.costs, other.costs, strict=True)
        races = zip(self.races, other.races, strict=True)
        return Weighed(tuple(a.merge(b) for a, b in pairs), tuple(a.merge(b) for a, b in races))


def k_means_plus_plus(
    blockwise: Blockwise, *, n_features: int, n_clusters: int, n_init: int, seed: int
) -> list[tuple[np.ndarray, float]]:
    """Choose `n_clusters` distinct rows, `n_init` times over, in n_clusters + 1 passes.

    Parameters
    ----------
    blockwise : Blockwise
        Runs the passes.
    n_features, n_clusters, n_init : int
    seed : int
        64 random bits.

    Returns
    -------
    list of (centers, cost)
        For each restart the centers, float64 (n_clusters, n_features), and the sum of weighted
        squared distances to the nearest of them. Fewer centers where the data has fewer distinct
        rows; the passes end there.
    """
    races = blockwise.run(_draw_first, n_init, seed, merge=_merge_each, name="seeding round 1")
    restarts = [
        Growing(no_candidates(n_features, ("labels", number)), race.winners(), np.inf)
        for number, race in enumerate(races)
    ]
    trials = 2 + int(math.log(n_clusters))
    for center in range(n_clusters):
        growing = [number for number, restart in enumerate(restarts) if len(restart.trials)]
        if not growing:
            break
        weighed = blockwise.run(
            _weigh_trials, [restarts[number] for number in growing], growing, seed, 1 + center,
            trials, merge=_merge_each, name=f"seeding round {2 + center}",
        )  # fmt: skip
        for number, outcome in zip(growing, weighed, strict=True):
            restarts[number] = _choose(restarts[number], outcome)
    return [(restart.candidates.centers, restart.cost) for restart in restarts]


def _choose(restart: Growing, weighed: Weighed) -> Growing:
    """The restart with the best of its trials as a center; ties go to the first one drawn."""
    costs = [cost.value() for cost in weighed.costs]
    best = int(np.argmin(costs))
    return Growing(
        restart.candidates.grown(restart.trials[best : best + 1]),
        weighed.races[best].winners(),
        costs[best],
    )


def _draw_first(block: OpenBlock, n_init: int, seed: int) -> list[Race]:
    """For each restart one row, in proportion to the weights."""
    races = [Race(1) for _ in range(n_init)]
    for first, values, weights in numbered_pieces(block):
        row = block.start + first
        mass = counting_mass(values, weights)
        for number, race in enumerate(races):
            draws = exponential(seed, _purpose(0, number), row, np.empty(len(values)))
            race.enter(draws, mass, values, row)
    return races


def _weigh_trials(
    block: OpenBlock,
    restarts: Sequence[Growing],
    numbers: Sequence[int],
    seed: int,
    step: int,
    size: int,
) -> list[Weighed]:
    """Costs and races of all trials of all restarts."""
    known = [NearestCandidates(block, restart.candidates) for restart in restarts]
    outcomes = [
        Weighed(
            tuple(ExactSum() for _ in restart.trials), tuple(Race(size) for _ in restart.trials)
        )
        for restart in restarts
    ]
    for first, values, weights in numbered_pieces(block):
        row = block.start + first
        draws = np.empty(len(values))
        for number, restart, nearest_candidates, outcome in zip(
            numbers, restarts, known, outcomes, strict=True
        ):
            # One set of draws for all trials: only one of their races will ever be looked at.
            exponential(seed, _purpose(step, number), row, draws)
            so_far = nearest_candidates.measure(first, values)
            shape = (len(values), len(restart.trials))
            to_trials = distances(values, restart.trials, np.empty(shape))
            for trial, (cost, race) in enumerate(zip(*outcome, strict=True)):
                mass = weighted(np.minimum(so_far, to_trials[:, trial]), weights)
                cost.add(mass)
                race.enter(draws, mass, values, row)
    for nearest_candidates in known:
        nearest_candidates.keep()
    return outcomes


def _purpose(step: int, restart: int) -> int:
    """A number for the draws of a step of a restart that no other step of a restart has."""
    return step << 32 | restart


def _merge_each(a: list, b: list) -> list:
    return [x.merge(y) for x, y in zip(a, b, strict=True)]
