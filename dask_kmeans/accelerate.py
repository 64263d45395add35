"""Fewer passes over the data: what can be settled on a sample is settled there.

A pass over all rows is exact and dear, one over a sample in memory is neither. Two uses of it, both
a function of (data, parameters, seed) alone, since a hash of its number puts a row into the sample:

* *warm-up*: before the first pass, Lloyd's iteration on the sample until that settles, with
  exchanges of clusters where there are many (`step.exchange`);
* *leaps*: after each pass, many cheap steps on the sample, each corrected by how far the sample's
  sums were from those of all rows where a pass has been (`step.anchor`). Their fixed points are
  those of Lloyd's own iteration, but one pass covers the ground of many.

Either only proposes where the next pass compares. A leap that made the inertia rise is taken back
for a shorter one from the same place, or for the Lloyd step it replaced, and a run settles on Lloyd
steps alone (`state.next_state`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from dask_kmeans.kernels import Drift, PreparedCenters, Sums, drift_after, merge_sums
from dask_kmeans.sample import ROWS_A_CLUSTER, SampledRows
from dask_kmeans.state import Rules, RunState
from dask_kmeans.step.advance import Savings
from dask_kmeans.step.anchor import Bearings, anchor, estimated_centers, with_anchor
from dask_kmeans.step.assign import Request, assign_block
from dask_kmeans.step.combine import merge_for
from dask_kmeans.step.exchange import exchanged, split_clusters
from dask_kmeans.step.measure import LabelledStep

LLOYD_IS_ENOUGH = 0.8
"""Share of tol: where a Lloyd step changes fewer of the sampled labels, it will settle the run."""

FADED = 0.1
"""A leap on few sampled rows a cluster ends where a step changes at most this share of the sampled
labels that its first, Lloyd's own, has changed: beyond, steps follow the rows that chance has put
into the sample. (GloVe: 59 passes instead of 94 for k=1000, but 46 instead of 35 for k=100, where
rows are many.)"""

EXCHANGES = 4
"""Rounds of exchanges in a warm-up, at most: on all data tried, later ones find next to none."""

MANY = 256
"""Clusters from which on there are exchanges. Seeds of fewer have had their swaps in the recluster,
and a round of exchanges would take longer than several steps."""

ROUGH = 0.03
"""Share of the sampled labels that change in a step, from which on clusters may be exchanged: where
to do so shows long before all has settled."""

STEPS_BETWEEN = 4
"""Steps from one round of exchanges to the next, unless the run settles before."""


@dataclass
class _SampleRun:
    """What is known of one run on the sample, from leap to leap."""

    serial: int
    """Number of its latest step, which no other sample run has."""
    prepared: PreparedCenters | None = None
    """The centers that the sample's labels belong to."""
    sums: Sums | None = None
    """Of the sample, for these labels."""
    share_changed: float = 1.0
    """Of the sampled labels, in the latest step."""
    drift: Drift | None = None


@dataclass
class _Trip:
    """One warm-up or leap of a run."""

    run: RunState
    sampled: _SampleRun
    centers: np.ndarray
    """Where the next step on the sample compares."""
    steps: int = 0
    leapt: bool = False
    """Whether `centers` are other ones than those of the run."""
    settled: bool = False
    bearings: Bearings | None = None
    """What a leap knows of the sample's error."""
    first_changed: float = 1.0
    """Share of the sampled labels that the first step of a leap has changed."""
    exchanges: int = 0
    """Rounds of exchanges that a warm-up may still make."""
    next_exchange: int = 2
    """Steps after which the next of them may be."""


@dataclass
class Accelerator:
    """Warm-up and leaps of all runs of a fit, which share the passes over the sample.

    Without a sample it does nothing: every step is one of Lloyd's.
    """

    sampled: SampledRows | None
    rules: Rules
    savings: Savings
    _sample_runs: dict[int, _SampleRun] = field(default_factory=dict, init=False)
    _serials: Iterator[int] = field(default_factory=lambda: count(0, 2**32), init=False)

    def warm_up(self, runs: Sequence[RunState]) -> list[RunState]:
        """The runs at centers where Lloyd's iteration on the sample settles.

        On the way there, many clusters are exchanged (`step.exchange`). Runs that may not leap stay
        where they are.
        """
        if self.sampled is None:
            return list(runs)
        self._sample_runs.clear()
        trips = [
            _Trip(
                run, self._sample_run(run), run.centers, settled=run.longest_leap == 0,
                exchanges=EXCHANGES if len(run.centers) >= MANY else 0,
            )
            for run in runs
        ]  # fmt: skip
        rule = self.rules.center_rule
        while going := [trip for trip in trips if not trip.settled]:
            self._assign(going, "warm-up")
            for trip in going:
                assert trip.sampled.sums is not None
                trip.settled = (
                    trip.steps > 1 and trip.sampled.share_changed <= self.rules.tol
                ) or trip.steps >= self.rules.max_iter
                if not self._exchange(trip):
                    trip.centers = rule.update(trip.sampled.sums, trip.centers).centers
        return [trip.run._replace(centers=trip.centers) for trip in trips]

    def _exchange(self, trip: _Trip) -> bool:
        """Exchange clusters of a warm-up, if it is time; whether any were, and the run moves on."""
        sampled, tol = trip.sampled, self.rules.tol
        due = trip.settled or (
            trip.steps >= trip.next_exchange and sampled.share_changed <= max(ROUGH, tol)
        )
        if not due or trip.exchanges == 0 or trip.steps >= self.rules.max_iter:
            return False
        assert self.sampled is not None
        assert sampled.prepared is not None
        assert sampled.sums is not None
        rule, before = self.rules.center_rule, sampled.prepared.centers
        split = split_clusters(
            self.sampled.gathered(), rule, sampled.prepared,
            LabelledStep(trip.run.number, sampled.serial),
            rule.update(sampled.sums, before).centers,
        )  # fmt: skip
        centers, made = exchanged(rule, sampled.sums, before, split)
        if not made:
            trip.exchanges = 0
            return False
        trip.exchanges -= 1
        trip.next_exchange = trip.steps + STEPS_BETWEEN
        trip.centers, trip.settled = centers, False
        return True

    def leap(self, runs: Sequence[RunState]) -> list[RunState]:
        """The runs, those that may leap at farther centers if that saves passes."""
        if self.sampled is None:
            return list(runs)
        trips = {
            run.number: _Trip(run, self._sample_run(run), run.latest.assigned)
            for run in runs
            if run.may_leap and run.latest is not None
        }
        if trips:
            # The sample's sums where those of all are known.
            self._assign(list(trips.values()), "leap")
            for trip in trips.values():
                self._depart(trip)
        while going := [trip for trip in trips.values() if not trip.settled]:
            self._assign(going, "leap")
            for trip in going:
                self._go_on(trip)
        return [_proposed(trips[run.number]) if run.number in trips else run for run in runs]

    def _sample_run(self, run: RunState) -> _SampleRun:
        if run.number not in self._sample_runs:
            self._sample_runs[run.number] = _SampleRun(next(self._serials))
        return self._sample_runs[run.number]

    @property
    def _rows_for_each(self) -> float:
        """Rows for each sampled one."""
        assert self.sampled is not None
        return 1.0 / self.sampled.plan.share

    def _depart(self, trip: _Trip) -> None:
        """Take bearings where the sums of all rows are known."""
        run, latest, sampled = trip.run, trip.run.latest, trip.sampled
        assert self.sampled is not None
        assert latest is not None
        assert sampled.sums is not None
        here = anchor(
            self.rules.center_rule.fixed_point, latest.assigned, latest.sums, sampled.sums,
            self._rows_for_each,
        )  # fmt: skip
        anchors = with_anchor(run.anchors, here)
        longest = min(run.longest_leap, self.sampled.plan.affordable_steps(len(run.centers)))
        trip.run = run._replace(anchors=anchors, longest_leap=longest)
        weights = self.rules.center_rule.fixed_point.moments(latest.sums).weights
        trip.bearings = Bearings(anchors, weights)
        trip.centers = run.centers

    def _go_on(self, trip: _Trip) -> None:
        """One more step of a leap, unless the run had better not leap at all."""
        if trip.steps == 2 and self._lloyd_is_enough(trip):
            trip.settled = True
            return
        trip.centers, trip.leapt = self._estimated(trip), True
        changed = trip.sampled.share_changed
        if trip.steps == 2:
            trip.first_changed = changed
        least = FADED * trip.first_changed if self._few_rows(len(trip.centers)) else 0.0
        faded = changed <= max(self.rules.tol, least)
        trip.settled = faded or trip.steps > trip.run.longest_leap

    def _few_rows(self, n_clusters: int) -> bool:
        """Whether fewer rows are sampled than the clusters would have at best."""
        return self.rules.n_rows < ROWS_A_CLUSTER * n_clusters * self._rows_for_each

    def _lloyd_is_enough(self, trip: _Trip) -> bool:
        """Whether the Lloyd step, the first on the sample, is likely to settle its run.

        Not after a leap too far: the labels that the step changes are those of the leap.
        """
        overshot = trip.run.history[-1].inertia > trip.run.lowest_inertia
        enough = trip.sampled.share_changed <= LLOYD_IS_ENOUGH * self.rules.tol
        return not overshot and enough

    def _estimated(self, trip: _Trip) -> np.ndarray:
        """Centers after one more step of a leap."""
        sampled = trip.sampled
        assert trip.bearings is not None
        assert sampled.prepared is not None
        assert sampled.sums is not None
        error = trip.bearings.error_at(sampled.prepared.centers)
        return estimated_centers(
            self.rules.center_rule, sampled.sums, self._rows_for_each, error,
            trip.bearings.weights, trip.run.centers,
        )  # fmt: skip

    def _assign(self, trips: Sequence[_Trip], what: str) -> None:
        """One step on the sample of each trip's sums to its centers."""
        assert self.sampled is not None
        blockwise = self.sampled.gathered()
        n_rows = blockwise.n_rows
        requests = [self._request(trip, n_rows) for trip in trips]
        passed = blockwise.run(
            assign_block, requests, self.rules.center_rule.fixed_point, merge=merge_for(requests),
            name=f"{what} step {1 + max(trip.steps for trip in trips)} on the sample",
        )  # fmt: skip
        for trip, request, outcome in zip(trips, requests, passed.outcomes, strict=True):
            sampled, known = trip.sampled, trip.sampled.sums
            sampled.sums = outcome.sums if known is None else merge_sums(known, outcome.sums)
            sampled.prepared, sampled.drift = request.prepared, request.drift
            sampled.share_changed = outcome.changed / n_rows
            sampled.serial = request.step
            trip.steps += 1

    def _request(self, trip: _Trip, n_rows: int) -> Request:
        """What a pass over the sample is to do for a trip's next step."""
        sampled, drift = trip.sampled, None
        if self.savings.margins and self.savings.margins_pay(trip.centers, n_rows):
            before = None if sampled.prepared is None else sampled.prepared.centers
            drift = drift_after(sampled.drift, before, trip.centers)
        prepared = trip.run.prepared(trip.centers)
        return Request(trip.run.number, sampled.serial + 1, prepared, sampled.prepared, drift=drift)


def _proposed(trip: _Trip) -> RunState:
    """The run where its leap has ended."""
    if not trip.leapt:
        return trip.run
    return trip.run._replace(centers=trip.centers, is_lloyd_step=False)
