"""A second backend, by brute force over rows that are no ndarray: the loop knows neither."""

from __future__ import annotations

import numpy as np
import pytest
from naive import nearest as naive_nearest
from naive import squared_distances

from dask_kmeans import KMeans, kernels
from dask_kmeans.fit import fit
from dask_kmeans.parameters import FitParameters
from dask_kmeans.read.from_numpy import InMemory
from dask_kmeans.read.pieces import Piece
from dask_kmeans.read.points import Points, numbered

PIECE = 90


class Columns:
    """A batch of rows that lie as one array for each feature."""

    def __init__(self, columns):
        self.columns = [np.asarray(column) for column in columns]
        self.shape = len(self.columns[0]), len(self.columns)
        self.dtype = self.columns[0].dtype
        self.nbytes = sum(column.nbytes for column in self.columns)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        return type(self)([column[rows] for column in self.columns])

    def __array__(self, *args, **kwargs):
        raise TypeError("these rows become an array where they are asked to, by `dense` alone")


def dense(rows):
    return np.column_stack(rows.columns)


class BruteAssignment:
    def __init__(self, rows, weights, fixed_point, labels, sums):
        self.given = rows, weights, fixed_point, labels, sums

    def to(self, prepared, picks=None, margins=kernels.NO_MARGINS):
        rows, weights, fixed_point, labels, sums = self.given
        picks = np.arange(len(rows)) if picks is None else picks
        before = labels.copy()
        labels[picks] = naive_nearest(dense(rows[picks]), prepared.centers)
        if len(margins.values):
            margins.values[picks] = kernels.no_margins(len(picks))
        if len(sums.counts):
            accumulate(rows, weights, fixed_point, before, labels, sums)
        counts = True if weights is None else weights > 0
        return kernels.Tally(int(np.count_nonzero((before != labels) & counts)), 0, 0, 0, 0)


def accumulate(rows, weights, fixed_point, old, new, sums):
    X = dense(rows).astype(np.float64)
    for i in np.flatnonzero(old != new):
        w = 1.0 if weights is None else weights[i]
        t = w * (X[i] - fixed_point.shift) * fixed_point.scale
        of_weight = w * fixed_point.weight_scale
        for cluster, sign in ((old[i], -1), (new[i], 1)):
            if cluster >= 0:
                sums.counts[cluster] += sign
                for high, low, value in (
                    (sums.high, sums.low, t),
                    *(
                        [(sums.weight_high, sums.weight_low, of_weight)]
                        if weights is not None
                        else []
                    ),
                ):
                    whole = np.rint(value)
                    high[cluster] += sign * np.int64(whole)
                    low[cluster] += sign * np.int64(np.rint((value - whole) * 2.0**30))


def distances(rows, centers, out):
    out[:] = squared_distances(dense(rows), centers)
    return out


def labelled_distances(rows, centers, labels, out):
    all_of_them = squared_distances(dense(rows), centers)
    out[:] = np.where(labels < 0, np.nan, all_of_them[np.arange(len(rows)), labels])
    return out


def second_distances(rows, centers, labels, out):
    others = squared_distances(dense(rows), centers)
    others[np.arange(len(rows)), labels] = np.inf
    out[:] = others.min(axis=1)
    return out


def extent(rows, minimum, maximum):
    X = dense(rows).astype(np.float64)
    np.fmin(minimum, np.fmin.reduce(X, initial=np.inf), out=minimum)
    np.fmax(maximum, np.fmax.reduce(X, initial=-np.inf), out=maximum)
    bad = np.argwhere(~np.isfinite(X))
    row, column = map(int, bad[0]) if len(bad) else (-1, -1)
    is_nan = len(bad) > 0 and bool(np.isnan(X[row, column]))
    return row, column, is_nan, int(np.isnan(X).any(axis=1).sum())


def concatenate(batches):
    return Columns(
        [np.concatenate(columns) for columns in zip(*(b.columns for b in batches), strict=True)]
    )


BRUTE = kernels.Backend(
    BruteAssignment, accumulate, distances, labelled_distances, second_distances, extent,
    concatenate, dense,
)
kernels.register(Columns, BRUTE)


class Source:
    """A block of rows in pieces, dense or not."""

    def __init__(self, X, weights, as_columns):
        self.X, self.weights, self.as_columns = X, weights, as_columns

    def pieces(self):
        for start in range(0, len(self.X), PIECE):
            some = self.X[start : start + PIECE]
            weights = None if self.weights is None else self.weights[start : start + PIECE]
            yield Piece(Columns(some.T) if self.as_columns else some, weights)


def points(X, weights, as_columns, in_memory):
    bounds = [(0, 200), (200, len(X))]
    sources = [
        Source(X[a:b], None if weights is None else weights[a:b], as_columns) for a, b in bounds
    ]
    return Points(
        numbered(sources, bounds), X.shape[1], X.dtype, len(X), in_memory, InMemory(),
        weighted=weights is not None,
    )  # fmt: skip


def parameters(init, n_clusters=5, **others):
    given = {
        "n_clusters": (n_clusters,), "init": init, "n_init": 2, "max_iter": 50, "tol": 0.0,
        "oversampling_factor": None, "init_rounds": None, "nan": "raise", "metric": "euclidean",
        "standardize": False, "feature_weight": None, "fit_fraction": 1.0,
        "memory_budget": 0, "accelerated": False, "bounded": True, "seed": 7,
    }  # fmt: skip
    return FitParameters(**given | others)


def data(seed=0, n=470, d=3):
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 4, (6, d))
    return np.round(centers[rng.integers(6, size=n)] + rng.normal(size=(n, d)), 2)


def check_same(X, weights, chosen, in_memory=True):
    dense_fit, other = (
        fit(points(X, weights, as_columns, in_memory), chosen)[0] for as_columns in (False, True)
    )
    np.testing.assert_array_equal(dense_fit.centers, other.centers)
    assert dense_fit.inertia == other.inertia
    assert dense_fit.reason == other.reason
    np.testing.assert_array_equal(dense_fit.sizes, other.sizes)
    for mine, theirs in zip(dense_fit.history, other.history, strict=True):
        assert mine.changed == theirs.changed
        assert mine.inertia == theirs.inertia
    if in_memory:
        np.testing.assert_array_equal(dense_fit.labels, other.labels)
        np.testing.assert_array_equal(other.labels, naive_nearest(X, other.centers))


@pytest.mark.parametrize(
    "init", ["k-means||", "k-means++", "random", "random_pairs", "random_partition", "random_box"]
)
def test_a_fit_is_the_same_on_another_backend(init):
    check_same(data(), None, parameters(init))


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_with_nan_are_skipped_on_another_backend(weighted):
    X = data(1).astype(np.float32)
    X[[3, 100, 333], [0, 1, 2]] = np.nan
    weights = np.random.default_rng(2).random(len(X)) if weighted else None
    if weighted:
        weights[::17] = 0
    for init in ("k-means||", "random_box"):
        check_same(X, weights, parameters(init, nan="skip"))


def test_empty_clusters_are_moved_on_another_backend():
    X = data(3)
    start = np.vstack([X[:2], np.full((2, X.shape[1]), 1e3) + np.arange(2)[:, None]])
    check_same(X, None, parameters(start, n_clusters=4, n_init=1))


@pytest.mark.parametrize("rows_kept", [0, 60, 1000])
def test_lazy_rows_are_kept_in_the_batches_that_they_came_in(rows_kept):
    X = data(4)
    budget = rows_kept * (X[0].nbytes + 4)
    check_same(X, None, parameters("k-means||", memory_budget=budget), in_memory=False)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_sample_is_on_the_other_backend_too(weighted):
    """Enough rows for a warm-up and leaps."""
    X = data(8, 4200)
    weights = np.random.default_rng(9).random(len(X)) if weighted else None
    check_same(X, weights, parameters("random", n_clusters=4, accelerated=True))


@pytest.mark.parametrize("accelerated", [False, True])
def test_features_are_standardized_on_another_backend(accelerated):
    X = data(10, 4200) * [1e-3, 1.0, 1e5]
    chosen = parameters("random_pairs", n_clusters=4, standardize=True, accelerated=accelerated)
    dense_fit, other = (fit(points(X, None, each, True), chosen)[0] for each in (False, True))
    np.testing.assert_array_equal(dense_fit.centers, other.centers)
    np.testing.assert_array_equal(dense_fit.labels, other.labels)
    assert dense_fit.standardization.mean.tobytes() == other.standardization.mean.tobytes()


@pytest.mark.parametrize("standardize", [False, True])
def test_an_estimator_takes_rows_that_a_backend_is_registered_for(standardize):
    X = data(11)
    rows = Columns(X.T)
    wanted = {"n_clusters": 4, "standardize": standardize, "random_state": 0}
    weights = np.random.default_rng(12).random(len(X))
    mine, theirs = (KMeans(**wanted).fit(each, sample_weight=weights) for each in (X, rows))
    assert mine.cluster_centers_.tobytes() == theirs.cluster_centers_.tobytes()
    np.testing.assert_array_equal(theirs.labels_, mine.labels_)
    np.testing.assert_array_equal(theirs.predict(rows), mine.labels_)
    assert theirs.score(rows, sample_weight=weights) == -mine.inertia_
    np.testing.assert_array_equal(theirs.transform(rows), mine.transform(X))


def test_infinite_values_are_named_on_another_backend():
    X = data(5)
    X[210, 1] = np.inf
    with pytest.raises(ValueError, match="row 210, column 1"):
        fit(points(X, None, True, True), parameters("random", nan="skip"))


def test_a_type_derived_from_a_batch_has_its_backend(tmp_path):
    X = data(6)
    X.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", dtype=X.dtype, shape=X.shape)
    assert kernels.backend_of(mapped) is kernels.backend_of(X)
    labels = np.empty(len(X), np.int32)
    kernels.nearest(mapped, kernels.prepare(X[:4]), labels)
    np.testing.assert_array_equal(labels, naive_nearest(X, X[:4]))


def test_rows_without_a_backend_are_refused():
    labels = np.empty(2, np.int32)
    with pytest.raises(TypeError, match="no backend is registered for rows in a list"):
        kernels.nearest([[1.0], [2.0]], kernels.prepare(np.zeros((1, 1))), labels)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
def test_rows_with_nan(dtype):
    X = (data(7) * 100).astype(dtype)
    expected = np.zeros(len(X), bool)
    if X.dtype.kind == "f":
        X[[1, 8], [2, 0]] = np.nan
        X[[5, 8], [1, 1]] = np.inf
        X[9] = np.finfo(dtype).max
        expected[[1, 8]] = True
    np.testing.assert_array_equal(kernels.rows_with_nan(X), expected)
    np.testing.assert_array_equal(kernels.rows_with_nan(Columns(X.T)), expected)
