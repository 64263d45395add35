"""Statistics of a pass: any number of figures from one read of the rows and their labels.

A figure is a record that says what to learn of a chunk of rows, how what two chunks have taught is
merged, and what comes of it all. What is merged is exact (integers, `ExactSum`, rows in a defined
order), so neither chunks nor the order of merging can change a bit. A new figure is a new record,
not a new pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from dask_kmeans.kernels import ExactSum, dense, labelled_distances

AT_ONCE = 2**13
"""Rows of a chunk: their distances stay in cache."""


class LabelledRows(NamedTuple):
    """A chunk: consecutive rows, and what a pass knows of them."""

    # Axes: m rows, d features, k clusters.
    values: np.ndarray
    """(m, d), as they were read."""
    weights: np.ndarray | None
    """float64 (m,); None where rows are not weighted."""
    labels: np.ndarray
    """int32 (m,); -1 for rows that are left out."""
    distances: np.ndarray
    """float64 (m,), squared, to the center of the label; not a number for rows that are left out.
    The memory is used again for the next chunk."""
    centers: np.ndarray
    """float64 (k, d), those that the labels belong to."""
    first_row: int
    """Global number of the first row."""


class Statistic(Protocol):
    """A figure of all rows of a pass. Picklable, and never changed."""

    def zero(self, centers: np.ndarray) -> Any:
        """What no rows teach, about these centers (k, d)."""

    def chunk(self, known: Any, rows: LabelledRows) -> Any:
        """What is known, and what these rows teach; may reuse the memory of `known`."""

    def merge(self, a: Any, b: Any) -> Any:
        """What both teach, in any order; may reuse the memory of `a`."""

    def finish(self, known: Any, centers: np.ndarray) -> Any:
        """The figure."""


@dataclass(frozen=True)
class Inertia:
    """float: the sum of weight times squared distance to the center of the label."""

    def zero(self, centers: np.ndarray) -> ExactSum:
        """See `Statistic`."""
        return ExactSum()

    def chunk(self, known: ExactSum, rows: LabelledRows) -> ExactSum:
        """See `Statistic`."""
        return known.add(rows.distances, rows.weights)

    def merge(self, a: ExactSum, b: ExactSum) -> ExactSum:
        """See `Statistic`."""
        return a.merge(b)

    def finish(self, known: ExactSum, centers: np.ndarray) -> float:
        """See `Statistic`."""
        return known.value()


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


Known = tuple[Any, ...]
"""What is known for each of several statistics, in their order."""


def nothing_known(statistics: Sequence[Statistic], centers: np.ndarray) -> Known:
    """Before the first rows."""
    return tuple(each.zero(centers) for each in statistics)


def learn(
    statistics: Sequence[Statistic],
    known: Known,
    values: np.ndarray,
    weights: np.ndarray | None,
    labels: np.ndarray,
    centers: np.ndarray,
    first_row: int,
) -> Known:
    """What is known, and what the rows `values` (m, d) with `labels` (m,) teach.

    first_row : global number of the first of them.
    """
    if statistics:
        for rows in _chunks(values, weights, labels, centers, first_row):
            known = tuple(
                each.chunk(so_far, rows) for each, so_far in zip(statistics, known, strict=True)
            )
    return known


def _chunks(
    values: np.ndarray,
    weights: np.ndarray | None,
    labels: np.ndarray,
    centers: np.ndarray,
    first_row: int,
) -> Iterator[LabelledRows]:
    room = np.empty(min(len(values), AT_ONCE))
    for start in range(0, len(values), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        own = values[rows]
        distances = labelled_distances(own, centers, labels[rows], room[: len(own)])
        yield LabelledRows(
            own, None if weights is None else weights[rows], labels[rows], distances, centers,
            first_row + start,
        )  # fmt: skip


def merge_known(statistics: Sequence[Statistic], a: Known, b: Known) -> Known:
    """What both teach, for each of the statistics."""
    return tuple(each.merge(x, y) for each, x, y in zip(statistics, a, b, strict=True))


def figures(statistics: Sequence[Statistic], known: Known, centers: np.ndarray) -> list[Any]:
    """The figures, one for each of the statistics."""
    return [each.finish(total, centers) for each, total in zip(statistics, known, strict=True)]
