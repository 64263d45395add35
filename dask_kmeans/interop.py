"""Interoperability: fitted models as those of other libraries."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from dask_kmeans import checks
from dask_kmeans.kernels import of_length_one
from dask_kmeans.metrics import METRICS
from dask_kmeans.read.transforms import PresentFeatures, Standardization, Transform, inward
from dask_kmeans.result import FittedModel


def to_sklearn(model: Any) -> Any:
    """See `KMeans.to_sklearn`; `model` is a fitted `KMeans` of this package."""
    kmeans = _kmeans(model, inward(model.cluster_centers_, model._transforms))
    if not model._transforms:
        return kmeans
    from sklearn.pipeline import Pipeline

    steps = [_step(transform, model) for transform in model._transforms]
    if hasattr(model, "feature_names_in_"):
        steps[0][1].feature_names_in_ = model.feature_names_in_.copy()
    if hasattr(kmeans, "feature_names_in_"):
        del kmeans.feature_names_in_  # it is given the arrays that the steps make
    return Pipeline([*steps, ("kmeans", kmeans)])


def _step(transform: Transform, model: Any) -> tuple[str, Any]:
    """The transform as a step of a pipeline, and its name."""
    if isinstance(transform, Standardization):
        return "standardscaler", _scaler(transform, int(model.cluster_sizes_.sum()))
    if isinstance(transform, PresentFeatures):
        from sklearn.compose import ColumnTransformer

        kept = ColumnTransformer([("present", "passthrough", np.flatnonzero(transform.present))])
        return "columntransformer", kept.fit(model.cluster_centers_)
    from sklearn.preprocessing import Normalizer

    present = PresentFeatures.of_centers(model.cluster_centers_)
    centers = model.cluster_centers_
    return "normalizer", Normalizer().fit(centers if present is None else present.inward(centers))


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


def from_sklearn(model: Any) -> tuple[FittedModel, np.ndarray | None]:
    """See `KMeans.from_sklearn`: what a model of ours stores, and the labels where it has them."""
    kmeans, steps = _taken_apart(model)
    centers = np.array(kmeans.cluster_centers_, np.float64)
    standardization, metric = None, "euclidean"
    for step in steps:
        if type(step).__name__ == "StandardScaler":
            standardization = _standardization(step)
            centers = standardization.undo(centers)
        else:
            metric = "cosine"
            if not of_length_one(centers):
                raise checks.no_unit_centers_error()
    labels = getattr(kmeans, "labels_", None)
    labels = None if labels is None else np.array(labels, np.int32)
    n_iter, names = getattr(kmeans, "n_iter_", 0), getattr(model, "feature_names_in_", None)
    name = type(kmeans).__name__
    converged = not name.startswith("MiniBatch") and n_iter < kmeans.max_iter
    said = "converged" if converged else "does not say whether it converged"
    fitted = FittedModel(
        cluster_centers=centers,
        cluster_sizes=np.bincount([] if labels is None else labels, minlength=len(centers)),
        inertia=METRICS[metric].of_square * float(getattr(kmeans, "inertia_", np.nan)),
        n_iter=int(n_iter),
        n_passes=0,
        converged=converged,
        stop_reason=f"fitted by scikit-learn: its {name} {said}",
        feature_names=None if names is None else tuple(map(str, names)),
        parameters={
            "n_clusters": len(centers), "max_iter": int(kmeans.max_iter), "metric": metric,
            "standardize": standardization is not None,
        },
        history=[],
        standardization=None if standardization is None else standardization.as_dict(),
        metric=metric,
    )  # fmt: skip
    return fitted, labels


def _taken_apart(model: Any) -> tuple[Any, list[Any]]:
    """The k-means of scikit-learn, fitted, and what a pipeline does to rows before it."""
    from sklearn.cluster import KMeans as SklearnKMeans
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    kmeans, steps = model, []
    if isinstance(model, Pipeline) and model.steps:
        *steps, kmeans = [step for _, step in model.steps if step not in (None, "passthrough")]
    known = all(
        isinstance(step, StandardScaler) or (isinstance(step, Normalizer) and step.norm == "l2")
        for step in steps
    )
    # Of a BisectingKMeans the labels are found down its tree: they need not be the nearest centers.
    if not isinstance(kmeans, SklearnKMeans | MiniBatchKMeans) or not known or len(steps) > 1:
        raise checks.foreign_model_error(model)
    check_is_fitted(kmeans)
    return kmeans, steps


def _standardization(scaler: Any) -> Standardization:
    n_features = scaler.n_features_in_
    return Standardization(
        np.array(scaler.mean_ if scaler.with_mean else np.zeros(n_features), np.float64),
        np.array(scaler.scale_ if scaler.with_std else np.ones(n_features), np.float64),
    )
