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
from itertools import pairwise, product
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.accelerate import Accelerator
from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.capacity import check_capacity
from dask_kmeans.checkpoint_schedule import Checkpoint, CheckpointSchedule
from dask_kmeans.kernels import say_if_not_compiled
from dask_kmeans.metrics import METRICS
from dask_kmeans.parameters import FitParameters
from dask_kmeans.read import Points
from dask_kmeans.result import FitResult, FitState
from dask_kmeans.rows import Rows, all_rows, as_compared, rows_for_steps
from dask_kmeans.sample import SampledRows
from dask_kmeans.start import Start, sample_for
from dask_kmeans.state import IterationRecord, RunState, new_run, timed
from dask_kmeans.statistics import Statistic
from dask_kmeans.step.advance import FinalPass, Savings, advance, final_pass

logger = logging.getLogger("dask_kmeans")


def fit(
    points: Points,
    parameters: FitParameters,
    callbacks: Sequence[Callable[[IterationRecord], None]] = (),
    checkpoint: Checkpoint | None = None,
    statistics: tuple[Statistic, ...] = (),
    transitions: bool = False,
) -> list[FitResult]:
    """Cluster `points`, once for each number of clusters, in shared passes.

    Each callback is called after every pass with the record of the first run that still moved. The
    last pass learns `statistics` too, and `transitions` of rows from one number of clusters to the
    next.
    """
    metric, n_runs = METRICS[parameters.metric], len(parameters.n_clusters) * parameters.n_init
    check_capacity(points, sum(parameters.n_clusters) * parameters.n_init, n_runs)
    if not points.in_memory:
        say_if_not_compiled()
    with ExitStack() as stack:
        logger.info("reading the data: rows, ranges, missing values", extra={"may_wait": True})
        every = all_rows(points, parameters, stack, content=checkpoint is not None)
        data = every.identity()
        state, parameters = _resumed(checkpoint, data, parameters)
        rows, every = as_compared(rows_for_steps(every, parameters, stack), every, parameters)
        points, blockwise, found = rows
        passes_before = 0 if state is None else state.passes
        sample = sample_for(points, found.n_rows, parameters)
        sampled = None if sample is None else SampledRows(sample, blockwise, points.forward)
        if sampled is not None:
            stack.callback(sampled.close)
        rules = rows.rules(parameters)
        savings, stepping = _ways_to_save(rows, parameters, checkpoint is None and not callbacks)
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
        runs = [_as_stored(run, points) for run in state.runs]
        pairs = _neighbors(parameters) if transitions else ()
        if rows is every:
            final = final_pass(runs, statistics, rules, savings, stepping, found, pairs)
        else:
            final = _figures_of(runs, statistics, every, parameters, pairs)
        state = state.after(runs, passes_before + blockwise.passes)
        return _results(state, final, every, parameters)


def _resumed(
    checkpoint: Checkpoint | None, data: dict[str, Any], parameters: FitParameters
) -> tuple[FitState | None, FitParameters]:
    """The state that an earlier fit has left, if there is one, and the parameters with its seed."""
    state = None if checkpoint is None else checkpoint.load(data)
    return state, parameters if state is None else replace(parameters, seed=state.seed)


def _ways_to_save(
    rows: Rows, parameters: FitParameters, unwatched: bool
) -> tuple[Savings, Blockwise]:
    """What steps over these rows may do without, and the passes that they are taken by.

    unwatched : whether nobody wants to hear of each step.
    """
    points, blockwise = rows.points, rows.blockwise
    budget, needed = blockwise.row_budget(), points.bytes or 0
    at_hand = points.in_memory or budget >= needed
    savings = Savings(
        parameters.thresholds, margins=parameters.bounded, fused=unwatched, at_hand=at_hand
    )
    if parameters.bounded and 0 < budget < needed:
        # The budget does not hold all rows: those are kept that a step will most likely want.
        blockwise = blockwise.with_plan(choose_rows=True)
    return savings, blockwise


def _as_stored(run: RunState, points: Points) -> RunState:
    """The run at the centers that a model will have, which stores them in the caller's units."""
    centers = points.inward(points.outward(run.centers))
    return run if centers is run.centers else run._replace(centers=centers)


def _neighbors(parameters: FitParameters) -> tuple[tuple[int, int], ...]:
    """Pairs of runs with a number of clusters and with the next larger one.

    Which of the restarts will be the best is not known before the last pass: all pairs of them.
    """
    restarts = _restarts(parameters)
    by_size = [restarts[at] for at in np.argsort(parameters.n_clusters)]
    return tuple(pair for one, other in pairwise(by_size) for pair in product(one, other))


def _restarts(parameters: FitParameters) -> list[range]:
    """The numbers of the runs for each number of clusters."""
    each = parameters.n_init
    return [range(at * each, (at + 1) * each) for at in range(len(parameters.n_clusters))]


def _figures_of(
    runs: Sequence[RunState],
    statistics: tuple[Statistic, ...],
    rows: Rows,
    parameters: FitParameters,
    pairs: Sequence[tuple[int, int]],
) -> FinalPass:
    """The figures of runs about rows that their steps have not looked at."""
    anew = [new_run(run.number, run.centers) for run in runs]
    return final_pass(
        anew, statistics, rows.rules(parameters), Savings(parameters.thresholds), rows.blockwise,
        rows.found, pairs,
    )  # fmt: skip


def _results(
    state: FitState, final: FinalPass, rows: Rows, parameters: FitParameters
) -> list[FitResult]:
    """Of the restarts for a number of clusters the lowest inertia wins, ties to the first."""
    metric, results, figures = METRICS[parameters.metric], [], final.figures
    winners = [
        min(runs, key=lambda number: (figures[number].inertia, number))
        for runs in _restarts(parameters)
    ]
    # A pair of winners is that of a number of clusters and the next larger one.
    transitions = {
        one: final.pairs[one, other] for one, other in final.pairs if {one, other} <= set(winners)
    }
    for best, k in zip(winners, parameters.n_clusters, strict=True):
        run, (inertia, sizes, moments, more) = state.runs[best], figures[best]
        assert run.reason is not None
        found = int(np.count_nonzero(sizes))
        if found < k:
            checks.warn_fewer_distinct_rows(k, found)
        result = FitResult(
            rows.points.outward(run.centers), rows.points.standardization,
            labels_left(best, rows), metric.of_square * inertia, sizes,
            list(map(metric.told, run.history)), run.reason, state.passes,
            run.centers, moments, more, parameters.metric, transitions.get(best),
        )  # fmt: skip
        results.append(result)
    return results


def labels_left(run: int, rows: Rows) -> np.ndarray | None:
    """Labels that the last pass left in the caches; only of data that lies here."""
    if not rows.points.in_memory:
        return None
    return np.concatenate(rows.blockwise.gather(_labels_of, run, name="gathering labels"))


def _labels_of(block: OpenBlock, run: int) -> np.ndarray:
    return block.cache["labels", run][1]
