"""Measure: how far rows lie from the centers of their labels, and which lie farthest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import OpenBlock
from dask_kmeans.kernels import ExactSum, PreparedCenters, labelled_distances, nearest
from dask_kmeans.labels import Labels

AT_ONCE = 2**13
"""Rows that are measured at once: their distances stay in cache."""


class Farthest(NamedTuple):
    """Rows far from their centers, farthest first, equally far ones in the order of the rows."""

    distances: np.ndarray  # (m,) float64, squared
    rows: np.ndarray  # (m,) int64, global row numbers
    labels: np.ndarray  # (m,) int32
    values: np.ndarray  # (m, d) float64
    weights: np.ndarray  # (m,) float64


class Measure(NamedTuple):
    """Inertia and farthest rows, over one block or several."""

    inertia: ExactSum
    farthest: Farthest


class MeasureRequest(NamedTuple):
    """What `measure_block` is to do for one run."""

    run: int
    step: int
    """Step to which `prepared_centers` belongs: its labels are looked for in the block's cache."""
    prepared: PreparedCenters
    farthest: int


def no_measure(d: int) -> Measure:
    """The measure of no rows of `d` features."""
    none = Farthest(
        np.empty(0), np.empty(0, np.int64), np.empty(0, np.int32), np.empty((0, d)), np.empty(0)
    )
    return Measure(ExactSum(), none)


def measure_rows(
    so_far: Measure,
    values: np.ndarray,
    weights: np.ndarray | None,
    centers: np.ndarray,
    labels: np.ndarray,
    first_row: int,
    farthest: int,
) -> Measure:
    """`so_far` and the rows `values` (m, d) with `labels` (m,), numbered from `first_row`."""
    room = np.empty(min(len(values), AT_ONCE))
    for start in range(0, len(values), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        some = values[rows], None if weights is None else weights[rows]
        distances = labelled_distances(some[0], centers, labels[rows], room[: len(some[0])])
        so_far.inertia.add(distances, some[1])
        if farthest:
            known = so_far.farthest
            found = _farthest(known, *some, distances, labels[rows], first_row + start, farthest)
            so_far = so_far._replace(farthest=merge_farthest(known, found, farthest))
    return so_far


def _farthest(
    known: Farthest,
    values: np.ndarray,
    weights: np.ndarray | None,
    distances: np.ndarray,
    labels: np.ndarray,
    first_row: int,
    wanted: int,
) -> Farthest:
    """The rows that may be among the `wanted` farthest, beside those that are known."""
    # Rows nearer than all that are known need no sorting: soon that is nearly every row.
    least = known.distances[-1] if len(known.distances) == wanted else 0.0
    candidates = np.flatnonzero(distances >= least)  # which is false for NaN
    if weights is not None:
        candidates = candidates[weights[candidates] > 0]
    chosen = candidates[_farthest_first(distances[candidates], wanted)]
    return Farthest(
        distances[chosen],
        first_row + chosen,
        labels[chosen],
        values[chosen].astype(np.float64),
        np.ones(len(chosen)) if weights is None else weights[chosen],
    )


def _farthest_first(distances: np.ndarray, wanted: int) -> np.ndarray:
    """Positions of the largest distances, ties in order; no more than `wanted`."""
    if wanted < len(distances):
        least = np.partition(distances, -wanted)[-wanted]
        candidates = np.flatnonzero(distances >= least)
    else:
        candidates = np.arange(len(distances))
    order = np.argsort(-distances[candidates], kind="stable")
    return candidates[order[:wanted]]


def merge_farthest(a: Farthest, b: Farthest, wanted: int) -> Farthest:
    """The farthest `wanted` of both."""
    both = Farthest(*(np.concatenate(pair) for pair in zip(a, b, strict=True)))
    order = np.lexsort((both.rows, -both.distances))[:wanted]
    return Farthest(*(field[order] for field in both))


def merge_measures(a: Measure, b: Measure, wanted: int) -> Measure:
    """The measure of all rows of both."""
    return Measure(a.inertia.merge(b.inertia), merge_farthest(a.farthest, b.farthest, wanted))


def measure_block(block: OpenBlock, requests: Sequence[MeasureRequest]) -> tuple[Measure, ...]:
    """Measure a block's rows against each request's centers, whatever labels it had before.

    Labels are left in the cache, as those of the request's step.
    """
    slots = [("labels", request.run) for request in requests]
    recalled = [
        Labels.recall(block, slot, request.step, len(request.prepared.centers))
        for slot, request in zip(slots, requests, strict=True)
    ]
    measures = [no_measure(request.prepared.centers.shape[1]) for request in requests]
    first = 0
    for values, weights in block.pieces():
        rows = slice(first, first + len(values))
        for at, (request, (labels, known)) in enumerate(zip(requests, recalled, strict=True)):
            own = labels.of(rows)
            if not known:
                nearest(values, request.prepared, own)
                labels.put(rows, own)
            measures[at] = measure_rows(
                measures[at], values, weights, request.prepared.centers, own,
                block.start + first, request.farthest,
            )  # fmt: skip
        first = rows.stop
    for slot, request, (labels, _) in zip(slots, requests, recalled, strict=True):
        labels.leave(block, slot, request.step)
    return tuple(measures)
