"""pandas DataFrames, and the partitions of Dask's."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dask_kmeans import checks
from dask_kmeans.read import from_numpy
from dask_kmeans.read.pieces import ColumnRows, Rows, kernel_dtype
from dask_kmeans.read.points import Points
from dask_kmeans.read.weights import weights_along_index


def read(X: pd.DataFrame, sample_weight: Any = None) -> Points:
    """Points of the numeric columns of a DataFrame; a warning names the others."""
    positions, dtype = numeric_columns(X.columns, X.dtypes)
    return from_numpy.read_rows(
        frame_rows(X, positions, dtype),
        weights_along_index(sample_weight, X.index),
        kind=PandasFrame(X.index),
        feature_names=checks.check_feature_names(X.columns[list(positions)]),
    )


def numeric_columns(
    names: Iterable[Hashable], kinds: Iterable[Any]
) -> tuple[tuple[int, ...], np.dtype]:
    """Positions of the columns whose dtype is of numbers, and the dtype that holds all of them."""
    columns = [(name, kind, _numpy_dtype(kind)) for name, kind in zip(names, kinds, strict=True)]
    positions = tuple(n for n, (_, _, dtype) in enumerate(columns) if dtype is not None)
    dropped = {name: kind for name, kind, dtype in columns if dtype is None}
    if not positions:
        raise checks.no_numeric_column_error(dropped)
    checks.warn_dropped_columns(dropped)
    return positions, np.result_type(*(dtype for _, _, dtype in columns if dtype is not None))


def _numpy_dtype(dtype: Any) -> np.dtype | None:
    """The dtype for values of a column; None where they are no numbers."""
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
    X: pd.DataFrame, positions: tuple[int, ...], dtype: np.dtype, weights: Any = None
) -> Rows | ColumnRows:
    """The columns `positions` of X, without a copy where their values lie in one array."""
    frame = X if len(positions) == X.shape[1] else X.iloc[:, list(positions)]
    if all(isinstance(kind, np.dtype) and kind == dtype for kind in frame.dtypes):
        # One row tells whether pandas would copy to put all columns into one array.
        row, column = frame.iloc[:1].to_numpy(), frame.iloc[:, 0].to_numpy()
        if np.shares_memory(row, column):
            return Rows(frame.to_numpy(), weights)
    columns = [_values(frame.iloc[:, number], dtype) for number in range(frame.shape[1])]
    return ColumnRows(tuple(columns), dtype, weights)


def _values(column: pd.Series, dtype: np.dtype) -> np.ndarray:
    """A column as it lies, or without its missing values as `dtype`."""
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    missing = {"na_value": np.nan} if dtype.kind == "f" else {}
    return column.to_numpy(dtype=dtype, **missing)


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
