"""Dask DataFrames: a block a partition, its rows counted by the survey."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask

from dask_kmeans import checks, planning
from dask_kmeans.blockwise import parallelism
from dask_kmeans.read import from_pandas
from dask_kmeans.read.graphs import Chunk, sources_of
from dask_kmeans.read.pieces import Piece
from dask_kmeans.read.points import Kind, Points, uncounted
from dask_kmeans.read.results import RowResults, RowsOfPart, shared
from dask_kmeans.read.weights import weights_along_index


def read(X: Any, sample_weight: Any = None) -> Points:
    """Points of the numeric columns of a Dask DataFrame; a warning names the others."""
    positions = from_pandas.numeric_columns(X)
    if len(positions) < len(X.columns):
        # Said to Dask, so that it need not even read the other columns.
        X = X[[X.columns[position] for position in positions]]
    dtype = from_pandas.declared_dtype(X)
    threads = parallelism(in_memory=False)

    def groups(one_by_one: bool) -> list[tuple[int, int]]:
        return planning.group_unsized(X.npartitions, threads if one_by_one else X.npartitions)

    sources, _ = sources_of(
        [X] if sample_weight is None else [X, _checked_weights(X, sample_weight)],
        groups,
        partial(Partitions, tuple(X.columns)),
    )
    return Points(
        blocks=uncounted(sources),
        n_features=len(X.columns),
        dtype=dtype,
        n_rows=None,
        in_memory=False,
        kind=DaskFrame(X),
        feature_names=checks.check_feature_names(X.columns),
        weighted=sample_weight is not None,
    )


def _checked_weights(X: Any, sample_weight: Any) -> Any:
    """Weights as a Dask Series or a dask array that is cut like X, as far as can be seen."""
    if not dask.is_dask_collection(sample_weight):
        raise checks.weight_kind_error(
            sample_weight, "a Dask DataFrame", "a Dask Series of the same partitions"
        )
    if sample_weight.ndim != 1:
        checks.check_weight_shape(sample_weight.shape, None)
    if _are_divided_otherwise(sample_weight, X):
        sample_weight = sample_weight.repartition(divisions=X.divisions)
    parts = getattr(sample_weight, "npartitions", 0)
    if parts != X.npartitions:
        raise checks.weight_chunks_error(["?"] * parts, ["?"] * X.npartitions)
    return sample_weight


def _are_divided_otherwise(weights: Any, X: Any) -> bool:
    """Whether the weights have the range of labels that X has, in other partitions."""
    if not (X.known_divisions and getattr(weights, "known_divisions", False)):
        return False
    own, needed = weights.divisions, X.divisions
    return own != needed and (own[0], own[-1]) == (needed[0], needed[-1])


@dataclass(frozen=True)
class Partitions:
    """A block of consecutive partitions, perhaps with their weights; `columns` are the features."""

    columns: tuple[Hashable, ...]
    chunks: Iterable[Chunk]

    def pieces(self) -> Iterator[Piece]:
        everything = tuple(range(len(self.columns)))
        for frame, *of_rows in self.chunks:
            weights = of_rows[0] if of_rows else None
            if weights is not None:
                if len(weights) != len(frame):
                    raise checks.weight_chunks_error([len(weights)], [len(frame)])
                weights = weights_along_index(weights, frame.index)
            features = self._features(frame)
            yield from from_pandas.frame_rows(features, everything, weights).pieces()

    def _features(self, frame: Any) -> Any:
        """The columns of a partition in the order that Dask was told, whatever theirs is."""
        there = list(frame.columns)
        if there == list(self.columns):
            return frame
        if len(set(there)) < len(there) or not set(there) >= set(self.columns):
            raise checks.partition_columns_error(self.columns, there)
        return frame[list(self.columns)]


@dataclass(frozen=True)
class DaskFrame(Kind):
    """Results as lazy Dask Series or DataFrames with the partitions and the index of the data."""

    X: Any

    def apply(self, points: Points, results: RowResults) -> Any:
        return self.X.map_partitions(
            _results_of_partition,
            shared(results),
            tuple(self.X.columns),
            meta=from_pandas.empty_result(results.dtype, results.n_outputs),
        )


def _results_of_partition(frame, results, columns, partition_info=None):
    number = "" if partition_info is None else f" {partition_info['number']}"
    rows = Partitions(columns, [(frame,)])
    values = results.of(rows, RowsOfPart(f"partition{number}", frame.index))
    return from_pandas.as_series_or_frame(values, frame.index)
