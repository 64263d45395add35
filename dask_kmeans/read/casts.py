"""Values of another dtype than was declared: taken as they are, never cut to what was declared.

A lazy collection declares the dtype of its chunks, and is often wrong: a null makes floats of
integers, a function that was given a wrong `meta` returns what it likes. Kernels take every numeric
dtype, so the declared one serves to plan bytes, and the values of each chunk keep their own.
"""

from __future__ import annotations

import decimal
import numbers
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from dask_kmeans import checks

NUMBERS = (numbers.Real, decimal.Decimal, np.number, np.bool_)
"""Types of objects that are numbers; complex ones are not wanted."""


def kernel_dtype(dtype: np.dtype, what: str = "X") -> np.dtype:
    """The dtype in which values of `dtype` are handed to the kernels."""
    checks.check_numeric(dtype, what)
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f" and dtype.itemsize > 8:
        return np.dtype(np.float64)
    return dtype.newbyteorder("=")


def is_missing(value: Any) -> bool:
    """Whether an object stands for "no value": None, or the NA of pandas."""
    return value is None or value is getattr(sys.modules.get("pandas"), "NA", None)


def not_a_number(values: Iterable[Any]) -> Any:
    """The first of some objects that is neither a number nor missing; None if there is none."""
    wrong = {
        kind
        for kind in set(map(type, values))
        if not issubclass(kind, NUMBERS) or issubclass(kind, np.complexfloating)
    }
    others = (value for value in values if type(value) in wrong)
    return next((value for value in others if not is_missing(value)), None)


def as_numbers(values: np.ndarray, what: str = "X") -> np.ndarray:
    """Objects as float64, with those that are missing as NaN; an array of numbers as it is.

    Raises
    ------
    TypeError
        For an object that is no number, texts of digits included. what : the array, for the text.
    """
    if values.dtype.kind not in "OUS":
        return values
    flat = values.astype(object).reshape(-1)
    wrong = not_a_number(flat)
    if wrong is None:
        try:
            known = [np.nan if is_missing(value) else float(value) for value in flat]
            return np.array(known, np.float64).reshape(values.shape)
        except (ValueError, OverflowError) as error:  # such as 10**400
            raise checks.not_numbers_error(f"values that are no float64 ({error})", what) from error
    given = f"values that are no numbers (the first is {wrong!r}, a {type(wrong).__name__})"
    raise checks.not_numbers_error(given, what)


def common_dtype(arrays: Iterable[np.ndarray]) -> np.dtype:
    """The dtype that holds the values of all arrays of numbers, as the kernels take them."""
    return np.result_type(*(kernel_dtype(array.dtype) for array in arrays))


def smallest_dtype(values: Iterable[float]) -> np.dtype:
    """The smallest dtype that holds some numbers."""
    return np.result_type(*map(np.min_scalar_type, values))


def side_by_side(
    columns: Iterable[np.ndarray],
    shape: tuple[int, int],
    dtype: np.dtype,
    *,
    in_rows: bool,
    empty: Callable[[tuple[int, int], np.dtype], np.ndarray] = np.empty,
) -> np.ndarray:
    """Columns of numbers (m,) and of vectors (m, w) as one array, in the order of the columns.

    Parameters
    ----------
    columns : iterable of ndarray
        One at a time, so that a column which is made just now is still in the cache.
    shape : (int, int)
        Of all of them: (m, d).
    dtype : dtype
        What they are said to be of; a wider one is made where they are not.
    in_rows : bool
        Whether rows lie in one piece (C order), which suits vectors, or columns do.
    empty : callable
        What makes arrays.
    """
    out, first = None, 0
    for values in columns:
        if values.shape == shape and values.dtype == dtype:
            return values  # vectors, which are all there is
        if out is None:
            out = empty(shape, dtype) if in_rows else empty(shape[::-1], dtype).T
        after = first + (1 if values.ndim == 1 else values.shape[1])
        out = put(values, out, first if values.ndim == 1 else slice(first, after))
        first = after
    assert out is not None
    return out


def put(values: np.ndarray, out: np.ndarray, features: int | slice) -> np.ndarray:
    """Write values (m,) or (m, w) into columns of `out` (m, d): a wider copy where they do not fit.

    Returns
    -------
    ndarray of shape (m, d)
        `out` itself, unless its dtype cannot hold the values.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        out[:, features] = values
    if not np.can_cast(values.dtype, out.dtype) and not _same(out[:, features], values):
        out = out.astype(np.result_type(out, values))
        out[:, features] = values
    return out


def with_gaps(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The rows of `values` where `there` (m,) is true, in order, and NaN elsewhere: (m, w)."""
    dtype = values.dtype if values.dtype.kind == "f" else np.promote_types(values.dtype, np.float32)
    out = np.full((len(there), values.shape[1]), np.nan, dtype)
    out[there] = values
    return out


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(((a == b) | ((a != a) & (b != b))).all())


def one_chunk_wide(X: Any, axes: Sequence[int] | None = None) -> Any:
    """A dask array of the same values, chunked no more along some axes (None: all but the first).

    Its own `rechunk` would make all parts of a new chunk the dtype of the first of them.
    """
    import dask.array as da

    joined = [axis for axis in axes or range(1, X.ndim) if X.numblocks[axis] > 1]
    if not joined:
        return X
    kept = tuple(range(X.ndim))
    return da.blockwise(
        partial(_joined, axes=joined), kept,
        X, tuple(axis + X.ndim if axis in joined else axis for axis in kept),
        concatenate=False, dtype=X.dtype, new_axes={axis: X.shape[axis] for axis in joined},
        meta=np.empty((0,) * X.ndim, X.dtype),
    )  # fmt: skip


def _joined(chunks: Any, axes: Sequence[int]) -> np.ndarray:
    """Chunks in lists of lists, one level an axis, as one array that holds all of their values."""
    if not isinstance(chunks, list):
        return chunks
    parts = [_joined(each, axes[1:]) for each in chunks]
    masked = any(isinstance(part, np.ma.MaskedArray) for part in parts)
    return (np.ma.concatenate if masked else np.concatenate)(parts, axis=axes[0])
