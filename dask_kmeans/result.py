"""What a fit leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dask_kmeans.kernels import Sums
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
        Wall time of the iteration.
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
    """Inertia less `step.move.scatter_of_centers`: the same in every step."""
    history: list[IterationRecord] = field(default_factory=list)
    reason: StopReason | None = None

    @property
    def iteration(self) -> int:
        """Steps taken."""
        return len(self.history)


@dataclass
class FitState:
    """Everything that a fit has learnt between two passes: what a checkpoint holds."""

    data: dict[str, Any]
    """What identifies the data: rows, features, a digest of their ranges."""
    runs: list[Run]
    passes: int
    """Passes over the data so far."""


@dataclass(frozen=True)
class FitResult:
    """The best run of a fit.

    Attributes
    ----------
    centers : ndarray of shape (n_clusters, n_features), float64
    labels : ndarray of shape (n_rows,), int32, or None
        Only for data in memory; -1 for rows that were left out.
    inertia : float
        Sum of weight times squared distance to the nearest center; unit of the data squared.
    sizes : ndarray of shape (n_clusters,), int64
        Rows of each cluster.
    history : list of IterationRecord
    reason : StopReason
    passes : int
        How often the data was read, whole.
    """

    centers: np.ndarray
    labels: np.ndarray | None
    inertia: float
    sizes: np.ndarray
    history: list[IterationRecord]
    reason: StopReason
    passes: int


@dataclass
class FittedModel:
    """A fitted model as it is stored: plain values and arrays.

    Attributes
    ----------
    cluster_centers : ndarray of shape (n_clusters, n_features), float64
    cluster_sizes : ndarray of shape (n_clusters,), int64
    inertia : float
    n_iter, n_passes : int
    converged : bool
    stop_reason : str
    feature_names : tuple of str or None
    parameters : dict
        Parameters of the estimator that have a JSON form.
    history : list of dict
        `IterationRecord` as dictionaries.
    standardization : dict or None
        {"mean": [...], "scale": [...]} where the data was standardized before the fit.
    """

    cluster_centers: np.ndarray
    cluster_sizes: np.ndarray
    inertia: float
    n_iter: int
    n_passes: int
    converged: bool
    stop_reason: str
    feature_names: tuple[str, ...] | None
    parameters: dict[str, Any]
    history: list[dict[str, Any]]
    standardization: dict[str, Any] | None = None
