"""Read: any source -> `Points` (blocks of rows, weights, and the way back to the caller's kind).

One module a kind of source, each the only one to import its library, and only when needed: an
object of a library that was never imported cannot be what is given.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from dask_kmeans import checks
from dask_kmeans.read.points import Points

__all__ = ["Points", "as_points", "open_source"]


def as_points(X: Any, sample_weight: Any = None, *, feature_dim: Any = None) -> Points:
    """Points of anything that can be clustered.

    Parameters
    ----------
    X : array-like, dask array, zarr.Array, xarray.DataArray or Dataset, DataFrame, path or URL
        Rows are samples, columns features. Nothing is read but what describes the data.
    sample_weight : array-like of shape (n_rows,), optional
        Of the kind of X where that is lazy.
    feature_dim : hashable, optional
        Dimension of an xarray.DataArray that holds the features.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError
        For what cannot be clustered; the text says what to type.
    """
    if isinstance(X, (str, os.PathLike)):
        X = open_source(X)
    if feature_dim is not None and not _is_a(X, "xarray", "DataArray"):
        raise checks.unused_feature_dim_error(feature_dim, f"a {type(X).__name__}")
    if _is_a(X, "dask.array", "Array"):
        from dask_kmeans.read import from_dask

        return from_dask.read(X, sample_weight)
    if _is_a(X, "zarr", "Array"):
        from dask_kmeans.read import from_zarr, stored

        return stored.read(from_zarr.ZarrSource(X), sample_weight)
    from dask_kmeans.read import from_numpy

    return from_numpy.read(X, sample_weight)


def _is_a(X: Any, module: str, *names: str) -> bool:
    """Whether X is an instance of a class of a library, which is not imported to find out."""
    library = sys.modules.get(module)
    return library is not None and isinstance(X, tuple(getattr(library, name) for name in names))


def open_source(url: str | os.PathLike, columns: Any = None, weight_column: Any = None) -> Any:
    """Open what lies at a path or an fsspec URL."""
    raise NotImplementedError
