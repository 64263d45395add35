"""Weights with labels go to the rows of these labels, or are refused; others go by position."""

from __future__ import annotations

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import rows_of

from dask_kmeans import KMeans
from dask_kmeans.read import as_points

SIZES = {"time": 4, "lat": 3, "lon": 5}
COORDS = {
    "time": pd.date_range("2020", periods=4),
    "lat": np.array([40.0, 30.0, 20.0]),
    "lon": list("abcde"),
}
RNG = np.random.default_rng(0)
GRID = xr.DataArray(RNG.random((4, 3, 5, 2)), coords=COORDS, dims=(*SIZES, "band"))
WEIGHTS = xr.DataArray(RNG.random((4, 3, 5)), coords=COORDS, dims=tuple(SIZES))


def weights_of(data, sample_weight):
    """The weight of every row, in the order of the rows."""
    feature_dim = "band" if isinstance(data, xr.DataArray) else None
    return rows_of(as_points(data, sample_weight, feature_dim=feature_dim))[1]


def by_hand(weights, data):
    """The weight of every sample of a grid, looked up point by point."""
    dims = [dim for dim in data.dims if dim != "band"]
    found = []
    for at in np.ndindex(*(data.sizes[dim] for dim in dims)):
        labels = {dim: data[dim].values[n] for dim, n in zip(dims, at, strict=True)}
        found.append(float(weights.sel({d: labels[d] for d in weights.dims})))
    return np.array(found)


@st.composite
def arrangements(draw):
    """A grid and weights of it: permuted, transposed, chunked, lacking dimensions."""
    data = GRID.transpose(*draw(st.permutations(GRID.dims)))
    weights = WEIGHTS
    for dim in SIZES:
        data = data.isel({dim: draw(st.permutations(range(SIZES[dim])))})
        if draw(st.booleans()):
            weights = weights.isel({dim: draw(st.integers(0, SIZES[dim] - 1))})
        else:
            weights = weights.isel({dim: draw(st.permutations(range(SIZES[dim])))})
    weights = weights.transpose(*draw(st.permutations(weights.dims)))
    chunks = st.dictionaries(st.sampled_from([*SIZES]), st.integers(1, 3))
    if draw(st.booleans()):
        data = data.chunk(draw(chunks))
    if draw(st.booleans()):
        own = draw(chunks)
        weights = weights.chunk({dim: own[dim] for dim in own if dim in weights.dims})
    if draw(st.booleans()):
        data = data.to_dataset("band").rename({0: "one", 1: "two"})
    return data, weights


@settings(max_examples=150)
@given(arrangements())
def test_weights_of_a_grid_go_by_coordinate(arrangement):
    data, weights = arrangement
    of = data if isinstance(data, xr.DataArray) else data["one"]
    np.testing.assert_array_equal(weights_of(data, weights), by_hand(weights, of))


@pytest.mark.parametrize("chunks", [None, {"time": 2, "lon": 2}])
def test_weights_with_other_coordinates_are_refused(chunks):
    data = GRID if chunks is None else GRID.chunk(chunks)
    later = WEIGHTS.assign_coords(time=COORDS["time"] + pd.Timedelta("1h"))
    rounded = WEIGHTS.assign_coords(lat=WEIGHTS.lat + 1e-9)
    for given_, words in {
        "other labels": (later, r"'time'.*4 labels of X have no weight.*2020-01-01.*\.values"),
        "other floats": (rounded, r"'lat'.*3 labels of X"),
        "one more": (xr.concat([WEIGHTS, later], "time"), "size 8 along dimension 'time', X has 4"),
        "one less": (WEIGHTS[:, 1:], "size 2 along dimension 'lat', X has 3"),
        "twice": (WEIGHTS.isel(lon=[0, 1, 2, 3, 3]), r"'lon'.*come twice \('d'\)"),
        "a foreign dimension": (WEIGHTS.expand_dims(run=3), r"'run'.*mean\(\['run'\]\)"),
        "the features' dimension": (WEIGHTS.expand_dims(band=2), "'band'"),
    }.values():
        with pytest.raises(ValueError, match=words):
            weights_of(data, given_)
    expected = WEIGHTS.values.ravel()
    np.testing.assert_array_equal(weights_of(data, later.values), expected)
    foreign = WEIGHTS.expand_dims(run=3)
    np.testing.assert_allclose(weights_of(data, foreign.mean(["run"])), expected)


def test_coordinates_that_come_twice_are_right_in_the_same_order():
    data, weights = (each.isel(lon=[0, 1, 1, 2]) for each in (GRID, WEIGHTS))
    np.testing.assert_array_equal(weights_of(data, weights), weights.values.ravel())
    with pytest.raises(ValueError, match="come twice"):
        weights_of(data, weights[..., ::-1])


def test_dimensions_without_an_index():
    """They go by position, unless a coordinate along them says that it is another."""
    bare, plain = GRID.drop_vars([*SIZES]), WEIGHTS.drop_vars([*SIZES])
    expected = WEIGHTS.values.ravel()
    for data, weights in ((bare, WEIGHTS), (GRID, plain), (bare, plain), (bare.chunk(), plain)):
        np.testing.assert_array_equal(weights_of(data, weights), expected)
    station = ("lon", [7, 3, 9, 1, 5])
    data, weights = (each.assign_coords(station=station) for each in (bare, plain))
    np.testing.assert_array_equal(weights_of(data, weights), expected)
    other = weights[..., ::-1]
    with pytest.raises(ValueError, match=r"coordinate 'station' along dimension 'lon'.*drop_vars"):
        weights_of(data, other)
    found = weights_of(data, other.drop_vars("station"))
    np.testing.assert_array_equal(found, other.values.ravel())


def test_stacked_grids():
    data = GRID.stack(place=("lat", "lon"))
    weights = WEIGHTS.stack(place=("lat", "lon"))[:, ::-1]
    expected = WEIGHTS.values.reshape(4, -1).ravel()
    np.testing.assert_array_equal(weights_of(data, weights), expected)


def test_series_for_grids():
    series = WEIGHTS.to_series()
    expected = WEIGHTS.values.ravel()
    for data in (GRID, GRID.chunk(lon=2)):
        shuffled = series.sample(frac=1, random_state=0)
        np.testing.assert_array_equal(weights_of(data, shuffled), expected)
        of_time = WEIGHTS[:, 0, 0].to_series()
        found = weights_of(data[:, 0, 0], of_time.rename_axis(None)[::-1])
        np.testing.assert_array_equal(found, of_time.values)
        with pytest.raises(ValueError, match="other labels"):
            weights_of(data[:, 0, 0], of_time.reset_index(drop=True))


def test_broadcast_weights_take_the_chunks_of_the_rows():
    """Weights that lack a dimension never lie in memory whole, nor in one chunk."""
    data = xr.DataArray(
        da.zeros((4000, 100, 100, 2), chunks=(10, -1, -1, -1)), dims=("time", "lat", "lon", "band")
    )
    points = as_points(data, xr.DataArray(np.arange(100.0), dims="lat"), feature_dim="band")
    source = points.blocks[0].source
    assert next(source.pieces()).weights[::100][:100].tolist() == list(range(100))
    assert max(len(weights) for _, weights in source.chunks) == 10 * 100 * 100


FRAME = pd.DataFrame(RNG.random((12, 2)), columns=["a", "b"], index=[*"lkjihgfedcba"])
SERIES = pd.Series(RNG.random(12), index=FRAME.index)


@pytest.mark.parametrize("kind", ["Series", "nullable", "DataArray", "Dask Series"])
def test_weights_of_a_frame_go_by_label(kind):
    def made(series):
        if kind == "nullable":
            return series.astype("Float64")
        if kind == "DataArray":
            return xr.DataArray(series.values, dims="row", coords={"row": series.index})
        return dd.from_pandas(series, 3, sort=False) if kind == "Dask Series" else series

    for weights in (SERIES, SERIES[::-1], SERIES.sample(frac=1, random_state=3)):
        np.testing.assert_array_equal(weights_of(FRAME, made(weights)), SERIES.values)
    for weights, words in (
        (SERIES.reset_index(drop=True), "the index.*12 labels of X have no weight"),
        (SERIES.rename({"a": "z"}), r"1 labels of X have no weight \('a'\).*\('z'\)"),
        (SERIES.rename({"a": "b"}), r"come twice \('b'\)"),
        (SERIES[1:], "1 labels of X have no weight"),
    ):
        with pytest.raises(ValueError, match=words):
            weights_of(FRAME, made(weights))
    by_position = SERIES.reset_index(drop=True)
    np.testing.assert_array_equal(weights_of(FRAME, by_position.values), SERIES.values)


def test_labels_that_come_twice_are_right_in_the_same_order():
    frame = FRAME.set_axis([*"aabbccddeeff"])
    weights = SERIES.set_axis(frame.index)
    np.testing.assert_array_equal(weights_of(frame, weights), weights.values)
    with pytest.raises(ValueError, match="come twice"):
        weights_of(frame, weights[::-1])


def test_weights_of_a_dask_frame_go_by_label():
    frame, series = FRAME[::-1], SERIES[::-1]
    table = dd.from_pandas(frame, npartitions=3)
    for weights in (
        dd.from_pandas(series, npartitions=3),
        dd.from_pandas(series, npartitions=5),  # other divisions
        dd.from_pandas(series, npartitions=3).map_partitions(lambda part: part[::-1]),
        table.a * 0 + dd.from_pandas(series, npartitions=2),
    ):
        np.testing.assert_array_equal(weights_of(table, weights), series.values)
    others = dd.from_pandas(series.set_axis([*"abcdefghijkx"]), npartitions=3)
    for weights in (others.clear_divisions(), others):
        with pytest.raises(ValueError, match=r"sample_weight"):
            weights_of(table, weights)
    unnamed = dd.from_pandas(series.reset_index(drop=True), npartitions=3)
    with pytest.raises(ValueError, match=r"other labels.*sample_weight\.values"):
        weights_of(table.clear_divisions(), unnamed.clear_divisions())
    np.testing.assert_array_equal(
        weights_of(table.clear_divisions(), unnamed.clear_divisions().values), series.values
    )


def test_labels_do_not_count_where_the_rows_have_none():
    array = FRAME.values
    rows = xr.DataArray(SERIES.values, dims="row", coords={"row": SERIES.index})
    for data in (array, da.from_array(array, (5, -1))):
        for weights in (SERIES, rows, rows.chunk(row=4)):
            if isinstance(data, np.ndarray) or weights is not SERIES:
                np.testing.assert_array_equal(weights_of(data, weights), SERIES.values)


def test_fits_agree():
    """Shuffled weights change no bit of a fit, of `score` or of `fit_predict`."""
    model = KMeans(2, feature_dim="band", random_state=0)
    shuffled = WEIGHTS.isel(lat=[2, 0, 1]).transpose("lon", "lat", "time").chunk(lon=2)
    inertia = model.fit(GRID, sample_weight=WEIGHTS).inertia_
    for data in (GRID, GRID.chunk(time=1, lat=2)):
        assert model.fit(data, sample_weight=shuffled).inertia_ == inertia
        assert model.score(data, sample_weight=shuffled) == -inertia
