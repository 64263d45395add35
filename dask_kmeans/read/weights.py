"""Sample weights in the order of the rows: by label where both have labels, else by position.

Labels have to be the same on both sides; only their order may differ. Nothing is filled in, and no
row is left out for want of a weight.
"""

from __future__ import annotations

import sys
from typing import Any

import dask
import numpy as np

from dask_kmeans import checks
from dask_kmeans.read.masks import without_mask
from dask_kmeans.read.packing import read_values


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


def weights_along_dimensions(sample_weight: Any, grid: Any) -> Any:
    """Weights of the points of a grid.

    Parameters
    ----------
    sample_weight : array-like
        Of a DataArray, and of a Series whose index has the names of dimensions, the labels are
        compared with the coordinates of `grid`.
    grid : xarray.DataArray
        The samples: its dimensions and coordinates count.

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
        raise checks.weight_dims_error(sample_weight.dims, grid.dims)
    for dim in sample_weight.dims:
        if sample_weight.sizes[dim] != grid.sizes[dim]:
            raise checks.weight_sizes_error(dim, sample_weight.sizes[dim], grid.sizes[dim])
        if dim in sample_weight.indexes and dim in grid.indexes:
            order = _order(sample_weight.indexes[dim], grid.indexes[dim], f"dimension {dim!r}")
            if order is not None:
                sample_weight = sample_weight.isel({dim: order})
        else:
            _check_other_coordinates(sample_weight, grid, dim)
    own = [dim for dim in grid.dims if dim in sample_weight.dims]
    return sample_weight.transpose(*own)


def _order(given: Any, needed: Any, where: str) -> np.ndarray | None:
    """Positions in the index `given` of the labels of `needed`; None where they are the same."""
    if given.equals(needed):
        return None
    if len(given) == len(needed) and given.is_unique and needed.is_unique:
        order = given.get_indexer(needed)
        if (order >= 0).all():
            return order
    raise checks.weight_labels_error(where, given, needed)


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
