"""A few rows for the eye: drawn by their numbers, so that everyone sees the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dask_kmeans.kernels import dense, uniform
from dask_kmeans.statistics.record import LabelledRows

PURPOSE = (1 << 20) + 1
"""Keeps these draws apart from those of the seeding and of the sample of a fit."""


class Drawn(NamedTuple):
    """Rows of a uniform sample without replacement, and how many rows they stand for."""

    draws: np.ndarray  # (m,) float64, in order
    rows: np.ndarray  # (m,) int64, global row numbers
    labels: np.ndarray  # (m,) int32
    values: np.ndarray  # (m, d) float64, as rows are compared
    n_rows: int  # rows that have a label


@dataclass(frozen=True)
class DrawnRows:
    """Drawn: the rows with the smallest draws, a hash of (seed, global row number).

    Rows that are left out (label -1) are not drawn.
    """

    wanted: int
    """How many, at most."""
    seed: int

    def zero(self, centers: np.ndarray) -> Drawn:
        """See `Statistic`."""
        return Drawn(
            np.empty(0), np.empty(0, np.int64), np.empty(0, np.int32),
            np.empty((0, centers.shape[1])), 0,
        )  # fmt: skip

    def chunk(self, known: Drawn, rows: LabelledRows) -> Drawn:
        """See `Statistic`."""
        draws = uniform(self.seed, PURPOSE, rows.first_row, np.empty(len(rows.labels)))
        counted = rows.labels >= 0
        # Later chunks mostly hold few rows that are drawn: only those are sorted.
        most = known.draws[-1] if len(known.draws) == self.wanted else 1.0
        chosen = np.flatnonzero(counted & (draws <= most))
        found = Drawn(
            draws[chosen],
            rows.first_row + chosen,
            rows.labels[chosen],
            dense(rows.values[chosen]),
            int(np.count_nonzero(counted)),
        )
        return self.merge(known, found)

    def merge(self, a: Drawn, b: Drawn) -> Drawn:
        """See `Statistic`."""
        draws, rows = np.concatenate([a.draws, b.draws]), np.concatenate([a.rows, b.rows])
        first = np.lexsort((rows, draws))[: self.wanted]
        labels = np.concatenate([a.labels, b.labels])
        values = np.concatenate([a.values, b.values])
        return Drawn(draws[first], rows[first], labels[first], values[first], a.n_rows + b.n_rows)

    def finish(self, known: Drawn, centers: np.ndarray) -> Drawn:
        """See `Statistic`."""
        return known
