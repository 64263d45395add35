"""`predict(X, return_distance=True)`: the distance to the own center, in kind, in one read."""

from __future__ import annotations

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from counting import CountingChunks, CountingZarr
from hypothesis import given
from hypothesis import strategies as st
from inputs import INPUTS, KINDS_OF_LABELS, as_numpy, blobs

from dask_kmeans import KMeans

pytestmark = pytest.mark.filterwarnings("ignore:X has feature names")

X = blobs(300, 4, 5, seed=1)
METRICS = ("euclidean", "cosine")


def fitted(metric="euclidean", feature_dim=None, **parameters):
    model = KMeans(5, metric=metric, random_state=0, **parameters).fit(X)
    return model.set_params(feature_dim=feature_dim)


def by_brute_force(rows, centers, metric):
    """Labels and distances by plain NumPy."""
    if metric == "cosine":
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        away = 1 - unit @ centers.T
    else:
        away = np.sqrt(((rows[:, None] - centers) ** 2).sum(axis=2))
    return away.argmin(axis=1), away.min(axis=1)


@pytest.fixture(params=METRICS)
def model(request):
    return fitted(request.param)


@pytest.mark.parametrize("kind", INPUTS)
def test_every_kind_gets_both_in_kind(kind, tmp_path):
    model = fitted()
    made = INPUTS[kind](X, tmp_path)
    labels, distances = model.predict(made, return_distance=True)
    assert all(
        isinstance(each, KINDS_OF_LABELS.get(kind, da.Array)) for each in (labels, distances)
    )
    expected, away = by_brute_force(X, model.cluster_centers_, "euclidean")
    np.testing.assert_array_equal(as_numpy(labels), expected)
    np.testing.assert_allclose(as_numpy(distances), away, rtol=1e-12)
    assert as_numpy(labels).dtype == np.int32
    assert as_numpy(distances).dtype == np.float64


def test_distances_are_those_of_transform_to_the_last_bit(model):
    labels, distances = model.predict(X, return_distance=True)
    np.testing.assert_array_equal(labels, model.predict(X))
    np.testing.assert_array_equal(distances, model.transform(X)[np.arange(len(X)), labels])
    _, away = by_brute_force(X, model.cluster_centers_, model.metric)
    np.testing.assert_allclose(distances, away, rtol=1e-9, atol=1e-12)


def test_standardized_features_have_distances_in_their_own_unit():
    model = fitted(standardize=True)
    labels, distances = model.predict(X, return_distance=True)
    np.testing.assert_array_equal(distances, model.transform(X)[np.arange(len(X)), labels])


def test_a_row_that_is_skipped_has_no_distance():
    rows = X.copy()
    rows[[3, 77], 1] = np.nan
    model = KMeans(5, nan="skip", random_state=0).fit(rows)
    for made in (rows, da.from_array(rows, chunks=(70, 4))):
        labels, distances = map(np.asarray, model.predict(made, return_distance=True))
        assert np.flatnonzero(labels == -1).tolist() == [3, 77]
        assert np.flatnonzero(np.isnan(distances)).tolist() == [3, 77]


def test_a_series_keeps_index_and_has_no_name():
    model = fitted()
    frame = pd.DataFrame(X, index=np.arange(300) * 2)
    lazy = dd.from_pandas(frame, npartitions=3)
    for made in (frame, lazy):
        named = model.predict(made)
        both = dask.compute(*model.predict(made, return_distance=True))
        for each in both:
            assert each.name is None is named.name
            assert each.index.equals(frame.index)


def test_a_raster_keeps_its_coordinates():
    model = fitted(feature_dim="band")
    raster = xr.DataArray(
        X.reshape(10, 30, 4), dims=("y", "x", "band"), coords={"y": np.arange(10) * 0.5}
    )
    for made in (raster, raster.chunk(y=4, x=11)):
        labels, distances = model.predict(made, return_distance=True)
        assert labels.name == "labels"
        assert distances.name == "distances"
        assert distances.dims == ("y", "x")
        assert distances.y.equals(raster.y)
        assert (distances.chunks is None) == (made.chunks is None)


@pytest.mark.parametrize("source", [CountingChunks, CountingZarr])
def test_both_together_cost_one_read(source):
    model = fitted()
    counted = source(X)
    both = model.predict(counted.array(), return_distance=True)
    with dask.config.set(scheduler="threads", num_workers=2):
        labels, distances = dask.compute(*both)
    assert counted.passes() == 1
    expected, _ = by_brute_force(X, model.cluster_centers_, "euclidean")
    np.testing.assert_array_equal(labels, expected)
    assert distances.shape == labels.shape


def test_both_of_a_dask_frame_cost_one_read():
    reads = []

    def load(number):
        reads.append(number)
        return pd.DataFrame(X[number * 60 :][:60], columns=list("abcd"))

    frame = dd.from_map(load, range(5), meta=pd.DataFrame(X[:0], columns=list("abcd")))
    both = fitted().predict(frame, return_distance=True)
    reads.clear()
    with dask.config.set(scheduler="threads"):
        dask.compute(*both)
    assert sorted(reads) == list(range(5))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.sampled_from(METRICS))
def test_chunks_have_no_say(sizes, metric):
    rows = X[: sum(sizes)]
    if not len(rows):
        return
    chunks = (tuple(sizes) if sum(sizes) <= len(X) else (len(rows),), (4,))
    model = fitted(metric)
    whole = model.predict(rows, return_distance=True)
    cut = dask.compute(*model.predict(da.from_array(rows, chunks=chunks), return_distance=True))
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(one, other)
