"""Lazy labels block after block, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dask
import numpy as np

from dask_kmeans.blockwise import computing, parallelism

BLOCKS_A_THREAD = 2
"""Blocks computed at once for each thread: one in work, one about to be."""


def lazy_blocks(labels: Any) -> list[Any]:
    """The blocks (or partitions) of a dask array or Series, in order, each a `Delayed`."""
    return list(np.ravel(labels.to_delayed()))


def in_order(labels: Any) -> Iterator[Any]:
    """The labels as one or several ndarrays or pandas Series, in the order of the rows."""
    if not dask.is_dask_collection(labels):
        yield labels
        return
    blocks = lazy_blocks(labels)
    window = BLOCKS_A_THREAD * parallelism(in_memory=False)
    for first in range(0, len(blocks), window):
        with computing():
            computed = dask.compute(*blocks[first : first + window])
        yield from computed
