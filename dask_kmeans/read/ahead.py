"""Reading ahead: the next piece is fetched from a far store while this one is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from dask_kmeans.read.pieces import Piece


@dataclass(frozen=True)
class Ahead:
    """A block of a far store, read one piece ahead by a thread that mostly waits."""

    rows: Any

    def pieces(self) -> Iterator[Piece]:
        pieces = self.rows.pieces()
        with ThreadPoolExecutor(1, thread_name_prefix="dask-kmeans-ahead") as reader:
            coming = reader.submit(next, pieces, None)
            while (piece := coming.result()) is not None:
                coming = reader.submit(next, pieces, None)
                yield piece
