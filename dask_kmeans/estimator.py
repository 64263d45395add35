"""`KMeans`: scikit-learn's contract, and nothing else; the work is done in `dask_kmeans.fit`."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import numbers
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from dask.utils import parse_bytes
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from dask_kmeans import checks
from dask_kmeans.blockwise import Blockwise
from dask_kmeans.checks import NonFiniteError
from dask_kmeans.fit import fit
from dask_kmeans.interop import to_sklearn
from dask_kmeans.parameters import FitParameters, Thresholds
from dask_kmeans.predict import (
    LABELLED,
    DistanceRows,
    LabelledRows,
    LabelRows,
    RowFunction,
    statistics_of,
)
from dask_kmeans.progress import ProgressBar, ProgressLog
from dask_kmeans.read import (
    FittedColumns,
    Points,
    Standardization,
    Transform,
    as_points,
    open_source,
)
from dask_kmeans.read.transforms import forward
from dask_kmeans.result import FitResult, FittedModel
from dask_kmeans.state import IterationRecord
from dask_kmeans.statistics import Inertia
from dask_kmeans.survey import survey
from dask_kmeans.write.checkpoint import CheckpointFile
from dask_kmeans.write.model import load_fitted, save_model
from dask_kmeans.write.model_parameters import restored_parameters, stored_parameters

RESTARTS_OF_PLAIN_DRAWS = 10
"""Restarts with n_init="auto" where seeds are drawn without a look at the distances."""


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
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
    metric : {"euclidean"}, default="euclidean"
    standardize : bool, default=False
        Compare features brought to mean 0 and standard deviation 1, which the first pass over the
        data learns (of the rows that count, with their weights; a constant feature becomes 0).
        Centers are given, and taken as `init`, in the unit of the data; `inertia_` and the
        distances of `transform` are those of the standardized features.
    nan : {"raise", "skip"}, default="raise"
        What to do about a row with a NaN: refuse the data, or leave the row out (label -1).
    random_state : int, Generator, RandomState or None, default=None
        The same int (from 0 to 2**64 - 1) gives the same bits, whatever the chunks, threads,
        workers or machine. A generator of NumPy gives the next of its numbers to each fit.
    verbose : int, default=0
        1 draws a progress bar, 2 logs a line an iteration to the logger "dask_kmeans": to stderr
        where logging is not set up.
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
    feature_dim : hashable, default=None
        For an xarray DataArray: the dimension that holds the features. None takes the last one of
        a 2-D array.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features), float64
        Float64 whatever holds the data: the same values in another dtype give the same centers.
    labels_ : int32, one for each row, in the kind of `X`
        NumPy for NumPy, a lazy dask array for a lazy source, a Series for a DataFrame, a DataArray
        for xarray. Equal to `predict(X)`. A DataArray is named "labels" and has the coordinates and
        the CRS of X, not its units or packing; -1, the label of rows that are skipped, stands in
        its attribute `nodata`. No `_FillValue` is set: files give int32 with -1 back.
    inertia_ : float
        Sum of weight times squared distance to the nearest center. Equal to `-score(X)`.
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
        standardized; None without `standardize`.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where the features have names.

    Notes
    -----
    A label is the index of the nearest center as float64 arithmetic over (x - c)^2, feature by
    feature, finds it, the lowest index of equally near ones: a function of the row and the centers
    alone. Sums are integers. So results do not depend on chunks, threads, workers or instruction
    sets.

    References
    ----------
    .. [1] Bahmani, Moseley, Vattani, Kumar, Vassilvitskii, "Scalable K-Means++", PVLDB 5(7), 2012.

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
        random_state=None,
        verbose=0,
        callbacks=None,
        checkpoint=None,
        memory_budget=None,
        feature_dim=None,
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
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.memory_budget = memory_budget
        self.feature_dim = feature_dim

    def fit(self, X, y=None, sample_weight=None):
        """Find the clusters of X.

        Parameters
        ----------
        X : array-like, dask array, zarr.Array, xarray object, DataFrame, or path of (n, d) numbers
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

    def fit_predict(self, X, y=None, sample_weight=None):
        """Find the clusters of X and return `labels_`."""
        return self.fit(X, sample_weight=sample_weight).labels_

    def fit_transform(self, X, y=None, sample_weight=None):
        """Find the clusters of X and return the distances of its rows to their centers."""
        return self.fit(X, sample_weight=sample_weight).transform(X)

    def predict(self, X):
        """Index of the nearest center for each row of X.

        Parameters
        ----------
        X : as in `fit`
            The features of the fit, in the same order.

        Returns
        -------
        labels : int32, one for each row, in the kind of X
            Lazy for lazy X, which is then read once; -1 for rows left out under `nan="skip"`.
        """
        return self._apply(LabelRows, X, np.int32)

    def transform(self, X):
        """Euclidean distances of each row of X to each center.

        Returns
        -------
        distances : float64 (n, n_clusters), in the kind of X
            In the unit of the data (or of its standardized features); lazy for lazy X.
        """
        check_is_fitted(self)
        return self._apply(DistanceRows, X, np.float64, self._n_features_out)

    def score(self, X, y=None, sample_weight=None):
        """Minus the inertia of X about the centers: one pass over the data.

        Returns
        -------
        float
            `-inertia_` to the last bit for the data of the fit.
        """
        points = self._known_points(X, sample_weight)
        blockwise = Blockwise(points.blocks, points.in_memory)
        try:
            function = self._row_function(LabelRows)
            (inertia,) = statistics_of(blockwise, function, (Inertia(),))
        except NonFiniteError:
            survey(points, blockwise, self.nan)  # says the same, with the row's number among all
            raise
        finally:
            blockwise.close()
        checks.check_finite_inertia(inertia)
        return -inertia

    def save(self, url: str, *, overwrite: bool = False) -> None:
        """Store the fitted model as a Zarr group with JSON attributes: no pickle.

        What `load_model` would refuse is refused here, before anything is written. Functions
        (`callbacks`, `init`) and generators (`random_state`) are no data and are left out: a loaded
        model has the defaults in their place.

        Parameters
        ----------
        url : str
            A local path or any fsspec URL. Written whole or not at all.
        overwrite : bool, default=False
            Whether to replace what is there.
        """
        check_is_fitted(self)
        checks.check_parameters(self)
        save_model(self._fitted_model(), url, overwrite=overwrite)

    def to_sklearn(self):
        """A fitted `sklearn.cluster.KMeans` with these centers: nothing is fitted again.

        Returns
        -------
        sklearn.cluster.KMeans or sklearn.pipeline.Pipeline
            Its `labels_` are ours where they are in memory, and absent for lazy data. Of a model
            that standardizes: a pipeline of a `StandardScaler` and the `KMeans`.
        """
        check_is_fitted(self)
        return to_sklearn(self)

    def __repr__(self, N_CHAR_MAX=700):  # the name is scikit-learn's
        return checks.shown_url(super().__repr__(N_CHAR_MAX))

    def _repr_mimebundle_(self, **kwargs):
        shown = super()._repr_mimebundle_(**kwargs)
        return {kind: checks.shown_url(text) for kind, text in shown.items()}

    @property
    def _n_features_out(self) -> int:
        """Width of `transform`; scikit-learn's mixin makes the output names from it."""
        return len(self.cluster_centers_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.nan == "skip"
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _adopt(self, result: FitResult, points: Points) -> None:
        """Take over what a fit found."""
        self._remember_features(points)
        self.cluster_centers_ = result.centers
        self.standardization_ = result.standardization
        self.inertia_ = result.inertia
        self.n_iter_ = len(result.history)
        self.n_passes_ = result.passes
        self.converged_ = result.reason.converged
        self.stop_reason_ = str(result.reason)
        self.history_ = result.history
        self.cluster_sizes_ = result.sizes
        self.labels_ = (
            points.through(*self._transforms).apply(self._row_function(LabelRows), np.int32)
            if result.labels is None
            else points.in_kind(result.labels)
        )

    def _fit_parameters(self, X: Any, points: Points) -> FitParameters:
        init, n_init = self.init, self.n_init
        if hasattr(init, "cluster_centers_"):
            init = init.cluster_centers_
        if callable(init):
            init = _BoundInit(init, X, self.random_state)
        elif not isinstance(init, str):
            init = checks.check_init(init, self.n_clusters, points.n_features)
        if n_init == "auto":
            plain = callable(init) or (isinstance(init, str) and init.startswith("random"))
            n_init = RESTARTS_OF_PLAIN_DRAWS if plain else 1
        elif isinstance(init, np.ndarray) and n_init > 1:
            checks.warn_single_start(n_init)
            n_init = 1
        return FitParameters(
            n_clusters=(int(self.n_clusters),),
            init=init,
            n_init=int(n_init),
            max_iter=int(self.max_iter),
            tol=float(self.tol),
            oversampling_factor=_unless_auto(self.oversampling_factor),
            init_rounds=_unless_auto(self.init_rounds),
            nan=self.nan,
            standardize=bool(self.standardize),
            memory_budget=parse_bytes(str(self.memory_budget or 0)),
            accelerated=self.algorithm == "auto" and isinstance(init, str),
            bounded=self.algorithm != "lloyd",
            seed=_seed(self.random_state),
            thresholds=self._thresholds,
        )

    def _checkpoint(self, parameters: FitParameters) -> CheckpointFile | None:
        if self.checkpoint is None:
            return None
        decisive = dataclasses.asdict(parameters)
        del decisive["bounded"]  # which rows are looked at has no say in the result
        (decisive["n_clusters"],) = parameters.n_clusters  # sweeps keep no checkpoint
        del decisive["memory_budget"]  # what is kept has no say in the result
        del decisive["thresholds"]
        if self.random_state is None:
            del decisive["seed"]  # drawn anew by each fit; the state that is kept has its own
        if not isinstance(parameters.init, str):
            decisive["init"] = _name_of_init(parameters.init)
        return CheckpointFile(self.checkpoint, decisive)

    @contextlib.contextmanager
    def _progress(self) -> Iterator[list[ProgressBar | ProgressLog]]:
        """What `verbose` asks for, closed at the end of a fit however it ends."""
        own: list[ProgressBar | ProgressLog] = []
        if self.verbose == 1:
            own.append(ProgressBar(self.max_iter))
        elif self.verbose > 1:
            own.append(ProgressLog())
        try:
            yield own
        finally:
            for each in own:
                each.close()

    def _remember_features(self, points: Points) -> None:
        self.n_features_in_ = points.n_features
        self._columns = points.positions
        if points.feature_names is not None:
            self.feature_names_in_ = np.array(points.feature_names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _row_function(self, kind: type[RowFunction]) -> RowFunction:
        names = getattr(self, "feature_names_in_", None)
        centers = forward(self.cluster_centers_, self._transforms)
        return kind(centers, self.nan, None if names is None else tuple(names))

    @property
    def _transforms(self) -> tuple[Transform, ...]:
        """What rows go through before they are compared."""
        return () if self.standardization_ is None else (self.standardization_,)

    def _known_points(self, X: Any, sample_weight: Any = None) -> Points:
        """X as points that have the features of the fit."""
        check_is_fitted(self)
        # A model of a raster labels plain tables too, where there is no dimension to name.
        feature_dim = self.feature_dim if type(X).__name__ == "DataArray" else None
        fitted = self._fitted_columns()
        if isinstance(X, (str, os.PathLike)):
            X = open_source(X, fitted)
        points = as_points(X, sample_weight, feature_dim=feature_dim)
        checks.check_same_features(
            fitted.names,
            self.n_features_in_,
            points.feature_names,
            points.n_features,
        )
        return points.through(*self._transforms)

    def _labelled(self, X: Any) -> Any:
        """Labels with squared distances, `LABELLED`, as `predict` gives labels."""
        return self._apply(LabelledRows, X, LABELLED)

    def _apply(self, kind: type[RowFunction], X: Any, dtype: Any, n_outputs: int | None = None):
        return self._known_points(X).apply(self._row_function(kind), dtype, n_outputs)

    def _fitted_columns(self) -> FittedColumns:
        names = getattr(self, "feature_names_in_", None)
        return FittedColumns(
            None if names is None else tuple(map(str, names)), getattr(self, "_columns", None)
        )

    def _fitted_model(self) -> FittedModel:
        columns = self._fitted_columns()
        standardization = self.standardization_
        return FittedModel(
            cluster_centers=self.cluster_centers_,
            cluster_sizes=self.cluster_sizes_,
            inertia=self.inertia_,
            n_iter=self.n_iter_,
            n_passes=self.n_passes_,
            converged=self.converged_,
            stop_reason=self.stop_reason_,
            feature_names=columns.names,
            columns=columns.positions,
            parameters=stored_parameters(self.get_params(deep=False)),
            history=[record._asdict() for record in self.history_],
            standardization=None if standardization is None else standardization.as_dict(),
        )


def fit_together(models: Sequence[KMeans], X: Any, sample_weight: Any = None) -> float:
    """Fit models that differ in nothing but n_clusters, in shared passes over X.

    Returns
    -------
    float
        The inertia of X about its mean.
    """
    first = models[0]
    for model in models:
        checks.check_parameters(model)
    points = as_points(X, sample_weight, feature_dim=first.feature_dim)
    parameters = first._fit_parameters(X, points)
    parameters = dataclasses.replace(
        parameters, n_clusters=tuple(int(model.n_clusters) for model in models)
    )
    points = points.for_clusters(sum(parameters.n_clusters) * parameters.n_init)
    checkpoint = first._checkpoint(parameters)
    with first._progress() as own:
        results = fit(points, parameters, [*own, *(first.callbacks or ())], checkpoint)
        for each in own:
            each.finish(str(results[0].reason))
    for model, result in zip(models, results, strict=True):
        model._adopt(result, points)
    return results[0].total_inertia


class _BoundInit:
    """A caller's `init(X, n_clusters, random_state)`, bound to its X and its random state."""

    def __init__(self, function: Callable, X: Any, random_state: Any):
        self._X, self.function = X, function
        self._random_state = np.random.RandomState(_seed(random_state) % 2**32)

    def __call__(self, n_clusters: int) -> Any:
        return self.function(self._X, n_clusters, random_state=self._random_state)


def _unless_auto(value: Any) -> Any:
    return None if isinstance(value, str) and value == "auto" else value


def _seed(random_state: Any) -> int:
    """64 random bits: an int as it is, or the next draw of a generator."""
    if isinstance(random_state, numbers.Integral):
        return int(random_state)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    return int(check_random_state(random_state).randint(2**63, dtype=np.int64))


def _name_of_init(init: np.ndarray | _BoundInit) -> str:
    """What a checkpoint keeps of starting centers, or of the function that makes them."""
    if isinstance(init, np.ndarray):
        return f"array {hashlib.sha256(init.tobytes()).hexdigest()}"
    return f"callable {getattr(init.function, '__qualname__', type(init.function).__qualname__)}"


def load_model(url: str) -> KMeans:
    """The fitted `KMeans` that `KMeans.save` stored at `url`; `labels_` are not part of it.

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
    try:
        model = KMeans(**restored_parameters(stored.parameters, KMeans().get_params(deep=False)))
        checks.check_parameters(model)
    except (TypeError, ValueError) as error:
        raise checks.invalid_model_error(str(url), str(error)) from error
    model.cluster_centers_ = stored.cluster_centers
    model.standardization_ = (
        None
        if stored.standardization is None
        else Standardization.from_dict(stored.standardization)
    )
    model.cluster_sizes_ = stored.cluster_sizes
    model.inertia_ = stored.inertia
    model.n_iter_ = stored.n_iter
    model.n_passes_ = stored.n_passes
    model.converged_ = stored.converged
    model.stop_reason_ = stored.stop_reason
    model.history_ = [IterationRecord(**record) for record in stored.history]
    model.n_features_in_ = stored.cluster_centers.shape[1]
    model._columns = stored.columns
    if stored.feature_names is not None:
        model.feature_names_in_ = np.array(stored.feature_names, dtype=object)
    return model
