"""Dask DataFrames: a block a partition, its rows counted by the survey."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dask
import numpy as np

from dask_kmeans import checks
from dask_kmeans.read import from_pandas
from dask_kmeans.read.pieces import Piece
from dask_kmeans.read.points import Kind, Points, RowFunction, result_of, uncounted


def read(X: Any, sample_weight: Any = None) -> Points:
    """Points of the numeric columns of a Dask DataFrame; a warning names the others."""
    # The empty DataFrame of the same columns: what Dask knows of X without computing anything.
    form = X.partitions[:0].compute() if X.npartitions == 0 else X.head(0, npartitions=1)
    positions, dtype = from_pandas.numeric_columns(form)
    partitions = X.to_delayed()
    weights = _weight_partitions(X, sample_weight)
    part = dask.delayed(Partition, pure=True)
    return Points(
        blocks=uncounted(
            [part(*pair, positions, dtype) for pair in zip(partitions, weights, strict=True)]
        ),
        n_features=len(positions),
        dtype=dtype,
        n_rows=None,
        in_memory=False,
        kind=DaskFrame(X, positions, dtype),
        feature_names=checks.check_feature_names(form.columns[list(positions)]),
        weighted=sample_weight is not None,
    )


def _weight_partitions(X: Any, sample_weight: Any) -> list[Any]:
    """Weights of each partition: of a Dask Series or a dask array cut like X."""
    if sample_weight is None:
        return [None] * X.npartitions
    if not dask.is_dask_collection(sample_weight):
        raise checks.weight_kind_error(
            sample_weight, "a Dask DataFrame", "a Dask Series of the same partitions"
        )
    if sample_weight.ndim != 1:
        checks.check_weight_shape(sample_weight.shape, None)
    parts = list(np.ravel(sample_weight.to_delayed()))
    if len(parts) != X.npartitions:
        raise checks.weight_chunks_error(["?"] * len(parts), ["?"] * X.npartitions)
    return parts


@dataclass(frozen=True)
class Partition:
    """A block that is one partition, computed, with its weights."""

    frame: Any
    weights: Any
    positions: tuple[int, ...]
    dtype: np.dtype

    def pieces(self) -> Iterator[Piece]:
        if self.weights is not None and len(self.weights) != len(self.frame):
            raise checks.weight_chunks_error([len(self.weights)], [len(self.frame)])
        weights = None if self.weights is None else np.asarray(self.weights)
        rows = from_pandas.frame_rows(self.frame, self.positions, self.dtype, weights)
        return rows.pieces()


@dataclass(frozen=True)
class DaskFrame(Kind):
    """Results as lazy Dask Series or DataFrames with the partitions and the index of the data."""

    X: Any
    positions: tuple[int, ...]
    dtype: np.dtype

    def apply(
        self, points: Points, function: RowFunction, dtype: np.dtype, n_outputs: int | None
    ) -> Any:
        return self.X.map_partitions(
            _apply_to_partition,
            dask.delayed(function, traverse=False, pure=True),
            self.positions,
            self.dtype,
            dtype,
            n_outputs,
            meta=from_pandas.empty_result(dtype, n_outputs),
        )


def _apply_to_partition(frame, function, positions, dtype, out_dtype, n_outputs):
    rows = from_pandas.frame_rows(frame, positions, dtype)
    results = [result_of(function, values, out_dtype, n_outputs) for values, _ in rows.pieces()]
    if not results:
        return from_pandas.empty_result(out_dtype, n_outputs)
    return from_pandas.as_series_or_frame(np.concatenate(results), frame.index)
