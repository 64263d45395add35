"""Starts that compare no distances: rows, means of pairs, random parts, points of a box.

One pass at most, which all restarts share. Weighted rows count by their weight in each of them, a
row of weight zero or with a NaN not at all.
"""

from __future__ import annotations

import numpy as np

from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.centers import CenterRule
from dask_kmeans.kernels import (
    FixedPoint,
    Sums,
    accumulate,
    exponential,
    merge_sums,
    uniform,
)
from dask_kmeans.seed.candidates import numbered_pieces
from dask_kmeans.seed.race import Race, counting_mass, first_of_equals
from dask_kmeans.survey import Survey


def random_rows(
    blockwise: Blockwise, *, n_clusters: int, n_init: int, seed: int
) -> list[np.ndarray]:
    """`n_clusters` distinct rows for each restart, drawn in proportion to their weights.

    Returns
    -------
    list of ndarray of shape (m, d), float64
        m is n_clusters, or the number of distinct rows where that is smaller.
    """
    races = blockwise.run(_draw_rows, n_clusters, n_init, seed, merge=_merge_races, name="seeding")
    return [race.winners() for race in races]


def random_pairs(
    blockwise: Blockwise, rule: CenterRule, *, n_clusters: int, n_init: int, seed: int
) -> list[np.ndarray]:
    """Centers of two random rows each, distinct.

    No row is in two pairs. Rows fill the gaps where pairs have the same center or none, or where
    there are fewer than 2 * n_clusters distinct rows; fewer than n_clusters are returned as by
    `random_rows`.
    """
    races = blockwise.run(
        _draw_rows, 2 * n_clusters, n_init, seed, merge=_merge_races, name="seeding"
    )
    starts = []
    for race in races:
        rows = race.winners()
        pairs = len(rows) // 2 if len(rows) >= n_clusters else 0
        # Halved before the addition: the sum of two rows may exceed the largest float64.
        means = rule.project(rows[:pairs] / 2 + rows[pairs : 2 * pairs] / 2)
        means = means[~np.isnan(means).any(axis=1)]
        starts.append(_first_distinct(np.concatenate([means, rows]), n_clusters))
    return starts


def random_partition(
    blockwise: Blockwise, rule: CenterRule, *, n_clusters: int, n_init: int, seed: int
) -> list[np.ndarray]:
    """Centers of the parts of a random partition of the rows, distinct.

    Rows fill the gaps where a part is empty or two have the same center; fewer than n_clusters are
    returned as by `random_rows`.
    """
    sums, races = blockwise.run(
        _add_up_parts, rule.fixed_point, n_clusters, n_init, seed, merge=_merge_parts,
        name="seeding",
    )  # fmt: skip
    starts = []
    for part_sums, race in zip(sums, races, strict=True):
        rows = race.winners()
        update = rule.update(part_sums)
        filled = update.moments.filled if len(rows) == n_clusters else np.zeros(n_clusters, bool)
        starts.append(_first_distinct(np.concatenate([update.centers[filled], rows]), n_clusters))
    return starts


def random_box(
    survey: Survey, rule: CenterRule, *, n_clusters: int, n_init: int, random: np.random.RandomState
) -> list[np.ndarray]:
    """Uniform draws from the range of the rows that count, which the survey knows: no pass."""
    draws = random.random_sample((n_init, n_clusters, len(survey.minimum)))
    # Not minimum + draws * (maximum - minimum): a range may exceed the largest float64.
    points = survey.minimum * (1 - draws) + survey.maximum * draws
    return [rule.project(start) for start in points]


def _first_distinct(points: np.ndarray, size: int) -> np.ndarray:
    return points[first_of_equals(points)][:size]


def _draw_rows(block: OpenBlock, size: int, n_init: int, seed: int) -> list[Race]:
    """For each restart a race of all rows, by weight."""
    races = [Race(size) for _ in range(n_init)]
    for first, values, weights in numbered_pieces(block):
        _enter_all(races, block.start + first, values, weights, seed)
    return races


def _add_up_parts(
    block: OpenBlock, fixed_point: FixedPoint, n_clusters: int, n_init: int, seed: int
) -> tuple[list[Sums], list[Race]]:
    """For each restart the sums of random parts, and the rows to fill their gaps."""
    sums = [fixed_point.zero_sums(n_clusters) for _ in range(n_init)]
    races = [Race(n_clusters) for _ in range(n_init)]
    for first, values, weights in numbered_pieces(block):
        row = block.start + first
        counts = counting_mass(values, weights) > 0
        nowhere = np.full(len(values), -1, np.int32)
        for restart in range(n_init):
            draws = uniform(seed, n_init + restart, row, np.empty(len(values)))
            part = np.where(counts, draws * n_clusters, -1).astype(np.int32)
            accumulate(values, weights, fixed_point, nowhere, part, sums[restart])
        _enter_all(races, row, values, weights, seed)
    return sums, races


def _enter_all(
    races: list[Race],
    row: int,
    values: np.ndarray,
    weights: np.ndarray | None,
    seed: int,
) -> None:
    mass = counting_mass(values, weights)
    for restart, race in enumerate(races):
        race.enter(exponential(seed, restart, row, np.empty(len(values))), mass, values, row)


def _merge_races(a: list[Race], b: list[Race]) -> list[Race]:
    return [x.merge(y) for x, y in zip(a, b, strict=True)]


def _merge_parts(
    a: tuple[list[Sums], list[Race]], b: tuple[list[Sums], list[Race]]
) -> tuple[list[Sums], list[Race]]:
    return [merge_sums(x, y) for x, y in zip(a[0], b[0], strict=True)], _merge_races(a[1], b[1])
