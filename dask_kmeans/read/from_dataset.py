"""Zarr groups that xarray wrote, as Datasets: variables are features, labels have dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from dask_kmeans import checks
from dask_kmeans.read import from_xarray
from dask_kmeans.read.columns import AllBut, numeric_columns
from dask_kmeans.read.points import Points
from dask_kmeans.read.stored import Source
from dask_kmeans.read.url import is_local_store


class DatasetSource(Source):
    """A Zarr group that xarray wrote, opened as `xr.open_zarr` does, lazily.

    Its data variables are the features, in the order of their names, or some of them; what CF calls
    coordinates, bounds and grid mappings are none. `n_rows` and `n_features` are those without a
    `feature_dim`.

    Parameters
    ----------
    group : zarr.Group
    columns : sequence of str, AllBut or None
        Variables; None: all that hold numbers.
    weight_column : str or None
        A variable or a coordinate along some dimensions of the rows.
    name : str, optional
        What messages call it.
    """

    has_dimensions = True

    def __init__(
        self,
        group: Any,
        columns: Sequence[Any] | AllBut | None = None,
        weight_column: Any = None,
        name: str | None = None,
    ):
        name = name or str(group.store_path)
        self.description = checks.shown_url(name)
        self.is_local = is_local_store(group.store)
        dataset = xr.open_zarr(
            group.store,
            group=group.path or None,
            consolidated=group.metadata.consolidated_metadata is not None,
            decode_coords="all",
        )
        variables = dict(dataset.data_vars)
        if weight_column in dataset.coords:
            variables[weight_column] = dataset[weight_column]
        dtypes = {
            key: of.dtype if of.dtype.kind in "biuf" else None for key, of in variables.items()
        }
        features = numeric_columns(
            dtypes,
            {key: of.dtype for key, of in variables.items()},
            sorted(dataset.data_vars),  # a store lists them in any order
            columns,
            weight_column,
            self.description,
            leave_out=f"open_source({name!r}, exclude={{}})",
        )
        self.weights = None if weight_column is None else dataset[weight_column].drop_encoding()
        self.weighted = self.weights is not None
        self.dataset = dataset[list(features.columns)]
        self.feature_names = features.names
        self.n_features = len(features)
        self.n_rows = math.prod(self.dataset[features.columns[0]].shape)
        self.dtype = np.result_type(*self.dataset.dtypes.values())

    def points(self, sample_weight: Any = None, feature_dim: Any = None) -> Points:
        if sample_weight is not None and self.weighted:
            raise checks.weights_twice_error(self.description)
        weights = self.weights if sample_weight is None else sample_weight
        return from_xarray.read_dataset(self.dataset, weights, feature_dim)
