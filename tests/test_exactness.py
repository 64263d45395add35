"""Promise 1: labels, centers and inertia are what a float64 brute force computes."""

from __future__ import annotations

import math
import os

import naive
import numpy as np
import pytest
import strategies as our
from certified import assert_certified, assert_same_centers
from hypothesis import given
from hypothesis import strategies as st
from inputs import INPUTS, KINDS_OF_LABELS, as_numpy, blobs
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.datasets import load_digits, make_blobs

from dask_kmeans import KMeans
from dask_kmeans.state import StopReason, stop

XCLARA_CENTERS = [
    (9.4780459, 10.686052),
    (40.68362784, 59.71589274),
    (69.92418447, -10.11964119),
]
XCLARA_INERTIA = 611605.8806933896
XCLARA_SIZES = [899, 1149, 952]


def lloyd(init, **parameters):
    """KMeans from the given centers to strict convergence."""
    parameters = {"tol": 0, "algorithm": "lloyd", **parameters}
    return KMeans(n_clusters=len(init), init=init, n_init=1, **parameters)


def rows_of(X, k, seed):
    return X[np.random.default_rng(seed).choice(len(X), k, replace=False)]


def rows_that_count(X, weights):
    return len(X) if weights is None else int((weights > 0).sum())


# Against scikit-learn


def datasets():
    yield "digits", load_digits().data, 10
    for seed in range(3):
        yield f"blobs {seed}", make_blobs(800, 3, centers=4, random_state=seed)[0], 4
    yield "overlapping blobs", blobs(2000, 5, 5), 12


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("X", "k"), [pytest.param(X, k, id=name) for name, X, k in datasets()])
def test_same_as_scikit_learn(X, k, seed):
    init = rows_of(X, k, seed)
    theirs = SklearnKMeans(k, init=init, n_init=1, tol=0).fit(X)
    ours = lloyd(init).fit(X)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    # Not theirs: a tie on the way, settled otherwise by rounding, can cost them an iteration.
    assert ours.n_iter_ == naive.lloyd(X, init).n_iter
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-12)
    np.testing.assert_allclose(
        ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-11, atol=1e-12
    )
    assert_certified(ours, X)


def test_same_as_scikit_learn_on_xclara(xclara):
    init = rows_of(xclara, 3, 0)
    theirs = SklearnKMeans(3, init=init, n_init=1, tol=0).fit(xclara)
    ours = lloyd(init).fit(xclara)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert_certified(ours, xclara)


@pytest.mark.slow
@pytest.mark.skipif("LETTER_NPZ" not in os.environ, reason="LETTER_NPZ names no copy of UCI Letter")
def test_same_as_scikit_learn_on_letter():
    X = np.load(os.environ["LETTER_NPZ"])["X"].astype(np.float64)
    # From rows, integer data ties exactly and scikit-learn settles ties by rounding errors.
    rng = np.random.default_rng(0)
    init = np.stack([X[rng.choice(len(X), 50)].mean(axis=0) for _ in range(26)])
    init += rng.normal(scale=0.5, size=init.shape)
    theirs = SklearnKMeans(26, init=init, n_init=1, tol=0).fit(X)
    ours = lloyd(init).fit(X)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.n_iter_ == theirs.n_iter_


# Against the oracle


@pytest.mark.parametrize("kind", our.KINDS)
@given(data=st.data())
def test_each_step_is_the_oracles(kind, data):
    """Labels are exact for the centers at hand, ties included; the next centers are the means."""
    X = data.draw(our.points(kinds=[kind]))
    weights = data.draw(our.weights_of(len(X)))
    k = data.draw(st.integers(1, min(8, rows_that_count(X, weights))), label="k")
    seed = data.draw(our.seeds(), label="seed")
    layout = data.draw(our.layouts())
    init = rows_of(X, k, seed)
    with np.errstate(over="ignore"):
        model = lloyd(init, max_iter=1)
        with_warnings_ignored(model.fit, layout(X), sample_weight=weights)
        centers, _, _ = naive.lloyd_step(X, init, weights)
        assert_same_centers(model.cluster_centers_, centers, X)
        np.testing.assert_array_equal(model.labels_, naive.nearest(X, model.cluster_centers_))


def with_warnings_ignored(function, *args, **kwargs):
    """Warnings of max_iter=1 and of clusters that duplicates leave empty are not at issue here."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


@given(
    X=our.points(kinds=("clusters", "constant feature"), rows=(20, 150)),
    k=st.integers(1, 8),
    seed=our.seeds(),
    data=st.data(),
)
def test_whole_fit_is_the_oracles(X, k, seed, data):
    """Data without ties: the whole trajectory is the oracle's."""
    weights = data.draw(our.weights_of(len(X)))
    k = min(k, rows_that_count(X, weights))
    init = rows_of(X, k, seed) + np.random.default_rng(seed).normal(
        scale=1e-3, size=(k, X.shape[1])
    )
    expected = naive.lloyd(X, init, weights)
    model = with_warnings_ignored(lloyd(init).fit, X, sample_weight=weights)
    np.testing.assert_array_equal(model.labels_, expected.labels)
    assert model.n_iter_ == expected.n_iter
    assert model.converged_
    assert_same_centers(model.cluster_centers_, expected.centers, X)
    assert model.inertia_ == pytest.approx(expected.inertia, rel=1e-12)


@given(
    kind=st.sampled_from(sorted(our.KINDS)),
    dtype=st.sampled_from(["float64", "float32"]),
    max_iter=st.sampled_from([1, 2, 300]),
    tol=st.sampled_from([0, 1e-4, 0.2]),
    algorithm=st.sampled_from(["auto", "lloyd"]),
    seed=our.seeds(),
    data=st.data(),
)
def test_labels_and_inertia_belong_to_the_centers(
    kind, dtype, max_iter, tol, algorithm, seed, data
):
    """However a fit ends: labels_ == predict(X), inertia_ == -score(X), both the brute force's."""
    with np.errstate(over="ignore", under="ignore"):
        X = our.make(kind, seed, 80, 4).astype(dtype)
    weights = data.draw(our.weights_of(len(X)))
    k = min(5, rows_that_count(X, weights))
    model = KMeans(k, max_iter=max_iter, tol=tol, algorithm=algorithm, random_state=seed % 1000)
    with_warnings_ignored(model.fit, X, sample_weight=weights)
    assert_certified(model, X, weights)


@pytest.mark.parametrize("init", ["k-means||", "k-means++", "random", "random_partition",
                                  "random_pairs", "random_box"])  # fmt: skip
def test_labels_and_inertia_belong_to_the_centers_from_every_start(init):
    X = blobs()
    model = with_warnings_ignored(KMeans(7, init=init, random_state=3, n_init=3).fit, X)
    assert_certified(model, X)
    assert model.n_iter_ == len(model.history_)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("max_iter", [1, 2, 3, 300])
@pytest.mark.parametrize("tol", [0, 1e-3])
def test_labels_and_inertia_belong_to_the_centers_of_an_accelerated_fit(tol, max_iter, weighted):
    """Rows enough for the warm-up and the leaps: how the centers came about makes no difference."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(9_000, 3))
    X[::50, 1] = np.nan
    weights = rng.exponential(size=len(X)) if weighted else None
    model = KMeans(6, tol=tol, max_iter=max_iter, nan="skip", random_state=5)
    with_warnings_ignored(model.fit, X, sample_weight=weights)
    assert_certified(model, X, weights)
    if max_iter == 300:
        assert model.converged_
        # It ended in Lloyd's own steps: one more changes no more labels than tol allows.
        centers, labels, _ = naive.lloyd_step(X, model.cluster_centers_, weights)
        assert np.mean(naive.nearest(X, centers) != labels) <= tol
    if max_iter == 300 and tol == 0:
        assert_same_centers(model.cluster_centers_, centers, X)


def test_a_leap_is_never_taken_for_a_settled_step():
    few_changed = {"tol": 0.1, "max_iter": 300}
    assert stop(0.05, True, 0, 9, is_lloyd_step=True, **few_changed) is StopReason.SETTLED
    assert stop(0.05, True, 0, 9, is_lloyd_step=False, **few_changed) is None
    assert stop(0.0, True, 0, 9, is_lloyd_step=False, **few_changed) is None


@pytest.mark.parametrize("max_iter", [1, 2, 3, 5, 300])
@pytest.mark.parametrize("seed", range(8))
def test_relocation(max_iter, seed):
    """Centers far out or doubled are empty at first; they go to the farthest rows."""
    X = blobs(150, 3, 4, seed)
    rng = np.random.default_rng(seed)
    init = rows_of(X, 6, seed)
    init[[1, 4]] = 1e3 + rng.normal(size=(2, 3))
    init[5] = init[3]
    expected = naive.lloyd(X, init, max_iter=max_iter)
    assert expected.relocations >= 3
    model = with_warnings_ignored(lloyd(init, max_iter=max_iter).fit, X)
    assert_same_centers(model.cluster_centers_, expected.centers, X)
    np.testing.assert_array_equal(model.labels_, expected.labels)
    assert model.n_iter_ == expected.n_iter
    assert_certified(model, X)


def test_relocation_breaks_ties_by_row_number():
    # Rows 1, 3 and 4 are equally far from the only center in reach; 0 and 2 lie on it.
    X = np.array([[0.0], [2.0], [0.0], [-2.0], [2.0]])
    init = np.array([[0.0], [50.0], [60.0]])
    model = with_warnings_ignored(lloyd(init, max_iter=1).fit, X)
    np.testing.assert_array_equal(model.cluster_centers_, [[2 / 3], [2.0], [-2.0]])


def test_relocation_never_empties_its_donor():
    # The farthest row is alone in its cluster: taking it would only move the hole.
    X = np.array([[0.0], [1.0], [30.0]])
    init = np.array([[0.0], [20.0], [1e3]])
    expected = naive.lloyd(X, init)
    model = lloyd(init).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, [[0.0], [30.0], [1.0]])
    np.testing.assert_array_equal(model.labels_, expected.labels)


def test_relocation_passes_over_rows_without_weight():
    X = np.array([[0.0], [1.0], [5.0], [9.0]])
    model = lloyd(np.array([[0.0], [1e3]]), max_iter=1)
    with_warnings_ignored(model.fit, X, sample_weight=[1.0, 1.0, 1.0, 0.0])
    np.testing.assert_array_equal(model.cluster_centers_, [[0.5], [5.0]])


@pytest.mark.parametrize("k", [1, 2, 25])
@pytest.mark.parametrize("kind", our.KINDS)
def test_extreme_k(kind, k):
    """k = 1, and k = the number of rows."""
    X = our.make(kind, 5, 25, 3)
    model = with_warnings_ignored(lloyd(rows_of(X, k, 1)).fit, X)
    np.testing.assert_array_equal(model.labels_, naive.nearest(X, model.cluster_centers_))
    if k == 1:
        assert_same_centers(model.cluster_centers_[0], naive.mean(X), X)


def test_one_feature():
    X = np.sort(np.random.default_rng(0).normal(size=(300, 1)), axis=0)
    init = X[[10, 100, 200, 290]]
    expected = naive.lloyd(X, init)
    model = lloyd(init).fit(X)
    np.testing.assert_array_equal(model.labels_, expected.labels)
    assert_same_centers(model.cluster_centers_, expected.centers, X)


def test_more_rows_than_a_block_of_any_kind():
    """Enough rows for several blocks and pieces, in memory and lazily."""
    import dask.array as da

    rng = np.random.default_rng(0)
    X = rng.normal(size=(120_000, 3)).astype(np.float32)
    model = lloyd(X[:5].astype(np.float64), max_iter=3)
    with_warnings_ignored(model.fit, X)
    labels = naive.squared_distances(X, model.cluster_centers_).argmin(axis=1)
    np.testing.assert_array_equal(model.labels_, labels)
    distances = naive.squared_distances(X, model.cluster_centers_).min(axis=1)
    assert model.inertia_ == pytest.approx(math.fsum(distances), rel=1e-15)
    lazy = model.predict(da.from_array(X, chunks=(7_001, 3)))
    np.testing.assert_array_equal(lazy.compute(), labels)


# Distances


@given(X=our.points(kinds=("clusters", "offset", "scaled", "outlier")), seed=our.seeds())
def test_transform_is_the_oracles(X, seed):
    k = min(4, len(X))
    model = with_warnings_ignored(lloyd(rows_of(X, k, seed)).fit, X)
    with np.errstate(over="ignore"):
        expected = np.sqrt(naive.squared_distances(X, model.cluster_centers_))
    np.testing.assert_allclose(model.transform(X), expected, rtol=1e-15)
    np.testing.assert_array_equal(model.fit_transform(X), model.transform(X))


# Weights


def test_weights_repeat_rows():
    X = blobs(200)
    counts = np.random.default_rng(0).integers(0, 4, size=len(X))
    init = rows_of(X[counts > 0], 5, 0)
    weighted = lloyd(init).fit(X, sample_weight=counts)
    repeated = lloyd(init).fit(np.repeat(X, counts, axis=0))
    np.testing.assert_array_equal(np.repeat(weighted.labels_, counts), repeated.labels_)
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, rtol=1e-12)
    assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=1e-12)
    assert weighted.n_iter_ == repeated.n_iter_


def test_weights_of_one_change_nothing():
    X = blobs(300)
    plain = KMeans(5, random_state=0).fit(X)
    ones = KMeans(5, random_state=0).fit(X, sample_weight=np.ones(len(X)))
    np.testing.assert_array_equal(plain.labels_, ones.labels_)
    np.testing.assert_allclose(plain.cluster_centers_, ones.cluster_centers_, rtol=1e-12)


@pytest.mark.parametrize("init", ["k-means||", "k-means++", "random", "random_partition",
                                  "random_pairs", "random_box"])  # fmt: skip
def test_rows_without_weight_have_no_influence(init):
    """Far rows of weight zero neither seed nor pull, but are labelled."""
    X = blobs(300)
    far = np.vstack([X, 1e4 + blobs(40, seed=1)])
    weights = np.r_[np.ones(300), np.zeros(40)]
    model = with_warnings_ignored(
        KMeans(5, init=init, random_state=0).fit, far, sample_weight=weights
    )
    assert (model.cluster_centers_ <= X.max(axis=0)).all()
    assert_certified(model, far, weights)


# Missing values


@pytest.mark.parametrize("seed", range(3))
def test_skipped_rows_have_no_influence(seed):
    X = blobs(300, seed=seed)
    holed = X.copy()
    rng = np.random.default_rng(seed)
    holed[rng.integers(300, size=40), rng.integers(5, size=40)] = np.nan
    whole = ~np.isnan(holed).any(axis=1)
    init = rows_of(X, 5, seed)
    model = lloyd(init, nan="skip").fit(holed)
    expected = naive.lloyd(holed, init)
    np.testing.assert_array_equal(model.labels_, expected.labels)
    np.testing.assert_array_equal(model.labels_[~whole], -1)
    assert_same_centers(model.cluster_centers_, expected.centers, holed)
    assert_certified(model, holed)
    without = lloyd(init).fit(holed[whole])
    np.testing.assert_array_equal(model.labels_[whole], without.labels_)
    assert model.n_iter_ == without.n_iter_


@pytest.mark.parametrize("init", ["k-means||", "k-means++", "random", "random_partition",
                                  "random_pairs", "random_box"])  # fmt: skip
def test_skipped_rows_never_seed(init):
    X = blobs(300)
    X[::3, 1] = np.nan
    model = with_warnings_ignored(KMeans(5, init=init, nan="skip", random_state=0).fit, X)
    assert np.isfinite(model.cluster_centers_).all()
    assert_certified(model, X)


# Every kind of input


@pytest.mark.parametrize("kind", INPUTS)
def test_xclara_from_every_kind_of_input(kind, xclara, tmp_path):
    X = INPUTS[kind](xclara, tmp_path)
    model = KMeans(3, random_state=0, tol=0).fit(X)
    order = np.argsort(model.cluster_centers_[:, 0])
    np.testing.assert_allclose(model.cluster_centers_[order], XCLARA_CENTERS, rtol=0, atol=1e-6)
    assert model.inertia_ == pytest.approx(XCLARA_INERTIA, abs=1e-6)
    assert model.cluster_sizes_[order].tolist() == XCLARA_SIZES
    labels = naive.nearest(xclara, model.cluster_centers_)
    np.testing.assert_array_equal(as_numpy(model.labels_), labels)
    np.testing.assert_array_equal(as_numpy(model.predict(X)), labels)
    np.testing.assert_array_equal(with_warnings_ignored(model.predict, xclara), labels)
    assert -model.score(X) == model.inertia_
    if kind in KINDS_OF_LABELS:
        assert isinstance(model.labels_, KINDS_OF_LABELS[kind])
        assert isinstance(model.predict(X), KINDS_OF_LABELS[kind])
