"""`sweep`: many numbers of clusters in shared passes over the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.estimator import KMeans, fit_together


class Sweep(Mapping[int, KMeans]):
    """Fitted models by their number of clusters, in the order asked for.

    Attributes
    ----------
    n_clusters : ndarray of int
    inertia : ndarray of float64
        Of each model; unit of the data squared.
    explained_variance : ndarray of float64
        Share of the inertia about the data's mean that the clusters take away: 0 for one cluster.
    n_passes : int
        How often the data was read, whole, for all of them.
    """

    def __init__(self, models: dict[int, KMeans], total_inertia: float):
        self._models = models
        self.n_clusters = np.array(list(models))
        self.inertia = np.array([model.inertia_ for model in models.values()])
        with np.errstate(invalid="ignore", divide="ignore"):
            share_left = np.where(total_inertia > 0, self.inertia / total_inertia, 0.0)
        self.explained_variance = 1.0 - share_left
        self.n_passes = next(iter(models.values())).n_passes_

    def __getitem__(self, n_clusters: int) -> KMeans:
        return self._models[n_clusters]

    def __iter__(self) -> Iterator[int]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def __repr__(self) -> str:
        lines = [f"{'clusters':>8}  {'inertia':>14}  {'explained':>9}  {'iterations':>10}  stopped"]
        for k, share in zip(self, self.explained_variance, strict=True):
            model = self[k]
            lines.append(
                f"{k:8d}  {model.inertia_:14.8g}  {share:9.4f}  {model.n_iter_:10d}  "
                f"{'settled' if model.converged_ else 'at max_iter'}"
            )
        return "\n".join(lines)


def sweep(
    X: Any,
    n_clusters: Iterable[int] = range(1, 11),
    *,
    sample_weight: Any = None,
    **kmeans_parameters: Any,
) -> Sweep:
    """Fit a model for each of several numbers of clusters.

    All of them share every pass over the data, and with "k-means||" the candidates of the seeding;
    those that have settled drop out. So the data is read about as often as the slowest needs it.

    Parameters
    ----------
    X : as in `KMeans.fit`
    n_clusters : iterable of int, default=range(1, 11)
        Distinct.
    sample_weight : array-like of shape (n,), default=None
    **kmeans_parameters
        Of `KMeans`: all but n_clusters and checkpoint. An array as `init` fits one number of
        clusters only, so it is refused where several are asked for.

    Returns
    -------
    Sweep

    Examples
    --------
    >>> import numpy as np
    >>> from dask_kmeans import sweep
    >>> X = np.array([[0.0], [0.1], [5.0], [5.1], [9.0], [9.1]])
    >>> models = sweep(X, range(1, 4), random_state=0)
    >>> models.explained_variance.round(3).tolist()
    [0.0, 0.803, 1.0]
    >>> models[3].cluster_sizes_.tolist()
    [2, 2, 2]
    """
    ks = checks.check_sweep(n_clusters, kmeans_parameters)
    models = {k: KMeans(k, **kmeans_parameters) for k in ks}
    total_inertia = fit_together(list(models.values()), X, sample_weight)
    return Sweep(models, total_inertia)
