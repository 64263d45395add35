"""Measure: how far rows lie from the centers of their labels, and which lie farthest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import OpenBlock
from dask_kmeans.kernels import ExactSum, Panel, labelled_distances, nearest
from dask_kmeans.step.keep import Known


class Farthest(NamedTuple):
    """Rows far from their centers, farthest first, equally far ones in the order of the rows."""

    distances: np.ndarray  # (m,) float64, squared
    rows: np.ndarray  # (m,) int64, global row numbers
    labels: np.ndarray  # (m,) int32
    values: np.ndarray  # (m, d) float64
    weights: np.ndarray  # (m,) float64


class Measure(NamedTuple):
    """Inertia, cluster sizes and farthest rows, over one block or several."""

    inertia: ExactSum
    sizes: np.ndarray  # (k,) int64, rows of each cluster
    farthest: Farthest


class MeasureRequest(NamedTuple):
    """What `measure_block` is to do for one run."""

    run: int
    step: int
    """Step to which `panel` belongs: its labels are looked for in the block's cache."""
    panel: Panel
    farthest: int


def no_measure(centers: np.ndarray) -> Measure:
    """The measure of no rows."""
    k, d = centers.shape
    none = Farthest(
        np.empty(0), np.empty(0, np.int64), np.empty(0, np.int32), np.empty((0, d)), np.empty(0)
    )
    return Measure(ExactSum(), np.zeros(k, np.int64), none)


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
    distances = np.empty(len(values))
    labelled_distances(values, centers, labels, distances)
    so_far.inertia.add(distances, weights)
    counted = labels >= 0
    sizes = so_far.sizes + np.bincount(labels[counted], minlength=len(centers))
    if not farthest:
        return Measure(so_far.inertia, sizes, so_far.farthest)
    if weights is not None:
        counted &= weights > 0
    known = so_far.farthest.distances
    # Rows nearer than all that are wanted already need no sorting: soon that is nearly every row.
    least = known[-1] if len(known) == farthest else 0.0
    candidates = np.flatnonzero(counted & (distances >= least))
    chosen = candidates[_farthest_first(distances[candidates], farthest)]
    found = Farthest(
        distances[chosen],
        first_row + chosen,
        labels[chosen],
        values[chosen].astype(np.float64),
        np.ones(len(chosen)) if weights is None else weights[chosen],
    )
    return Measure(so_far.inertia, sizes, merge_farthest(so_far.farthest, found, farthest))


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
    return Measure(
        a.inertia.merge(b.inertia),
        a.sizes + b.sizes,
        merge_farthest(a.farthest, b.farthest, wanted),
    )


def measure_block(block: OpenBlock, requests: Sequence[MeasureRequest]) -> tuple[Measure, ...]:
    """Measure a block's rows against each request's centers, whatever labels it had before.

    Labels are left in the cache, as those of the request's step.
    """
    measures = [no_measure(request.panel.centers) for request in requests]
    labels, known = [], []
    for request in requests:
        cached = block.cache.get(("labels", request.run))
        if not (isinstance(cached, Known) and cached.step == request.step):
            cached = None
        known.append(cached is not None)
        labels.append(np.empty(block.rows, np.int32) if cached is None else cached.labels)
    first = 0
    for values, weights in block.pieces():
        rows = slice(first, first + len(values))
        for at, request in enumerate(requests):
            if not known[at]:
                nearest(values, request.panel, labels[at][rows])
            measures[at] = measure_rows(
                measures[at], values, weights, request.panel.centers, labels[at][rows],
                block.start + first, request.farthest,
            )  # fmt: skip
        first = rows.stop
    for at, request in enumerate(requests):
        if not known[at]:
            block.cache["labels", request.run] = Known(request.step, labels[at])
    return tuple(measures)
