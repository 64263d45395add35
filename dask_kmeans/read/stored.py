"""What stores that are read by row (Zarr, Parquet, CSV, .npy) have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import dask
import numpy as np

from dask_kmeans import checks, planning
from dask_kmeans.blockwise import Block, parallelism
from dask_kmeans.read.ahead import Ahead
from dask_kmeans.read.carry import Batch, Carry
from dask_kmeans.read.packing import read_values
from dask_kmeans.read.pieces import Piece, as_weights
from dask_kmeans.read.points import Kind, Points
from dask_kmeans.read.results import RowName, RowResults, RowsAfter, RowsFrom, shared
from dask_kmeans.read.weights import weight_values

LABELS_BYTES, OUTPUT_BYTES = 16 * 2**20, 64 * 2**20
"""What one chunk of a lazy result may take: of one number a row, and of several, where small chunks
might mean that several tasks read the same part of the store."""


class Source:
    """A store, opened: what it holds is known, nothing of it is read."""

    n_rows: int | None
    n_features: int
    dtype: np.dtype
    feature_names: tuple[str, ...] | None
    weighted: bool
    description: str
    categories: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """Of the one-hot columns among the features."""
    positions: tuple[int, ...] | None = None
    """Of features that were chosen from the columns of an array; None stands for all of them."""
    is_local: bool
    """Whether reading waits for a disk at most, not for a network."""
    n_files: int = 1
    """Files that the rows come from: in several, a row's number alone does not say where it is."""
    carry: Carry | None = None
    """What its blocks carry beside the features."""
    has_dimensions = False
    """Whether rows lie on a grid, and results come back as DataArrays."""

    def __repr__(self) -> str:
        rows = "rows not counted" if self.n_rows is None else f"{self.n_rows} rows"
        weights = ", weighted" if self.weighted else ""
        return f"<{self.description}: {rows}, {self.n_features} features of {self.dtype}{weights}>"

    def blocks(self, threads: int, max_block_rows: int | None = None) -> tuple[Block, ...]:
        """All rows, in order, in a few blocks a thread, of at most `max_block_rows` if possible."""
        raise NotImplementedError

    def carrying(self, columns: Sequence[str] | None) -> Source:
        """The same rows, whose blocks carry columns of the table beside them (`CarryingRows`).

        Parameters
        ----------
        columns : sequence of str or None
            Of any type; None: where each row lies, as the columns `file` and `row`.

        Raises
        ------
        ValueError
            For columns that are not there, and for an array: it has none.
        """
        raise checks.no_columns_to_keep_error(self.description)

    def points(self, sample_weight: Any = None, feature_dim: Any = None) -> Points:
        """Its rows; only of a grid a dimension can hold the features."""
        if feature_dim is not None:
            raise checks.unused_feature_dim_error(feature_dim, self.description)
        return read(self, sample_weight)


def read(source: Source, sample_weight: Any = None) -> Points:
    """Points of an opened store."""
    if source.n_rows is not None:
        checks.check_not_empty(source.n_rows, source.n_features)
    blocks = _blocks(source)
    if sample_weight is not None:
        if source.weighted:
            raise checks.weights_twice_error(source.description)
        blocks = _with_weights(blocks, source, sample_weight)
    return Points(
        blocks=blocks,
        n_features=source.n_features,
        dtype=source.dtype,
        n_rows=source.n_rows,
        in_memory=False,
        kind=Stored(source),
        feature_names=source.feature_names,
        categories=source.categories,
        positions=source.positions,
        weighted=source.weighted or sample_weight is not None,
    )


def _blocks(source: Source, max_block_rows: int = planning.MAX_BLOCK_ROWS) -> tuple[Block, ...]:
    """The blocks of a source; those of a far one are read ahead."""
    blocks = source.blocks(parallelism(in_memory=False), max_block_rows)
    if source.is_local:
        return blocks
    return tuple(block._replace(source=Ahead(block.source)) for block in blocks)


def _with_weights(blocks: tuple[Block, ...], source: Source, sample_weight: Any):
    """The blocks, each with its weights: a slice of an array, or of a Zarr array (n_rows,)."""
    if source.n_rows is None:
        raise checks.weight_kind_error(
            sample_weight, f"{source.description}, whose rows are not counted", "weight_column"
        )
    if dask.is_dask_collection(sample_weight):
        raise checks.weight_kind_error(
            sample_weight, source.description, "a NumPy array or a zarr.Array"
        )
    stored = hasattr(sample_weight, "store")
    weights = sample_weight if stored else weight_values(sample_weight)
    if not stored and weights.ndim == 0:
        weights = np.full(source.n_rows, weights)
    checks.check_weight_shape(weights.shape, source.n_rows)
    weighted = []
    for block in blocks:
        assert block.start is not None
        assert block.rows is not None
        if stored:
            rows = Weighted(block.source, weights, block.start)
        else:  # only its own slice travels with a block
            own = weights[block.start : block.start + block.rows]
            rows = Weighted(block.source, as_weights(own))
        weighted.append(block._replace(source=rows))
    return tuple(weighted)


@dataclass(frozen=True)
class Weighted:
    """A block of a store, with weights from elsewhere: those from number `start` on."""

    rows: Any
    weights: Any
    start: int = 0

    def pieces(self) -> Iterator[Piece]:
        return (piece for piece, _ in self._weighted(map(Batch, self.rows.pieces())))

    def batches(self) -> Iterator[Batch]:
        return self._weighted(self.rows.batches())

    def _weighted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        start = self.start
        for (values, _), carried in batches:
            stop = start + len(values)
            yield Batch(Piece(values, as_weights(self._weights_of(start, stop))), carried)
            start = stop

    def _weights_of(self, start: int, stop: int) -> np.ndarray:
        if isinstance(self.weights, np.ndarray):
            return self.weights[start:stop]
        return read_values(self.weights, start, stop)


@dataclass(frozen=True)
class Stored(Kind):
    """Results as lazy dask arrays, chunked by block."""

    source: Source

    def apply(self, points: Points, results: RowResults) -> Any:
        import dask.array as da

        # Blocks small enough for their results: these are held whole, whereas rows are streamed.
        most = LABELS_BYTES if results.n_outputs is None else OUTPUT_BYTES
        blocks = _blocks(self.source, max(1, most // results.row_bytes))
        wanted, sources = shared(results), _before(blocks)
        values = da.concatenate(
            [
                da.from_delayed(
                    # A partial, since Dask would look for graphs inside of an argument.
                    dask.delayed(partial(_results_of_block, block), pure=True)(wanted, sources),
                    shape=(np.nan if block.rows is None else block.rows, *results.row_shape),
                    dtype=results.dtype,
                )
                for block in blocks
            ],
            allow_unknown_chunksizes=True,
        )
        return results.given(values, lambda each: each)

    def streams(self, results: RowResults) -> Streams:
        """`results` of the rows with what the source carries, for tasks that want a batch at a
        time: then blocks may be as large as those of a fit."""
        return Streams(_blocks(self.source), results, self.source.carry)


@dataclass(frozen=True)
class Streams:
    """Results of rows with what their source carries beside them, a stream a block."""

    blocks: tuple[Block, ...]
    results: RowResults
    carry: Carry | None

    def tasks(self, task: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """A `Delayed` a block: `task(batches, *arguments of the block)`.

        `batches` are pairs: results, and the `pyarrow.Table` that is carried, or None.
        """
        wanted, sources = shared(self.results), _before(self.blocks)
        carrying = self.carry is not None
        return [
            dask.delayed(partial(_on_stream, task, block, carrying, own), pure=False)(
                wanted, sources
            )
            for block, own in zip(self.blocks, arguments, strict=True)
        ]


def _on_stream(task, block, carrying, arguments, results, sources):
    name = _row_name(block, sources)
    return task(results.batches(block.source, name, carrying), *arguments)


def _results_of_block(block, results, sources):
    return results.of(block.source, _row_name(block, sources))


def _before(blocks: Sequence[Block]) -> Any:
    """The sources of all blocks, in a list that all tasks share; empty where rows are counted."""
    uncounted = any(block.start is None for block in blocks)
    return shared([block.source for block in blocks] if uncounted else [])


def _row_name(block: Block, sources: Sequence[Any]) -> RowName:
    """What rows of a block are called: by counting those before it, if need be."""
    return RowsAfter(sources[: block.index]) if block.start is None else RowsFrom(block.start)
