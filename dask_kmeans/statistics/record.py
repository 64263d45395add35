"""What a statistic is, and how several of them look at the rows of one pass.

A figure is a record that says what to learn of a chunk of rows, how what two chunks have taught is
merged, and what comes of it all. What is merged is exact (integers, `ExactSum`, rows in a defined
order), so neither chunks nor the order of merging can change a bit. A new figure is a new record,
not a new pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from dask_kmeans.kernels import labelled_distances

AT_ONCE = 2**13
"""Rows of a chunk: their distances stay in cache."""

BLOCK_BITS = 40
"""Bits of a row's number in its block, where the rows of the blocks before are not counted."""


class LabelledRows(NamedTuple):
    """A chunk: consecutive rows, and what a pass knows of them."""

    # Axes: m rows, d features, k clusters.
    values: np.ndarray
    """(m, d), as they are compared with the centers."""
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
    """Number of the first row among all rows. Where a pass does not know it, the number of the
    block times 2**40, and that of the row in the block: in the same order (see `global_rows`)."""
    as_read: Any
    """(m, d), before any transform; None in the passes of a fit, which do not hand them on."""
    carried: Any
    """A `pyarrow.Table` of m rows, where a pass takes along what the source carries; else None."""

    def counted_labels(self) -> np.ndarray:
        """int32 (m,): -1 for rows of weight 0 too."""
        return self.labels if self.weights is None else np.where(self.weights > 0, self.labels, -1)

    def all_weights(self) -> np.ndarray:
        """float64 (m,): 1 each where rows are not weighted."""
        return np.ones(len(self.labels)) if self.weights is None else self.weights


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
    as_read: Any = None,
    carried: Any = None,
) -> Known:
    """What is known, and what the rows `values` (m, d) with `labels` (m,) teach.

    first_row, as_read, carried : see `LabelledRows`.
    """
    if statistics:
        for rows in _chunks(values, weights, labels, centers, first_row, as_read, carried):
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
    as_read: Any,
    carried: Any,
) -> Iterator[LabelledRows]:
    room = np.empty(min(len(values), AT_ONCE))
    for start in range(0, len(values), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        own = values[rows]
        distances = labelled_distances(own, centers, labels[rows], room[: len(own)])
        yield LabelledRows(
            own, None if weights is None else weights[rows], labels[rows], distances, centers,
            first_row + start, None if as_read is None else as_read[rows],
            None if carried is None else carried[rows],
        )  # fmt: skip


def first_row_of(index: int, start: int) -> int:
    """Number of a block's first row, as `LabelledRows.first_row` has it.

    start : how many rows come before; negative where they are not counted.
    """
    return index << BLOCK_BITS if start < 0 else start


def merge_known(statistics: Sequence[Statistic], a: Known, b: Known) -> Known:
    """What both teach, for each of the statistics."""
    return tuple(each.merge(x, y) for each, x, y in zip(statistics, a, b, strict=True))


def figures(statistics: Sequence[Statistic], known: Known, centers: np.ndarray) -> list[Any]:
    """The figures, one for each of the statistics."""
    return [each.finish(total, centers) for each, total in zip(statistics, known, strict=True)]
