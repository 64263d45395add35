"""Promise 4: how often the data is read, counted at the source."""

from __future__ import annotations

import warnings

import dask
import dask.array as da
import numpy as np
import pytest
from counting import CountingChunks, CountingZarr
from inputs import blobs

from dask_kmeans import KMeans

K = 6
X = blobs(600, 5, K, seed=2)


SOURCES = {"dask": CountingChunks, "zarr": CountingZarr}


@pytest.fixture(params=SOURCES)
def source(request):
    return SOURCES[request.param](X)


@pytest.fixture(autouse=True)
def _threads():
    """Two threads, so that there are fewer threads than chunks; no word about convergence."""
    with dask.config.set(scheduler="threads", num_workers=2), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_a_fit_from_given_centers(source):
    """The survey, one pass an iteration, one at the end."""
    model = KMeans(K, init=X[:K], algorithm="lloyd", tol=0).fit(source.array())
    assert model.n_iter_ >= 5
    assert source.passes() == model.n_passes_
    assert model.n_passes_ <= 1 + model.n_iter_ + 1


@pytest.mark.parametrize("rounds", [1, 2, 3, 5])
def test_a_fit_from_its_own_seeds(source, rounds):
    """(rounds + 2) for the survey and the seeds, one pass an iteration, one at the end."""
    model = KMeans(K, init_rounds=rounds, algorithm="lloyd", random_state=0).fit(source.array())
    assert source.passes() == model.n_passes_
    assert model.n_passes_ <= rounds + 2 + model.n_iter_ + 1


def test_the_default_fit(source):
    model = KMeans(K, random_state=0).fit(source.array())
    assert source.passes() == model.n_passes_
    # Two adaptive rounds at least, eight at most.
    assert model.n_passes_ <= 8 + 2 + model.n_iter_ + 1


def test_an_accelerated_fit():
    """What is done on a sample costs no read, and saves some."""
    rows = np.random.default_rng(3).normal(size=(12_000, 3))
    passes = {}
    for algorithm in ("auto", "lloyd"):
        source = CountingChunks(rows, chunk=500)
        model = KMeans(6, algorithm=algorithm, tol=1e-3, random_state=5).fit(source.array())
        assert model.converged_
        assert source.passes() == model.n_passes_
        assert model.n_passes_ <= 8 + 2 + model.n_iter_ + 1
        passes[algorithm] = model.n_passes_
    assert passes["auto"] < passes["lloyd"]


@pytest.mark.parametrize("max_iter", [1, 4])
def test_a_fit_that_stops_at_max_iter(source, max_iter):
    model = KMeans(K, init=X[:K], max_iter=max_iter, tol=0).fit(source.array())
    assert model.n_iter_ == max_iter
    assert source.passes() == model.n_passes_
    assert model.n_passes_ <= 1 + max_iter + 1


@pytest.mark.parametrize("init", ["k-means++", "random", "random_partition", "random_pairs",
                                  "random_box"])  # fmt: skip
def test_other_starts_count_their_passes(source, init):
    model = KMeans(K, init=init, random_state=0, max_iter=3).fit(source.array())
    assert source.passes() == model.n_passes_
    # Greedy k-means++ on the full data looks at it once a center; the others draw in one pass.
    seeding = K if init == "k-means++" else 1
    assert model.n_passes_ <= seeding + 2 + 3 + 1


def test_a_callable_start_is_given_the_data_and_reads_nothing_by_itself(source):
    model = KMeans(K, init=lambda points, k, random_state: X[:k], tol=0).fit(source.array())
    assert source.passes() == model.n_passes_
    assert model.n_passes_ <= 1 + model.n_iter_ + 1


def test_relocation_costs_no_extra_pass(source):
    """Clusters that are empty at first, and one that loses its rows on the way."""
    init = np.vstack([X[:4], 1e3 + X[:1], X[3:4]])
    model = KMeans(K, init=init, algorithm="lloyd", tol=0).fit(source.array())
    assert source.passes() == model.n_passes_
    assert model.n_passes_ <= 1 + model.n_iter_ + 1


def test_a_cluster_that_empties_late_costs_no_extra_pass():
    Y, init = late_empty()
    source = CountingChunks(Y, chunk=1)
    model = KMeans(len(init), init=init, algorithm="lloyd", tol=0).fit(source.array())
    assert source.passes() == model.n_passes_
    assert model.n_passes_ <= 1 + model.n_iter_ + 1


def late_empty():
    """Rows and centers of which a cluster first becomes empty after the first step."""
    import naive

    for seed in range(10_000):
        rng = np.random.default_rng(seed)
        Y = rng.integers(0, 40, size=(9, 1)).astype(float) ** 2
        init = Y[rng.choice(9, 5, replace=False)] + rng.normal(size=(5, 1))
        first = naive.lloyd(Y, init, max_iter=1).relocations
        if first == 0 and naive.lloyd(Y, init).relocations:
            return Y, init
    raise AssertionError("no such data was found")


@pytest.mark.parametrize("n_init", [1, 4])
def test_restarts_share_their_passes(source, n_init):
    model = KMeans(
        K, n_init=n_init, max_iter=5, init_rounds=2, tol=0, algorithm="lloyd", random_state=0
    ).fit(source.array())
    assert source.passes() == model.n_passes_
    assert model.n_passes_ <= 2 + 2 + 5 + 1


def test_predict_is_lazy_and_reads_once(source):
    model = KMeans(K, random_state=0).fit(X)
    labels = model.predict(source.array())
    assert isinstance(labels, da.Array)
    assert not source.reads
    np.testing.assert_array_equal(labels.compute(), model.labels_)
    assert source.passes() == 1


def test_transform_is_lazy_and_reads_once(source):
    model = KMeans(K, random_state=0).fit(X)
    distances = model.transform(source.array())
    assert isinstance(distances, da.Array)
    assert distances.shape == (len(X), K)
    assert not source.reads
    np.testing.assert_array_equal(distances.compute(), model.transform(X))
    assert source.passes() == 1


def test_labels_of_lazy_data_are_lazy_and_read_once(source):
    model = KMeans(K, random_state=0).fit(source.array())
    source.reads.clear()
    labels = model.labels_
    assert isinstance(labels, da.Array)
    assert labels.shape == (len(X),)
    assert not source.reads
    np.testing.assert_array_equal(labels.compute(), KMeans(K, random_state=0).fit(X).labels_)
    assert source.passes() == 1


def test_fit_predict_reads_no_more_than_fit(source):
    labels = KMeans(K, init=X[:K], tol=0).fit_predict(source.array())
    passes = source.passes()
    assert isinstance(labels, da.Array)
    source.reads.clear()
    KMeans(K, init=X[:K], tol=0).fit(source.array())
    assert passes == source.passes()


def test_score_reads_once(source):
    model = KMeans(K, random_state=0).fit(X)
    assert model.score(source.array()) == -model.inertia_
    assert source.passes() == 1


def test_history_tells_the_bytes_of_each_pass(source):
    model = KMeans(K, random_state=0, algorithm="lloyd").fit(source.array())
    assert [record.bytes_read for record in model.history_] == [X.nbytes] * model.n_iter_


def test_refused_data_is_read_once():
    """What the first pass finds wrong is not looked for again."""
    bad = X.copy()
    bad[123, 4] = np.nan
    source = CountingChunks(bad)
    with pytest.raises(ValueError, match="NaN"):
        KMeans(K).fit(source.array())
    assert source.passes() == 1
