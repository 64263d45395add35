"""Fewer passes over the data: what can be settled on a sample is settled there.

A pass over all rows is exact and dear, one over a sample in memory is neither. Two uses of it, both
a function of (data, parameters, seed) alone, since a hash of its number puts a row into the sample:

* *warm-up*: before the first pass, Lloyd's iteration on the sample until that settles;
* *leaps*: after each pass, many cheap steps on the sample, each corrected by how far the sample's
  sums were from those of all rows where a pass has been (`step.anchor`). Their fixed points are
  those of Lloyd's own iteration, but one pass covers the ground of many.

Either only chooses where the next pass compares. A leap that made the inertia rise is taken back
for a shorter one from the same place, or for the plain step it replaced, and a run settles on plain
steps alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from dask_kmeans.kernels import Drift, PreparedCenters, Sums, drift_after, merge_sums
from dask_kmeans.sample import SampledRows
from dask_kmeans.step.advance import Rules, margins_pay
from dask_kmeans.step.anchor import anchor, error_at, estimated_centers, with_anchor
from dask_kmeans.step.assign import Request, assign_block
from dask_kmeans.step.combine import merge_for
from dask_kmeans.step.run import Run

PLAIN_IS_ENOUGH = 0.8
"""Share of tol: where a plain step changes fewer of the sampled labels, it will settle the run."""


@dataclass
class _SampleRun:
    """One run on its way over the sample, which goes on from leap to leap."""

    run: Run
    centers: np.ndarray
    serial: int
    """Number of its latest step, which no other sample run of it has."""
    prepared: PreparedCenters | None = None
    """The centers that the sample's labels belong to."""
    sums: Sums | None = None
    """Of the sample, for these labels."""
    share_changed: float = 1.0
    """Of the sampled labels, in the latest step."""
    drift: Drift | None = None
    steps: int = 0
    """In this warm-up or leap."""
    settled: bool = False


@dataclass
class Accelerator:
    """Warm-up and leaps of all runs of a fit, which share the passes over the sample.

    Without a sample it does nothing: every step is the plain one.
    """

    sampled: SampledRows | None
    rules: Rules
    _sample_runs: dict[int, _SampleRun] = field(default_factory=dict, init=False)
    _serials: Iterator[int] = field(default_factory=lambda: count(0, 2**32), init=False)

    def warm_up(self, runs: Iterable[Run]) -> None:
        """Move the runs' centers to where Lloyd's iteration on the sample settles."""
        if self.sampled is None:
            return
        sampled_runs = [self._sample_run(run, run.centers) for run in runs]
        while going := [sampled for sampled in sampled_runs if not sampled.settled]:
            self._assign(going)
            for sampled in going:
                sampled.settled = (
                    sampled.steps > 1 and sampled.share_changed <= self.rules.tol
                ) or sampled.steps >= self.rules.max_iter
                assert sampled.sums is not None
                update = self.rules.center_rule.update(sampled.sums, sampled.centers)
                sampled.centers = update.centers
        for sampled in sampled_runs:
            sampled.run.centers = sampled.centers

    def leap(self, runs: Iterable[Run]) -> None:
        """Replace the runs' next centers, the plain ones, by farther ones if that saves passes."""
        if self.sampled is None:
            return
        sampled_runs = [
            self._sample_run(run, run.assigned) for run in runs if run.assigned is not None
        ]
        if not sampled_runs:
            return
        self._assign(sampled_runs)  # the sample's sums where those of all rows are known
        factor = 1.0 / self.sampled.plan.share
        for sampled in sampled_runs:
            run = sampled.run
            assert run.assigned is not None
            assert run.sums is not None
            assert sampled.sums is not None
            here = anchor(self.rules.fixed_point, run.assigned, run.sums, sampled.sums, factor)
            run.anchors = with_anchor(run.anchors, here)
            sampled.centers = run.centers
        while going := [sampled for sampled in sampled_runs if not sampled.settled]:
            self._assign(going)
            for sampled in going:
                if sampled.steps == 2 and self._plain_is_enough(sampled):
                    sampled.settled = True
                    continue
                sampled.centers = self._leapt(sampled, factor)
                sampled.settled = (
                    sampled.share_changed <= self.rules.tol
                    or sampled.steps > sampled.run.longest_leap
                )
        for sampled in sampled_runs:
            sampled.run.is_lloyd_step = sampled.centers is sampled.run.centers
            sampled.run.centers = sampled.centers

    def _sample_run(self, run: Run, centers: np.ndarray) -> _SampleRun:
        """The run on the sample, about to step to these centers from wherever it is."""
        sampled = self._sample_runs.get(run.number)
        if sampled is None or sampled.run is not run:
            sampled = self._sample_runs[run.number] = _SampleRun(run, centers, next(self._serials))
        sampled.centers, sampled.steps, sampled.settled = centers, 0, False
        return sampled

    def _plain_is_enough(self, sampled: _SampleRun) -> bool:
        """Whether the Lloyd step, the first on the sample, is likely to settle its run.

        Not after a leap too far: the labels that the step changes are those of the leap.
        """
        run = sampled.run
        spoilt = run.history[-1].inertia > run.lowest_inertia
        return not spoilt and sampled.share_changed <= PLAIN_IS_ENOUGH * self.rules.tol

    def _leapt(self, sampled: _SampleRun, factor: float) -> np.ndarray:
        """Centers after one more step of a leap."""
        run = sampled.run
        assert run.sums is not None
        assert sampled.prepared is not None
        assert sampled.sums is not None
        weights = self.rules.fixed_point.moments(run.sums).weights
        error = error_at(run.anchors, sampled.prepared.centers, weights)
        return estimated_centers(
            self.rules.center_rule, sampled.sums, factor, error, weights, run.centers
        )

    def _assign(self, sampled_runs: list[_SampleRun]) -> None:
        """One step on the sample of each run's sums to its centers."""
        assert self.sampled is not None
        n_rows = self.sampled.n_rows
        requests = []
        for sampled in sampled_runs:
            if self.rules.bounded and margins_pay(sampled.centers, n_rows):
                before = None if sampled.prepared is None else sampled.prepared.centers
                sampled.drift = drift_after(sampled.drift, before, sampled.centers)
            sampled.serial += 1
            prepared = sampled.run.prepare(sampled.centers)
            requests.append(
                Request(
                    sampled.run.number,
                    sampled.serial,
                    prepared,
                    sampled.prepared,
                    drift=sampled.drift,
                )
            )
        passed = self.sampled.blockwise.run(
            assign_block, requests, self.rules.fixed_point, merge=merge_for(requests)
        )
        for sampled, request, outcome in zip(sampled_runs, requests, passed.outcomes, strict=True):
            known = sampled.sums
            sampled.sums = outcome.sums if known is None else merge_sums(known, outcome.sums)
            sampled.prepared = request.prepared
            sampled.share_changed = outcome.changed / n_rows
            sampled.steps += 1
