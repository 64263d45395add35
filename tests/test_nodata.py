"""Numbers that stand for no value: their rows have no influence, wherever the rows come from."""

from __future__ import annotations

import logging
import warnings

import dask.array as da
import naive
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import INPUTS, as_numpy, blobs
from strategies import chunkings

from dask_kmeans import KMeans, cli, load_model, sweep
from dask_kmeans.read import as_points
from dask_kmeans.read.transforms import Standardization, UnitRows

NODATA = -9999
GONE = [0, 3, 77, 78, 599]
"""Rows without a value in one feature or more."""


def integers(seed=0):
    """Rows of small integers, and the same with some that stand for nothing."""
    whole = np.rint(blobs(seed=seed) * 10)
    holed = whole.copy()
    holed[GONE[:-1], [0, 1, 4, 2]] = NODATA
    holed[GONE[-1]] = NODATA
    return whole, holed


def fitted(X, k=4, weights=None, **parameters):
    given_parameters = {"nodata": NODATA, "random_state": 0, "tol": 0} | parameters
    return KMeans(k, **given_parameters).fit(X, sample_weight=weights)


def check(model, whole, counted, **parameters):
    """The fit is that of the rows that count alone; the others have no label."""
    alone = KMeans(4, random_state=0, tol=0, **parameters).fit(whole[counted])
    assert model.cluster_centers_.tobytes() == alone.cluster_centers_.tobytes()
    assert model.inertia_ == alone.inertia_
    labels = as_numpy(model.labels_)
    np.testing.assert_array_equal(labels[counted], alone.labels_)
    assert (labels[~counted] == -1).all()


def counting(n=600):
    counted = np.ones(n, bool)
    counted[GONE] = False
    return counted


@pytest.mark.parametrize("name", INPUTS)
def test_from_every_kind_of_data(name, tmp_path):
    whole, holed = integers()
    data = INPUTS[name](holed, tmp_path)
    model = fitted(data, init=whole[10:14])
    check(model, whole, counting(), init=whole[10:14])
    np.testing.assert_array_equal(as_numpy(model.predict(data)), as_numpy(model.labels_))
    assert -model.score(data) == model.inertia_


@pytest.mark.parametrize("dtype", ["i2", "i4", "i8", "f2", "f4", "f8"])
@pytest.mark.parametrize("parameters", [{}, {"standardize": True}, {"metric": "cosine"}])
@pytest.mark.parametrize("lazy", [False, True])
def test_every_dtype_and_metric(dtype, parameters, lazy):
    whole, holed = (X.astype(dtype) for X in integers())
    data = da.from_array(holed, chunks=(77, 5)) if lazy else holed
    init = whole[10:14].astype(float)
    check(fitted(data, init=init, **parameters), whole, counting(), init=init, **parameters)


@settings(max_examples=30)
@given(st.data(), st.booleans())
def test_any_chunks_give_the_same_bits(data, weighted):
    holed = integers()[1].astype(np.int16)
    weights = np.arange(600) % 5 + 0.5 if weighted else None
    expected = fitted(holed, weights=weights)
    chunked = da.from_array(holed, chunks=data.draw(chunkings((600, 5))))
    found = fitted(chunked, weights=weights)
    assert found.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
    assert found.inertia_ == expected.inertia_
    np.testing.assert_array_equal(as_numpy(found.labels_), expected.labels_)


def test_a_value_is_compared_in_its_own_dtype():
    """1e20 as float32 has it; integers beyond float64's 53 bits exactly; none that cannot be."""
    large = np.array([[2**62], [2**62 + 1], [-(2**63)], [5]])
    for rows, nodata, gone in (
        (large, 2**62 + 1, [1]),
        (large, -(2**63), [2]),
        (large.astype("u8"), 2**63, [2]),
        (np.array([[1e20], [1], [3], [5]], "f4"), 1e20, [0]),
        (np.array([[0.1], [1], [3], [5]], "f2"), 0.1, [0]),
        (np.array([[1], [2], [3], [5]], "u1"), 257, []),
        (np.array([[1], [2], [3], [5]], "u1"), 1.5, []),
        (np.array([[1], [2], [3], [5]], "i2"), 2.0, [1]),
    ):
        labels = KMeans(2, nodata=nodata, random_state=0).fit(rows).labels_
        assert np.flatnonzero(labels < 0).tolist() == gone


def test_nan_is_another_thing():
    """By nan="raise" an error is told where the NaN is, though rows before it have nodata."""
    _, holed = integers()
    holed[100, 2] = np.nan
    for data in (holed, da.from_array(holed, chunks=(50, 5))):
        with pytest.raises(ValueError, match="NaN: the first is at row 100, column 2"):
            fitted(data)
        model = fitted(data, nan="skip")
        assert (as_numpy(model.labels_)[[0, 100]] == -1).all()
        model.set_params(nan="raise")
        with pytest.raises(ValueError, match="NaN: the first is at row 100, column 2"):
            as_numpy(model.predict(data))
    holed[100, 2] = np.inf
    with pytest.raises(ValueError, match="inf is at row 100, column 2"):
        fitted(holed, nan="skip")


def test_transforms_tell_nodata_from_nan():
    row = as_points(np.array([[1.0, NODATA]]), nodata=NODATA).forward(np.array([[1.0, NODATA]]))
    bits = row[0, 1:].view(np.uint64)
    for transform in (Standardization(np.ones(2), np.ones(2)), UnitRows()):
        assert transform.forward(row)[0, 1:].view(np.uint64) == bits


def test_all_of_it_is_an_error():
    with pytest.raises(ValueError, match=r"Every one of the 5 rows contains NaN \(or nodata\)"):
        fitted(np.full((5, 2), NODATA), 1)


def test_a_model_keeps_it(tmp_path):
    _, holed = integers()
    model = fitted(holed)
    model.save(str(tmp_path / "m.zarr"))
    loaded = load_model(str(tmp_path / "m.zarr"))
    assert loaded.nodata == NODATA
    np.testing.assert_array_equal(loaded.predict(holed), model.labels_)
    models = sweep(holed, [2, 4], nodata=NODATA, random_state=0)
    assert (models[4].labels_[GONE] == -1).all()


# What the data says itself


def relief(dtype=np.int16):
    """Heights with a sea of no value, as a reader of rasters leaves them."""
    rng = np.random.default_rng(0)
    heights = rng.integers(-50, 4000, (1, 30, 40)).astype(dtype)
    heights[0, 10:, :15] = NODATA
    return xr.DataArray(heights, dims=("band", "y", "x"))


SAYINGS = [
    ({"_FillValue": NODATA}, {}),
    ({"missing_value": np.array([NODATA], np.int16)}, {}),
    ({"nodata": np.float64(NODATA), "_FillValue": float("nan")}, {}),
    ({}, {"_FillValue": NODATA}),
]


@pytest.mark.parametrize(("attributes", "encoding"), SAYINGS)
@pytest.mark.parametrize("lazy", [False, True])
def test_attributes_and_encoding_are_taken_at_their_word(attributes, encoding, lazy, caplog):
    data = relief()
    sea = data.values[0] == NODATA
    data.attrs, data.encoding = attributes, encoding
    given_data = data.chunk(y=7) if lazy else data
    with caplog.at_level(logging.INFO, "dask_kmeans"):
        model = KMeans(3, feature_dim="band", random_state=0).fit(given_data)
    said = [line for line in caplog.messages if "no value" in line]
    assert len(said) == 1
    assert "-9999" in said[0]
    assert "nodata=False" in said[0]
    np.testing.assert_array_equal(as_numpy(model.labels_) == -1, sea.ravel())
    assert model.cluster_centers_.min() > -50  # no cluster of nodata
    # Labels know it of data that says nothing, and of data that says something else.
    bare = xr.DataArray(data.values, dims=data.dims)
    np.testing.assert_array_equal(model.predict(bare).values == -1, sea)
    other = bare.assign_attrs(_FillValue=7).where(~sea, 7)
    np.testing.assert_array_equal(model.predict(other).values == -1, sea | (bare.values[0] == 7))
    taken = KMeans(3, feature_dim="band", nodata=False, random_state=0).fit(given_data)
    assert taken.cluster_centers_.min() == NODATA


def test_what_is_decoded_is_not_decoded_twice():
    """xarray has made NaN of the fill value and keeps it in the encoding; 0 is a value then."""
    data = relief(np.float32).where(lambda heights: heights != NODATA)
    data[0, 0, 0] = 0
    data.encoding["_FillValue"] = 0.0
    with pytest.raises(ValueError, match="contains NaN"):
        KMeans(3, feature_dim="band", random_state=0).fit(data)
    labels = KMeans(3, feature_dim="band", nan="skip", random_state=0).fit(data).labels_
    assert labels.values[0, 0] >= 0


@pytest.mark.parametrize("lazy", [False, True])
def test_each_variable_of_a_dataset_says_its_own(lazy, tmp_path):
    rng = np.random.default_rng(0)
    data = xr.Dataset({
        "height": (("y", "x"), rng.integers(0, 200, (20, 30)).astype(np.int16)),
        "cover": (("y", "x"), rng.integers(0, 100, (20, 30)).astype(np.uint8)),
        "slope": (("y", "x"), rng.uniform(size=(20, 30)).astype(np.float32)),
    })  # fmt: skip
    data.height[3, 4], data.cover[5, 6], data.slope[7, 8], data.height[9, 9] = -1, 255, 1e20, 255
    data.height.attrs["_FillValue"], data.cover.attrs["_FillValue"] = -1, 255
    data.slope.attrs["missing_value"] = 1e20
    given_data = data.chunk(y=6, x=11) if lazy else data
    model = KMeans(3, random_state=0).fit(given_data)
    gone = {tuple(at) for at in np.argwhere(model.labels_.values == -1).tolist()}
    assert gone == {(3, 4), (5, 6), (7, 8)}
    model.save(str(tmp_path / "m.zarr"))
    loaded = load_model(str(tmp_path / "m.zarr"))
    rows = np.array([[-1, 5, 0.5], [5, -1, 0.5], [5, 255, 0.5], [255, 5, 0.5]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rows have no names
        assert (loaded.predict(rows) == -1).tolist() == [True, False, True, False]
        assert naive.nearest(rows[[1, 3]], model.cluster_centers_).tolist() == (
            loaded.predict(rows)[[1, 3]].tolist()
        )


def test_in_the_shell(tmp_path):
    _, holed = integers()
    zarr.create_array(tmp_path / "x.zarr", data=holed.astype(np.int16), chunks=(100, 5))
    source, model, labels = (str(tmp_path / name) for name in ("x.zarr", "m.zarr", "l.npy"))
    for arguments in (
        ["fit", source, "--n-clusters", "4", "--model", model, "--nodata", "-9999", "--tol", "0"],
        ["predict", source, "--model", model, "--labels", labels],
    ):
        with pytest.raises(SystemExit) as end:
            cli.main([*arguments, "--quiet"])
        assert end.value.code == 0
    assert load_model(model).cluster_centers_.tobytes() == fitted(holed).cluster_centers_.tobytes()
    assert np.flatnonzero(np.load(labels) == -1).tolist() == GONE
