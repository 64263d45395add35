"""Columns of Arrow tables as NumPy arrays: which of them are numbers, and what holds them.

A column of vectors (list, large_list, fixed_size_list, or a tensor of fixed shape) is as many
features as its vectors are long: its numbers lie side by side, as (m, d) in C order, and are not
copied where none is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.read.casts import with_gaps


def numpy_dtype(kind: Any, nulls: bool = False) -> np.dtype | None:
    """The dtype for values of an Arrow type, or for those in its vectors; None for no numbers."""
    import pyarrow as pa

    kind = vector_type(kind).value_type if is_vector(kind) else kind
    if pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return np.dtype(np.float64)
    if pa.types.is_boolean(kind):
        return np.dtype(np.float32 if nulls else np.uint8)
    if pa.types.is_integer(kind):
        dtype = np.dtype(kind.to_pandas_dtype())
        # Nulls come as NaN, in a float that holds every value of the integer (but of 64 bits).
        return np.promote_types(dtype, np.float32) if nulls else dtype
    if pa.types.is_floating(kind):
        return np.dtype(kind.to_pandas_dtype())
    return None


def numbers(column: Any) -> np.ndarray:
    """The values of an Arrow array of numbers, nulls as NaN."""
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    elif pa.types.is_decimal(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    if isinstance(column, pa.ChunkedArray):
        return column.to_numpy()
    return column.to_numpy(zero_copy_only=False)


def vector_type(kind: Any) -> Any:
    """An Arrow type of lists as it is stored: a tensor is a list of fixed size."""
    import pyarrow as pa

    return kind.storage_type if isinstance(kind, pa.FixedShapeTensorType) else kind


def is_vector(kind: Any) -> bool:
    """Whether the values of an Arrow type are lists, be it of numbers or of something else."""
    import pyarrow as pa

    kind, of = vector_type(kind), pa.types
    return of.is_list(kind) or of.is_large_list(kind) or of.is_fixed_size_list(kind)


def fixed_width(kind: Any) -> int | None:
    """How long the vectors of an Arrow type are, where it says so."""
    import pyarrow as pa

    kind = vector_type(kind)
    return kind.list_size if pa.types.is_fixed_size_list(kind) else None


def first_width(column: Any) -> int | None:
    """How long the first vector of an Arrow array is; None where there is none."""
    import pyarrow.compute as pc

    there = column.drop_null()
    return pc.list_value_length(there.slice(0, 1))[0].as_py() if len(there) else None


def vectors(column: Any, width: int, name: Any, row_name: Callable[[int], str] = str) -> np.ndarray:
    """The vectors of an Arrow array, (m, width); nulls, and vectors that are null, as NaN.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
    width : int
        How long each of them has to be.
    name : hashable
        Of the column, for the error.
    row_name : callable
        What the error calls a row, by its position.

    Raises
    ------
    checks.RaggedError
        For a vector that is shorter or longer.
    """
    import pyarrow as pa

    column = column.cast(vector_type(column.type))
    if isinstance(column, pa.Array):
        return _vectors(column, width, name, row_name)
    parts, first = [], 0
    for chunk in column.chunks or [pa.array([], column.type)]:
        parts.append(_vectors(chunk, width, name, partial(_after, row_name, first)))
        first += len(chunk)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _after(row_name: Callable[[int], str], first: int, row: int) -> str:
    return row_name(first + row)


def _vectors(column: Any, width: int, name: Any, row_name: Callable[[int], str]) -> np.ndarray:
    import pyarrow.compute as pc

    lengths = numbers(pc.list_value_length(column))  # in float64, with NaN for nulls, if any
    there = lengths == lengths
    wrong = there & (lengths != width)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise checks.ragged_column_error(name, width, int(lengths[row]), row_name(row))
    values = numbers(column.flatten()).reshape(-1, width)
    return values if len(values) == len(column) else with_gaps(values, there)


def index_columns(schema: Any) -> set[str]:
    """Names of the columns that pandas or Dask wrote as an index."""
    written = (schema.pandas_metadata or {}).get("index_columns", [])
    return {name for name in written if isinstance(name, str)}
