"""The story of a fit: survey -> seed -> (assign, combine, move, stop) until settled -> measure.

One loop for one run and for many: restarts are a list, every pass over the data serves all of them
that still move, and a run that settles drops out. The loop knows no mathematics.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.accelerate import Accelerator
from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.keep import Checkpoint, Keeper
from dask_kmeans.read import Points
from dask_kmeans.result import FitResult, FitState
from dask_kmeans.sample import Sample, plan_sample
from dask_kmeans.seed import make_parallel_seeds, make_seeds
from dask_kmeans.step.advance import LONGEST_LEAP, Rules, advance
from dask_kmeans.step.combine import merge_for
from dask_kmeans.step.measure import MeasureRequest, measure_block
from dask_kmeans.step.move import total_inertia
from dask_kmeans.step.run import IterationRecord, Run
from dask_kmeans.survey import Survey, survey


@dataclass(frozen=True)
class FitParameters:
    """Parameters of a fit, checked; see `KMeans` for what they mean."""

    n_clusters: tuple[int, ...]
    """Numbers of clusters, each with runs of its own; one for a plain fit."""
    init: Any
    n_init: int
    max_iter: int
    tol: float
    oversampling_factor: float | None
    init_rounds: int | None
    nan: str
    memory_budget: int
    """Bytes of lazy rows that each process may keep between passes."""
    accelerated: bool
    """Whether the fit may leave Lloyd's own trajectory, for fewer passes."""
    bounded: bool
    """Whether rows whose labels are proved to stand may be passed over."""
    seed: int
    """64 random bits from which every draw of the fit follows."""


def fit(
    points: Points,
    parameters: FitParameters,
    callbacks: Iterable[Callable[[IterationRecord], None]] = (),
    checkpoint: Checkpoint | None = None,
) -> list[FitResult]:
    """Cluster `points`, once for each number of clusters, in shared passes.

    Each callback is called after every pass with the record of the first run that still moved.
    """
    with closing(Blockwise(points.blocks, points.in_memory, parameters.memory_budget)) as blockwise:
        found = survey(points, blockwise, parameters.nan)
        points = points.with_counts(found.counts)
        blockwise.blocks = points.blocks
        checks.check_n_clusters_against_rows(max(parameters.n_clusters), found.positive_rows)
        data = _identity(points, found)
        state = checkpoint.load(data) if checkpoint is not None else None
        if state is not None:
            blockwise.passes += state.passes  # the data was surveyed once more, and that is counted
            parameters = replace(parameters, seed=state.seed)
        sample = _plan_sample(found, points, parameters)
        blockwise.collector = sample
        rules = Rules(
            blockwise, found.fixed_point(), found.n_rows - found.nan_rows,
            parameters.tol, parameters.max_iter, parameters.bounded,
        )  # fmt: skip
        with closing(Accelerator(sample, rules)) as accelerator, Keeper(checkpoint) as keeper:
            if state is None:
                runs = _seeded_runs(points, blockwise, found, parameters)
                accelerator.warm_up(runs)
                state = FitState(data, runs, blockwise.passes, parameters.seed)
            # Where the budget does not hold all rows, those that a step will most likely want.
            blockwise.choosing = parameters.bounded and 0 < blockwise.room() < (points.bytes or 0)
            while moving := [run for run in state.runs if run.reason is None]:
                start = time.perf_counter()
                accelerator.leap(advance(moving, rules))
                _note_seconds(moving, time.perf_counter() - start)
                state.passes = blockwise.passes
                keeper.note(state)
                for callback in callbacks:
                    callback(moving[0].history[-1])
        return _settle(state.runs, points, rules, parameters)


def _plan_sample(found: Survey, points: Points, parameters: FitParameters) -> Sample | None:
    if not parameters.accelerated:
        return None
    largest = max(parameters.n_clusters)
    return plan_sample(found.n_rows, points.n_features, largest, parameters.seed)


def _seeded_runs(
    points: Points, blockwise: Blockwise, found: Survey, parameters: FitParameters
) -> list[Run]:
    wanted: dict[str, Any] = {
        "n_init": parameters.n_init,
        "oversampling_factor": parameters.oversampling_factor,
        "init_rounds": parameters.init_rounds,
        "random_state": parameters.seed,
    }
    ks = parameters.n_clusters
    if isinstance(parameters.init, str) and parameters.init == "k-means||":
        seeds = make_parallel_seeds(blockwise, found, n_clusters=ks, **wanted)
    else:
        seeds = [
            make_seeds(points, blockwise, found, n_clusters=k, init=parameters.init, **wanted)
            for k in ks
        ]
    longest_leap = 0 if blockwise.collector is None else LONGEST_LEAP
    starts = [centers for made in seeds for centers in made.centers]
    return [
        Run(number, centers, longest_leap=longest_leap) for number, centers in enumerate(starts)
    ]


def _note_seconds(moving: list[Run], seconds: float) -> None:
    for run in moving:
        run.history[-1] = run.history[-1]._replace(seconds=seconds)


def _settle(
    runs: list[Run], points: Points, rules: Rules, parameters: FitParameters
) -> list[FitResult]:
    """The last pass: labels and exact inertia about the final centers.

    Of the restarts for a number of clusters the lowest inertia wins, ties to the first.
    """
    requests = []
    for run in runs:
        assert run.assigned is not None
        moved = not np.array_equal(run.centers, run.assigned)
        requests.append(
            MeasureRequest(run.number, run.iteration + moved, run.panel_of(run.centers), 0)
        )
    blockwise = rules.blockwise
    measures = blockwise.run(measure_block, requests, merge=merge_for(requests))
    inertias = [measure.inertia.value() for measure in measures]
    results = []
    for first, k in zip(count(0, parameters.n_init), parameters.n_clusters, strict=False):
        restarts = range(first, first + parameters.n_init)
        best = min(restarts, key=lambda number: (inertias[number], number))
        run, sizes = runs[best], measures[best].sizes
        assert run.reason is not None
        assert run.sums is not None
        found = int(np.count_nonzero(sizes))
        if found < k:
            checks.warn_fewer_distinct_rows(k, found)
        result = FitResult(
            run.centers, _labels(best, points, blockwise), inertias[best], sizes, run.history,
            run.reason, blockwise.passes,
            total_inertia(rules.fixed_point, run.sums, run.scatter_offset),
        )  # fmt: skip
        results.append(result)
    return results


def _labels(run: int, points: Points, blockwise: Blockwise) -> np.ndarray | None:
    """Labels that the last pass left in the caches; only of data that lies here."""
    if not points.in_memory:
        return None
    return np.concatenate(blockwise.gather(_labels_of, run))


def _labels_of(block: OpenBlock, run: int) -> np.ndarray:
    return block.cache["labels", run][1]


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
