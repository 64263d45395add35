"""The accessor `.kmeans` of xarray objects, which are told of it by `import dask_kmeans.xarray`."""

from __future__ import annotations

from typing import Any

import xarray as xr

from dask_kmeans.estimator import KMeans

__all__ = ["KMeansAccessor"]


@xr.register_dataarray_accessor("kmeans")
@xr.register_dataset_accessor("kmeans")
class KMeansAccessor:
    """k-means of a DataArray, or of a Dataset whose variables are the features.

    Examples
    --------
    >>> import xarray as xr
    >>> import dask_kmeans.xarray
    >>> heights = xr.DataArray([[1.0], [2.0], [8.0]], {"day": [3, 4, 5]}, ("day", "station"))
    >>> model = heights.kmeans.fit(2, random_state=0)
    >>> bool((heights.kmeans.predict(model) == model.labels_).all())
    True
    """

    def __init__(self, data: xr.DataArray | xr.Dataset):
        self._data = data

    def fit(self, n_clusters: int = 8, *, sample_weight: Any = None, **parameters: Any) -> KMeans:
        """A model of these data.

        Parameters
        ----------
        n_clusters : int, default=8
        sample_weight : DataArray or array-like, optional
            See `KMeans.fit`.
        **parameters
            Of `KMeans`: `feature_dim=("lat", "lon")`, say.

        Returns
        -------
        KMeans
            Fitted: `labels_` and `labelled_centers_` are DataArrays.
        """
        return KMeans(n_clusters, **parameters).fit(self._data, sample_weight=sample_weight)

    def predict(self, model: KMeans, return_distance: bool = False) -> Any:
        """Labels of these data by a fitted model, and perhaps distances: see `KMeans.predict`."""
        return model.predict(self._data, return_distance)
