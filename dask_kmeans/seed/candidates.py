"""How far each row is from the centers chosen so far, looked up where that is known already."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import OpenBlock
from dask_kmeans.kernels import labelled_distances, nearest, prepare
from dask_kmeans.labels import Labels


class Candidates(NamedTuple):
    """Centers in the order in which they were chosen."""

    centers: np.ndarray
    """float64 (c, d)"""
    compared: int
    """How many of them the rows have been compared with before."""
    slot: Hashable
    """Where a block's cache keeps the outcome; one for each set that grows at the same time. That
    of the labels of a run is taken over by the fit, so that nothing outlasts the seeding."""
    name: str
    """A digest of the centers: no others have it."""
    name_before: str
    """That of the ones compared before."""

    def grown(self, new: np.ndarray) -> Candidates:
        """With `new` (m, d) behind the others, which all rows have been compared with by now."""
        digest = hashlib.blake2b(self.name.encode() + new.tobytes(), digest_size=16)
        return Candidates(
            np.concatenate([self.centers, new]), len(self.centers), self.slot,
            digest.hexdigest(), self.name,
        )  # fmt: skip


def no_candidates(n_features: int, slot: Hashable) -> Candidates:
    """No centers yet."""
    return Candidates(np.empty((0, n_features)), 0, slot, "", "")


class NearestCandidates:
    """The nearest chosen center of every row of a block, ties to the one chosen first.

    Labels are all that stays in the block's cache between two passes: a distance
    is found again from its label for the price of one comparison, and where a worker took the
    labels with it the rows are compared with all centers instead of the new ones, to the same end.
    """

    def __init__(self, block: OpenBlock, candidates: Candidates):
        self._block, self._candidates = block, candidates
        self.labels, known = Labels.recall(
            block, candidates.slot, candidates.name_before, len(candidates.centers)
        )
        self._compared = candidates.compared if known else 0
        self._new = (
            prepare(candidates.centers[self._compared :]) if len(candidates.centers) else None
        )

    def measure(self, first: int, values: np.ndarray) -> np.ndarray:
        """Squared distances, float64 (m,), of consecutive rows to their nearest chosen center.

        Parameters
        ----------
        first : int
            Number in the block of the first of the rows.
        values : ndarray of shape (m, d)

        Returns
        -------
        ndarray of shape (m,), float64
            Infinity as long as there are no centers; NaN for rows with a NaN.
        """
        centers, rows = self._candidates.centers, slice(first, first + len(values))
        if self._new is None:
            return np.full(len(values), np.inf)
        new_labels = np.empty(len(values), np.int32)
        nearest(values, self._new, new_labels)
        new_labels[new_labels >= 0] += self._compared
        distances = labelled_distances(values, centers, new_labels, np.empty(len(values)))
        if self._compared:
            labels = self.labels.of(rows)
            before = labelled_distances(values, centers, labels, np.empty(len(values)))
            stays = before <= distances  # a tie goes to the center chosen first
            new_labels[stays] = labels[stays]
            np.minimum(before, distances, out=distances)
        self.labels.stored[rows] = new_labels
        return distances

    def keep(self) -> None:
        """Leave the labels for the next pass."""
        self.labels.leave(self._block, self._candidates.slot, self._candidates.name)


def numbered_pieces(
    block: OpenBlock,
) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """(number in the block of the first row, rows (m, d), weights (m,) or None), piece by piece."""
    first = 0
    for values, weights in block.pieces():
        yield first, values, weights
        first += len(values)
