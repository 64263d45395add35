"""Rasters: which dimension holds the bands, their names, their place; and the accessor."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from inputs import as_numpy

import dask_kmeans.xarray  # noqa: F401
from dask_kmeans import KMeans
from dask_kmeans.read import as_points

RNG = np.random.default_rng(0)
DAYS = pd.date_range("2001", periods=4)

LIKELY = [
    ({"y": 5, "x": 6, "band": 3}, {}, "'band'"),
    ({"Band": 7, "y": 5, "x": 6}, {}, "'Band'"),
    ({"wavelength": 30, "y": 5, "x": 6}, {}, "'wavelength'"),
    ({"y": 5, "x": 6, "what": 9}, {"what": list("abcdefghi")}, "'what'"),
    ({"kind": 4, "lat": 5, "lon": 3}, {}, "'kind'"),
    ({"a": 5, "b": 3, "c": 4}, {}, "'b'"),
    ({"time": 4, "lat": 5, "lon": 6}, {}, "('lat', 'lon')"),
    ({"when": 4, "y": 5, "x": 6}, {"when": DAYS}, "('y', 'x')"),
    ({"time": 4, "station": 5, "level": 3}, {}, "'level'"),
]


@pytest.mark.parametrize(("sizes", "coords", "likely"), LIKELY)
def test_the_dimension_that_looks_like_bands_is_proposed(sizes, coords, likely):
    data = xr.DataArray(RNG.normal(size=tuple(sizes.values())), coords, tuple(sizes))
    for given in (data, data.chunk()):
        with pytest.raises(ValueError, match="nothing says which") as caught:
            as_points(given)
        assert str(caught.value).endswith(f"type KMeans(feature_dim={likely})")


def raster(dims, dtype=np.uint8):
    values = RNG.integers(0, 200, (3, 20, 30)).astype(dtype)
    coords = {"band": [2, 3, 4], "y": np.arange(20.0)[::-1], "x": np.arange(30.0)}
    data = xr.DataArray(values, coords, ("band", "y", "x"), attrs={"_FillValue": 255})
    data[:, 4, 5] = 255
    data[1, 6, 7] = 255
    return data.rio.write_crs("EPSG:32633").transpose(*dims)


@pytest.mark.parametrize("dims", ["band y x", "y x band", "y band x", "x y band"])
@pytest.mark.parametrize("lazy", [False, True])
def test_bands_in_any_place(dims, lazy):
    data = raster(dims.split())
    given = data.chunk(y=7, x=11, band=2) if lazy else data
    model = KMeans(3, feature_dim="band", random_state=0).fit(given)
    assert model.feature_names_in_.tolist() == ["2", "3", "4"]
    labels = model.labels_
    assert labels.dims == tuple(dim for dim in data.dims if dim != "band")
    assert labels.rio.crs == "EPSG:32633"
    rows = data.transpose(*labels.dims, "band").values.reshape(-1, 3)
    plain = KMeans(3, random_state=0, nodata=255).fit(rows)
    np.testing.assert_array_equal(as_numpy(labels), plain.labels_)
    assert int((labels == -1).sum()) == 2
    centers = model.labelled_centers_
    assert centers.dims == ("cluster", "band")
    assert centers.band.values.tolist() == [2, 3, 4]


def test_the_accessor():
    data = raster(("band", "y", "x"))
    model = data.kmeans.fit(3, feature_dim="band", random_state=0)
    expected = KMeans(3, feature_dim="band", random_state=0).fit(data)
    assert model.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
    xr.testing.assert_identical(data.kmeans.predict(model), expected.labels_)
    labels, distances = data.kmeans.predict(model, return_distance=True)
    assert distances.dims == labels.dims
    dataset = data.to_dataset("band").rename({2: "b2", 3: "b3", 4: "b4"})
    weights = xr.ones_like(dataset.y)
    of_variables = dataset.kmeans.fit(2, sample_weight=weights, nodata=255, random_state=0)
    assert of_variables.feature_names_in_.tolist() == ["b2", "b3", "b4"]
    assert dataset.kmeans.predict(of_variables).dims == ("y", "x")


def test_the_accessor_comes_with_its_module_alone():
    said = "import dask_kmeans, xarray as xr; print(hasattr(xr.DataArray([1.0]), 'kmeans'))"
    ran = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
