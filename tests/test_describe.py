"""`describe`: what the clusters of rows are like, from one pass, whatever the chunks."""

from __future__ import annotations

import json
import tracemalloc
import warnings

import dask
import dask.array as da
import naive
import numpy as np
import pandas as pd
import pytest
from counting import CountingChunks, CountingZarr
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import INPUTS, blobs
from strategies import chunks_of, seeds, weights_of

from dask_kmeans import KMeans, memory, open_source
from dask_kmeans.describe import QUANTILES, Clusters, clusters_of, statistics_for
from dask_kmeans.metrics import EUCLIDEAN
from dask_kmeans.statistics import balance, figures, learn, merge_known, nothing_known

NAMES = ["size", "weight", "inertia", "mean_distance", "max_distance",
         *(f"{name}_distance" for name in QUANTILES)]  # fmt: skip


def fitted(X, k=4, weights=None, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return KMeans(k, random_state=0, **parameters).fit(X, sample_weight=weights)


def around(centers, **parameters):
    """A model with these centers."""
    return fitted(centers, len(centers), init=centers, max_iter=1, **parameters)


def expected_rows(distances, labels, counted, k, top, farthest=False):
    """(cluster, rank, row, distance) of the nearest or farthest rows, ties by row."""
    found = []
    for cluster in range(k):
        rows = [row for row in range(len(labels)) if labels[row] == cluster and counted[row]]
        rows.sort(key=lambda row: (-distances[row] if farthest else distances[row], row))
        found += [
            (cluster, rank, row, distances[row]) for rank, row in enumerate(rows[:top], start=1)
        ]
    return found


def assert_rows(frame, expected):
    assert list(frame.columns) == ["cluster", "rank", "row", "distance"]
    assert list(frame.itertuples(index=False, name=None)) == expected


def assert_describes(found, X, labels, distances, squares, top, weights=None, rtol=1e-12):
    """Compare with pandas and brute force: `distances`, and their squares as the inertia counts."""
    k = len(found.table)
    w = np.ones(len(X)) if weights is None else np.asarray(weights)
    counted = (labels >= 0) & (w > 0)
    features = [f"x{j}" for j in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=features).assign(w=w, d=distances, i=w * squares)[counted]
    groups = frame.groupby(labels[counted])
    table, clusters = found.table, range(k)
    assert list(table.columns) == [*NAMES, *(f"{x}_{f}" for x in features for f in ("mean", "std"))]
    assert table.index.name == "cluster"
    assert table["size"].tolist() == np.bincount(labels[labels >= 0], minlength=k).tolist()
    close = {"rtol": rtol, "atol": 0}
    np.testing.assert_allclose(
        table[["weight", "inertia"]], groups[["w", "i"]].sum().reindex(clusters, fill_value=0.0),
        **close,
    )  # fmt: skip
    np.testing.assert_array_equal(table["max_distance"], groups["d"].max().reindex(clusters))
    for cluster in clusters:
        own = frame[labels[counted] == cluster]
        row = table.loc[cluster]
        if not len(own):
            assert row[3:].isna().all()
            continue
        mean = np.average(own["d"], weights=own["w"])
        np.testing.assert_allclose(row["mean_distance"], mean, **close)
        for name, q in QUANTILES.items():
            # To either side of a share that rounding may put a weight on.
            low, high = (
                np.quantile(own["d"], q + by, weights=own["w"], method="inverted_cdf")
                for by in (-1e-7, 1e-7)
            )
            assert low * 255 / 256 <= row[f"{name}_distance"] <= high * 257 / 256
        if weights is None:
            for figure in ("mean", "std"):
                np.testing.assert_allclose(
                    row[[f"{x}_{figure}" for x in features]].to_numpy(float),
                    getattr(own[features], figure)().to_numpy(), rtol=rtol, atol=1e-14,
                )  # fmt: skip
    assert_rows(found.nearest, expected_rows(distances, labels, counted, k, top))
    assert_rows(found.farthest, expected_rows(distances, labels, counted, k, top, farthest=True))
    assert found.n_rows == len(X)
    assert found.rows_left_out == np.count_nonzero(labels < 0)


def brute(X, centers):
    """Labels, distances and squared distances of rows to their nearest centers."""
    squares = naive.squared_distances(X, centers)
    labels = naive.nearest(X, centers)
    own = np.where(labels < 0, np.nan, squares[np.arange(len(X)), labels])
    return labels, np.sqrt(own), own


def as_bytes(found):
    """Everything, to the bit."""
    tables = found.table, found.nearest, found.farthest
    return [table.to_numpy(float).tobytes() for table in tables], found.inertia.hex(), found.n_rows


def test_it_equals_pandas_and_brute_force():
    X = blobs(1500, 3, 4, seed=1)
    model = fitted(X)
    found = model.describe(X, top=5)
    assert_describes(found, X, *brute(X, model.cluster_centers_), top=5)
    assert found.inertia == model.inertia_ == -model.score(X)
    assert found.table["size"].tolist() == model.cluster_sizes_.tolist()
    frame = pd.DataFrame(X)
    groups = frame.groupby(model.labels_)
    np.testing.assert_allclose(found.table.filter(like="_mean"), groups.mean(), rtol=1e-12)
    np.testing.assert_allclose(found.table.filter(like="_std"), groups.std(), rtol=1e-12)


@settings(max_examples=40)
@given(seeds(), st.sampled_from(["rows", "grid"]), st.integers(0, 4), st.data())
def test_neither_chunks_nor_order_change_a_bit(seed, kind, top, data):
    """Of rows that tie, of weights, rows that are skipped and clusters without rows."""
    rng = np.random.default_rng(seed)
    n = data.draw(st.integers(1, 50))
    X = rng.normal(size=(n, 2)) if kind == "rows" else rng.integers(-2, 3, (n, 2)).astype(float)
    X[rng.random(n) < 0.1] = np.nan
    weights = data.draw(weights_of(n))
    model = around(np.array([[-1.0, 0.0], [1.0, 0.5], [40.0, 0.0]]), nan="skip")
    whole = model.describe(X, weights, top)
    assert_describes(whole, X, *brute(X, model.cluster_centers_), top=top, weights=weights)

    statistics = statistics_for(EUCLIDEAN, top)
    ends = np.cumsum(data.draw(chunks_of(n))).tolist()
    chunks = tuple(b - a for a, b in zip([0, *ends], ends, strict=False) if b > a)
    lazy = da.from_array(X, chunks=(chunks, (2,)))
    lazy_weights = None if weights is None else da.from_array(weights, chunks=(chunks,))
    with dask.config.set(scheduler="threads", num_workers=2):
        assert as_bytes(model.describe(lazy, lazy_weights, top)) == as_bytes(whole)
    centers, labels = model.cluster_centers_, brute(X, model.cluster_centers_)[0]
    known = [
        learn(
            statistics, nothing_known(statistics, centers), X[first:stop],
            None if weights is None else weights[first:stop], labels[first:stop], centers, first,
            X[first:stop],
        )
        for first, stop in zip([0, *ends], ends, strict=False)
    ]  # fmt: skip
    merged = nothing_known(statistics, centers)
    for part in data.draw(st.permutations(known)):
        merged = merge_known(statistics, merged, part)
    found = clusters_of(figures(statistics, merged, centers), EUCLIDEAN, ["x0", "x1"])
    assert as_bytes(found) == as_bytes(whole)


@pytest.mark.parametrize("name", INPUTS)
def test_every_kind_of_input(name, tmp_path):
    X = blobs(1000, 5, 4, seed=3)
    rows = INPUTS[name](X, tmp_path)
    model = fitted(rows, init=X[:4], max_iter=3)
    with dask.config.set(scheduler="threads", num_workers=2):
        found = model.describe(rows, top=3)
    expected = fitted(X, init=X[:4], max_iter=3).describe(X, top=3)
    assert as_bytes(found) == as_bytes(expected)
    named = getattr(model, "feature_names_in_", [f"x{j}" for j in range(5)])
    assert list(found.table.columns[len(NAMES) :: 2]) == [f"{each}_mean" for each in named]


@pytest.mark.parametrize("far", [1e6, 1e9])
def test_features_far_from_the_origin_keep_their_deviations(far):
    X = blobs(800, 2, 3, seed=5) + far
    model = fitted(X, 3)
    found = model.describe(X).table
    groups = pd.DataFrame(X.astype(np.longdouble)).groupby(np.asarray(model.labels_))
    for cluster, rows in groups:
        rows = rows.to_numpy()
        own = found.loc[cluster]
        np.testing.assert_allclose(own[["x0_mean", "x1_mean"]], rows.mean(axis=0), rtol=1e-15)
        np.testing.assert_allclose(own[["x0_std", "x1_std"]], rows.std(axis=0, ddof=1), rtol=1e-12)


def test_weights_are_those_of_repeated_rows_but_for_the_divisor_of_the_deviation():
    X = blobs(300, 2, 3, seed=6)
    weights = np.random.default_rng(0).integers(0, 4, 300).astype(float)
    model = fitted(X, 3)
    found = model.describe(X, weights).table
    repeated = model.describe(np.repeat(X, weights.astype(int), axis=0)).table
    apart = ["size", "x0_std", "x1_std"]
    np.testing.assert_allclose(found.drop(columns=apart), repeated.drop(columns=apart), rtol=1e-12)
    assert found["size"].tolist() == model.cluster_sizes_.tolist()


def test_the_unit_of_weights_has_no_say_in_distances_and_features():
    X = blobs(300, 2, 3, seed=6)
    weights = np.random.default_rng(0).random(300)
    model = fitted(X, 3)
    in_units = ["weight", "inertia"]
    found = model.describe(X, weights).table.drop(columns=in_units)
    other = model.describe(X, 2.0**-60 * weights).table.drop(columns=in_units)
    np.testing.assert_array_equal(found, other)
    features = [f"x{j}_{figure}" for j in range(2) for figure in ("mean", "std")]
    equal, plain = model.describe(X, np.full(300, 1 / 3)).table, model.describe(X).table
    np.testing.assert_allclose(equal[features], plain[features], rtol=1e-12)


def test_standardized_distances_and_features_in_the_unit_of_the_data():
    X = blobs(600, 3, 4, seed=7) * [1.0, 1e3, 1e-3] + [5.0, 1e6, 0.0]
    model = fitted(X, standardize=True)
    found = model.describe(X, top=3)
    Z = (X - model.standardization_.mean) / model.standardization_.scale
    centers = (model.cluster_centers_ - model.standardization_.mean) / model.standardization_.scale
    assert_describes(found, X, *brute(Z, centers), top=3)
    np.testing.assert_allclose(
        found.table["mean_distance"],
        [model.transform(X)[model.labels_ == j, j].mean() for j in range(4)],
    )
    np.testing.assert_allclose(found.table.filter(like="_mean"), model.cluster_centers_, rtol=1e-9)


def test_cosine_distances_and_features_in_the_unit_of_the_data():
    X = np.abs(blobs(500, 4, 3, seed=8)) * np.random.default_rng(1).exponential(size=(500, 1))
    X[7] = 0.0
    model = fitted(X, 3, metric="cosine", nan="skip")
    for rows in (X, da.from_array(X, chunks=(120, 4))):
        found = model.describe(rows, top=4)
        units = X / np.where((X == 0).all(axis=1), np.nan, np.sqrt((X**2).sum(axis=1)))[:, None]
        labels, _, squares = brute(units, model.cluster_centers_)
        assert found.table["size"].tolist() == np.bincount(labels[labels >= 0]).tolist()
        assert found.rows_left_out == 1
        np.testing.assert_allclose(
            found.table.filter(like="_mean"),
            pd.DataFrame(X)[labels >= 0].groupby(labels[labels >= 0]).mean(), rtol=1e-12,
        )  # fmt: skip
        distances = np.asarray(model.transform(X))
        own = np.where(labels < 0, np.nan, distances[np.arange(500), labels])
        assert_rows(found.nearest, expected_rows(own, labels, labels >= 0, 3, 4))
        np.testing.assert_allclose(found.table["inertia"].sum(), np.nansum(squares) / 2)
        assert found.inertia == -model.score(rows)


@pytest.mark.parametrize("source", [CountingChunks, CountingZarr])
def test_it_reads_the_data_once(source):
    X = blobs(600, 4, 3, seed=2)
    model, counting = fitted(X), source(X)
    with dask.config.set(scheduler="threads", num_workers=2):
        found = model.describe(counting.array(), top=20)
    assert counting.passes() == 1
    assert as_bytes(found) == as_bytes(model.describe(X, top=20))


def test_rows_are_numbered_where_nobody_has_counted_them(tmp_path):
    """In one read, of blocks whose rows come to light as they are read."""
    X = blobs(3000, 2, 3, seed=4)
    model = fitted(X, 3)
    counting = CountingChunks(X, chunk=250)
    lazy = counting.array()
    lazy._chunks = ((np.nan,) * 12, (2,))
    with dask.config.set(scheduler="threads", num_workers=2):
        assert as_bytes(model.describe(lazy)) == as_bytes(model.describe(X))
    assert counting.passes() == 1


@pytest.mark.parametrize("nodata", [None, -9.0])
def test_features_that_the_fit_left_out_are_not_told_of(nodata):
    X = blobs(400, 3, 3, seed=3)
    X[:, 1] = np.nan if nodata is None else nodata
    X[7, 0] = X[7, 1]
    model = fitted(X, 3, nan="skip", nodata=nodata)
    found = model.describe(X, top=2).table
    assert found["size"].sum() == 399
    assert found[["x1_mean", "x1_std"]].isna().all(axis=None)
    alone = fitted(X[:, ::2], 3, nan="skip", nodata=nodata, init=model.cluster_centers_[:, ::2])
    expected = alone.describe(X[:, ::2], top=2).table
    found = found.drop(columns=["x1_mean", "x1_std"])
    np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())


@pytest.mark.parametrize("weights", [None, np.arange(900.0) % 3])
@pytest.mark.parametrize("standardize", [False, True])
def test_columns_that_a_source_carries(tmp_path, weights, standardize):
    """Of rows in the order of their distances, ties by row, as they lie in the file."""
    X = np.random.default_rng(0).integers(-9, 10, (900, 2)).astype(float)
    frame = pd.DataFrame(X, columns=["a", "b"])
    ids = [None if row % 7 == 0 else 2**60 + row for row in range(900)]
    frame["id"] = pd.array(ids, "Int64")
    frame["name"] = [f"n{row}" for row in range(900)]
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=123)
    model = fitted(frame[["a", "b"]], 3, standardize=standardize)
    source = open_source(str(tmp_path / "t.parquet"), columns=["a", "b"])
    found = model.describe(source.carrying(["name", "id"]), weights, top=30)
    plain = model.describe(frame[["a", "b"]], weights, top=30)
    assert found.table.to_numpy().tobytes() == plain.table.to_numpy().tobytes()
    for rows, same in ((found.nearest, plain.nearest), (found.farthest, plain.farthest)):
        assert list(rows.columns) == ["cluster", "rank", "row", "distance", "name", "id"]
        pd.testing.assert_frame_equal(rows.iloc[:, :4], same)
        assert rows["name"].tolist() == [f"n{row}" for row in rows["row"]]
        assert rows["id"].tolist() == [ids[row] for row in rows["row"]]


@pytest.mark.slow
def test_the_same_bits_from_processes(client):
    X = blobs(2000, 3, 4, seed=9)
    model = fitted(X)
    lazy = da.from_array(X, chunks=(130, 3))
    assert as_bytes(model.describe(lazy)) == as_bytes(model.describe(X))


def test_what_is_asked_for_more_than_there_is():
    model = around(np.array([[0.0], [10.0]]))
    found = model.describe(np.array([[1.0], [-1.0], [0.5]]), top=100)
    assert found.nearest.to_numpy().tolist() == [[0, 1, 2, 0.5], [0, 2, 0, 1.0], [0, 3, 1, 1.0]]
    assert found.farthest["row"].tolist() == [0, 1, 2]
    assert found.table["size"].tolist() == [3, 0]
    assert found.table.loc[1, ["weight", "inertia"]].tolist() == [0.0, 0.0]
    assert found.table.loc[1].iloc[3:].isna().all()
    none = model.describe(np.array([[1.0]]), top=0)
    assert len(none.nearest) == len(none.farthest) == 0
    assert none.table.loc[0, "x0_mean"] == 1.0
    assert np.isnan(none.table.loc[0, "x0_std"])  # of a single row, as pandas has it


def test_balance_is_the_largest_share_and_the_exponential_of_the_entropy():
    assert balance(np.array([5, 5, 5, 5])) == pytest.approx((0.25, 4.0))
    assert balance(np.array([7, 0])) == (1.0, 1.0)
    assert balance(np.array([1, 2, 1])) == pytest.approx((0.5, 2**1.5))
    assert np.isnan(balance(np.zeros(3, int))).all()
    found = around(np.array([[0.0], [10.0]])).describe(np.array([[0.0], [1.0], [2.0], [9.0]]))
    assert found.balance.largest_share == 0.75


def test_as_json_and_in_words():
    frame = pd.DataFrame({"depth": [0.0, 1.0, 10.0], "width": [1.0, 1.0, 3.0]})
    model = fitted(frame, 2)
    found = model.describe(frame, top=1)
    assert isinstance(found, Clusters)
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (content["n_rows"], content["rows_left_out"], content["n_features"]) == (3, 0, 2)
    assert content["largest_share"] == pytest.approx(2 / 3)
    single = int(model.labels_[2])
    own = content["clusters"][single]
    assert (own["cluster"], own["size"], own["depth_mean"]) == (single, 1, 10.0)
    assert own["depth_std"] is None
    assert content["nearest"][single]["row"] == 2
    shown = repr(found)
    assert shown.splitlines()[:2] == [
        "2 clusters of 3 rows, inertia 0.5",
        "the largest cluster has 66.7% of the rows; 1.89 effective clusters",
    ]
    header, *rows = [line.split() for line in shown.splitlines()[2:]]
    assert header == [
        "cluster", "size", "inertia", "mean_distance", "q50_distance", "max_distance",
        "depth_mean", "depth_std", "width_mean", "width_std",
    ]  # fmt: skip
    assert rows[single] == [str(single), "1", *["0"] * 4, "10", "NaN", "3", "NaN"]


def test_a_long_table_is_cut_where_it_is_shown():
    X = np.arange(30.0)[:, None] * np.ones(5)
    shown = repr(around(X).describe(X)).splitlines()
    assert len(shown) == 2 + 1 + 20 + 1
    assert shown[-1] == "... 30 clusters of 5 features"
    assert shown[2].split()[-1] == "x2_std"


def held(statistics, centers, X, labels):
    """Bytes of what is known of rows."""
    known = learn(
        statistics, nothing_known(statistics, centers), X, None, labels, centers, 0, X
    )  # fmt: skip

    def size(value):
        if isinstance(value, np.ndarray):
            return value.nbytes
        if isinstance(value, tuple | list):
            return sum(map(size, value))
        return size(list(vars(value).values())) if hasattr(value, "__dict__") else 0

    return size(known)


@pytest.mark.parametrize(("k", "d", "top"), [(3, 2, 4), (40, 3, 4), (3, 50, 4), (3, 2, 300)])
def test_memory_is_bounded_by_clusters_features_and_top(k, d, top):
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(k, d)) * 10
    statistics = statistics_for(EUCLIDEAN, top)
    X = rng.normal(size=(40_000, d)) + centers[rng.integers(0, k, 40_000)]
    labels = naive.squared_distances(X, centers).argmin(axis=1).astype(np.int32)
    stated = memory.description_bytes(k, d, top)
    few, many = (held(statistics, centers, X[:n], labels[:n]) for n in (4000, 40_000))
    assert few <= many <= stated
    assert many <= few + 4 * k * memory.OCTAVE_BYTES  # rarely is a row nearer than all before


def test_memory_does_not_grow_with_the_rows():
    """Peak of a whole describe, of rows that are made block by block."""
    model = around(blobs(5, 8, 5, seed=0))

    def peak(n_blocks):
        rows = da.random.default_rng(0).normal(size=(5000 * n_blocks, 8), chunks=(5000, 8))
        tracemalloc.start()
        try:
            with dask.config.set(scheduler="synchronous"):
                model.describe(rows, top=5)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(40) < 1.5 * peak(8)


@pytest.mark.parametrize("top", [-1, 1.5, True, None, "all"])
def test_a_top_that_is_no_number_is_refused(top):
    model = around(np.array([[0.0], [1.0]]))
    with pytest.raises(ValueError, match="top, the number of nearest and of farthest rows"):
        model.describe([[0.0]], top=top)


def test_what_is_not_finite_is_named_by_its_row():
    model = around(np.array([[0.0], [1.0]]))
    X = np.zeros((400, 1))
    X[321] = np.nan
    for rows in (X, da.from_array(X, chunks=(100, 1))):
        with pytest.raises(ValueError, match="contains NaN: the first is at row 321"):
            model.describe(rows)
    weights = np.ones(400)
    weights[123] = -1.0
    for method in (model.describe, lambda X, w: model.score(X, sample_weight=w)):
        with pytest.raises(ValueError, match="sample_weight is negative at row 123"):
            method(da.zeros((400, 1), chunks=(100, 1)), da.from_array(weights, chunks=100))
    with pytest.raises(ValueError, match="The inertia is inf"):
        model.describe([[1e200]])
