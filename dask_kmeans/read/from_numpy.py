"""Data in memory: NumPy arrays, lists of lists, and what turns into an array by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from dask_kmeans import checks, planning
from dask_kmeans.blockwise import Block, Blockwise, OpenBlock, parallelism
from dask_kmeans.kernels import is_batch
from dask_kmeans.read.casts import as_numbers, kernel_dtype
from dask_kmeans.read.masks import without_mask
from dask_kmeans.read.pieces import BatchRows, Rows, RowsInMemory, as_weights
from dask_kmeans.read.points import Kind, Points, numbered
from dask_kmeans.read.results import RowResults, RowsFrom
from dask_kmeans.read.weights import weight_values


def read(X: Any, sample_weight: Any = None) -> Points:
    """Points of an array in memory of shape (n_rows, n_features); nothing is copied.

    X : anything that turns into an array, or a batch of rows that kernels take as it is.
    """
    if is_batch(X) and not isinstance(X, np.ndarray):
        return read_rows(BatchRows(X), sample_weight, kind=InMemory())
    values = as_array(X)
    checks.check_two_dimensional(values.shape)
    return read_rows(Rows(values), sample_weight, kind=InMemory())


def read_rows(
    rows: RowsInMemory,
    sample_weight: Any,
    *,
    kind: InMemory,
    feature_names: tuple[str, ...] | None = None,
    categories: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Points:
    """Points of rows in memory, in blocks for threads."""
    n_rows, n_features = rows.shape
    dtype = kernel_dtype(rows.dtype)
    checks.check_not_empty(n_rows, n_features)
    weights = weights_in_memory(sample_weight, n_rows)

    def cut(n_clusters: int | None = None) -> tuple[Block, ...]:
        threads = parallelism(in_memory=True)
        bounds = planning.plan_in_memory(n_rows, n_features, threads, n_clusters)
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
        categories=categories,
        weighted=weights is not None,
        cut=cut,
    )


def as_array(X: Any) -> np.ndarray:
    """X as an ndarray of numbers (objects that are numbers become float64)."""
    if isinstance(X, np.matrix):
        raise checks.matrix_error()
    if hasattr(X, "tocsr"):
        raise checks.sparse_error(X)
    try:
        values = without_mask(X)
    except ValueError as error:  # rows of different lengths
        raise checks.ragged_error(error) from error
    if values.dtype.kind == "O" and values.ndim == 0:
        raise checks.not_numbers_error(f"type {type(X).__name__}")
    return as_numbers(values)


def weights_in_memory(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Weights as float64 (n_rows,); a scalar stands for all rows, None for no weights."""
    if sample_weight is None:
        return None
    weights = weight_values(sample_weight)
    if weights.ndim == 0:
        weights = np.full(n_rows, weights)
    checks.check_weight_shape(weights.shape, n_rows)
    return as_weights(weights)


@dataclass(frozen=True)
class InMemory(Kind):
    """Results as ndarrays, computed at once on threads."""

    def wrap(self, values: np.ndarray) -> Any:
        return values

    def apply(self, points: Points, results: RowResults) -> Any:
        assert points.n_rows is not None
        out: Any
        if results.fields:
            out = {name: np.empty(points.n_rows, results.dtype[name]) for name in results.fields}
        else:
            out = np.empty((points.n_rows, *results.row_shape), results.dtype)
        blockwise = Blockwise(points.blocks, in_memory=True)
        try:
            # The pieces of an open block have been through the transforms.
            blockwise.run(_fill, replace(results, transforms=()), out, merge=_nothing)
        finally:
            blockwise.close()
        return results.given(out, self.wrap)


def _fill(block: OpenBlock, results: RowResults, out: Any) -> None:
    """Write the results of a block's rows into their place in `out`: an array, or one a field."""
    start = block.start
    for values in results.pieces(block, RowsFrom(block.start)):
        rows = slice(start, start + len(values))
        if not results.fields:
            out[rows] = values
        for name in results.fields:
            out[name][rows] = values[name]
        start = rows.stop


def _nothing(a: None, b: None) -> None:
    """Merge of tasks that only write."""
