"""Seeds drawn on a sample: fewer passes, the same answers, no belief in what it has not seen."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
from counting import CountingChunks, CountingZarr
from inputs import blobs

from dask_kmeans import KMeans
from dask_kmeans.kernels import uniform
from dask_kmeans.sample import PURPOSE, Sample
from dask_kmeans.start import LEAST_ROWS

N = 4 * LEAST_ROWS + 4000
"""Rows of which a quarter is enough to draw seeds on."""

SEED = 7


@pytest.fixture(scope="module")
def spread():
    """Five groups of rows, float64 (N, 3)."""
    return blobs(N, 3, 5, seed=4)


@pytest.fixture(autouse=True)
def _two_threads():
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


def fit(X, k=5, **parameters):
    return KMeans(k, random_state=SEED, **parameters).fit(X)


def unsampled(monkeypatch, seed):
    """(N,) bool: the rows that a fit with this seed leaves out of its sample."""
    drawn = []

    def collect(self, cache, first_row, pieces):
        drawn.append(self)
        return iter(pieces)

    with monkeypatch.context() as patch:
        patch.setattr(Sample, "collect", collect)
        with pytest.raises(AssertionError):  # no row has passed by the collector
            KMeans(5, random_state=seed).fit(da.zeros((N, 2), chunks=(N, 2)))
    return uniform(drawn[0].seed, PURPOSE, 0, np.empty(N)) >= drawn[0].share


@pytest.mark.parametrize("algorithm", ["auto", "lloyd"])
@pytest.mark.parametrize("counting", [CountingChunks, CountingZarr])
def test_seeding_on_a_sample_reads_nothing_more(spread, counting, algorithm):
    """The survey, one pass an iteration, one at the end."""
    source = counting(spread, chunk=5000)
    model = fit(source.array(), algorithm=algorithm)
    assert source.passes() == model.n_passes_ == 1 + model.n_iter_ + 1
    assert model.inertia_ == pytest.approx(fit(spread, init_rounds=2).inertia_, rel=1e-3)


def test_rows_that_are_not_numbered_cost_one_pass_to_sample(spread):
    unknown = da.from_array(spread, chunks=(5000, 3)).to_dask_dataframe().to_dask_array()
    assert np.isnan(unknown.shape[0])
    found, expected = fit(unknown), fit(spread)
    assert found.n_passes_ == expected.n_passes_ + 1
    np.testing.assert_array_equal(found.cluster_centers_, expected.cluster_centers_)


def test_counted_rounds_read_all_rows(spread):
    source = CountingChunks(spread, chunk=5000)
    model = fit(source.array(), init_rounds=2, algorithm="lloyd")
    assert source.passes() == model.n_passes_ == 1 + (2 + 1) + model.n_iter_ + 1


@pytest.mark.parametrize("algorithm", ["auto", "lloyd"])
def test_what_the_sample_has_missed_is_found(spread, algorithm, monkeypatch):
    """Few rows, far away, none of them sampled: a cluster of their own, at the cost of passes."""
    left_out = np.flatnonzero(unsampled(monkeypatch, SEED))
    X = spread.copy()
    X[left_out[::500]] += 1e4
    source = CountingChunks(X, chunk=5000)
    model = fit(source.array(), k=6, algorithm=algorithm)
    # One step in vain, and the rounds over all rows, of which two are enough.
    assert source.passes() == model.n_passes_ == 1 + 1 + (2 + 1) + model.n_iter_ + 1
    far = X[:, 0] > 5e3
    assert len(set(model.labels_.compute()[far])) == 1
    assert model.cluster_sizes_.min() == far.sum() < N / 500


def test_distinct_rows_that_the_sample_has_missed(monkeypatch):
    left_out = np.flatnonzero(unsampled(monkeypatch, SEED))
    X = np.zeros((N, 2))
    X[::3] = 1.0
    X[left_out[:5]] = np.arange(2.0, 12.0).reshape(5, 2)
    model = fit(X, k=7)
    assert model.inertia_ == 0.0
    assert len(np.unique(model.labels_)) == 7


def test_restarts_and_weights(spread):
    """A row of weight two is two rows, in a sample too, as far as the sample can tell."""
    weights = np.random.default_rng(0).integers(0, 3, size=N).astype(float)
    weighted = KMeans(5, n_init=3, random_state=SEED).fit(spread, sample_weight=weights)
    repeated = KMeans(5, n_init=3, random_state=SEED).fit(np.repeat(spread, weights.astype(int), 0))
    assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=1e-3)


def test_a_sample_of_another_fit_is_not_taken_for_this_one():
    """A fit that is taken up again has the seed of the one that was interrupted."""
    rows = np.arange(2000.0)[:, None]
    cache: dict = {}
    for seed in (1, 2):
        for _ in Sample(seed, 0.25).collect(cache, 0, iter([(rows, None)])):
            pass
        (plan, [(values, _)]) = cache["sample"]
        assert plan.seed == seed
        chosen = uniform(seed, PURPOSE, 0, np.empty(2000)) < 0.25
        np.testing.assert_array_equal(values, rows[chosen])


def test_the_order_of_a_model_lasts():
    """Cluster 7 of Monday is cluster 7 of Tuesday, if Tuesday starts from Monday."""
    X, order = blobs(), [3, 1, 4, 0, 2]
    monday = KMeans(5, random_state=0, tol=0).fit(X)
    monday.cluster_centers_ = monday.cluster_centers_[order]
    new = blobs() + np.random.default_rng(1).normal(scale=0.1, size=X.shape)
    tuesday = KMeans(5, init=monday).fit(new)
    moved = np.linalg.norm(tuesday.cluster_centers_ - monday.cluster_centers_, axis=1)
    assert (moved < 0.1).all()
    assert (tuesday.labels_ == monday.predict(X)).mean() > 0.99
