"""Levels: clusters are split into two, all of a level in passes that they share.

    survey -> root -> look -> (choose, start, step until settled, look) until there are enough

A look is a pass that tells how far the rows of each cluster lie apart, and draws some of them. On
the drawn rows a split starts. Then every pass over the data is one iteration of Lloyd in each of
the clusters that are being split, until the rows of these settle.

Which clusters are split: always the one with the largest inertia, as in scikit-learn's
`BisectingKMeans(bisecting_strategy="biggest_inertia")`, and with it those that its way, one
split at a time, would come to as well, if a cluster always fell into parts that have their share of
its inertia. How many splits that takes is known of the inertias alone: to bring clusters with
inertias I_1 >= I_2 >= ... >= I_r below I_r takes (I_1 + ... + I_r) / I_r of them. Deviation: a
cluster that falls into unequal parts may have been split beside smaller ones.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from dask_kmeans import checks
from dask_kmeans.capacity import check_capacity
from dask_kmeans.fit import fit, labels_left
from dask_kmeans.kernels import Sums, exact_total, merge_sums, say_if_not_compiled
from dask_kmeans.metrics import METRICS
from dask_kmeans.parameters import FitParameters
from dask_kmeans.read import Points, as_points
from dask_kmeans.result import FitResult, Tree
from dask_kmeans.rows import Rows, all_rows, as_compared, rows_for_steps
from dask_kmeans.state import IterationRecord, StopReason, stop
from dask_kmeans.statistics import (
    DrawnByCluster,
    Inertia,
    RowsByCluster,
    Statistic,
    TotalsByCluster,
    figures,
)
from dask_kmeans.step.split import RUN, Branches, Split, SplitRequest, merge_splits, split_block
from dask_kmeans.step.unchanged import check_sums

DRAWN_VALUES = 2**22
"""Numbers in the drawn rows of all clusters together: 32 MiB."""

LEAST_DRAWN, MOST_DRAWN = 32, 2048
"""Rows that are drawn of a cluster, whatever the number of clusters and of features."""

DRAWN_BY_COST = 16
"""Rows that are drawn of a cluster by their share of its inertia: what is rare and far away."""


def split_in_levels(
    points: Points,
    parameters: FitParameters,
    callbacks: Sequence[Callable[[IterationRecord], None]] = (),
) -> FitResult:
    """Cluster `points` by splitting clusters in two; the result has a tree.

    Each callback is called with the record of every iteration: of the inertia of all rows, and the
    moves of the centers that it has moved.
    """
    (k,) = parameters.n_clusters
    check_capacity(points, 2 * k - 1, 1)
    if not points.in_memory:
        say_if_not_compiled()
    with ExitStack() as stack:
        every = all_rows(points, parameters, stack, content=False)
        rows, _ = as_compared(rows_for_steps(every, parameters, stack), every, parameters)
        growth = _Growth(rows, parameters, callbacks)
        growth.step()
        growth.look()
        while (wanted := k - len(growth.leaves)) > 0:
            growth.split(growth.chosen(wanted))
            growth.settle()
            growth.look()
        return growth.result()


class _Growth:
    """The tree of a fit, while it grows."""

    def __init__(
        self, rows: Rows, parameters: FitParameters, callbacks: Sequence[Callable[..., Any]]
    ):
        self._rows, self._parameters, self._callbacks = rows, parameters, callbacks
        self._metric = METRICS[parameters.metric]
        self._rule = self._metric.rule(rows.found.fixed_point())
        self._parent = np.array([-1], np.int32)
        self._first = 0
        """Nodes from here on are those of the level: they have moved since the pass before."""
        self._centers = rows.points.outward(rows.found.minimum[None])  # of which a step makes means
        """As the model stores them, in the caller's units."""
        self._sums = self._rule.fixed_point.zero_sums(1)
        """Of the rows of each node; those of a node that is split are what they were before."""
        self._sizes, self._inertia = np.zeros(1, np.int64), np.zeros(1)
        self._total = 0.0
        """Inertia of all rows, as the last pass has measured it."""
        self._scatter_offset = 0.0
        """Inertia of all rows less the `Update.scatter` of the level: the same in all its steps."""
        self._drawn: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        """Of each leaf, rows (m, d) that stand for all of its rows, and weights (m,) for them."""
        k, d = parameters.n_clusters[0], rows.points.n_features
        self._wanted = min(max(DRAWN_VALUES // (k * d), LEAST_DRAWN), MOST_DRAWN)
        """How many rows of a leaf are drawn."""
        self._previous: Branches | None = None
        """The tree of the pass before."""
        self._passes = 0
        self._history: list[IterationRecord] = []
        self._reasons = [StopReason.CONVERGED]

    @property
    def leaves(self) -> np.ndarray:
        """Nodes that are clusters."""
        return np.setdiff1d(np.arange(len(self._parent)), self._parent)

    def step(self) -> IterationRecord:
        """One iteration of Lloyd: a pass, after which the nodes of the level move to means."""
        began, points, first = time.perf_counter(), self._rows.points, self._first
        measured = () if self._history else (Inertia(),)
        split, known = self._pass(f"iteration {len(self._history) + 1}", *measured)
        before = points.inward(self._centers)[first:]
        update = self._rule.update(self._sums_of(slice(first, None)), before)
        if known:
            self._scatter_offset = known[0] - update.scatter
        self._centers = np.concatenate([self._centers[:first], points.outward(update.centers)])
        way = points.inward(self._centers)[first:] - before
        record = IterationRecord(
            len(self._history) + 1, split.changed, update.inertia(self._scatter_offset),
            math.sqrt(exact_total(way**2)), int(self._sums.counts[first:].sum()), split.bytes_read,
            time.perf_counter() - began,
        )  # fmt: skip
        self._history.append(self._metric.told(record))
        for callback in self._callbacks:
            callback(self._history[-1])
        return record

    def settle(self) -> None:
        """Steps of a level, until the rows of the clusters that are being split settle."""
        n_rows = int(self._sizes[self._parent[self._first :: 2]].sum())
        reason, iteration = None, 0
        while reason is None:
            iteration += 1
            record = self.step()
            reason = stop(
                record.changed / max(1, n_rows), record.center_shift > 0, 0, iteration,
                is_lloyd_step=True, tol=self._parameters.tol, max_iter=self._parameters.max_iter,
            )  # fmt: skip
        self._reasons.append(reason)

    def look(self) -> None:
        """A pass that tells of the level its rows and their inertia, and draws some of its rows;
        or, when there are leaves enough, the inertia of all rows."""
        totals, seed = TotalsByCluster(self._metric.distances_of), self._parameters.seed
        if len(self.leaves) == self._parameters.n_clusters[0]:
            _, (found, self._total) = self._pass("last pass", totals, Inertia())
            level = self.leaves
        else:
            _, (found, drawn, by_cost) = self._pass(
                "looking at the clusters", totals, DrawnByCluster(self._wanted, seed),
                DrawnByCluster(DRAWN_BY_COST, seed, by_cost=True), learn_from=self._first,
            )  # fmt: skip
            level = np.arange(self._first, len(self._parent))
            for leaf in level.tolist():
                all_weight = found.weights[leaf]
                self._drawn[leaf] = self._standing(drawn.of(leaf), by_cost.of(leaf), all_weight)
        self._sizes[level], self._inertia[level] = found.sizes[level], found.squares[level]

    def _standing(
        self, drawn: RowsByCluster, by_cost: RowsByCluster, weight: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows (m, d) that stand for all rows of a leaf, of such weight, and weights (m,) for them.

        Where not all of them are drawn, each stands for as much of the weight as the others, and
        those drawn by cost for themselves, so that what is far away is there but counts little.
        """
        m = len(drawn.weights)
        if m < self._wanted:
            return drawn.values, drawn.weights
        values = np.concatenate([drawn.values, by_cost.values])
        return values, np.append(np.full(m, weight / m), by_cost.weights)

    def chosen(self, wanted: int) -> np.ndarray:
        """The leaves to be split next, at most as many as are wanted: see above."""
        leaves = self.leaves
        order = leaves[np.argsort(-self._inertia[leaves], kind="stable")]
        inertia = self._inertia[order]
        return np.sort(order[np.cumsum(inertia) <= wanted * inertia][:wanted])

    def split(self, leaves: np.ndarray) -> None:
        """Begin a level: give each of some leaves two nodes, where rows gather."""
        points, self._first = self._rows.points, len(self._parent)
        starts = np.concatenate([self._starts(leaf) for leaf in leaves.tolist()])
        all_inertia = exact_total(self._inertia[self.leaves])
        update = self._rule.update(self._sums_of(leaves), points.inward(self._centers)[leaves])
        self._scatter_offset = all_inertia - update.scatter
        self._parent = np.append(self._parent, np.repeat(leaves, 2)).astype(np.int32)
        self._centers = np.concatenate([self._centers, points.outward(starts)])
        new = self._rule.fixed_point.zero_sums(len(starts))
        self._sums = Sums(*(np.concatenate(parts) for parts in zip(self._sums, new, strict=True)))
        self._sizes = np.append(self._sizes, np.zeros(len(starts), np.int64))
        self._inertia = np.append(self._inertia, np.zeros(len(starts)))

    def _starts(self, leaf: int) -> np.ndarray:
        """Two centers (2, d), of the rows that were drawn of a leaf; of equal rows one twice."""
        assert self._previous is not None
        values, weights = self._drawn.pop(leaf)
        if len(values) > 1:
            wanted = replace(
                self._parameters, n_clusters=(2,), standardize=False, feature_weight=None,
                nan="raise", memory_budget=0,
            )  # fmt: skip
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                result = fit(as_points(values, weights), wanted)[0]
            if result.sizes.all():
                return result.compared_centers
        return np.repeat(self._previous.centers[leaf][None], 2, axis=0)

    def result(self) -> FitResult:
        """The tree, and its leaves as clusters."""
        rows, metric, leaves = self._rows, self._metric, self.leaves
        assert self._previous is not None
        sizes, k = self._sizes[leaves], len(leaves)
        found = int(np.count_nonzero(sizes))
        if found < k:
            checks.warn_fewer_distinct_rows(k, found)
        nodes = labels_left(RUN, rows)
        centers = self._previous.centers[leaves]
        return FitResult(
            self._centers[leaves], rows.points.standardization,
            None if nodes is None else self._previous.clusters(nodes),
            metric.of_square * self._total, sizes, self._history,
            max(self._reasons, key=list(StopReason).index), rows.blockwise.passes,
            centers, self._rule.update(self._sums_of(leaves), centers).moments, [],
            self._parameters.metric,
            tree=Tree(self._parent, self._centers, self._sizes, metric.of_square * self._inertia),
        )  # fmt: skip

    def _sums_of(self, nodes: Any) -> Sums:
        """Sums of some nodes."""
        return Sums(*(part[nodes] if len(part) else part for part in self._sums))

    def _pass(self, name: str, *statistics: Statistic, learn_from: int = 0) -> tuple[Split, list]:
        """A pass, after which the sums are those of it, and the figures that it has learnt."""
        rows, previous, rule = self._rows, self._previous, self._rule
        branches = Branches(self._parent, rows.points.inward(self._centers))
        request = SplitRequest(
            self._passes, previous, branches, self._first, rule.fixed_point, statistics, learn_from
        )
        split = rows.blockwise.run(
            split_block, request, merge=partial(merge_splits, statistics), count=Split.count_passes,
            name=name,
        )  # fmt: skip
        self._previous, self._passes = branches, self._passes + 1
        level = merge_sums(split.sums, self._sums_of(slice(self._first, None)))
        for part, changed in zip(self._sums, level, strict=True):
            part[len(part) - len(changed) :] = changed
        leaves = self.leaves
        sums = self._sums_of(leaves)
        check_sums(sums, rule.update(sums, branches.centers[leaves]), rule.fixed_point, rows.found)
        return split, figures(statistics, split.known, branches.centers)
