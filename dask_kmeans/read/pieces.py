"""Pieces: rows as the kernels take them, and what hands them out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from dask_kmeans import checks, planning
from dask_kmeans.read.casts import as_numbers, kernel_dtype, side_by_side
from dask_kmeans.read.masks import without_mask


class Piece(NamedTuple):
    """Consecutive rows, as they are handed to the kernels."""

    values: Any
    """A batch of rows (m, d): an ndarray of a native dtype of uint8..int64, float16..float64, or
    whatever else a backend is registered for (`kernels.backend`)."""
    weights: np.ndarray | None = None
    """(m,) float64; None where rows are not weighted."""

    @property
    def nbytes(self) -> int:
        """Bytes of the rows and of their weights."""
        return self.values.nbytes + (0 if self.weights is None else self.weights.nbytes)


class RowSource(Protocol):
    """Rows that one task reads: what a block of a store, a chunk or a partition becomes."""

    def pieces(self) -> Iterator[Piece]:
        """The rows, piece by piece and in order; may be called again."""


def kernel_ready(values: np.ndarray) -> np.ndarray:
    """`values` in native, aligned form: themselves where they are that already."""
    values = as_numbers(values)
    dtype = kernel_dtype(values.dtype)
    if values.dtype.kind == "b":
        return values.view(dtype)
    if not values.flags.aligned:
        values = values.copy()
    return values.astype(dtype, copy=False)


def as_weights(weights: Any) -> np.ndarray:
    """One number a row, as float64 in native form; what is missing as NaN."""
    weights = as_numbers(without_mask(weights, "sample_weight"), "sample_weight")
    checks.check_numeric(weights.dtype, "sample_weight")
    return np.ascontiguousarray(weights, np.float64)


def cut(values: np.ndarray, weights: np.ndarray | None) -> Iterator[Piece]:
    """Rows in memory, piece by piece (views of them)."""
    row_bytes = values.shape[1] * values.itemsize
    for start, stop in planning.pieces(len(values), row_bytes):
        yield Piece(
            kernel_ready(values[start:stop]),
            None if weights is None else as_weights(weights[start:stop]),
        )


class RowsInMemory(RowSource, Protocol):
    """A block whose rows are in memory, and which can be cut into smaller ones without a copy."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def rows(self, start: int, stop: int, weights: np.ndarray | None) -> Any:
        """A block of these rows only, with weights (stop - start,) or None."""


@dataclass(frozen=True)
class BatchRows:
    """A block whose rows (m, d) are in one batch that kernels take as it is (`RowBatch`)."""

    values: Any
    weights: np.ndarray | None = None
    """float64 (m,)"""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    def rows(self, start: int, stop: int, weights: np.ndarray | None) -> Self:
        return type(self)(self.values[start:stop], weights)

    def pieces(self) -> Iterator[Piece]:
        n_rows, n_features = self.shape
        for start, stop in planning.pieces(n_rows, n_features * self.dtype.itemsize):
            weights = None if self.weights is None else self.weights[start:stop]
            yield Piece(self.values[start:stop], weights)


@dataclass(frozen=True)
class Rows(BatchRows):
    """A block whose rows (m, d) are in one array, of any form, with their weights or None."""

    def pieces(self) -> Iterator[Piece]:
        return cut(self.values, self.weights)


@dataclass(frozen=True)
class ColumnRows:
    """A block whose features lie in arrays of their own, (m,) of numbers or (m, w) of vectors, of
    dtypes that `dtype` can hold."""

    columns: tuple[Any, ...]
    """ndarrays, or what becomes one when it is read (`one_hot.OneHotColumn`)."""
    dtype: np.dtype
    weights: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.columns[0]), sum(c.shape[1] if c.ndim == 2 else 1 for c in self.columns)

    def rows(self, start: int, stop: int, weights: np.ndarray | None) -> ColumnRows:
        return ColumnRows(tuple(c[start:stop] for c in self.columns), self.dtype, weights)

    def pieces(self) -> Iterator[Piece]:
        n_rows, n_features = self.shape
        vectors = any(column.ndim == 2 for column in self.columns)
        for start, stop in planning.pieces(n_rows, n_features * self.dtype.itemsize):
            columns = (np.asarray(column[start:stop]) for column in self.columns)
            yield Piece(
                side_by_side(columns, (stop - start, n_features), self.dtype, in_rows=vectors),
                None if self.weights is None else as_weights(self.weights[start:stop]),
            )
