"""`KMeans`: scikit-learn's contract, and nothing else; the work is done in `dask_kmeans.fit`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from dask_kmeans import checks
from dask_kmeans.bisecting import BisectingKMeans
from dask_kmeans.fit import fit
from dask_kmeans.fit_parameters import checkpoint_file, fit_parameters
from dask_kmeans.fitted import FittedClusters
from dask_kmeans.interop import from_sklearn
from dask_kmeans.parameters import Thresholds
from dask_kmeans.progress import told
from dask_kmeans.read import as_points
from dask_kmeans.read.transforms import inward, undo
from dask_kmeans.result import Coarsening, FitResult, Stream
from dask_kmeans.statistics import Statistic
from dask_kmeans.stream import clustered, joined, summed_up
from dask_kmeans.write.model import load_fitted
from dask_kmeans.write.model_parameters import restored_parameters

STARTS_ON_CENTERS = 10
"""Starts of a fit to centers, which are few: the best of them counts."""

STARTS_ON_POINTS = 3
"""The same of a fit to the points of a stream, which each batch makes."""

OF_THE_DATA = ("feature_names", "columns", "standardization", "nodata", "categories")
"""Fields of a stored model that say what its data was."""


class KMeans(FittedClusters):
    """Exact k-means for data of any size, read in chunks.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k; 1 is allowed.
    init : str, array of shape (n_clusters, n_features), fitted estimator or callable, \
            default="k-means||"
        Where the centers start. "k-means||" [1]_ reads the data a handful of times, or, where there
        are rows enough, a sample of them, which the first iteration checks; "k-means++" (greedy)
        reads it once for each cluster; "random" takes distinct rows, "random_partition" the means
        of a random partition, "random_pairs" the means of two random rows each, "random_box"
        uniform draws from the range of the data. A fitted estimator gives its `cluster_centers_`;
        a callable is called as `init(X, n_clusters, random_state)`.
    n_init : int or "auto", default="auto"
        Restarts, of which the one with the lowest inertia is kept. All of them share each pass over
        the data. "auto" is 10 for "random", "random_partition", "random_pairs", "random_box" and
        callables, and 1 otherwise.
    max_iter : int, default=300
        Iterations at most; at least 1.
    tol : float, default=1e-4
        A run has settled when the *fraction of rows whose label changed* in an iteration is at most
        `tol`, of the rows that count. 0 goes on until no label changes.
    oversampling_factor : float or "auto", default="auto"
        k-means||: candidates drawn in each round, as a multiple of n_clusters. "auto" takes more
        for few clusters, where they cost nothing.
    init_rounds : int or "auto", default="auto"
        k-means||: rounds, each a pass over all rows. "auto" makes at least two and goes on, up to
        eight, while the cost of the candidates halves; it may make them over a sample.
    algorithm : {"auto", "lloyd"}, default="auto"
        "lloyd" is Lloyd's own sequence of centers, every row examined in every iteration. "auto"
        takes fewer passes from seeds of its own, and passes over rows whose labels are proved to
        stand by bounds on their distances, where that saves time; given the start, its result is
        that of "lloyd" to the bit.
    metric : {"euclidean", "cosine"}, default="euclidean"
        "cosine" is spherical k-means [2]_: a row counts as its float64 unit vector u, the row
        divided, feature by feature, by its length, the root of the sum of its squares in the order
        of the features. Centers are unit vectors too, the means of their rows at length one; where
        rows cancel out, so that their mean is zero, a center stays where it was. The distance is
        1 - cos = |u - c|^2 / 2. A row of zeros has no direction: it is an error, or left out
        (label -1) with `nan="skip"`. Rows are divided as they are read; only a fit's sample, and
        rows that it keeps within `memory_budget`, are stored as unit vectors, and nothing is
        written so. Not together with `standardize`, which moves the origin that directions start
        from.
    standardize : bool, default=False
        Compare features brought to mean 0 and standard deviation 1, which the first pass over the
        data learns (of the rows that count, with their weights; a constant feature becomes 0).
        Centers are given, and taken as `init`, in the unit of the data; `inertia_` and the
        distances of `transform` are those of the standardized features.
    nan : {"raise", "skip"}, default="raise"
        What to do about a row with a NaN (or of zeros, by cosine): refuse the data, or leave the
        row out (label -1). Features of which no row has a value are left out then, of the fit and
        of all that the model says of new rows; the centers are NaN there.
    nodata : number, False or None, default=None
        A number that stands for "no value", as integer rasters have it. A row with it in any of
        its features is left out (label -1), whatever `nan` says of NaN: so a pixel counts where
        all of its bands have values. A value is the number if it equals it in its own dtype
        (1e20 is the float32 nearest to it; int64 is compared exactly). None asks the attributes
        `_FillValue`, `missing_value` and `nodata` of an xarray object, for each variable of a
        Dataset, and logs what they say; False counts every number. The model keeps what it found.
    fit_fraction : float, default=1.0
        The share of the rows that the fit looks at, above 0 and at most 1. Below 1, each row is
        drawn with this probability, by a hash of `random_state` and its number. The centers,
        `history_` and, by `standardize`, `standardization_` are those of a fit to the drawn rows
        alone; `labels_`, `cluster_sizes_` and `inertia_`, by which the best of several runs is
        chosen, are of all rows, which the last pass looks at. Of data in memory the drawn rows are
        copied. Lazy data is read whole for them in every pass, but for those that a
        `memory_budget` keeps.
    random_state : int, Generator, RandomState or None, default=None
        The same int (from 0 to 2**64 - 1) gives the same bits, whatever the chunks, threads,
        workers or machine. A generator of NumPy gives the next of its numbers to each fit.
    verbose : int, default=0
        1 draws a progress bar of each pass over the data, 2 logs a line an iteration to the logger
        "dask_kmeans", and one every ten seconds of a longer pass: to stderr where logging is not
        set up.
    callbacks : sequence of callables, default=None
        Each is called with the `IterationRecord` of every iteration.
    checkpoint : str, default=None
        Path or URL where the state is kept: after the first iteration, then as often as takes at
        most a twentieth of the time, and when the fit ends, by whatever but SIGKILL. A fit that
        finds there the state of an interrupted fit of the same data (by a hash of all rows) and
        parameters goes on from it, to the same bits.
    memory_budget : int or str, default=None
        Bytes (or "2 GiB") of lazy data that each process may keep between passes, so as to read
        less: all of it where it fits, else (unless `algorithm="lloyd"`) the rows whose labels are
        most likely to change. None keeps nothing.
    feature_dim : hashable or sequence of hashable, default=None
        For xarray: the dimension that holds the features, or the dimensions, at each place of which
        there is one: with ("lat", "lon") each time step of a field is a row, and with `nan="skip"`
        land, where no field has a value, is left out. None takes the last one of a 2-D DataArray,
        and none of a Dataset, whose variables are features in any case. Best in chunks that are
        whole in these dimensions.
    one_hot : str, sequence of str or mapping, default=None
        For tables: columns of categories (texts, whole numbers, true and false), each of which
        becomes a feature `color=red`, 1 in the rows of that category and 0 in others. The
        categories are those of the column's type where it has some (pandas Categorical, Arrow
        dictionary, polars Enum), else those that a pass over the column finds, in order; a mapping
        {"color": ["blue", "red"]} gives them. The model keeps them: a row with another one is an
        error. A row without a category has NaN in all of these features.
    feature_weight : array-like, DataArray or mapping, default=None
        How many times a squared difference in each feature counts, above 0: (n_features,) numbers,
        or of the shape of the feature dimensions. A DataArray goes by its labels and may lack
        dimensions: `np.cos(np.deg2rad(field.lat))` weights a field by area. For tables {"age": 2}
        by name, 1 for others. `inertia_` and distances are those of weighted features, after
        `standardize`, if both are asked for; centers are in the unit of the data. Not together with
        `metric="cosine"`.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features), float64
        Float64 whatever holds the data: the same values in another dtype give the same centers.
        NaN in features without any value.
    labelled_centers_ : DataArray, DataFrame or ndarray
        The centers in the kind of `X`: for xarray a DataArray (cluster, *feature dimensions) with
        its coordinates, attributes and CRS (the variables of a Dataset along `variable`); where
        features have names, a DataFrame (cluster, feature); else `cluster_centers_`.
    labels_ : int32, one for each row, in the kind of `X`
        NumPy for NumPy, a lazy dask array for a lazy source, a Series for a DataFrame, a DataArray
        for xarray. Equal to `predict(X)`. A DataArray is named "labels" and has the coordinates and
        the CRS of X, not its units or packing; -1, the label of rows that are skipped, stands in
        its attribute `nodata`. No `_FillValue` is set: files give int32 with -1 back.
    inertia_ : float
        Sum of weight times squared distance to the nearest center, or times 1 - cos. Equal to
        `-score(X)`.
    n_iter_ : int
        Iterations of the best run.
    n_passes_ : int
        How often the data was read, whole, by the fit: seeding and all restarts included.
    converged_ : bool
    stop_reason_ : str
        Why the best run ended, with advice.
    history_ : list of IterationRecord
        One record an iteration of the best run.
    cluster_sizes_ : ndarray of shape (n_clusters,), int64
        Rows of each cluster.
    standardization_ : Standardization or None
        `mean` and `scale`, float64 (n_features,) in the unit of the data, by which features are
        standardized, and weighted: scales are divided by the roots of weights. None without
        `standardize` and `feature_weight`.
    parent_ : ndarray of int32
        Only of a model that `coarsen` has made: the cluster that each finer one is part of.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where the features have names.

    Notes
    -----
    A label is the index of the nearest center as float64 arithmetic over (x - c)^2, feature by
    feature, finds it, the lowest index of equally near ones: a function of the row and the centers
    alone; by cosine the same of their unit vectors. Sums are integers. So results do not depend on
    chunks, threads, workers or instruction sets.

    References
    ----------
    .. [1] Bahmani, Moseley, Vattani, Kumar, Vassilvitskii, "Scalable K-Means++", PVLDB 5(7), 2012.
    .. [2] Dhillon, Modha, "Concept decompositions for large sparse text data using clustering",
       Machine Learning 42, 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from dask_kmeans import KMeans
    >>> X = np.array([[1.0, 2.0], [1.0, 4.0], [1.0, 0.0], [10.0, 2.0], [10.0, 4.0], [10.0, 0.0]])
    >>> model = KMeans(n_clusters=2, random_state=0).fit(X)
    >>> sorted(model.cluster_centers_.tolist())
    [[1.0, 2.0], [10.0, 2.0]]
    >>> model.converged_
    True
    """

    _thresholds = Thresholds()

    def __init__(
        self,
        n_clusters=8,
        *,
        init="k-means||",
        n_init="auto",
        max_iter=300,
        tol=1e-4,
        oversampling_factor="auto",
        init_rounds="auto",
        algorithm="auto",
        metric="euclidean",
        standardize=False,
        nan="raise",
        nodata=None,
        fit_fraction=1.0,
        random_state=None,
        verbose=0,
        callbacks=None,
        checkpoint=None,
        memory_budget=None,
        feature_dim=None,
        one_hot=None,
        feature_weight=None,
    ):
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.oversampling_factor = oversampling_factor
        self.init_rounds = init_rounds
        self.algorithm = algorithm
        self.metric = metric
        self.standardize = standardize
        self.nan = nan
        self.nodata = nodata
        self.fit_fraction = fit_fraction
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.memory_budget = memory_budget
        self.feature_dim = feature_dim
        self.one_hot = one_hot
        self.feature_weight = feature_weight

    def fit(self, X, y=None, sample_weight=None):
        """Find the clusters of X.

        Parameters
        ----------
        X : array-like, dask array, zarr.Array, xarray object, DataFrame, or path of (n, d) numbers
            Several paths in a list follow each other.
        y : ignored
            For scikit-learn's pipelines.
        sample_weight : array-like of shape (n,), default=None
            Weights, not negative; they count in the seeding too. Where they and X have labels (a
            DataArray or Series, for xarray objects or DataFrames), each weight goes to the row of
            its label, in whatever order they come; others than those of X are refused. A DataArray
            may lack dimensions along which weights are the same.

        Returns
        -------
        KMeans
            Itself, fitted.

        Raises
        ------
        ValueError, TypeError
            For data or parameters that cannot be used; each says what was given and what is needed.
        OSError
            For data that cannot be read, or that changes while it is read.
        """
        fit_together([self], X, sample_weight)
        return self

    def partial_fit(self, X, y=None, sample_weight=None):
        """Go on with a batch of rows, which are not needed again afterwards.

        The rows so far are remembered as weighted points, some tens for each cluster, and
        `cluster_centers_` are those of the points: about as good as a fit to all rows together
        (on covertype, in 100 batches in its order, within 3 %). The first batches are only
        remembered until they have `n_clusters` distinct rows. A model that was fitted goes on from
        its centers, with the rows of each cluster as their weights. `save` keeps what is remembered
        of a model that has centers: loaded, it goes on to the same bits.

        Clusters keep their numbers from batch to batch, unless new centers make the inertia of the
        points more than 1 % less. `labels_` are of the latest batch, and `n_passes_` says how often
        that was read; `cluster_sizes_` and `inertia_` are of all rows, as the points tell them: the
        inertia is too high by what sums up rows, some percent where clusters are few.

        Parameters
        ----------
        X : as in `fit`
            The features of the batches before, in the same order.
        y : ignored
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        KMeans
            Itself.

        Raises
        ------
        ValueError, TypeError
            As `fit`; for `standardize`, `fit_fraction` and `checkpoint`, too.
        """
        checks.check_parameters(self)
        checks.check_partial_fit(self)
        if hasattr(self, "n_features_in_"):
            points = self._points_like_before(X, sample_weight)
        else:
            points = as_points(
                X, sample_weight, feature_dim=self.feature_dim, nodata=self.nodata,
                one_hot=self.one_hot,
            )  # fmt: skip
        parameters = fit_parameters([self], X, points)
        if self.n_init == "auto" and isinstance(self.init, str):
            parameters = dataclasses.replace(parameters, n_init=STARTS_ON_POINTS)
        stream, passes = summed_up(points, parameters)
        before = self._remembered()
        if before is not None:
            stream = joined(before, stream, parameters)
        previous = getattr(self, "cluster_centers_", None)
        if previous is None and len(np.unique(stream.points, axis=0)) < self.n_clusters:
            self._remember_features(points)
            self._stream = stream
            return self
        result = clustered(stream, parameters, previous)
        self._adopt(dataclasses.replace(result, passes=passes), points)
        self._stream = stream
        return self

    def _remembered(self) -> Stream | None:
        """What is known of rows before: of a fit the centers, each with its rows for a weight."""
        if self._stream is not None or not hasattr(self, "cluster_centers_"):
            return self._stream
        sizes = self.cluster_sizes_
        checks.check_every_feature(np.isnan(self.cluster_centers_).any(axis=0))
        if not sizes.any():
            return None
        centers = Stream(
            self.cluster_centers_, sizes.astype(np.float64), sizes, np.array([self.inertia_])
        )
        return centers.chosen(sizes > 0)

    def coarsen(self, n_clusters):
        """Clusters of the clusters: a model with fewer of them, made on the centers alone.

        The centers, weighted by `cluster_sizes_`, are clustered by the metric of the fit: the best
        of ten starts. The data is not read. `predict` of the model that comes of it finds the
        nearest of the centers here, and gives the cluster that it has become part of, so that
        both levels agree: `coarse.predict(X)` is `coarse.parent_[self.predict(X)]`.

        Parameters
        ----------
        n_clusters : int
            At most as many as there are clusters with rows.

        Returns
        -------
        KMeans
            With the parameters of this one, `parent_`, an int32 array (n_clusters here,), and no
            `labels_`. `inertia_` is that of the centers about their own, weighted: what `score(X)`
            finds is about that of this model more. `transform` gives distances to the coarse
            centers, of which the nearest need not be that of the label.

        Examples
        --------
        >>> import numpy as np
        >>> from dask_kmeans import KMeans
        >>> X = np.array([[0.0], [0.1], [1.0], [1.1], [9.0], [9.1], [10.0], [10.1]])
        >>> fine = KMeans(n_clusters=4, random_state=0).fit(X)
        >>> coarse = fine.coarsen(2)
        >>> sorted(coarse.cluster_centers_.ravel().round(2).tolist())
        [0.55, 9.55]
        >>> bool((coarse.parent_[fine.predict(X)] == coarse.predict(X)).all())
        True
        """
        check_is_fitted(self)
        checks.check_coarsen(n_clusters, self.cluster_sizes_)
        transforms = self._transforms
        on_centers = KMeans(
            n_clusters, init="k-means++", n_init=STARTS_ON_CENTERS, tol=0, max_iter=self.max_iter,
            metric=self._fitted_metric, random_state=self.random_state,
        )  # fmt: skip
        centers = inward(self.cluster_centers_, transforms)
        on_centers.fit(centers, sample_weight=self.cluster_sizes_)
        parent, finer = on_centers.labels_, self._coarsening
        coarsening = Coarsening(
            parent,
            self.cluster_centers_ if finer is None else finer.finest_centers,
            parent if finer is None else parent[finer.finest_parent],
        )
        sizes = np.zeros(n_clusters, np.int64)
        np.add.at(sizes, parent, self.cluster_sizes_)
        coarse = clone(self).set_params(n_clusters=n_clusters, checkpoint=None)
        if not isinstance(self.init, str):
            coarse.set_params(init="k-means||")
        coarse._restore(
            dataclasses.replace(
                on_centers._fitted_model(),
                cluster_centers=undo(on_centers.cluster_centers_, transforms),
                cluster_sizes=sizes,
                n_passes=0,
                coarsening=coarsening,
                **{name: getattr(self._fitted_model(), name) for name in OF_THE_DATA},
            )
        )
        coarse._grid = self._grid  # itself, and not what of it a model can store
        return coarse

    @classmethod
    def from_sklearn(cls, model):
        """A fitted model with the centers of one of scikit-learn: nothing is fitted again.

        Parameters
        ----------
        model : sklearn.cluster.KMeans, sklearn.cluster.MiniBatchKMeans or sklearn.pipeline.Pipeline
            Fitted. A pipeline may have one step before it, as those of `to_sklearn` have: a
            `StandardScaler`, or a `Normalizer` before centers of length one, which is
            `metric="cosine"`.

        Returns
        -------
        KMeans
            It gives the labels of `model`, but where rounding decides: scikit-learn compares in the
            dtype of the rows. It takes over `n_clusters`, `max_iter`, `labels_` and, of what these
            belong to, `inertia_` and `cluster_sizes_`. What the other does not know is empty:
            `history_`, `n_passes_`, and, where it has no `labels_`, `cluster_sizes_`, which are 0
            then. Its other parameters are left at their defaults: they mean something else there.

        Raises
        ------
        TypeError
            For any other model.
        ValueError
            For centers behind a `Normalizer` that are not of length one.
        sklearn.exceptions.NotFittedError
        """
        stored, labels = from_sklearn(model)
        own = cls(**stored.parameters)
        own._restore(stored)
        if labels is not None:
            own.labels_ = labels
        return own


def fit_together(
    models: Sequence[KMeans],
    X: Any,
    sample_weight: Any = None,
    statistics: tuple[Statistic, ...] = (),
    transitions: bool = False,
) -> list[FitResult]:
    """Fit models that differ in nothing but n_clusters, in shared passes over X.

    The last pass learns `statistics` and `transitions`, see `dask_kmeans.fit.fit`.
    """
    first = models[0]
    for model in models:
        checks.check_parameters(model)
    points = as_points(
        X, sample_weight, feature_dim=first.feature_dim, nodata=first.nodata, one_hot=first.one_hot
    )
    parameters = fit_parameters(models, X, points)
    points = points.for_clusters(sum(parameters.n_clusters) * parameters.n_init)
    checkpoint = checkpoint_file(first, parameters)
    with told(first.verbose, first.max_iter) as own:
        callbacks = [*own, *(first.callbacks or ())]
        results = fit(points, parameters, callbacks, checkpoint, statistics, transitions)
        for each in own:
            each.finish(str(results[0].reason))
    for model, result in zip(models, results, strict=True):
        model._adopt(result, points)
    return results


def load_model(url: str) -> KMeans | BisectingKMeans:
    """The fitted model that its `save` stored at `url`; `labels_` are not part of it.

    Parameters
    ----------
    url : str
        A local path or any fsspec URL.

    Raises
    ------
    ValueError
        For anything that is not a whole, sound model: nothing in it is ever executed.
    """
    stored = load_fitted(url)
    kind = KMeans if stored.tree is None else BisectingKMeans
    try:
        model = kind(**restored_parameters(stored.parameters, kind().get_params(deep=False)))
        checks.check_parameters(model)
    except (TypeError, ValueError) as error:
        raise checks.invalid_model_error(str(url), str(error)) from error
    model._restore(stored)
    return model
