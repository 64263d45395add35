"""Assign: every row of a block to its nearest center, for every run that moves, in one read.

Rows whose margins prove that their label stands are not looked at, and where all the others lie in
the block's row cache, or there are none, the block is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import OpenBlock
from dask_kmeans.kernels import (
    NO_MARGINS,
    Assignment,
    Drift,
    FixedPoint,
    Margins,
    PreparedCenters,
    Sums,
    assignment,
    drift_after,
    failing,
    nearest,
    no_margins,
)
from dask_kmeans.labels import Labels
from dask_kmeans.parameters import Thresholds
from dask_kmeans.state import FarRowsNeeded, Found, next_state
from dask_kmeans.statistics import (
    Known,
    PairCounts,
    Statistic,
    learn,
    measured_inertia,
    nothing_known,
)
from dask_kmeans.step.fused import FusedSteps, StepsTaken
from dask_kmeans.step.row_cache import NONE, KeptRows, Proof, RowCacheWriter, kept_rows

MARGINS_SHARE = 0.5
"""Share of the label budget that margins may fill: they save work, labels save twice as much."""

LONGEST_REST = 8
"""Steps without margins, at most, after steps in which too many rows failed."""

NO_ROWS = np.empty(0, np.int64)


class Request(NamedTuple):
    """What a pass is to do for one run."""

    run: int
    step: int
    """Number of the step; labels of step - 1 are looked for in the block's cache."""
    prepared: PreparedCenters
    """The centers to compare with."""
    previous: PreparedCenters | None
    """The centers of step - 1, from which labels that a lost worker took along are found again.
    Labels are a function of (row, centers), so these are the same ones. None on the first step."""
    statistics: tuple[Statistic, ...] = ()
    """What to learn of the rows and their new labels; where there are any, all rows are read."""
    drift: Drift | None = None
    """How far the centers have gone; None: keep no margins, look at every row."""
    most_picked: float = Thresholds.most_picked
    """Share of the rows that may fail for these to be picked."""
    labels_stand: bool = False
    """Whether the centers are those of step - 1, so that labels are what they were."""
    fused: FusedSteps | None = None
    """For a step over rows in memory that are all of one block: more may follow at once."""

    def to(self, centers: np.ndarray) -> Request:
        """The request for the step after this one, which goes to these centers."""
        drift = self.drift
        if drift is not None:
            drift = drift_after(drift, self.prepared.centers, centers)
        return Request(
            self.run, self.step + 1, self.prepared.at(centers), self.prepared, drift=drift,
            most_picked=self.most_picked, fused=self.fused,
        )  # fmt: skip


class Outcome(NamedTuple):
    """What one run learns from a pass, over one block or several."""

    sums: Sums
    """*Changes* of the clusters' sums and counts since the step before (all rows on the first)."""
    changed: int
    examined: int
    known: Known = ()
    """For each of the request's statistics."""
    more_steps: StepsTaken | None = None
    """Where more steps than one may have been taken; all else is of the first one."""


class Assigned(NamedTuple):
    """What a pass brings back."""

    bytes_read: int
    outcomes: tuple[Outcome, ...]
    pairs: tuple[PairCounts, ...] = ()
    """For each pair of runs that was asked for, how many rows have each pair of their labels."""

    def count_passes(self) -> int:
        """How often the data was read for it: not at all where margins and kept rows did."""
        if not self.bytes_read:
            return 0
        fused = (outcome.more_steps for outcome in self.outcomes)
        return max(1 if steps is None else steps.reads for steps in fused)


def assign_block(
    block: OpenBlock,
    requests: Sequence[Request],
    fixed_point: FixedPoint,
    pairs: Sequence[tuple[int, int]] = (),
) -> Assigned:
    """New labels for the rows of a block; how the sums, counts and labels have changed.

    pairs : of two requests each, by their places; the pairs of their new labels are counted.
    """
    kept = kept_rows(block)
    steps = [_Step(block, request, fixed_point, block.quota > 0) for request in requests]
    cached = all(step.needs_no_more_than(kept) for step in steps)
    if cached and not block.read_anyway:
        if kept is not None:
            for step in steps:
                step.take_kept(kept)
    else:
        _read(block, steps)
    counts = tuple(steps[one].pairs_with(steps[other]) for one, other in pairs)
    for step in steps:
        step.leave(block)
    return Assigned(block.bytes_read, tuple(step.outcome for step in steps), counts)


def _read(block: OpenBlock, steps: Sequence[_Step]) -> None:
    """Show all rows to the steps, and keep those that will most likely be wanted next."""
    keeping = RowCacheWriter(block)
    first = 0
    for values, weights in block.pieces():
        for step in steps:
            step.take(values, weights, first)
        keeping.take(values, weights, first, [step.lifetime for step in steps])
        first += len(values)
    keeping.leave(block)


class _Step:
    """One run's step over one block."""

    def __init__(self, block: OpenBlock, request: Request, fixed_point: FixedPoint, frugal: bool):
        """frugal : margins may save reads: they are kept whatever they save of the arithmetic."""
        self.request, self.fixed_point, self.start = request, fixed_point, block.start
        k = len(request.prepared.centers)
        self.labels, known = Labels.recall(block, ("labels", request.run), request.step - 1, k)
        self.rebuild = not known
        # As labels do, margins leave the cache while they are being changed.
        proof: Proof = block.cache.pop(("proof", request.run), Proof(0))
        if self.rebuild or proof.step != request.step - 1:
            proof = Proof(0)
        self.rest, self.next_rest = proof.rest, proof.next_rest
        self.frugal = frugal
        self._prove(proof.margins, block.rows)
        self.sums = fixed_point.zero_sums(k, block.zeros)
        self.known = nothing_known(request.statistics, request.prepared.centers)
        self.changed = 0
        self.more_steps: StepsTaken | None = None

    def _prove(self, margins: np.ndarray, rows: int) -> None:
        """Find margins to keep from this step on, and the rows to look at: None for all of them."""
        self.margins, self.picks = self._proved(margins, rows)
        self.examined = rows if self.picks is None else len(self.picks)

    def _proved(self, margins: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray | None]:
        drift = self.request.drift
        if self.request.labels_stand:
            return margins, NO_ROWS
        if drift is None:
            return NONE, None
        if len(margins) == 0:
            if self.rest and not self.frugal:
                self.rest -= 1
                return NONE, None
            return no_margins(rows), None
        picks = failing(margins, self.labels.of(slice(None)), drift)
        if len(picks) <= self.request.most_picked * rows:
            self.next_rest = 1
            return margins, picks
        self.rest, self.next_rest = self.next_rest - 1, min(2 * self.next_rest, LONGEST_REST)
        return (NONE if self.rest and not self.frugal else margins), None

    def needs_no_more_than(self, kept: KeptRows | None) -> bool:
        """Whether all rows that it has to look at are kept."""
        if self.picks is None or self.request.statistics:
            return False
        return len(self.picks) == 0 or (kept is not None and kept.have(self.picks))

    def take(self, values: np.ndarray, weights: np.ndarray | None, first: int) -> None:
        """Look at the rows that follow row `first` of the block."""
        stop = first + len(values)
        rows = slice(first, stop)
        known = self.labels.of(rows)
        if self.rebuild and self.request.previous is not None:
            nearest(values, self.request.previous, known)
        picks = self.picks
        if picks is not None and len(values) < len(self.labels.stored):
            begin, end = np.searchsorted(picks, [first, stop])
            picks = picks[begin:end] - first
        these = self._assign(values, weights, known, picks, self.margins[rows])
        self.known = learn(
            self.request.statistics, self.known, values, weights, known,
            self.request.prepared.centers, self.start + first,
        )  # fmt: skip
        if self.request.fused is not None and len(values) == len(self.labels.stored):
            self._take_fused_steps(self.request.fused, these, values, weights, known)
        self.labels.put(rows, known)

    def take_kept(self, kept: KeptRows) -> None:
        """Look at kept rows."""
        assert self.picks is not None
        if len(self.picks) == 0:
            return
        known, margins = self.labels.stored[kept.rows].astype(np.int32), self.margins[kept.rows]
        self._assign(kept.values, kept.weights, known, kept.places(self.picks), margins)
        self.labels.stored[kept.rows] = known
        self.margins[kept.rows] = margins

    def _assign(self, values, weights, labels, picks, margins) -> Assignment:
        """Label rows, and add them up in `sums`."""
        these = assignment(values, weights, self.fixed_point, labels, self.sums)
        self.changed += these.to(self.request.prepared, picks, self._written(margins)).changed
        return these

    def _written(self, margins: np.ndarray) -> Margins:
        """Margins as the kernels write them."""
        drift = self.request.drift
        return NO_MARGINS if drift is None else drift.margins(margins)

    def _take_fused_steps(
        self, fused: FusedSteps, these: Assignment, values, weights, labels
    ) -> None:
        """Take the steps that follow, as long as the driver would do nothing else."""
        state, latest, changed, reads = fused.state, fused.state.latest, self.changed, 0
        total = self.sums
        if latest is not None:
            total = Sums(*(a + b for a, b in zip(latest.sums, self.sums, strict=True)))
            these = assignment(values, weights, self.fixed_point, labels, total)
        inertia = measured_inertia(self.request.statistics, self.known)
        while True:
            reads += self.examined > 0
            found = Found(
                total, changed, self.examined, values.nbytes if self.examined else 0,
                drift=self.request.drift, inertia=inertia,
            )  # fmt: skip
            following = next_state(state, found, fused.rules)
            if isinstance(following, FarRowsNeeded) or following.reason is not None:
                break
            state, inertia = following, None
            self.request = self.request.to(following.centers)
            self._prove(self.margins, len(values))
            written = self._written(self.margins)
            changed = these.to(self.request.prepared, self.picks, written).changed
        self.more_steps = StepsTaken(state, found, following, reads)

    def lifetime(self, rows: slice) -> np.ndarray:
        """For how many steps like the last one the labels of rows are proved."""
        labels, margins, drift = self.labels.of(rows), self.margins[rows], self.request.drift
        if drift is None or len(margins) == 0:
            return np.zeros(len(labels), np.float32)
        with np.errstate(all="ignore"):
            lifetime = (margins - drift.total[labels]) / np.maximum(drift.latest, 1e-300)[labels]
        lifetime[labels < 0] = np.inf
        return lifetime

    def pairs_with(self, other: _Step) -> PairCounts:
        """How many rows have each pair of a new label of this run and one of the other run."""
        one, two = (len(step.request.prepared.centers) for step in (self, other))
        return PairCounts.of(self.labels.stored, other.labels.stored, (one, two))

    def leave(self, block: OpenBlock) -> None:
        """Leave what is known in the block's cache."""
        run, step = self.request.run, self.request.step
        self.labels.leave(block, ("labels", run), step)
        proof = Proof(step, self.margins, self.rest, self.next_rest)
        block.remember(("proof", run), proof, self.margins.nbytes, MARGINS_SHARE)

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.sums, self.changed, self.examined, self.known, self.more_steps)
