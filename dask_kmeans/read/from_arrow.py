"""Arrow tables in memory: those of pyarrow, and of polars, whose columns are Arrow's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from dask_kmeans import checks
from dask_kmeans.read import arrow_columns, from_numpy
from dask_kmeans.read import one_hot as one_hots
from dask_kmeans.read.casts import common_dtype
from dask_kmeans.read.columns import numeric_columns
from dask_kmeans.read.identifiers import FIRST_ROWS, first_in_order
from dask_kmeans.read.one_hot import Find, OneHot
from dask_kmeans.read.pieces import ColumnRows
from dask_kmeans.read.points import Points


def read(X: pa.Table | pa.RecordBatch, sample_weight: Any, one_hot: OneHot) -> Points:
    """Points of the numeric columns of a pyarrow table, and of those that are to be one-hot; a
    warning names the others."""
    index = arrow_columns.index_columns(X.schema)
    types = {field.name: field.type for field in X.schema}
    names = [name for name in X.schema.names if name not in index]

    def find(name: str) -> Find:
        return partial(one_hots.declared, X.column(name), name)

    encoders = one_hots.finders(one_hot, find, "X")
    return _points(types, types, names, X.column, sample_weight, ArrowTable(type(X)), encoders)


def read_polars(X: Any, sample_weight: Any, one_hot: OneHot) -> Points:
    """Points of the numeric columns of a polars DataFrame, and of those that are to be one-hot; a
    warning names the others."""
    import polars

    def find(name: str) -> Find:
        if isinstance(X.schema[name], polars.Enum):
            return X.schema[name].categories.to_list
        return partial(one_hots.found_in, [_as_arrow(X[name])], name)

    types = {name: _arrow_type(kind) for name, kind in X.schema.items()}
    return _points(
        types, X.schema, X.columns, lambda name: _as_arrow(X[name]), sample_weight, PolarsFrame(),
        one_hots.finders(one_hot, find, "X"),
    )  # fmt: skip


def _arrow_type(kind: Any) -> pa.DataType:
    """An Arrow type for a polars type of numbers or of lists of numbers, another for others."""
    import polars

    inner = getattr(kind, "inner", kind)
    if not (inner.is_numeric() or inner in (polars.Boolean, polars.Null)):
        return pa.binary()
    return pa.float64() if inner is kind else pa.list_(pa.float64(), getattr(kind, "size", -1))


def _as_arrow(column: Any) -> pa.Array:
    """A polars Series of numbers, or of lists of them; Arrow has no integers of 128 bits."""
    import polars

    kind = column.dtype
    if str(getattr(kind, "inner", kind)) in ("Int128", "UInt128"):
        wide = polars.Float64
        column = column.cast(polars.List(wide) if hasattr(kind, "inner") else wide)
    return column.to_arrow()


def _points(
    types: Mapping[str, pa.DataType],
    shown: Mapping[str, Any],
    names: Sequence[str],
    column: Callable[[str], pa.Array | pa.ChunkedArray],
    sample_weight: Any,
    kind: ArrowTable | PolarsFrame,
    one_hot: Mapping[str, Callable[[], tuple[str, ...]]],
) -> Points:
    """Points of columns of these types; `shown`: the types as the user knows them."""

    def first_rows(name: str) -> pa.Array | pa.ChunkedArray:
        return column(name).slice(0, FIRST_ROWS)

    dtypes = {
        name: one_hots.OneHotColumn.dtype if name in one_hot else arrow_columns.numpy_dtype(each)
        for name, each in types.items()
    }
    widths = {
        name: partial(_width, each, name, column)
        for name, each in types.items()
        if arrow_columns.is_vector(each)
    }
    features = numeric_columns(
        dtypes,
        shown,
        names,
        widths=widths,
        in_order=lambda name: first_in_order(arrow_columns.numbers(first_rows(name))),
        leave_out=kind.leave_out,
        one_hot=one_hot,
    )

    def of_column(name: str, width: int | None) -> Any:
        if (categories := features.categories.get(name)) is not None:
            return one_hots.encoded(column(name), categories, name)
        if width is None:
            return arrow_columns.numbers(column(name))
        return arrow_columns.vectors(column(name), width, name)

    values = tuple(itertools.starmap(of_column, features.items()))
    return from_numpy.read_rows(
        ColumnRows(values, common_dtype(values)),
        sample_weight,
        kind=kind,
        feature_names=checks.check_feature_names(features.names),
        categories=features.categories,
    )


def _width(kind: pa.DataType, name: str, column: Callable[[str], Any]) -> int | None:
    return arrow_columns.fixed_width(kind) or arrow_columns.first_width(column(name))


def _names(values: np.ndarray) -> list[str]:
    return [str(number) for number in range(values.shape[1])]


@dataclass(frozen=True)
class ArrowTable(from_numpy.InMemory):
    """Results as pyarrow arrays, or tables with the columns "0", "1", ..."""

    table: Any
    """`pyarrow.Table` or `pyarrow.RecordBatch`."""
    leave_out: ClassVar[str] = "X.drop_columns({})"

    def wrap(self, values: np.ndarray) -> Any:
        if values.ndim == 1:
            return pa.array(values)
        return self.table.from_arrays(list(map(pa.array, values.T)), names=_names(values))


@dataclass(frozen=True)
class PolarsFrame(from_numpy.InMemory):
    """Results as polars Series, or DataFrames with the columns "0", "1", ..."""

    leave_out: ClassVar[str] = "X.drop({})"

    def wrap(self, values: np.ndarray) -> Any:
        import polars

        if values.ndim == 1:
            return polars.Series(values=values)
        return polars.DataFrame(values, schema=_names(values))
