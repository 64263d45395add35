"""Starting centers for every restart, by the method asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dask_kmeans import checks
from dask_kmeans.blockwise import Blockwise
from dask_kmeans.centers import CenterRule
from dask_kmeans.seed.k_means_parallel import candidates_per_round, summarize
from dask_kmeans.seed.k_means_plus_plus import k_means_plus_plus
from dask_kmeans.seed.random_starts import (
    random_box,
    random_pairs,
    random_partition,
    random_rows,
)
from dask_kmeans.seed.recluster import affordable_effort, recluster
from dask_kmeans.seed.two_levels import MANY, two_level_seeds
from dask_kmeans.survey import Survey

if TYPE_CHECKING:
    from dask_kmeans.read import Points


class Seeds(NamedTuple):
    """Where the runs of a fit start, and what is known of these centers."""

    centers: list[np.ndarray]
    """n_init arrays, float64 (n_clusters, n_features)"""
    rounds: int = 0
    """Rounds of k-means||"""
    n_candidates: int = 0
    """Points that its recluster chose from"""
    cost: float | None = None
    """Inertia of the cheapest of the starts; for k-means|| a bound that it does not exceed"""
    n_distinct: int | None = None
    """Distinct rows that count, where they turned out to be fewer than n_clusters. Centers are then
    repeated."""


PASS_SPEED = 50
"""Differences of coordinates that the kernel of a pass takes in the time in which the recluster's,
which adds up each distance in a fixed order, takes one."""

Init = str | np.ndarray | Callable[[int], np.ndarray]


class SeedParameters(NamedTuple):
    """How seeds are made; see `KMeans` for what the first four mean."""

    init: Init
    """The name of a method, or the centers themselves, or whoever has them in `cluster_centers_`,
    or `init(n_clusters)`, which returns them, called for every restart. A function that wants the
    data and a random state has them bound by the caller."""
    n_init: int
    oversampling_factor: float | None
    """None: by the number of clusters."""
    init_rounds: int | None
    """None: as many as are worth while."""
    random_state: int
    """64 random bits. The same bits give the same centers, however the data is chunked."""


def make_seeds(
    points: Points,
    blockwise: Blockwise,
    survey: Survey,
    rule: CenterRule,
    n_clusters: int,
    parameters: SeedParameters,
) -> Seeds:
    """Choose where to start.

    Parameters
    ----------
    points : Points
    blockwise : Blockwise
        Over the blocks of `points`, which know their row numbers.
    survey : Survey
    rule : CenterRule
        For the rows of `points`.
    n_clusters : int
        At most the number of rows that count.
    parameters : SeedParameters

    Raises
    ------
    ValueError, TypeError
        For given centers that do not fit n_clusters and the data.
    """
    init, seed = parameters.init, parameters.random_state
    wanted = {"n_clusters": n_clusters, "n_init": parameters.n_init}
    if not isinstance(init, str):
        given = _given(init, points.n_features_read, n_clusters, parameters.n_init)
        return Seeds([_as_centers(points.inward(centers), rule) for centers in given])
    if init == "k-means||":
        (seeds,) = make_parallel_seeds(blockwise, survey, rule, [n_clusters], parameters)
        return seeds
    if init == "k-means++":
        starts = k_means_plus_plus(blockwise, n_features=points.n_features, **wanted, seed=seed)
        centers, costs = zip(*starts, strict=True)
        return _seeds(centers, n_clusters, cost=min(costs))
    if init == "random":
        return _seeds(random_rows(blockwise, **wanted, seed=seed), n_clusters)
    if init == "random_pairs":
        return _seeds(random_pairs(blockwise, rule, **wanted, seed=seed), n_clusters)
    if init == "random_partition":
        return _seeds(random_partition(blockwise, rule, **wanted, seed=seed), n_clusters)
    if init == "random_box":
        return Seeds(random_box(survey, rule, **wanted, random=_random(seed)))
    raise ValueError(f"no method of seeding is called {init!r}")


def make_parallel_seeds(
    blockwise: Blockwise,
    survey: Survey,
    rule: CenterRule,
    n_clusters: Sequence[int],
    parameters: SeedParameters,
) -> list[Seeds]:
    """k-means|| for several numbers of clusters, which share the passes and the candidates.

    See `make_seeds`; the rounds draw as many candidates as the largest number of clusters needs.
    """
    largest, seed = max(n_clusters), parameters.random_state
    summary = summarize(
        blockwise,
        survey,
        rule,
        n_clusters=largest,
        per_round=candidates_per_round(largest, parameters.oversampling_factor),
        rounds=parameters.init_rounds,
        seed=seed,
        random=_random(seed),
    )
    c, d = summary.points.shape
    # Beside passes that compared every row with every point, this much work is not seen.
    work = survey.n_rows * c * d / PASS_SPEED / len(n_clusters)
    made = []
    for k in n_clusters:
        effort = affordable_effort(c, d, k, parameters.n_init, work)
        # Draws of its own for each k, whatever the others do.
        random = _random(seed, k)
        found = recluster(summary.points, summary.weights, k, effort, random, rule)
        found = found[: parameters.n_init]
        made.append(
            _seeds(
                [clustering.centers for clustering in found],
                k,
                rounds=summary.rounds,
                n_candidates=len(summary.points),
                cost=summary.within + found[0].cost,
            )
        )
    return made


def make_sample_seeds(
    blockwise: Blockwise,
    survey: Survey,
    rule: CenterRule,
    n_clusters: Sequence[int],
    parameters: SeedParameters,
) -> list[Seeds]:
    """Seeds for several numbers of clusters from rows in memory here.

    In two levels for many clusters, by k-means|| for others, or where the caller has said how.
    """
    made: dict[int, Seeds] = {}
    if parameters.oversampling_factor is None:
        for k in n_clusters:
            if k < MANY:
                continue
            random = _random(parameters.random_state, k)
            starts = two_level_seeds(blockwise, rule, k, parameters.n_init, random)
            if starts is not None:
                made[k] = Seeds(starts)
    others = [k for k in n_clusters if k not in made]
    if others:
        found = make_parallel_seeds(blockwise, survey, rule, others, parameters)
        made.update(zip(others, found, strict=True))
    return [made[k] for k in n_clusters]


def _random(*entropy: int) -> np.random.RandomState:
    """For draws on the driver, where the order of the draws is defined."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(entropy)))


def _given(
    init: np.ndarray | Callable, n_features: int, n_clusters: int, n_init: int
) -> list[np.ndarray]:
    """Centers that the caller brings; those of a callable are checked, others have been."""
    if not callable(init):
        return [init] * n_init
    return [checks.check_init(init(n_clusters), n_clusters, n_features) for _ in range(n_init)]


def _as_centers(given: np.ndarray, rule: CenterRule) -> np.ndarray:
    """Points that the caller gave, as centers."""
    checks.check_finite_init(given)
    centers = rule.project(given)
    if centers is not given:
        checks.check_directions(centers)
    return centers


def _seeds(starts: Sequence[np.ndarray], n_clusters: int, **known) -> Seeds:
    """Starts as Seeds; those that found fewer distinct rows than clusters repeat them."""
    found = min(map(len, starts))
    centers = [start[np.arange(n_clusters) % len(start)] for start in starts]
    return Seeds(centers, n_distinct=found if found < n_clusters else None, **known)
