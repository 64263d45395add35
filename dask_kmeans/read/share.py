"""A share of the rows of any source: what a fit with `fit_fraction` looks at.

A row belongs to the share or not by a hash of its global number, so that chunks, workers and
retries have no say in it, and it is drawn where it is read: passes, what is kept between them and
the sample know of no other rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any

import dask
import numpy as np

from dask_kmeans.blockwise import Block
from dask_kmeans.kernels import concatenate, uniform
from dask_kmeans.read import from_numpy
from dask_kmeans.read.pieces import Piece
from dask_kmeans.read.points import Points

PURPOSE = (1 << 20) + 2
"""Keeps these draws apart from those of seeds, samples and statistics."""

AT_ONCE = 2**20
"""Rows whose draws are made at once, to count them."""


@dataclass(frozen=True)
class Share:
    """Which rows are drawn."""

    seed: int
    fraction: float
    """Probability of each row to be drawn."""

    def drawn(self, first_row: int, n_rows: int) -> np.ndarray:
        """Which of the rows from number `first_row` on are drawn: bool (n_rows,)."""
        return uniform(self.seed, PURPOSE, first_row, np.empty(n_rows)) < self.fraction

    def count(self, first_row: int, n_rows: int) -> int:
        """How many of them are."""
        stop = first_row + n_rows
        return sum(
            int(np.count_nonzero(self.drawn(first, min(AT_ONCE, stop - first))))
            for first in range(first_row, stop, AT_ONCE)
        )

    def of_pieces(self, pieces: Iterator[Piece], first_row: int) -> Iterator[Piece]:
        """The drawn rows of pieces that begin with row `first_row`; no piece is empty."""
        for values, weights in pieces:
            drawn = self.drawn(first_row, len(values))
            first_row += len(values)
            if drawn.any():
                yield Piece(values[drawn], None if weights is None else weights[drawn])

    def of_points(self, points: Points) -> Points | None:
        """The drawn ones of some points, which are counted, as points; None for no row.

        Of rows in memory they are copied, once; elsewhere they are drawn whenever they are read.
        """
        counts = [self.count(*_rows_of(block)) for block in points.blocks]
        if not any(counts):
            return None
        if points.in_memory:
            return self._copied(points)
        starts = accumulate(counts, initial=0)
        blocks = tuple(
            block._replace(start=start, rows=rows, source=self._source(block))
            for block, start, rows in zip(points.blocks, starts, counts, strict=False)
        )
        return replace(points, blocks=blocks, n_rows=sum(counts))

    def _source(self, block: Block) -> Any:
        first, _ = _rows_of(block)
        drawn = partial(RowsOfShare, share=self, first_row=first)
        if dask.is_dask_collection(block.source):
            return dask.delayed(drawn, pure=True)(block.source)
        return drawn(block.source)

    def _copied(self, points: Points) -> Points:
        pieces = [
            piece
            for block in points.blocks
            for piece in self.of_pieces(block.source.pieces(), _rows_of(block)[0])
        ]
        weights = [each for _, each in pieces if each is not None]
        copy = from_numpy.read(
            concatenate([values for values, _ in pieces]),
            np.concatenate(weights) if weights else None,
        )
        named = replace(copy, feature_names=points.feature_names, positions=points.positions)
        return named.through(*points.transforms)


@dataclass(frozen=True)
class RowsOfShare:
    """The drawn rows of a block that begins with row `first_row`."""

    rows: Any
    """The `RowSource` of the block."""
    share: Share
    first_row: int

    def pieces(self) -> Iterator[Piece]:
        return self.share.of_pieces(self.rows.pieces(), self.first_row)


def _rows_of(block: Block) -> tuple[int, int]:
    """Number of the first row of a block, which is counted, and how many it has."""
    assert block.start is not None
    assert block.rows is not None
    return block.start, block.rows
