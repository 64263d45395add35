"""Dask DataFrames: a block a partition, its rows counted by the survey."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask
import pandas as pd
import pyarrow as pa

from dask_kmeans import checks, planning
from dask_kmeans.blockwise import parallelism
from dask_kmeans.read import from_pandas
from dask_kmeans.read import one_hot as one_hots
from dask_kmeans.read.columns import Features
from dask_kmeans.read.graphs import Chunk, sources_of
from dask_kmeans.read.one_hot import Find, OneHot
from dask_kmeans.read.pieces import Piece
from dask_kmeans.read.points import Kind, Points, uncounted
from dask_kmeans.read.results import RowResults, RowsOfPart, shared
from dask_kmeans.read.weights import weights_along_index


def read(X: Any, sample_weight: Any, one_hot: OneHot) -> Points:
    """Points of the numeric columns of a Dask DataFrame, and of those that are to be one-hot; a
    warning names the others."""
    features, dtype = from_pandas.numeric_columns(
        X,
        partial(_first_rows, X),
        one_hot=one_hots.finders(one_hot, partial(_categories, X), "X"),
    )
    if len(features.columns) < len(X.columns):
        # Said to Dask, so that it need not even read the other columns.
        X = X[list(features.columns)]
    threads = parallelism(in_memory=False)

    def groups(one_by_one: bool) -> list[tuple[int, int]]:
        return planning.group_unsized(X.npartitions, threads if one_by_one else X.npartitions)

    sources, _ = sources_of(
        [X] if sample_weight is None else [X, _checked_weights(X, sample_weight)],
        groups,
        partial(Partitions, features),
    )
    return Points(
        blocks=uncounted(sources),
        n_features=len(features),
        dtype=dtype,
        n_rows=None,
        in_memory=False,
        kind=DaskFrame(X, features),
        feature_names=checks.check_feature_names(features.names),
        categories=features.categories,
        weighted=sample_weight is not None,
    )


def _first_rows(X: Any, position: int) -> Any:
    """The first partition that has a value in a column, of this column: it is computed for it."""
    column = X.iloc[:, [position]]
    for part in column.partitions:
        values = part.compute().iloc[:, 0]
        if values.notna().any():
            return values
    return values


def _categories(X: Any, name: str) -> Find:
    """What finds the categories of a column: those that its type has, or else in a pass over it."""
    column = X[name]
    if isinstance(column.dtype, pd.CategoricalDtype) and column.cat.known:
        return partial(one_hots.found_in, [pa.array(column.dtype.categories)], name)
    tasks = [dask.delayed(_of_partition)(part, name) for part in column.to_delayed()]
    return partial(one_hots.found_by, tasks, name)


def _of_partition(column: pd.Series, name: str) -> set[str]:
    return one_hots.found_in([from_pandas.as_arrow(column, name)], name)


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
    """A block of consecutive partitions, perhaps with their weights."""

    features: Features
    chunks: Iterable[Chunk]
    part: str = "its partition"
    """What an error calls the partition of a row."""

    def pieces(self) -> Iterator[Piece]:
        for frame, *of_rows in self.chunks:
            weights = of_rows[0] if of_rows else None
            if weights is not None:
                if len(weights) != len(frame):
                    raise checks.weight_chunks_error([len(weights)], [len(frame)])
                weights = weights_along_index(weights, frame.index)
            name = RowsOfPart(self.part, frame.index)
            there = self._checked(frame)
            yield from from_pandas.frame_rows(there, self.features, weights, name).pieces()

    def _checked(self, frame: Any) -> Any:
        """A partition, which has to have the columns that Dask was told, in whatever order."""
        there, told = list(frame.columns), self.features.columns
        if len(set(there)) < len(there) or not set(there) >= set(told):
            raise checks.partition_columns_error(told, there)
        return frame


@dataclass(frozen=True)
class DaskFrame(Kind):
    """Results as lazy Dask Series or DataFrames with the partitions and the index of the data."""

    X: Any
    features: Features

    def apply(self, points: Points, results: RowResults) -> Any:
        values = self.X.map_partitions(
            _results_of_partition,
            shared(results),
            self.features,
            meta=from_pandas.empty_result(results.dtype, results.n_outputs),
        )
        # A field has the name of its column, and results have none.
        return results.given(values, _nameless if results.fields else lambda each: each)


def _nameless(series: Any) -> Any:
    return series.rename(None)


def _results_of_partition(frame, results, features, partition_info=None):
    number = "" if partition_info is None else f" {partition_info['number']}"
    rows = Partitions(features, [(frame,)], f"partition{number}")
    values = results.of(rows, RowsOfPart(rows.part, frame.index))
    return from_pandas.as_series_or_frame(values, frame.index)
