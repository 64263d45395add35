"""The first pass over the data: how much there is, where it lies, and whether it can be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dask_kmeans import checks
from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.kernels import (
    FeatureMoments,
    FixedPoint,
    content_hash,
    dense,
    extent,
    join_hashes,
)
from dask_kmeans.read import Points, Standardization, Transform


@dataclass
class BlockSurvey:
    """What one block, or several merged, hold. No field depends on how rows are cut into blocks."""

    rows: dict[int, int]
    """Rows of each block, by its index."""
    content: dict[int, int]
    """Hash of the rows of each block, by its index; 0 where it is not asked for."""
    minimum: np.ndarray
    maximum: np.ndarray
    """Of the rows that count: no NaN, weight above zero."""
    unusable: tuple[int, int, int, float] | None
    """(block, row in it, feature, value) of the first value that is an error."""
    nan_rows: int
    bad_weight: tuple[int, int, float] | None
    """(block, row in it, weight) of the first weight that is negative, infinite or NaN."""
    max_weight: float
    """Of the rows that count."""
    positive_rows: int
    """Rows that count."""
    moments: FeatureMoments | None
    """Of the rows that count, where they are asked for."""


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
        Of the rows that count.
    nan_rows : int
        Rows with a NaN somewhere.
    max_weight : float or None
        Largest sample weight of the rows that count; None for unweighted data.
    positive_rows : int
        Rows that count: without NaN and of weight above zero.
    content : int or None
        A hash of all rows and weights, in order; None where it was not asked for.
    moments : FeatureMoments or None
        Of the rows that count, where they were asked for.
    """

    n_rows: int
    counts: list[int]
    minimum: np.ndarray
    maximum: np.ndarray
    nan_rows: int
    max_weight: float | None
    positive_rows: int
    content: int | None = None
    moments: FeatureMoments | None = None

    def through(self, transform: Transform) -> Survey:
        """The survey of the same rows after a transform that keeps the order of numbers."""
        ends = np.stack([self.minimum, self.maximum])
        minimum, maximum = transform.forward(ends)
        return replace(self, minimum=minimum, maximum=maximum, moments=None)

    def standardization(self) -> Standardization:
        """What brings features to mean 0 and deviation 1; needs moments."""
        assert self.moments is not None
        checks.check_squares(self.minimum, self.maximum)
        return Standardization.of_moments(*self.moments.mean_and_deviation())

    def check_spread(self, starts: Sequence[np.ndarray] = ()) -> None:
        """Raise ValueError where sums of squares of the data, and of starts (k, d), overflow."""
        minimum, maximum = self.minimum, self.maximum
        for centers in starts:
            minimum = np.minimum(minimum, centers.min(axis=0))
            maximum = np.maximum(maximum, centers.max(axis=0))
        checks.check_spread(minimum, maximum, self.n_rows, self.max_weight)

    def fixed_point(self) -> FixedPoint:
        """Shift and scale for exact sums: a function of the data alone, whatever its chunks."""
        return FixedPoint.from_range(
            self.minimum, self.maximum, self.positive_rows, self.max_weight
        )


def survey_block(
    block: OpenBlock, n_features: int, nan: str, with_moments: bool, with_content: bool
) -> BlockSurvey:
    """One block's share of the survey."""
    minimum, maximum = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    unusable = bad_weight = None
    rows = nan_rows = positive = content = 0
    max_weight = 0.0
    moments = FeatureMoments(n_features) if with_moments else None
    for values, weights in block.pieces():
        low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
        row, _, _, with_nan = extent(values, low, high)
        if row >= 0 and unusable is None:
            first_bad = first_unusable(dense(values), nan)
            if first_bad is not None:
                unusable = (block.index, rows + first_bad[0], *first_bad[1:])
        if weights is not None and bad_weight is None:
            usable = np.isfinite(weights) & (weights >= 0)
            if not usable.all():
                first = int(np.argmin(usable))
                bad_weight = (block.index, rows + first, float(weights[first]))
        counted = _counted(values, weights, row < 0)
        if not counted.all():
            low[:], high[:] = np.inf, -np.inf
            extent(values[counted], low, high)
        minimum, maximum = np.minimum(minimum, low), np.maximum(maximum, high)
        if weights is not None:
            max_weight = max(max_weight, float(np.max(weights, where=counted, initial=0.0)))
        if moments is not None:
            moments.add(dense(values), weights, counted)
        if with_content:
            content = content_hash(dense(values), weights, content)
        nan_rows += with_nan
        positive += int(np.count_nonzero(counted))
        rows += len(values)
    return BlockSurvey(
        {block.index: rows}, {block.index: content}, minimum, maximum, unusable,
        nan_rows, bad_weight, max_weight, positive, moments,
    )  # fmt: skip


def first_unusable(values: np.ndarray, nan: str) -> tuple[int, int, float] | None:
    """Row, column and value of the first of rows (m, d) that is an error; None where none is.

    An infinity is one, and by nan="raise" a NaN that does not stand for nodata.
    """
    bad = np.isinf(values)
    if nan == "raise":
        bad = ~np.isfinite(values)
        if values.dtype == np.float64:
            bits = np.ascontiguousarray(values).view(np.uint64)
            bad &= bits != np.float64(checks.NO_VALUE).view(np.uint64)
    where = int(np.argmax(bad))
    if not bad.size or not bad.flat[where]:
        return None
    row, column = divmod(where, values.shape[1])
    return row, column, float(values[row, column])


def _counted(values: np.ndarray, weights: np.ndarray | None, all_finite: bool) -> np.ndarray:
    """Which rows count, bool (m,): those without NaN and infinity, and of a weight above zero."""
    counted = np.ones(len(values), bool) if all_finite else np.isfinite(dense(values)).all(axis=1)
    return counted if weights is None else counted & (weights > 0) & np.isfinite(weights)


def merge_surveys(a: BlockSurvey, b: BlockSurvey) -> BlockSurvey:
    """The survey of both blocks together."""
    return BlockSurvey(
        a.rows | b.rows,
        a.content | b.content,
        np.minimum(a.minimum, b.minimum),
        np.maximum(a.maximum, b.maximum),
        _first(a.unusable, b.unusable),
        a.nan_rows + b.nan_rows,
        _first(a.bad_weight, b.bad_weight),
        max(a.max_weight, b.max_weight),
        a.positive_rows + b.positive_rows,
        a.moments and b.moments and a.moments.merge(b.moments),
    )


def _first(a, b):
    """The earlier of two places, either of which may be missing."""
    return min((place for place in (a, b) if place is not None), default=None)


def survey(
    points: Points,
    blockwise: Blockwise,
    nan: str,
    *,
    moments: bool = False,
    content: bool = False,
) -> Survey:
    """Read the data once and check it.

    Parameters
    ----------
    points : Points
    blockwise : Blockwise
        Runs the pass.
    nan : {"raise", "skip"}
        Whether a NaN is an error or only leaves its row out.
    moments : bool
        Whether to learn the means and deviations of the features on the way.
    content : bool
        Whether to hash all rows.

    Raises
    ------
    ValueError
        For no rows, NaN or infinity (with the row and column of the first, be its weight zero),
        weights that are negative, not finite or all zero.
    """
    merged = blockwise.run(
        survey_block, points.n_features, nan, moments, content, merge=merge_surveys
    )
    counts = [merged.rows[block.index] for block in points.blocks]
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    n_rows = int(starts[-1])
    checks.check_not_empty(n_rows, points.n_features)

    if merged.unusable is not None:
        block, row, column, value = merged.unusable
        row += int(starts[block])
        raise checks.non_finite_error(row, column, value, points.feature_names)
    if points.weighted:
        bad_weight = merged.bad_weight
        if bad_weight is not None:
            block, row, weight = bad_weight
            raise checks.bad_weight_error(int(starts[block]) + row, weight)
    if merged.positive_rows == 0:
        raise checks.nothing_counts_error(n_rows, merged.nan_rows, points.weighted)
    if points.weighted:
        checks.check_weight_scale(merged.max_weight)
    return Survey(
        n_rows, counts, merged.minimum, merged.maximum, merged.nan_rows,
        merged.max_weight if points.weighted else None, merged.positive_rows,
        _joined(merged.content, merged.rows) if content else None, merged.moments,
    )  # fmt: skip


def _joined(hashes: dict[int, int], rows: dict[int, int]) -> int:
    """The hash of all blocks' rows, in the order of the blocks."""
    joined = 0
    for index in sorted(hashes):
        joined = join_hashes(joined, hashes[index], rows[index])
    return joined
