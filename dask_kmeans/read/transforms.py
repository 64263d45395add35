"""Transforms: what rows of any source go through between reading and comparing.

A transform is an object of its own that travels with tasks and with the model. It maps each row by
itself, so chunks have no say in the result, and it composes over every source: `Points.through`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dask_kmeans import checks, planning
from dask_kmeans.kernels import RowBatch, dense, unit_vectors
from dask_kmeans.read.pieces import Piece


class Transform(Protocol):
    """A map of rows, each for itself. Picklable."""

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Rows (m, d) as they were read -> as they are compared: float64 where they are others.

        Rows that come in batches of another kind are made an ndarray before.
        """

    def inward(self, centers: np.ndarray) -> np.ndarray:
        """Centers in the caller's units -> as they are compared."""

    def undo(self, centers: np.ndarray) -> np.ndarray:
        """Centers as they are compared -> in the caller's units."""


def transformed(pieces: Iterator[Piece], transforms: Sequence[Transform]) -> Iterator[Piece]:
    """Pieces after some transforms, in strips that fit into the cache."""
    if not transforms:
        yield from pieces
        return
    for values, weights in strips(pieces):
        yield Piece(forward(values, transforms), weights)


def strips(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The same rows in pieces so small that a copy of one stays in the cache."""
    for values, weights in pieces:
        step = planning.strip_rows(values.shape[1])
        for first in range(0, len(values), step):
            strip = slice(first, first + step)
            yield Piece(values[strip], None if weights is None else weights[strip])


def forward(values: RowBatch, transforms: Sequence[Transform]) -> Any:
    """Rows after some transforms: of none, the batch itself."""
    for transform in transforms:
        values = transform.forward(dense(values))
    return values


def inward(centers: np.ndarray, transforms: Sequence[Transform]) -> np.ndarray:
    """Centers after some transforms."""
    for transform in transforms:
        centers = transform.inward(centers)
    return centers


def undo(centers: np.ndarray, transforms: Sequence[Transform]) -> np.ndarray:
    """Centers as they were before some transforms."""
    for transform in reversed(transforms):
        centers = transform.undo(centers)
    return centers


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

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Rows (m, d) of any numeric dtype -> float64 (m, d)."""
        with np.errstate(over="ignore"):  # rows that do not count may lie anywhere
            scaled = np.subtract(values, self.mean, dtype=np.float64)
            scaled /= self.scale
        return scaled

    def inward(self, centers: np.ndarray) -> np.ndarray:
        """Centers (k, d) in the unit of the data, standardized."""
        return self.forward(centers)

    def undo(self, centers: np.ndarray) -> np.ndarray:
        """Standardized rows or centers (m, d) in the unit of the data."""
        return centers * self.scale + self.mean

    def among(self, present: np.ndarray) -> Standardization:
        """The same of more features, those of it where `present`; the others stay as they are."""
        mean, scale = np.zeros(len(present)), np.ones(len(present))
        mean[present], scale[present] = self.mean, self.scale
        return Standardization(mean, scale)

    @classmethod
    def of_moments(cls, mean: np.ndarray, deviation: np.ndarray) -> Standardization:
        """That of features with these means and standard deviations."""
        return cls(mean, np.where(deviation > 0, deviation, 1.0))

    @classmethod
    def of_none(cls, n_features: int) -> Standardization:
        """What leaves features as they are."""
        return cls(np.zeros(n_features), np.ones(n_features))

    def weighted(self, weights: np.ndarray) -> Standardization:
        """The same, after which a squared difference in feature j counts `weights[j]` times."""
        return Standardization(self.mean, self.scale / np.sqrt(weights))

    def as_dict(self) -> dict[str, list[float]]:
        """As a model stores it."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Standardization:
        """What `as_dict` gave."""
        return cls(np.array(stored["mean"], float), np.array(stored["scale"], float))


@dataclass(frozen=True)
class PresentFeatures:
    """Leaves out features of which the data of a fit has no value: land in a field of the sea.

    Attributes
    ----------
    present : ndarray of shape (n_features,), bool
        Which features are compared.
    """

    present: np.ndarray

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Rows (m, d) of any dtype -> those of their features that are compared."""
        return values[:, self.present]

    def inward(self, centers: np.ndarray) -> np.ndarray:
        """The features of centers that are compared."""
        return centers[:, self.present]

    def undo(self, centers: np.ndarray) -> np.ndarray:
        """Centers with all features, NaN in those that are left out."""
        out = np.full((len(centers), len(self.present)), np.nan)
        out[:, self.present] = centers
        return out

    @classmethod
    def of_centers(cls, centers: np.ndarray) -> PresentFeatures | None:
        """What left out the features in which these centers (k, d) have NaN; None: nothing did."""
        present = ~np.isnan(centers).all(axis=0)
        return None if present.all() else cls(present)


@dataclass(frozen=True)
class UnitRows:
    """x -> x / |x|, in float64; a row of zeros, which has no direction, becomes `NO_DIRECTION`."""

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Rows (m, d) of any numeric dtype -> float64 (m, d); see `kernels.unit_vectors`."""
        units, lengths = unit_vectors(values)
        units[lengths == 0] = checks.NO_DIRECTION
        return units

    def inward(self, centers: np.ndarray) -> np.ndarray:
        """Centers as they are: their rule gives them their length."""
        return centers

    def undo(self, centers: np.ndarray) -> np.ndarray:
        """Centers as they are: directions have no unit."""
        return centers
