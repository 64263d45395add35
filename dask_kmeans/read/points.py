"""Points: rows and features of any source, in blocks, and the way back to the caller's kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.blockwise import Block

RowFunction = Callable[[np.ndarray], np.ndarray]
"""Rows (m, d) -> values (m,) or (m, n_outputs); picklable, each row for itself."""


class Kind:
    """What the caller's data is, so that results can be of the same kind."""

    def apply(
        self, points: Points, function: RowFunction, dtype: np.dtype, n_outputs: int | None
    ) -> Any:
        """See `Points.apply`."""
        raise NotImplementedError

    def wrap(self, values: np.ndarray) -> Any:
        """See `Points.in_kind`; only kinds of data in memory are asked for it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Points:
    """What is clustered.

    Attributes
    ----------
    blocks : tuple of Block
        Together all rows, in order.
    n_features : int
    dtype : dtype
        Of the values as they are handed over (bool comes as uint8).
    n_rows : int or None
        None until the rows are counted (`with_counts`).
    in_memory : bool
        Whether the rows lie in this process.
    kind : Kind
        How results go back.
    feature_names : tuple of str or None
    weighted : bool
        Whether rows come with weights.
    cut : callable or None
        Of rows in memory: the blocks for as many clusters as each row is to be compared with.
    """

    blocks: tuple[Block, ...]
    n_features: int
    dtype: np.dtype
    n_rows: int | None
    in_memory: bool
    kind: Kind = field(repr=False)
    feature_names: tuple[str, ...] | None = None
    weighted: bool = False
    cut: Callable[[int], tuple[Block, ...]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        checks.check_not_empty(1 if self.n_rows is None else self.n_rows, self.n_features)

    @property
    def bytes(self) -> int | None:
        """What one pass reads, decoded; None where the rows are not counted."""
        if self.n_rows is None:
            return None
        row = self.n_features * self.dtype.itemsize + (8 if self.weighted else 0)
        return self.n_rows * row

    def for_clusters(self, n_clusters: int) -> Points:
        """The same points in blocks that suit passes which compare with so many centers."""
        return self if self.cut is None else replace(self, blocks=self.cut(n_clusters))

    def with_counts(self, counts: Sequence[int]) -> Points:
        """The same points, now that the rows of every block are counted."""
        starts = accumulate(counts, initial=0)
        blocks = tuple(
            block._replace(start=start, rows=rows)
            for block, start, rows in zip(self.blocks, starts, counts, strict=False)
        )
        return replace(self, blocks=blocks, n_rows=sum(counts))

    def apply(
        self, function: RowFunction, dtype: np.dtype | type, n_outputs: int | None = None
    ) -> Any:
        """`function` of all rows, as the kind of thing that the rows came as.

        Parameters
        ----------
        function : callable
            Rows (m, d) -> values (m,), or (m, n_outputs) where that is given. Picklable.
        dtype : dtype
            Of the result.
        n_outputs : int, optional

        Returns
        -------
        ndarray, dask array, xarray.DataArray, Series or DataFrame
            NumPy, lists: an ndarray, computed on threads. Dask: a lazy array with the same row
            chunks (unknown ones stay unknown). xarray: a DataArray with the sample dimensions and
            coordinates, lazy where the data is. pandas: a Series or DataFrame with the index. Dask
            DataFrame: a lazy one with the partitions and the index. Stores and paths: a lazy dask
            array, chunked by block.
        """
        return self.kind.apply(self, function, np.dtype(dtype), n_outputs)

    def in_kind(self, values: np.ndarray) -> Any:
        """Values (n_rows,) or (n_rows, n_outputs) known already, as `apply` would give them.

        For points in memory.
        """
        return self.kind.wrap(values)


def numbered(sources: Sequence[Any], bounds: Sequence[tuple[int, int]]) -> tuple[Block, ...]:
    """Blocks of sources whose rows are known."""
    return tuple(
        Block(index, start, stop - start, source)
        for index, (source, (start, stop)) in enumerate(zip(sources, bounds, strict=True))
    )


def uncounted(sources: Sequence[Any]) -> tuple[Block, ...]:
    """Blocks of sources whose rows are not known."""
    return tuple(Block(index, None, None, source) for index, source in enumerate(sources))


def result_of(function: RowFunction, rows: np.ndarray, dtype: np.dtype, n_outputs: int | None):
    """`function(rows)`, which is not called for no rows; a module-level task for lazy kinds."""
    if len(rows) == 0:
        return np.empty((0,) if n_outputs is None else (0, n_outputs), dtype)
    return np.asarray(function(rows), dtype)
