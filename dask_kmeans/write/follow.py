"""Labels that tell how far they are: each block does, when it has been computed."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import dask
import numpy as np

from dask_kmeans.blockwise import Advances, Block, Size, Work, active_client, size_of, working

T = TypeVar("T")


@contextlib.contextmanager
def followed(labels: Any) -> Iterator[Any]:
    """The same labels, whose blocks are heard of by those who listen while they are written.

    labels : ndarray, dask array, or Series of pandas or dask
    """
    client = active_client if dask.is_dask_collection(labels) else lambda: None
    with working("writing labels", partial(_size, labels), client) as work:
        yield _telling(labels, work)


def followed_rows(blocks: Sequence[Block]) -> contextlib.AbstractContextManager[Work | None]:
    """What hears of tasks that write the rows of these blocks, a part each."""
    return working("writing labels", partial(size_of, blocks), active_client)


def telling(batches: Iterable[tuple[Any, T]], work: Advances, part: int) -> Iterator[tuple[Any, T]]:
    """Hand batches of labels through, with what is beside them, and tell of each."""
    rows = 0
    for labels, beside in batches:
        yield labels, beside
        rows += len(labels)
        work.advance(part, rows, 0)
    work.advance(part, rows, 0, whole=True)


def _size(labels: Any) -> Size:
    parts = getattr(labels, "npartitions", 1)
    rows = math.prod(labels.shape) if _is_array(labels) else math.nan
    return Size(parts, None if math.isnan(rows) else int(rows))


def _telling(labels: Any, work: Work | None) -> Any:
    if work is None or not dask.is_dask_collection(labels):
        return labels
    if not _is_array(labels):
        return labels.map_partitions(_tell_partition, work, meta=(labels.name, labels.dtype))
    none = np.empty((0,) * labels.ndim, labels.dtype)
    return labels.map_blocks(_tell, work, labels.numblocks, dtype=labels.dtype, meta=none)


def _is_array(labels: Any) -> bool:
    return hasattr(labels, "numblocks")


def _tell(
    block: np.ndarray, work: Advances, numblocks: tuple[int, ...], block_id: tuple[int, ...]
) -> np.ndarray:
    work.advance(int(np.ravel_multi_index(block_id, numblocks)), block.size, 0, whole=True)
    return block


def _tell_partition(partition: Any, work: Advances, partition_info: Any = None) -> Any:
    # Dask calls it once more with nothing, to see what it gives.
    if partition_info is not None:
        work.advance(partition_info["number"], len(partition), 0, whole=True)
    return partition
