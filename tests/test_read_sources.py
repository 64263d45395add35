"""Paths: which columns are read, how tables are cut into blocks, what is said of what cannot be."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse
import xarray as xr
import zarr
from inputs import Unchecked
from reading import row_sum, rows_of

from dask_kmeans.read import as_points, open_source

X = np.random.default_rng(0).normal(size=(5000, 4))
FRAME = pd.DataFrame(X, columns=list("abcd"))


def said(*parts):
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


# Choice of columns


@pytest.fixture
def table(tmp_path):
    """A table with text and weights, as Parquet and CSV."""
    frame = FRAME.assign(name="x", weight=np.arange(5000) % 7)
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=700)
    frame.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_chosen_columns_and_weights(table, kind):
    source = open_source(table / f"t.{kind}", columns=["d", "a"], weight_column="weight")
    points = as_points(source)
    values, weights, _ = rows_of(points)
    np.testing.assert_array_equal(values, X[:, [3, 0]])
    np.testing.assert_array_equal(weights, np.arange(5000) % 7)
    assert points.feature_names == ("d", "a")
    sums = points.apply(Unchecked(row_sum), float).compute()
    np.testing.assert_allclose(sums, X[:, [3, 0]].sum(axis=1))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_weights_are_no_feature_unless_chosen(table, kind):
    path = table / f"t.{kind}"
    with pytest.warns(UserWarning, match="'name'"):
        assert open_source(path, weight_column="weight").feature_names == tuple("abcd")
    source = open_source(path, columns=["a", "weight"], weight_column="weight")
    values, weights, _ = rows_of(as_points(source))
    np.testing.assert_array_equal(values[:, 1], weights)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_columns_that_cannot_be_chosen(table, kind):
    path = table / f"t.{kind}"
    with pytest.raises(
        ValueError, match=said(f"t.{kind}", "no column 'e', 'f'", "it has 'a', 'b'")
    ):
        open_source(path, columns=["a", "e", "f"])
    with pytest.raises(ValueError, match=said("no column 'mass'")):
        open_source(path, weight_column="mass")
    with pytest.raises(TypeError, match=said("'name'", "string", "not numbers")):
        open_source(path, columns=["a", "name"])
    with pytest.raises(ValueError, match="no numeric column"):
        open_source(path, columns=[])


@pytest.mark.parametrize("kind", ["zarr", "npy"])
def test_columns_of_arrays_are_positions(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    zarr.create_array(path, data=X, chunks=(999, 3)) if kind == "zarr" else np.save(path, X)
    values, weights, _ = rows_of(as_points(open_source(path, columns=[2, "0"], weight_column=3)))
    np.testing.assert_array_equal(values, X[:, [2, 0]])
    np.testing.assert_array_equal(weights, X[:, 3])
    values, _, _ = rows_of(as_points(open_source(path, weight_column=1)))
    np.testing.assert_array_equal(values, X[:, [0, 2, 3]])
    for wrong in (4, -1, "a"):
        with pytest.raises(ValueError, match=said(f"x.{kind}", "4 columns", repr(wrong), "0 to 3")):
            open_source(path, columns=[wrong])


def test_weights_given_twice(table):
    source = open_source(table / "t.parquet", columns=["a"], weight_column="weight")
    with pytest.raises(ValueError, match=said("t.parquet", "column of its own", "sample_weight")):
        as_points(source, np.ones(5000))


def test_weights_of_a_kind_that_does_not_fit(table):
    source = open_source(table / "t.csv", columns=["a"])
    with pytest.raises(TypeError, match=said("ndarray", "t.csv", "weight_column")):
        as_points(source, np.ones(5000))
    source = open_source(table / "t.parquet", columns=["a"])
    with pytest.raises(TypeError, match=said("t.parquet", "NumPy")):
        as_points(source, da.ones(5000))
    with pytest.raises(ValueError, match=said("(4999,)", "(5000,)")):
        as_points(source, np.ones(4999))
    with pytest.raises(TypeError, match=said("DataFrame", "Series")):
        as_points(dd.from_pandas(FRAME, npartitions=2), np.ones(5000))
    with pytest.raises(ValueError, match="chunked"):
        as_points(dd.from_pandas(FRAME, npartitions=2), da.ones(5000, chunks=1000))


# Parquet


def test_the_index_of_a_frame_is_no_feature(tmp_path):
    FRAME.set_index(pd.Index(np.arange(5000) ** 2, name="station")).to_parquet(
        tmp_path / "a.parquet"
    )
    assert open_source(tmp_path / "a.parquet").feature_names == tuple("abcd")
    chosen = open_source(tmp_path / "a.parquet", columns=["station"])
    np.testing.assert_array_equal(rows_of(as_points(chosen))[0][:, 0], np.arange(5000) ** 2)


def test_parquet_types(tmp_path):
    table = pa.table(
        {
            "half": pa.array([1.5, 2.5, None], pa.float32()),
            "byte": pa.array([1, 2, 3], pa.uint8()),
            "hole": pa.array([1, None, 3], pa.int16()),
            "flag": pa.array([True, None, False]),
            "price": pa.array([1, 2, 3], pa.decimal128(7, 2)),
            "day": pa.array([1, 2, 3], pa.date32()),
            "list": pa.array([["1"], ["2"], ["3"]]),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.warns(UserWarning, match=said("2 column", "'day' (date32", "'list' (list")):
        points = as_points(str(tmp_path / "t.parquet"))
    expected = [[1.5, 1, 1, 1, 1], [2.5, 2, np.nan, np.nan, 2], [np.nan, 3, 3, 0, 3]]
    np.testing.assert_array_equal(rows_of(points)[0], expected)
    assert points.dtype == np.float64


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["uint8", "bool"], "uint8"),
        (["uint8", "int16"], "int16"),
        (["uint8", "float"], "float32"),
        (["int64", "float"], "float64"),
    ],
)
def test_columns_come_in_the_smallest_common_dtype(tmp_path, types, expected):
    columns = {f"c{n}": pa.array([0, 1, 1]).cast(kind) for n, kind in enumerate(types)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    points = as_points(str(tmp_path / "t.parquet"))
    (piece, _), *_ = points.blocks[0].source.pieces()
    assert points.dtype == piece.dtype == expected
    assert piece.flags.f_contiguous


def test_empty_row_groups_and_files(tmp_path):
    for number, rows in enumerate((0, 700, 0, 300)):
        FRAME[:rows].to_parquet(tmp_path / f"{number}.parquet", row_group_size=150)
    points = as_points(str(tmp_path))
    assert points.n_rows == 1000
    np.testing.assert_array_equal(rows_of(points)[0], np.concatenate([X[:700], X[:300]]))


def test_a_table_without_rows(tmp_path):
    FRAME[:0].to_parquet(tmp_path / "0.parquet")
    with pytest.raises(ValueError, match=said("0 sample(s)", "(0, 4)")):
        as_points(str(tmp_path))


def test_a_schema_may_differ_where_it_is_not_read(tmp_path):
    FRAME.assign(note="x").to_parquet(tmp_path / "0.parquet")
    FRAME.assign(note=1)[[*list("dcba"), "note"]].to_parquet(tmp_path / "1.parquet")
    with pytest.raises(
        ValueError, match=said("0.parquet", "1.parquet", "'note'", "string", "int64")
    ):
        open_source(tmp_path)
    source = open_source(tmp_path, columns=["c", "a"])
    expected = np.tile(X[:, [2, 0]], (2, 1))
    np.testing.assert_array_equal(rows_of(as_points(source))[0], expected)


def test_hive_folders_in_natural_order(tmp_path):
    for year in (2, 10, 9):
        folder = tmp_path / f"year={year}" / "country=DE"
        folder.mkdir(parents=True)
        FRAME[:10].mul(year).to_parquet(folder / "part.parquet")
    (tmp_path / "_metadata").touch()
    (tmp_path / ".crc").touch()
    with pytest.warns(UserWarning, match=said("'country' (text)")):
        points = as_points(str(tmp_path))
    assert points.feature_names == (*"abcd", "year")
    found = rows_of(points)[0]
    expected = [np.c_[X[:10] * year, np.full(10, year)] for year in (2, 9, 10)]
    np.testing.assert_array_equal(found, np.concatenate(expected))


# CSV


def test_csv_in_many_blocks(tmp_path, monkeypatch):
    from dask_kmeans.read import from_csv

    monkeypatch.setattr(from_csv, "BLOCK_BYTES", 1000)
    FRAME.assign(name='a "quoted, text"').to_csv(tmp_path / "t.csv", index=False)
    with pytest.warns(UserWarning, match="'name'"):
        points = as_points(str(tmp_path / "t.csv"))
    assert len(points.blocks) > 100
    assert points.n_rows is None
    np.testing.assert_array_equal(rows_of(points)[0], X)


def test_csv_with_missing_values_and_without_a_last_newline(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n,3\r\nNA,4\r\n\r\n5,6")
    points = as_points(str(tmp_path / "t.csv"))
    assert points.feature_names == ("a", "b")
    np.testing.assert_array_equal(rows_of(points)[0], [[1, 2], [np.nan, 3], [np.nan, 4], [5, 6]])


def test_csv_headers(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a,c\n1,2\n")
    with pytest.raises(ValueError, match=said("header", "1.csv", "'b'", "2.csv", "'c'")):
        open_source(tmp_path)
    (tmp_path / "2.csv").write_text("1.5,2\n3,4\n")
    with pytest.raises(ValueError, match=said("2.csv", "'1.5,2'", "names")):
        open_source(tmp_path / "2.csv")
    (tmp_path / "2.csv").write_text("name\nx\n")
    with pytest.raises(ValueError, match=said("no numeric column", "'name'")):
        open_source(tmp_path / "2.csv")


# What lies where


def test_a_folder_of_several_formats(tmp_path):
    FRAME.to_parquet(tmp_path / "a.parquet")
    FRAME.to_csv(tmp_path / "a.csv")
    with pytest.raises(ValueError, match=said("Cannot tell", "*.parquet")):
        open_source(tmp_path)
    assert open_source(tmp_path / "*.parquet").n_rows == 5000


def test_a_file_url(tmp_path):
    np.save(tmp_path / "x.npy", X)
    zarr.create_array(tmp_path / "x.zarr", data=X)
    for name in ("x.npy", "x.zarr"):
        np.testing.assert_array_equal(rows_of(as_points(f"file://{tmp_path}/{name}"))[0], X)


def test_a_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "x.npy", X)
    zarr.create_array(tmp_path / "x.zarr", data=X)
    for name in ("x.npy", "x.zarr"):
        assert as_points(f"~/{name}").n_rows == 5000


@pytest.mark.parametrize("kind", ["zarr", "parquet", "npy", "csv"])
def test_blocks_are_small_to_send(tmp_path, kind):
    """What a task is sent does not grow with the data."""
    path = tmp_path / f"x.{kind}"
    big = np.zeros((200_000, 8))
    if kind == "zarr":
        zarr.create_array(path, data=big, chunks=(1000, 8))
    elif kind == "npy":
        np.save(path, big)
    else:
        frame = pd.DataFrame(big, columns=list("abcdefgh"))
        frame.to_parquet(path) if kind == "parquet" else frame.to_csv(path, index=False)
    for block in as_points(str(path)).blocks:
        sent = pickle.dumps(block.source)
        assert len(sent) < 10_000
        pieces = pickle.loads(sent).pieces()
        assert next(pieces)[0].shape[1] == 8


def test_weights_are_cut_before_they_are_sent(tmp_path):
    zarr.create_array(tmp_path / "x.zarr", data=np.zeros((400_000, 4)), chunks=(10_000, 4))
    points = as_points(str(tmp_path / "x.zarr"), np.ones(400_000))
    assert len(points.blocks) > 1
    sizes = [len(pickle.dumps(block.source)) for block in points.blocks]
    assert sum(sizes) < 400_000 * 8 + 10_000 * len(sizes)


# What is no table


@pytest.mark.parametrize(
    ("data", "error", "parts"),
    [
        (dd.from_pandas(FRAME, npartitions=2)["a"], TypeError, ["Series", "to_frame()"]),
        (da.from_array(X, chunks=1000).to_delayed()[0, 0], TypeError, ["Delayed"]),
        (FRAME["a"], ValueError, ["1D array", "(5000,)"]),
        (xr.DataArray(X[:, 0], dims="x"), ValueError, ["1D array"]),
        (xr.DataArray(X[:, :0]), ValueError, ["0 feature(s)"]),
        (xr.DataArray(X[:, :0]).chunk(), ValueError, ["0 feature(s)"]),
        (xr.DataArray(X[:0]).chunk(), ValueError, ["0 sample(s)"]),
        (da.from_array(X, chunks=1000)[:, X[0] > 9], ValueError, ["0 feature(s)"]),
        (None, TypeError, ["number"]),
        ([[1, 2], [3]], ValueError, ["same number of features"]),
        ({"a": [1, 2]}, TypeError, ["number"]),
    ],
)
def test_what_is_no_table(data, error, parts):
    with pytest.raises(error, match=said(*parts)):
        as_points(data)


def test_unknown_numbers_of_features():
    lazy = da.from_array(X, chunks=1000)
    with pytest.raises(ValueError, match=said("features", "unknown", "compute_chunk_sizes()")):
        as_points(lazy[:, da.from_array(X[0] > 0)])


def test_sparse_blocks_of_a_dask_array():
    lazy = da.from_array(X, chunks=(1000, 4)).map_blocks(scipy.sparse.csr_array)
    with pytest.raises(TypeError, match=said("Sparse", "toarray()")):
        rows_of(as_points(lazy))


def test_variables_that_differ_in_dimensions():
    data = xr.Dataset({"u": (("y", "x"), np.ones((2, 3))), "v": ("x", np.ones(3))})
    with pytest.raises(ValueError, match=said("u ('y', 'x')", "v ('x',)", "type X[['u']]")):
        as_points(data)
    with pytest.raises(
        ValueError, match=said("feature_dim=('y', 'x')", "needs at least one more for its rows")
    ):
        as_points(data[["u"]], feature_dim=("y", "x"))


def test_weights_with_other_dimensions():
    data = xr.DataArray(X.reshape(50, 100, 4), dims=("y", "x", "band"))
    with pytest.raises(ValueError, match=said("('x', 'z')", "('y', 'x')", "mean(['z'])")):
        as_points(data, xr.DataArray(np.ones((100, 2)), dims=("x", "z")), feature_dim="band")


# Libraries


def test_optional_libraries_are_imported_only_when_needed():
    code = """
import sys
import numpy as np, sklearn.base, sklearn.exceptions
before = set(sys.modules)
from dask_kmeans.read import as_points
class FirstFeature:
    def __call__(self, values):
        return values[:, 0]
    def check(self, values, name):
        pass
as_points(np.ones((10, 2)), np.ones(10)).apply(FirstFeature(), float)
heavy = {"pandas", "xarray", "zarr", "pyarrow", "dask.array", "dask.dataframe", "distributed",
         "fsspec"}
print(sorted(heavy & (set(sys.modules) - before)))
"""
    # Only the reading: what else the package imports is not the matter here.
    stub = (
        "import sys, types; m = types.ModuleType('dask_kmeans'); m.__path__ = [{!r}]; "
        "m.__version__ = '0'; "
        "sys.modules['dask_kmeans'] = m\n"
    )
    import dask_kmeans

    code = stub.format(next(iter(dask_kmeans.__path__))) + code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
