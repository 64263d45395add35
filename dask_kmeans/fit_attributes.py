"""What an estimator keeps of a fit: taken over from a result or a stored model, and stored."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from sklearn.base import (
    BaseEstimator,
)

from dask_kmeans.metrics import METRICS, Metric
from dask_kmeans.predict import (
    Finest,
    Labeller,
    LabelRows,
    RowFunction,
)
from dask_kmeans.read import (
    FeatureGrid,
    FittedColumns,
    NoData,
    Points,
    PresentFeatures,
    Standardization,
    Transform,
)
from dask_kmeans.read.transforms import inward
from dask_kmeans.result import Coarsening, FitResult, FittedModel, Stream, Tree
from dask_kmeans.state import IterationRecord
from dask_kmeans.step.split import Branches
from dask_kmeans.write.model_parameters import stored_parameters


class FitAttributes(BaseEstimator):
    """The attributes of a fit, public and private, and what follows from them alone."""

    _fitted_metric = "euclidean"
    """Name of the metric of the fit, whatever becomes of the parameter."""

    _nodata: NoData | None = None
    """What stood for no value in the data of the fit."""

    _coarsening: Coarsening | None = None
    """How labels are found where clusters are made of clusters."""

    _tree: Tree | None = None
    """Down which labels are found where clusters were split."""

    _stream: Stream | None = None
    """What `partial_fit` remembers of rows."""

    _categories: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """Of the one-hot columns in the data of the fit."""

    _grid: FeatureGrid | None = None
    """How the features lay in the data of the fit, where that was of xarray."""

    def _adopt(self, result: FitResult, points: Points) -> None:
        """Take over what a fit found."""
        self._remember_features(points)
        self.cluster_centers_ = result.centers
        self.standardization_ = result.standardization
        self._fitted_metric = result.metric
        self._nodata = points.nodata
        self.inertia_ = result.inertia
        self.n_iter_ = len(result.history)
        self.n_passes_ = result.passes
        self.converged_ = result.reason.converged
        self.stop_reason_ = str(result.reason)
        self.history_ = result.history
        self.cluster_sizes_ = result.sizes
        self._set_coarsening(None)
        self._tree = result.tree
        self._stream = None
        self.labels_ = (
            points.through(*self._transforms).apply(self._row_function(LabelRows), np.int32)
            if result.labels is None
            else points.in_kind(result.labels)
        )

    def _remember_features(self, points: Points) -> None:
        self.n_features_in_ = points.n_features
        self._columns = points.positions
        self._categories = dict(points.categories)
        self._grid = points.grid
        if points.feature_names is not None:
            self.feature_names_in_ = np.array(points.feature_names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _set_coarsening(self, coarsening: Coarsening | None) -> None:
        self._coarsening = coarsening
        if coarsening is not None:
            self.parent_ = coarsening.parent
        elif hasattr(self, "parent_"):
            del self.parent_

    def _row_function(self, kind: type[RowFunction]) -> RowFunction:
        names = getattr(self, "feature_names_in_", None)
        centers = inward(self.cluster_centers_, self._transforms)
        labeller: Labeller | None = None
        features = np.flatnonzero(~np.isnan(self.cluster_centers_).all(axis=0))
        if self._coarsening is not None:
            finest_centers = inward(self._coarsening.finest_centers, self._transforms)
            labeller = Finest(finest_centers, self._coarsening.finest_parent)
        if self._tree is not None:
            tree = self._tree
            labeller = Branches(tree.node_parent, inward(tree.node_centers, self._transforms))
        return kind(
            centers, self.nan, None if names is None else tuple(names), self._metric, features,
            labeller,
        )  # fmt: skip

    @property
    def _metric(self) -> Metric:
        return METRICS[self._fitted_metric]

    @property
    def _transforms(self) -> tuple[Transform, ...]:
        """What rows go through before they are compared."""
        present = PresentFeatures.of_centers(self.cluster_centers_)
        own = [each for each in (self.standardization_, present) if each is not None]
        return (*own, *self._metric.transforms)

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there are centers: `partial_fit` may still wait for rows enough."""
        return hasattr(self, "cluster_centers_")

    def _fitted_columns(self) -> FittedColumns:
        names = getattr(self, "feature_names_in_", None)
        names = None if names is None else tuple(map(str, names))
        variables = names if self._grid is None else self._grid.variables
        return FittedColumns(names, getattr(self, "_columns", None), variables, self._categories)

    def _fitted_model(self) -> FittedModel:
        columns = self._fitted_columns()
        standardization = self.standardization_
        return FittedModel(
            cluster_centers=self.cluster_centers_,
            cluster_sizes=self.cluster_sizes_,
            inertia=self.inertia_,
            n_iter=self.n_iter_,
            n_passes=self.n_passes_,
            converged=self.converged_,
            stop_reason=self.stop_reason_,
            feature_names=columns.names,
            columns=columns.positions,
            parameters=stored_parameters(self.get_params(deep=False)),
            history=[record._asdict() for record in self.history_],
            standardization=None if standardization is None else standardization.as_dict(),
            metric=self._fitted_metric,
            coarsening=self._coarsening,
            stream=self._stream,
            tree=self._tree,
            nodata=None if self._nodata is None else self._nodata.as_list(),
            features=None if self._grid is None else self._grid.as_dict(),
            categories=dict(self._categories) or None,
        )

    def _restore(self, stored: FittedModel) -> None:
        """Take over what a model has stored."""
        self.cluster_centers_ = stored.cluster_centers
        self.standardization_ = (
            None
            if stored.standardization is None
            else Standardization.from_dict(stored.standardization)
        )
        self._fitted_metric = stored.metric
        self._set_coarsening(stored.coarsening)
        self._stream = stored.stream
        self._tree = stored.tree
        self._nodata = None if stored.nodata is None else NoData.of(stored.nodata)
        self._grid = None if stored.features is None else FeatureGrid.from_dict(stored.features)
        self.cluster_sizes_ = stored.cluster_sizes
        self.inertia_ = stored.inertia
        self.n_iter_ = stored.n_iter
        self.n_passes_ = stored.n_passes
        self.converged_ = stored.converged
        self.stop_reason_ = stored.stop_reason
        self.history_ = [IterationRecord(**record) for record in stored.history]
        self.n_features_in_ = stored.cluster_centers.shape[1]
        self._columns = stored.columns
        self._categories = stored.categories or {}
        if stored.feature_names is not None:
            self.feature_names_in_ = np.array(stored.feature_names, dtype=object)
