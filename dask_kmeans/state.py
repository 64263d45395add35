"""The state of a run, and the one pure function that takes it a step further.

There is no reader here, no client, and nothing that is changed in place: `next_state` makes the
next state of a state and of what a pass over the rows has found. Where that takes rows that the
pass did not bring back, it says so, and is called again with them. Leaps are not made here:
`accelerate` proposes other centers to a state that may leap, and the step after tells whether they
were any good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from dask_kmeans import checks
from dask_kmeans.centers import CenterRule, Update, relocate
from dask_kmeans.kernels import Drift, PreparedCenters, Sums, exact_total, prepare
from dask_kmeans.statistics import Farthest

LONGEST_LEAP = 50
"""Steps on a sample that stand between two passes, at most (see `dask_kmeans.accelerate`)."""


class IterationRecord(NamedTuple):
    """One iteration of one run.

    Attributes
    ----------
    iteration : int
        Counted from 1.
    changed : int
        Rows that count (weight above 0) whose label is another than an iteration ago; all of them
        in the first.
    inertia : float
        Of this iteration's labels about the centers they were assigned to.
    center_shift : float
        Euclidean norm of the centers' move that followed, in the unit of the data.
    examined : int
        Rows whose distances were computed.
    bytes_read : int
        Bytes of the rows read, as they lie in memory; restarts that share a pass share them.
    seconds : float
        Wall time of the iteration; those that a task took on end (small data in memory) have
        equal shares of it.
    """

    iteration: int
    changed: int
    inertia: float
    center_shift: float
    examined: int
    bytes_read: int
    seconds: float


class StopReason(StrEnum):
    """Why a run ended; each value is a sentence for whoever reads the report."""

    CONVERGED = "converged: no row changes its cluster any more"
    SETTLED = "converged: the share of rows that changed their cluster fell to tol or below"
    MAX_ITER = str(checks.UNSETTLED)

    @property
    def converged(self) -> bool:
        """Whether the labels settled."""
        return self in (StopReason.CONVERGED, StopReason.SETTLED)


class Anchor(NamedTuple):
    """Centers, and the sums of all rows less those that a sample would have one expect."""

    centers: np.ndarray
    """(k, d) float64"""
    totals: np.ndarray
    """(k, d) float64: error of the sums of weight * (x - shift)"""
    weights: np.ndarray
    """(k,) float64: error of the clusters' weights"""


class LatestStep(NamedTuple):
    """What the latest step left."""

    assigned: np.ndarray
    """(k, d) float64: the centers that its labels belong to."""
    sums: Sums
    """Sums and counts of its labels."""
    lloyd_centers: np.ndarray
    """(k, d) float64: where Lloyd's iteration goes from it; from the one before, if this one was a
    leap too far."""


class RunState(NamedTuple):
    """Where one restart of one number of clusters stands between two steps."""

    number: int
    """Of the run among those of the fit, from 0."""
    centers: np.ndarray
    """(k, d) float64: where the next step compares."""
    origin: PreparedCenters
    """The first centers of the run: prepared centers have their origin where these have it."""
    latest: LatestStep | None = None
    """None before the first step."""
    is_lloyd_step: bool = True
    """Whether `centers` are those that Lloyd's iteration prescribes, not a leap beyond them."""
    may_leap: bool = False
    """Whether other centers may be proposed in their place."""
    longest_leap: int = 0
    """Steps on the sample that the next leap may take; 0 for a run without a sample."""
    lowest_inertia: float = math.inf
    """Of the steps so far."""
    scatter_offset: float = 0.0
    """Inertia less `centers.Update.scatter`: the same in every step."""
    history: tuple[IterationRecord, ...] = ()
    reason: StopReason | None = None
    """Why the run has ended; None while it goes on."""
    anchors: tuple[Anchor, ...] = ()
    """Where leaps take their bearings; the oldest first."""
    drift: Drift | None = None
    """How far the centers have gone since margins were first kept; a checkpoint forgets it."""

    @property
    def iteration(self) -> int:
        """Steps taken."""
        return len(self.history)

    def prepared(self, centers: np.ndarray) -> PreparedCenters:
        """Centers as the kernels take them."""
        return self.origin.at(centers)


def new_run(number: int, centers: np.ndarray, longest_leap: int = 0) -> RunState:
    """A run before its first step."""
    return RunState(number, centers, prepare(centers), longest_leap=longest_leap)


class Found(NamedTuple):
    """What a pass has found for one run, about `RunState.centers`."""

    sums: Sums
    """Sums and counts of the new labels, of all rows."""
    changed: int
    """Rows that count whose label is another than before."""
    examined: int
    """Rows whose distances were computed."""
    bytes_read: int
    farthest: Farthest | None = None
    """The rows farthest from their centers; None where they were not asked for."""
    farthest_wanted: int = 0
    """How many of them were asked for."""
    drift: Drift | None = None
    """How far the centers have gone by now; None where no margins are kept."""
    inertia: float | None = None
    """As the rows say, in the first step of a run; None where it follows from the sums."""


class FarRowsNeeded(NamedTuple):
    """In place of a state: empty clusters need far rows that the pass did not bring back."""

    wanted: int


@dataclass(frozen=True)
class Rules:
    """What all steps of a fit go by."""

    center_rule: CenterRule
    n_rows: int
    """Rows whose labels tell whether a run has settled: those that count."""
    tol: float
    max_iter: int


class _Move(NamedTuple):
    """Where a step sends the centers."""

    centers: np.ndarray
    center_shift: float
    moved: bool
    relocated: int = 0
    overshot: bool = False
    """Whether it takes a leap back."""


def next_state(state: RunState, found: Found, rules: Rules) -> RunState | FarRowsNeeded:
    """The state after a step whose pass has found this.

    Where a cluster is empty, and `found.farthest` are too few to fill all that are, more of them
    are asked for, once: the clusters that even as many rows as there are centers do not fill stay
    where they are.
    """
    update = rules.center_rule.update(found.sums, state.centers)
    if found.inertia is not None:
        state = state._replace(scatter_offset=found.inertia - update.scatter)
    inertia = update.inertia(state.scatter_offset)
    if state.latest is not None and not state.is_lloyd_step and inertia > state.lowest_inertia:
        back = state.latest.lloyd_centers
        way = math.sqrt(exact_total((back - state.centers) ** 2))
        return _taken(state, found, _Move(back, way, True, overshot=True), inertia, rules)
    relocated = 0
    if not update.complete:
        filled = _filled(state, found, update, rules)
        if isinstance(filled, FarRowsNeeded):
            return filled
        update, relocated = filled
    move = _Move(update.centers, update.center_shift, update.moved, relocated)
    return _taken(state, found, move, inertia, rules)


def _filled(
    state: RunState, found: Found, update: Update, rules: Rules
) -> tuple[Update, int] | FarRowsNeeded:
    """The update with far rows in empty clusters, and how many of these were relocated."""
    k, sums, relocated = len(state.centers), found.sums, 0
    if found.farthest is not None:
        sums, relocated = relocate(
            rules.center_rule.fixed_point, sums, update.empty, found.farthest
        )
    if relocated < len(update.empty) and found.farthest_wanted < k:
        return FarRowsNeeded(k)
    return (rules.center_rule.update(sums, state.centers) if relocated else update), relocated


def _taken(state: RunState, found: Found, move: _Move, inertia: float, rules: Rules) -> RunState:
    """The state after this move."""
    iteration = len(state.history) + 1
    reason = stop(
        found.changed / rules.n_rows, move.moved, move.relocated, iteration,
        is_lloyd_step=state.is_lloyd_step, tol=rules.tol, max_iter=rules.max_iter,
    )  # fmt: skip
    longest_leap = _next_longest_leap(state.longest_leap, move.overshot, state.is_lloyd_step)
    record = IterationRecord(
        iteration, found.changed, inertia, move.center_shift, found.examined, found.bytes_read, 0.0
    )
    # Every field is named, since `_replace` takes twice as long: a small step waits for it.
    return RunState(
        number=state.number,
        centers=move.centers,
        origin=state.origin,
        latest=LatestStep(state.centers, found.sums, move.centers),
        is_lloyd_step=True,
        # Leaps that went too far are taken again, shorter and shorter, and in the end not at all.
        may_leap=reason is None and not move.relocated and longest_leap > int(move.overshot),
        longest_leap=longest_leap,
        lowest_inertia=min(inertia, state.lowest_inertia),
        scatter_offset=state.scatter_offset,
        history=(*state.history, record),
        reason=reason,
        anchors=state.anchors,
        drift=found.drift,
    )


def _next_longest_leap(longest: int, overshot: bool, is_lloyd_step: bool) -> int:
    """Shorter leaps after one too far, longer ones after a good one."""
    if overshot:
        return max(1, longest // 4)
    return longest if is_lloyd_step else min(LONGEST_LEAP, 2 * longest)


def stop(
    changed: float,
    moved: bool,
    relocated: int,
    iteration: int,
    *,
    is_lloyd_step: bool,
    tol: float,
    max_iter: int,
) -> StopReason | None:
    """Whether a run ends after this iteration, and why.

    Parameters
    ----------
    changed : float
        Share of the rows that count whose label is another than an iteration ago.
    moved : bool
        Whether any center moved: where none did, the next iteration would change nothing.
    relocated : int
        Empty clusters that were moved to far rows: such a step has not converged.
    iteration : int
        Counted from 1. The first gives every row a label, so it cannot tell that labels settled.
    is_lloyd_step : bool
        Whether the centers were those that Lloyd's iteration made of the labels before: then, and
        only then, does the share of changed labels tell how far it is from settling.
    """
    if not relocated:
        if not moved or (is_lloyd_step and changed == 0):
            return StopReason.CONVERGED
        if is_lloyd_step and iteration > 1 and changed <= tol:
            return StopReason.SETTLED
    if iteration >= max_iter:
        return StopReason.MAX_ITER
    return None


def timed(before: Sequence[RunState], after: Sequence[RunState], seconds: float) -> list[RunState]:
    """The states after some steps, with the time shared out among the records of these steps."""
    return [
        _with_seconds(run, earlier.iteration, seconds)
        for earlier, run in zip(before, after, strict=True)
    ]


def _with_seconds(state: RunState, since: int, seconds: float) -> RunState:
    each = seconds / (state.iteration - since)
    latest = (IterationRecord(*record[:-1], each) for record in state.history[since:])
    return state._replace(history=(*state.history[:since], *latest))
