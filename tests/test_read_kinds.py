"""Every kind of input hands over the NumPy original's rows, in order, and gets its kind back."""

from __future__ import annotations

import dask.array as da
import dask.dataframe as dd
import fsspec
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from inputs import Unchecked
from reading import check, first_two, row_sum, rows_of

from dask_kmeans.read import as_points, open_source

N, D = 6000, 5
NAMES = ["a", "b", "c", "d", "e"]


@pytest.fixture(scope="module")
def X():  # noqa: N802
    values = np.random.default_rng(0).normal(size=(N, D))
    values.flags.writeable = False
    return values


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(1).random(N)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, X):
    """X as every kind of file."""
    folder = tmp_path_factory.mktemp("sources")
    np.save(folder / "c.npy", X)
    np.save(folder / "fortran.npy", np.asfortranarray(X))
    zarr.create_array(folder / "plain.zarr", data=X, chunks=(700, 2))
    zarr.create_array(folder / "sharded.zarr", data=X, chunks=(100, 5), shards=(1000, 5))
    zarr.create_array(folder / "v2.zarr", data=X, chunks=(1000, 5), zarr_format=2)
    zarr.open_group(folder / "group.zarr").create_array("deep/points", data=X, chunks=(5000, 5))
    with zarr.storage.ZipStore(folder / "packed.zarr.zip", mode="w") as store:
        zarr.create_array(store, data=X, chunks=(1000, 5))
    frame = pd.DataFrame(X, columns=NAMES)
    frame.to_parquet(folder / "one.parquet", row_group_size=999)
    (folder / "parts").mkdir()
    for number in range(11):  # part 2 comes before part 10
        part = frame.iloc[number * 600 : (number + 1) * 600]
        part.to_parquet(folder / "parts" / f"part.{number}.parquet")
    (folder / "parts" / "_SUCCESS").touch()
    dd.from_pandas(frame, npartitions=3).to_parquet(folder / "dask.parquet")
    frame.to_csv(folder / "one.csv", index=False)
    frame.to_csv(folder / "packed.csv.gz", index=False)
    (folder / "csv").mkdir()
    for number in range(3):
        frame.iloc[number * 2000 : (number + 1) * 2000].to_csv(
            folder / "csv" / f"{number}.csv", index=False, lineterminator="\r\n"
        )
    return folder


FILES = ["c.npy", "fortran.npy", "plain.zarr", "sharded.zarr", "v2.zarr", "group.zarr/deep/points",
         "packed.zarr.zip", "one.parquet", "parts", "parts/part.*.parquet", "dask.parquet",
         "one.csv", "packed.csv.gz", "csv", "csv/?.csv"]  # fmt: skip


def raster(X, dims, chunks=None):
    """X as (y, x, band), in memory in the order of `dims`."""
    array = xr.DataArray(X.reshape(60, 100, D), dims=("y", "x", "band"))
    array = array.transpose(*dims).copy(data=np.ascontiguousarray(array.transpose(*dims)))
    return array if chunks is None else array.chunk(chunks)


IN_MEMORY = {
    "C": np.asarray,
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(np.repeat(X, 2, 0), 3, 1)[::2, ::3],
    "reversed": lambda X: X[::-1].copy()[::-1],
    "big-endian": lambda X: X.astype(">f8"),
    "longdouble": lambda X: X.astype(np.longdouble),
    "unaligned": lambda X: unaligned(X),
    "lists": lambda X: X.tolist(),
    "objects": lambda X: X.astype(object),
    "read-only": lambda X: np.frombuffer(X.tobytes()).reshape(X.shape),
    "array-like": lambda X: Lookalike(X),
    "pandas": lambda X: pd.DataFrame(X),
    "pandas columns": lambda X: pd.DataFrame({name: X[:, i] for i, name in enumerate(NAMES)}),
    "raster, bands last": lambda X: raster(X, ("y", "x", "band")),
    "raster, bands first": lambda X: raster(X, ("band", "y", "x")).transpose("y", "x", "band"),
    "raster, bands between": lambda X: raster(X, ("y", "band", "x")),
    "table": lambda X: xr.DataArray(X, dims=("sample", "feature")),
    "dataset": lambda X: raster(X, ("y", "x", "band")).assign_coords(band=NAMES).to_dataset("band"),
}

LAZY = {
    "dask": lambda X: da.from_array(X, chunks=(700, D)),
    "dask columns": lambda X: da.from_array(X, chunks=(700, 2)),
    "dask, empty chunks": lambda X: da.from_array(X, chunks=((0, 5000, 0, 1000, 0), (5,))),
    "dask, one chunk": lambda X: da.from_array(X, chunks=-1),
    "dask, unknown": lambda X: unknown(da.from_array(X, chunks=(700, D))),
    "dask, unknown, columns": lambda X: unknown(da.from_array(X, chunks=(700, 3))),
    "dask DataFrame": lambda X: dd.from_pandas(pd.DataFrame(X, columns=NAMES), npartitions=7),
    "zarr": lambda X: zarr.create_array({}, data=X, chunks=(500, 3)),
    "lazy raster": lambda X: raster(X, ("y", "x", "band"), {"y": 7, "x": 30, "band": 2}),
    "lazy raster, bands first": lambda X: raster(X, ("band", "y", "x"), {"y": 20, "x": -1}),
    "lazy dataset": lambda X: IN_MEMORY["dataset"](X).chunk(y=11, x=40),
}


def unaligned(X):
    raw = np.zeros(X.nbytes + 1, np.uint8)
    view = raw[1:].view(X.dtype).reshape(X.shape)
    view[:] = X
    return view


def unknown(array):
    return array[array[:, 0] > -np.inf]


class Lookalike:
    """Something that only turns into an array."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


def feature_dim(data):
    return "band" if isinstance(data, xr.DataArray) and "band" in data.dims else None


@pytest.mark.parametrize("kind", [*IN_MEMORY, *LAZY])
def test_rows(kind, X):
    data = {**IN_MEMORY, **LAZY}[kind](X)
    points = as_points(data, feature_dim=feature_dim(data))
    assert points.in_memory == (kind in IN_MEMORY)
    check(points, X)


@pytest.mark.parametrize("kind", [*IN_MEMORY, *LAZY])
def test_rows_and_weights(kind, X, weights):
    data = {**IN_MEMORY, **LAZY}[kind](X)
    if "unknown" in kind:
        known = da.from_array(np.c_[X, weights], chunks=(700, D + 1))
        known = unknown(known)
        data, given = known[:, :D], known[:, D]
    elif kind == "dask DataFrame":
        given = dd.from_pandas(pd.Series(weights), npartitions=7)
    else:
        given = weights
    check(as_points(data, given, feature_dim=feature_dim(data)), X, weights)


@pytest.mark.parametrize("name", FILES)
def test_files(name, folder, X):
    check(as_points(str(folder / name)), X)
    check(as_points(open_source(folder / name)), X)


@pytest.mark.parametrize("name", [name for name in FILES if "csv" not in name])
def test_files_and_weights(name, folder, X, weights):
    check(as_points(str(folder / name), weights), X, weights)
    stored = zarr.create_array({}, data=weights, chunks=(1234,))
    check(as_points(str(folder / name), stored), X, weights)


@pytest.mark.parametrize("name", [name for name in FILES if "zip" not in name])
def test_urls(name, folder, X):
    """The same through an fsspec file system that is not the local one, which is read ahead."""
    memory = fsspec.filesystem("memory")
    if not memory.exists("/sources"):
        memory.put(str(folder), "/sources", recursive=True)
    points = as_points(f"memory://sources/{name}")
    assert {type(block.source).__name__ for block in points.blocks} == {"Ahead"}
    check(points, X)


@pytest.mark.parametrize("dtype", ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2",
                                   "f4", "f8", ">i4", ">f4"])  # fmt: skip
@pytest.mark.parametrize("kind", ["C", "Fortran", "pandas", "dask columns", "dask DataFrame",
                                  "zarr", "raster, bands first"])  # fmt: skip
def test_dtypes(kind, dtype, X):
    if kind == "zarr" and dtype.startswith(">"):
        pytest.skip("Zarr keeps the byte order to itself")
    values = (X * 3).astype(np.int8).astype(dtype) if dtype != "u1" else np.abs(X * 3).astype("u1")
    data = {**IN_MEMORY, **LAZY}[kind](values)
    points = as_points(data, feature_dim=feature_dim(data))
    expected = "u1" if dtype == "bool" else np.dtype(dtype).newbyteorder("=")
    assert points.dtype == expected
    found, _, _ = rows_of(points)
    assert found.dtype == expected
    np.testing.assert_array_equal(found, values)


# What comes back


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_results_in_kind(X, n_outputs):
    function, dtype = (row_sum, np.float64) if n_outputs is None else (first_two, np.float64)
    tail = () if n_outputs is None else (n_outputs,)

    def apply(data, **named):
        return as_points(data, **named).apply(Unchecked(function), dtype, n_outputs)

    assert type(apply(X)) is np.ndarray

    lazy = apply(da.from_array(X, chunks=((1000, 0, 5000), (3, 2))))
    assert lazy.chunks[0] == (1000, 0, 5000)
    assert lazy.shape == (N, *tail)
    unsized = apply(unknown(da.from_array(X, chunks=(1000, D))))
    assert unsized.numblocks[0] == 6
    assert np.isnan(unsized.shape[0])

    index = pd.Index(np.arange(N)[::-1], name="station")
    frame = apply(pd.DataFrame(X, columns=NAMES, index=index))
    assert isinstance(frame, pd.Series if n_outputs is None else pd.DataFrame)
    assert frame.index is index or frame.index.equals(index)

    table = dd.from_pandas(pd.DataFrame(X, columns=NAMES), npartitions=4)
    series = apply(table)
    assert isinstance(series, dd.Series if n_outputs is None else dd.DataFrame)
    assert series.divisions == table.divisions
    assert series.compute().index.equals(table.compute().index)

    coords = {"y": np.arange(60) * 0.5, "band": NAMES, "place": ("x", list("abcde" * 20))}
    picture = raster(X, ("band", "y", "x")).assign_coords(coords)
    for data in (picture, picture.chunk(y=7, x=40, band=2)):
        out = apply(data, feature_dim="band")
        assert out.dims == ("y", "x", *["cluster"] * len(tail))
        assert set(out.coords) == {"y", "place"}
        if data.chunks is not None:
            assert out.chunks == (*data.chunks[1:], *[(2,)] * len(tail))

    stored = zarr.create_array({}, data=X, chunks=(500, 3))
    assert isinstance(apply(stored), da.Array)
    assert apply(stored).shape == (N, *tail)


def test_a_dimension_that_is_called_as_that_of_results(X):
    data = xr.DataArray(X.reshape(60, 100, D), dims=("cluster", "x", "band"))
    out = as_points(data, feature_dim="band").apply(Unchecked(first_two), float, 2)
    assert out.dims == ("cluster", "x", "cluster_")


def test_known_results_in_kind(X):
    series = as_points(pd.DataFrame(X, index=np.arange(N) + 7)).in_kind(np.arange(N))
    assert series.index[0] == 7
    picture = as_points(raster(X, ("y", "band", "x")), feature_dim="band").in_kind(np.arange(N))
    assert picture.sel(y=1, x=3) == 103
    assert type(as_points(X).in_kind(np.arange(N))) is np.ndarray


def test_wide_results_come_in_small_chunks(X):
    points = as_points(zarr.create_array({}, data=X, chunks=(N, D)))
    wide = points.apply(Unchecked(lambda values: np.tile(values, 4000)), np.float64, 4000 * D)
    assert max(wide.chunks[0]) * 4000 * D * 8 <= 64 * 2**20
    np.testing.assert_array_equal(wide[1234, :D].compute(), X[1234])


def test_feature_names(X, folder):
    def names(data, **named):
        return as_points(data, **named).feature_names

    assert names(X) is None
    assert names(pd.DataFrame(X)) is None
    assert names(pd.DataFrame(X, columns=NAMES)) == tuple(NAMES)
    assert names(dd.from_pandas(pd.DataFrame(X, columns=NAMES), npartitions=2)) == tuple(NAMES)
    picture = raster(X, ("y", "x", "band"))
    assert names(picture, feature_dim="band") is None
    assert names(picture.assign_coords(band=range(5)), feature_dim="band") == tuple("01234")
    assert names(picture.assign_coords(band=np.arange(5) * 0.5), feature_dim="band") is None
    assert names(picture.assign_coords(band=NAMES), feature_dim="band") == tuple(NAMES)
    assert names(picture.assign_coords(band=NAMES).to_dataset("band")) == tuple(NAMES)
    assert names(str(folder / "one.parquet")) == tuple(NAMES)
    assert names(str(folder / "one.csv")) == tuple(NAMES)
    assert names(str(folder / "c.npy")) is None


# Columns of tables


def test_columns_of_many_types():
    frame = pd.DataFrame(
        {
            "small": np.array([1, 2, 3], np.int8),
            "name": ["x", "y", "z"],
            "flag": [True, False, True],
            "maybe": pd.array([1, None, 3], dtype="Int16"),
            "unsure": pd.array([True, None, False], dtype="boolean"),
            "day": pd.to_datetime(["2020-01-01"] * 3),
            "kind": pd.Categorical(["u", "v", "u"]),
        }
    )
    expected = [[1, 1, 1, 1], [2, 0, np.nan, np.nan], [3, 1, 3, 0]]
    for data in (frame, dd.from_pandas(frame, npartitions=2)):
        with pytest.warns(UserWarning, match=r"3 column.*'name'.*'day'.*'kind'") as caught:
            points = as_points(data)
        assert caught[0].filename == __file__
        assert points.feature_names == ("small", "flag", "maybe", "unsure")
        assert points.dtype == np.float32
        np.testing.assert_array_equal(rows_of(points)[0], expected)


def test_nullable_columns_without_missing_values():
    frame = pd.DataFrame({"a": pd.array([1, 2**40], dtype="Int64"), "b": [1.5, 2.5]})
    np.testing.assert_array_equal(rows_of(as_points(frame))[0], [[1, 1.5], [2**40, 2.5]])


def test_a_frame_of_one_dtype_is_not_copied(X):
    points = as_points(pd.DataFrame(X, copy=False))
    (piece, _), *_ = points.blocks[0].source.pieces()
    assert np.shares_memory(piece, X)


def test_an_array_is_not_copied(X):
    for data in (X, X.T, X[::2, ::-1], raster(X, ("band", "y", "x")).values.reshape(D, N).T):
        (piece, _), *_ = as_points(data).blocks[0].source.pieces()
        assert np.shares_memory(piece, data)


def test_a_raster_is_not_copied(X):
    values = np.ascontiguousarray(X.T).reshape(D, 2, 3000)
    for dims, axes in ((("band", "t", "x"), (0, 1, 2)), (("t", "band", "x"), (1, 0, 2))):
        data = np.ascontiguousarray(values.transpose(axes))
        array = xr.DataArray(data, dims=dims)
        for block in as_points(array, feature_dim="band").blocks:
            for piece, _ in block.source.pieces():
                assert np.shares_memory(piece, data)


def test_scalar_weights(X):
    for data in (X, da.from_array(X, chunks=(700, D)), zarr.create_array({}, data=X)):
        check(as_points(data, 2.5), X, np.full(N, 2.5))


def test_weights_in_the_shape_of_a_raster(X, weights):
    picture = raster(X, ("y", "x", "band"))
    square = xr.DataArray(weights.reshape(60, 100), dims=("y", "x"))
    for data in (picture, picture.chunk(y=7, x=40)):
        for given in (square.values, square, square.transpose("x", "y"), square.chunk(y=9)):
            if data.chunks is None and isinstance(given, xr.DataArray) and given.chunks:
                continue
            check(as_points(data, given, feature_dim="band"), X, weights)
