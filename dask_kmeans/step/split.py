"""Split: a pass in which all clusters of a level are split at once, each into two.

A node of the tree is a center. Rows begin at the root and go down to the nearer of two centers,
the first of equally near ones: where a row ends is a function of the row and the tree alone.
Between passes a block remembers at which node its rows are, so that a pass compares each row of a
cluster that is being split with two centers, whatever the size of the tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import OpenBlock
from dask_kmeans.kernels import (
    FixedPoint,
    PreparedCenters,
    RowBatch,
    Sums,
    assignment,
    merge_sums,
    nearest,
    prepare,
)
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

    def level(self, first: int) -> Level:
        """The nodes from `first` on, none of which has children: the root, or pairs."""
        n_nodes = len(self.parent)
        pair_of = np.full(n_nodes + 1, -1, np.int32)
        if first == 0:
            pair_of[:] = 0
            return Level(0, pair_of, [self._root])
        firsts = range(first, n_nodes, 2)
        pair_of[self.parent[first::2]] = np.arange(len(firsts))
        pair_of[first:n_nodes] = np.repeat(np.arange(len(firsts)), 2)
        return Level(first, pair_of, [self._pairs[each] for each in firsts])


class Level(NamedTuple):
    """Clusters that are split at once, into nodes from `first` on."""

    first: int
    pair_of: np.ndarray
    """int32 (n_nodes + 1,): the pair of nodes that rows go to from a node, and the last for rows
    that are nowhere; -1 where they stay."""
    pairs: list[PreparedCenters]

    def step(
        self,
        values: RowBatch,
        weights: np.ndarray | None,
        at: np.ndarray,
        fixed_point: FixedPoint,
        sums: Sums,
    ) -> int:
        """Send rows to the nearer node of their pair.

        Parameters
        ----------
        values, weights : (m, d) and (m,) or None
        at : ndarray of shape (m,), int32
            The node that each row is at; -1 for nowhere. Changed in place.
        fixed_point, sums : FixedPoint, Sums
            The sums of the level's nodes: rows that come to another one are moved.

        Returns
        -------
        int
            Rows that count and have come to another node.
        """
        pair = self.pair_of[at]
        rows = np.flatnonzero(pair >= 0)
        if len(rows) == 0:
            return 0
        side = np.where(at >= self.first, at - self.first - 2 * pair, -1).astype(np.int32)
        changed = 0
        for number, picks in _by_pair(pair, rows):
            two = slice(2 * number, 2 * number + 2)
            own = Sums(*(part[two] if len(part) else part for part in sums))
            these = assignment(values, weights, fixed_point, side, own)
            changed += these.to(self.pairs[number], picks).changed
        there = side[rows]
        at[rows] = np.where(there < 0, -1, self.first + 2 * pair[rows] + there)
        return changed


def _by_pair(pair: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray | None]]:
    """The pairs that rows go to, and which rows: None for all of them."""
    numbers = pair[rows]
    if numbers.min() == numbers.max():
        yield int(numbers[0]), rows if len(rows) < len(pair) else None
        return
    order = np.argsort(numbers, kind="stable")
    rows, numbers = rows[order], numbers[order]
    for own in np.split(rows, np.flatnonzero(np.diff(numbers)) + 1):
        yield int(pair[own[0]]), own


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
    fixed_point: FixedPoint
    statistics: tuple[Statistic, ...] = ()
    """What to learn of rows and their nodes."""
    learn_from: int = 0
    """Of rows that are at nodes from here on."""


class Split(NamedTuple):
    """What a pass brings back, of one block or several."""

    bytes_read: int
    changed: int
    """Rows that count whose node is another than before."""
    sums: Sums
    """*Changes* of the sums and counts of nodes from `SplitRequest.first` on."""
    known: Known

    def count_passes(self) -> int:
        """How often the data was read for it: not at all where all rows were kept."""
        return int(self.bytes_read > 0)


def split_block(block: OpenBlock, request: SplitRequest) -> Split:
    """Send the rows of a block down the tree."""
    branches, statistics, slot = request.branches, request.statistics, ("labels", RUN)
    n_nodes, level = len(branches.parent), branches.level(request.first)
    labels, recalled = Labels.recall(block, slot, request.step - 1, n_nodes)
    sums = request.fixed_point.zero_sums(n_nodes - request.first)
    known, changed, first = nothing_known(statistics, branches.centers), 0, 0
    for values, weights in block.pieces():
        rows = slice(first, first + len(values))
        at = labels.of(rows)
        if request.previous is not None and not recalled:
            at[:] = request.previous.nodes(values)
        changed += level.step(values, weights, at, request.fixed_point, sums)
        if (at >= request.learn_from).any():
            told = np.where(at >= request.learn_from, at, -1)
            known = learn(
                statistics, known, values, weights, told, branches.centers, block.start + first
            )
        labels.put(rows, at)
        first = rows.stop
    labels.leave(block, slot, request.step)
    return Split(block.bytes_read, changed, sums, known)


def merge_splits(statistics: Sequence[Statistic], a: Split, b: Split) -> Split:
    """What both blocks bring back, as one."""
    return Split(
        a.bytes_read + b.bytes_read,
        a.changed + b.changed,
        merge_sums(a.sums, b.sums),
        merge_known(statistics, a.known, b.known),
    )
