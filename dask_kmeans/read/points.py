"""Points: rows and features of any source, in blocks, and the way back to the caller's kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.blockwise import Block
from dask_kmeans.read.feature_grid import FeatureGrid
from dask_kmeans.read.nodata import NoData
from dask_kmeans.read.results import RowFunction, RowResults
from dask_kmeans.read.transforms import (
    PresentFeatures,
    Standardization,
    Transform,
    forward,
    inward,
    transformed,
    undo,
)


class Kind:
    """What the caller's data is, so that results can be of the same kind."""

    def apply(self, points: Points, results: RowResults) -> Any:
        """`results` of the rows of `points`, in kind: see `Points.apply`."""
        raise NotImplementedError

    def streams(self, results: RowResults) -> Any:
        """See `Points.streams`; only stores are asked for it."""
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
        Of those that are compared: after the transforms.
    dtype : dtype
        Of the values as they are handed over (bool comes as uint8).
    n_rows : int or None
        None until the rows are counted (`with_counts`).
    in_memory : bool
        Whether the rows lie in this process.
    kind : Kind
        How results go back.
    feature_names : tuple of str or None
    categories : mapping
        Of the one-hot columns among the features.
    positions : tuple of int or None
        Of the features among the columns of the array that they were chosen from; None: all.
    weighted : bool
        Whether rows come with weights.
    cut : callable or None
        Of rows in memory: the blocks for as many clusters as each row is to be compared with.
    transforms : tuple of Transform
        What the rows go through after they are read: `dtype` and `bytes` are those of before.
    grid : FeatureGrid or None
        How the features lie in an xarray object.
    declared : tuple of dict, or None
        What the data says of numbers that stand for no value: of each feature, or of all, the
        numbers and what names them.
    """

    blocks: tuple[Block, ...]
    n_features: int
    dtype: np.dtype
    n_rows: int | None
    in_memory: bool
    kind: Kind = field(repr=False)
    feature_names: tuple[str, ...] | None = None
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    positions: tuple[int, ...] | None = None
    weighted: bool = False
    cut: Callable[[int], tuple[Block, ...]] | None = field(default=None, repr=False)
    transforms: tuple[Transform, ...] = ()
    grid: FeatureGrid | None = None
    declared: tuple[dict[float, str], ...] | None = None

    def __post_init__(self) -> None:
        checks.check_not_empty(1 if self.n_rows is None else self.n_rows, self.n_features)

    @property
    def bytes(self) -> int | None:
        """What one pass reads, decoded; None where the rows are not counted."""
        if self.n_rows is None:
            return None
        return self.n_rows * (self.row_bytes + (8 if self.weighted else 0))

    @property
    def row_bytes(self) -> int:
        """Bytes of the values of a row, as it is read."""
        return self.n_features_read * self.dtype.itemsize

    def for_clusters(self, n_clusters: int) -> Points:
        """The same points in blocks that suit passes which compare with so many centers."""
        if self.cut is None:
            return self
        return replace(self, blocks=_through(self.cut(n_clusters), self.transforms))

    def through(self, *more: Transform) -> Points:
        """The same rows after more transforms, for passes over the blocks and for `apply`."""
        if not more:
            return self
        transforms = (*self.transforms, *more)
        return replace(
            self,
            blocks=_through(self.blocks, transforms),
            transforms=transforms,
            n_features=inward(np.empty((0, self.n_features)), more).shape[1],
        )

    @property
    def n_features_read(self) -> int:
        """Features before the transforms."""
        if not self.transforms:
            return self.n_features
        return self.outward(np.empty((0, self.n_features))).shape[1]

    def position_read(self, feature: int) -> int:
        """Position of a feature before the transforms."""
        left = self._first(PresentFeatures)
        return feature if left is None else int(np.flatnonzero(left.present)[feature])

    @property
    def standardization(self) -> Standardization | None:
        """The standardization among the transforms, as one of all features that are read."""
        own, left = self._first(Standardization), self._first(PresentFeatures)
        return own if own is None or left is None else own.among(left.present)

    @property
    def nodata(self) -> NoData | None:
        """What stands for no value, among the transforms."""
        return self._first(NoData)

    def _first(self, kind: type) -> Any:
        return next((each for each in self.transforms if isinstance(each, kind)), None)

    def forward(self, rows: Any) -> Any:
        """A batch of rows (m, d) as they were read, as they are compared."""
        return forward(rows, self.transforms)

    def inward(self, centers: np.ndarray) -> np.ndarray:
        """Centers (k, d) in the caller's units, as rows are compared with them."""
        return inward(centers, self.transforms)

    def outward(self, centers: np.ndarray) -> np.ndarray:
        """Centers (k, d) as rows are compared with them, in the caller's units."""
        return undo(centers, self.transforms)

    def with_counts(self, counts: Sequence[int]) -> Points:
        """The same points, now that the rows of every block are counted."""
        if self.n_rows is not None:
            return self  # which they were before
        starts = accumulate(counts, initial=0)
        blocks = tuple(
            block._replace(start=start, rows=rows)
            for block, start, rows in zip(self.blocks, starts, counts, strict=False)
        )
        return replace(self, blocks=blocks, n_rows=sum(counts))

    def apply(
        self,
        function: RowFunction,
        dtype: np.dtype | type,
        n_outputs: int | None = None,
        fields: tuple[str, ...] = (),
    ) -> Any:
        """`function` of all rows, as the kind of thing that the rows came as.

        Parameters
        ----------
        function : RowFunction
            Of rows as the transforms leave them.
        dtype : dtype
            Of the result.
        n_outputs : int, optional
        fields : tuple of str
            Of a structured dtype. Lazy fields share their tasks: computed together, they cost one
            read.

        Returns
        -------
        ndarray, dask array, xarray.DataArray, Series or DataFrame, or with `fields` a tuple of them
            NumPy, lists: an ndarray, computed on threads. Dask: a lazy array with the same row
            chunks (unknown ones stay unknown). xarray: a DataArray with the sample dimensions and
            coordinates, lazy where the data is. pandas: a Series or DataFrame with the index. Dask
            DataFrame: a lazy one with the partitions and the index. Stores and paths: a lazy dask
            array, chunked by block.
        """
        return self.kind.apply(
            self, RowResults(function, np.dtype(dtype), n_outputs, self.transforms, fields)
        )

    def streams(self, function: RowFunction, dtype: np.dtype | type) -> Any:
        """`function` of the rows of a store, with what is carried beside them: `stored.Streams`."""
        return self.kind.streams(RowResults(function, np.dtype(dtype), None, self.transforms))

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


def _through(blocks: tuple[Block, ...], transforms: tuple[Transform, ...]) -> tuple[Block, ...]:
    way = partial(transformed, transforms=transforms) if transforms else None
    return tuple(block._replace(way=way) for block in blocks)
