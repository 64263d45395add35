"""Dask arrays: of unknown chunk sizes, with empty chunks, with the features in several chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import dask
import numpy as np

from dask_kmeans import checks, planning
from dask_kmeans.blockwise import parallelism
from dask_kmeans.read.casts import kernel_dtype, one_chunk_wide
from dask_kmeans.read.graphs import Chunk, sources_of
from dask_kmeans.read.masks import without_mask
from dask_kmeans.read.pieces import Piece, as_weights, cut
from dask_kmeans.read.points import Kind, Points, numbered, uncounted
from dask_kmeans.read.results import RowResults, RowsFrom, RowsOfPart, shared
from dask_kmeans.read.weights import weight_values


def read(X: Any, sample_weight: Any = None) -> Points:
    """Points of a dask array of shape (n_rows, n_features); neither may be copied or computed."""
    checks.check_two_dimensional(X.shape, "dask array")
    # Objects may be numbers: whether they are is seen when they come.
    dtype = np.dtype(np.float64) if X.dtype.kind == "O" else kernel_dtype(X.dtype)
    if np.isnan(X.shape[1]):
        raise checks.unknown_columns_error("the dask array")
    X = one_chunk_wide(X)
    weights = _aligned_weights(X, sample_weight)

    chunk_rows = X.chunks[0]
    counted = not any(map(np.isnan, chunk_rows))
    threads = parallelism(in_memory=False)

    def groups(one_by_one: bool) -> list[tuple[int, int]]:
        if not counted:
            number = len(chunk_rows)
            return planning.group_unsized(number, threads if one_by_one else number)
        sizes = [rows * X.shape[1] * dtype.itemsize for rows in chunk_rows]
        return (planning.group_parts if one_by_one else planning.group_chunks)(sizes, threads)

    collections = [X] if weights is None else [X, weights]
    sources, bounds = sources_of(collections, groups, ChunkRows)
    if counted:
        edges = np.cumsum([0, *chunk_rows]).tolist()
        blocks = numbered(sources, [(edges[first], edges[stop]) for first, stop in bounds])
    else:
        blocks = uncounted(sources)
    return Points(
        blocks=blocks,
        n_features=X.shape[1],
        dtype=dtype,
        n_rows=X.shape[0] if counted else None,
        in_memory=False,
        kind=DaskArray(X),
        weighted=weights is not None,
    )


def _aligned_weights(X: Any, sample_weight: Any) -> Any:
    """Weights as a dask array (n_rows,) with the row chunks of X; None without weights."""
    import dask.array as da

    if sample_weight is None:
        return None
    counted = not np.isnan(X.shape[0])
    if hasattr(sample_weight, "dims"):  # a DataArray: X has no labels for it to go by
        sample_weight = sample_weight.data
    if not isinstance(sample_weight, da.Array):
        if dask.is_dask_collection(sample_weight):
            raise checks.weight_kind_error(sample_weight, "a dask array", "a dask array")
        weights = weight_values(sample_weight)
        if not counted:
            raise checks.weight_kind_error(
                sample_weight, "a dask array of unknown length", "a dask array of the same chunks"
            )
        if weights.ndim == 0:
            weights = np.full(X.shape[0], weights)
        checks.check_weight_shape(weights.shape, X.shape[0])
        return da.from_array(as_weights(weights), chunks=(X.chunks[0],))
    weights_counted = not any(map(np.isnan, sample_weight.shape))
    checks.check_weight_shape(
        sample_weight.shape, X.shape[0] if counted and weights_counted else None
    )
    if counted and weights_counted:
        # As float64 first: a chunk that is put together is of the dtype of its first part.
        weights = da.map_blocks(as_weights, sample_weight, dtype=np.float64)
        return weights.rechunk((X.chunks[0],))
    # Sizes that are not known are compared chunk by chunk, when they are.
    if sample_weight.numblocks[0] != X.numblocks[0]:
        raise checks.weight_chunks_error(sample_weight.chunks[0], X.chunks[0])
    return sample_weight


@dataclass(frozen=True)
class ChunkRows:
    """A block of consecutive chunks: rows (m_i, d), and perhaps weights (m_i,), of each."""

    chunks: Iterable[Chunk]

    def pieces(self) -> Iterator[Piece]:
        for values, *of_rows in self.chunks:
            if hasattr(values, "tocsr"):
                raise checks.sparse_error(values, in_chunks=True)
            values = without_mask(values)
            weights = of_rows[0] if of_rows else None
            if weights is not None and len(weights) != len(values):
                raise checks.weight_chunks_error([len(weights)], [len(values)])
            yield from cut(values, weights)


@dataclass(frozen=True)
class DaskArray(Kind):
    """Results as lazy dask arrays with the row chunks of the data."""

    X: Any

    def apply(self, points: Points, results: RowResults) -> Any:
        if results.n_outputs is None:
            shape: dict[str, Any] = {"drop_axis": 1}
        else:
            shape = {"chunks": (self.X.chunks[0], (results.n_outputs,))}
        values = self.X.map_blocks(
            _results_of_chunk,
            results=shared(results),
            starts=np.cumsum([0, *self.X.chunks[0]]),  # not a number where they are not counted
            dtype=results.dtype,
            meta=np.empty((0,) * (2 - (results.n_outputs is None)), results.dtype),
            **shape,
        )
        return results.given(values, lambda each: each)


def _results_of_chunk(values, results, starts, block_id=None):
    number = block_id[0]
    start = starts[number]
    name = RowsOfPart(f"chunk {number}") if np.isnan(start) else RowsFrom(int(start))
    return results.of(ChunkRows([(values,)]), name)
