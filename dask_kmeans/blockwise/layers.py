"""Layers: the tasks of a pass as layers of one Dask graph, those that have a place and others.

`dask.delayed` would make a graph and an annotation for each task, which takes the driver longer
than the scheduler needs to run it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

Key = tuple[str | int, ...]
"""What dashboards show of a task: those with the same name are a group, and the words that it
begins with, up to the first number, are the kind of task, whose usual duration Dask remembers."""


class Tasks:
    """Tasks on their way to Dask, by their keys, which stand for their results in other tasks.

    Parameters
    ----------
    name : str
        Of the pass: what it is, and something that no other graph has.
    strictly : bool
        Whether tasks that have a place wait for their worker even where others are idle.
    """

    def __init__(self, name: str, strictly: bool = False):
        self.name, self._strictly = name, strictly
        self._shared: dict[Key, Any] = {}
        self._pinned: dict[Key, Any] = {}
        self._free: dict[Key, Any] = {}
        self._places: dict[Key, list[str]] = {}
        self._graphs: list[HighLevelGraph] = []

    def key(self, kind: str, *numbers: int) -> Key:
        """For a task of this kind ("" for those that the pass is for), such as
        ("kmeans-iteration-7-ab12cd34-9", 3)."""
        return ("-".join(filter(None, ("kmeans", kind, self.name))), *numbers)

    def share(self, key: Key, value: Any) -> Key:
        """A value that tasks take; returns the key."""
        self._shared[key] = value
        return key

    def add(self, key: Key, task: tuple, address: str | None = None) -> Key:
        """A task, `(function, *arguments)`; returns the key.

        address : of the worker that is to run it, if any.
        """
        if address is None:
            self._free[key] = task
        else:
            self._pinned[key] = task
            self._places[key] = [address]
        return key

    def take(self, lazy: Delayed) -> str:
        """Take over the graph of a lazy value; returns the key."""
        self._graphs.append(lazy.dask)
        return lazy.key

    def lazily(self, keys: Iterable[Key]) -> list[Delayed]:
        """The results with these keys."""
        shared, pinned, free = (f"{self.name}-{layer}" for layer in ("shared", "pinned", "free"))
        sources = HighLevelGraph.merge(*self._graphs)
        places = {"workers": self._places.get, "allow_other_workers": not self._strictly}
        layers = {
            shared: MaterializedLayer(self._shared),
            pinned: MaterializedLayer(self._pinned, places),
            free: MaterializedLayer(self._free),
        }
        # What has a place takes nothing from tasks that have none.
        before = {shared, *sources.layers}
        dependencies: dict[str, set[str]] = {shared: set(), pinned: before, free: {pinned, *before}}
        graph = HighLevelGraph(
            {**sources.layers, **layers}, {**sources.dependencies, **dependencies}
        )
        return [Delayed(key, graph, layer=free if key in self._free else pinned) for key in keys]
