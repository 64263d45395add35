"""Features to mean 0 and standard deviation 1, without a copy of the data.

Mean and deviation come from one pass of integer sums about the middle of each feature's range,
which the survey knows: like every sum here, the same bits whatever the chunks. Rows are then scaled
piece by piece wherever they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dask_kmeans.blockwise import Block, Blockwise, OpenBlock
from dask_kmeans.kernels import FixedPoint, Sums, accumulate, merge_sums
from dask_kmeans.read import Points
from dask_kmeans.read.stored import Source
from dask_kmeans.survey import survey


@dataclass(frozen=True)
class Standardization:
    """x -> (x - mean) / scale, feature by feature.

    Attributes
    ----------
    mean : ndarray of shape (n_features,), float64
        In the unit of the data.
    scale : ndarray of shape (n_features,), float64
        Standard deviations (of the population, not of a sample); 1 for a feature that is constant.
    """

    mean: np.ndarray
    scale: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Rows (m, d) of any numeric dtype -> float64 (m, d)."""
        scaled = np.subtract(values, self.mean, dtype=np.float64)
        scaled /= self.scale
        return scaled

    def undo(self, values: np.ndarray) -> np.ndarray:
        """Standardized rows or centers (m, d) in the unit of the data."""
        return values * self.scale + self.mean

    def as_dict(self) -> dict[str, list[float]]:
        """As a model stores it."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, stored: dict[str, Sequence[float]]) -> Standardization:
        """What `as_dict` gave."""
        return cls(np.array(stored["mean"], float), np.array(stored["scale"], float))


def standardization_of(points: Points, nan: str = "raise") -> Standardization:
    """Mean and standard deviation of each feature: two passes over the data.

    Parameters
    ----------
    points : Points
        Their weights count.
    nan : {"raise", "skip"}
        Whether a NaN is an error or only leaves its row out.

    Raises
    ------
    ValueError
        For data that the survey refuses, or that is so wide that its variance is no float64.
    """
    blockwise = Blockwise(points.blocks, points.in_memory)
    try:
        found = survey(points, blockwise, nan)
        middle = found.minimum / 2 + found.maximum / 2
        reach = np.maximum(found.maximum - middle, middle - found.minimum)
        if (reach > np.sqrt(np.finfo(np.float64).max)).any():
            raise ValueError(
                f"Feature {int(np.argmax(reach))} is too wide to be standardized: its variance is "
                "beyond float64. Divide it by a constant first"
            )
        # First the offsets from the middle, then their squares.
        fixed_point = FixedPoint.from_range(
            np.concatenate([-reach, np.zeros_like(reach)]),
            np.concatenate([reach, reach * reach]),
            found.n_rows,
            found.max_weight,
        )
        sums = blockwise.run(_moments_of_block, middle, fixed_point, merge=merge_sums)
    finally:
        blockwise.close()
    means, _ = fixed_point.means(sums)
    offset, square = np.split(means[0], 2)
    deviation = np.sqrt(np.maximum(square - offset * offset, 0.0))
    return Standardization(middle + offset, np.where(deviation > 0, deviation, 1.0))


def _moments_of_block(block: OpenBlock, middle: np.ndarray, fixed_point: FixedPoint) -> Sums:
    """Sums of a block's offsets from the middle and of their squares; rows with NaN left out."""
    sums = fixed_point.zero_sums(1)
    for values, weights in block.pieces():
        for rows in _strips(len(values), len(middle)):
            offsets = np.subtract(values[rows], middle, dtype=np.float64)
            moments = np.hstack([offsets, offsets * offsets])
            counted = np.where(np.isnan(offsets).any(axis=1), -1, 0).astype(np.int32)
            moments[counted < 0] = 0.0
            accumulate(
                moments, None if weights is None else weights[rows], fixed_point,
                np.full(len(moments), -1, np.int32), counted, sums,
            )  # fmt: skip
    return sums


STRIP_VALUES = 1 << 18
"""Values worked on at a time, so that the copies of a piece stay in the cache."""


def _strips(n_rows: int, n_features: int) -> Iterator[slice]:
    step = max(1, STRIP_VALUES // n_features)
    for first in range(0, n_rows, step):
        yield slice(first, min(first + step, n_rows))


class StandardizedSource(Source):
    """A store whose rows are standardized as they are read.

    Parameters
    ----------
    source : Source
        As `open_source` gives it.
    standardization : Standardization
    """

    def __init__(self, source: Source, standardization: Standardization):
        self.source, self.standardization = source, standardization
        self.n_rows, self.n_features = source.n_rows, source.n_features
        self.dtype = np.dtype(np.float64)
        self.feature_names = source.feature_names
        self.weighted, self.is_local = source.weighted, source.is_local
        self.description = source.description

    def blocks(self, threads: int, max_block_rows: int | None = None) -> tuple[Block, ...]:
        return tuple(
            block._replace(source=_StandardizedRows(block.source, self.standardization))
            for block in self.source.blocks(threads, max_block_rows)
        )


@dataclass(frozen=True)
class _StandardizedRows:
    """A block of them."""

    rows: Any
    standardization: Standardization

    def pieces(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        for values, weights in self.rows.pieces():
            for strip in _strips(len(values), values.shape[1]):
                yield (
                    self.standardization(values[strip]),
                    None if weights is None else weights[strip],
                )
