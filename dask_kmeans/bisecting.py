"""`BisectingKMeans`: clusters from splitting clusters; the work is done in `dask_kmeans.levels`."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

from sklearn.utils.validation import check_is_fitted

from dask_kmeans import checks
from dask_kmeans.fit_parameters import fit_parameters
from dask_kmeans.fitted import FittedClusters
from dask_kmeans.levels import split_in_levels
from dask_kmeans.parameters import Thresholds
from dask_kmeans.progress import told
from dask_kmeans.read import as_points
from dask_kmeans.result import Tree

STARTS_OF_A_SPLIT = 10
"""Starts on the drawn rows of a cluster, which are few: the best of them is what a split starts
from."""

OF_SPLITS = {
    "init": "k-means++",
    "oversampling_factor": "auto",
    "init_rounds": "auto",
    "algorithm": "lloyd",
    "fit_fraction": 1.0,
    "_thresholds": Thresholds(),
}
"""What `KMeans` has parameters for, and splits do one way."""


class BisectingKMeans(FittedClusters):
    """Bisecting k-means [1]_ for data of any size: clusters are split until there are enough.

    All clusters of a level are split in passes over the data that they share. The cluster with the
    largest inertia is always among them, and with it those that would be split anyway, if each
    cluster fell into parts that have their share of its inertia. The clusters are the leaves of a
    tree, down which rows find their label: that takes a comparison with two centers at each node of
    a path, not one with every center.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters; 1 is allowed.
    n_init : int or "auto", default="auto"
        Starts of each split, by greedy k-means++ on some rows of the cluster that are drawn by
        their numbers; the best of them goes on over all of its rows. "auto" is 10.
    max_iter : int, default=300
        Iterations of a level at most; at least 1.
    tol : float, default=1e-4
        A level has settled when the fraction of rows whose label changed in an iteration, of those
        of the clusters that are being split, is at most `tol`. 0 goes on until no label changes.
    metric, standardize, nan, nodata, random_state, verbose, memory_budget, feature_dim, one_hot, \
            feature_weight
        As those of `KMeans`; `memory_budget` keeps blocks whole, as many as fit.
    callbacks : sequence of callables, default=None
        Each is called with the `IterationRecord` of every iteration.

    Attributes
    ----------
    tree_ : Tree
        How clusters came from each other: `node_parent` (-1 for the root), `node_centers` in the
        unit of the data, `node_sizes` and `node_inertia`, each with an entry for every node, of
        which there are 2 n_clusters - 1, and `leaves`, the node of each cluster. Nodes 1 and 2,
        3 and 4, ... are halves of the same parent.
    cluster_centers_, labelled_centers_, cluster_sizes_, standardization_
        As those of `KMeans`, of the leaves.
    labels_ : int32, one for each row, in the kind of `X`
        Equal to `predict(X)`: the leaf that the row comes to. It need not be that of the nearest
        of all centers.
    inertia_ : float
        Sum of weight times squared distance to the center of the label, or times 1 - cos. Equal to
        `-score(X)`.
    n_iter_ : int
        Iterations of all levels.
    n_passes_ : int
        How often the data was read, whole: an iteration is a pass, each level takes one more, and
        two come before the first of them.
    converged_ : bool
        Whether every level settled.
    stop_reason_ : str
    history_ : list of IterationRecord
        One record an iteration: the inertia is that of all rows, and rows examined those of the
        clusters that are being split.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where the features have names.

    Notes
    -----
    A row goes to the nearer of two centers as the label of `KMeans` is found, the first of equally
    near ones: labels are a function of the row and the tree alone. A center is the mean of the rows
    of its leaf, as exact as that of `KMeans`. So results do not depend on chunks, threads, workers
    or instruction sets.

    scikit-learn's `BisectingKMeans(bisecting_strategy="biggest_inertia")` splits one cluster at a
    time, always that of the largest inertia. Here a cluster that falls into unequal parts may have
    been split in one level with smaller ones than its parts are.

    References
    ----------
    .. [1] Steinbach, Karypis, Kumar, "A comparison of document clustering techniques", KDD
       Workshop on Text Mining, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from dask_kmeans import BisectingKMeans
    >>> X = np.array([[0.0], [0.2], [1.0], [1.2], [9.0], [9.2]])
    >>> model = BisectingKMeans(n_clusters=3, random_state=0).fit(X)
    >>> sorted(model.cluster_centers_.ravel().round(1).tolist())
    [0.1, 1.1, 9.1]
    >>> model.tree_.node_sizes[:3].tolist() in ([6, 4, 2], [6, 2, 4])
    True
    """

    def __init__(
        self,
        n_clusters=8,
        *,
        n_init="auto",
        max_iter=300,
        tol=1e-4,
        metric="euclidean",
        standardize=False,
        nan="raise",
        nodata=None,
        random_state=None,
        verbose=0,
        callbacks=None,
        memory_budget=None,
        feature_dim=None,
        one_hot=None,
        feature_weight=None,
    ):
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.metric = metric
        self.standardize = standardize
        self.nan = nan
        self.nodata = nodata
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.memory_budget = memory_budget
        self.feature_dim = feature_dim
        self.one_hot = one_hot
        self.feature_weight = feature_weight

    @property
    def tree_(self) -> Tree:
        """How the clusters came from each other."""
        check_is_fitted(self)
        assert self._tree is not None
        return self._tree

    def fit(self, X, y=None, sample_weight=None):
        """Find the clusters of X.

        Parameters
        ----------
        X, sample_weight : as in `KMeans.fit`
        y : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        BisectingKMeans
            Itself, fitted.

        Raises
        ------
        ValueError, TypeError
            For data or parameters that cannot be used; each says what was given and what is needed.
        OSError
            For data that cannot be read, or that changes while it is read.
        """
        checks.check_parameters(self)
        points = as_points(
            X, sample_weight, feature_dim=self.feature_dim, nodata=self.nodata,
            one_hot=self.one_hot,
        )  # fmt: skip
        parameters = fit_parameters(
            [SimpleNamespace(**OF_SPLITS, **self.get_params(deep=False))], X, points
        )
        if self.n_init == "auto":
            parameters = dataclasses.replace(parameters, n_init=STARTS_OF_A_SPLIT)
        with told(self.verbose, self.max_iter) as own:
            callbacks = [*own, *(self.callbacks or ())]
            result = split_in_levels(points.for_clusters(2), parameters, callbacks)
            for each in own:
                each.finish(str(result.reason))
        self._adopt(result, points)
        return self
