"""Arrow tables in memory: those of pyarrow, and of polars, whose columns are Arrow's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dask_kmeans import checks
from dask_kmeans.read import arrow_columns, from_numpy
from dask_kmeans.read.casts import common_dtype
from dask_kmeans.read.columns import numeric_columns
from dask_kmeans.read.pieces import ColumnRows
from dask_kmeans.read.points import Points


def read(X: pa.Table | pa.RecordBatch, sample_weight: Any = None) -> Points:
    """Points of the numeric columns of a pyarrow table; a warning names the others."""
    index = arrow_columns.index_columns(X.schema)
    dtypes = {field.name: arrow_columns.numpy_dtype(field.type) for field in X.schema}
    types = {field.name: field.type for field in X.schema}
    names = [name for name in X.schema.names if name not in index]
    features = numeric_columns(dtypes, types, names)
    return _points(features, map(X.column, features), sample_weight, ArrowTable(type(X)))


def read_polars(X: Any, sample_weight: Any = None) -> Points:
    """Points of the numeric columns of a polars DataFrame; a warning names the others."""
    import polars

    others = (polars.Boolean, polars.Null)
    dtypes = {
        name: np.dtype(np.float64) if kind.is_numeric() or kind in others else None
        for name, kind in X.schema.items()
    }
    features = numeric_columns(dtypes, X.schema, X.columns)
    columns = (_as_arrow(X[name]) for name in features)
    return _points(features, columns, sample_weight, PolarsFrame())


def _as_arrow(column: Any) -> pa.Array:
    """A polars Series of numbers; Arrow has no integers of 128 bits."""
    import polars

    return (column.cast(polars.Float64) if "128" in str(column.dtype) else column).to_arrow()


def _points(
    names: tuple[str, ...],
    columns: Iterable[pa.Array | pa.ChunkedArray],
    sample_weight: Any,
    kind: from_numpy.InMemory,
) -> Points:
    values = tuple(map(arrow_columns.numbers, columns))
    return from_numpy.read_rows(
        ColumnRows(values, common_dtype(values)),
        sample_weight,
        kind=kind,
        feature_names=checks.check_feature_names(names),
    )


def _names(values: np.ndarray) -> list[str]:
    return [str(number) for number in range(values.shape[1])]


@dataclass(frozen=True)
class ArrowTable(from_numpy.InMemory):
    """Results as pyarrow arrays, or tables with the columns "0", "1", ..."""

    table: Any
    """`pyarrow.Table` or `pyarrow.RecordBatch`."""

    def wrap(self, values: np.ndarray) -> Any:
        if values.ndim == 1:
            return pa.array(values)
        return self.table.from_arrays(list(map(pa.array, values.T)), names=_names(values))


@dataclass(frozen=True)
class PolarsFrame(from_numpy.InMemory):
    """Results as polars Series, or DataFrames with the columns "0", "1", ..."""

    def wrap(self, values: np.ndarray) -> Any:
        import polars

        if values.ndim == 1:
            return polars.Series(values=values)
        return polars.DataFrame(values, schema=_names(values))
