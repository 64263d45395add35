"""Reading ahead: the next piece is fetched from a far store while this one is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from dask_kmeans.read.carry import Batch
from dask_kmeans.read.pieces import Piece

T = TypeVar("T")


@dataclass(frozen=True)
class Ahead:
    """A block of a far store, read one piece ahead by a thread that mostly waits."""

    rows: Any

    def pieces(self) -> Iterator[Piece]:
        return _ahead(self.rows.pieces())

    def batches(self) -> Iterator[Batch]:
        return _ahead(self.rows.batches())


def _ahead(items: Iterator[T]) -> Iterator[T]:
    with ThreadPoolExecutor(1, thread_name_prefix="dask-kmeans-ahead") as reader:
        coming = reader.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = reader.submit(next, items, None)
            yield item
