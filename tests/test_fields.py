"""Fields as features: each sample is a map, land is left out, centers come back as maps."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from inputs import as_numpy
from sklearn.cluster import KMeans as SklearnKMeans

from dask_kmeans import KMeans, load_model
from dask_kmeans.read import as_points

RNG = np.random.default_rng(0)
LAND = RNG.uniform(size=(12, 20)) < 0.3
T = 200


def field(name="z500"):
    """Four regimes of a sea, a day each; land has no value, and one day has a gap."""
    regimes = RNG.normal(0, 60, (4, 12, 20))
    values = regimes[RNG.integers(0, 4, T)] + RNG.normal(0, 20, (T, 12, 20))
    values[:, LAND] = np.nan
    values[17, ~LAND] = np.where(np.arange((~LAND).sum()) == 5, np.nan, 1.0)
    coords = {
        "time": pd.date_range("2001-01-01", periods=T),
        "lat": ("lat", np.linspace(60, 30, 12), {"units": "degrees_north"}),
        "lon": ("lon", np.arange(20.0) * 1.5, {"units": "degrees_east"}),
        "area": (("lat", "lon"), RNG.uniform(1, 2, (12, 20))),
        "season": ("time", np.arange(T) % 4),
        "level": np.int32(500),
    }
    attributes = {"units": "m", "long_name": "geopotential height", "_FillValue": np.nan}
    data = xr.DataArray(values, coords, ("time", "lat", "lon"), name, attributes)
    return data.rio.write_crs("EPSG:4326")


FIELD = field()
SEA = (
    FIELD.stack(place=("lat", "lon"))
    .dropna("place", how="all")
    .dropna("time")
    .transpose("time", ...)
)
DIMS = ("lat", "lon")


def fitted(data, k=4, feature_dim=DIMS, **parameters):
    given = {"nan": "skip", "random_state": 0, "tol": 0, "feature_dim": feature_dim} | parameters
    return KMeans(k, **given).fit(data)


@pytest.mark.parametrize(
    "dims", [("time", "lat", "lon"), ("lat", "time", "lon"), ("lon", "lat", "time")]
)
@pytest.mark.parametrize("chunks", [None, {"time": 30}, {"time": 50, "lat": 5, "lon": 7}])
def test_like_scikit_learn_on_the_stacked_masked_matrix(dims, chunks):
    data = FIELD.transpose(*dims)
    data = data if chunks is None else data.chunk(chunks)
    start = SEA.values[:4]
    theirs = SklearnKMeans(4, init=start, n_init=1, tol=0).fit(SEA.values)
    init = np.full((4, 240), np.nan)
    init[:, ~LAND.ravel()] = start
    model = fitted(data, init=init)
    centers = model.labelled_centers_
    assert centers.dims == ("cluster", *DIMS)
    np.testing.assert_allclose(centers.values[:, ~LAND], theirs.cluster_centers_, rtol=1e-9)
    assert np.isnan(centers.values[:, LAND]).all()
    np.testing.assert_allclose(model.inertia_, theirs.inertia_, rtol=1e-9)
    labels = model.labels_
    assert (labels.chunks is not None) == (chunks is not None)
    np.testing.assert_array_equal(labels.sel(time=SEA.time), theirs.labels_)
    assert labels.values[17] == -1


@pytest.mark.parametrize("lazy", [False, True])
def test_coordinates_and_attributes_come_back(lazy, tmp_path):
    data = FIELD.chunk(time=60) if lazy else FIELD
    model = fitted(data)
    labels, centers = model.labels_, model.labelled_centers_
    assert set(labels.coords) == {"time", "season", "level", "spatial_ref"}
    xr.testing.assert_identical(
        labels.time, FIELD.time.drop_vars(set(FIELD.time.coords) - set(labels.coords))
    )
    assert labels.dims == ("time",)
    for name in ("lat", "lon", "area", "level", "spatial_ref"):
        xr.testing.assert_identical(centers[name].variable, FIELD[name].variable)
    assert set(centers.coords) == {"cluster", "lat", "lon", "area", "level", "spatial_ref"}
    assert centers.rio.crs == "EPSG:4326"
    assert centers.name == "z500"
    assert centers.attrs["units"] == "m"
    assert "_FillValue" not in centers.attrs
    # What a model on disk gives is the same.
    model.save(str(tmp_path / "m.zarr"))
    loaded = load_model(str(tmp_path / "m.zarr"))
    xr.testing.assert_identical(loaded.labelled_centers_, centers)
    assert loaded.labelled_centers_.rio.crs == "EPSG:4326"
    assert loaded.feature_dim == DIMS
    np.testing.assert_array_equal(loaded.predict(data), labels)
    distances = loaded.transform(data)
    assert distances.dims == ("time", "cluster")
    sea = ~LAND.ravel()
    rows, means = FIELD.values.reshape(T, -1)[:, sea], model.cluster_centers_[:, sea]
    expected = np.sqrt(((rows[:, None] - means) ** 2).sum(axis=2))
    np.testing.assert_allclose(distances.values, expected, rtol=1e-9)
    centers.to_netcdf(tmp_path / "centers.nc")
    xr.testing.assert_allclose(
        xr.open_dataset(tmp_path / "centers.nc", decode_coords="all").z500, centers
    )


def test_features_that_lie_elsewhere_are_refused():
    model = fitted(FIELD)
    with pytest.raises(ValueError, match="coordinate 'lat' has another order"):
        model.predict(FIELD[:, ::-1])
    np.testing.assert_array_equal(
        model.predict(FIELD[:, ::-1].sel(lat=model.labelled_centers_["lat"])), model.labels_
    )
    with pytest.raises(ValueError, match="coordinate 'lon' has other values"):
        model.predict(FIELD.assign_coords(lon=FIELD.lon + 1))
    np.testing.assert_array_equal(
        model.predict(FIELD.transpose("lon", "time", "lat")), model.labels_
    )
    np.testing.assert_array_equal(model.predict(FIELD.values.reshape(T, -1)), model.labels_)


@pytest.mark.parametrize("lazy", [False, True])
def test_samples_along_several_dimensions_and_weights(lazy):
    data = FIELD.assign_coords(time=np.arange(T)).fillna(0.0)
    by_year = xr.DataArray(
        data.values.reshape(10, 20, 12, 20), dims=("member", "day", "lat", "lon")
    )
    weights = xr.DataArray(np.arange(20) + 1.0, dims="day")
    given = by_year.chunk(member=3) if lazy else by_year
    model = KMeans(3, feature_dim=["lat", "lon"], random_state=0).fit(given, sample_weight=weights)
    rows = data.values.reshape(T, -1)
    plain = KMeans(3, random_state=0).fit(rows, sample_weight=np.tile(np.arange(20) + 1.0, 10))
    assert model.cluster_centers_.tobytes() == plain.cluster_centers_.tobytes()
    assert model.labels_.dims == ("member", "day")
    np.testing.assert_array_equal(as_numpy(model.labels_), plain.labels_)


@pytest.mark.parametrize("parameters", [{"standardize": True}, {"metric": "cosine"}])
def test_standardized_and_by_cosine(parameters):
    sea = KMeans(4, random_state=0, tol=0, nan="skip", **parameters).fit(
        FIELD.values.reshape(T, -1)[:, ~LAND.ravel()]
    )
    model = fitted(FIELD.chunk(time=45), **parameters)
    assert model.labelled_centers_.values[:, ~LAND].tobytes() == sea.cluster_centers_.tobytes()
    np.testing.assert_array_equal(as_numpy(model.labels_), sea.labels_)


@pytest.mark.parametrize("lazy", [False, True])
def test_several_fields_in_a_dataset(lazy):
    data = xr.Dataset({"u": FIELD, "v": FIELD.astype("f4") * 0.1}).drop_vars("area")
    given = data.chunk(time=33) if lazy else data
    model = fitted(given)
    assert model.labelled_centers_.dims == ("cluster", "variable", *DIMS)
    assert model.labelled_centers_["variable"].values.tolist() == ["u", "v"]
    both = np.concatenate([data.u.values.reshape(T, -1), data.v.values.reshape(T, -1)], axis=1)
    plain = KMeans(4, random_state=0, tol=0, nan="skip").fit(both.astype(float))
    np.testing.assert_array_equal(as_numpy(model.labels_), plain.labels_)
    np.testing.assert_array_equal(model.predict(given), model.labels_)


def test_centers_in_the_kind_of_other_data():
    rows = RNG.normal(size=(60, 3))
    assert KMeans(2).fit(rows).labelled_centers_.shape == (2, 3)
    model = KMeans(2).fit(pd.DataFrame(rows, columns=list("abc")))
    table = model.labelled_centers_
    assert isinstance(table, pd.DataFrame)
    assert table.columns.tolist() == ["a", "b", "c"]
    assert table.index.name == "cluster"
    np.testing.assert_array_equal(table, model.cluster_centers_)
    raster = xr.DataArray(
        rows.reshape(6, 10, 3), {"cluster": np.arange(10), "band": list("rgb")},
        ("y", "cluster", "band"), attrs={"units": "1"},
    )  # fmt: skip
    centers = KMeans(2, feature_dim="band").fit(raster).labelled_centers_
    assert centers.dims == ("cluster", "band")
    assert centers.band.values.tolist() == ["r", "g", "b"]
    dataset = raster.to_dataset("band")
    centers = KMeans(2).fit(dataset).labelled_centers_
    assert centers.dims == ("cluster", "variable")
    assert not hasattr(KMeans(2), "labelled_centers_")


@pytest.mark.parametrize(
    "given", [("lat", "lat"), ("lat", "x"), (), ("time", "lat", "lon"), ["time", "lon", "lat"]]
)
def test_dimensions_that_cannot_be(given):
    with pytest.raises(ValueError, match="is not some of the dimensions of X"):
        as_points(FIELD, feature_dim=given)


COORDINATES = {
    "texts": (["a", "Höhe", ""], {"note": "x"}),
    "times": (pd.date_range("2001", periods=3), {}),
    "spans": (pd.to_timedelta([1, 2, 5], "h"), {}),
    "whole": (np.array([3, 1, 2], np.uint8), {"scale": np.float32(2), "list": np.arange(2)}),
    "truth": ([True, False, True], {}),
    "gaps": ([1.5, np.nan, 0.1], {}),
}


@pytest.mark.parametrize("name", COORDINATES)
def test_coordinates_of_every_kind_are_kept(name, tmp_path):
    values, attrs = COORDINATES[name]
    data = xr.DataArray(RNG.normal(size=(20, 3)), {"f": ("f", values, attrs)}, ("t", "f"))
    model = KMeans(2, random_state=0).fit(data)
    model.save(str(tmp_path / "m.zarr"))
    loaded = load_model(str(tmp_path / "m.zarr")).labelled_centers_
    xr.testing.assert_equal(loaded, model.labelled_centers_)
    assert loaded.f.dtype.kind == model.labelled_centers_.f.dtype.kind or name == "texts"
    assert set(loaded.f.attrs) == set(attrs)


@pytest.mark.parametrize(
    "changed",
    [{"shape": [3, 5]}, {"dims": ["lat"]}, {"coords": {"lat": {}}}, {"name": ["a"]}, {"more": 1},
     [], 3,
     {"coords": {"lat": {"dims": ["lat"], "dtype": "O", "values": [0] * 12, "attrs": {}}}}],
)  # fmt: skip
def test_damaged_descriptions_are_refused(changed, tmp_path):
    fitted(FIELD).save(str(tmp_path / "m.zarr"))
    path = tmp_path / "m.zarr" / "zarr.json"
    stored = json.loads(path.read_text())
    features = stored["attributes"]["features"]
    stored["attributes"]["features"] = features | changed if isinstance(changed, dict) else changed
    path.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match="is not a valid model"):
        load_model(str(tmp_path / "m.zarr"))


def test_names_that_json_has_no_form_for(tmp_path):
    data = xr.DataArray(RNG.normal(size=(20, 3, 2)), dims=("t", 5, "x"))
    model = KMeans(2, random_state=0, feature_dim=(5, "x")).fit(data)
    assert model.labelled_centers_.dims == ("cluster", 5, "x")
    model.save(str(tmp_path / "m.zarr"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_model(str(tmp_path / "m.zarr")).labelled_centers_.shape == (2, 6)


def test_a_coarser_model_keeps_the_maps(tmp_path):
    fine = fitted(FIELD, 6)
    coarse = fine.coarsen(2)
    maps = coarse.labelled_centers_
    np.testing.assert_array_equal(maps.values.reshape(2, -1), coarse.cluster_centers_)
    assert maps.dims == ("cluster", *DIMS)
    assert maps.attrs == fine.labelled_centers_.attrs
    for dim in DIMS:
        xr.testing.assert_identical(maps[dim], fine.labelled_centers_[dim])
    coarse.save(str(tmp_path / "coarse.zarr"))
    loaded = load_model(str(tmp_path / "coarse.zarr"))
    xr.testing.assert_equal(loaded.labelled_centers_, maps)
    expected = np.where(fine.labels_ < 0, -1, coarse.parent_[fine.labels_])
    np.testing.assert_array_equal(loaded.predict(FIELD), expected)
