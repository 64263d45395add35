"""The first pass over the data: how much there is, where it lies, and whether it can be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

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
    squared_diagonal,
)
from dask_kmeans.read import Points, Standardization, Transform
from dask_kmeans.read.transforms import forward, strips


@dataclass
class Counted:
    """Figures of the rows that count: of weight above zero, with a value in each feature that has
    one in any row of weight above zero.

    Which features these are shows only when all rows have been read. But a part of the rows that
    lacks one of them altogether has no row that counts: so each part goes by the features that it
    has itself, and its figures are dropped where others turn out to have more.
    """

    seen: np.ndarray
    """bool (d,): features with a value in any row of weight above zero."""
    minimum: np.ndarray
    maximum: np.ndarray
    """float64 (d,); infinite for features without values."""
    max_weight: float = 0.0
    rows: int = 0
    moments: FeatureMoments | None = None

    @classmethod
    def none(cls, seen: np.ndarray, with_moments: bool) -> Counted:
        """Figures of no rows."""
        d = len(seen)
        moments = FeatureMoments(d) if with_moments else None
        return cls(seen, np.full(d, np.inf), np.full(d, -np.inf), moments=moments)

    def merge(self, other: Counted) -> Counted:
        """The figures of both parts together; neither is to be used afterwards."""
        seen = self.seen | other.seen
        whole = [part for part in (self, other) if np.array_equal(part.seen, seen)]
        if len(whole) == 1:
            return whole[0]
        if not whole:
            return Counted.none(seen, self.moments is not None)
        return Counted(
            seen,
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
            max(self.max_weight, other.max_weight),
            self.rows + other.rows,
            self.moments and other.moments and self.moments.merge(other.moments),
        )


@dataclass
class BlockSurvey:
    """What one block, or several merged, hold. No field depends on how rows are cut into blocks."""

    rows: dict[int, int]
    """Rows of each block, by its index."""
    content: dict[int, int]
    """Hash of the rows of each block, by its index; 0 where it is not asked for."""
    unusable: tuple[int, int, int, float] | None
    """(block, row in it, feature, value) of the first value that is an error."""
    nan_rows: int
    weightless: int
    """Rows of weight zero."""
    bad_weight: tuple[int, int, float] | None
    """(block, row in it, weight) of the first weight that is negative, infinite or NaN."""
    counted: Counted
    """Of the rows that count."""


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
        Of the rows that count; 0 for features without values.
    seen : ndarray of shape (n_features,), bool
        Which features have a value in any row of weight above zero.
    nan_rows : int
        Rows with a NaN somewhere, be it in a feature without values.
    labelled_rows : (int, int)
        How many rows get a label: between the two, which are the same where all features have
        values or no row has weight zero.
    max_weight : float or None
        Largest sample weight of the rows that count; None for unweighted data.
    positive_rows : int
        Rows that count: of weight above zero, without NaN in the features that have values.
    content : int or None
        A hash of all rows and weights, in order; None where it was not asked for.
    moments : FeatureMoments or None
        Of the rows that count, where they were asked for.
    """

    n_rows: int
    counts: list[int]
    minimum: np.ndarray
    maximum: np.ndarray
    seen: np.ndarray
    nan_rows: int
    labelled_rows: tuple[int, int]
    max_weight: float | None
    positive_rows: int
    content: int | None = None
    moments: FeatureMoments | None = None

    def through(self, transform: Transform) -> Survey:
        """The survey of the same rows after a transform that keeps the order of numbers."""
        ends = np.stack([self.minimum, self.maximum])
        minimum, maximum = transform.forward(ends)
        return replace(self, minimum=minimum, maximum=maximum, moments=None)

    def of_present_features(self) -> Survey:
        """The survey of the same rows without the features that have no values."""
        seen = self.seen
        return replace(
            self,
            minimum=self.minimum[seen],
            maximum=self.maximum[seen],
            seen=seen[seen],
            moments=self.moments and self.moments.of_features(seen),
        )

    def standardization(self) -> Standardization:
        """What brings features to mean 0 and deviation 1; needs moments."""
        assert self.moments is not None
        checks.check_squares(self.minimum, self.maximum)
        return Standardization.of_moments(*self.moments.mean_and_deviation())

    def check_spread(self, starts: Sequence[np.ndarray] = ()) -> None:
        """Raise ValueError where sums of squares of the data, and of starts (k, d), overflow."""
        minimum, maximum, squared = self.minimum, self.maximum, self.squared_diagonal
        for centers in starts:
            if (centers < minimum).any() or (centers > maximum).any():
                minimum = np.minimum(minimum, centers.min(axis=0))
                maximum = np.maximum(maximum, centers.max(axis=0))
                squared = squared_diagonal(minimum, maximum)
        bound = self.n_rows * max(1.0, self.max_weight or 1.0) * squared
        checks.check_spread(bound, minimum, maximum, self.max_weight)

    @cached_property
    def squared_diagonal(self) -> float:
        """Squared distance of the two ends of the features."""
        return squared_diagonal(self.minimum, self.maximum)

    def fixed_point(self) -> FixedPoint:
        """Shift and scale for exact sums: a function of the data alone, whatever its chunks."""
        return FixedPoint.from_range(
            self.minimum, self.maximum, self.positive_rows, self.max_weight
        )


def survey_block(
    block: OpenBlock,
    n_features: int,
    nan: str,
    transforms: Sequence[Transform],
    with_moments: bool,
    with_content: bool,
) -> BlockSurvey:
    """One block's share of the survey; moments and content are those of before the transforms."""
    unusable = bad_weight = None
    rows = nan_rows = weightless = content = 0
    counted: Counted | None = None
    for values, weights in strips(block.pieces()) if transforms else block.pieces():
        compared = forward(values, transforms)
        low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
        row, _, _, with_nan = extent(compared, low, high)
        if row >= 0 and unusable is None:
            first_bad = first_unusable(dense(compared), nan)
            if first_bad is not None:
                unusable = (block.index, rows + first_bad[0], *first_bad[1:])
        if weights is not None and bad_weight is None:
            usable = np.isfinite(weights) & (weights >= 0)
            if not usable.all():
                first = int(np.argmin(usable))
                bad_weight = (block.index, rows + first, float(weights[first]))
        positive = np.ones(len(values), bool)
        if weights is not None:
            positive = (weights > 0) & np.isfinite(weights)
        if len(values) and row < 0 and positive.all():
            found = Counted(np.ones(n_features, bool), low, high, rows=len(values))
            if weights is not None:
                found.max_weight = float(np.max(weights, initial=0.0))
            if with_moments:
                found.moments = FeatureMoments(n_features)
                found.moments.add(dense(values), weights, positive)
        else:
            found = _counted(dense(values), weights, positive, transforms, with_moments)
        counted = found if counted is None else counted.merge(found)
        if with_content:
            content = content_hash(dense(values), weights, content)
        nan_rows += with_nan
        weightless += len(values) - int(np.count_nonzero(positive))
        rows += len(values)
    return BlockSurvey(
        {block.index: rows},
        {block.index: content},
        unusable,
        nan_rows,
        weightless,
        bad_weight,
        counted or Counted.none(np.zeros(n_features, bool), with_moments),
    )


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


def _counted(
    values: np.ndarray,
    weights: np.ndarray | None,
    positive: np.ndarray,
    transforms: Sequence[Transform],
    with_moments: bool,
) -> Counted:
    """Figures of those of some rows (m, d) that count.

    positive : bool (m,), rows of weight above zero.
    """
    seen = ~np.isnan(_chosen(values, positive)).all(axis=0)
    found = Counted.none(seen, with_moments)
    if not seen.any():
        return found
    compared = forward(values[:, seen], transforms)
    counts = positive & np.isfinite(compared).all(axis=1)
    low, high = np.full(compared.shape[1], np.inf), np.full(compared.shape[1], -np.inf)
    extent(_chosen(compared, counts), low, high)
    found.minimum[seen], found.maximum[seen] = low, high
    found.rows = int(np.count_nonzero(counts))
    if weights is not None:
        found.max_weight = float(np.max(weights, where=counts, initial=0.0))
    if found.moments is not None:
        found.moments.add(np.where(seen, values, 0), weights, counts)
    return found


def _chosen(rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Some rows (m, d), bool (m,): no copy where they are all."""
    return rows if chosen.all() else rows[chosen]


def merge_surveys(a: BlockSurvey, b: BlockSurvey) -> BlockSurvey:
    """The survey of both blocks together."""
    return BlockSurvey(
        a.rows | b.rows,
        a.content | b.content,
        _first(a.unusable, b.unusable),
        a.nan_rows + b.nan_rows,
        a.weightless + b.weightless,
        _first(a.bad_weight, b.bad_weight),
        a.counted.merge(b.counted),
    )


def _first(a, b):
    """The earlier of two places, either of which may be missing."""
    return min((place for place in (a, b) if place is not None), default=None)


def survey(
    points: Points,
    blockwise: Blockwise,
    nan: str,
    *,
    transforms: Sequence[Transform] = (),
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
    transforms : sequence of Transform
        What rows go through, beside those of `points`, once features without values are left out.
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
        survey_block, points.n_features, nan, tuple(transforms), moments, content,
        merge=merge_surveys, name="survey",
    )  # fmt: skip
    counts = [merged.rows[block.index] for block in points.blocks]
    starts = list(accumulate(counts, initial=0))
    n_rows = starts[-1]
    checks.check_not_empty(n_rows, points.n_features)

    if merged.unusable is not None:
        block, row, column, value = merged.unusable
        row += starts[block]
        column = points.position_read(column)
        raise checks.non_finite_error(row, column, value, points.feature_names)
    if points.weighted:
        bad_weight = merged.bad_weight
        if bad_weight is not None:
            block, row, weight = bad_weight
            raise checks.bad_weight_error(starts[block] + row, weight)
    counted = merged.counted
    if counted.rows == 0:
        raise checks.nothing_counts_error(n_rows, merged.nan_rows, points.weighted)
    if points.weighted:
        checks.check_weight_scale(counted.max_weight)
    minimum, maximum = counted.minimum, counted.maximum
    if counted.seen.all():
        labelled = (n_rows - merged.nan_rows,) * 2
    else:
        minimum, maximum = (np.where(counted.seen, ends, 0.0) for ends in (minimum, maximum))
        labelled = counted.rows, counted.rows + merged.weightless
    return Survey(
        n_rows, counts, minimum, maximum, counted.seen, merged.nan_rows, labelled,
        counted.max_weight if points.weighted else None, counted.rows,
        _joined(merged.content, merged.rows) if content else None, counted.moments,
    )  # fmt: skip


def _joined(hashes: dict[int, int], rows: dict[int, int]) -> int:
    """The hash of all blocks' rows, in the order of the blocks."""
    joined = 0
    for index in sorted(hashes):
        joined = join_hashes(joined, hashes[index], rows[index])
    return joined
