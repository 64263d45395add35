"""`sweep`: many numbers of clusters for the passes of the slowest of them."""

from __future__ import annotations

import dask.array as da
import naive
import numpy as np
import pytest
from certified import assert_certified
from counting import CountingChunks
from inputs import blobs

from dask_kmeans import KMeans, sweep

X = blobs(600, 5, 4, seed=2)
KS = range(1, 8)


@pytest.fixture(scope="module")
def models():
    return sweep(X, KS, random_state=0)


def test_every_model_is_a_fit_of_its_own(models):
    assert list(models) == list(KS)
    for k, model in models.items():
        assert isinstance(model, KMeans)
        assert model.cluster_centers_.shape == (k, 5)
        assert model.converged_
        assert_certified(model, X)


def test_the_columns_of_the_table(models):
    about_the_mean = naive.inertia(X, naive.mean(X)[None])
    assert models.n_clusters.tolist() == list(KS)
    assert models.inertia.tolist() == [model.inertia_ for model in models.values()]
    expected = 1 - models.inertia / about_the_mean
    np.testing.assert_allclose(models.explained_variance, expected, atol=1e-12)
    assert models.explained_variance[0] == pytest.approx(0, abs=1e-12)
    assert len(str(models).splitlines()) == 1 + len(KS)


def test_passes_are_shared():
    """As many as the slowest has iterations, beside the seeding's and the last."""
    source = CountingChunks(X)
    models = sweep(source.array(), KS, random_state=0, init_rounds=2, algorithm="lloyd")
    assert source.passes() == models.n_passes
    slowest = max(model.n_iter_ for model in models.values())
    assert models.n_passes <= 2 + 2 + slowest + 1


def test_leaps_save_the_sweep_as_many_passes_as_its_members():
    """Its members start from other seeds than they would alone, and none takes much longer."""
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(12, 4))[rng.integers(12, size=30_000)]).astype(np.float32)
    rows += rng.normal(size=rows.shape).astype(np.float32)
    ks = range(2, 11)
    together = sweep(rows, ks, random_state=0)
    alone = max(KMeans(k, random_state=0).fit(rows).n_passes_ for k in ks)
    plain = sweep(rows, ks, random_state=0, algorithm="lloyd")
    assert together.n_passes <= 1.3 * alone
    assert together.n_passes < 0.5 * plain.n_passes


def test_restarts_and_weights_go_with_it():
    weights = np.random.default_rng(0).integers(0, 3, size=len(X))
    source = CountingChunks(X)
    models = sweep(
        source.array(), [3, 5], sample_weight=da.from_array(weights, chunks=50),
        n_init=4, init="random", random_state=0, max_iter=6, tol=0,
    )  # fmt: skip
    assert source.passes() == models.n_passes <= 2 * 1 + 2 + 6 + 1
    for model in models.values():
        assert_certified(model, X, weights)


def test_chunks_do_not_change_a_bit(models):
    chunked = sweep(da.from_array(X, chunks=(37, 5)), KS, random_state=0)
    assert chunked.inertia.tobytes() == models.inertia.tobytes()
    for k in KS:
        assert chunked[k].cluster_centers_.tobytes() == models[k].cluster_centers_.tobytes()


def test_a_sweep_of_one_is_a_fit():
    alone = KMeans(4, random_state=0).fit(X)
    swept = sweep(X, [4], random_state=0)[4]
    assert swept.cluster_centers_.tobytes() == alone.cluster_centers_.tobytes()
    assert swept.inertia_ == alone.inertia_


@pytest.mark.parametrize(
    ("n_clusters", "parameters", "message"),
    [
        ([], {}, "n_clusters"),
        ([3, 3], {}, "n_clusters"),
        ([0, 1], {}, "an int >= 1"),
        ([2.5], {}, "an int >= 1"),
        ([2, 700], {}, "n_samples=600 should be >= n_clusters=700"),
        ([2, 3], {"init": X[:2]}, "init"),
        ([2, 3], {"tol": -1}, "'tol' parameter"),
    ],
)
def test_bad_input(n_clusters, parameters, message):
    with pytest.raises(ValueError, match=message):
        sweep(X, n_clusters, **parameters)


def test_unknown_parameters():
    with pytest.raises(TypeError, match="n_clusterz"):
        sweep(X, n_clusterz=[2])
