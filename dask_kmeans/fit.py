"""The story of a fit: survey -> seed -> (assign, combine, move, stop) until settled -> final pass.

One loop for one run and for many: restarts are a list, every pass over the data serves all of them
that still move, and a run that settles drops out. The loop knows no mathematics. Over small data in
memory one turn of it is many steps, unless somebody wants to hear of each (`step.fused`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.accelerate import Accelerator
from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.capacity import check_capacity
from dask_kmeans.centers import total_inertia
from dask_kmeans.checkpoint_schedule import Checkpoint, CheckpointSchedule
from dask_kmeans.kernels import say_if_not_compiled
from dask_kmeans.metrics import METRICS
from dask_kmeans.parameters import FitParameters
from dask_kmeans.read import Points
from dask_kmeans.result import FitResult, FitState
from dask_kmeans.sample import SampledRows
from dask_kmeans.start import Start, sample_for
from dask_kmeans.state import IterationRecord, Rules, timed
from dask_kmeans.statistics import Statistic
from dask_kmeans.step.advance import FinalFigures, Savings, advance, final_pass
from dask_kmeans.survey import Survey, survey

logger = logging.getLogger("dask_kmeans")


def fit(
    points: Points,
    parameters: FitParameters,
    callbacks: Sequence[Callable[[IterationRecord], None]] = (),
    checkpoint: Checkpoint | None = None,
    statistics: tuple[Statistic, ...] = (),
) -> list[FitResult]:
    """Cluster `points`, once for each number of clusters, in shared passes.

    Each callback is called after every pass with the record of the first run that still moved. The
    last pass learns `statistics` too.
    """
    metric, n_runs = METRICS[parameters.metric], len(parameters.n_clusters) * parameters.n_init
    check_capacity(points, sum(parameters.n_clusters) * parameters.n_init, n_runs)
    if not points.in_memory:
        say_if_not_compiled()
    with ExitStack() as stack:
        blockwise = Blockwise(points.blocks, points.in_memory, parameters.memory_budget)
        stack.callback(blockwise.close)
        points, found, data = _surveyed(points, blockwise, parameters, checkpoint is not None)
        blockwise = blockwise.with_plan(blocks=points.blocks)
        state, parameters = _resumed(checkpoint, data, parameters)
        passes_before = 0 if state is None else state.passes
        sample = sample_for(points, found.n_rows, parameters)
        sampled = None if sample is None else SampledRows(sample, blockwise, points.forward)
        if sampled is not None:
            stack.callback(sampled.close)
        rules = Rules(
            metric.rule(found.fixed_point()), found.positive_rows,
            parameters.tol, parameters.max_iter,
        )  # fmt: skip
        budget, needed = blockwise.row_budget(), points.bytes or 0
        savings = Savings(
            parameters.thresholds,
            margins=parameters.bounded,
            fused=checkpoint is None and not callbacks,
            at_hand=points.in_memory or budget >= needed,
        )
        # Where the budget does not hold all rows, those are kept that a step will most likely want.
        stepping = blockwise.with_plan(choose_rows=parameters.bounded and 0 < budget < needed)
        start = Start(points, blockwise, found, parameters, rules.center_rule, sampled)
        accelerator = Accelerator(sampled if parameters.accelerated else None, rules, savings)
        with CheckpointSchedule(checkpoint, parameters.thresholds.saving_share) as schedule:
            if state is None:
                logger.info("seeding", extra={"may_wait": True})
                runs = start.runs()
                found.check_spread([run.centers for run in runs])
                runs = accelerator.warm_up(runs)
                start.expect_inertia(runs)
                state = FitState(data, tuple(runs), blockwise.passes, parameters.seed)
            while moving := state.moving:
                began = time.perf_counter()
                reading = stepping if sampled is None else sampled.collected_by(stepping)
                stepped = advance(moving, rules, savings, reading, found)
                if start.sample_underestimates(stepped):
                    runs = accelerator.warm_up(start.runs_of_all_rows())
                    state = state.after(runs, state.passes)
                    continue
                stepped = timed(moving, accelerator.leap(stepped), time.perf_counter() - began)
                state = state.after(stepped, passes_before + blockwise.passes)
                schedule.note(state)
                for callback in callbacks:
                    callback(metric.told(stepped[0].history[-1]))
        # What a model stores, in the caller's units, gives these very centers again.
        runs = [
            run._replace(centers=points.inward(points.outward(run.centers))) for run in state.runs
        ]
        final = final_pass(runs, statistics, rules, savings, stepping, found)
        state = state.after(runs, passes_before + blockwise.passes)
        return _results(state, final, points, parameters, rules, blockwise)


def _surveyed(
    points: Points, blockwise: Blockwise, parameters: FitParameters, with_content: bool
) -> tuple[Points, Survey, dict[str, Any]]:
    """The points as they are compared, what the first pass tells of them, and what identifies them.

    with_content : whether they are to be identified by a hash of all rows.

    Where rows are numbered beforehand, the sample is collected on the way of this pass.
    """
    points = points.through(*METRICS[parameters.metric].transforms)
    sample = sample_for(points, points.n_rows or 0, parameters)
    collecting = blockwise.with_plan(blocks=points.blocks, collector=sample)
    logger.info("reading the data: rows, ranges, missing values", extra={"may_wait": True})
    found = survey(
        points, collecting, parameters.nan, moments=parameters.standardize, content=with_content
    )
    checks.check_n_clusters_against_rows(max(parameters.n_clusters), found.positive_rows)
    data = _identity(points, found)
    points = points.with_counts(found.counts)
    if parameters.standardize:
        standardization = found.standardization()
        points, found = points.through(standardization), found.through(standardization)
    found.check_spread()
    return points, found, data


def _resumed(
    checkpoint: Checkpoint | None, data: dict[str, Any], parameters: FitParameters
) -> tuple[FitState | None, FitParameters]:
    """The state that an earlier fit has left, if there is one, and the parameters with its seed."""
    state = None if checkpoint is None else checkpoint.load(data)
    return state, parameters if state is None else replace(parameters, seed=state.seed)


def _results(
    state: FitState,
    final: list[FinalFigures],
    points: Points,
    parameters: FitParameters,
    rules: Rules,
    blockwise: Blockwise,
) -> list[FitResult]:
    """Of the restarts for a number of clusters the lowest inertia wins, ties to the first."""
    metric, results = METRICS[parameters.metric], []
    for first, k in zip(count(0, parameters.n_init), parameters.n_clusters, strict=False):
        restarts = range(first, first + parameters.n_init)
        best = min(restarts, key=lambda number: (final[number].inertia, number))
        run, (inertia, sizes, more) = state.runs[best], final[best]
        assert run.reason is not None
        assert run.latest is not None
        found = int(np.count_nonzero(sizes))
        if found < k:
            checks.warn_fewer_distinct_rows(k, found)
        total = total_inertia(rules.center_rule, run.latest.sums, run.scatter_offset)
        result = FitResult(
            points.outward(run.centers), points.standardization,
            _labels(best, points, blockwise), metric.of_square * inertia, sizes,
            list(map(metric.told, run.history)), run.reason, state.passes,
            metric.of_square * total, more, parameters.metric,
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
    return {
        "rows": found.n_rows,
        "features": points.n_features,
        "rows_with_nan": found.nan_rows,
        "rows_that_count": found.positive_rows,
        "largest_weight": found.max_weight,
        "content": None if found.content is None else f"{found.content:016x}",
    }
