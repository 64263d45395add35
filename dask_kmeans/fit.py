"""The story of a fit: survey -> seed -> (assign -> combine -> move -> stop) until settled -> measure.

One loop for one run and for many: restarts are a list, every pass over the data serves all of them
that still move, and a run that settles drops out. The loop knows no mathematics.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dask_kmeans import checks
from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.kernels import FixedPoint, merge_sums, prepare
from dask_kmeans.read import Points
from dask_kmeans.result import FitResult, FitState, IterationRecord, Run
from dask_kmeans.seed import make_seeds
from dask_kmeans.step.assign import Outcome, Request, assign_block
from dask_kmeans.step.combine import merge_for
from dask_kmeans.step.measure import Measure, MeasureRequest, measure_block
from dask_kmeans.step.move import (
    center_shift,
    empty_clusters,
    move,
    relocate,
    scatter_of_centers,
)
from dask_kmeans.step.stop import stop
from dask_kmeans.survey import Survey, survey

FIRST_FARTHEST = 64
"""Farthest rows that the first step brings back unasked: the step in which clusters most often turn
out empty, and which measures distances anyway, to know the inertia."""


class Checkpoint(Protocol):
    """Where a fit leaves its state."""

    def load(self, data: dict[str, Any]) -> FitState | None:
        """What an earlier fit left; None where there is nothing. Refuses a state of other data."""

    def save(self, state: FitState) -> None:
        """Keep this state, whole or not at all."""


@dataclass(frozen=True)
class FitParameters:
    """Parameters of a fit, checked; see `KMeans` for what they mean."""

    n_clusters: int
    init: Any
    n_init: int
    max_iter: int
    tol: float
    oversampling_factor: float
    init_rounds: int | None
    nan: str
    seed: int
    """64 random bits from which every draw of the fit follows."""


def fit(
    points: Points,
    parameters: FitParameters,
    callbacks: Iterable[Callable[[IterationRecord], None]] = (),
    checkpoint: Checkpoint | None = None,
) -> FitResult:
    """Cluster `points`; each callback is called with the record of every iteration."""
    blockwise = Blockwise(points.blocks, points.in_memory)
    try:
        found = survey(points, blockwise, parameters.nan)
        points = points.with_counts(found.counts)
        blockwise.blocks = points.blocks
        checks.check_n_clusters_against_rows(parameters.n_clusters, found.positive_rows)
        data = _identity(points, found)

        state = checkpoint.load(data) if checkpoint is not None else None
        if state is None:
            runs = _seeded_runs(points, blockwise, found, parameters)
            state = FitState(data, runs, blockwise.passes)
        else:
            blockwise.passes += state.passes - 1  # this survey is a pass of the fit that went before
        fixed_point = found.fixed_point()
        while moving := [run for run in state.runs if run.reason is None]:
            _iterate(moving, blockwise, fixed_point, found.n_rows, parameters)
            state.passes = blockwise.passes
            if checkpoint is not None:
                checkpoint.save(state)
            for callback in callbacks:
                callback(moving[0].history[-1])
        return _settle(state.runs, points, blockwise, parameters.n_clusters)
    finally:
        blockwise.close()


def _seeded_runs(
    points: Points, blockwise: Blockwise, found: Survey, parameters: FitParameters
) -> list[Run]:
    seeds = make_seeds(
        points,
        blockwise,
        found,
        n_clusters=parameters.n_clusters,
        init=parameters.init,
        n_init=parameters.n_init,
        oversampling_factor=parameters.oversampling_factor,
        init_rounds=parameters.init_rounds,
        random_state=parameters.seed,
    )
    return [Run(number, centers) for number, centers in enumerate(seeds.centers)]


def _iterate(
    moving: list[Run],
    blockwise: Blockwise,
    fixed_point: FixedPoint,
    n_rows: int,
    parameters: FitParameters,
) -> None:
    """One pass over the data: one step for each of the runs."""
    start = time.perf_counter()
    requests = [
        Request(
            run.number,
            run.iteration + 1,
            prepare(run.centers),
            None if run.assigned is None else prepare(run.assigned),
            FIRST_FARTHEST if run.iteration == 0 else 0,
        )
        for run in moving
    ]
    passed = blockwise.run(assign_block, requests, fixed_point, merge=merge_for(requests))
    for run, request, outcome in zip(moving, requests, passed.outcomes, strict=True):
        _take_step(run, request, outcome, blockwise, fixed_point, n_rows, parameters)
        run.history[-1] = run.history[-1]._replace(
            bytes_read=passed.bytes_read, seconds=time.perf_counter() - start
        )


def _take_step(
    run: Run,
    request: Request,
    outcome: Outcome,
    blockwise: Blockwise,
    fixed_point: FixedPoint,
    n_rows: int,
    parameters: FitParameters,
) -> None:
    """Move a run's centers by what a pass found, and see whether it has settled."""
    run.sums = outcome.sums if run.sums is None else merge_sums(run.sums, outcome.sums)
    run.assigned = run.centers
    scatter = scatter_of_centers(fixed_point, run.sums, run.centers)
    if outcome.measure is not None:
        run.scatter_offset = outcome.measure.inertia.value() - scatter

    sums, relocated = run.sums, 0
    empty = empty_clusters(fixed_point, run.sums)
    if len(empty):
        measure = outcome.measure
        if measure is None or len(empty) > FIRST_FARTHEST:
            measure = _measure_farthest(run, request, len(empty), blockwise)
        sums, relocated = relocate(fixed_point, run.sums, empty, measure.farthest)
    run.centers = move(fixed_point, sums, run.centers)

    iteration = request.step
    run.reason = stop(
        outcome.changed, n_rows, relocated, iteration,
        tol=parameters.tol, max_iter=parameters.max_iter,
    )  # fmt: skip
    run.history.append(
        IterationRecord(
            iteration,
            outcome.changed,
            max(0.0, run.scatter_offset + scatter),
            center_shift(run.assigned, run.centers),
            outcome.examined,
            bytes_read=0,
            seconds=0.0,
        )
    )


def _measure_farthest(
    run: Run, request: Request, wanted: int, blockwise: Blockwise
) -> Measure:
    """One more look at the rows: clusters emptied in a later step, which is rare, need far rows."""
    requests = [MeasureRequest(run.number, request.step, request.panel, wanted)]
    return blockwise.run(measure_block, requests, merge=merge_for(requests))[0]


def _settle(
    runs: list[Run], points: Points, blockwise: Blockwise, n_clusters: int
) -> FitResult:
    """The last pass: labels and exact inertia about the final centers; the best run wins."""
    requests = []
    for run in runs:
        moved = not np.array_equal(run.centers, run.assigned)
        requests.append(
            MeasureRequest(run.number, run.iteration + moved, prepare(run.centers), 0)
        )
    measures = blockwise.run(measure_block, requests, merge=merge_for(requests))
    inertias = [measure.inertia.value() for measure in measures]
    best = int(np.argmin(inertias))  # ties to the first run
    found = int(np.count_nonzero(measures[best].sizes))
    if found < n_clusters:
        checks.warn_fewer_distinct_rows(n_clusters, found)
    run = runs[best]
    labels = None
    if points.in_memory:
        indices = range(len(points.blocks))
        by_block = blockwise.read_some(indices, _labels_of, run.number, merge=_merge_labels)
        labels = np.concatenate([by_block[index] for index in indices])
    return FitResult(
        run.centers, labels, inertias[best], measures[best].sizes, run.history, run.reason,
        blockwise.passes,
    )  # fmt: skip


def _labels_of(block: OpenBlock, run: int) -> dict[int, np.ndarray]:
    return {block.index: block.cache["labels", run][1]}


def _merge_labels(a: dict, b: dict) -> dict:
    return a | b


def _identity(points: Points, found: Survey) -> dict[str, Any]:
    """What tells this data from other data: known after the survey, whatever the chunks."""
    ranges = np.concatenate([found.minimum, found.maximum])
    return {
        "rows": found.n_rows,
        "features": points.n_features,
        "rows_with_nan": found.nan_rows,
        "rows_that_count": found.positive_rows,
        "largest_weight": found.max_weight,
        "ranges": hashlib.sha256(ranges.tobytes()).hexdigest(),
    }
