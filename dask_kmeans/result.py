"""What a fit leaves behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dask_kmeans.kernels import Moments
from dask_kmeans.read import Standardization
from dask_kmeans.state import IterationRecord, RunState, StopReason
from dask_kmeans.statistics import PairCounts


@dataclass(frozen=True)
class FitState:
    """Everything that a fit has learnt between two passes: what a checkpoint holds."""

    data: dict[str, Any]
    """What identifies the data: counts, and a hash of all rows."""
    runs: tuple[RunState, ...]
    """By their numbers."""
    passes: int
    """Passes over the data so far."""
    seed: int
    """The random bits that all draws of the fit follow from."""

    @property
    def moving(self) -> list[RunState]:
        """The runs that have not ended."""
        return [run for run in self.runs if run.reason is None]

    def after(self, runs: Iterable[RunState], passes: int) -> FitState:
        """The same with these runs in place of those of their numbers, after so many passes."""
        changed = {run.number: run for run in runs}
        following = tuple(changed.get(run.number, run) for run in self.runs)
        return FitState(self.data, following, passes, self.seed)


@dataclass(frozen=True)
class FitResult:
    """The best run of a fit.

    Attributes
    ----------
    centers : ndarray of shape (n_clusters, n_features), float64
        In the caller's units.
    standardization : Standardization or None
        What rows and centers go through before they are compared.
    labels : ndarray of shape (n_rows,), int32, or None
        Only for data in memory; -1 for rows that were left out.
    inertia : float
        Sum of weight times squared distance to the nearest center, as the metric tells it.
    sizes : ndarray of shape (n_clusters,), int64
        Rows of each cluster.
    history : list of IterationRecord
    reason : StopReason
    passes : int
        How often the data was read, whole.
    compared_centers : ndarray of shape (n_clusters, n_features), float64
        As they are compared: with standardized features, or of length one.
    moments : Moments
        Means and weights of the clusters, of rows as they are compared.
    statistics : list
        Figures that the last pass was asked for, in that order.
    metric : str
    transitions : PairCounts or None
        Rows by their labels here and with the next larger number of clusters. None where that was
        not asked for, and for the largest.
    tree : Tree or None
        Down which rows find their labels, where these are not the nearest centers.
    """

    centers: np.ndarray
    standardization: Standardization | None
    labels: np.ndarray | None
    inertia: float
    sizes: np.ndarray
    history: list[IterationRecord]
    reason: StopReason
    passes: int
    compared_centers: np.ndarray
    moments: Moments
    statistics: list[Any]
    metric: str
    transitions: PairCounts | None = None
    tree: Tree | None = None


@dataclass(frozen=True)
class Coarsening:
    """How a model whose clusters are made of clusters gives labels: by the centers of these.

    Attributes
    ----------
    parent : ndarray of shape (n_finer,), int32
        The cluster that each cluster of the finer model has become part of.
    finest_centers : ndarray of shape (n_finest, n_features), float64
        The centers that rows are compared with, in the caller's units: those of the finer model,
        or, if that was made of clusters too, those that it compares with.
    finest_parent : ndarray of shape (n_finest,), int32
        The cluster that each of them belongs to.
    """

    parent: np.ndarray
    finest_centers: np.ndarray
    finest_parent: np.ndarray

    def check(self, n_clusters: int, n_features: int) -> None:
        """Raise ValueError unless it can be that of a model of this shape."""
        if self.finest_centers.shape != (len(self.finest_parent), n_features):
            raise ValueError("finest_centers has another shape than the model and finest_parent")
        present = ~np.isnan(self.finest_centers).all(axis=0)  # features that the data has
        if not np.isfinite(self.finest_centers[:, present]).all():
            raise ValueError("finest_centers has values that are not finite")
        for name, clusters in ("parent", self.parent), ("finest_parent", self.finest_parent):
            if ((clusters < 0) | (clusters >= n_clusters)).any():
                raise ValueError(f"{name} has numbers that are no clusters")


@dataclass(frozen=True)
class Tree:
    """How the clusters of a `BisectingKMeans` came from each other: n_clusters leaves.

    Nodes are numbered as they came: 0 is the root, 1 and 2 are what it was split into. A leaf is
    the cluster with its place among the leaves. A row goes down from the root to the nearer of two
    centers, the first of equally near ones, as a label of `KMeans` is found.

    Attributes
    ----------
    node_parent : ndarray of shape (n_nodes,), int32
        The node that each was split off; -1 for the root.
    node_centers : ndarray of shape (n_nodes, n_features), float64
        In the caller's units.
    node_sizes : ndarray of shape (n_nodes,), int64
        Rows of each node.
    node_inertia : ndarray of shape (n_nodes,), float64
        Of these rows about the node's center, as the metric tells it.
    """

    node_parent: np.ndarray
    node_centers: np.ndarray
    node_sizes: np.ndarray
    node_inertia: np.ndarray

    @property
    def leaves(self) -> np.ndarray:
        """The node of each cluster: int64 (n_clusters,)."""
        return np.setdiff1d(np.arange(len(self.node_parent)), self.node_parent)

    def check(self, n_clusters: int, n_features: int) -> None:
        """Raise ValueError unless it can be that of a model of this shape."""
        parent, n_nodes = self.node_parent, 2 * n_clusters - 1
        if self.node_centers.shape != (n_nodes, n_features):
            raise ValueError("node_centers has another shape than that of a tree of the model")
        present = ~np.isnan(self.node_centers).all(axis=0)  # features that the data has
        if not np.isfinite(self.node_centers[:, present]).all():
            raise ValueError("node_centers has values that are not finite")
        pairs = parent[1::2]
        if (
            parent.shape != (n_nodes,)
            or parent[0] != -1
            or not np.array_equal(pairs, parent[2::2])
            or ((pairs < 0) | (pairs > 2 * np.arange(len(pairs)))).any()
            or len(np.unique(pairs)) < len(pairs)
        ):
            raise ValueError("node_parent is not that of a tree of pairs")
        for name in ("node_sizes", "node_inertia"):
            values = getattr(self, name)
            if values.shape != (n_nodes,) or not np.isfinite(values).all() or (values < 0).any():
                raise ValueError(f"{name} is not a number >= 0 for each node")


@dataclass(frozen=True)
class Stream:
    """The rows that `partial_fit` has seen, summed up.

    Attributes
    ----------
    points : ndarray of shape (m, n_features), float64
        What rows have become, in the caller's units (by cosine unit vectors).
    point_weights : ndarray of shape (m,), float64
        The weight of these rows; positive.
    point_rows : ndarray of shape (m,), int64
        How many they are.
    lost : ndarray of shape (1,), float64
        Inertia of the rows about the points.
    """

    points: np.ndarray
    point_weights: np.ndarray
    point_rows: np.ndarray
    lost: np.ndarray

    def chosen(self, which: np.ndarray) -> Stream:
        """With some of the points: bool (m,)."""
        return Stream(
            self.points[which], self.point_weights[which], self.point_rows[which], self.lost
        )

    def followed_by(self, other: Stream) -> Stream:
        """The points of both."""
        return Stream(
            np.concatenate([self.points, other.points]),
            np.concatenate([self.point_weights, other.point_weights]),
            np.concatenate([self.point_rows, other.point_rows]),
            self.lost + other.lost,
        )

    def check(self, n_clusters: int, n_features: int) -> None:
        """Raise ValueError unless it can be that of a model of this shape."""
        m = len(self.point_weights)
        if self.points.shape != (m, n_features) or self.point_rows.shape != (m,):
            raise ValueError("points has another shape than the model and point_weights")
        for name in ("points", "point_weights", "lost"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} has values that are not finite")
        if (self.point_weights <= 0).any() or (self.point_rows < 0).any():
            raise ValueError("point_weights or point_rows has values that are not positive")
        if self.lost.shape != (1,) or self.lost[0] < 0:
            raise ValueError("lost is not one number >= 0")


@dataclass
class FittedModel:
    """A fitted model as it is stored: plain values and arrays.

    Attributes
    ----------
    cluster_centers : ndarray of shape (n_clusters, n_features), float64
        In the caller's units.
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
    columns : tuple of int or None
        Positions of the features among the columns of the array that they were chosen from; None
        stands for all of them.
    standardization : dict or None
        {"mean": [...], "scale": [...]} where rows and centers are standardized before they are
        compared.
    metric : str
    coarsening : Coarsening or None
        Of a model that `coarsen` has made.
    stream : Stream or None
        Of a model that `partial_fit` has made.
    tree : Tree or None
        Of a `BisectingKMeans`.
    nodata : list of list of numbers, or None
        What stands for no value: in each feature, or one list for all of them.
    features : dict or None
        How they lie in an xarray object (`FeatureGrid.as_dict`).
    categories : dict or None
        Of the one-hot columns of a table, by their names.
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
    columns: tuple[int, ...] | None = None
    standardization: dict[str, Any] | None = None
    metric: str = "euclidean"
    coarsening: Coarsening | None = None
    stream: Stream | None = None
    tree: Tree | None = None
    nodata: list[list[float]] | None = None
    features: dict[str, Any] | None = None
    categories: dict[str, tuple[str, ...]] | None = None
