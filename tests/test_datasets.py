"""Zarr groups that xarray wrote: by path in Python, and from the shell."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr

from dask_kmeans import KMeans, cli, load_model, open_source

RNG = np.random.default_rng(0)
DIMS = ("time", "lat", "lon")
SIZES = (30, 6, 8)


def weather():
    """Two variables, one of them packed with gaps, a text, bounds, and coordinates of all kinds."""
    u = RNG.normal(0, 3, SIZES) + 10 * RNG.integers(0, 3, SIZES)
    u[3, 2, 1] = np.nan
    made = xr.Dataset(
        {
            "u": (DIMS, u, {"units": "m s-1"}),
            "v": (DIMS, RNG.normal(size=SIZES).astype("f4")),
            "station": ("lat", list("abcdef")),
            "lat_bnds": (("lat", "edge"), np.zeros((6, 2))),
        },
        {
            "time": pd.date_range("2001-01-01", periods=30),
            "lat": ("lat", np.linspace(60, 30, 6), {"bounds": "lat_bnds"}),
            "lon": np.arange(8.0),
            "area": (("lat", "lon"), RNG.uniform(1, 2, SIZES[1:])),
            "level": 500,
        },
    )
    made.u.encoding.update(dtype="i2", scale_factor=0.01, _FillValue=-32768)
    return made.chunk(time=7)


WEATHER = weather()


@pytest.fixture(params=[2, 3])
def url(tmp_path, request):
    WEATHER.to_zarr(tmp_path / "weather.zarr", zarr_format=request.param)
    return str(tmp_path / "weather.zarr")


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main([str(each) for each in arguments])
        return end.value.code, capsys.readouterr().err

    return call


def fitted(X, **parameters):
    return KMeans(3, random_state=0, nan="skip", **parameters).fit(X)


@pytest.mark.filterwarnings("ignore:.*without numbers left out")
def test_from_python_as_the_opened_dataset(url):
    opened = xr.open_zarr(url)
    expected = fitted(opened[["u", "v"]])
    for X in (url, open_source(url), zarr.open_group(url, mode="r")):
        model = fitted(X)
        np.testing.assert_array_equal(model.cluster_centers_, expected.cluster_centers_)
        xr.testing.assert_equal(model.labels_.compute(), expected.labels_.compute())
        assert model.labelled_centers_.dims == ("cluster", "variable")
    assert (expected.labels_ == -1).sum() == 1
    np.testing.assert_array_equal(expected.predict(url), expected.labels_)
    source = open_source(url)
    assert (source.n_rows, source.feature_names, source.weighted) == (1440, ("u", "v"), False)


def test_weights_by_variable(url):
    weighted = fitted(open_source(url, ["v"], weight_column="area"))
    opened = xr.open_zarr(url)
    expected = fitted(opened[["v"]].drop_encoding(), feature_dim=None)
    assert expected.inertia_ != weighted.inertia_
    given = KMeans(3, random_state=0, nan="skip").fit(opened[["v"]], sample_weight=opened["area"])
    np.testing.assert_array_equal(weighted.cluster_centers_, given.cluster_centers_)
    with pytest.raises(ValueError, match="weights"):
        KMeans(3).fit(open_source(url, ["v"], weight_column="area"), sample_weight=opened["area"])


@pytest.mark.parametrize("dims", ["lat,lon", "lon"])
def test_from_the_shell(url, run, dims):
    given = ["--model", "m.zarr", "--labels", "l.zarr", "--report", "r.json"]
    more = ["--model", "m.zarr", "--report", "r2.json"]
    code, err = run(
        "fit", url, "-k", 3, "--columns", "v,u", "--feature-dim", dims, "--nan", "skip", *given
    )
    assert code == 0, err
    feature_dim = tuple(dims.split(",")) if "," in dims else dims
    expected = fitted(xr.open_zarr(url)[["v", "u"]], feature_dim=feature_dim)
    found = xr.open_zarr("l.zarr")
    xr.testing.assert_equal(found.labels.load(), expected.labels_.compute())
    assert found.labels.dtype == np.int32
    assert "time" in found.coords
    model = load_model("m.zarr")
    np.testing.assert_array_equal(model.cluster_centers_, expected.cluster_centers_)
    xr.testing.assert_equal(model.labelled_centers_, expected.labelled_centers_)
    xr.testing.assert_equal(model.predict(url).compute(), expected.labels_.compute())
    # The model finds its variables, whatever else is there.
    assert run("predict", url, "--labels", "p.zarr", *more)[0] == 0
    xr.testing.assert_identical(xr.open_zarr("p.zarr").load(), found.load())
    of_fit, told = (json.loads(Path(name).read_text()) for name in ("r.json", "r2.json"))
    assert told["inertia"] == of_fit["inertia"] == expected.inertia_
    assert told["cluster_sizes"] == expected.cluster_sizes_.tolist()
    assert told["n_features"] == expected.n_features_in_
    assert run("predict", url, "--model", "m.zarr", "--labels", "p.npy")[0] == 0
    np.testing.assert_array_equal(np.load("p.npy"), expected.labels_)
    assert run("describe", url, "--model", "m.zarr", "--report", "d.json")[0] == 0


def test_a_member_is_an_array_still(tmp_path, run):
    xr.Dataset({"X": (("row", "of"), RNG.normal(size=(50, 2)))}).to_zarr(tmp_path / "x.zarr")
    assert run("fit", "x.zarr/X", "-k", 2, "--model", "m.zarr", "--labels", "l.zarr")[0] == 0
    assert zarr.open_array("l.zarr", mode="r").shape == (50,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--labels", "l.parquet"], ["have its dimensions", "--labels l.zarr"]),
        (["--labels", "l.csv", "--keep", "area"], ["--labels l.zarr"]),
        (["--columns", "u,w"], ["'w'", "'u'"]),
        (["--columns", "lat"], ["'lat'", "'u'"]),
        (["--exclude", "lat"], ["'lat'", "'u'"]),
        (["--columns", "station"], ["'station'"]),
        (["--columns", "u", "--feature-dim", "band"], ["--feature-dim band is not a dimension"]),
    ],
)
def test_refusals(run, tmp_path, options, said):
    WEATHER.to_zarr(tmp_path / "w.zarr")
    code, err = run("fit", "w.zarr", "-k", 3, "--model", "m.zarr", *options)
    assert code == 1
    line = err.splitlines()[-1]
    assert all(part in line for part in said), err
    assert [path.name for path in tmp_path.iterdir()] == ["w.zarr"]


def test_dimensions_of_what_has_none(run, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 2)))
    code, err = run("fit", "x.npy", "-k", 3, "--model", "m.zarr", "--feature-dim", "band")
    assert code == 1
    assert "x.npy has none: its columns are the features. Leave out --feature-dim" in err


def test_a_group_that_is_no_dataset_advises_no_coordinate(run, tmp_path):
    WEATHER.to_zarr(tmp_path / "g.zarr", group="inner")
    zarr.open_group(tmp_path / "g.zarr").create_array("plain", shape=(3,), dtype="f4")
    code, err = run("fit", "g.zarr", "-k", 3, "--model", "m.zarr")
    assert code == 1
    assert "inner (a Dataset)" in err
    assert "Type g.zarr/inner" in err
    assert "inner/lat (6,)" not in err
    given = ("--columns", "u,v", "--nan", "skip", "--model", "m.zarr")
    assert run("fit", "g.zarr/inner", "-k", 3, *given)[0] == 0
