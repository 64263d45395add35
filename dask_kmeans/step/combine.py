"""Combine: partial results of blocks into one. All of it integers, so any order gives the same."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from dask_kmeans.kernels import merge_sums
from dask_kmeans.step.assign import Assigned, Outcome, Request
from dask_kmeans.step.measure import Measure, MeasureRequest, merge_measures


def merge_assigned(wanted: tuple[int, ...], a: Assigned, b: Assigned) -> Assigned:
    """What both passes over parts of the data brought back, as one."""
    return Assigned(
        a.bytes_read + b.bytes_read,
        tuple(map(_merge_outcomes, a.outcomes, b.outcomes, wanted)),
    )


def _merge_outcomes(a: Outcome, b: Outcome, wanted: int) -> Outcome:
    measure = (
        None
        if a.measure is None or b.measure is None
        else merge_measures(a.measure, b.measure, wanted)
    )
    return Outcome(
        merge_sums(a.sums, b.sums), a.changed + b.changed, a.examined + b.examined, measure
    )


def _merge_measured(
    wanted: tuple[int, ...], a: tuple[Measure, ...], b: tuple[Measure, ...]
) -> tuple[Measure, ...]:
    return tuple(map(merge_measures, a, b, wanted))


def merge_for(requests: Sequence[Request] | Sequence[MeasureRequest]):
    """The merging function for a pass with these requests."""
    merge = merge_assigned if isinstance(requests[0], Request) else _merge_measured
    return functools.partial(merge, tuple(request.farthest or 0 for request in requests))
