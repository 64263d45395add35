"""Lazy collections that are not of the dtype that they declare: values count, not what is said.

The oracle is NumPy: the values as they come, put into one float64 array.
"""

from __future__ import annotations

import decimal

import dask
import dask.array as da
import dask.dataframe as dd
import naive
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from inputs import as_numpy
from reading import rows_of

from dask_kmeans import KMeans
from dask_kmeans.read import as_points

N = 60
VALUES = np.random.default_rng(0).integers(0, 100, (N, 2)) + np.array([0, 0.5])
HOLES = np.where(np.arange(N)[:, None] % 7 == [[3, 9]], np.nan, VALUES)
LARGE = VALUES * 1000  # beyond int8 and int16


def declared_frame(parts, meta):
    """A Dask DataFrame of partitions that are not what `meta` says."""
    return dd.from_map(lambda number: parts[number], range(len(parts)), meta=meta)


def in_parts(values, make, dtype, parts=4):
    frames = [make(part) for part in np.array_split(values, parts)]
    meta = pd.DataFrame({"a": np.empty(0, dtype), "b": np.empty(0, dtype)})
    return declared_frame(frames, meta)


def as_frame(values, dtype=None):
    frame = pd.DataFrame(values, columns=["a", "b"])
    return frame if dtype is None else frame.astype(dtype)


def as_objects(values):
    return as_frame(values).astype(object).where(lambda frame: frame.notna(), None)


def as_decimals(values):
    return as_frame(values).map(lambda x: None if np.isnan(x) else decimal.Decimal(repr(x)))


def wrong_blocks(values, dtype, chunks=(17, 2)):
    """A dask array that says `dtype`, and whose chunks are what they are."""
    return da.from_array(values, chunks=chunks).map_blocks(lambda x: x, dtype=dtype)


def wrong_raster(values, dtype, chunks):
    raster = da.from_array(values.reshape(6, 10, 2), chunks=chunks)
    lazy = raster.map_blocks(lambda x: x, dtype=dtype)
    return xr.DataArray(lazy, dims=("y", "x", "band"))


LAZY = {
    "frame": lambda X, dtype: in_parts(X, as_frame, dtype),
    "frame of objects": lambda X, dtype: in_parts(X, as_objects, dtype),
    "frame of decimals": lambda X, dtype: in_parts(X, as_decimals, dtype),
    "frame, nullable": lambda X, dtype: in_parts(X, lambda x: as_frame(x, "Float64"), dtype),
    "frame of arrow": lambda X, dtype: in_parts(X, lambda x: as_frame(x, "double[pyarrow]"), dtype),
    "frame, columns in another order": lambda X, dtype: in_parts(
        X, lambda x: as_frame(x)[["b", "a"]], dtype
    ),
    "frame, persisted": lambda X, dtype: in_parts(X, as_frame, dtype).persist(),
    "array": wrong_blocks,
    "array of objects": lambda X, dtype: wrong_blocks(X.astype(object), dtype),
    "array, column chunks": lambda X, dtype: wrong_blocks(X, dtype, (17, 1)),
    "array, of several dtypes": lambda X, dtype: da.concatenate(
        [wrong_blocks(X[:, :1], dtype), wrong_blocks(X[:, 1:], dtype)], axis=1
    ),
    "array, persisted": lambda X, dtype: wrong_blocks(X, dtype).persist(),
    "array, unknown chunks": lambda X, dtype: in_parts(X, as_frame, dtype).to_dask_array(),
    "raster": lambda X, dtype: wrong_raster(X, dtype, (3, 10, 2)),
    "raster, chunks everywhere": lambda X, dtype: wrong_raster(X, dtype, (4, 3, 1)),
}
"""name -> function(values, declared dtype) -> the values, in a collection that says otherwise"""


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8", "float32", "bool"])
@pytest.mark.parametrize("kind", LAZY)
def test_values_count_and_not_what_is_declared(kind, dtype):
    X = {"int64": HOLES, "float32": VALUES + 1e-9, "bool": VALUES}.get(dtype, LARGE)
    data = LAZY[kind](X, dtype)
    feature_dim = "band" if isinstance(data, xr.DataArray) else None
    found = rows_of(as_points(data, feature_dim=feature_dim))[0]
    np.testing.assert_array_equal(found, X)
    model = KMeans(3, random_state=0, nan="skip", feature_dim=feature_dim).fit(data)
    expected = KMeans(3, random_state=0, nan="skip").fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, expected.cluster_centers_)
    labels = naive.nearest(X, model.cluster_centers_)
    np.testing.assert_array_equal(as_numpy(model.labels_), labels)
    np.testing.assert_array_equal(as_numpy(model.predict(data)), labels)
    distances = as_numpy(model.transform(data)).reshape(N, 3)
    np.testing.assert_allclose(
        distances, np.sqrt(naive.squared_distances(X, model.cluster_centers_))
    )


@given(
    st.sampled_from(["int8", "uint16", "int64", "float32", "bool"]),
    st.lists(st.sampled_from(["bool", "int8", "uint8", "int64", "float32", "float64", "O"]),
             min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_every_chunk_of_its_own_dtype(declared, dtypes, seed):
    rng = np.random.default_rng(seed)
    parts = [rng.integers(-9, 99, (4, 2)).astype(dtype) for dtype in dtypes]
    X = np.concatenate([part.astype(float) for part in parts])
    delayed = [da.from_delayed(dask.delayed(part), (4, 2), dtype=declared) for part in parts]
    frames = declared_frame(
        [pd.DataFrame(part, columns=["a", "b"]) for part in parts],
        pd.DataFrame({"a": np.empty(0, declared), "b": np.empty(0, declared)}),
    )
    for data in (da.concatenate(delayed), frames):
        np.testing.assert_array_equal(rows_of(as_points(data))[0], X)


def test_what_makes_nulls_of_integers(tmp_path):
    """Joins, where, mask and replace of Dask itself: its own words for the dtypes may be wrong."""
    left = dd.from_pandas(pd.DataFrame({"k": range(8), "a": range(8)}), npartitions=2)
    right = dd.from_pandas(pd.DataFrame({"k": range(4), "b": range(100, 104)}), npartitions=2)
    frames = [
        left.merge(right, on="k", how="left")[["a", "b"]],
        left.where(left.a < 5),
        left.mask(left.a > 5),
        left.assign(b=left.a.replace(3, 2.5)),
        left.assign(b=left.a.map(lambda x: x + 0.5, meta=("a", "int64"))),
        dd.concat([left, right]),
    ]
    for frame in frames:
        found, expected = rows_of(as_points(frame))[0], frame.compute().to_numpy(float)
        # A join gives its rows in another order each time.
        in_order = [np.array(sorted(np.nan_to_num(x, nan=-1).tolist())) for x in (found, expected)]
        np.testing.assert_array_equal(*in_order)


def test_nulls_that_the_footers_of_files_do_not_tell(tmp_path):
    for number, values in enumerate(([1, 2, 3, 50], [1, None, 51, 52])):
        table = pa.table({"a": pa.array(values)})
        pq.write_table(table, tmp_path / f"{number}.parquet", write_statistics=False)
    for data in (dd.read_parquet(tmp_path), str(tmp_path)):
        model = KMeans(2, random_state=0, nan="skip").fit(data)
        assert sorted(model.cluster_centers_.ravel().tolist()) == [1.75, 51.0]
        assert as_numpy(model.labels_)[5] == -1


# Weights


@pytest.mark.parametrize("dtype", ["int64", "int8", "bool"])
@pytest.mark.parametrize("chunks", [17, 9])
def test_weights_of_another_dtype_than_declared(dtype, chunks):
    weights = np.arange(N) + 0.5
    expected = KMeans(3, random_state=0).fit(VALUES, sample_weight=weights)
    lazy = da.from_array(weights, chunks=chunks).map_blocks(lambda x: x, dtype=dtype)
    array = KMeans(3, random_state=0).fit(da.from_array(VALUES, chunks=(17, 2)), sample_weight=lazy)
    frame = in_parts(np.c_[VALUES[:, 0], weights], as_frame, dtype)
    by_frame = KMeans(3, random_state=0).fit(
        in_parts(VALUES, as_frame, "float64"), sample_weight=frame["b"]
    )
    for model in (array, by_frame):
        np.testing.assert_array_equal(model.cluster_centers_, expected.cluster_centers_)
        assert model.inertia_ == expected.inertia_


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, decimal.Decimal("NaN")])
def test_weights_that_are_missing(missing):
    weights = [1, decimal.Decimal("2.5"), missing, True]
    X = VALUES[:4]
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=1)
    kinds = [
        (X, weights),
        (X, np.array(weights, object)),
        (pd.DataFrame(X), pd.Series(weights, dtype=object)),
        (da.from_array(X), da.from_array(np.array(weights, object), chunks=3)),
        (frame, frame[0].map_partitions(lambda x: pd.Series(weights), meta=(0, "f8"))),
    ]
    for data, given_weights in kinds:
        with pytest.raises(ValueError, match="sample_weight is not finite at row 2: nan"):
            KMeans(2).fit(data, sample_weight=given_weights)


# What is no number


@pytest.mark.parametrize(
    "wrong", ["7", "seven", b"7", {"x": 1}, pd.Timestamp(0), 10**400], ids=lambda x: str(x)[:9]
)
def test_objects_that_are_no_numbers(wrong):
    X = np.empty((4, 2), object)
    X[:] = 1.0
    X[2, 1] = wrong
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    floats = pd.DataFrame({"a": [1.0], "b": [1.0]})
    # Not by from_map, which makes texts of objects before anyone can see them.
    by_parts = dd.from_pandas(floats, npartitions=1).map_partitions(
        lambda _: frame, meta=floats.iloc[:0]
    )
    for data in (X, X.tolist(), da.from_array(X, chunks=2), by_parts):
        with pytest.raises(TypeError, match="real number, not a string"):
            KMeans(2).fit(data)


def test_objects_that_are_missing_are_nan():
    X = np.array([[1, None], [decimal.Decimal("2.5"), pd.NA], [True, np.float32(3)]], object)
    expected = [[1, np.nan], [2.5, np.nan], [1, 3]]
    for data in (
        X,
        X.tolist(),
        da.from_array(X, chunks=(2, 1)),
        pd.DataFrame(X, columns=["a", "b"]),
    ):
        np.testing.assert_array_equal(rows_of(as_points(data))[0], expected)


def test_partitions_of_other_columns():
    meta = pd.DataFrame({"a": [1.0], "b": [1.0]}).iloc[:0]
    data = declared_frame([pd.DataFrame({"a": [1.0], "c": [2.0]})], meta)
    with pytest.raises(ValueError, match=r"columns 'a', 'c'.*said to have 'a', 'b'"):
        rows_of(as_points(data))
