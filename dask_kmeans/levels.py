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
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from dask_kmeans import checks
from dask_kmeans.capacity import check_capacity
from dask_kmeans.fit import fit, labels_left
from dask_kmeans.kernels import Sums, exact_total, say_if_not_compiled
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
    SumsByCluster,
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


class _Look(NamedTuple):
    """What a look at the leaves has found."""

    total: float
    """Inertia of all rows."""
    sums: Sums
    """Of each node."""
    weights: np.ndarray
    """float64, of each node."""
    wanted: int = 0
    """How many rows of each leaf were to be drawn."""
    drawn: RowsByCluster | None = None
    by_cost: RowsByCluster | None = None

    def rows_of(self, leaf: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows (m, d) that stand for all rows of a leaf, and weights (m,) for them.

        Where not all of them are drawn, each stands for as much of the weight as the others, and
        those drawn by cost for themselves, so that what is far away is there but counts little.
        """
        assert self.drawn is not None
        assert self.by_cost is not None
        drawn, far = self.drawn.of(leaf), self.by_cost.of(leaf)
        m = len(drawn.weights)
        if m < self.wanted:
            return drawn.values, drawn.weights
        equal = np.full(m, self.weights[leaf] / m)
        return np.concatenate([drawn.values, far.values]), np.append(equal, far.weights)


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
        self._sizes, self._inertia = np.zeros(1, np.int64), np.zeros(1)
        self._previous: Branches | None = None
        """The tree of the pass before."""
        self._seen: _Look | None = None
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
        split, known = self._pass(f"iteration {len(self._history) + 1}")
        inertia, sums = known
        before = points.inward(self._centers)[first:]
        moved = self._rule.update(Sums(*(part[first:] for part in sums)), before).centers
        self._centers = np.concatenate([self._centers[:first], points.outward(moved)])
        way = points.inward(self._centers)[first:] - before
        record = IterationRecord(
            len(self._history) + 1, split.changed, inertia, math.sqrt(exact_total(way**2)),
            int(sums.counts[first:].sum()), split.bytes_read, time.perf_counter() - began,
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
        """A pass that tells of each leaf its rows, its inertia and, if there are to be more, some
        of its rows."""
        leaves, seed = self.leaves, self._parameters.seed
        statistics: list[Statistic] = [TotalsByCluster(self._metric.distances_of)]
        wanted = 0
        if len(leaves) < self._parameters.n_clusters[0]:
            n_values = len(leaves) * self._rows.points.n_features
            wanted = min(max(DRAWN_VALUES // n_values, LEAST_DRAWN), MOST_DRAWN)
            statistics.append(DrawnByCluster(wanted, seed))
            statistics.append(DrawnByCluster(DRAWN_BY_COST, seed, by_cost=True))
        _, (total, sums, found, *drawn) = self._pass("looking at the clusters", *statistics)
        self._seen = _Look(total, sums, found.weights, wanted, *drawn)
        self._sizes[leaves], self._inertia[leaves] = found.sizes[leaves], found.squares[leaves]

    def chosen(self, wanted: int) -> np.ndarray:
        """The leaves to be split next, at most as many as are wanted: see above."""
        leaves = self.leaves
        order = leaves[np.argsort(-self._inertia[leaves], kind="stable")]
        inertia = self._inertia[order]
        return np.sort(order[np.cumsum(inertia) <= wanted * inertia][:wanted])

    def split(self, leaves: np.ndarray) -> None:
        """Begin a level: give each of some leaves two nodes, where rows gather."""
        self._first = len(self._parent)
        starts = np.concatenate([self._starts(leaf) for leaf in leaves])
        self._parent = np.append(self._parent, np.repeat(leaves, 2)).astype(np.int32)
        self._centers = np.concatenate([self._centers, self._rows.points.outward(starts)])
        self._sizes = np.append(self._sizes, np.zeros(len(starts), np.int64))
        self._inertia = np.append(self._inertia, np.zeros(len(starts)))

    def _starts(self, leaf: int) -> np.ndarray:
        """Two centers (2, d), of the rows that were drawn of a leaf; of equal rows one twice."""
        assert self._previous is not None
        assert self._seen is not None
        values, weights = self._seen.rows_of(leaf)
        if len(values) > 1:
            wanted = replace(
                self._parameters, n_clusters=(2,), standardize=False, nan="raise", memory_budget=0
            )
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
        assert self._seen is not None
        sizes, k = self._sizes[leaves], len(leaves)
        found = int(np.count_nonzero(sizes))
        if found < k:
            checks.warn_fewer_distinct_rows(k, found)
        nodes = labels_left(RUN, rows)
        sums = Sums(*(part[leaves] if len(part) else part for part in self._seen.sums))
        centers = self._previous.centers[leaves]
        return FitResult(
            self._centers[leaves], rows.points.standardization,
            None if nodes is None else self._previous.clusters(nodes),
            metric.of_square * self._seen.total, sizes, self._history,
            max(self._reasons, key=list(StopReason).index), rows.blockwise.passes,
            centers, self._rule.update(sums, centers).moments, [], self._parameters.metric,
            tree=Tree(self._parent, self._centers, self._sizes, metric.of_square * self._inertia),
        )  # fmt: skip

    def _pass(self, name: str, *statistics: Statistic) -> tuple[Any, list[Any]]:
        """A pass, and what it has learnt: inertia, sums and more `statistics`."""
        rows, previous = self._rows, self._previous
        branches = Branches(self._parent, rows.points.inward(self._centers))
        learning: tuple[Statistic, ...] = (
            Inertia(), SumsByCluster(self._rule.fixed_point), *statistics
        )  # fmt: skip
        request = SplitRequest(self._passes, previous, branches, self._first, learning)
        split = rows.blockwise.run(
            split_block, request, merge=partial(merge_splits, learning), count=Split.count_passes,
            name=name,
        )  # fmt: skip
        self._previous, self._passes = branches, self._passes + 1
        learnt = figures(learning, split.known, branches.centers)
        sums = learnt[1]
        update = self._rule.update(sums, branches.centers)
        check_sums(sums, update, self._rule.fixed_point, rows.found)
        return split, learnt
