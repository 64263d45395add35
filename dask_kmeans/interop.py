"""Interoperability: fitted models as those of other libraries."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from dask_kmeans.read.transforms import Standardization, Transform, inward


def to_sklearn(model: Any) -> Any:
    """See `KMeans.to_sklearn`; `model` is a fitted `KMeans` of this package."""
    kmeans = _kmeans(model, inward(model.cluster_centers_, model._transforms))
    if not model._transforms:
        return kmeans
    from sklearn.pipeline import Pipeline

    steps = []
    for transform in model._transforms:
        name, step = _step(transform, model)
        if hasattr(model, "feature_names_in_"):
            step.feature_names_in_ = model.feature_names_in_.copy()
        steps.append((name, step))
    if hasattr(kmeans, "feature_names_in_"):
        del kmeans.feature_names_in_  # it is given the arrays that the steps make
    return Pipeline([*steps, ("kmeans", kmeans)])


def _step(transform: Transform, model: Any) -> tuple[str, Any]:
    """The transform as a step of a pipeline, and its name."""
    if isinstance(transform, Standardization):
        return "standardscaler", _scaler(transform, int(model.cluster_sizes_.sum()))
    from sklearn.preprocessing import Normalizer

    return "normalizer", Normalizer().fit(model.cluster_centers_)


def _kmeans(model: Any, centers: np.ndarray) -> Any:
    from sklearn.cluster import KMeans as SklearnKMeans

    other = SklearnKMeans(
        len(centers), init=centers, n_init=1, max_iter=model.max_iter, tol=model.tol
    )
    # A fit on the centers themselves sets up what predict needs by public means alone.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        other.fit(centers)
    other.cluster_centers_ = centers.copy()
    other.inertia_ = model.inertia_ / model._metric.of_square
    other.n_iter_ = model.n_iter_
    labels = getattr(model, "labels_", None)
    if isinstance(labels, np.ndarray):
        other.labels_ = labels.copy()
    else:
        del other.labels_
    if hasattr(model, "feature_names_in_"):
        other.feature_names_in_ = model.feature_names_in_.copy()
    return other


def _scaler(standardization: Standardization, n_rows: int) -> Any:
    from sklearn.preprocessing import StandardScaler

    mean, scale = standardization.mean, standardization.scale
    # A fit on two rows of this mean and deviation sets up all that is not set below.
    scaler = StandardScaler().fit(np.stack([mean - scale, mean + scale]))
    scaler.mean_, scaler.scale_, scaler.var_ = mean.copy(), scale.copy(), scale**2
    scaler.n_samples_seen_ = n_rows
    return scaler
