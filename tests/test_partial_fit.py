"""`partial_fit`: batch after batch, about as good as a fit to all rows together."""

import os
import warnings

import numpy as np
import pandas as pd
import pytest
from inputs import INPUTS, blobs
from naive import nearest
from sklearn.exceptions import NotFittedError

from dask_kmeans import KMeans, load_model
from dask_kmeans.checks import ParameterError
from dask_kmeans.stream import most_points

BATCHES = 5


def batches(X, number=BATCHES):
    return np.array_split(X, number)


def streamed(parts, weights=None, **parameters):
    model = KMeans(**{"n_clusters": 5, "random_state": 0, **parameters})
    for number, part in enumerate(parts):
        w = None if weights is None else weights[number]
        assert model.partial_fit(part, sample_weight=w) is model
    return model


def same(a, b):
    assert a.cluster_centers_.tobytes() == b.cluster_centers_.tobytes()
    assert a.inertia_ == b.inertia_
    np.testing.assert_array_equal(a.cluster_sizes_, b.cluster_sizes_)


@pytest.mark.parametrize("order", ["mixed", "sorted"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_about_as_good_as_a_fit(order, metric):
    X = blobs(7000)
    if order == "sorted":
        X = X[np.argsort(X[:, 0])]
    parts = batches(X)
    assert len(parts[0]) > most_points(5)
    model = streamed(parts, metric=metric)
    whole = KMeans(5, metric=metric, random_state=0, n_init=5).fit(X)
    assert -model.score(X) <= 1.01 * whole.inertia_
    assert 1 < -model.inertia_ / model.score(X) < 1.1
    assert model.cluster_sizes_.sum() == len(X)
    np.testing.assert_allclose(
        model.cluster_sizes_, np.bincount(model.predict(X), minlength=5), rtol=0.05
    )
    np.testing.assert_array_equal(model.labels_, model.predict(parts[-1]))


def test_few_rows_are_all_kept():
    """Up to most of the points, batches are as good as one fit to all of their rows."""
    X = blobs(900)
    w = np.random.default_rng(0).integers(0, 3, len(X)) / 2
    model = streamed(batches(X), batches(w))
    again = KMeans(5, init=model.cluster_centers_, tol=0).fit(X, sample_weight=w)
    assert model.inertia_ == pytest.approx(again.inertia_, rel=1e-3)
    assert model.cluster_sizes_.sum() == (w > 0).sum()


def test_rows_are_remembered_until_there_are_enough():
    X = blobs(600)
    model = KMeans(5, random_state=0)
    for row in (X[:1], X[:1], X[1:4], X[3:4]):
        model.partial_fit(row)
        with pytest.raises(NotFittedError):
            model.predict(X)
    model.partial_fit(X[4:5])
    np.testing.assert_array_equal(sorted(model.cluster_centers_.tolist()), sorted(X[:5].tolist()))
    assert model.inertia_ == 0
    assert sorted(model.cluster_sizes_.tolist()) == [1, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="X has 4 features, but KMeans is expecting 5"):
        model.partial_fit(X[:, :4])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_saved_and_loaded_in_between_it_goes_on_to_the_same_bits(metric, tmp_path):
    X = blobs(4000)
    parts = batches(X, 3)
    whole, model = (
        KMeans(5, random_state=0, metric=metric),
        KMeans(5, random_state=0, metric=metric),
    )
    for number, part in enumerate(parts):
        whole.partial_fit(part)
        model.partial_fit(part)
        model.save(str(tmp_path / f"{number}.zarr"))
        model = load_model(str(tmp_path / f"{number}.zarr"))
        same(model, whole)


@pytest.mark.parametrize("kind", ["dask", "pandas", "xarray Dataset, dask", "Parquet, folder"])
def test_every_kind_of_batch(kind, tmp_path):
    X = blobs(3000)
    first, rows = INPUTS[kind](X[:1500], tmp_path), X[1500:]
    model = KMeans(5, random_state=0).partial_fit(first)
    if hasattr(model, "feature_names_in_"):
        rows = pd.DataFrame(rows, columns=model.feature_names_in_)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(rows)
    same(model, streamed([X[:1500], X[1500:]]))


def test_a_fitted_model_goes_on():
    """Yesterday's model, today's rows."""
    X = blobs(6000)
    model = KMeans(5, random_state=0).fit(X[:5000])
    before = model.cluster_centers_
    model.partial_fit(X[5000:])
    assert model.cluster_sizes_.sum() == 6000
    # Clusters keep their numbers.
    np.testing.assert_array_equal(nearest(model.cluster_centers_, before), range(5))
    assert -model.score(X) <= 1.02 * KMeans(5, random_state=0).fit(X).inertia_
    # A fit forgets all of it.
    model.fit(X[:600])
    same(model, KMeans(5, random_state=0).fit(X[:600]))
    assert model.cluster_sizes_.sum() == 600


def test_rows_that_do_not_count():
    X = blobs(2400)
    X[5, 1] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        streamed(batches(X))
    for number in (2, 24):
        model = streamed(batches(X, number), nan="skip")
        assert model.cluster_sizes_.sum() == 2399


def test_features_without_any_value():
    X = blobs()
    X[:300, 1] = np.nan
    with pytest.raises(ValueError, match=r"needs some value.*feature 1 has none"):
        KMeans(5, nan="skip").partial_fit(X[:300])
    model = KMeans(5, nan="skip", random_state=0).fit(X[:300])
    with pytest.raises(ValueError, match="feature 1 has none"):
        model.partial_fit(X[300:])


def test_what_it_does_not_take():
    for name, value in (("standardize", True), ("fit_fraction", 0.5), ("checkpoint", "c")):
        with pytest.raises(ParameterError, match=f"partial_fit takes no {name}"):
            KMeans(2, **{name: value}).partial_fit(blobs())
    with pytest.raises(NotFittedError):
        KMeans(5).partial_fit(blobs()[:2]).save("nowhere")


@pytest.mark.slow
@pytest.mark.skipif("COVERTYPE" not in os.environ, reason="COVERTYPE names no covtype.npz")
@pytest.mark.parametrize("k", [10, 50])
def test_covertype_in_100_batches(k):
    X = np.load(os.environ["COVERTYPE"])["X"]
    model = streamed(batches(X, 100), n_clusters=k)
    assert -model.score(X) <= 1.03 * KMeans(k, random_state=0).fit(X).inertia_
