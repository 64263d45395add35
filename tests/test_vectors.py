"""Columns of vectors: the same rows as one NumPy array, from every container that can hold them."""

from __future__ import annotations

import decimal
import itertools
import re
import tempfile
import warnings
from pathlib import Path

import dask
import dask.dataframe as dd
import fsspec
import naive
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import as_numpy
from reading import check, rows_of

from dask_kmeans import KMeans, load_model
from dask_kmeans.checks import RaggedError
from dask_kmeans.cli import main
from dask_kmeans.read import as_points, from_parquet, open_source

DTYPES = {"float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64(),
          "int8": pa.int8(), "uint16": pa.uint16(), "int64": pa.int64()}  # fmt: skip


def said(*parts):
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


# The containers: each of rows (lists of numbers and None, or None), and where to cut them


def as_table(rows, kind, cut, folder, make=pa.list_):
    whole = pa.chunked_array(
        [pa.array(rows[at : at + cut], make(kind)) for at in range(0, len(rows), cut)]
    )
    return pa.table({"v": whole})


def as_large(rows, kind, cut, folder):
    return as_table(rows, kind, cut, folder, pa.large_list)


def as_fixed(rows, kind, cut, folder):
    width = len(next(row for row in rows if row is not None))
    return as_table(rows, kind, cut, folder, lambda of: pa.list_(of, width))


def as_tensors(rows, kind, cut, folder):
    stored = as_fixed(rows, kind, len(rows), folder)["v"].chunk(0)
    of = pa.fixed_shape_tensor(kind, [stored.type.list_size])
    return pa.table({"v": pa.ExtensionArray.from_storage(of, stored)})


def as_sliced(rows, kind, cut, folder):
    """Lists and nulls before the first row and after the last."""
    around = [None, rows[0] or [], *rows, None]
    return pa.table({"v": pa.array(around, pa.list_(kind))}).slice(2, len(rows))


def as_polars_list(rows, kind, cut, folder):
    return pl.from_arrow(as_large(rows, kind, cut, folder))


def as_polars_array(rows, kind, cut, folder):
    return pl.from_arrow(as_fixed(rows, kind, cut, folder))


def as_arrays(rows, kind, cut, folder):
    """pandas, of one ndarray a row."""
    return as_table(rows, kind, cut, folder).to_pandas()


def as_lists(rows, kind, cut, folder):
    values = pd.Series(index=range(len(rows)), dtype=object)
    values[:] = [None if row is None else list(row) for row in rows]
    return pd.DataFrame({"v": values})


def as_arrow_backed(rows, kind, cut, folder):
    return as_table(rows, kind, cut, folder).to_pandas(types_mapper=pd.ArrowDtype)


def as_dask_frame(rows, kind, cut, folder):
    frame = as_arrow_backed(rows, kind, cut, folder)
    return dd.from_pandas(frame, npartitions=-(-len(rows) // cut), sort=False)


def as_dask_objects(rows, kind, cut, folder):
    with dask.config.set({"dataframe.convert-string": False}):
        frame = as_lists(rows, kind, cut, folder)
        return dd.from_pandas(frame, npartitions=-(-len(rows) // cut), sort=False)


def as_parquet(rows, kind, cut, folder, make=as_table):
    pq.write_table(make(rows, kind, cut, folder), folder / "v.parquet", row_group_size=cut)
    return folder / "v.parquet"


def as_fixed_parquet(rows, kind, cut, folder):
    return as_parquet(rows, kind, cut, folder, as_fixed)


def as_tensor_parquet(rows, kind, cut, folder):
    return as_parquet(rows, kind, cut, folder, as_tensors)


def as_parquet_files(rows, kind, cut, folder):
    """Parts in natural order, one of them empty."""
    whole = as_table(rows, kind, cut, folder)
    for number, at in enumerate([0, *range(0, len(rows), cut)]):
        pq.write_table(whole.slice(at, cut if number else 0), folder / f"part-{number}.parquet")
    return str(folder)


VARIABLE = {
    "list": as_table, "large_list": as_large, "sliced": as_sliced, "polars List": as_polars_list,
    "pandas of arrays": as_arrays, "pandas of lists": as_lists, "pandas of Arrow": as_arrow_backed,
    "dask frame": as_dask_frame, "dask frame of objects": as_dask_objects, "Parquet": as_parquet,
    "Parquet files": as_parquet_files,
}  # fmt: skip
FIXED = {
    "fixed_size_list": as_fixed, "tensors": as_tensors, "polars Array": as_polars_array,
    "Parquet, fixed": as_fixed_parquet, "Parquet, tensors": as_tensor_parquet,
}  # fmt: skip
"""Containers that cannot hold vectors of several lengths."""


@st.composite
def vectors(draw):
    """(rows as lists, Arrow type): often with nulls, sometimes with one of another length."""
    name = draw(st.sampled_from(list(DTYPES)))
    n_rows, width = draw(st.integers(4, 12)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = list(map(list, rng.integers(0, 100, (n_rows, width)).astype(name)))
    for row in draw(st.sets(st.integers(1, n_rows - 1), max_size=2)):
        if draw(st.booleans()):
            rows[row] = None
        else:
            rows[row][draw(st.integers(0, width - 1))] = None
    if draw(st.integers(0, 3)) == 0:
        row = draw(st.integers(1, n_rows - 1))
        length = draw(st.integers(0, width + 2).filter(lambda n: n != width))
        rows[row] = list(np.ones(length, name))
    return rows, DTYPES[name]


def outcome(data, nan):
    """(names, centers, labels) of a fit, or what it says is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            model = KMeans(2, init="random", n_init=1, random_state=0, nan=nan).fit(data)
            labels = as_numpy(model.labels_)
            np.testing.assert_array_equal(as_numpy(model.predict(data)), labels)
            return getattr(model, "feature_names_in_", None), model.cluster_centers_, labels
        except ValueError as error:
            # What a partition calls a row, and what only a table says of a column.
            text = re.sub(r"\d+ of its partition \(index (\d+)\)", r"\1", str(error))
            return re.sub(r" \('v\[\d+\]'\)(?=\.)", "", text)


@settings(max_examples=30)
@given(
    vectors(),
    st.sets(st.sampled_from([*VARIABLE, *FIXED]), min_size=4, max_size=4),
    st.integers(1, 5),
    st.sampled_from(["raise", "skip"]),
)
def test_the_same_vectors(made, kinds, cut, nan):
    rows, kind = made
    width = len(rows[0])
    odd = [n for n, row in enumerate(rows) if row is not None and len(row) != width]
    if odd:
        expected = f"{width} numbers .*at row {odd[0]} there is one of {len(rows[odd[0]])}"
    else:
        X = np.array([[np.nan] * width if row is None else row for row in rows], float)
        expected = outcome(X, nan)
    for name in sorted(kinds):
        if odd and name in FIXED:
            continue
        make = (VARIABLE | FIXED)[name]
        with tempfile.TemporaryDirectory() as folder:
            found = outcome(make(rows, kind, cut, Path(folder)), nan)
        if odd:
            assert isinstance(found, str), name
            assert re.search(expected, found), (name, found)
        elif isinstance(expected, str):
            assert found == expected, name
        else:
            assert not isinstance(found, str), (name, found)
            assert list(found[0]) == [f"v[{n}]" for n in range(width)], name
            np.testing.assert_array_equal(found[1], expected[1], err_msg=name)
            np.testing.assert_array_equal(found[2], naive.nearest(X, expected[1]), err_msg=name)


# Which columns, and under which names

RNG = np.random.default_rng(1)
N, D = 400, 6
V = RNG.normal(size=(N, D)).astype("f4")
A, W = RNG.normal(size=N), RNG.integers(1, 5, N)


@pytest.fixture
def table(tmp_path):
    """A folder of Parquet: vectors between scalars, with weights, texts and lists of texts."""
    whole = pa.table(
        {
            "id": pa.array([f"doc {n}" for n in range(N)]),
            "a": pa.array(A),
            "v": pa.array(list(V), pa.list_(pa.float32())),
            "tags": pa.array([["x", "y"]] * N),
            "w": pa.array(W),
        }
    )
    for part, at in enumerate(range(0, N, 100)):
        (tmp_path / f"year={2020 + part}").mkdir()
        pq.write_table(
            whole.slice(at, 100), tmp_path / f"year={2020 + part}" / "x.parquet", row_group_size=37
        )
    return tmp_path


def test_beside_scalar_columns(table):
    expected = np.c_[A, V, W, np.repeat(range(2020, 2024), 100)]
    with pytest.warns(UserWarning, match=said("2 column(s) without numbers", "'tags' (list<")):
        points = as_points(table)
    assert points.feature_names == ("a", *(f"v[{n}]" for n in range(D)), "w", "year")
    check(points, expected)
    source = open_source(table, columns=["v", "a"], weight_column="w")
    check(as_points(source), np.c_[V, A], W)
    check(as_points(open_source(table, columns=["v"], weight_column="w")), V, W)


def test_vectors_alone_are_not_copied(table):
    source = open_source(table, columns=["v"])
    (piece, _), *_ = source.blocks(1)[0].source.pieces()
    assert piece.dtype == np.float32
    assert piece.flags.c_contiguous
    assert not piece.flags.owndata
    assert not piece.flags.writeable  # they are Arrow's own


def test_a_model_finds_its_vectors_by_name(table, tmp_path):
    model = KMeans(3, random_state=0).fit(open_source(table, columns=["v", "a"]))
    expected = naive.nearest(np.c_[V, A], model.cluster_centers_)
    model.save(tmp_path / "m.zarr")
    for each in (model, load_model(tmp_path / "m.zarr")):
        np.testing.assert_array_equal(as_numpy(each.predict(f"{table}/year=*")), expected)
    wide = pd.DataFrame(np.c_[V, A], columns=model.feature_names_in_)
    np.testing.assert_array_equal(model.predict(wide), expected)
    longer = pa.table({"v": pa.array([[0.0] * 7]), "a": [1.0]})
    pq.write_table(longer, tmp_path / "longer.parquet")
    with pytest.raises(ValueError, match=said("longer.parquet", "'v' has vectors of 7 numbers")):
        model.predict(tmp_path / "longer.parquet")
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(longer)


def test_the_command_line(table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as done:
            main([*arguments, "--quiet"])
        assert done.value.code == 0, capsys.readouterr().err

    places = ("year=*", "--model", "m.zarr", "--labels")
    run("fit", *places, "l.npy", "-k", "3", "--columns", "v", "--sample-weight", "w")
    run("predict", *places, "p.npy")
    labels = naive.nearest(V, load_model("m.zarr").cluster_centers_)
    np.testing.assert_array_equal(np.load("l.npy"), labels)
    np.testing.assert_array_equal(np.load("p.npy"), labels)


@pytest.mark.parametrize(
    ("columns", "weights", "error", "text"),
    [
        (["tags"], None, TypeError, "Column 'tags' of .* holds list<.*>, not numbers"),
        (["a"], "v", TypeError, "Column 'v' of .* holds vectors .*and a weight is one number"),
        (["v[0]", "v[2]"], None, ValueError, r"'v\[0\]', 'v\[2\]': column 'v' has vectors of 6"),
        (["v[9]", "x[0]"], None, ValueError, r"has no column 'x\[0\]'"),
        (["v", "v[0]"], None, ValueError, "taken whole"),
    ],
)
def test_columns_that_cannot_be_chosen(table, columns, weights, error, text):
    with pytest.raises(error, match=text):
        open_source(table, columns=columns, weight_column=weights)


def test_two_features_of_one_name():
    table = pa.table({"v": [[1.0, 2.0]] * 3, "v[1]": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match=said("X has several columns of one name", "'v[1]'")):
        as_points(table)


@pytest.mark.parametrize("empty", [[], [None, None], [[], []]])
@pytest.mark.parametrize("make", [as_table, as_arrow_backed, as_parquet, as_polars_list])
def test_no_vector_at_all(empty, make, tmp_path):
    data = make(empty, pa.float32(), 2, tmp_path) if empty else pa.table(
        {"v": pa.array([], pa.list_(pa.float32()))}
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"Column 'v' of .* has no vector with a number in it"):
        as_points(data)


def test_lists_that_are_no_vectors():
    nested = pa.table({"v": [[[1.0]], [[2.0]]], "a": [1.0, 2.0]})
    with pytest.warns(UserWarning, match=said("left out", "'v' (list<")):
        assert as_points(nested).feature_names == ("a",)
    for odd, error, text in [
        (["1", "2"], TypeError, "column 'v' has values that are no numbers"),
        ([[1], 2.0], ValueError, "cannot be made an array"),
        (3.0, RaggedError, "at row 1 there is 3.0"),
        ("text", RaggedError, "at row 1 there is 'text'"),
    ]:
        frame = pd.DataFrame({"v": pd.Series([[1.0, 2.0], odd], dtype=object)})
        with pytest.raises(error, match=text):
            as_points(frame)


def test_objects_of_every_kind():
    rows = [(1, 2), [None, decimal.Decimal(3)], np.array([5, 6], "u1"), pd.NA, float("nan")]
    frame = pd.DataFrame({"v": pd.Series(rows, dtype=object)})
    expected = [[1, 2], [np.nan, 3], [5, 6], [np.nan] * 2, [np.nan] * 2]
    np.testing.assert_array_equal(rows_of(as_points(frame))[0], expected)


def test_dask_looks_at_the_first_vectors_only():
    seen = []

    def part(number):
        seen.append(number)
        rows = [None] if number == 0 else [np.full(3, number, "f2")]
        return pd.DataFrame({"v": pd.Series(rows, dtype=object)})

    meta = pd.DataFrame({"v": pd.Series([], dtype=object)})
    with dask.config.set({"dataframe.convert-string": False}):
        frame = dd.from_map(part, range(4), meta=meta)
    with dask.config.set(scheduler="synchronous"):
        points = as_points(frame)
        assert seen == [0, 1]
        expected = np.repeat([[np.nan], [1], [2], [3]], 3, axis=1)
        np.testing.assert_array_equal(rows_of(points)[0], expected)
    assert points.dtype == np.float16


# How they are read


def test_a_large_row_group_is_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(from_parquet, "VECTOR_BATCH_BYTES", 64 * D * 4)
    pq.write_table(pa.table({"v": list(V)}), tmp_path / "v.parquet")
    for most in (None, 150):
        blocks = open_source(tmp_path / "v.parquet").blocks(2, most)
        pieces = [piece for block in blocks for piece, _ in block.source.pieces()]
        assert max(map(len, pieces)) == 64
        np.testing.assert_array_equal(np.concatenate(pieces), V)
    ragged = [*V[:-1], V[-1, :2]]
    pq.write_table(pa.table({"v": ragged}), tmp_path / "r.parquet")
    for block in open_source(tmp_path / "r.parquet").blocks(2, 150)[-1:]:
        with pytest.raises(RaggedError, match=f"at row {N - 1} there is one of 2"):
            list(block.source.pieces())


def test_far_away(tmp_path):
    """Of the first rows no more is fetched than it takes to see how long the vectors are."""
    fs = fsspec.filesystem("memory")
    pq.write_table(pa.table({"v": list(V), "a": A}), tmp_path / "v.parquet", row_group_size=150)
    fs.pipe_file("/vectors/v.parquet", (tmp_path / "v.parquet").read_bytes())
    check(as_points("memory://vectors/v.parquet"), np.c_[V, A])


def test_integers_with_nulls_are_floats(tmp_path):
    rows = [[1, 2], None, [3, None], [5, 6]]
    for make, kind in itertools.product((as_table, as_fixed), (pa.int8(), pa.int64())):
        path = as_parquet(rows, kind, 2, tmp_path, make)
        points = as_points(path)
        assert points.dtype == np.promote_types(kind.to_pandas_dtype(), np.float32)
        found = rows_of(points)[0]
        np.testing.assert_array_equal(found, [[1, 2], [np.nan] * 2, [3, np.nan], [5, 6]])
        assert found.dtype == points.dtype
