"""Results: a function of rows, over the rows of any kind of data.

The one path of `predict` and `transform`: whatever the data lies in becomes the `RowSource` that a
fit would read, and its pieces go through the same transforms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import dask
import numpy as np

from dask_kmeans.read.carry import Batch
from dask_kmeans.read.pieces import Piece, RowSource, cut
from dask_kmeans.read.transforms import Transform, transformed

BATCH_ROWS = 2**17
"""Rows of a batch of results at most: rows of few features may be less than their results."""

RowName = Callable[[int], str]
"""Position of a row among those of a task -> what a message calls it."""


class RowFunction(Protocol):
    """A picklable function of rows, each for itself: (m, d) -> (m,), or (m, n_outputs)."""

    def __call__(self, values: np.ndarray) -> np.ndarray: ...

    def check(self, values: np.ndarray, name: RowName) -> None:
        """Raise for a row that it cannot take."""


@dataclass(frozen=True)
class RowResults:
    """What is wanted of rows: a function, and the form of what it gives."""

    function: RowFunction
    dtype: np.dtype
    n_outputs: int | None = None
    """None for one number a row."""
    transforms: tuple[Transform, ...] = ()
    fields: tuple[str, ...] = ()
    """Of a structured dtype, what is given back, each field by itself; of none: the whole."""

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of the result of one row."""
        return () if self.n_outputs is None else (self.n_outputs,)

    @property
    def row_bytes(self) -> int:
        """Bytes of the result of one row."""
        return self.dtype.itemsize * (self.n_outputs or 1)

    def given(self, values: Any, wrap: Callable[[Any], Any]) -> Any:
        """What the caller gets of results: wrapped in kind, or a tuple of their fields, each so.

        values : anything that gives a field by its name
        """
        if not self.fields:
            return wrap(values)
        return tuple(wrap(values[name]) for name in self.fields)

    def pieces(self, source: RowSource, name: RowName) -> Iterator[np.ndarray]:
        """Results of the rows of a source, piece by piece; no function is called for no rows."""
        return self._of(source.pieces(), name)

    def batches(
        self, source: Any, name: RowName, carrying: bool
    ) -> Iterator[tuple[np.ndarray, Any]]:
        """Results of the rows of a source, batch by batch, with what it carries beside them."""
        first = 0
        for piece, carried in source.batches() if carrying else map(Batch, source.pieces()):
            for start in range(0, len(piece.values), BATCH_ROWS):
                rows = piece.values[start : start + BATCH_ROWS]
                own = None if carried is None else carried.slice(start, len(rows))
                yield np.concatenate(list(self._of(cut(rows, None), _after(name, first)))), own
                first += len(rows)

    def _of(self, pieces: Iterator[Piece], name: RowName) -> Iterator[np.ndarray]:
        first = 0
        for values, _ in transformed(pieces, self.transforms):
            if len(values):
                self.function.check(values, _after(name, first))
                yield np.asarray(self.function(values), self.dtype)
            first += len(values)

    def of(self, source: RowSource, name: RowName) -> np.ndarray:
        """Results of all rows of a source: (n,), or (n, n_outputs)."""
        none = np.empty((0, *self.row_shape), self.dtype)
        return np.concatenate([none, *self.pieces(source, name)])


def shared(value: Any) -> Any:
    """A task that gives `value`, which may carry large centers: all chunks take it from there."""
    return dask.delayed(value, traverse=False, pure=True)


def _after(name: RowName, first: int) -> RowName:
    return lambda row: name(first + row)


@dataclass(frozen=True)
class RowsFrom:
    """Rows that follow row `start` of the data."""

    start: int

    def __call__(self, row: int) -> str:
        return str(self.start + row)


@dataclass(frozen=True)
class RowsOfPart:
    """Rows of a part of the data, where nothing knows how many come before it."""

    part: str
    index: Sequence[Any] | None = None
    """The rows' own labels, where they have some."""

    def __call__(self, row: int) -> str:
        label = "" if self.index is None else f" (index {self.index[row]})"
        return f"{row} of {self.part}{label}"


@dataclass(frozen=True)
class RowsAfter:
    """Rows of a source that follows others: these are counted, by reading, when it comes to it."""

    before: Sequence[RowSource]

    def __call__(self, row: int) -> str:
        return str(row + sum(len(piece.values) for each in self.before for piece in each.pieces()))


@dataclass(frozen=True)
class RowsOfGrid:
    """Samples of a chunk of a grid: numbered as those of the whole grid are, in C order."""

    corner: tuple[int, ...]
    """Position of the chunk's first sample in the grid."""
    chunk: tuple[int, ...]
    grid: tuple[int, ...]

    def __call__(self, row: int) -> str:
        inside = np.unravel_index(row, self.chunk)
        place = tuple(int(a + b) for a, b in zip(self.corner, inside, strict=True))
        return str(int(np.ravel_multi_index(place, self.grid)))
