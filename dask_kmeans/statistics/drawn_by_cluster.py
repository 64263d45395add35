"""A few rows of each cluster, drawn by their numbers: what a cluster looks like from inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dask_kmeans.kernels import dense, exponential
from dask_kmeans.statistics.record import LabelledRows

PURPOSE = (1 << 20) + 3
"""Keeps these draws apart from those of the sample, of shares and for the eye; that by cost is the
next one."""


class RowsByCluster(NamedTuple):
    """Drawn rows: by their cluster, and in each in the order in which they were drawn."""

    labels: np.ndarray  # (m,) int32
    keys: np.ndarray  # (m,) float64, which are small for rows that are drawn early
    rows: np.ndarray  # (m,) int64, global row numbers
    values: np.ndarray  # (m, d) float64, as rows are compared
    weights: np.ndarray  # (m,) float64

    def of(self, cluster: int) -> RowsByCluster:
        """Those of one cluster."""
        begin, end = np.searchsorted(self.labels, [cluster, cluster + 1])
        return RowsByCluster(*(part[begin:end] for part in self))


class _Known(NamedTuple):
    """What has been drawn so far, and some of what may yet turn out to come too late."""

    parts: tuple[RowsByCluster, ...]
    """Of each chunk, in no order."""
    n_rows: int
    """Of all parts together."""
    n_drawn: int
    """Rows that were left when the parts were last looked through."""
    latest: np.ndarray
    """float64 (k + 1,): the largest key that may still be drawn of each cluster, and of none."""


@dataclass(frozen=True)
class DrawnByCluster:
    """RowsByCluster: of each cluster some rows, without replacement.

    The chance of a row to be the next is its share of the weight, or of the inertia: a race of
    exponential variates, which are hashes of (seed, global row number).
    """

    wanted: int
    """How many of each cluster, at most."""
    seed: int
    by_cost: bool = False
    """Whether by the share of the inertia."""

    def zero(self, centers: np.ndarray) -> _Known:
        """See `Statistic`."""
        none = RowsByCluster(
            np.empty(0, np.int32), np.empty(0), np.empty(0, np.int64),
            np.empty((0, centers.shape[1])), np.empty(0),
        )  # fmt: skip
        return _Known((none,), 0, 0, np.full(len(centers) + 1, np.inf))

    def chunk(self, known: _Known, rows: LabelledRows) -> _Known:
        """See `Statistic`."""
        weights = rows.all_weights()
        mass = weights * rows.distances if self.by_cost else weights
        purpose = PURPOSE + int(self.by_cost)
        keys = exponential(self.seed, purpose, rows.first_row, np.empty(len(mass)))
        with np.errstate(all="ignore"):  # rows without weight or cost are never drawn
            keys /= mass
            early = keys <= known.latest[rows.labels]
        drawn = np.flatnonzero((rows.labels >= 0) & early & np.isfinite(keys))
        if len(drawn) == 0:
            return known
        found = RowsByCluster(
            rows.labels[drawn], keys[drawn], rows.first_row + drawn,
            dense(rows.values[drawn]).astype(np.float64), weights[drawn],
        )  # fmt: skip
        return self._with(known, (found,), len(drawn))

    def merge(self, a: _Known, b: _Known) -> _Known:
        """See `Statistic`."""
        latest = np.minimum(a.latest, b.latest)
        return self._with(a._replace(latest=latest), b.parts, b.n_rows)

    def finish(self, known: _Known, centers: np.ndarray) -> RowsByCluster:
        """See `Statistic`."""
        (drawn,) = self._looked_through(known).parts
        return drawn

    def _with(self, known: _Known, parts: tuple[RowsByCluster, ...], n_rows: int) -> _Known:
        """With more parts, which are looked through when they have come to be many."""
        n_rows += known.n_rows
        known = known._replace(parts=known.parts + parts, n_rows=n_rows)
        few = 2 * max(known.n_drawn, self.wanted)
        return known if n_rows <= few else self._looked_through(known)

    def _looked_through(self, known: _Known) -> _Known:
        """With what is drawn of all parts, in one."""
        every = RowsByCluster(*map(np.concatenate, zip(*known.parts, strict=True)))
        labels, keys, rows = every[:3]
        order = np.lexsort((rows, keys, labels))
        ordered = labels[order]
        place = np.arange(len(order)) - np.searchsorted(ordered, ordered)
        first = order[place < self.wanted]
        drawn = RowsByCluster(*(part[first] for part in every))
        latest = known.latest.copy()
        last = order[place == self.wanted - 1]
        latest[labels[last]] = keys[last]
        return _Known((drawn,), len(first), len(first), latest)
