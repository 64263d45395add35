"""Split: a pass in which all clusters of a level are split at once, each into two.

A node of the tree is a center. Rows begin at the root and go down to the nearer of two centers,
the first of equally near ones: where a row ends is a function of the row and the tree alone.
Between passes a block remembers at which node its rows are, so that a pass compares each row of a
cluster that is being split with two centers, whatever the size of the tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import OpenBlock
from dask_kmeans.kernels import RowBatch, nearest, prepare
from dask_kmeans.labels import Labels
from dask_kmeans.statistics import Known, Statistic, learn, merge_known, nothing_known

RUN = 0
"""By which caches know the only run of such a fit."""


class Branches:
    """A tree of centers. Picklable.

    Parameters
    ----------
    parent : ndarray of shape (n_nodes,), int32
        The node that each is part of, which comes before it; -1 for the first, the root. Nodes
        1 and 2, 3 and 4, ... have the same parent.
    centers : ndarray of shape (n_nodes, n_features)
        As rows are compared with them.
    """

    def __init__(self, parent: np.ndarray, centers: np.ndarray):
        self.parent, self.centers = parent, centers
        self._root = prepare(centers[:1])
        self._pairs = {first: prepare(centers[first : first + 2]) for first in _firsts(parent)}
        # The first child of each node; 0 for a leaf, and for the last one, which is that of no row.
        self._children = np.zeros(len(parent) + 1, np.int32)
        self._children[parent[1::2]] = _firsts(parent)
        self._cluster = np.full(len(parent) + 1, -1, np.int32)
        self._cluster[self.leaves] = np.arange(len(self.leaves))

    @property
    def leaves(self) -> np.ndarray:
        """The nodes that are clusters, in their order."""
        return np.flatnonzero(self._children[:-1] == 0)

    def clusters(self, nodes: np.ndarray) -> np.ndarray:
        """int32 (m,): the numbers of leaves among the clusters; -1 for -1."""
        return self._cluster[nodes]

    def labels(self, values: RowBatch) -> np.ndarray:
        """int32 (m,): the clusters that rows belong to; -1 for rows that are left out."""
        return self.clusters(self.nodes(values))

    def nodes(self, values: RowBatch) -> np.ndarray:
        """int32 (m,): the leaves that rows end at."""
        at = np.empty(len(values), np.int32)
        nearest(values, self._root, at)  # -1 for rows that are left out
        return self._down(values, at)

    def anew(self, values: RowBatch, at: np.ndarray, first: int) -> np.ndarray:
        """The leaves that rows end at, which were at nodes `at` when those from `first` on were
        not there or lay elsewhere: none of these has children."""
        return self._down(values, np.where(at >= max(first, 1), self.parent[at], at))

    def _down(self, values: RowBatch, at: np.ndarray) -> np.ndarray:
        """Send rows down from the nodes where they are, in place."""
        while True:
            children = self._children[at]
            rows = np.flatnonzero(children)
            if len(rows) == 0:
                return at
            rows = rows[np.argsort(children[rows], kind="stable")]
            begins = np.flatnonzero(np.diff(children[rows])) + 1
            for own in np.split(rows, begins):
                first, which = children[own[0]], np.empty(len(own), np.int32)
                nearest(values[own], self._pairs[first], which)
                at[own] = np.where(which < 0, -1, first + which)


def _firsts(parent: np.ndarray) -> range:
    """The first nodes of pairs."""
    return range(1, len(parent), 2)


class SplitRequest(NamedTuple):
    """What a pass is to do."""

    step: int
    """Number of the pass; nodes of step - 1 are looked for in the block's cache."""
    previous: Branches | None
    """The tree of step - 1, by which nodes that a lost worker took along are found again. None in
    the first pass, before which rows are nowhere."""
    branches: Branches
    first: int
    """Nodes from here on are new or have moved."""
    statistics: tuple[Statistic, ...]
    """What to learn of the rows and their nodes."""


class Split(NamedTuple):
    """What a pass brings back, of one block or several."""

    bytes_read: int
    changed: int
    """Rows that count whose node is another than before."""
    known: Known

    def count_passes(self) -> int:
        """How often the data was read for it: not at all where all rows were kept."""
        return int(self.bytes_read > 0)


def split_block(block: OpenBlock, request: SplitRequest) -> Split:
    """Send the rows of a block down the tree."""
    branches, statistics, slot = request.branches, request.statistics, ("labels", RUN)
    labels, recalled = Labels.recall(block, slot, request.step - 1, len(branches.parent))
    known, changed, first = nothing_known(statistics, branches.centers), 0, 0
    for values, weights in block.pieces():
        rows = slice(first, first + len(values))
        if request.previous is None:
            before, now = labels.of(rows), branches.nodes(values)
        else:
            before = labels.of(rows) if recalled else request.previous.nodes(values)
            now = branches.anew(values, before, request.first)
        moved = before != now
        changed += int(np.count_nonzero(moved if weights is None else moved & (weights > 0)))
        labels.stored[rows] = now
        known = learn(
            statistics, known, values, weights, now, branches.centers, block.start + first
        )
        first = rows.stop
    labels.leave(block, slot, request.step)
    return Split(block.bytes_read, changed, known)


def merge_splits(statistics: Sequence[Statistic], a: Split, b: Split) -> Split:
    """What both blocks bring back, as one."""
    return Split(
        a.bytes_read + b.bytes_read,
        a.changed + b.changed,
        merge_known(statistics, a.known, b.known),
    )
