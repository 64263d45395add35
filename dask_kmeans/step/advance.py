"""Advance: one pass over the data, in which every run that still moves takes one step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dask_kmeans.blockwise import Blockwise
from dask_kmeans.centers import CenterRule, Update
from dask_kmeans.kernels import Drift, FixedPoint, drift_after, exact_total, merge_sums
from dask_kmeans.statistics import Farthest, FarthestRows, Inertia, Statistic, figures
from dask_kmeans.step.assign import Outcome, Request, assign_block
from dask_kmeans.step.combine import merge_for
from dask_kmeans.step.fused import FusedSteps
from dask_kmeans.step.measure import LabelledStep, MeasureRequest, measure_block
from dask_kmeans.step.move import relocate
from dask_kmeans.step.run import IterationRecord, Run
from dask_kmeans.step.stop import stop

FARTHEST = 256
"""Far rows that a step brings back where it might empty a cluster; more take an extra pass."""

LIVELY, MOST, RARE = 4, 0.75, 0.01
"""How much more often than others the rows of a small cluster may change their label; the share of
them that does so at most, as if each were free to go; and how many clusters a step may be expected
to empty before the far rows are worth looking for."""

LEAST_SIZE, LEAST_WORK = 128, 2**20
"""Numbers in the centers, and times the rows: below these, looking at every row costs about as
little as finding out which rows need no look."""

LONGEST_LEAP = 50
"""Steps on a sample that stand between two passes, at most (see `dask_kmeans.accelerate`)."""


@dataclass(frozen=True)
class Rules:
    """What all steps of a fit go by."""

    blockwise: Blockwise
    center_rule: CenterRule
    n_rows: int
    """Rows that can change their label: those without NaN."""
    tol: float
    max_iter: int
    bounded: bool = False
    """Whether steps may keep margins, so as to look at fewer rows."""
    at_hand: bool = False
    """Whether rows can be looked at once more without being read again."""
    watched: bool = False
    """Whether somebody wants to hear of every step when it has been taken."""

    @property
    def fixed_point(self) -> FixedPoint:
        """What the integers of the sums stand for."""
        return self.center_rule.fixed_point


def advance(runs: list[Run], rules: Rules) -> list[Run]:
    """Take one step with each of the runs; returns those that may leap on from there."""
    wanted = [_statistics_wanted(run, run is runs[0], rules) for run in runs]
    requests = [
        _with_fused_steps(run, request, rules)
        for run, request in zip(runs, _requests(runs, wanted, rules), strict=True)
    ]
    passed = rules.blockwise.visit(
        assign_block, requests, rules.fixed_point, merge=merge_for(requests)
    )
    if passed.bytes_read:
        rules.blockwise.passes += max(
            1 if outcome.fused_taken is None else outcome.fused_taken.passes
            for outcome in passed.outcomes
        )
    if runs[0].iteration == 0:
        _note_scatter_offset(runs, requests[0], passed.outcomes[0], rules.center_rule)
    return [
        run
        for run, request, outcome in zip(runs, requests, passed.outcomes, strict=True)
        if _take_step(run, request, outcome, passed.bytes_read, rules)
    ]


def final_pass(runs: list[Run], statistics: tuple[Statistic, ...], rules: Rules) -> list[list[Any]]:
    """Look at all rows once more: the figures of each run, about its centers.

    Labels are left in the caches: those that margins prove, or that belong to these very centers,
    are the ones of the latest step.
    """
    requests = _requests(runs, [statistics] * len(runs), rules)
    for at, run in enumerate(runs):
        if run.previous is not None and np.array_equal(run.centers, run.previous.centers):
            requests[at] = requests[at]._replace(prepared=run.previous)
    passed = rules.blockwise.run(
        assign_block, requests, rules.fixed_point, merge=merge_for(requests)
    )
    return [
        figures(statistics, outcome.known, run.centers)
        for run, outcome in zip(runs, passed.outcomes, strict=True)
    ]


def _requests(
    runs: list[Run], statistics: list[tuple[Statistic, ...]], rules: Rules
) -> list[Request]:
    """What a pass is to do for the runs' next steps."""
    return [
        Request(
            run.number, run.iteration + 1, run.prepare(run.centers), run.previous, wanted,
            drift=_drift_of(run, rules),
        )
        for run, wanted in zip(runs, statistics, strict=True)
    ]  # fmt: skip


def _with_fused_steps(run: Run, request: Request, rules: Rules) -> Request:
    """The request of a run whose task may take more steps than one, if that is so."""
    if run.sums is None or run.longest_leap or rules.watched or not rules.blockwise.single_task:
        return request
    fused = FusedSteps(
        run.sums, run.scatter_offset, rules.center_rule, rules.n_rows, rules.tol, rules.max_iter
    )
    return request._replace(fused=fused)


def _note_scatter_offset(
    runs: list[Run], request: Request, first: Outcome, rule: CenterRule
) -> None:
    """Note the constant that the first run has measured: it is one of the data, for all runs."""
    measured = _figure(Inertia(), request, first)
    assert measured is not None
    scatter = rule.update(first.sums, runs[0].centers).scatter
    for run in runs:
        run.scatter_offset = measured - scatter


def _drift_of(run: Run, rules: Rules) -> Drift | None:
    """How far a run's centers have gone; None where margins do not pay."""
    pay = margins_pay(run.centers, rules.n_rows) or rules.blockwise.choosing
    if not rules.bounded or not pay:
        return None
    run.drift = drift_after(run.drift, run.assigned, run.centers)
    return run.drift


def margins_pay(centers: np.ndarray, n_rows: int) -> bool:
    """Whether margins save more of the arithmetic than they cost."""
    return centers.size >= LEAST_SIZE and centers.size * n_rows >= LEAST_WORK


def _statistics_wanted(run: Run, leads: bool, rules: Rules) -> tuple[Statistic, ...]:
    """What to learn in the next step: the inertia, and far rows, in case that it empties a cluster.

    The first step measures the inertia, of the run that `leads`. It brings far rows too: seeds are
    most often the ones that get no rows; but for runs that do not lead and have been warmed up. A
    later step empties a
    cluster only by changing the labels of all its rows, of which the changes of the step before
    give an idea. Mostly that is next to impossible, and the step does not look at distances. Where
    all rows are at hand, or those that are kept may do, no step brings any: rows are looked at once
    more when a cluster has been emptied.
    """
    inertia = (Inertia(),) if run.sums is None and leads else ()
    if rules.at_hand or rules.blockwise.choosing:
        return inertia
    if run.sums is None:
        spared = run.longest_leap > 0 and not leads
    else:
        counts = run.sums.counts
        leaving = min(MOST, LIVELY * run.history[-1].changed / max(1, counts.sum()))
        spared = bool((leaving**counts).sum() < RARE)
    return inertia if spared else (*inertia, FarthestRows(min(len(run.centers), FARTHEST)))


def _take_step(run: Run, request: Request, outcome: Outcome, bytes_read: int, rules: Rules) -> bool:
    """Move a run's centers by what a pass found; whether it may leap on from there.

    It may not once it has settled, nor after empty clusters were relocated.
    """
    sums = outcome.sums if run.sums is None else merge_sums(run.sums, outcome.sums)
    if outcome.fused_taken is not None:
        records, prepared, run.drift, bytes_read = outcome.fused_taken
        run.history.extend(records)
        run.centers = prepared.centers
        request = request._replace(step=request.step + len(records), prepared=prepared)
    assigned = run.centers
    run.sums, run.assigned, run.prepared = sums, assigned, request.prepared
    update = rules.center_rule.update(sums, assigned)
    inertia = update.inertia(run.scatter_offset)
    spoilt = not run.is_lloyd_step and inertia > run.lowest_inertia
    image: np.ndarray
    if spoilt:
        assert run.image is not None
        # A leap too far: back to the plain step that it replaced.
        image, relocated = run.image, 0
        center_shift, moved = math.sqrt(exact_total((image - assigned) ** 2)), True
    else:
        update, relocated = _filled(run, request, update, _farthest(request, outcome), rules)
        image, center_shift, moved = update.centers, update.center_shift, update.moved
    run.reason = stop(
        outcome.changed / rules.n_rows, moved, relocated,
        request.step, is_lloyd_step=run.is_lloyd_step, tol=rules.tol, max_iter=rules.max_iter,
    )  # fmt: skip
    run.longest_leap = _next_longest_leap(run.longest_leap, spoilt, run.is_lloyd_step)
    run.lowest_inertia = min(inertia, run.lowest_inertia)
    run.centers = run.image = image
    run.is_lloyd_step = True
    run.history.append(
        IterationRecord(
            request.step,
            outcome.changed,
            inertia,
            center_shift,
            outcome.examined,
            bytes_read,
            seconds=0.0,
        )
    )
    # Leaps that went too far are taken again, shorter and shorter, and in the end not at all.
    return run.reason is None and not relocated and (run.longest_leap > 1 or not spoilt)


def _next_longest_leap(longest: int, spoilt: bool, is_lloyd_step: bool) -> int:
    """Shorter leaps after one too far, longer ones after a good one."""
    if spoilt:
        return max(1, longest // 4)
    return longest if is_lloyd_step else min(LONGEST_LEAP, 2 * longest)


def _filled(
    run: Run, request: Request, update: Update, farthest: Farthest | None, rules: Rules
) -> tuple[Update, int]:
    """The update with far rows in empty clusters, and how many of these were relocated."""
    assert run.sums is not None
    sums, relocated = run.sums, 0
    if update.complete:
        return update, 0
    k, empty = len(run.centers), update.empty
    if farthest is not None:
        sums, relocated = relocate(rules.fixed_point, run.sums, empty, farthest)
    if relocated < len(empty) and FarthestRows(k) not in request.statistics:
        farthest = _measure_farthest(run, request, k, rules.blockwise)
        sums, relocated = relocate(rules.fixed_point, run.sums, empty, farthest)
    if relocated:
        update = rules.center_rule.update(sums, run.centers)
    return update, relocated


def _measure_farthest(run: Run, request: Request, wanted: int, blockwise: Blockwise) -> Farthest:
    """One more look at the rows, where the step did not bring back the far rows that it needs."""
    statistics, labelled = (FarthestRows(wanted),), LabelledStep(run.number, request.step)
    requests = [MeasureRequest(request.prepared, statistics, labelled)]
    (known,) = blockwise.run(measure_block, requests, merge=merge_for(requests))
    return figures(statistics, known, request.prepared.centers)[0]


def _farthest(request: Request, outcome: Outcome) -> Farthest | None:
    """The far rows that a step brought back, if it was asked for any."""
    found = zip(request.statistics, outcome.known, strict=True)
    return next((known for each, known in found if isinstance(each, FarthestRows)), None)


def _figure(statistic: Statistic, request: Request, outcome: Outcome) -> Any:
    """What a step learnt of one of its statistics; None where it was not asked for that."""
    if statistic not in request.statistics:
        return None
    at = request.statistics.index(statistic)
    return statistic.finish(outcome.known[at], request.prepared.centers)
