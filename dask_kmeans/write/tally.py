"""What labels say of the rows that they are of, counted as they are written: no pass of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dask_kmeans.kernels import ExactSum


@dataclass
class Tally:
    """Counts of labels, and the inertia where their distances are known: a sum in any order.

    Attributes
    ----------
    n_rows : int
    sizes : ndarray of int64
        Rows of each label from 0 to the largest that occurs; empty without distances.
    inertia : ExactSum
        Of the rows, each as its metric counts it.
    """

    n_rows: int = 0
    sizes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    inertia: ExactSum = field(default_factory=ExactSum)

    def add(self, block: Any) -> None:
        """Count a block of labels, or of labels with distances (`predict.LABELLED`)."""
        self.n_rows += block.size
        if block.dtype.names:
            labels = block["label"]
            self._add_sizes(np.bincount(labels[labels >= 0]))
            self.inertia.add(block["inertia"])

    def merge(self, other: Tally) -> None:
        """Add what another has counted."""
        self.n_rows += other.n_rows
        self._add_sizes(other.sizes)
        self.inertia.merge(other.inertia)

    def _add_sizes(self, sizes: np.ndarray) -> None:
        total = np.zeros(max(len(self.sizes), len(sizes)), np.int64)
        total[: len(self.sizes)] += self.sizes
        total[: len(sizes)] += sizes
        self.sizes = total


def tally_of(block: Any) -> Tally:
    """That of one block."""
    tally = Tally()
    tally.add(block)
    return tally


def labels_of(block: Any) -> Any:
    """The labels alone."""
    return block["label"] if block.dtype.names else block
