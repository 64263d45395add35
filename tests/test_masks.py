"""No mask is lost: a masked value is refused in every argument, whatever holds it."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from dask_kmeans import KMeans

X = np.arange(24.0).reshape(12, 2) ** 1.5
MASK = np.zeros(X.shape, bool)
MASK[7, 1] = True
WEIGHTS = np.ones(12)


@pytest.fixture(scope="module")
def model():
    return KMeans(2, nan="skip", random_state=0).fit(X)


def lazy(masked):
    """A dask array whose chunks are masked."""
    chunks = (5,) + (-1,) * (masked.ndim - 1)
    return da.ma.masked_array(
        da.from_array(masked.data, chunks), mask=da.from_array(np.ma.getmaskarray(masked), chunks)
    )


def undeclared(masked):
    """A dask array of masked chunks that its meta knows nothing of."""
    return lazy(masked).map_blocks(lambda chunk: chunk, meta=np.empty((0,) * masked.ndim))


CONTAINERS = {
    "array": lambda masked: masked,
    "objects": lambda masked: masked.astype(object),
    "hard mask": lambda masked: masked.copy().harden_mask(),
    "rows": list,
    "tuple of rows": tuple,
    "dask": lazy,
    "dask, undeclared": undeclared,
    "dask, reshaped": lambda masked: lazy(masked).rechunk(2).reshape(masked.shape),
}


@pytest.mark.parametrize("dtype", ["f8", "i8", "bool"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_masked_rows_are_refused(container, dtype, model):
    data = CONTAINERS[container](np.ma.masked_array(X.astype(dtype), MASK))
    for nan in ("raise", "skip"):
        with pytest.raises(TypeError, match=r"masked array was given as X.*filled\(.*np.nan"):
            KMeans(2, nan=nan, random_state=0).fit(data)
    for method in (model.predict, model.transform, model.score):
        with pytest.raises(TypeError, match="masked array was given as X"):
            np.asarray(method(data))


@pytest.mark.parametrize("container", CONTAINERS)
def test_masked_weights_are_refused(container):
    weights = CONTAINERS[container](np.ma.masked_array(WEIGHTS, MASK[:, 1]))
    for data in (
        X,
        X.tolist(),
        da.from_array(X, (5, -1)),
        pd.DataFrame(X),
        grid(),
        grid().chunk(s=5),
    ):
        if isinstance(weights, list | tuple) and isinstance(data, xr.DataArray):
            continue  # elements of one axis: the same as for an array
        with pytest.raises(TypeError, match="masked array was given as sample_weight"):
            KMeans(2, random_state=0).fit(data, sample_weight=weights)


def grid():
    return xr.DataArray(X, dims=("s", "f"))


@pytest.mark.parametrize("container", CONTAINERS)
def test_masked_centers_are_refused(container):
    init = CONTAINERS[container](np.ma.masked_array(X, MASK)[6:8])
    for given in (init, lambda *args, **named: init):
        with pytest.raises(TypeError, match=r"masked array was given as init.*all its values"):
            KMeans(2, init=given, n_init=1).fit(X)


@pytest.mark.parametrize("container", CONTAINERS)
def test_masks_that_hide_nothing_change_nothing(container):
    def unmasked(values):
        return CONTAINERS[container](np.ma.masked_array(values, np.zeros(values.shape, bool)))

    expected = KMeans(2, init=X[[0, 9]], n_init=1).fit(X, sample_weight=WEIGHTS)
    init = X[[0, 9]] if container == "objects" else unmasked(X[[0, 9]])
    model = KMeans(2, init=init, n_init=1)
    model.fit(unmasked(X), sample_weight=unmasked(WEIGHTS))
    np.testing.assert_array_equal(model.cluster_centers_, expected.cluster_centers_)
    np.testing.assert_array_equal(np.asarray(model.labels_), expected.labels_)


def test_what_the_message_says_to_type_works():
    masked = np.ma.masked_array(X.astype(int), MASK)
    expected = np.where(MASK, np.nan, X.astype(int))
    model = KMeans(2, nan="skip", random_state=0).fit(expected)
    assert model.labels_[7] == -1
    for filled in (
        masked.astype(float).filled(np.nan),
        da.ma.filled(lazy(masked).astype(float), np.nan),
    ):
        np.testing.assert_array_equal(np.asarray(model.predict(filled)), model.labels_)
    weights = np.ma.masked_array(WEIGHTS, MASK[:, 1])
    expected = KMeans(2, random_state=0).fit(X, sample_weight=weights.filled(0))
    rows = da.from_array(X, (5, -1))
    lazily = KMeans(2, random_state=0).fit(rows, sample_weight=da.ma.filled(lazy(weights), 0))
    assert lazily.inertia_ == expected.inertia_
    KMeans(2, init=np.ma.masked_array(X, MASK)[6:8].filled(0), n_init=1).fit(X)


def test_what_other_libraries_make_of_masks_is_nan():
    """xarray and pandas turn masked values into NaN; so does NumPy with the masked constant."""
    masked = np.ma.masked_array(X, MASK)
    rows = [list(row) for row in X]
    rows[7][1] = np.ma.masked
    given = [
        xr.DataArray(masked, dims=("s", "f")),
        xr.DataArray(masked, dims=("s", "f")).chunk(s=5),
        pd.DataFrame(masked),
        pd.DataFrame({"a": X[:, 0], "b": masked[:, 1]}),
        pd.DataFrame({"a": X[:, 0], "b": pd.array(masked[:, 1].filled(np.nan), dtype="Float64")}),
    ]
    for data in given:
        assert np.asarray(KMeans(2, nan="skip", random_state=0).fit(data).labels_)[7] == -1
    with pytest.warns(UserWarning, match="masked element to nan"):
        assert KMeans(2, nan="skip", random_state=0).fit(rows).labels_[7] == -1
