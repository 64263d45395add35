"""Chunks of Dask collections as blocks: many chunks to a task, where their graphs allow it.

A pass should make a few tasks a thread, however many chunks there are: a task costs the distributed
scheduler half a millisecond. So a block carries the graph of its chunks and computes them one after
the other, inside its own task. Not where chunks share work (a mean that all of them need, say),
which each block would do again, nor where they are on the cluster already: there each chunk stays a
task of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dask
import numpy as np
from dask.core import flatten
from dask.optimization import cull
from dask.sizeof import sizeof

SHARED_BYTES = 2**16
"""Data that several blocks may each carry a copy of, such as an opened store."""

Chunk = tuple[Any, ...]
"""What belongs to one chunk: its rows, and perhaps its weights."""


@dataclass(frozen=True)
class Computed:
    """Chunks that Dask has computed."""

    chunks: Sequence[Chunk]

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self.chunks)


@dataclass(frozen=True)
class Computing:
    """Chunks that are computed one by one as they are asked for: (graph, keys) of each."""

    chunks: Sequence[tuple[dict, list]]

    def __iter__(self) -> Iterator[Chunk]:
        for graph, keys in self.chunks:
            yield tuple(dask.get(graph, keys))


def sources_of(
    collections: Sequence[Any],
    groups: Callable[[bool], list[tuple[int, int]]],
    make: Callable[[Iterable[Chunk]], Any],
) -> tuple[list[Any], list[tuple[int, int]]]:
    """Sources of blocks over the chunks of collections that are cut alike.

    Parameters
    ----------
    collections : sequence of dask collections
        Chunk number i of each belongs together.
    groups : callable
        `groups(one_by_one)`: first chunk, and chunk after the last, of every block; one_by_one says
        that a task holds a chunk at a time, not all chunks of its block.
    make : callable
        `make(chunks)`: the source of a block, given an iterable of its chunks.

    Returns
    -------
    sources : list
        Themselves, or `dask.delayed.Delayed` that compute to them.
    bounds : list of (int, int)
        The groups that they are of.
    """
    apart = _taken_apart(collections)
    bounds = groups(apart is not None)
    if apart is not None:
        return [make(Computing(apart[first:stop])) for first, stop in bounds], bounds
    chunks = list(zip(*map(_delayed, collections), strict=True))
    held = dask.delayed(_computed, pure=True)
    return [held(make, chunks[first:stop]) for first, stop in bounds], bounds


def _computed(make: Callable[[Iterable[Chunk]], Any], chunks: Sequence[Chunk]) -> Any:
    return make(Computed(chunks))


def _delayed(collection: Any) -> list[Any]:
    """The chunks of a collection as `Delayed`; nested arrays of them become one list."""
    parts = collection.to_delayed()
    return parts.ravel().tolist() if isinstance(parts, np.ndarray) else list(parts)


def _taken_apart(collections: Sequence[Any]) -> list[tuple[dict, list]] | None:
    """A graph and keys for each chunk; None where chunks have to stay in one graph."""
    if any(map(_is_annotated, collections)):
        return None
    optimized = [_optimized(each) for each in collections]
    graph: dict = {}
    for each in optimized:
        graph.update(each.__dask_graph__())
    if _on_cluster(graph):
        return None
    seen: set = set()
    apart = []
    for keys in zip(*(flatten(each.__dask_keys__()) for each in optimized), strict=True):
        if not graph.keys() >= set(keys):
            return None  # what the graph lacks is on the cluster
        own, _ = cull(graph, list(keys))
        needed = (getattr(node, "dependencies", ()) for node in own.values())
        if not graph.keys() >= set().union(*needed):
            return None
        if not all(_is_light(graph[key]) for key in seen.intersection(own)):
            return None
        seen.update(own)
        apart.append((own, list(keys)))
    return apart


def _optimized(collection: Any) -> Any:
    """The collection with its tasks fused; of a DataFrame, only the columns that are used."""
    # Not dask.optimize for DataFrames: of `table[names]` it gives all columns back (dask 2026.8).
    own = getattr(collection, "optimize", None)
    return dask.optimize(collection)[0] if own is None else own()


def _on_cluster(graph: dict) -> bool:
    """Whether a graph holds futures, which stand for what is on a cluster already."""
    if "distributed" not in sys.modules:
        return False
    from distributed import futures_of

    return bool(futures_of(graph))


def _is_annotated(collection: Any) -> bool:
    """Whether someone said where or how the tasks of a collection should run."""
    layers = getattr(collection.__dask_graph__(), "layers", {})
    return any(getattr(layer, "annotations", None) for layer in layers.values())


def _is_light(node: Any) -> bool:
    """Whether a node of a graph is small data and no task."""
    return not dask.istask(node) and sizeof(dask.get({"node": node}, "node")) <= SHARED_BYTES
