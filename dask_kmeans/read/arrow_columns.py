"""Columns of Arrow tables as NumPy arrays: which of them are numbers, and what holds them."""

from __future__ import annotations

from typing import Any

import numpy as np


def numpy_dtype(kind: Any, nulls: bool = False) -> np.dtype | None:
    """The dtype for values of an Arrow type; None where they are no numbers."""
    import pyarrow as pa

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


def index_columns(schema: Any) -> set[str]:
    """Names of the columns that pandas or Dask wrote as an index."""
    written = (schema.pandas_metadata or {}).get("index_columns", [])
    return {name for name in written if isinstance(name, str)}
