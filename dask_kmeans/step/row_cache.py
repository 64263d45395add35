"""What a step leaves in a block's cache for the next one: a cache, never the truth.

Margins, without which every row is looked at, and the rows that will most likely be
wanted next, without which the block is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from dask_kmeans.blockwise import OpenBlock
from dask_kmeans.kernels import concatenate, no_margins

KEY = "rows"

NONE = no_margins(0)
"""Margins of no rows, where none are kept."""


class Proof(NamedTuple):
    """What a step leaves in the block's cache to prove labels of the next one."""

    step: int
    margins: np.ndarray = NONE
    """float32, of all rows; of none where none are kept."""
    rest: int = 0
    """Steps that are still to go without margins."""
    next_rest: int = 1
    """How many that will be when margins next prove too little."""


class KeptRows(NamedTuple):
    """Some rows of a block."""

    rows: np.ndarray  # int32 (m,), their positions in the block, in order
    values: np.ndarray  # (m, d), as they were read
    weights: np.ndarray | None  # float64 (m,)

    def have(self, picks: np.ndarray) -> bool:
        """Whether these are among them: int64, in order."""
        if len(picks) > len(self.rows):
            return False
        places = np.minimum(self.places(picks), len(self.rows) - 1)
        return bool((self.rows[places] == picks).all())

    def places(self, picks: np.ndarray) -> np.ndarray:
        """Where they are among them."""
        return np.searchsorted(self.rows, picks)


def kept_rows(block: OpenBlock) -> KeptRows | None:
    """What an earlier pass has kept of a block; None for nothing."""
    return block.cache.get(KEY)


class RowCacheWriter:
    """Chooses the rows of a block that are kept, while it is read.

    Each piece of the block gets its share of the room. What was kept before goes at once: two sets
    of rows might be more than the budget allows.
    """

    def __init__(self, block: OpenBlock):
        block.cache.pop(KEY, None)
        self._quota, self._block_rows = block.quota, block.rows
        self._kept: list[KeptRows] = []

    def take(
        self,
        values: np.ndarray,
        weights: np.ndarray | None,
        first: int,
        lifetimes: Sequence[Callable[[slice], np.ndarray]],
    ) -> None:
        """Keep some of the rows that follow row `first`: those with the shortest of lifetimes."""
        size = values.nbytes // len(values) + 4 + (0 if weights is None else 8)
        wanted = int(self._quota * len(values) / max(1, self._block_rows) / size)
        if not wanted:
            return
        rows = slice(first, first + len(values))
        lifetime = np.min([each(rows) for each in lifetimes], axis=0)
        chosen = np.arange(len(values))
        if wanted < len(values):
            chosen = np.sort(np.argpartition(lifetime, wanted)[:wanted])
        self._kept.append(
            KeptRows(chosen + first, values[chosen], None if weights is None else weights[chosen])
        )

    def leave(self, block: OpenBlock) -> None:
        """Leave the rows in the block's cache."""
        if not self._kept:
            return
        weights = [kept.weights for kept in self._kept if kept.weights is not None]
        block.cache[KEY] = KeptRows(
            np.concatenate([kept.rows for kept in self._kept]),
            concatenate([kept.values for kept in self._kept]),
            np.concatenate(weights) if weights else None,
        )
