"""Margins and kept rows: fewer rows examined, fewer reads, and never another bit."""

from __future__ import annotations

import sys

import dask
import naive
import numpy as np
import pytest
import zarr
from counting import CountingChunks, CountingZarr
from hypothesis import given
from hypothesis import strategies as st
from inputs import kmeans_with
from strategies import DTYPES, KINDS, layouts, make, seeds, weights_of

from dask_kmeans.blockwise.caches import Caches
from dask_kmeans.kernels import failing, nearest, no_drift, no_margins, prepare

FINITE = sorted(set(KINDS) - {"denormal", "tiny"})


KMeans = kmeans_with(margins_size=0, margins_work=0)
"""Margins for small data too."""


@pytest.fixture(autouse=True, scope="module")
def _any_size():
    """The float64 filter for few rows too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["dask_kmeans.kernels.assign"], "LITTLE", 0)
        yield


def distances(X, centers):
    return np.sqrt(naive.squared_distances(X, centers))


def gaps(X, centers, labels):
    """How much farther the nearest of the other centers is, against brute force in float64."""
    every = distances(X, centers)
    rows = np.arange(len(X))
    own = every[rows, labels]
    every[rows, labels] = np.inf
    return every.min(axis=1) - own, own


def assert_they_bound(margins, drift, X, centers, labels):
    """Margins, less what drift has taken from them; the error of brute force is allowed for."""
    gap, own = gaps(X, centers, labels)
    with np.errstate(all="ignore"):
        left = margins - drift.total[labels]
        assert (left <= gap + 1e-12 * own + 1e-12 * np.where(np.isinf(gap), 0, gap)).all()


# The last one is large enough for the quantized filter to make the margins.
SHAPES = st.sampled_from([(1, 1), (2, 3), (3, 5), (9, 17), (24, 16), (40, 33), (70, 130)])


@given(st.sampled_from(sorted(KINDS)), seeds(), SHAPES, st.sampled_from(["float32", "float64"]),
       st.sampled_from([0.0, 1e-9, 1e-3, 0.1, 2.0]))  # fmt: skip
def test_margins_hold_and_prove_labels(kind, seed, shape, dtype, step):
    k, d = shape
    rng = np.random.default_rng(seed)
    X = make(kind, seed, 150, d).astype(dtype)
    centers = X[rng.choice(len(X), k, replace=False)].astype(np.float64)
    spread = X.std(axis=0, dtype=np.float64)
    centers += 0.3 * rng.normal(size=centers.shape) * spread
    labels, margins, drift = np.empty(len(X), np.int32), no_margins(len(X)), no_drift(k)
    nearest(X, prepare(centers), labels, None, drift.margins(margins))
    assert_they_bound(margins, drift, X, centers, labels)
    for _ in range(3):
        moves = step * rng.normal(size=centers.shape) * spread
        moved = centers + np.where(rng.random((k, 1)) < 0.5, moves, 0)
        drift = drift.further(centers, moved)
        picks = failing(margins, labels, drift)
        centers = moved
        assert_they_bound(margins, drift, X, centers, labels)
        expected = naive.nearest(X, centers)
        proved = np.setdiff1d(np.arange(len(X)), picks)
        np.testing.assert_array_equal(labels[proved], expected[proved])
        nearest(X, prepare(centers), labels, picks, drift.margins(margins))
        np.testing.assert_array_equal(labels, expected)
        assert_they_bound(margins, drift, X, centers, labels)


@pytest.mark.parametrize(("k", "d"), [(4, 3), (80, 110)])
def test_margins_prove_most_labels(k, d):
    """Margins that are merely safe would prove nothing."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(k, d))
    X = (means[rng.integers(k, size=4000)] + 0.1 * rng.normal(size=(4000, d))).astype(np.float32)
    labels, margins, drift = np.empty(len(X), np.int32), no_margins(len(X)), no_drift(k)
    nearest(X, prepare(means), labels, None, drift.margins(margins))
    gap, own = gaps(X, means, labels)
    assert (margins > gap - 0.05 * (gap + own)).all()
    for step, least, most in ((0, 0, 0.02), (1e-3, 0, 0.05), (10, 0.9, 1)):
        share = len(failing(margins, labels, drift.further(means, means + step))) / len(X)
        assert least <= share <= most


def test_centers_that_stay_take_nothing_away():
    drift = no_drift(3).further(np.eye(3), 2 * np.eye(3))
    again = drift.further(np.eye(3), np.eye(3))
    np.testing.assert_array_equal(again.total, drift.total)
    assert (again.latest == 0).all()


@pytest.mark.parametrize("far", [1e200, np.inf])
def test_a_drift_beyond_float32_proves_nothing(far):
    """Neither margins made before it, nor those made since."""
    X, centers = np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]])
    labels, margins = np.arange(2, dtype=np.int32), no_margins(2)
    nearest(X, prepare(centers), labels, None, no_drift(2).margins(margins))
    drift = no_drift(2).further(centers, np.array([[0.0], [1.0 + far]]))
    assert len(failing(margins, labels, drift)) == 2
    nearest(X, prepare(centers), labels, None, drift.margins(margins))
    assert len(failing(margins, labels, drift)) == 2


def test_ties_are_never_proved():
    X = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    centers = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
    labels, margins = np.empty(3, np.int32), no_margins(3)
    nearest(X, prepare(centers), labels, None, no_drift(3).margins(margins))
    picks = failing(margins, labels, no_drift(3))
    assert {1, 2} <= set(picks.tolist())


def results(model):
    return (
        model.cluster_centers_.tobytes(),
        np.asarray(model.labels_).tobytes(),
        model.inertia_,
        [record[:4] for record in model.history_],
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@given(st.data(), st.sampled_from(sorted(KINDS)), seeds(), st.sampled_from(DTYPES), layouts())
def test_a_fit_with_margins_is_the_same_fit(data, kind, seed, dtype, layout):
    n, d = data.draw(st.integers(30, 200)), data.draw(st.sampled_from([1, 2, 5, 17]))
    k = data.draw(st.sampled_from([1, 2, 5, 25]))
    with np.errstate(all="ignore"):
        X = make(kind, seed, n, d).astype(dtype)
    if X.dtype.kind == "f":
        X[~np.isfinite(X)] = 0
        if data.draw(st.booleans()):
            X[seed % n, seed % d] = np.nan
    init = np.nan_to_num(X[np.random.default_rng(seed).choice(n, k, replace=False)].astype(float))
    weights = data.draw(weights_of(n))
    same = {"init": init, "tol": 0, "nan": "skip", "max_iter": 30}
    plain = KMeans(k, algorithm="lloyd", **same).fit(layout(X), sample_weight=weights)
    bounded = KMeans(k, **same).fit(layout(X), sample_weight=weights)
    assert results(bounded) == results(plain)


def overlapping(n=6000, d=6, k=12, seed=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(k, d))[rng.integers(k, size=n)] + 0.5 * rng.normal(size=(n, d))
    return X.astype(np.float32), X[:k].astype(np.float32).astype(np.float64)


def test_fewer_and_fewer_rows_are_examined():
    X, init = overlapping()
    plain = KMeans(len(init), init=init, tol=0, algorithm="lloyd").fit(X)
    bounded = KMeans(len(init), init=init, tol=0).fit(X)
    assert results(bounded) == results(plain)
    assert {record.examined for record in plain.history_} == {len(X)}
    assert sum(record.examined for record in bounded.history_) < 0.5 * len(X) * bounded.n_iter_
    assert bounded.history_[-1].examined < 0.1 * len(X)


def test_margins_that_prove_little_are_given_up_for_a_while():
    """Steps that must look at most rows anyway keep no margins, and the result is the same."""
    X, init = overlapping()
    expected = results(KMeans(len(init), init=init, tol=0, algorithm="lloyd").fit(X))
    strict = kmeans_with(margins_size=0, margins_work=0, most_picked=0.01)
    model = strict(len(init), init=init, tol=0).fit(X)
    assert results(model) == expected
    assert len(X) in {record.examined for record in model.history_[2:]}


@pytest.fixture
def _threads():
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.25, 0.6, 2.0])
def test_kept_rows_save_reads(share, weighted):
    """Counted at the source, with any budget, to the same bits."""
    X, init = overlapping()
    weights = np.random.default_rng(0).random(len(X)) if weighted else None
    plain = KMeans(len(init), init=init, tol=0, algorithm="lloyd").fit(X, sample_weight=weights)
    source = CountingZarr(X, chunk=500)
    model = KMeans(len(init), init=init, tol=0, memory_budget=int(share * X.nbytes)).fit(
        source.array(), sample_weight=weights
    )
    counted = source.passes()
    assert results(model) == results(plain)
    reading = [record.bytes_read > 0 for record in model.history_]
    if share < 1:
        assert model.n_passes_ == counted == 1 + sum(reading) + 1
    if share == 0.6:
        assert sum(reading) < 0.7 * model.n_iter_
        assert sum(record.bytes_read for record in model.history_) < 0.7 * X.nbytes * len(reading)


@pytest.mark.usefixtures("_threads")
def test_lost_caches_change_nothing(monkeypatch):
    """Labels, margins and kept rows are found again, whatever is lost and when."""
    X, init = overlapping()
    expected = results(KMeans(len(init), init=init, tol=0, algorithm="lloyd").fit(X))
    lost = np.random.default_rng(1)

    def lose(record):
        for caches in list(Caches._alive.values()):
            for cache in caches.blocks.values():
                for name in list(cache):
                    if lost.random() < 0.4:
                        del cache[name]

    model = KMeans(
        len(init), init=init, tol=0, memory_budget=int(0.3 * X.nbytes), callbacks=[lose]
    ).fit(CountingZarr(X, chunk=500).array())
    assert results(model) == expected
    examined = [record.examined for record in model.history_]
    assert len(X) in examined[1:]
    assert min(examined) < len(X)


@pytest.mark.usefixtures("_threads")
def test_what_dask_brings_is_counted_as_read():
    """A dask array that cannot be taken apart comes with its task, wanted or not."""
    X, init = overlapping(n=2000)
    lazy = CountingChunks(X, chunk=500).array()
    with dask.annotate(priority=1):
        lazy = lazy + 0
    with dask.config.set(**{"optimization.fuse.active": False}):
        model = KMeans(len(init), init=init, tol=0, memory_budget=int(0.3 * X.nbytes)).fit(lazy)
    assert {record.bytes_read for record in model.history_} == {X.nbytes}


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("n_init", [2, 3])
def test_restarts_share_the_kept_rows(n_init):
    X, init = overlapping(n=2000)
    store = zarr.create_array({}, data=X, chunks=(500, X.shape[1]))
    same = {"n_init": n_init, "init": "random", "tol": 0, "random_state": 0}
    plain = KMeans(len(init), algorithm="lloyd", **same).fit(X)
    kept = KMeans(len(init), algorithm="auto", memory_budget=int(0.5 * X.nbytes), **same)
    assert kept.fit(store).inertia_ == pytest.approx(plain.inertia_, rel=0.05)
    np.testing.assert_array_equal(kept.labels_.compute(), kept.predict(X))
