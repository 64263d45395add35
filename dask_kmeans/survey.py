"""The first pass over the data: how much there is, where it lies, and whether it can be used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dask_kmeans import checks
from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.kernels import FixedPoint, extent


@dataclass
class BlockSurvey:
    """What one block, or several merged, hold. No field depends on how rows are cut into blocks."""

    rows: dict[int, int]
    """Rows of each block, by its index."""
    minimum: np.ndarray
    maximum: np.ndarray
    non_finite: tuple[int, int, int, bool] | None
    """(block, row in it, feature, whether NaN) of the first value that is not finite."""
    infinite: tuple[int, int, int, bool] | None
    """The same for the first infinity."""
    nan_rows: int
    bad_weight: tuple[int, int, float] | None
    """(block, row in it, weight) of the first weight that is negative, infinite or NaN."""
    max_weight: float
    positive_rows: int
    """Rows that count: no NaN, weight above zero."""


@dataclass(frozen=True)
class Survey:
    """What the first pass learnt of the data.

    Attributes
    ----------
    n_rows : int
        Rows, those with NaN included.
    counts : list of int
        Rows of each block.
    minimum, maximum : ndarray of shape (n_features,), float64
        NaN left out.
    nan_rows : int
        Rows with a NaN somewhere.
    max_weight : float or None
        Largest sample weight; None for unweighted data.
    positive_rows : int
        Rows that count: without NaN and of weight above zero.
    """

    n_rows: int
    counts: list[int]
    minimum: np.ndarray
    maximum: np.ndarray
    nan_rows: int
    max_weight: float | None
    positive_rows: int

    def fixed_point(self) -> FixedPoint:
        """Shift and scale for exact sums: a function of the data alone, whatever its chunks."""
        return FixedPoint.from_range(self.minimum, self.maximum, self.n_rows, self.max_weight)


def survey_block(block: OpenBlock, n_features: int) -> BlockSurvey:
    """One block's share of the survey."""
    minimum, maximum = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    non_finite = infinite = bad_weight = None
    rows = nan_rows = positive = 0
    max_weight = 0.0
    for values, weights in block.pieces():
        row, column, is_nan, with_nan = extent(values, minimum, maximum)
        if row >= 0 and non_finite is None:
            non_finite = (block.index, rows + row, column, is_nan)
        if row >= 0 and infinite is None:
            where = np.argwhere(np.isinf(values))
            if len(where):
                infinite = (block.index, rows + int(where[0, 0]), int(where[0, 1]), False)
        nan_rows += with_nan
        if weights is None:
            positive += len(values) - with_nan
        elif len(weights):
            usable = np.isfinite(weights) & (weights >= 0)
            if bad_weight is None and not usable.all():
                first = int(np.argmin(usable))
                bad_weight = (block.index, rows + first, float(weights[first]))
            max_weight = max(max_weight, float(np.max(weights, where=usable, initial=0.0)))
            counted = weights > 0
            if with_nan:
                counted &= ~np.isnan(values).any(axis=1)
            positive += int(np.count_nonzero(counted))
        rows += len(values)
    return BlockSurvey(
        {block.index: rows}, minimum, maximum, non_finite, infinite, nan_rows, bad_weight,
        max_weight, positive,
    )  # fmt: skip


def merge_surveys(a: BlockSurvey, b: BlockSurvey) -> BlockSurvey:
    """The survey of both blocks together."""
    return BlockSurvey(
        a.rows | b.rows,
        np.minimum(a.minimum, b.minimum),
        np.maximum(a.maximum, b.maximum),
        _first(a.non_finite, b.non_finite),
        _first(a.infinite, b.infinite),
        a.nan_rows + b.nan_rows,
        _first(a.bad_weight, b.bad_weight),
        max(a.max_weight, b.max_weight),
        a.positive_rows + b.positive_rows,
    )


def _first(a, b):
    """The earlier of two places, either of which may be missing."""
    return min((place for place in (a, b) if place is not None), default=None)


def survey(points, blockwise: Blockwise, nan: str) -> Survey:
    """Read the data once and check it.

    Parameters
    ----------
    points : read.Points
    blockwise : Blockwise
        Runs the pass.
    nan : {"raise", "skip"}
        Whether a NaN is an error or only leaves its row out.

    Raises
    ------
    ValueError
        For no rows, NaN or infinity (with the row and column of the first), weights that are
        negative, not finite or all zero.
    """
    merged = blockwise.run(survey_block, points.n_features, merge=merge_surveys)
    counts = [merged.rows[block.index] for block in points.blocks]
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    n_rows = int(starts[-1])
    checks.check_not_empty(n_rows, points.n_features)

    bad = merged.non_finite if nan == "raise" else merged.infinite
    if bad is not None:
        block, row, column, is_nan = bad
        row += int(starts[block])
        raise checks.non_finite_error(row, column, is_nan, points.feature_names)
    if points.weighted:
        bad_weight = merged.bad_weight
        if bad_weight is not None:
            block, row, weight = bad_weight
            raise checks.bad_weight_error(int(starts[block]) + row, weight)
    if merged.positive_rows == 0:
        raise checks.nothing_counts_error(n_rows, merged.nan_rows, points.weighted)
    return Survey(
        n_rows, counts, merged.minimum, merged.maximum, merged.nan_rows,
        merged.max_weight if points.weighted else None, merged.positive_rows,
    )  # fmt: skip
