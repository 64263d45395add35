"""pandas DataFrames, and the partitions of Dask's."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dask_kmeans import checks
from dask_kmeans.read import arrow_columns, columns, from_numpy
from dask_kmeans.read.casts import as_numbers, common_dtype, kernel_dtype, not_a_number
from dask_kmeans.read.pieces import ColumnRows, Rows
from dask_kmeans.read.points import Points
from dask_kmeans.read.weights import weights_along_index


def read(X: pd.DataFrame, sample_weight: Any = None) -> Points:
    """Points of the numeric columns of a DataFrame; a warning names the others."""
    positions = numeric_columns(X)
    return from_numpy.read_rows(
        frame_rows(X, positions),
        weights_along_index(sample_weight, X.index),
        kind=PandasFrame(X.index),
        feature_names=checks.check_feature_names(X.columns[list(positions)]),
    )


def numeric_columns(X: Any) -> tuple[int, ...]:
    """Positions of the columns of a DataFrame, pandas' or Dask's, that hold numbers."""
    names = list(X.columns)
    dtypes = dict(zip(names, map(_numpy_dtype, X.dtypes), strict=True))
    if isinstance(X, pd.DataFrame):
        for position, kind in enumerate(X.dtypes):
            # As pandas reads the decimals of Parquet, for example.
            if kind == np.dtype(object) and not_a_number(X.iloc[:, position].array) is None:
                dtypes[names[position]] = np.dtype(np.float64)
    types = dict(zip(names, X.dtypes, strict=True))
    features = columns.numeric_columns(dtypes, types, names)
    place = {name: position for position, name in enumerate(names)}
    return tuple(place[name] for name in features)


def declared_dtype(X: Any) -> np.dtype:
    """What holds the columns of a DataFrame of numbers, by what it says of them."""
    return np.result_type(*(_numpy_dtype(dtype) or np.float64 for dtype in X.dtypes))


def _numpy_dtype(dtype: Any) -> np.dtype | None:
    """The dtype for values of a column; None where they are no numbers."""
    if isinstance(dtype, pd.ArrowDtype):
        return arrow_columns.numpy_dtype(dtype.pyarrow_dtype, nulls=True)
    if not (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)):
        return None
    if isinstance(dtype, np.dtype):
        return kernel_dtype(dtype)
    if isinstance(dtype, pd.SparseDtype):
        return kernel_dtype(dtype.subtype)
    # Nullable: missing values come as NaN, in a float that holds all others (but of 64 bits).
    inner = getattr(dtype, "numpy_dtype", None)
    if not isinstance(inner, np.dtype) or inner.kind not in "biuf":
        return None
    return inner if inner.kind == "f" else np.promote_types(inner, np.float32)


def frame_rows(
    X: pd.DataFrame, positions: tuple[int, ...], weights: Any = None
) -> Rows | ColumnRows:
    """The columns `positions` of X, without a copy where their values lie in one array."""
    frame = X if len(positions) == X.shape[1] else X.iloc[:, list(positions)]
    first = frame.dtypes.iloc[0]
    if isinstance(first, np.dtype) and first.kind != "O" and (frame.dtypes == first).all():
        # One row tells whether pandas would copy to put all columns into one array.
        row, column = frame.iloc[:1].to_numpy(), frame.iloc[:, 0].to_numpy()
        if np.shares_memory(row, column):
            return Rows(frame.to_numpy(), weights)
    values = tuple(_values(column, name) for name, column in frame.items())
    return ColumnRows(values, common_dtype(values), weights)


def _values(column: pd.Series, name: Hashable) -> np.ndarray:
    """A column as it lies; without its missing values, if it can have some, in a float."""
    if isinstance(column.dtype, np.dtype):
        return as_numbers(column.to_numpy(), f"column {name!r}")
    if isinstance(column.dtype, pd.StringDtype):
        column = _read_back(column, name)
    dtype = _numpy_dtype(column.dtype)
    if dtype is None:
        raise checks.not_numbers_error(f"dtype {column.dtype}", f"column {name!r}")
    missing = {"na_value": np.nan} if dtype.kind == "f" else {}
    return column.to_numpy(dtype=dtype, **missing)


def _read_back(column: pd.Series, name: Hashable) -> pd.Series:
    """Texts as numbers: Dask makes texts of objects, even of those that it was told are numbers."""
    try:
        return column.astype("Float64")
    except (TypeError, ValueError) as error:
        given = f"values that are no numbers ({error})"
        raise checks.not_numbers_error(given, f"column {name!r}") from error


def as_series_or_frame(values: np.ndarray, index: pd.Index) -> pd.Series | pd.DataFrame:
    """(n,) as a Series, (n, n_outputs) as a DataFrame with the columns "0", "1", ..."""
    if values.ndim == 1:
        return pd.Series(values, index=index)
    return pd.DataFrame(values, index=index, columns=[str(n) for n in range(values.shape[1])])


def empty_result(dtype: np.dtype, n_outputs: int | None) -> pd.Series | pd.DataFrame:
    """What `as_series_or_frame` gives for no rows: the form of a lazy result."""
    shape = (0,) if n_outputs is None else (0, n_outputs)
    return as_series_or_frame(np.empty(shape, dtype), pd.RangeIndex(0))


@dataclass(frozen=True)
class PandasFrame(from_numpy.InMemory):
    """Results as Series or DataFrames with the index of the data."""

    index: pd.Index

    def wrap(self, values: np.ndarray) -> pd.Series | pd.DataFrame:
        return as_series_or_frame(values, self.index)
