"""A uniform sample of the rows, small enough for the memory of one process.

A row belongs to the sample or not by a hash of its global number, so that chunks, workers and
memory have no say in it. The sample is collected on the way of a pass that reads the data anyway,
and gathered here, where a step on it costs no scheduling; a block whose share of it is lost, with
its worker, reads its rows again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.kernels import concatenate, uniform
from dask_kmeans.read import Piece, Points, as_points

PURPOSE = 1 << 20
"""Keeps the sample's draws apart from those of the seeding, which counts its purposes from 0."""

VALUES = 2**23
"""Numbers in a sample: 32 MiB of float32. With four times as many, a fit of 4 000 000 x 32 to 32
clusters reads the data as often and takes twice as long."""

MOST_VALUES = 2**27
"""Numbers in a sample where many clusters need more."""

ROWS_A_CLUSTER = 256
"""Sampled rows for each cluster that make a sample worth its while in any case."""

FEW_ROWS_A_CLUSTER = 64
"""Sampled rows for each cluster for whose sake the sample may have a larger share of the rows."""

LEAST_ROWS_A_CLUSTER = 8
"""Sampled rows for each cluster that will do where passes are dear."""

DEAR = 2**28
"""Multiply-adds of a pass from which on it is dear: less takes a few milliseconds."""

LARGE_SHARE, LARGEST_SHARE = 0.25, 1.0
"""Share of the rows in a sample, at most: passes over it are meant to be cheap. Where rows are few
for each cluster it may have all of them: centers that fit few rows are of little use to the others.
(Embeddings with 40 rows a cluster: 4 passes instead of 20, in two thirds of the time.)"""

LEAP_CENTERS = 4000
"""The steps of a leap take as long as comparing all rows with so many centers: where
there are fewer, passes spend their time on reading."""

KEY = "sample"


class Sample(NamedTuple):
    """Which rows are sampled."""

    seed: int
    share: float
    """Probability of each row to be in the sample."""

    def affordable_steps(self, n_clusters: int) -> int:
        """Steps on the sample that a leap may take; 0 where it would take longer than passes do."""
        return int(LEAP_CENTERS / (n_clusters * self.share))

    def collect(self, cache: dict, first_row: int, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Hand `pieces` through, and leave what is sampled of them in `cache` at their end."""
        if KEY in cache and cache[KEY][0] == self:
            yield from pieces
            return
        kept = []
        for values, weights in pieces:
            draws = np.empty(len(values))
            uniform(self.seed, PURPOSE, first_row, draws)
            chosen = draws < self.share
            kept.append(Piece(values[chosen], None if weights is None else weights[chosen]))
            first_row += len(values)
            yield Piece(values, weights)
        cache[KEY] = self, kept


def plan_sample(n_rows: int, n_features: int, n_clusters: int, seed: int) -> Sample | None:
    """The sample for data of this shape: a function of the shape alone, not of the memory at hand.

    Returns
    -------
    Sample or None
        None where the data is too small for a sample to be worth its while.
    """
    if n_rows == 0:
        return None
    wanted = max(VALUES // n_features, ROWS_A_CLUSTER * n_clusters)
    wanted = min(wanted, MOST_VALUES // n_features)
    share = FEW_ROWS_A_CLUSTER * n_clusters / n_rows
    share = min(max(share, LARGE_SHARE), LARGEST_SHARE, wanted / n_rows)
    dear = n_rows * n_features * n_clusters >= DEAR
    if share * n_rows < (LEAST_ROWS_A_CLUSTER if dear else ROWS_A_CLUSTER) * n_clusters:
        return None
    return Sample(seed, share)


class SampledRows:
    """The rows of a sample, in this process from when they are first wanted.

    Parameters
    ----------
    plan : Sample
        Which rows.
    data : Blockwise
        Over all rows.
    forward : callable
        What makes of rows as they are read those that are compared (`Points.forward`).
    """

    def __init__(self, plan: Sample, data: Blockwise, forward: Callable[[Any], Any]):
        self.plan, self._data, self._forward = plan, data, forward
        self._blockwise: Blockwise | None = None

    def collected_by(self, blockwise: Blockwise) -> Blockwise:
        """These passes over all rows, which collect the sample until it has been gathered."""
        return blockwise.with_plan(collector=self.plan if self._blockwise is None else None)

    def gathered(self) -> Blockwise:
        """Passes over the sample; the first call brings it here, and reads what is lost of it."""
        if self._blockwise is None:
            points = gather(self._data, self.plan, self._forward)
            self._blockwise = Blockwise(points.blocks, in_memory=True)
        return self._blockwise

    def close(self) -> None:
        """Let go of the sample."""
        if self._blockwise is not None:
            self._blockwise.close()


def take_sample(block: OpenBlock, plan: Sample) -> list[Piece] | None:
    """The sampled rows of a block, which leave its cache; None where no pass has left them here."""
    left, rows = block.cache.pop(KEY, (None, None))
    return rows if left == plan else None


def collect_sample(block: OpenBlock, plan: Sample) -> list[Piece]:
    """The sampled rows of a block, which is read for them."""
    for _ in block.pieces():
        pass  # only to have the rows pass by the collector
    rows = take_sample(block, plan)
    assert rows is not None
    return rows


def gather(blockwise: Blockwise, plan: Sample, forward: Callable[[Any], Any]) -> Points:
    """The sample that `blockwise` has collected, in the order of the rows, in memory here."""
    by_block = blockwise.gather(take_sample, plan, name="gathering the sample")
    lost = [index for index, rows in enumerate(by_block) if rows is None]
    if lost:
        collecting = blockwise.with_plan(collector=plan)
        found = collecting.read_again(lost, collect_sample, plan, name="reading the sample again")
        for index, rows in zip(lost, found, strict=True):
            by_block[index] = rows
    for index, rows in enumerate(by_block):  # one by one, so that not all are there twice
        by_block[index] = [Piece(forward(values), weights) for values, weights in rows]
    pieces = [piece for of_block in by_block for piece in of_block]
    weights = [each for _, each in pieces if each is not None]
    return as_points(
        concatenate([values for values, _ in pieces]),
        np.concatenate(weights) if weights else None,
    )
