"""Fitted clusters: what a model that has been fitted can do, however it was fitted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted

from dask_kmeans import checks
from dask_kmeans.blockwise import Blockwise
from dask_kmeans.capacity import check_capacity_to_describe
from dask_kmeans.checks import BadWeightError, NonFiniteError
from dask_kmeans.describe import clusters_of, statistics_for
from dask_kmeans.fit_attributes import FitAttributes
from dask_kmeans.interop import to_sklearn
from dask_kmeans.pages import fitted_table, write_page
from dask_kmeans.predict import (
    LABELLED,
    DistanceRows,
    LabelledRows,
    LabelRows,
    RowFunction,
    statistics_of,
)
from dask_kmeans.read import (
    Points,
    PresentFeatures,
    Source,
    as_points,
    opened,
)
from dask_kmeans.statistics import Inertia, Statistic
from dask_kmeans.survey import survey
from dask_kmeans.write.export import export_centers
from dask_kmeans.write.model import save_model


class FittedClusters(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, FitAttributes
):
    """What an estimator does with its `cluster_centers_` and the other attributes of a fit."""

    @property
    def labelled_centers_(self) -> Any:
        """The centers in the caller's kind: a DataArray (cluster, *feature dimensions) with the
        coordinates and attributes of the data for xarray (a Dataset's variables along `variable`),
        a DataFrame (cluster, feature) where features have names, else `cluster_centers_`."""
        check_is_fitted(self)
        if self._grid is not None:
            return self._grid.labelled(self.cluster_centers_)
        if not hasattr(self, "feature_names_in_"):
            return self.cluster_centers_
        import pandas as pd

        cluster = pd.RangeIndex(len(self.cluster_centers_), name="cluster")
        return pd.DataFrame(self.cluster_centers_, cluster, list(self.feature_names_in_))

    def fit_predict(self, X, y=None, sample_weight=None):
        """Find the clusters of X and return `labels_`."""
        return self.fit(X, sample_weight=sample_weight).labels_

    def fit_transform(self, X, y=None, sample_weight=None):
        """Find the clusters of X and return the distances of its rows to their centers."""
        return self.fit(X, sample_weight=sample_weight).transform(X)

    def predict(self, X, return_distance=False):
        """Index of the nearest center for each row of X, or of the leaf of `tree_` it comes to.

        Parameters
        ----------
        X : as in `fit`
            The features of the fit, in the same order.
        return_distance : bool, default=False
            Whether to give the distance to that center, too.

        Returns
        -------
        labels : int32, one for each row, in the kind of X
            Lazy for lazy X, which is then read once; -1 for rows left out under `nan="skip"` and
            for those with nodata.
        distances : float64, one for each row, in the kind of X
            Only by `return_distance`: as `transform` tells them, NaN for rows left out. Computed
            together, `dask.compute(labels, distances)`, both take one read.
        """
        if not return_distance:
            return self._apply(LabelRows, X, np.int32)
        return self._apply(LabelledRows, X, LABELLED, fields=("label", "distance"))

    def transform(self, X):
        """Distances of each row of X to each center: Euclidean, or 1 - cos.

        Returns
        -------
        distances : float64 (n, n_clusters), in the kind of X
            In the unit of the data (or of its standardized features), or by `metric="cosine"` from
            0 to 2, as half the squared distance of the unit vectors; lazy for lazy X.
        """
        check_is_fitted(self)
        return self._apply(DistanceRows, X, np.float64, self._n_features_out)

    def score(self, X, y=None, sample_weight=None):
        """Minus the inertia of X about the centers: one pass over the data.

        Returns
        -------
        float
            `-inertia_` to the last bit for the data of the fit.
        """
        (inertia,) = self._figures(X, sample_weight, (Inertia(),))
        checks.check_finite_inertia(inertia)
        return -self._metric.of_square * inertia

    def describe(self, X, sample_weight=None, top=10):
        """What the clusters of X are like, from one pass over it.

        Parameters
        ----------
        X : as in `fit`
            The features of the fit, in the same order.
        sample_weight : array-like of shape (n,), default=None
            As in `fit`. A row of weight 0 counts in the sizes of clusters alone.
        top : int, default=10
            How many of the nearest rows of each cluster to tell, and of the farthest ones; 0 for
            none.

        Returns
        -------
        Clusters
            `table` has a row a cluster: size, weight, inertia, mean, maximum and quantiles of the
            distance to its center, and mean and standard deviation of every feature in the unit of
            the data. `nearest` and `farthest` have the `top` rows of each, by number, with the
            columns that X carries (`open_source("table.parquet").carrying(["id"])`). A cluster
            without rows has a size of 0, and NaN. Rows that `nan="skip"` leaves out count nowhere.

        Examples
        --------
        >>> import numpy as np
        >>> from dask_kmeans import KMeans
        >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [14.0]])
        >>> clusters = KMeans(2, random_state=0).fit(X).describe(X, top=1)
        >>> clusters.table[["size", "mean_distance", "x0_mean"]].sort_values("x0_mean").to_numpy()
        array([[ 3.        ,  0.66666667,  1.        ],
               [ 2.        ,  2.        , 12.        ]])
        >>> sorted(clusters.nearest["row"])
        [1, 3]
        """
        checks.check_top(top)
        carry = X.carry if isinstance(X, Source) else None
        present = PresentFeatures.of_centers(self.cluster_centers_)
        statistics = statistics_for(self._metric, int(top), present)
        figures = self._figures(
            X, sample_weight, statistics, carrying=carry is not None,
            check=partial(check_capacity_to_describe, n_clusters=len(self.cluster_centers_)),
        )  # fmt: skip
        checks.check_finite_inertia(figures[0])
        names = self._fitted_columns().names or [f"x{j}" for j in range(self.n_features_in_)]
        return clusters_of(figures, self._metric, names, None if carry is None else carry.schema)

    def save(self, url: str, *, overwrite: bool = False) -> None:
        """Store the fitted model as a Zarr group with JSON attributes: no pickle.

        What `load_model` would refuse is refused here, before anything is written. Functions
        (`callbacks`, `init`) and generators (`random_state`) are no data and are left out: a loaded
        model has the defaults in their place.

        Parameters
        ----------
        url : str
            A local path or any fsspec URL. Written whole or not at all.
        overwrite : bool, default=False
            Whether to replace what is there.
        """
        check_is_fitted(self)
        checks.check_parameters(self)
        save_model(self._fitted_model(), url, overwrite=overwrite)

    def report(self, url: str, clusters: Any = None, *, overwrite: bool = False) -> None:
        """Write what the fit found as one HTML page, which needs nothing else to be read.

        It tells what was fitted, how it settled, the sizes of the clusters and their centers.

        Parameters
        ----------
        url : str
            A local path or any fsspec URL. Written whole or not at all.
        clusters : Clusters, default=None
            What `describe` found: the page then has the distances in each cluster, and the numbers
            of the rows that are farthest from their centers.
        overwrite : bool, default=False
            Whether to replace what is there.
        """
        check_is_fitted(self)
        write_page(self, url, clusters, overwrite=overwrite)

    def export(self, url: str, *, overwrite: bool = False) -> None:
        """Write the centers for other programs: to `.npy`, `.parquet` or `.json`.

        Parameters
        ----------
        url : str
            A local path or any fsspec URL. Written whole or not at all. Its ending says what is
            written: `.npy` an array of `cluster_centers_`, float64; `.parquet` a table of the
            columns `cluster` (int32), `size` (int64) and `vector` (a list of fixed size of
            float64); `.json` an object with `cluster_centers`, `cluster_sizes`, `feature_names`,
            `metric`, `standardization` (`mean` and `scale`, or null), the `version` of this package
            and the `kind` and `format_version` of the object itself.
        overwrite : bool, default=False
            Whether to replace what is there.

        Notes
        -----
        Centers are in the unit of the data. Those of a model that standardizes are compared with
        rows after both have been through (x - mean) / scale, which `.json` tells, and Parquet in
        the metadata of its schema (`dask_kmeans`). By cosine they are of length one.
        """
        check_is_fitted(self)
        export_centers(self._fitted_model(), url, overwrite)

    def to_sklearn(self):
        """A fitted `sklearn.cluster.KMeans` with these centers: nothing is fitted again.

        Returns
        -------
        sklearn.cluster.KMeans or sklearn.pipeline.Pipeline
            Its `labels_` are ours where they are in memory, and absent for lazy data. Of a model
            that standardizes: a pipeline of a `StandardScaler` and the `KMeans`. Of a model by
            cosine: a pipeline of a `Normalizer` and the `KMeans`, which gives the same labels, but
            for what it cannot carry: `transform` is the Euclidean distance of unit vectors,
            sqrt(2 (1 - cos)), `score` and `inertia_` are twice ours, and rows of zeros get labels.

        Raises
        ------
        ValueError
            For a model that `coarsen` has made, or a `BisectingKMeans`: the labels of
            scikit-learn's KMeans are the nearest centers.
        """
        check_is_fitted(self)
        if self._coarsening is not None:
            raise checks.coarse_model_error(len(self._coarsening.finest_centers))
        if self._tree is not None:
            raise checks.tree_model_error()
        return to_sklearn(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.nan == "skip"
        tags.transformer_tags.preserves_dtype = []
        return tags

    def __repr__(self, N_CHAR_MAX=700):  # the name is scikit-learn's
        return checks.shown_url(super().__repr__(N_CHAR_MAX))

    @property
    def _repr_html_(self):
        shown = super()._repr_html_  # none where scikit-learn is set to show text
        return lambda: self._with_table(shown())

    def _repr_mimebundle_(self, **kwargs):
        shown = super()._repr_mimebundle_(**kwargs)
        if "text/html" in shown:
            shown["text/html"] = self._with_table(shown["text/html"])
        return shown

    def _with_table(self, diagram: str) -> str:
        """HTML: scikit-learn's diagram, and what the fit found."""
        found = fitted_table(self) if hasattr(self, "history_") else ""
        return checks.shown_url(diagram) + found

    @property
    def _n_features_out(self) -> int:
        """Width of `transform`; scikit-learn's mixin makes the output names from it."""
        return len(self.cluster_centers_)

    def _known_points(self, X: Any, sample_weight: Any = None) -> Points:
        """X as points that have the features of the fit, as they are compared."""
        check_is_fitted(self)
        return self._points_like_before(X, sample_weight).through(*self._transforms)

    def _points_like_before(self, X: Any, sample_weight: Any) -> Points:
        """X as points that have the features of the rows before."""
        # A model of a raster labels plain tables too, where there is no dimension to name.
        fitted = self._fitted_columns()
        X = opened(X, fitted)
        on_grid = isinstance(X, Source) and X.has_dimensions
        labelled = on_grid or type(X).__name__ in ("DataArray", "Dataset")
        feature_dim = self.feature_dim if labelled else None
        points = as_points(
            X, sample_weight, feature_dim=feature_dim, nodata=self.nodata,
            fitted_nodata=self._nodata, fitted_categories=self._categories,
        )  # fmt: skip
        checks.check_same_features(
            fitted.names,
            self.n_features_in_,
            points.feature_names,
            points.n_features,
            X.description if isinstance(X, Source) else None,
        )
        if self._grid is not None:
            self._grid.check_same(points.grid)
        return points

    def _figures(
        self,
        X: Any,
        sample_weight: Any,
        statistics: tuple[Statistic, ...],
        *,
        by_row: bool = False,
        carrying: bool = False,
        check: Callable[[Points], None] = lambda points: None,
    ) -> list[Any]:
        """Figures of the rows of X and their labels, from one pass.

        by_row : whether they need the rows' numbers, which may take a pass to count the rows.
        carrying : whether they want what X, a source, carries beside its rows.
        check : raises where a pass over the points cannot be made.
        """
        points = self._known_points(X, sample_weight)
        check(points)
        blockwise = Blockwise(points.blocks, points.in_memory, row_bytes=points.row_bytes)
        try:
            if by_row and points.n_rows is None:
                counts = survey(points, blockwise, self.nan).counts
                blockwise = blockwise.with_plan(blocks=points.with_counts(counts).blocks)
            return statistics_of(blockwise, self._row_function(LabelRows), statistics, carrying)
        except (BadWeightError, NonFiniteError):
            survey(points, blockwise, self.nan)  # says the same, with the row's number among all
            raise
        finally:
            blockwise.close()

    def _labelled(self, X: Any) -> Any:
        """Labels with distances, `LABELLED`, as `predict` gives labels."""
        return self._apply(LabelledRows, X, LABELLED)

    def _labelled_streams(self, X: Any) -> Any:
        """The same, with what a store carries beside its rows: `read.stored.Streams`."""
        return self._known_points(X).streams(self._row_function(LabelledRows), LABELLED)

    def _apply(self, kind: type[RowFunction], X: Any, dtype: Any, *form: Any, **named: Any):
        return self._known_points(X).apply(self._row_function(kind), dtype, *form, **named)
