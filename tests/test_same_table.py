"""One table in every kind of container: the same features, the same fit, the same complaint.

The oracle makes the features by hand, from lists, and fits them as one NumPy array.
"""

from __future__ import annotations

import datetime
import decimal
import re
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import dask.array as da
import dask.dataframe as dd
import naive
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import as_numpy

from dask_kmeans import KMeans
from dask_kmeans.read import open_source

NAMES = ("a", "b", "a.b", "a, b", 'x"y"', "x;y", "größe", " ", "[0]", "a\nb", "feature", "label",
         "", "Unnamed: 0", "__index_level_0__")  # fmt: skip
UNNAMED = NAMES[-3:]

NUMBERS = {
    "float64": pa.float64(),
    "float32": pa.float32(),
    "int8": pa.int8(),
    "uint16": pa.uint16(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "decimal": pa.decimal128(12, 1),
    "null": pa.null(),
}
OTHERS = {
    "text": pa.string(),
    "date": pa.timestamp("ms"),
    "category": pa.dictionary(pa.int32(), pa.string()),
}


class Column(NamedTuple):
    name: str
    kind: str
    values: list

    @property
    def is_feature(self):
        return self.kind in NUMBERS and self.name not in UNNAMED


@st.composite
def columns_of(draw, name, n_rows):
    """A column of any kind, often with missing values."""
    kind = draw(st.sampled_from([*NUMBERS, *OTHERS]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    numbers = rng.integers(0, 100, n_rows)
    make = {
        "float64": lambda x: x * 1000.5,
        "float32": lambda x: x / 2,
        "bool": lambda x: x % 2 == 0,
        "decimal": lambda x: decimal.Decimal(x) / 2,
        "null": lambda x: None,
        "text": lambda x: f"no. {x}",
        "date": lambda x: datetime.datetime(2020, 1, 1 + x % 9),
        "category": lambda x: f"no. {x % 3}",
    }.get(kind, int)
    values = [make(int(x)) for x in numbers]
    for row in draw(st.sets(st.integers(1, n_rows - 1), max_size=2)):
        values[row] = None
    return Column(name, kind, values)


@st.composite
def tables(draw):
    n_rows = draw(st.integers(4, 12))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    return [draw(columns_of(name, n_rows)) for name in names]


# The containers


def as_arrow(table, cut=None, folder=None):
    return pa.table(
        [pa.array(c.values, (NUMBERS | OTHERS)[c.kind]) for c in table],
        names=[c.name for c in table],
    )


def as_batch(table, cut, folder):
    return as_arrow(table).to_batches()[0]


def as_polars(table, cut, folder):
    columns = as_arrow(table).columns
    # Under any names first: polars gives one to a column of Arrow that has none.
    frame = pl.from_arrow(pa.table(columns, names=[str(n) for n in range(len(table))]))
    frame.columns = [c.name for c in table]
    return frame


def as_pandas(table, cut=None, folder=None):
    """As pandas makes it of Arrow: objects for decimals, and wherever a bool is missing."""
    return as_arrow(table).to_pandas()


def as_arrow_backed(table, cut=None, folder=None):
    return as_arrow(table).to_pandas(types_mapper=pd.ArrowDtype)


def as_nullable(table, cut, folder):
    nullable = {pa.float64(): pd.Float64Dtype(), pa.float32(): pd.Float32Dtype(),
                pa.int8(): pd.Int8Dtype(), pa.uint16(): pd.UInt16Dtype(),
                pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}  # fmt: skip
    return as_arrow(table).to_pandas(types_mapper=nullable.get)


def as_dask_frame(table, cut, folder):
    return dd.from_pandas(as_arrow_backed(table), npartitions=cut, sort=False)


def as_parquet(table, cut, folder):
    pq.write_table(as_arrow(table), folder / "t.parquet", row_group_size=cut)
    return folder / "t.parquet"


def as_parquet_files(table, cut, folder):
    whole = as_arrow(table)
    for number, start in enumerate(range(0, len(whole), cut)):
        pq.write_table(whole.slice(start, cut), folder / f"part-{number}")
    return folder


def as_pandas_parquet(table, cut, folder):
    """With an index of its own, which is no feature."""
    frame = as_pandas(table).set_index(np.arange(len(table[0].values)) ** 2)
    frame.to_parquet(folder / "t.parquet")
    return folder / "t.parquet"


def as_csv(table, cut, folder):
    as_pandas(table).to_csv(folder / "t.csv", index=False, lineterminator="\r\n")
    return folder / "t.csv"


def as_csv_files(table, cut, folder):
    frame = as_pandas(table)
    for number, start in enumerate(range(0, len(frame), cut)):
        part = frame[start : start + cut]
        part.to_csv(folder / f"{number}.csv", index=False, sep=",;"[len(table) > 1])
    return folder


def as_dataset(table, cut, folder):
    """xarray has no index columns, and no types of its own for most of what others have."""
    data = {c.name: ("row", features([c])[:, 0]) for c in table if c.is_feature}
    others = {c.name: ("row", np.array(list(map(str, c.values)))) for c in table
              if c.kind in OTHERS}  # fmt: skip
    return xr.Dataset(data | others)


def as_lazy_dataset(table, cut, folder):
    return as_dataset(table, cut, folder).chunk(row=cut)


NAMED = {
    "pyarrow": as_arrow,
    "pyarrow batch": as_batch,
    "polars": as_polars,
    "pandas": as_pandas,
    "pandas, of arrow": as_arrow_backed,
    "pandas, nullable": as_nullable,
    "dask frame": as_dask_frame,
    "Parquet": as_parquet,
    "Parquet files": as_parquet_files,
    "Parquet of pandas": as_pandas_parquet,
    "CSV": as_csv,
    "CSV files": as_csv_files,
    "Dataset": as_dataset,
    "lazy Dataset": as_lazy_dataset,
}


def features(table):
    """The oracle: float64 (n, d), from lists."""
    chosen = [c for c in table if c.is_feature]
    n_rows = len(table[0].values)
    X = np.empty((n_rows, len(chosen)))
    for column, of in enumerate(chosen):
        X[:, column] = [np.nan if value is None else float(value) for value in of.values]
    return X


def as_zarr(X, cut, folder):
    zarr.create_array(folder / "x.zarr", data=X, chunks=(cut, 1))
    return folder / "x.zarr"


def as_npy(X, cut, folder):
    np.save(folder / "x.npy", np.asfortranarray(X))
    return folder / "x.npy"


UNLABELLED = {
    "NumPy": lambda X, cut, folder: X,
    "lists": lambda X, cut, folder: X.tolist(),
    "objects": lambda X, cut, folder: np.where(np.isnan(X), None, X),
    "dask array": lambda X, cut, folder: da.from_array(X, chunks=(cut, 1)),
    "Zarr": as_zarr,
    ".npy": as_npy,
}


def outcome(data, nan):
    """(features' names, centers, labels) of a fit, or what it says is wrong; and its warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            model = KMeans(2, init="random", n_init=1, random_state=0, nan=nan).fit(data)
            names = getattr(model, "feature_names_in_", None)
            found = (None if names is None else tuple(names), model.cluster_centers_,
                     as_numpy(model.labels_), as_numpy(model.predict(data)))  # fmt: skip
        except ValueError as error:
            found = f"{type(error).__name__}: {error}"
    return found, [str(each.message) for each in seen if "left out" in str(each.message)]


def without_name(text):
    """A complaint of a value that is not finite, without the name of its column."""
    return re.sub(r" \('.*'\)(?=\.)", "", text, flags=re.DOTALL)


@settings(max_examples=50)
@given(
    tables(),
    st.sets(st.sampled_from(list(NAMED)), min_size=3, max_size=3),
    st.sampled_from(list(UNLABELLED)),
    st.integers(1, 5),
    st.sampled_from(["raise", "skip"]),
)
def test_the_same_table(table, kinds, plain, cut, nan):
    X = features(table)
    names = tuple(c.name for c in table if c.is_feature)
    expected, _ = outcome(X, nan)
    made = {kind: (NAMED[kind], table) for kind in kinds}
    if names:
        made[plain] = (UNLABELLED[plain], X)
    complaints = set()
    for name, (make, content) in made.items():
        with tempfile.TemporaryDirectory() as folder:
            found, said = outcome(make(content, cut, Path(folder)), nan)
        if not names:
            assert isinstance(found, str), name
            assert "no numeric" in found, name
        elif isinstance(expected, str):
            assert isinstance(found, str), name
            assert without_name(found) == without_name(expected), name
            if name in NAMED:
                complaints.add(found)
        else:
            assert not isinstance(found, str), (name, found)
            assert found[0] == (names if name in NAMED else None), name
            np.testing.assert_array_equal(found[1], expected[1], err_msg=name)
            np.testing.assert_array_equal(found[2], naive.nearest(X, expected[1]), err_msg=name)
            np.testing.assert_array_equal(found[3], found[2], err_msg=name)
        if names and name in NAMED:
            told = " ".join(said)
            known = OTHERS if "Dataset" in name else (*OTHERS, *NUMBERS)
            for column in table:
                if not column.is_feature and column.kind in known:
                    assert repr(column.name) in told, (name, column.name, said)
            assert len(said) <= 4, name
    assert len(complaints) <= 1


@pytest.mark.parametrize("name", [n for n in NAMED if "Dataset" not in n and n not in
                                  ("pandas, nullable", "Parquet of pandas")])  # fmt: skip
def test_two_columns_of_one_name(name, tmp_path):
    """pandas itself cannot write some of them to files; Arrow can."""
    table = [Column("b", "int64", [1, 2]), Column("a", "int64", [1, 2]),
             Column("b", "float64", [3, 4])]  # fmt: skip
    if name == "polars":
        pytest.importorskip("polars")
        with pytest.raises(pl.exceptions.PolarsError):
            NAMED[name](table, 1, tmp_path)
        return
    if name == "dask frame":
        data = dd.from_pandas(as_pandas(table), npartitions=1)
    elif name.startswith("Parquet"):
        pq.write_table(as_arrow(table), tmp_path / "t.parquet")
        data = tmp_path / "t.parquet"
    else:
        data = NAMED[name](table, 1, tmp_path)
    with pytest.raises(ValueError, match="has several columns of one name: 'b'"):
        KMeans(1).fit(data)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("weights", "error", "text"),
    [
        ([1.0, None, 2.0], ValueError, "sample_weight is not finite at row 1: nan"),
        ([1.0, 2.0, -3.0], ValueError, r"sample_weight is negative at row 2: -3\.0"),
        (["x", "y", "z"], TypeError, "Column 'w' of .* holds .*, not numbers"),
    ],
)
def test_weights_in_a_column(tmp_path, suffix, weights, error, text):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "w": weights})
    path = tmp_path / f"t.{suffix}"
    frame.to_parquet(path) if suffix == "parquet" else frame.to_csv(path, index=False)
    with pytest.raises(error, match=text):
        KMeans(2).fit(open_source(path, columns=["a"], weight_column="w"))
