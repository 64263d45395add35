"""Sample weights in the order of the rows: by label where both have labels, else by position.

Labels have to be the same on both sides; only their order may differ. Nothing is filled in, and no
row is left out for want of a weight.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dask
import numpy as np

from dask_kmeans import checks
from dask_kmeans.read.casts import as_numbers
from dask_kmeans.read.feature_grid import FeatureGrid
from dask_kmeans.read.masks import without_mask
from dask_kmeans.read.packing import read_values

if TYPE_CHECKING:
    from dask_kmeans.read.points import Points


def weight_values(sample_weight: Any) -> np.ndarray:
    """Weights of any kind as an array in memory; a packed Zarr array decoded."""
    if hasattr(sample_weight, "store_path"):
        return read_values(sample_weight)
    if dask.is_dask_collection(sample_weight):
        sample_weight = sample_weight.compute()
    return without_mask(sample_weight, "sample_weight")


def weights_along_index(sample_weight: Any, index: Any) -> Any:
    """Weights of the rows of a pandas DataFrame.

    Parameters
    ----------
    sample_weight : array-like
        Of a Series, or a DataArray with a coordinate, the labels are compared with `index`.
    index : pandas.Index

    Raises
    ------
    ValueError
        Where the labels are others, or their order cannot be found because some come twice.
    """
    if dask.is_dask_collection(sample_weight):
        sample_weight = sample_weight.compute()
    own = getattr(sample_weight, "index", None)
    if _is_data_array(sample_weight):
        own = sample_weight.indexes.get(*sample_weight.dims) if sample_weight.ndim == 1 else None
    if not hasattr(own, "get_indexer"):  # no index of pandas: the method of a list, perhaps
        return sample_weight
    order = _order(own, index, "the index")
    values = np.asarray(sample_weight)
    return values if order is None else values[order]


def weights_along_dimensions(sample_weight: Any, grid: Any, what: str = "sample_weight") -> Any:
    """Weights of the points of a grid.

    Parameters
    ----------
    sample_weight : array-like
        Of a DataArray, and of a Series whose index has the names of dimensions, the labels are
        compared with the coordinates of `grid`.
    grid : xarray.DataArray
        The samples: its dimensions and coordinates count.
    what : str
        The argument that they are, for the error.

    Returns
    -------
    xarray.DataArray or array-like
        A DataArray has its dimensions in the order of those of `grid`, of which it may lack some:
        it is the same along them. Scalar coordinates are left out.

    Raises
    ------
    ValueError
        For a dimension that `grid` has not, another size, or other labels.
    """
    labels: Any = getattr(sample_weight, "index", None)
    if hasattr(labels, "get_indexer") and not _is_data_array(sample_weight):
        if set(labels.names) <= set(grid.dims):
            sample_weight = sample_weight.to_xarray()
        elif grid.ndim == 1 and grid.dims[0] in grid.indexes:
            return weights_along_index(sample_weight, grid.indexes[grid.dims[0]])
    if not _is_data_array(sample_weight):
        return sample_weight
    if not set(sample_weight.dims) <= set(grid.dims):
        raise checks.weight_dims_error(sample_weight.dims, grid.dims, what)
    for dim in sample_weight.dims:
        if sample_weight.sizes[dim] != grid.sizes[dim]:
            raise checks.weight_sizes_error(dim, sample_weight.sizes[dim], grid.sizes[dim], what)
        if dim in sample_weight.indexes and dim in grid.indexes:
            order = _order(
                sample_weight.indexes[dim], grid.indexes[dim], f"dimension {dim!r}", what
            )
            if order is not None:
                sample_weight = sample_weight.isel({dim: order})
        else:
            _check_other_coordinates(sample_weight, grid, dim)
    own = [dim for dim in grid.dims if dim in sample_weight.dims]
    return sample_weight.transpose(*own)


def feature_weights(given: Any, points: Points) -> np.ndarray | None:
    """Weights of the features of some points.

    Parameters
    ----------
    given : array-like, DataArray, mapping or None
        One for each feature, in order, or of the shape of their grid; a DataArray may lack
        dimensions of the grid, along which weights are the same. A mapping, or a Series, has them
        by name, and 1 stands for those that it has not.
    points : Points
        Of all features.

    Returns
    -------
    ndarray of shape (n_features,), float64, or None

    Raises
    ------
    ValueError
        For other labels or shapes than those of the features, and weights that are not above 0.
    """
    if given is None:
        return None
    if _is_data_array(given) and points.grid is not None:
        weights = _along_grid(given, points.grid)
    elif isinstance(given, Mapping) or hasattr(given, "to_dict"):
        by_name = dict(given.items())
        names = points.feature_names or ()
        checks.check_weighted_names(by_name, names)
        weights = np.array([by_name.get(name, 1.0) for name in names])
    else:
        weights = as_numbers(np.asarray(given), "feature_weight")
    shape = None if points.grid is None else points.grid.shape
    checks.check_feature_weights(weights, points.n_features, shape)
    return np.ascontiguousarray(weights, np.float64).reshape(-1)


def _along_grid(given: Any, grid: FeatureGrid) -> np.ndarray:
    """Weights at each place of a grid of features, by its labels."""
    template = grid.labelled(np.broadcast_to(0.0, (1, grid.size)))[0]
    own = weights_along_dimensions(given, template, "feature_weight")
    shape = [own.sizes.get(dim, 1) for dim in grid.dims]
    return np.broadcast_to(np.asarray(own).reshape(shape), grid.shape)


def _order(given: Any, needed: Any, where: str, what: str = "sample_weight") -> np.ndarray | None:
    """Positions in the index `given` of the labels of `needed`; None where they are the same."""
    if given.equals(needed):
        return None
    if len(given) == len(needed) and given.is_unique and needed.is_unique:
        order = given.get_indexer(needed)
        if (order >= 0).all():
            return order
    raise checks.weight_labels_error(where, given, needed, what)


def _check_other_coordinates(weights: Any, grid: Any, dim: Any) -> None:
    """Raise where coordinates along a dimension without an index say that the order is another."""
    for name, coordinate in weights.coords.items():
        if dim in coordinate.dims and name in grid.coords:
            other = grid.coords[name]
            lazy = coordinate.chunks is not None or other.chunks is not None
            if not lazy and not coordinate.variable.equals(other.variable):
                raise checks.weight_coordinate_error(name, dim)


def _is_data_array(given: Any) -> bool:
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(given, xarray.DataArray)
