"""Assign: every row of a block to its nearest center, for every run that moves, in one read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import OpenBlock
from dask_kmeans.kernels import FixedPoint, Panel, Sums, assign, nearest
from dask_kmeans.step.measure import Measure, measure_rows, no_measure


class Request(NamedTuple):
    """What a pass is to do for one run."""

    run: int
    step: int
    """Number of the step; labels of step - 1 are looked for in the block's cache."""
    panel: Panel
    """The centers to compare with."""
    previous: Panel | None
    """The centers of step - 1, from which labels that a lost worker took along are found again.
    Labels are a function of (row, centers), so these are the same ones. None on the first step."""
    farthest: int
    """Measure distances too, and bring back this many of the farthest rows; 0: measure nothing."""


class Outcome(NamedTuple):
    """What one run learns from a pass, over one block or several."""

    sums: Sums
    """*Changes* of the clusters' sums and counts since the step before (all rows on the first)."""
    changed: int
    examined: int
    measure: Measure | None


class Assigned(NamedTuple):
    """What a pass brings back."""

    bytes_read: int
    outcomes: tuple[Outcome, ...]


def assign_block(
    block: OpenBlock, requests: Sequence[Request], fixed_point: FixedPoint
) -> Assigned:
    """New labels for the rows of a block; how the sums, counts and labels have changed."""
    labels, rebuild = zip(*(_known_labels(block, request) for request in requests), strict=True)
    sums = [fixed_point.zero_sums(len(request.panel.centers)) for request in requests]
    measures = [
        no_measure(request.panel.centers) if request.farthest else None for request in requests
    ]
    changed = [0] * len(requests)
    first = 0
    for values, weights in block.pieces():
        rows = slice(first, first + len(values))
        for at, request in enumerate(requests):
            known = labels[at][rows]
            if rebuild[at] and request.previous is not None:
                nearest(values, request.previous, known)
            tally = assign(values, weights, request.panel, fixed_point, known, sums[at])
            changed[at] += tally.changed
            measured = measures[at]
            if measured is not None:
                measures[at] = measure_rows(
                    measured, values, weights, request.panel.centers, known,
                    block.start + first, request.farthest,
                )  # fmt: skip
        first = rows.stop
    for at, request in enumerate(requests):
        block.cache["labels", request.run] = request.step, labels[at]
    return Assigned(
        block.bytes_read,
        tuple(Outcome(sums[at], changed[at], first, measures[at]) for at in range(len(requests))),
    )


def _known_labels(block: OpenBlock, request: Request) -> tuple[np.ndarray, bool]:
    """Labels of the step before, and whether they have yet to be found from its centers, if any.

    They leave the cache while they are being changed: a task that fails half-way and is run again
    must not take them for what they were.
    """
    step, labels = block.cache.pop(("labels", request.run), (None, None))
    if labels is not None and step == request.step - 1:
        return labels, False
    return np.full(block.rows, -1, np.int32), True
