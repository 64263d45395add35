"""A uniform sample of the rows, kept where their blocks are worked on.

A row belongs to the sample or not by a hash of its global number, so that chunks, workers and
memory have no say in it. The sample is collected on the way of a pass that reads the data anyway; a
block whose sample is lost reads its rows again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import OpenBlock, Piece
from dask_kmeans.kernels import uniform

PURPOSE = 1 << 20
"""Keeps the sample's draws apart from those of the seeding, which counts its purposes from 0."""

MOST_VALUES = 2**25
"""Numbers in a sample, unless many clusters need more: 128 MiB of float32 over all workers."""

ROWS_A_CLUSTER = 256
"""Sampled rows for each cluster, at least."""

LARGEST_SHARE = 0.25
"""Of the rows, in a sample: passes over it are meant to be cheap."""

KEY = "sample"


class Sample(NamedTuple):
    """Which rows are sampled."""

    seed: int
    share: float
    """Probability of each row to be in the sample."""

    def collect(
        self, cache: dict, first_row: int, pieces: Iterator[Piece]
    ) -> Iterator[Piece]:
        """Hand `pieces` through, and leave what is sampled of them in `cache` at their end."""
        if KEY in cache:
            yield from pieces
            return
        kept = []
        for values, weights in pieces:
            draws = np.empty(len(values))
            uniform(self.seed, PURPOSE, first_row, draws)
            chosen = draws < self.share
            kept.append((values[chosen], None if weights is None else weights[chosen]))
            first_row += len(values)
            yield values, weights
        cache[KEY] = kept


def plan_sample(n_rows: int, n_features: int, n_clusters: int, seed: int) -> Sample | None:
    """The sample for data of this shape: a function of the shape alone, not of the memory at hand.

    Returns
    -------
    Sample or None
        None where the data is too small for a sample to be worth its while.
    """
    wanted = max(MOST_VALUES // n_features, ROWS_A_CLUSTER * n_clusters)
    share = min(LARGEST_SHARE, wanted / n_rows)
    if share * n_rows < ROWS_A_CLUSTER * n_clusters:
        return None
    return Sample(seed, share)


class SampledBlock(OpenBlock):
    """The sampled rows of a block, as a block.

    Rows are numbered from the block's first one, without gaps: their order is that of the data.
    """

    def __init__(self, block: OpenBlock, sample: Sample):
        if KEY not in block.cache:
            for _ in sample.collect(block.cache, block.start, block.pieces()):
                pass  # only to have the rows pass by
        self._pieces = block.cache[KEY]
        self.index, self.start = block.index, block.start
        self.rows = sum(len(values) for values, _ in self._pieces)
        self.cache = block.cache.setdefault("of the sample", {})

    def pieces(self) -> Iterator[Piece]:
        """The sampled rows, as `OpenBlock.pieces` gives those of the block."""
        return iter(self._pieces)
