"""Advance: one pass over the data, in which every run that still moves takes one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dask_kmeans.blockwise import Blockwise
from dask_kmeans.centers import Update
from dask_kmeans.kernels import Drift, Moments, Sums, drift_after, merge_sums
from dask_kmeans.parameters import Thresholds
from dask_kmeans.state import FarRowsNeeded, Found, Rules, RunState, next_state
from dask_kmeans.statistics import (
    FarthestRows,
    Inertia,
    PairCounts,
    Statistic,
    figures,
    measured_inertia,
)
from dask_kmeans.step.assign import Assigned, Outcome, Request, assign_block
from dask_kmeans.step.combine import merge_for
from dask_kmeans.step.fused import FusedSteps
from dask_kmeans.step.measure import LabelledStep, MeasureRequest, measure_block
from dask_kmeans.step.unchanged import check_inertia, check_sums
from dask_kmeans.survey import Survey

FARTHEST = 256
"""Far rows that a step brings back where it might empty a cluster; more take an extra pass."""

SMALL_CLUSTER_FACTOR = 4
"""How much more often than others the rows of a small cluster may change their label."""

MOST_LEAVING = 0.75
"""Share of a cluster's rows that leave it in a step, at most, as if each were free to go."""

RARELY_EMPTIED = 0.01
"""Clusters that a step may be expected to empty before far rows are worth looking for."""


@dataclass(frozen=True)
class Savings:
    """How steps may save work, which has no say in what they find."""

    thresholds: Thresholds
    margins: bool = False
    """Whether they may keep margins, so as to look at fewer rows."""
    fused: bool = False
    """Whether a task may take several, for nobody wants to hear of each when it has been taken."""
    at_hand: bool = False
    """Whether rows can be looked at once more without being read again."""

    def margins_pay(self, centers: np.ndarray, n_rows: int) -> bool:
        """Whether margins save more of the arithmetic than they cost."""
        size, work = self.thresholds.margins_size, self.thresholds.margins_work
        return centers.size >= size and centers.size * n_rows >= work


class FinalFigures(NamedTuple):
    """What the last pass tells of a run."""

    inertia: float
    sizes: np.ndarray
    """int64 (k,): rows of each cluster."""
    moments: Moments
    """Means and weights of the clusters, of rows as they are compared."""
    statistics: list[Any]
    """The figures that it was asked for."""


class FinalPass(NamedTuple):
    """What the last pass tells."""

    figures: list[FinalFigures]
    """Of each run."""
    pairs: dict[tuple[int, int], PairCounts]
    """For each pair of runs that was asked for, how many rows have each pair of their labels."""


def advance(
    runs: list[RunState], rules: Rules, savings: Savings, blockwise: Blockwise, survey: Survey
) -> list[RunState]:
    """Take one step with each of the runs, in a pass that they share.

    Raises
    ------
    DataChangedError
        For sums that the surveyed rows cannot have.
    """
    requests = [
        _request(
            run,
            rules,
            savings,
            blockwise,
            statistics=_statistics_wanted(run, run is runs[0], savings, blockwise),
            fused=_fused_steps(run, len(runs) == 1, rules, savings, blockwise),
        )
        for run in runs
    ]
    passed = blockwise.run(
        assign_block, requests, rules.center_rule.fixed_point, merge=merge_for(requests),
        count=Assigned.count_passes, name=f"iteration {runs[0].iteration + 1}",
    )  # fmt: skip
    stepped: list[RunState] = []
    for run, request, outcome in zip(runs, requests, passed.outcomes, strict=True):
        if run.latest is None and stepped:
            # A constant of the data, which the first run has measured for all.
            run = run._replace(scatter_offset=stepped[0].scatter_offset)
        if outcome.more_steps is None:
            found = _found(run, request, outcome, passed.bytes_read)
            following = next_state(run, found, rules)
        else:
            run, found, following, _ = outcome.more_steps
        if not (savings.fused and blockwise.in_memory):
            # Else nobody is between the steps who could change rows in memory; the last pass tells.
            _check_sums(found.sums, run, rules, survey)
        stepped.append(_ended(run, found, following, rules, blockwise))
    return stepped


def final_pass(
    runs: list[RunState],
    statistics: tuple[Statistic, ...],
    rules: Rules,
    savings: Savings,
    blockwise: Blockwise,
    survey: Survey,
    pairs: Sequence[tuple[int, int]] = (),
) -> FinalPass:
    """Go over all rows once more: the figures of each run, about its centers.

    Runs without a step are as good: their rows may be others than those that steps have looked at.
    Labels are left in the caches: those that margins prove, or that belong to these very centers,
    are the ones of the latest step.

    Parameters
    ----------
    statistics : tuple of Statistic
        What to learn beside the inertia and the sizes of the clusters.
    pairs : sequence of (int, int)
        Places of two runs each, whose pairs of labels are counted.

    Raises
    ------
    DataChangedError
        For sums that the surveyed rows cannot have, or that do not explain the inertia.
    """
    requests = [
        _request(
            run,
            rules,
            savings,
            blockwise,
            statistics=(Inertia(), *statistics),
            labels_stand=run.latest is not None
            and bool((run.centers == run.latest.assigned).all()),
        )
        for run in runs
    ]
    passed = blockwise.run(
        assign_block, requests, rules.center_rule.fixed_point, pairs, merge=merge_for(requests),
        name="last pass",
    )  # fmt: skip
    found = []
    for run, outcome in zip(runs, passed.outcomes, strict=True):
        inertia, *more = figures((Inertia(), *statistics), outcome.known, run.centers)
        sums = outcome.sums
        if run.latest is not None:
            sums = merge_sums(sums, run.latest.sums)
        update = _check_sums(sums, run, rules, survey)
        if run.latest is not None:
            check_inertia(inertia, update, run, survey)
        found.append(FinalFigures(inertia, sums.counts, update.moments, more))
    return FinalPass(found, dict(zip(pairs, passed.pairs, strict=True)))


def _check_sums(sums: Sums, run: RunState, rules: Rules, survey: Survey) -> Update:
    """Check the sums of all rows about the run's centers; what follows from them."""
    update = rules.center_rule.update(sums, run.centers)
    check_sums(sums, update, rules.center_rule.fixed_point, survey)
    return update


def _ended(
    run: RunState,
    found: Found,
    following: RunState | FarRowsNeeded,
    rules: Rules,
    blockwise: Blockwise,
) -> RunState:
    """The run's next state, after one more pass where that takes far rows."""
    while isinstance(following, FarRowsNeeded):
        farthest = FarthestRows(following.wanted)
        found = found._replace(
            farthest=_measured(run, farthest, blockwise), farthest_wanted=farthest.wanted
        )
        following = next_state(run, found, rules)
    return following


def _measured(run: RunState, statistic: Statistic, blockwise: Blockwise) -> Any:
    """A figure of all rows about the centers that a step has just labelled them by."""
    step = LabelledStep(run.number, run.iteration + 1)
    requests = [MeasureRequest(run.prepared(run.centers), (statistic,), step)]
    (known,) = blockwise.run(
        measure_block, requests, merge=merge_for(requests), name="looking for far rows"
    )
    return figures((statistic,), known, run.centers)[0]


def _request(
    run: RunState, rules: Rules, savings: Savings, blockwise: Blockwise, **more: Any
) -> Request:
    """What a pass is to do for the run's next step; `more` are further fields of the request."""
    previous = None if run.latest is None else run.prepared(run.latest.assigned)
    return Request(
        run.number, run.iteration + 1, run.prepared(run.centers), previous,
        drift=_drift(run, rules, savings, blockwise),
        most_picked=savings.thresholds.most_picked, **more,
    )  # fmt: skip


def _found(run: RunState, request: Request, outcome: Outcome, bytes_read: int) -> Found:
    """What a pass has found for the run."""
    sums = outcome.sums
    if run.latest is not None:
        sums = merge_sums(sums, run.latest.sums)  # in the memory of the former, which is ours
    found = Found(
        sums, outcome.changed, outcome.examined, bytes_read, drift=request.drift,
        inertia=measured_inertia(request.statistics, outcome.known),
    )  # fmt: skip
    for statistic, known in zip(request.statistics, outcome.known, strict=True):
        if isinstance(statistic, FarthestRows):
            found = found._replace(farthest=known, farthest_wanted=statistic.wanted)
    return found


def _fused_steps(
    run: RunState, only: bool, rules: Rules, savings: Savings, blockwise: Blockwise
) -> FusedSteps | None:
    """For a task that may take more steps than one; only : whether no other run moves."""
    if run.longest_leap or not savings.fused or not blockwise.single_task:
        return None
    if run.latest is None and not (only and blockwise.plan.collector is None):
        return None  # the first step of several measures for all; that beside a sample is checked
    return FusedSteps(run, rules)


def _drift(run: RunState, rules: Rules, savings: Savings, blockwise: Blockwise) -> Drift | None:
    """How far a run's centers have gone; None where margins do not pay."""
    pay = savings.margins_pay(run.centers, rules.n_rows) or blockwise.plan.choose_rows
    if not savings.margins or not pay:
        return None
    assigned = None if run.latest is None else run.latest.assigned
    return drift_after(run.drift, assigned, run.centers)


def _statistics_wanted(
    run: RunState, leads: bool, savings: Savings, blockwise: Blockwise
) -> tuple[Statistic, ...]:
    """What to learn in the next step: the inertia, and far rows, in case that it empties a cluster.

    The first step measures the inertia of the run that `leads`. It brings far rows too: seeds are
    most often the ones that get no rows; but for runs that do not lead and have been warmed up. A
    later step empties a cluster only by changing the labels of all its rows, of which the changes
    of the step before give an idea. Mostly that is next to impossible, and the step does not look
    at distances. Where all rows are at hand, or those that are kept may do, no step brings any:
    rows are looked at once more when a cluster has been emptied.
    """
    inertia = (Inertia(),) if run.latest is None and leads else ()
    if savings.at_hand or blockwise.plan.choose_rows:
        return inertia
    if run.latest is None:
        unlikely = run.longest_leap > 0 and not leads
    else:
        counts = run.latest.sums.counts
        changing = run.history[-1].changed / max(1, counts.sum())
        leaving = min(MOST_LEAVING, SMALL_CLUSTER_FACTOR * changing)
        unlikely = bool((leaving**counts).sum() < RARELY_EMPTIED)
    if unlikely:
        return inertia
    return (*inertia, FarthestRows(min(len(run.centers), FARTHEST)))
