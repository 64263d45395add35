"""Layers: the tasks of a pass as layers of one Dask graph, those that have a place and others.

`dask.delayed` would make a graph and an annotation for each task, which takes the driver longer
than the scheduler needs to run it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer


class Tasks:
    """Tasks on their way to Dask, by their keys, which stand for their results in other tasks.

    Parameters
    ----------
    name : str
        Of the pass: no other graph has it.
    strictly : bool
        Whether tasks that have a place wait for their worker even where others are idle.
    """

    def __init__(self, name: str, strictly: bool = False):
        self.name, self._strictly = name, strictly
        self._shared: dict[str, Any] = {}
        self._pinned: dict[str, Any] = {}
        self._free: dict[str, Any] = {}
        self._places: dict[str, list[str]] = {}
        self._graphs: list[HighLevelGraph] = []

    def share(self, key: str, value: Any) -> str:
        """A value that tasks take; returns the key."""
        self._shared[key] = value
        return key

    def add(self, key: str, task: tuple, address: str | None = None) -> str:
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

    def lazily(self, keys: Iterable[str]) -> list[Delayed]:
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
