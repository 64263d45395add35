"""Features of which the data has no value are left out, and come back as NaN in the centers."""

from __future__ import annotations

import logging

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import INPUTS, as_numpy, blobs
from strategies import chunkings

from dask_kmeans import KMeans, load_model, sweep

GONE = [1, 4]
KEPT = [0, 2, 3]
PARAMETERS = [{}, {"standardize": True}, {"metric": "cosine"}, {"algorithm": "lloyd"}]


def masked(n=600, seed=0):
    """Rows with two features without any value; some rows lack another, or all."""
    X = blobs(n, seed=seed)
    X[:, GONE] = np.nan
    X[7, 2] = X[300, 0] = np.nan
    X[100] = np.nan
    return X


def fitted(X, k=4, weights=None, **parameters):
    given_parameters = {"nan": "skip", "random_state": 0, "tol": 0} | parameters
    return KMeans(k, **given_parameters).fit(X, sample_weight=weights)


def check(model, alone):
    """The fit is that of the features that have values, to the bit."""
    assert np.isnan(model.cluster_centers_[:, GONE]).all()
    assert model.cluster_centers_[:, KEPT].tobytes() == alone.cluster_centers_.tobytes()
    assert model.inertia_ == alone.inertia_
    assert model.n_passes_ == alone.n_passes_
    np.testing.assert_array_equal(as_numpy(model.labels_), as_numpy(alone.labels_))


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("lazy", [False, True])
def test_it_is_the_fit_of_the_others(parameters, lazy, caplog):
    X = masked()
    chunked = da.from_array(X, chunks=(70, 2)) if lazy else X
    with caplog.at_level(logging.INFO, "dask_kmeans"):
        model = fitted(chunked, **parameters)
    alone = fitted(chunked[:, KEPT], **parameters)
    check(model, alone)
    assert any("2 feature(s) without any value are left out" in line for line in caplog.messages)
    np.testing.assert_array_equal(as_numpy(model.predict(chunked)), as_numpy(model.labels_))
    assert -model.score(chunked) == model.inertia_
    np.testing.assert_array_equal(
        as_numpy(model.transform(chunked)), as_numpy(alone.transform(chunked[:, KEPT]))
    )
    # What new rows have there has no say.
    other = np.where(np.isnan(X), 1e9, X)
    other[:, KEPT] = X[:, KEPT]
    np.testing.assert_array_equal(model.predict(other), as_numpy(model.labels_))


@pytest.mark.parametrize("name", ["zarr.Array", "xarray Dataset, dask", "pandas", "Parquet, file"])
def test_from_other_kinds_of_data(name, tmp_path):
    X = masked()
    model = fitted(INPUTS[name](X, tmp_path))
    check(model, fitted(X[:, KEPT]))


@settings(max_examples=40)
@given(st.data(), st.sampled_from(PARAMETERS), st.booleans())
def test_any_chunks_and_gaps(data, parameters, weighted):
    """Chunks that lack a feature which others have hold no row that counts."""
    X = blobs(120, 3)
    X = np.insert(X, [1, 3], np.nan, axis=1)
    rows = data.draw(st.lists(st.tuples(st.integers(0, 119), st.sampled_from([0, 2, 3])),
                              max_size=80))  # fmt: skip
    for row, feature in rows:
        X[row, feature] = np.nan
    first = data.draw(st.integers(0, 80))
    X[:first, 2] = np.nan
    weights = (np.arange(120) % 3).astype(float) if weighted else None
    if weighted:
        X[weights == 0, 1] = 7.0  # a value of no weight is none
    features = [0, 2, 3]
    counted = np.isfinite(X[:, features]).all(axis=1)
    if weighted:
        counted &= weights > 0
    if counted.sum() < 3:
        return
    chunked = da.from_array(X, chunks=data.draw(chunkings((120, 5))))
    init = X[counted][:3].copy()
    init[:, [1, 4]] = np.nan
    model = fitted(chunked, 3, weights, init=init, **parameters)
    alone = fitted(X[:, features], 3, weights, init=init[:, features], **parameters)
    assert model.cluster_centers_[:, features].tobytes() == alone.cluster_centers_.tobytes()
    assert np.isnan(model.cluster_centers_[:, [1, 4]]).all()
    assert model.inertia_ == alone.inertia_
    np.testing.assert_array_equal(as_numpy(model.labels_), alone.labels_)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_a_model_is_kept(parameters, tmp_path):
    frame = pd.DataFrame(masked(), columns=list("abcde"))
    model = fitted(frame, **parameters)
    path = str(tmp_path / "m.zarr")
    model.save(path)
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.cluster_centers_, model.cluster_centers_)
    np.testing.assert_array_equal(loaded.predict(frame), model.labels_)
    again = fitted(frame, init=loaded, **parameters)
    np.testing.assert_array_equal(again.labels_, model.labels_)
    with pytest.raises(ValueError, match=r"row 7, column 2 \('c'\)"):
        loaded.set_params(nan="raise").predict(frame)
    rows = frame.fillna(0.5)
    theirs = model.to_sklearn().predict(rows)
    np.testing.assert_array_equal(theirs, model.predict(rows))


def test_a_sweep_shares_it():
    models = sweep(masked(), [2, 3], nan="skip", random_state=0)
    assert all(np.isnan(model.cluster_centers_[:, GONE]).all() for model in models.values())


def test_a_large_fit_on_a_sample():
    X = np.repeat(masked(3000), 30, axis=0) + np.random.default_rng(0).normal(size=(90000, 5))
    check(fitted(da.from_array(X, chunks=(9000, 5)), 3), fitted(X[:, KEPT], 3))


def test_by_nan_raise_it_is_an_error():
    with pytest.raises(ValueError, match="NaN: the first is at row 0, column 1"):
        fitted(masked(), nan="raise")


def test_nodata_makes_features_that_have_no_value():
    X = np.where(np.isnan(masked()), -999, np.rint(masked() * 10)).astype(np.int16)
    model = fitted(X, nan="raise", nodata=-999)
    check(model, fitted(X[:, KEPT], nan="raise", nodata=-999))


def test_starting_centers_need_a_value_where_the_data_has_one():
    init = blobs()[:4]
    init[:, 0] = np.nan
    with pytest.raises(ValueError, match="init contains NaN at cluster 0, feature 0"):
        fitted(masked(), init=init)


def test_centers_of_nothing_are_no_model(tmp_path):
    model = fitted(masked())
    model.cluster_centers_ = np.full((4, 5), np.nan)
    with pytest.raises(ValueError, match="values that are not finite"):
        model.save(str(tmp_path / "m.zarr"))


@pytest.mark.parametrize("parameters", [{"standardize": True}, {"metric": "cosine"}])
def test_a_share_of_the_rows_goes_by_the_features_of_all(parameters):
    X = masked()
    model = fitted(X, fit_fraction=0.5, **parameters)
    alone = fitted(X[:, KEPT], fit_fraction=0.5, **parameters)
    check(model, alone)
