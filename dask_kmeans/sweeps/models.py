"""`sweep`: many numbers of clusters in shared passes over the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from dask_kmeans import checks, plot
from dask_kmeans.estimator import KMeans, fit_together
from dask_kmeans.metrics import METRICS
from dask_kmeans.pages import sweep_table
from dask_kmeans.result import FitResult
from dask_kmeans.statistics import (
    MeanDistances,
    SimplifiedSilhouette,
    calinski_harabasz,
    davies_bouldin,
    mean_of_means,
    total_inertia,
)
from dask_kmeans.sweeps.clustergram import clustergram
from dask_kmeans.sweeps.elbow import LEAST_STRENGTH, Elbow, find_elbow

STATISTICS = (MeanDistances(), SimplifiedSilhouette())
"""What the last pass learns for the indices."""


class Sweep(Mapping[int, KMeans]):
    """Fitted models by their number of clusters, in the order asked for.

    Nothing here reads the data: all is learnt in the passes of the fits.

    Attributes
    ----------
    table : DataFrame
        A row for each number of clusters (the index, n_clusters), see Notes: inertia,
        explained_variance, calinski_harabasz, davies_bouldin, silhouette, n_iter, converged, and
        smallest and largest, the rows of the smallest and of the largest cluster.
    n_clusters : ndarray of int
    inertia : ndarray of float64
        Of each model; unit of the data squared.
    explained_variance : ndarray of float64
        Share of the inertia about the data's mean that the clusters take away: 0 for one cluster.
    elbow_ : int or None
        The number of clusters from which on more of them take away much less inertia. None, and a
        warning, where there is none.
    elbow_strength_ : float
        How many times as steeply the inertia falls on the way to the elbow as beyond, both on
        logarithmic scales: 1 for a straight line; an elbow has at least 2. Halved, or 0, where the
        silhouette shows that the clusters are not compact. Where there is no elbow, that of the
        largest bend. NaN where the inertia of fewer than three numbers of clusters is known (that
        of one always is).
    transitions : dict
        (k, next k) -> int64 (k, next k), how many rows have each pair of a label with k clusters
        and one with the next larger number of them. Rows that are left out are not counted.
    clustergram : DataFrame
        A row for each (n_clusters, cluster): position, that of the center along the first principal
        direction of the centers of the most clusters, and size, its rows.
    n_passes : int
        How often the data was read, whole, for all of them.

    Notes
    -----
    calinski_harabasz and davies_bouldin are those of scikit-learn: scatter between clusters over
    scatter within them, the higher the better; and how much each cluster overlaps with the one that
    it overlaps most with, the lower the better. silhouette is the simplified one, the mean of
    1 - a / b over the rows, with the distances a to the own and b to the second nearest center; the
    higher the better. Davies-Bouldin and the silhouette measure distances to the centers, which are
    the means of the clusters where a fit has converged, and differ from them by little where it
    stopped at `tol`. All three are NaN for one cluster. A weight counts as so many equal rows.

    Distances are Euclidean, of what is compared: of the features, with `standardize=True` of the
    standardized ones, with `metric="cosine"` of the unit vectors and the centers of length one.

    The elbow is a rule of thumb. On logarithmic scales the inertia of rows without clusters is a
    straight line. The elbow is the last number of clusters at which it bends as it does where
    clusters come to an end, at least 2 times as steep before as beyond; the silhouette tells such
    bends from those of chance. So it finds the number of compact clusters that lie apart, some of
    them perhaps side by side. Data has none that has no clusters, or some that overlap, or more of
    them than were tried; clusters that lie on top of each other count as one; and where there are
    clusters within clusters, several numbers may be right. Give it some dozen rows for each
    cluster, and look at the plots and at what the clusters hold before you trust a number.
    """

    def __init__(self, models: Mapping[int, KMeans], results: Iterable[FitResult]):
        self._models = dict(models)
        results = (replace(result, labels=None) for result in results)  # the models have them
        self._results = dict(zip(self._models, results, strict=True))
        self._total_inertia = _total_inertia(next(iter(self._results.values())))
        self.n_clusters = np.array(list(self._models))
        self.inertia = np.array([model.inertia_ for model in self._models.values()])
        with np.errstate(invalid="ignore", divide="ignore"):
            share_left = np.where(self._total_inertia > 0, self.inertia / self._total_inertia, 0.0)
        self.explained_variance = 1.0 - share_left
        self.n_passes = next(iter(self._models.values())).n_passes_

    def __getitem__(self, n_clusters: int) -> KMeans:
        return self._models[n_clusters]

    def __iter__(self) -> Iterator[int]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    @cached_property
    def table(self) -> pd.DataFrame:
        """See the class."""
        rows = [
            {
                "inertia": model.inertia_,
                "explained_variance": explained,
                **_indices(self._results[k]),
                "n_iter": model.n_iter_,
                "converged": model.converged_,
                "smallest": int(model.cluster_sizes_.min()),
                "largest": int(model.cluster_sizes_.max()),
            }
            for (k, model), explained in zip(self.items(), self.explained_variance, strict=True)
        ]
        return pd.DataFrame(rows, index=pd.Index(self.n_clusters, name="n_clusters"))

    @cached_property
    def _elbow(self) -> Elbow:
        first = next(iter(self._results.values()))
        inertia = {1: self._total_inertia, **dict(zip(self, self.inertia.tolist(), strict=True))}
        return find_elbow(inertia, self.table["silhouette"].to_dict(), first.centers.shape[1])

    @property
    def elbow_(self) -> int | None:
        """See the class."""
        if self._elbow.n_clusters is None:
            checks.warn_no_elbow(self.n_clusters.tolist(), self.elbow_strength_, LEAST_STRENGTH)
        return self._elbow.n_clusters

    @property
    def elbow_strength_(self) -> float:
        """See the class."""
        return self._elbow.strength

    @cached_property
    def transitions(self) -> dict[tuple[int, int], np.ndarray]:
        """See the class."""
        found = {}
        for pair in pairwise(sorted(self)):
            counts = self._results[pair[0]].transitions
            assert counts is not None
            found[pair] = counts.table()
        return found

    @cached_property
    def clustergram(self) -> pd.DataFrame:
        """See the class."""
        return clustergram(self._results)

    def plot(self, metric: str = "inertia", ax: Any = None) -> Any:
        """Draw a column of the table by the number of clusters: see `dask_kmeans.plot.elbow`."""
        return plot.elbow(self, metric, ax)

    def plot_clustergram(self, ax: Any = None) -> Any:
        """Draw how clusters split: see `dask_kmeans.plot.clustergram`."""
        return plot.clustergram(self, ax)

    def _repr_html_(self) -> str:
        return sweep_table(self)

    def __repr__(self) -> str:
        lines = [f"{'clusters':>8}  {'inertia':>14}  {'explained':>9}  {'iterations':>10}  stopped"]
        for k, share in zip(self, self.explained_variance, strict=True):
            model = self[k]
            lines.append(
                f"{k:8d}  {model.inertia_:14.8g}  {share:9.4f}  {model.n_iter_:10d}  "
                f"{'settled' if model.converged_ else 'at max_iter'}"
            )
        return "\n".join(lines)


def _total_inertia(result: FitResult) -> float:
    """Of all rows about their one center: what a single cluster would cost."""
    metric, moments = METRICS[result.metric], result.moments
    mean = mean_of_means(moments.means, moments.weights)[None]
    # Where directions cancel out, every one is as good.
    center = metric.rule.place(mean, np.ones(1, bool), np.eye(1, mean.shape[1]))[0]
    inertia = result.inertia / metric.of_square
    return metric.of_square * total_inertia(
        moments.means, moments.weights, result.compared_centers, inertia, center
    )


def _indices(result: FitResult) -> dict[str, float]:
    """How well the clusters of a fit hold together and keep apart."""
    mean_distances, silhouette = result.statistics
    moments, centers = result.moments, result.compared_centers
    inertia = result.inertia / METRICS[result.metric].of_square
    return {
        "calinski_harabasz": calinski_harabasz(moments.means, moments.weights, centers, inertia),
        "davies_bouldin": davies_bouldin(centers, moments.weights, mean_distances),
        "silhouette": silhouette,
    }


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
    What tells which number to take is learnt in the last of these passes.

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
    >>> models = sweep(X, range(1, 5), random_state=0)
    >>> models.explained_variance.round(3).tolist()
    [0.0, 0.803, 1.0, 1.0]
    >>> models[3].cluster_sizes_.tolist()
    [2, 2, 2]
    >>> models.elbow_
    3
    >>> models.table.loc[3, "silhouette"].round(3)
    np.float64(0.988)
    """
    ks = checks.check_sweep(n_clusters, kmeans_parameters)
    models = {k: KMeans(k, **kmeans_parameters) for k in ks}
    results = fit_together(list(models.values()), X, sample_weight, STATISTICS, transitions=True)
    return Sweep(models, results)
