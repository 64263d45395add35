"""Measure: a pass that learns statistics about given centers, and moves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import OpenBlock
from dask_kmeans.kernels import PreparedCenters, nearest
from dask_kmeans.labels import Labels
from dask_kmeans.statistics import Known, Statistic, learn, nothing_known


class LabelledStep(NamedTuple):
    """A step of a run, by which caches know the labels that it gave."""

    run: int
    step: int


class MeasureRequest(NamedTuple):
    """What `measure_block` is to learn about one set of centers."""

    prepared: PreparedCenters
    statistics: tuple[Statistic, ...]
    labelled: LabelledStep | None = None
    """The step whose labels belong to these centers: they may lie in the block's cache, and are
    left there. None: labels are found, and not kept."""


def measure_block(block: OpenBlock, requests: Sequence[MeasureRequest]) -> tuple[Known, ...]:
    """What a block's rows teach about each request's centers."""
    measures = [_Measure(block, request) for request in requests]
    first = 0
    for values, weights in block.pieces():
        for measure in measures:
            measure.take(values, weights, first, block.start)
        first += len(values)
    for measure in measures:
        measure.leave(block)
    return tuple(measure.known for measure in measures)


class _Measure:
    """One request over one block."""

    def __init__(self, block: OpenBlock, request: MeasureRequest):
        centers = request.prepared.centers
        self.request, self.known = request, nothing_known(request.statistics, centers)
        self.labels: Labels | None = None
        self.recalled = False
        if request.labelled is not None:
            run, step = request.labelled
            self.labels, self.recalled = Labels.recall(block, ("labels", run), step, len(centers))

    def take(self, values: np.ndarray, weights: np.ndarray | None, first: int, start: int) -> None:
        """Look at the rows that follow row `first` of the block, which begins at row `start`."""
        rows = slice(first, first + len(values))
        own = np.empty(len(values), np.int32) if self.labels is None else self.labels.of(rows)
        if not self.recalled:
            nearest(values, self.request.prepared, own)
            if self.labels is not None:
                self.labels.put(rows, own)
        self.known = learn(
            self.request.statistics, self.known, values, weights, own,
            self.request.prepared.centers, start + first,
        )  # fmt: skip

    def leave(self, block: OpenBlock) -> None:
        """Leave the labels in the block's cache, if they are somebody's."""
        if self.labels is not None and self.request.labelled is not None:
            run, step = self.request.labelled
            self.labels.leave(block, ("labels", run), step)
