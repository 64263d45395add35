"""Combine: partial results of blocks into one. All of it is exact: any order gives the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from dask_kmeans.kernels import merge_sums
from dask_kmeans.statistics import Known, PairCounts, Statistic, merge_known
from dask_kmeans.step.assign import Assigned, Outcome, Request
from dask_kmeans.step.measure import MeasureRequest

Statistics = tuple[tuple[Statistic, ...], ...]
"""Those of each request of a pass."""


def merge_for(requests: Sequence[Request] | Sequence[MeasureRequest]) -> Callable:
    """The merging function for a pass with these requests."""
    merge = merge_assigned if isinstance(requests[0], Request) else _merge_measured
    return functools.partial(merge, tuple(request.statistics for request in requests))


def merge_assigned(statistics: Statistics, a: Assigned, b: Assigned) -> Assigned:
    """What both passes over parts of the data brought back, as one."""
    return Assigned(
        a.bytes_read + b.bytes_read,
        tuple(map(_merge_outcomes, statistics, a.outcomes, b.outcomes)),
        tuple(map(PairCounts.merge, a.pairs, b.pairs)),
    )


def _merge_outcomes(statistics: tuple[Statistic, ...], a: Outcome, b: Outcome) -> Outcome:
    return Outcome(
        merge_sums(a.sums, b.sums), a.changed + b.changed, a.examined + b.examined,
        merge_known(statistics, a.known, b.known),
    )  # fmt: skip


def _merge_measured(
    statistics: Statistics, a: tuple[Known, ...], b: tuple[Known, ...]
) -> tuple[Known, ...]:
    return tuple(map(merge_known, statistics, a, b))
