"""pandas DataFrames, and the partitions of Dask's."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dask_kmeans import checks
from dask_kmeans.read import arrow_columns, columns, from_numpy
from dask_kmeans.read import one_hot as one_hots
from dask_kmeans.read.casts import (
    as_numbers,
    common_dtype,
    is_missing,
    kernel_dtype,
    not_a_number,
    with_gaps,
)
from dask_kmeans.read.identifiers import FIRST_ROWS, first_in_order
from dask_kmeans.read.one_hot import Find, OneHot
from dask_kmeans.read.pieces import ColumnRows, Rows
from dask_kmeans.read.points import Points
from dask_kmeans.read.weights import weights_along_index

VECTORS = (list, tuple, np.ndarray)
"""Types of objects that are vectors."""


def read(X: pd.DataFrame, sample_weight: Any, one_hot: OneHot) -> Points:
    """Points of the numeric columns of a DataFrame, and of those that are to be one-hot; a warning
    names the others."""

    def in_order(name: Any) -> bool:
        column = X.iloc[:FIRST_ROWS][name]
        return pd.api.types.is_integer_dtype(column) and first_in_order(column.to_numpy())

    def find(name: str) -> Find:
        return partial(one_hots.declared, as_arrow(X[name], name), name)

    features, _ = numeric_columns(
        X, lambda position: X.iloc[:, position], in_order, one_hots.finders(one_hot, find, "X")
    )
    return from_numpy.read_rows(
        frame_rows(X, features),
        weights_along_index(sample_weight, X.index),
        kind=PandasFrame(X.index),
        feature_names=checks.check_feature_names(features.names),
        categories=features.categories,
    )


def numeric_columns(
    X: Any,
    rows_of: Callable[[int], pd.Series],
    in_order: Callable[[Any], bool] = lambda name: False,
    one_hot: Mapping[str, Callable[[], tuple[str, ...]]] = MappingProxyType({}),
) -> tuple[columns.Features, np.dtype]:
    """The columns of a DataFrame, pandas' or Dask's, that hold numbers or vectors of numbers.

    Parameters
    ----------
    X : DataFrame
    rows_of : callable
        Position of a column -> its values, or the first of them. Asked for objects, and for vectors
        of which the type does not say how long they are.
    in_order, one_hot
        See `columns.numeric_columns`.

    Returns
    -------
    features : Features
    dtype : dtype
        What holds them, by what the columns say of themselves.
    """
    names = list(X.columns)
    dtypes: dict[Any, np.dtype | None] = {}
    widths: dict[Any, Callable[[], int | None]] = {}
    for position, (name, kind) in enumerate(zip(names, X.dtypes, strict=True)):
        if name in one_hot:
            dtypes[name] = one_hots.OneHotColumn.dtype
            continue
        dtypes[name] = _numpy_dtype(kind)
        if isinstance(kind, pd.ArrowDtype) and arrow_columns.is_vector(kind.pyarrow_dtype):
            widths[name] = partial(_arrow_width, kind.pyarrow_dtype, rows_of, position)
        elif kind == np.dtype(object):
            first, dtypes[name] = _kind_of_objects(rows_of(position))
            if first is not None:
                widths[name] = partial(len, first)
    types = dict(zip(names, X.dtypes, strict=True))
    features = columns.numeric_columns(
        dtypes, types, names, widths=widths, in_order=in_order, one_hot=one_hot
    )
    return features, np.result_type(*(dtypes[name] for name in features.columns))


def _arrow_width(kind: Any, rows_of: Callable[[int], pd.Series], position: int) -> int | None:
    return arrow_columns.fixed_width(kind) or arrow_columns.first_width(
        pa.array(rows_of(position).array)
    )


def _kind_of_objects(column: pd.Series) -> tuple[Any, np.dtype | None]:
    """The first vector of a column of objects, if there is one; a dtype for their numbers, if any.

    Numbers that are objects are what pandas reads of the decimals of Parquet, for example.
    """
    other = not_a_number(column.array)
    if other is None:
        return None, np.dtype(np.float64)
    if not _is_vector(other):
        return None, None
    dtype = np.asarray(other).dtype
    return other, kernel_dtype(dtype) if dtype.kind in "biuf" else np.dtype(np.float64)


def _is_vector(value: Any) -> bool:
    return (
        isinstance(value, VECTORS)
        and getattr(value, "ndim", 1) == 1
        and not_a_number(value) is None
    )


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
    X: pd.DataFrame,
    features: columns.Features,
    weights: Any = None,
    row_name: Callable[[int], str] = str,
) -> Rows | ColumnRows:
    """The features of X, without a copy where their values lie in one array.

    row_name : what an error calls a row, by its position
    """
    place = {name: position for position, name in enumerate(X.columns)}
    positions = [place[name] for name in features.columns]
    frame = X if positions == list(range(X.shape[1])) else X.iloc[:, positions]
    first = frame.dtypes.iloc[0]
    plain = not features.categories and isinstance(first, np.dtype) and first.kind != "O"
    if plain and (frame.dtypes == first).all():
        # One row tells whether pandas would copy to put all columns into one array.
        row, column = frame.iloc[:1].to_numpy(), frame.iloc[:, 0].to_numpy()
        if np.shares_memory(row, column):
            return Rows(frame.to_numpy(), weights)

    def of_column(name: Any, column: pd.Series, width: int | None) -> Any:
        if (categories := features.categories.get(name)) is not None:
            return one_hots.encoded(as_arrow(column, name), categories, name, row_name)
        if width is None:
            return _values(column, name)
        return _vectors(column, width, name, row_name)

    values = tuple(
        of_column(name, column, width)
        for (name, column), width in zip(frame.items(), features.widths, strict=True)
    )
    return ColumnRows(values, common_dtype(values), weights)


def as_arrow(column: pd.Series, name: str) -> Any:
    """A column of categories as an Arrow array: of a Categorical one with a dictionary."""
    try:
        return pa.Array.from_pandas(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:  # objects of several types
        raise checks.no_categories_error(name, f"objects of several types ({error})") from error


def _vectors(
    column: pd.Series, width: int, name: Hashable, row_name: Callable[[int], str]
) -> np.ndarray:
    """A column of vectors as (m, width), without those that are missing in a float."""
    if isinstance(column.dtype, pd.ArrowDtype):
        return arrow_columns.vectors(pa.array(column.array), width, name, row_name)
    objects = column.to_numpy(dtype=object)
    there = np.fromiter((isinstance(each, VECTORS) for each in objects), bool, len(objects))
    lengths = np.full(len(objects), width)
    lengths[there] = list(map(len, objects[there]))
    for row in np.flatnonzero(~there | (lengths != width)).tolist():
        if there[row]:
            raise checks.ragged_column_error(name, width, lengths[row], row_name(row))
        if not _is_gap(objects[row]):
            raise checks.ragged_column_error(name, width, repr(objects[row]), row_name(row))
    try:
        values = np.array(list(objects[there])).reshape(np.count_nonzero(there), width)
    except ValueError as error:  # lists in a list
        raise checks.ragged_error(error) from error
    values = as_numbers(values, f"column {name!r}")
    return values if there.all() else with_gaps(values, there)


def _is_gap(value: Any) -> bool:
    """Whether an object among vectors stands for none."""
    return is_missing(value) or (isinstance(value, float) and value != value)


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
    """(n,) as a Series, (n, n_outputs) as a DataFrame with the columns "0", "1", ..., and (n,) of
    fields as one with these."""
    if values.dtype.names:
        return pd.DataFrame(values, index=index)
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
