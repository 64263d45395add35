"""Data in memory: NumPy arrays, lists of lists, and what turns into an array by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dask_kmeans import checks, memory
from dask_kmeans.blockwise import Block, Blockwise, OpenBlock, parallelism
from dask_kmeans.read.pieces import Rows, RowsInMemory, as_weights, kernel_dtype
from dask_kmeans.read.points import Kind, Points, RowFunction, numbered, result_of


def read(X: Any, sample_weight: Any = None) -> Points:
    """Points of an array in memory of shape (n_rows, n_features); nothing is copied."""
    values = as_array(X)
    checks.check_two_dimensional(values.shape)
    return read_rows(Rows(values), sample_weight, kind=InMemory())


def read_rows(
    rows: RowsInMemory,
    sample_weight: Any,
    *,
    kind: InMemory,
    feature_names: tuple[str, ...] | None = None,
) -> Points:
    """Points of rows in memory, in blocks for threads."""
    n_rows, n_features = rows.shape
    dtype = kernel_dtype(rows.dtype)
    checks.check_not_empty(n_rows, n_features)
    weights = weights_in_memory(sample_weight, n_rows)

    def cut(n_clusters: int | None = None) -> tuple[Block, ...]:
        threads = parallelism(in_memory=True)
        bounds = memory.plan_in_memory(n_rows, n_features, threads, n_clusters)
        sources = [
            rows.rows(start, stop, None if weights is None else weights[start:stop])
            for start, stop in bounds
        ]
        return numbered(sources, bounds)

    return Points(
        blocks=cut(),
        n_features=n_features,
        dtype=dtype,
        n_rows=n_rows,
        in_memory=True,
        kind=kind,
        feature_names=feature_names,
        weighted=weights is not None,
        cut=cut,
    )


def as_array(X: Any) -> np.ndarray:
    """X as an ndarray of numbers (objects that are numbers become float64)."""
    if isinstance(X, np.matrix):
        raise checks.matrix_error()
    if isinstance(X, np.ma.MaskedArray):
        raise checks.masked_error()
    if hasattr(X, "tocsr"):
        raise checks.sparse_error(X)
    try:
        values = np.asarray(X)
    except ValueError as error:  # rows of different lengths
        raise checks.ragged_error(error) from error
    if values.dtype.kind != "O":
        return values
    if values.ndim == 0:
        raise checks.not_numbers_error(f"type {type(X).__name__}")
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise checks.not_numbers_error(f"values that are no numbers ({error})") from error


def weights_in_memory(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Weights as float64 (n_rows,); a scalar stands for all rows, None for no weights."""
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight)
    if weights.ndim == 0:
        weights = np.full(n_rows, weights)
    checks.check_weight_shape(weights.shape, n_rows)
    return as_weights(weights)


@dataclass(frozen=True)
class InMemory(Kind):
    """Results as ndarrays, computed at once on threads."""

    def wrap(self, values: np.ndarray) -> Any:
        return values

    def apply(
        self, points: Points, function: RowFunction, dtype: np.dtype, n_outputs: int | None
    ) -> Any:
        assert points.n_rows is not None
        tail = () if n_outputs is None else (n_outputs,)
        out = np.empty((points.n_rows, *tail), dtype)
        blockwise = Blockwise(points.blocks, in_memory=True)
        try:
            blockwise.run(_fill, function, out, merge=_nothing)
        finally:
            blockwise.close()
        return self.wrap(out)


def _fill(block: OpenBlock, function: RowFunction, out: np.ndarray) -> None:
    """Write `function` of a block's rows into their place in `out`."""
    assert block.start is not None
    start = block.start
    n_outputs = out.shape[1] if out.ndim == 2 else None
    for values, _ in block.pieces():
        stop = start + len(values)
        out[start:stop] = result_of(function, values, out.dtype, n_outputs)
        start = stop


def _nothing(a: None, b: None) -> None:
    """Merge of tasks that only write."""
