"""Tables: labels and distances in kind, in the order of the rows; which columns are features."""

from __future__ import annotations

import decimal
import warnings

import dask.dataframe as dd
import naive
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from inputs import as_numpy
from sklearn.metrics import pairwise_distances

import dask_kmeans
from dask_kmeans import KMeans, load_model, open_source, sweep

N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], N // 3, axis=0)
FRAME = pd.DataFrame(X, columns=["a", "b"])

INDEXES = {
    "of texts": pd.Index([f"row {n}" for n in RNG.permutation(N)], name="name"),
    "with repeats": pd.Index(np.arange(N) % 7),
    "of times": pd.date_range("2020-01-01", periods=N, freq="h", tz="CET", name="time"),
    "of two levels": pd.MultiIndex.from_product([range(6), list("abcdefghij")], names=["p", "q"]),
    "of categories": pd.CategoricalIndex(list("xyz") * (N // 3)),
}


def fitted(data, **parameters):
    return KMeans(3, random_state=0, **parameters).fit(data)


MODEL = fitted(X)
LABELS = naive.nearest(X, MODEL.cluster_centers_)
DISTANCES = pairwise_distances(X, MODEL.cluster_centers_)


# ------------------------------------------------------------------------------ there and back


@pytest.mark.parametrize("name", INDEXES)
def test_pandas_gets_its_index_back(name):
    frame = FRAME.set_axis(INDEXES[name], axis=0)
    model = fitted(frame)
    expected = pd.Series(LABELS.astype(np.int32), index=frame.index)
    for labels in (model.labels_, model.predict(frame), model.fit_predict(frame)):
        pd.testing.assert_series_equal(labels, expected)
    distances = model.transform(frame)
    pd.testing.assert_frame_equal(
        distances, pd.DataFrame(DISTANCES, index=frame.index, columns=["0", "1", "2"])
    )
    pd.testing.assert_frame_equal(frame.assign(label=labels).drop(columns="label"), frame)


def test_polars_gets_a_series_and_a_frame_back():
    frame = pl.DataFrame(X, schema=["a", "b"])
    model = fitted(frame)
    for labels in (model.labels_, model.predict(frame)):
        assert isinstance(labels, pl.Series)
        assert labels.dtype == pl.Int32
        assert frame.with_columns(label=labels)["label"].to_list() == LABELS.tolist()
    distances = model.transform(frame)
    assert distances.schema == {"0": pl.Float64, "1": pl.Float64, "2": pl.Float64}
    np.testing.assert_allclose(distances.to_numpy(), DISTANCES)


@pytest.mark.parametrize("rows_a_chunk", [7, N])
def test_pyarrow_gets_an_array_and_a_table_back(rows_a_chunk):
    table = pa.Table.from_batches(pa.table(dict(FRAME)).to_batches(rows_a_chunk))
    model = fitted(table)
    for labels in (model.labels_, model.predict(table)):
        assert labels.type == pa.int32()
        assert table.append_column("label", labels)["label"].to_pylist() == LABELS.tolist()
    distances = model.transform(table)
    assert distances.schema == pa.schema({name: pa.float64() for name in "012"})
    np.testing.assert_allclose(np.column_stack(distances.columns), DISTANCES)
    (batch, *_) = table.to_batches()
    assert isinstance(model.transform(batch), pa.RecordBatch)


@pytest.mark.parametrize("sort", [True, False])
def test_dask_keeps_partitions_index_and_order(sort):
    frame = FRAME.set_axis(np.arange(N)[:: 1 if sort else -1] * 10, axis=0)
    lazy = dd.from_pandas(frame, npartitions=4, sort=sort)
    model = fitted(lazy)
    for result, expected in [
        (model.labels_, pd.Series(LABELS.astype(np.int32), index=frame.index)),
        (model.predict(lazy), pd.Series(LABELS.astype(np.int32), index=frame.index)),
    ]:
        assert result.divisions == lazy.divisions
        assert result.dtype == np.int32
        pd.testing.assert_series_equal(result.compute(), expected)
        sizes = result.map_partitions(len).compute().tolist()
        assert sizes == lazy.map_partitions(len).compute().tolist()
    together = lazy.assign(label=model.labels_).compute()
    assert together.label.tolist() == LABELS.tolist()
    pd.testing.assert_frame_equal(together.drop(columns="label"), frame)
    distances = model.transform(lazy)
    assert distances.divisions == lazy.divisions
    np.testing.assert_allclose(distances.compute(), DISTANCES)


WEIGHTS = np.repeat([1.0, 0.0, 2.0], N // 3)


@pytest.mark.parametrize(
    ("data", "weights"),
    [
        (pl.DataFrame(X, schema=["a", "b"]), pl.Series(WEIGHTS)),
        (pa.table(dict(FRAME)), pa.array(WEIGHTS)),
        (pa.table(dict(FRAME)), pa.chunked_array([WEIGHTS[:9], WEIGHTS[9:]])),
        (FRAME, pd.Series(WEIGHTS, dtype="double[pyarrow]")),
    ],
    ids=["polars", "pyarrow", "pyarrow, chunked", "pandas, of arrow"],
)
def test_weights_of_the_kind_of_the_table(data, weights):
    model = KMeans(2, random_state=0).fit(data, sample_weight=weights)
    expected = KMeans(2, random_state=0).fit(X, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(model.cluster_centers_, expected.cluster_centers_)


# ------------------------------------------------------------------------- what counts as numbers

HALVES = RNG.integers(0, 9, N)
MAKERS = {
    "pandas, nullable": lambda: pd.DataFrame(
        {"i": pd.array(HALVES, "Int16"), "f": pd.array(X[:, 0], "Float64"),
         "b": pd.array(HALVES > 4, "boolean")}),
    "pandas, of arrow": lambda: pd.DataFrame(
        {"i": pd.array(HALVES, "uint8[pyarrow]"), "f": pd.array(X[:, 0], "double[pyarrow]"),
         "b": pd.array(HALVES > 4, "bool[pyarrow]")}),
    "pandas, decimals": lambda: pd.DataFrame(
        {"i": [decimal.Decimal(int(n)) for n in HALVES], "f": X[:, 0], "b": HALVES > 4}),
    "polars, decimals": lambda: pl.DataFrame(
        {"i": [decimal.Decimal(int(n)) for n in HALVES], "f": X[:, 0], "b": HALVES > 4}),
    "pyarrow, decimals": lambda: pa.table(
        {"i": pa.array([decimal.Decimal(int(n)) for n in HALVES]), "f": X[:, 0], "b": HALVES > 4}),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_every_type_of_number_counts_as_numbers(name):
    model = fitted(MAKERS[name]())
    expected = fitted(np.c_[HALVES, X[:, 0], HALVES > 4])
    assert tuple(model.feature_names_in_) == ("i", "f", "b")
    np.testing.assert_array_equal(model.cluster_centers_, expected.cluster_centers_)
    np.testing.assert_array_equal(np.asarray(model.labels_), expected.labels_)


# ----------------------------------------------------------------------------------- identifiers


def warned(action):
    """Warnings of identifiers that an action gives."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        action()
    return [str(each.message) for each in seen if "look like identifiers" in str(each.message)]


KINDS = {
    "pandas": lambda frame, folder: frame,
    "pandas, nullable": lambda frame, folder: frame.convert_dtypes(),
    "polars": lambda frame, folder: pl.from_pandas(frame),
    "pyarrow": lambda frame, folder: pa.Table.from_pandas(frame),
    "dask": lambda frame, folder: dd.from_pandas(frame, npartitions=2),
    "Parquet": lambda frame, folder: written(frame, folder),
    "Parquet, row groups": lambda frame, folder: written(frame, folder, row_group_size=25),
    "CSV": lambda frame, folder: written(frame, folder, "csv"),
}


def written(frame, folder, ending="parquet", **options):
    path = folder / f"t.{ending}"
    write = frame.to_csv if ending == "csv" else frame.to_parquet
    write(path, index=False, **options)
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("column", ["id", "customer_id", "customerId", "index", "Order ID", "ID"])
def test_a_column_that_is_named_as_an_identifier(kind, column, tmp_path):
    data = KINDS[kind](FRAME.assign(**{column: RNG.integers(0, 99, N)}), tmp_path)
    (message,) = warned(lambda: fitted(data))
    assert message.startswith("1 feature(s) look like identifiers of rows")
    assert f"{column!r} (by its name)" in message


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "dask"])
@pytest.mark.parametrize("values", [np.arange(N), np.arange(N)[::-1] + 7], ids=["up", "down"])
def test_a_column_that_numbers_the_rows(kind, values, tmp_path):
    data = KINDS[kind](FRAME.assign(n=values), tmp_path)
    (message,) = warned(lambda: fitted(data))
    assert "'n' (no two rows have the same, and rows are in its order)" in message


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_identifier(kind, tmp_path):
    frame = FRAME.assign(
        valid=RNG.integers(0, 2, N), grid=RNG.integers(0, 2, N), PAID=RNG.integers(0, 9, N),
        vegetation_index=np.arange(N) / 4.5, year=np.repeat(np.arange(N // 2), 2),
        wide=RNG.permutation(N) * 3, same=1,
    )  # fmt: skip
    data = KINDS[kind](frame, tmp_path)
    assert warned(lambda: fitted(data)) == []
    assert warned(lambda: fitted(KINDS[kind](frame[:9].assign(n=range(9)), tmp_path))) == []


def test_identifiers_that_are_chosen_or_in_arrays(tmp_path):
    path = written(FRAME.assign(id=np.arange(N)), tmp_path)
    assert warned(lambda: fitted(open_source(path, columns=["id", "a"]))) == []
    assert warned(lambda: fitted(open_source(path, exclude="id"))) == []
    assert warned(lambda: fitted(np.c_[X, np.arange(N)])) == []
    model = fitted(open_source(path, columns=["id", "a"]))
    assert warned(lambda: model.predict(path)) == []


def test_identifiers_far_apart_in_row_groups(tmp_path):
    """Statistics of row groups: integers that rise with gaps, and such as only seem to."""
    frame = FRAME.assign(n=np.arange(N) * 7 + 1000, m=np.sort(RNG.integers(0, 20, N)))
    (message,) = warned(lambda: fitted(written(frame, tmp_path, row_group_size=30)))
    assert "'n' (" in message
    assert "'m' (" not in message
    pq.write_table(pa.table(dict(frame)), tmp_path / "s.parquet", write_statistics=False)
    assert warned(lambda: fitted(tmp_path / "s.parquet")) == []


# ----------------------------------------------------------------------------------- open_source


def test_what_is_opened_is_taken_everywhere(tmp_path):
    path = written(FRAME.assign(weight=WEIGHTS, id=np.arange(N), name="x"), tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = dask_kmeans.open_source(path, columns=["b", "a"], weight_column="weight")
        model = KMeans(3, random_state=0).fit(rows)
        by_k = sweep(rows, [2, 3], random_state=0)
        labels = as_numpy(model.predict(rows))
        assert model.score(rows) == pytest.approx(-model.inertia_, rel=0, abs=0)
        model.save(tmp_path / "m.zarr")
        again = as_numpy(load_model(tmp_path / "m.zarr").predict(path))
    expected = KMeans(3, random_state=0).fit(X[:, ::-1], sample_weight=WEIGHTS)
    np.testing.assert_array_equal(model.cluster_centers_, expected.cluster_centers_)
    np.testing.assert_array_equal(by_k[3].cluster_centers_.shape, (3, 2))
    np.testing.assert_array_equal(labels, expected.labels_)
    np.testing.assert_array_equal(again, expected.labels_)
    assert (rows.n_rows, rows.n_features, rows.feature_names) == (N, 2, ("b", "a"))
    assert repr(rows) == f"<{path}: {N} rows, 2 features of float64, weighted>"


def test_one_column_needs_no_list(tmp_path):
    path = written(FRAME, tmp_path)
    assert open_source(path, columns="b").feature_names == ("b",)
    assert open_source(path, exclude="b").feature_names == ("a",)
    np.save(tmp_path / "x.npy", X)
    assert open_source(tmp_path / "x.npy", columns=1).positions == (1,)
    assert open_source(tmp_path / "x.npy", exclude=1).positions == (0,)
    assert repr(open_source(written(FRAME, tmp_path, "csv"))).endswith(
        ": rows not counted, 2 features of float64>"
    )
