"""Whatever is given: points, or an error of our own that says something."""

from __future__ import annotations

import traceback
import warnings
from decimal import Decimal
from pathlib import Path

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import dask_kmeans
from dask_kmeans.read import as_points, retry


@pytest.fixture(autouse=True, scope="module")
def no_pauses():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry, "PAUSES", (0,))
        yield


PACKAGE = Path(next(iter(dask_kmeans.__path__)))

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(max_size=9),
    st.binary(max_size=9), st.dates(), st.just(Decimal("1.5")), st.just(object()), st.just(len),
)  # fmt: skip
NESTED = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
ARRAYS = st.tuples(
    st.one_of(hnp.scalar_dtypes(), hnp.unicode_string_dtypes(max_len=3), st.just(np.dtype(object))),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
).map(lambda of: np.zeros(of[1], of[0]))
COLUMNS = st.one_of(
    st.lists(SCALARS, min_size=3, max_size=3),
    st.sampled_from(["Int8", "Float32", "boolean", "string", "category", "float64", "uint8",
                     "timedelta64[ns]", "Sparse[float64]", "int64[pyarrow]"])
    .map(lambda kind: pd.Series([0, 1, 1] if kind != "string" else ["a"] * 3).astype(kind)),
)  # fmt: skip
FRAMES = st.dictionaries(st.one_of(st.text(max_size=3), st.integers(0, 3)), COLUMNS, max_size=4)


def frame_of(columns):
    return pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})


def pieces_of(points):
    for block in points.blocks:
        source = block.source
        if dask.is_dask_collection(source):
            source = source.compute(scheduler="synchronous")
        yield from source.pieces()


def ours_or_points(make):
    """Points whose rows can be read, or an exception that was raised in this package."""
    raised = points = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            points = make()
            pieces = list(pieces_of(points))
        except (ValueError, TypeError, OSError, ImportError) as error:
            raised = error
    if raised is not None:
        frames = traceback.extract_tb(raised.__traceback__)
        assert PACKAGE in Path(frames[-1].filename).parents, raised
        assert len(str(raised)) > 20
    else:
        for rows, weights in pieces:
            assert rows.shape[1] == points.n_features > 0
            assert rows.dtype.kind in "iuf"
            assert (weights is not None) == points.weighted


@given(NESTED)
@settings(max_examples=400)
def test_anything(data):
    ours_or_points(lambda: as_points(data))


@given(ARRAYS, st.booleans(), NESTED)
@settings(max_examples=400)
def test_arrays(array, lazy, weights):
    data = da.from_array(array, chunks=2) if lazy and array.dtype.kind != "O" else array
    ours_or_points(lambda: as_points(data))
    ours_or_points(lambda: as_points(data, weights))


@given(ARRAYS, st.booleans(), st.sampled_from([None, "a", "b", "c", "d", 0, 3]))
@settings(max_examples=200)
def test_labelled_arrays(array, lazy, feature_dim):
    data = xr.DataArray(array, dims=list("abcd")[: array.ndim])
    data = data.chunk() if lazy and array.dtype.kind != "O" else data
    ours_or_points(lambda: as_points(data, feature_dim=feature_dim))
    ours_or_points(lambda: as_points(data.to_dataset(name="u")))


@given(FRAMES, st.booleans())
@settings(max_examples=300)
def test_frames(columns, lazy):
    frame = frame_of(columns)
    # Dask makes text of bytes when it computes, and fails of its own on those that are none.
    text = not any(isinstance(value, bytes) for name in frame for value in frame[name])
    named = len(frame.columns) > 0 and all(isinstance(name, str) for name in frame.columns)
    if lazy and text and named:
        try:
            frame = dd.from_pandas(frame, npartitions=2)
        except Exception:  # Dask does not take it
            return
    ours_or_points(lambda: as_points(frame))


@given(
    st.sampled_from(["", "file://", "memory://", "s4://", "https//", "://", "\0"]),
    st.text(max_size=20).filter(lambda name: ".." not in name),
    st.sampled_from(["", ".npy", ".csv", ".parquet", ".zarr", "/*.csv", "/[", "/?"]),
)
@settings(max_examples=300)
def test_paths(tmp_path_factory, scheme, name, suffix):
    folder = tmp_path_factory.getbasetemp() / "nothing"
    ours_or_points(lambda: as_points(f"{scheme}{folder}/{name}{suffix}"))


@given(st.sampled_from([".npy", ".csv", ".parquet", ".zarr", ".csv.gz", ".zip"]),
       st.binary(max_size=60) | st.text("0123456789.,-e\n\"ab;", max_size=60).map(str.encode),
       st.sampled_from([b"", b"\x93NUMPY", b"PAR1", b"a,b\n", b"\x1f\x8b", b"PK\x03"]))  # fmt: skip
@settings(max_examples=400)
def test_files(tmp_path_factory, suffix, content, magic):
    file = tmp_path_factory.mktemp("fuzz") / f"x{suffix}"
    file.write_bytes(magic + content)
    ours_or_points(lambda: as_points(str(file)))
