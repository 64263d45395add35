"""k-means for data that does not fit in memory: exact, streamed, the same bits anywhere.

read    any source becomes blocks of rows              dask_kmeans.read
survey  one pass: how much there is, is it usable      dask_kmeans.survey
seed    k-means||, one pass a round                    dask_kmeans.seed
step    assign -> combine -> move -> stop              dask_kmeans.step
fit     the loop over the steps, for all runs at once  dask_kmeans.fit
write   labels in the caller's world, and the model    dask_kmeans.write
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dask_kmeans import plot
    from dask_kmeans.bisecting import BisectingKMeans
    from dask_kmeans.estimator import KMeans, load_model
    from dask_kmeans.read import open_source
    from dask_kmeans.sweeps import sweep

__all__ = ["BisectingKMeans", "KMeans", "load_model", "open_source", "plot", "sweep"]
__version__ = "0.1.0"

_HOMES = {
    "BisectingKMeans": "dask_kmeans.bisecting",
    "KMeans": "dask_kmeans.estimator",
    "load_model": "dask_kmeans.estimator",
    "open_source": "dask_kmeans.read",
    "sweep": "dask_kmeans.sweeps",
}
"""Where names come from when they are first asked for: scikit-learn and numba, which the estimator
needs, take a second to import, and workers and command lines often do without them."""

_PARTS = ("plot",)
"""Modules that need not be imported by their own name."""


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return import_module(f"dask_kmeans.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
