"""A run: one restart of one number of clusters, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from dask_kmeans.kernels import Drift, PreparedCenters, Sums, prepare
from dask_kmeans.step.anchor import Anchor
from dask_kmeans.step.stop import StopReason


class IterationRecord(NamedTuple):
    """One iteration of one run.

    Attributes
    ----------
    iteration : int
        Counted from 1.
    changed : int
        Rows whose label is another than an iteration ago; all of them in the first.
    inertia : float
        Of this iteration's labels about the centers they were assigned to.
    center_shift : float
        Euclidean norm of the centers' move that followed, in the unit of the data.
    examined : int
        Rows whose distances were computed.
    bytes_read : int
        Bytes of the blocks read, as they lie in memory; restarts that share a pass share them.
    seconds : float
        Wall time of the iteration; those that a task took on end (small data in memory) have
        equal shares of it.
    """

    iteration: int
    changed: int
    inertia: float
    center_shift: float
    examined: int
    bytes_read: int
    seconds: float


@dataclass
class Run:
    """One restart: where it stands. All that a checkpoint has to keep of it."""

    number: int
    centers: np.ndarray
    """(k, d) float64: where the next assignment compares with."""
    assigned: np.ndarray | None = None
    """(k, d) float64: the centers that the labels of the latest step belong to."""
    sums: Sums | None = None
    """Sums and counts of the latest step's labels."""
    scatter_offset: float = 0.0
    """Inertia less `step.move.scatter_of`: the same in every step."""
    history: list[IterationRecord] = field(default_factory=list)
    reason: StopReason | None = None
    is_lloyd_step: bool = True
    """Whether `centers` are the means that Lloyd's iteration prescribes, not a leap beyond them."""
    image: np.ndarray | None = None
    """(k, d) float64: the means after the latest step that a leap did not spoil."""
    lowest_inertia: float = float("inf")
    """Of the steps so far."""
    longest_leap: int = 0
    """Steps on the sample that the next leap may take; 0 for a run without a sample."""
    anchors: list[Anchor] = field(default_factory=list)
    """Where leaps take their bearings; the oldest first."""

    drift: Drift | None = None
    """How far the centers have gone since margins were first kept, which a checkpoint forgets."""
    prepared: PreparedCenters | None = None
    """`assigned` as the kernels take it; made anew after a checkpoint, as is the next one."""
    origin: PreparedCenters | None = None
    """The first centers, about whose middle all prepared centers of the run have their origin."""

    def prepare(self, centers: np.ndarray) -> PreparedCenters:
        """`centers` as the kernels take them."""
        if self.origin is None:
            self.origin = prepare(centers)
        return self.origin.at(centers)

    @property
    def previous(self) -> PreparedCenters | None:
        """The centers that the labels of the latest step belong to; None before the first."""
        if self.prepared is None and self.assigned is not None:
            self.prepared = self.prepare(self.assigned)
        return self.prepared

    @property
    def iteration(self) -> int:
        """Steps taken."""
        return len(self.history)
