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

from dask_kmeans.kernels import Drift, Panel, Sums, drift_after, merge_sums
from dask_kmeans.sample import SampledRows
from dask_kmeans.step.advance import Rules, margins_pay
from dask_kmeans.step.anchor import anchor, error_at, with_anchor
from dask_kmeans.step.assign import Request, assign_block
from dask_kmeans.step.combine import merge_for
from dask_kmeans.step.move import leap
from dask_kmeans.step.run import Run

PLAIN_IS_ENOUGH = 0.8
"""Share of tol: where a plain step changes fewer of the sampled labels, it will settle the run."""


@dataclass
class _Walk:
    """One run on its way over the sample, which goes on from leap to leap."""

    run: Run
    centers: np.ndarray
    serial: int
    """Number of its latest step, which no other walk of the run has."""
    panel: Panel | None = None
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
    _walks: dict[int, _Walk] = field(default_factory=dict, init=False)
    _serials: Iterator[int] = field(default_factory=lambda: count(0, 2**32), init=False)

    def warm_up(self, runs: Iterable[Run]) -> None:
        """Move the runs' centers to where Lloyd's iteration on the sample settles."""
        if self.sampled is None:
            return
        walks = [self._walk(run, run.centers) for run in runs]
        while going := [walk for walk in walks if not walk.settled]:
            self._assign(going)
            for walk in going:
                walk.settled = (
                    walk.steps > 1 and walk.share_changed <= self.rules.tol
                ) or walk.steps >= self.rules.max_iter
                assert walk.sums is not None
                walk.centers = self.rules.fixed_point.moments(walk.sums).or_else(walk.centers)
        for walk in walks:
            walk.run.centers = walk.centers

    def leap(self, runs: Iterable[Run]) -> None:
        """Replace the runs' next centers, the plain ones, by farther ones if that saves passes."""
        if self.sampled is None:
            return
        walks = [self._walk(run, run.assigned) for run in runs if run.assigned is not None]
        if not walks:
            return
        self._assign(walks)  # the sample's sums where those of all rows are known
        factor = 1.0 / self.sampled.plan.share
        for walk in walks:
            run = walk.run
            assert run.assigned is not None
            assert run.sums is not None
            assert walk.sums is not None
            here = anchor(self.rules.fixed_point, run.assigned, run.sums, walk.sums, factor)
            run.anchors = with_anchor(run.anchors, here)
            walk.centers = run.centers
        while going := [walk for walk in walks if not walk.settled]:
            self._assign(going)
            for walk in going:
                if walk.steps == 2 and self._plain_is_enough(walk):
                    walk.settled = True
                    continue
                walk.centers = self._leapt(walk, factor)
                walk.settled = (
                    walk.share_changed <= self.rules.tol or walk.steps > walk.run.longest_leap
                )
        for walk in walks:
            walk.run.plain = walk.centers is walk.run.centers
            walk.run.centers = walk.centers

    def _walk(self, run: Run, centers: np.ndarray) -> _Walk:
        """The run's walk, about to step to these centers from wherever it is."""
        walk = self._walks.get(run.number)
        if walk is None or walk.run is not run:
            walk = self._walks[run.number] = _Walk(run, centers, next(self._serials))
        walk.centers, walk.steps, walk.settled = centers, 0, False
        return walk

    def _plain_is_enough(self, walk: _Walk) -> bool:
        """Whether the plain step, the first that the walk has made, is likely to settle its run.

        Not after a leap too far: the labels that the step changes are those of the leap.
        """
        run = walk.run
        spoilt = run.history[-1].inertia > run.lowest_inertia
        return not spoilt and walk.share_changed <= PLAIN_IS_ENOUGH * self.rules.tol

    def _leapt(self, walk: _Walk, factor: float) -> np.ndarray:
        """Centers after one more step of a leap."""
        run, fixed_point = walk.run, self.rules.fixed_point
        assert run.sums is not None
        assert walk.panel is not None
        assert walk.sums is not None
        weights = fixed_point.moments(run.sums).weights
        error = error_at(run.anchors, walk.panel.centers, weights)
        return leap(
            fixed_point, walk.sums, factor, (error.totals, error.weights), weights, run.centers
        )

    def _assign(self, walks: list[_Walk]) -> None:
        """One step of each walk's sums to its centers."""
        assert self.sampled is not None
        n_rows = self.sampled.n_rows
        requests = []
        for walk in walks:
            if self.rules.bounded and margins_pay(walk.centers, n_rows):
                before = None if walk.panel is None else walk.panel.centers
                walk.drift = drift_after(walk.drift, before, walk.centers)
            walk.serial += 1
            panel = walk.run.panel_of(walk.centers)
            requests.append(
                Request(walk.run.number, walk.serial, panel, walk.panel, drift=walk.drift)
            )
        passed = self.sampled.blockwise.run(
            assign_block, requests, self.rules.fixed_point, merge=merge_for(requests)
        )
        for walk, request, outcome in zip(walks, requests, passed.outcomes, strict=True):
            known = walk.sums
            walk.sums = outcome.sums if known is None else merge_sums(known, outcome.sums)
            walk.panel = request.panel
            walk.share_changed = outcome.changed / n_rows
            walk.steps += 1
