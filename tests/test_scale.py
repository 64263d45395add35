"""Graphs of a pass: as many tasks as threads ask for, however many chunks the data is stored in."""

from __future__ import annotations

import pickle

import dask
import dask.array as da
import numpy as np
import pytest
import zarr

from dask_kmeans import blockwise
from dask_kmeans.blockwise import Blockwise
from dask_kmeans.planning import BLOCKS_PER_THREAD, MAX_BLOCK_ROWS
from dask_kmeans.read import as_points

THREADS = 6
FEATURES = 8


class Sent(Exception):
    """A graph, in place of its result."""


def graph_of(X):
    """The graph of a pass over some data, as Dask is given it."""

    def take(graph, keys, **_):
        expression = getattr(graph, "__dask_graph__", None)  # newer Dask hands one over
        raise Sent(dict(graph if expression is None else expression()))

    with dask.config.set(scheduler=take, num_workers=THREADS), pytest.raises(Sent) as sent:
        Blockwise(as_points(X).blocks, in_memory=False).run(_task, merge=_merge)
    return sent.value.args[0]


def _task(block):
    return block.index


def _merge(a, b):
    return max(a, b)


def most_tasks():
    """Of a pass: blocks, the tree that merges them, and what is broadcast."""
    blocks = width = BLOCKS_PER_THREAD * THREADS
    merges = 0
    while width > 1 or merges == 0:
        width = -(-width // blockwise.MERGE_ARITY)
        merges += width
    return blocks + merges + 1


def stored_nowhere(tmp_path, chunks):
    """A Zarr array of as many rows as these tasks may have, in so many chunks."""
    rows = BLOCKS_PER_THREAD * THREADS * MAX_BLOCK_ROWS * 95 // 100
    rows -= rows % 1_000_000
    return zarr.create_array(
        tmp_path / f"{chunks}", shape=(rows, FEATURES), chunks=(rows // chunks, FEATURES),
        dtype="float32",
    )  # fmt: skip


def test_a_million_chunks_make_no_more_tasks_than_ten_thousand(tmp_path):
    few, many = (graph_of(stored_nowhere(tmp_path, chunks)) for chunks in (10_000, 1_000_000))
    assert len(few) <= most_tasks()
    assert len(many) == len(few)
    sizes = [len(pickle.dumps(list(graph.values()))) for graph in (few, many)]
    assert sizes[1] <= 1.05 * sizes[0]  # longer row numbers


def test_chunks_of_a_dask_array_make_no_tasks_of_their_own():
    for chunks in (1000, 4000):
        lazy = da.from_array(np.zeros((chunks * 1000, FEATURES)), chunks=(1000, FEATURES))
        # Groups of whole chunks: a few more than asked for.
        assert len(graph_of(da.sqrt(lazy))) <= 1.25 * most_tasks()
