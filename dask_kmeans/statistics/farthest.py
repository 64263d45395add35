"""The rows that lie farthest from their centers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dask_kmeans.kernels import dense
from dask_kmeans.statistics.record import LabelledRows


class Farthest(NamedTuple):
    """Rows far from their centers, farthest first, equally far ones in the order of the rows."""

    distances: np.ndarray  # (m,) float64, squared
    rows: np.ndarray  # (m,) int64, global row numbers
    labels: np.ndarray  # (m,) int32
    values: np.ndarray  # (m, d) float64
    weights: np.ndarray  # (m,) float64


@dataclass(frozen=True)
class FarthestRows:
    """Farthest: the rows of positive weight that lie farthest from their centers."""

    wanted: int
    """How many, at most."""

    def zero(self, centers: np.ndarray) -> Farthest:
        """See `Statistic`."""
        return Farthest(
            np.empty(0), np.empty(0, np.int64), np.empty(0, np.int32),
            np.empty((0, centers.shape[1])), np.empty(0),
        )  # fmt: skip

    def chunk(self, known: Farthest, rows: LabelledRows) -> Farthest:
        """See `Statistic`."""
        # Rows nearer than all that are known need no sorting: soon that is nearly every row.
        least = known.distances[-1] if len(known.distances) == self.wanted else 0.0
        candidates = np.flatnonzero(rows.distances >= least)  # which is false for NaN
        if rows.weights is not None:
            candidates = candidates[rows.weights[candidates] > 0]
        chosen = candidates[_farthest_first(rows.distances[candidates], self.wanted)]
        found = Farthest(
            rows.distances[chosen],
            rows.first_row + chosen,
            rows.labels[chosen],
            dense(rows.values[chosen]).astype(np.float64),
            np.ones(len(chosen)) if rows.weights is None else rows.weights[chosen],
        )
        return self.merge(known, found)

    def merge(self, a: Farthest, b: Farthest) -> Farthest:
        """See `Statistic`."""
        both = Farthest(*(np.concatenate(pair) for pair in zip(a, b, strict=True)))
        order = np.lexsort((both.rows, -both.distances))[: self.wanted]
        return Farthest(*(field[order] for field in both))

    def finish(self, known: Farthest, centers: np.ndarray) -> Farthest:
        """See `Statistic`."""
        return known


def _farthest_first(distances: np.ndarray, wanted: int) -> np.ndarray:
    """Positions of the largest distances, ties in order; no more than `wanted`."""
    if wanted < len(distances):
        least = np.partition(distances, -wanted)[-wanted]
        candidates = np.flatnonzero(distances >= least)
    else:
        candidates = np.arange(len(distances))
    order = np.argsort(-distances[candidates], kind="stable")
    return candidates[order[:wanted]]
