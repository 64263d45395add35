"""Weights of features: a squared difference counts so many times."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr
from inputs import INPUTS, as_numpy, blobs

from dask_kmeans import BisectingKMeans, KMeans, load_model, sweep

WEIGHTS = np.array([1.0, 4.0, 0.25, 16.0, 9.0])
"""Squares of powers of two, or of three, so that roots are exact."""


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.filterwarnings("ignore:.*look like identifiers")
def test_a_fit_is_that_of_scaled_features(kind, tmp_path):
    X = blobs(n=300)
    expected = KMeans(3, random_state=0).fit(X * np.sqrt(WEIGHTS))
    data = INPUTS[kind](X, tmp_path)
    model = KMeans(3, feature_weight=WEIGHTS, random_state=0).fit(data)
    np.testing.assert_array_equal(as_numpy(model.labels_), expected.labels_)
    np.testing.assert_allclose(
        model.cluster_centers_, expected.cluster_centers_ / np.sqrt(WEIGHTS), rtol=1e-13
    )
    assert model.inertia_ == pytest.approx(expected.inertia_, rel=1e-13)
    assert -model.score(data) == model.inertia_


def test_an_integer_weight_repeats_a_feature():
    X = blobs(n=300)
    repeated = KMeans(3, random_state=0, init=X[:3, [0, 0, 1, 2, 3, 4]]).fit(
        X[:, [0, 0, 1, 2, 3, 4]]
    )
    model = KMeans(3, feature_weight=[2, 1, 1, 1, 1], random_state=0, init=X[:3]).fit(X)
    np.testing.assert_array_equal(model.labels_, repeated.labels_)


def test_after_standardizing_stored_and_everywhere(tmp_path):
    X = blobs(n=300) * [1, 10, 100, 1000, 1]
    Z = (X - X.mean(0)) / X.std(0) * np.sqrt(WEIGHTS)
    options = {"standardize": True, "feature_weight": WEIGHTS, "random_state": 0}
    model = KMeans(3, **options).fit(X)
    expected = KMeans(3, random_state=0).fit(Z)
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    model.save(str(tmp_path / "m"))
    loaded = load_model(str(tmp_path / "m"))
    np.testing.assert_array_equal(loaded.predict(X), model.labels_)
    np.testing.assert_allclose(loaded.transform(X), expected.transform(Z), rtol=1e-9)
    np.testing.assert_array_equal(model.to_sklearn().predict(X), model.labels_)
    np.testing.assert_allclose(
        model.describe(X).table["x3_mean"], model.cluster_centers_[:, 3], rtol=1e-12
    )
    np.testing.assert_array_equal(model.coarsen(2).predict(X).shape, (300,))
    np.testing.assert_array_equal(sweep(X, [3], **options)[3].labels_, model.labels_)
    tree = BisectingKMeans(3, **options).fit(X)
    scaled = BisectingKMeans(3, random_state=0).fit(Z)
    np.testing.assert_array_equal(tree.labels_, scaled.labels_)


def test_by_names():
    frame = pd.DataFrame(blobs(n=300), columns=list("abcde"))
    expected = KMeans(3, feature_weight=[1, 4, 1, 1, 1], random_state=0).fit(frame)
    for given in ({"b": 4}, pd.Series({"b": 4.0})):
        for X in (frame, pl.from_pandas(frame)):
            model = KMeans(3, feature_weight=given, random_state=0).fit(X)
            np.testing.assert_array_equal(model.labels_, expected.labels_)


@pytest.mark.parametrize("chunks", [None, {"time": 7}])
def test_a_field_by_area(chunks):
    """The cosine of latitude, by its labels; land, which has no values, is left out."""
    rng = np.random.default_rng(0)
    field = xr.DataArray(
        rng.normal(size=(60, 4, 3)), dims=("time", "lat", "lon"),
        coords={"lat": [80.0, 60, 30, 0], "lon": [0.0, 1, 2]},
    ).where(lambda each: each.lon + each.lat != 61)  # fmt: skip
    weights = np.cos(np.deg2rad(field.lat))
    there = field.stack(place=("lat", "lon")).dropna("place")
    by_hand = there * np.sqrt(np.cos(np.deg2rad(there.lat)))
    expected = KMeans(3, random_state=0).fit(by_hand.values)
    for given in (weights, weights[::-1], weights.broadcast_like(field[0]).transpose("lon", "lat"),
                  weights.broadcast_like(field[0]).values):  # fmt: skip
        model = KMeans(
            3, feature_dim=("lat", "lon"), nan="skip", feature_weight=given, random_state=0
        ).fit(field.chunk(chunks) if chunks else field)
        np.testing.assert_array_equal(as_numpy(model.labels_), expected.labels_)
        np.testing.assert_array_equal(as_numpy(model.predict(field)), expected.labels_)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.ones(4), "has shape \\(4,\\), and it needs"),
        ([1, 2, 3, 4, 0], "has 0 for feature 4"),
        ([1, 2, 3, 4, np.nan], "has nan for feature 4"),
        ({"z": 1}, "has 'z'"),
    ],
)
def test_refusals(given, said):
    with pytest.raises(ValueError, match=said):
        KMeans(2, feature_weight=given).fit(blobs(n=50))


def test_refusals_of_others():
    with pytest.raises(ValueError, match="unit vectors"):
        KMeans(2, feature_weight=WEIGHTS, metric="cosine").fit(blobs(n=50))
    with pytest.raises(ValueError, match="partial_fit takes no feature_weight"):
        KMeans(2, feature_weight=WEIGHTS).partial_fit(blobs(n=50))
    field = xr.DataArray(np.ones((4, 3)), dims=("t", "x"), coords={"x": [1, 2, 3]})
    weights = xr.DataArray(np.ones(3), dims="x", coords={"x": [1, 2, 4]})
    with pytest.raises(ValueError, match="feature_weight and X have other labels"):
        KMeans(2, feature_dim="x", feature_weight=weights).fit(field)
