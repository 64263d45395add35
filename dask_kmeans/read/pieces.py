"""Pieces: rows as the kernels take them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dask_kmeans import checks, memory

Piece = tuple[np.ndarray, np.ndarray | None]
"""Rows (m, d) of a native dtype of uint8..int64, float16..float64, and weights (m,) or None."""


def kernel_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype in which values of `dtype` are handed to the kernels."""
    checks.check_numeric(dtype)
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f" and dtype.itemsize > 8:
        return np.dtype(np.float64)
    return dtype.newbyteorder("=")


def kernel_ready(values: np.ndarray) -> np.ndarray:
    """`values` in native, aligned form: themselves where they are that already."""
    dtype = kernel_dtype(values.dtype)
    if values.dtype.kind == "b":
        return values.view(dtype)
    if not values.flags.aligned:
        values = values.copy()
    return values.astype(dtype, copy=False)


def as_weights(weights: Any) -> np.ndarray:
    """One number a row, as float64 in native form."""
    weights = np.asarray(weights)
    if weights.dtype.kind not in "biuf":
        checks.check_numeric(weights.dtype)
    return np.ascontiguousarray(weights, np.float64)


def cut(values: np.ndarray, weights: np.ndarray | None) -> Iterator[Piece]:
    """Rows in memory, piece by piece (views of them)."""
    row_bytes = values.shape[1] * values.itemsize
    for start, stop in memory.pieces(len(values), row_bytes):
        yield (
            kernel_ready(values[start:stop]),
            None if weights is None else as_weights(weights[start:stop]),
        )


@dataclass(frozen=True)
class Rows:
    """A block whose rows (m, d) are in memory, with their weights (m,) or None."""

    values: np.ndarray
    weights: Any = None

    def pieces(self) -> Iterator[Piece]:
        return cut(self.values, self.weights)
