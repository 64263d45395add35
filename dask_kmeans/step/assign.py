"""Assign: every row of a block to its nearest center, for every run that moves, in one read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dask_kmeans.blockwise import OpenBlock
from dask_kmeans.kernels import FixedPoint, Panel, Sums, assign, nearest
from dask_kmeans.labels import Labels
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
    slots = [("labels", request.run) for request in requests]
    recalled = [
        Labels.recall(block, slot, request.step - 1, len(request.panel.centers))
        for slot, request in zip(slots, requests, strict=True)
    ]
    sums = [fixed_point.zero_sums(len(request.panel.centers)) for request in requests]
    measures = [
        no_measure(request.panel.centers) if request.farthest else None for request in requests
    ]
    changed = [0] * len(requests)
    first = 0
    for values, weights in block.pieces():
        rows = slice(first, first + len(values))
        for at, (request, (labels, known)) in enumerate(zip(requests, recalled, strict=True)):
            own = labels.of(rows)
            if not known and request.previous is not None:
                nearest(values, request.previous, own)
            tally = assign(values, weights, request.panel, fixed_point, own, sums[at])
            labels.put(rows, own)
            changed[at] += tally.changed
            measured = measures[at]
            if measured is not None:
                measures[at] = measure_rows(
                    measured, values, weights, request.panel.centers, own,
                    block.start + first, request.farthest,
                )  # fmt: skip
        first = rows.stop
    for slot, request, (labels, _) in zip(slots, requests, recalled, strict=True):
        labels.leave(block, slot, request.step)
    return Assigned(
        block.bytes_read,
        tuple(Outcome(sums[at], changed[at], first, measures[at]) for at in range(len(requests))),
    )
