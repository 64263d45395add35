"""Read: any source -> `Points` (blocks of rows, weights, and the way back to the caller's kind).

One module a kind of source, imported with its library only when needed: an object of a library
that was never imported cannot be what is given.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import dask
import numpy as np

from dask_kmeans import checks
from dask_kmeans.read import from_numpy
from dask_kmeans.read.columns import FittedColumns, chosen, several
from dask_kmeans.read.feature_grid import FeatureGrid
from dask_kmeans.read.folder import Listing
from dask_kmeans.read.nodata import NoData
from dask_kmeans.read.one_hot import OneHot, column_of, requested
from dask_kmeans.read.pieces import Piece, RowSource
from dask_kmeans.read.points import Points
from dask_kmeans.read.results import RowName
from dask_kmeans.read.share import Share
from dask_kmeans.read.stored import Source
from dask_kmeans.read.transforms import PresentFeatures, Standardization, Transform
from dask_kmeans.read.url import Place, is_hdf5
from dask_kmeans.read.weights import feature_weights

__all__ = [
    "FeatureGrid",
    "FittedColumns",
    "NoData",
    "Piece",
    "Points",
    "PresentFeatures",
    "RowName",
    "RowSource",
    "Share",
    "Source",
    "Standardization",
    "Transform",
    "as_points",
    "feature_weights",
    "open_source",
    "opened",
]


logger = logging.getLogger("dask_kmeans")


def as_points(
    X: Any,
    sample_weight: Any = None,
    *,
    feature_dim: Any = None,
    nodata: Any = None,
    fitted_nodata: NoData | None = None,
    one_hot: Any = None,
    fitted_categories: OneHot = MappingProxyType({}),
) -> Points:
    """Points of anything that can be clustered.

    Parameters
    ----------
    X : array-like, dask, Zarr or HDF5 array, xarray object, DataFrame, pyarrow table, path or URL
        Rows are samples, columns features; of a column of vectors each number is a feature. Several
        paths in a list follow each other. Nothing is read but what describes the data, and of a
        table whose types do not say how long its vectors are the first rows.
    sample_weight : array-like of shape (n_rows,), optional
        Of the kind of X where that is lazy.
    feature_dim : hashable or sequence, optional
        Dimension of an xarray object, or dimensions, that hold the features.
    nodata : number, False or None
        What stands for no value. None: what X says, else `fitted_nodata`.
    fitted_nodata : NoData, optional
        What stood for no value when a model was fitted.
    one_hot : str, sequence of str or mapping, optional
        Columns of a table that are one-hot.
    fitted_categories : mapping
        The one-hot columns when a model was fitted, with their categories.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError
        For what cannot be clustered; the text says what to type.
    """
    wanted = requested(one_hot)
    points = _read(X, sample_weight, feature_dim, wanted or fitted_categories)
    if wanted and set(wanted) != set(points.categories):
        if isinstance(X, Source) and X.feature_names is not None:
            raise checks.opened_without_one_hot_error(wanted, X.description)
        what = X.description if isinstance(X, Source) else type(X).__name__
        raise checks.unused_one_hot_error(wanted, what)
    found = _nodata(points, nodata, fitted_nodata)
    return points if found is None else points.through(found)


def _nodata(points: Points, wanted: Any, fitted: NoData | None) -> NoData | None:
    """What stands for no value in X; where X alone says so, that is logged."""
    if wanted is not None:
        return None if isinstance(wanted, bool | np.bool_) else NoData(((wanted,),))
    own = None if points.declared is None else NoData.of(list(map(tuple, points.declared)))
    if own is None:
        return fitted
    if points.declared is not None and own != fitted:
        logger.info(checks.declared_nodata_text(points.declared))
    return own


def _read(X: Any, sample_weight: Any, feature_dim: Any, one_hot: OneHot) -> Points:
    """Points of X as it is."""
    X = opened(X, one_hot=one_hot)
    if isinstance(X, Source):
        return X.points(sample_weight, feature_dim)
    if _is_a(X, "xarray", "DataArray"):
        from dask_kmeans.read import from_xarray

        return from_xarray.read(X, sample_weight, feature_dim)
    if _is_a(X, "xarray", "Dataset"):
        from dask_kmeans.read import from_xarray

        return from_xarray.read_dataset(X, sample_weight, feature_dim)
    if feature_dim is not None:
        raise checks.unused_feature_dim_error(feature_dim, f"a {type(X).__name__}")
    if type(X) is np.ndarray:  # what is asked below takes long beside a small fit
        return from_numpy.read(X, sample_weight)
    if _is_a(X, "pandas", "DataFrame"):
        from dask_kmeans.read import from_pandas

        return from_pandas.read(X, sample_weight, one_hot)
    if _is_a(X, "pyarrow", "Table") or _is_a(X, "pyarrow", "RecordBatch"):
        from dask_kmeans.read import from_arrow

        return from_arrow.read(X, sample_weight, one_hot)
    if _is_a(X, "polars", "DataFrame"):
        from dask_kmeans.read import from_arrow

        return from_arrow.read_polars(X, sample_weight, one_hot)
    if _is_a(X, "polars", "LazyFrame"):
        raise checks.lazy_frame_error()
    if _is_a(X, "dask.array", "Array"):
        from dask_kmeans.read import from_dask

        return from_dask.read(X, sample_weight)
    if _is_a(X, "dask.dataframe", "DataFrame"):
        from dask_kmeans.read import from_dask_frame

        return from_dask_frame.read(X, sample_weight, one_hot)
    if _is_a(X, "zarr", "Array"):
        from dask_kmeans.read import from_zarr

        X = from_zarr.ZarrSource(X)
    if _is_a(X, "h5py", "Dataset") or _is_a(X, "h5py", "Group"):
        from dask_kmeans.read import from_hdf5

        X = from_hdf5.of_object(X)
    if dask.is_dask_collection(X):
        raise checks.unknown_collection_error(X)
    if isinstance(X, Source):
        return X.points(sample_weight)
    return from_numpy.read(X, sample_weight)


def _is_a(X: Any, module: str, name: str) -> bool:
    """Whether X is an instance of a class of a library, which is not imported to find out."""
    library = sys.modules.get(module)
    return library is not None and isinstance(X, getattr(library, name))


def opened(
    X: Any, fitted: FittedColumns | None = None, one_hot: OneHot = MappingProxyType({})
) -> Any:
    """What lies at X, a path, or in X, a Zarr group, opened; anything else as it is.

    fitted : what a model remembers of its features, which are looked for.
    """
    if _is_path(X):
        return open_source(X, fitted, one_hot=one_hot)
    if _is_a(X, "zarr", "Group"):
        from dask_kmeans.read import from_zarr

        return from_zarr.open_group(X, fitted.variables if fitted else None)
    return X


def _is_path(X: Any) -> bool:
    """Whether X is a path or URL, or several of them in a list."""
    paths = X if isinstance(X, list | tuple) else [X]
    return bool(paths) and all(isinstance(path, (str, os.PathLike)) for path in paths)


def open_source(
    url: str | os.PathLike | Sequence[str | os.PathLike],
    columns: str | int | Sequence[Any] | FittedColumns | None = None,
    weight_column: Any = None,
    exclude: str | int | Sequence[Any] = (),
    one_hot: str | Sequence[str] | Mapping[str, Sequence[str] | None] = (),
) -> Source:
    """What lies at a path or an fsspec URL, opened: its columns are chosen, no row is read (but of
    columns that are one-hot, to find their categories).

    `KMeans.fit(url)` does this by itself where all columns are features.

    Parameters
    ----------
    url : str or path, or a sequence of them
        A Zarr array or group member, or a Zarr group that xarray wrote; Parquet, CSV or `.npy`
        files, or folders or globs of them, which follow each other; the dataset of an HDF5 file
        (`file.h5::name`, or its only one).
    columns : str, int or sequence of them, optional
        The features: names in a table or of variables of a group, positions from 0 in an array.
        Default: all (that hold numbers). The package itself gives what a model remembers of its own
        (`FittedColumns`).
    weight_column : str or int, optional
        The column of the sample weights, which then is no feature; of a group a variable or a
        coordinate along dimensions of the rows.
    exclude : str, int or sequence of them, optional
        Columns that are no features, of those chosen or of all; each has to be there.
    one_hot : str, sequence of str or mapping, optional
        Columns of a table that hold categories, each of which is a feature: see `KMeans`.

    Returns
    -------
    Source
        What `KMeans.fit`, `predict` and `score` and `sweep` take as X; also on other processes and
        machines that reach the URL, since it can be pickled. It says of itself `n_rows` (None for
        CSV, which is counted by reading), `n_features`, `feature_names` (None in an array), `dtype`
        and `weighted`.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError, ImportError
        For what is missing or cannot be read; the text says what to type.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> from dask_kmeans import KMeans, open_source
    >>> path = tempfile.mkdtemp() + "/stars.parquet"
    >>> pd.DataFrame({"id": [7, 8, 9], "x": [1.0, 2.0, 9.0]}).to_parquet(path)
    >>> stars = open_source(path, exclude="id")
    >>> stars.n_rows, stars.feature_names
    (3, ('x',))
    >>> KMeans(2, random_state=0).fit(stars).cluster_sizes_.sum()
    np.int64(3)
    """
    paths = [url] if isinstance(url, (str, os.PathLike)) else list(url)
    source = _open(paths, columns, weight_column, exclude, requested(one_hot))
    if one_hot and source.feature_names is None:
        raise checks.unused_one_hot_error(requested(one_hot), source.description)
    return source


def _open(
    paths: Sequence[str | os.PathLike], columns: Any, weight_column: Any, exclude: Any,
    one_hot: OneHot,
) -> Source:  # fmt: skip
    """See `open_source`."""
    fitted = columns if isinstance(columns, FittedColumns) else None
    one_hot = one_hot or (fitted.categories if fitted else {})
    names, positions = (fitted.names, fitted.positions) if fitted else (several(columns),) * 2
    variables = fitted.variables if fitted else names
    of_table, of_array, of_group = (
        chosen(each, several(exclude)) for each in (names, positions, variables)
    )
    if fitted is not None and fitted.names is not None:
        of_table = chosen(column_of(fitted.names, fitted.categories), several(exclude))
    if len(paths) == 1 and is_hdf5(os.fspath(paths[0])):
        from dask_kmeans.read import from_hdf5

        return from_hdf5.open_path(os.fspath(paths[0]), of_array, weight_column)
    places = list(map(Place, paths))
    place = places[0]
    if len(places) == 1 and place.is_zarr():
        from dask_kmeans.read import from_zarr

        return from_zarr.open_path(place, of_array, weight_column, of_group)
    name = place.url if len(places) == 1 else f"{place.url} and {len(places) - 1} more"
    listing = Listing.of_all(places, name)
    if listing.format == "Parquet":
        from dask_kmeans.read.from_parquet import ParquetSource

        return ParquetSource(place.fs, listing, name, of_table, weight_column, one_hot)
    if listing.format == "CSV":
        from dask_kmeans.read.from_csv import CsvSource

        return CsvSource(place.fs, listing, name, of_table, weight_column, one_hot)
    if listing.format == "NumPy":
        from dask_kmeans.read.from_npy import NpySource

        return NpySource(place.fs, listing, name, of_array, weight_column)
    raise checks.unknown_format_error(name)
