"""All that can be wrong: the message says what was given and needed, nothing is half done."""

from __future__ import annotations

import copy
import re
import warnings

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import xarray as xr
import zarr
from inputs import blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from dask_kmeans import KMeans, load_model

X = blobs(60, 3, 3)
FRAME = pd.DataFrame(X, columns=["height", "width", "depth"])


def said(*parts):
    """A pattern that finds all the parts, in this order, whatever lies between."""
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


def refuses(match, X=X, error=ValueError, weights=None, **parameters):
    """fit() raises, says so, and leaves an estimator that is still not fitted."""
    model = KMeans(**{"n_clusters": 3, **parameters})
    with pytest.raises(error, match=match):
        model.fit(X, sample_weight=weights)
    assert not [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]


# Parameters


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("n_clusters", 0, "an int >= 1"),
        ("n_clusters", -3, "an int >= 1"),
        ("n_clusters", 2.5, "an int >= 1"),
        ("n_clusters", "3", "an int >= 1"),
        ("n_clusters", True, "an int >= 1"),
        ("max_iter", 0, "an int >= 1"),
        ("max_iter", None, "an int >= 1"),
        ("tol", -1e-4, "a number >= 0"),
        ("tol", float("nan"), "a number >= 0"),
        ("n_init", 0, "an int >= 1"),
        ("n_init", "many", "an int >= 1"),
        ("init", "k-means", "k-means||"),
        ("oversampling_factor", 0, "a number > 0"),
        ("init_rounds", 0, "an int >= 1"),
        ("algorithm", "elkan", "'lloyd'"),
        ("metric", "manhattan", "'euclidean'"),
        ("nan", "ignore", "'skip'"),
        ("random_state", -1, "RandomState"),
        ("random_state", "0", "RandomState"),
        ("memory_budget", -5, "bytes"),
        ("memory_budget", "2 parsecs", "bytes"),
        ("verbose", -1, "int >= 0"),
    ],
)
def test_parameters_out_of_range(name, value, needed):
    refuses(
        said(f"{name!r} parameter of KMeans must be", needed, f"Got {value!r}", f"{name}="),
        **{name: value},
    )


@pytest.mark.parametrize("value", [3, "progress", [1]])
def test_callbacks_that_cannot_be_called(value):
    refuses(said("callbacks", "callable"), callbacks=value)


def test_an_unknown_parameter():
    with pytest.raises(TypeError, match="n_cluster"):
        KMeans(n_cluster=3)
    with pytest.raises(ValueError, match=said("Invalid parameter", "n_cluster")):
        KMeans().set_params(n_cluster=3)


# Rows


def test_more_clusters_than_rows():
    refuses(said("n_samples=60", "should be >= n_clusters=61", "n_clusters=60"), n_clusters=61)
    refuses(said("n_samples=60", "n_clusters=61"), da.from_array(X, chunks=(7, 3)), n_clusters=61)


def test_more_clusters_than_rows_that_count():
    weights = np.zeros(60)
    weights[:4] = 1
    refuses(said("n_samples=4", "should be >= n_clusters=5"), n_clusters=5, weights=weights)
    holed = X.copy()
    holed[4:, 0] = np.nan
    refuses(said("n_samples=4", "should be >= n_clusters=5"), holed, n_clusters=5, nan="skip")


@pytest.mark.parametrize("init", ["k-means||", "k-means++", "random", "random_partition",
                                  "random_pairs", "random_box"])  # fmt: skip
def test_more_clusters_than_distinct_rows(init):
    doubled = np.repeat(X[:4], 10, axis=0)
    message = said("distinct clusters (4) found smaller than n_clusters (6)", "n_clusters=4")
    with pytest.warns(ConvergenceWarning, match=message):
        model = KMeans(6, init=init, random_state=0).fit(doubled)
    assert np.isfinite(model.cluster_centers_).all()
    assert model.inertia_ == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("lazy", [False, True])
def test_no_rows(lazy):
    empty = np.empty((0, 3))
    refuses(said("0 sample(s)", "(0, 3)", "minimum of 1"), da.from_array(empty) if lazy else empty)
    refuses(said("0 sample(s)"), FRAME[:0])


def test_no_features():
    refuses(said("0 feature(s)", "(60, 0)"), np.empty((60, 0)))


@pytest.mark.parametrize("make", [np.array, lambda x: da.from_array(x, chunks=10)])
def test_one_dimension(make):
    refuses(said("Expected 2D array, got 1D array", "(60,)", "reshape(-1, 1)"), make(X[:, 0]))


def test_three_dimensions():
    refuses(said("dim 3", "(5, 4, 3)", "reshape(-1, X.shape[-1])"), np.zeros((5, 4, 3)))
    refuses(said("dim 3", "(5, 4, 3)", "reshape"), da.zeros((5, 4, 3)))


def test_three_dimensions_without_feature_dim():
    raster = xr.DataArray(X.reshape(5, 12, 3), dims=("y", "x", "band"))
    refuses(said("3 dimensions", "y (5)", "x (12)", "band (3)", "feature_dim='band'"), raster)
    refuses(
        said("feature_dim='bands' is not a dimension", "band (3)", "feature_dim='band'"),
        raster,
        feature_dim="bands",
    )
    assert KMeans(3, feature_dim="band", random_state=0).fit(raster).labels_.dims == ("y", "x")


def test_a_feature_dim_without_meaning():
    refuses(said("feature_dim='band'", "an xarray object"), X, feature_dim="band")


# Values


def with_value(row, column, value):
    bad = X.copy()
    bad[row, column] = value
    bad[row + 1 :, :] = value  # not the first
    return bad


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf")])
@pytest.mark.parametrize("kind", ["NumPy", "float32", "dask", "dask columns", "pandas"])
def test_not_finite(kind, value, word):
    bad = with_value(41, 2, value)
    where = "row 41, column 2"
    if kind == "float32":
        bad = bad.astype("float32")
    elif kind == "dask":
        bad = da.from_array(bad, chunks=(7, 3))
    elif kind == "dask columns":
        bad = da.from_array(bad, chunks=(7, 1))
    elif kind == "pandas":
        bad = pd.DataFrame(bad, columns=FRAME.columns)
        where += " ('depth')"
    refuses(said(word, where), bad)


def test_the_first_in_the_order_of_rows_is_named():
    bad = X.copy()
    bad[30, 0] = bad[29, 2] = np.nan
    refuses(said("row 29, column 2"), bad)
    refuses(said("row 29, column 2"), da.from_array(bad, chunks=(30, 1)))


def test_not_finite_at_predict():
    model = KMeans(3, random_state=0).fit(X)
    for method in (model.predict, model.transform, model.score):
        with pytest.raises(ValueError, match=said("NaN", "row 41, column 2")):
            method(with_value(41, 2, np.nan))
    lazy = model.predict(da.from_array(with_value(41, 2, np.inf), chunks=(60, 3)))
    with pytest.raises(ValueError, match=said("inf", "column 2")):
        lazy.compute()


def test_missing_values_are_advised_upon_and_skipped_on_request():
    bad = X.copy()
    bad[5, 1] = np.nan
    refuses(said('nan="skip"'), bad)
    model = KMeans(3, nan="skip", random_state=0).fit(bad)
    assert (model.labels_ == -1).nonzero()[0].tolist() == [5]
    assert model.cluster_sizes_.sum() == 59


def test_infinity_is_not_skipped():
    bad = X.copy()
    bad[5, 1], bad[7, 0] = np.nan, np.inf
    refuses(said("inf", "row 7, column 0"), bad, nan="skip")


def test_nothing_but_missing_values():
    bad = X.copy()
    bad[:, 1] = bad[0, 0] = np.nan
    bad[1:, 2] = np.nan  # each row lacks a value that another has
    refuses(said("Every one of the 60 rows contains NaN"), bad, nan="skip")


@pytest.mark.parametrize(
    ("bad", "given"),
    [
        pytest.param(X.astype(str), "a str", id="strings"),
        pytest.param(np.array([["a", 1], [None, 2]], dtype=object), "object", id="objects"),
        pytest.param(np.zeros((5, 3), "datetime64[s]"), "datetime64", id="dates"),
        pytest.param(np.zeros(5, [("a", "f8")]).reshape(-1, 1), "", id="records"),
        pytest.param(da.from_array(X.astype(str), chunks=10), "<U", id="dask strings"),
    ],
)
def test_not_numbers(bad, given):
    refuses(said(given, "number"), bad, error=TypeError)


def test_complex_numbers():
    refuses(said("Complex data not supported", "complex128"), X * 1j)
    refuses(said("Complex data not supported"), da.from_array(X * 1j, chunks=10))


def test_sparse_and_matrices():
    refuses(said("parse", "toarray()"), scipy.sparse.csr_array(X), error=TypeError)
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(X)
    refuses(said("np.matrix", "np.asarray"), matrix, error=TypeError)
    masked = np.ma.masked_array(X, X > 5)
    refuses(said("mask", "filled", 'nan="skip"'), masked, error=TypeError)


# Tables


def test_columns_without_numbers_are_dropped_with_a_warning():
    mixed = FRAME.assign(name="a", day=pd.Timestamp("2020-01-01"))
    for table in (mixed, dd.from_pandas(mixed, npartitions=3)):
        with pytest.warns(UserWarning, match=said("'name'", "'day'")):
            model = KMeans(3, random_state=0).fit(table)
        assert model.feature_names_in_.tolist() == ["height", "width", "depth"]


@pytest.mark.parametrize("lazy", [False, True])
def test_no_numeric_column(lazy):
    table = pd.DataFrame({"name": list("abc"), "town": list("xyz")})
    table = dd.from_pandas(table, npartitions=2) if lazy else table
    refuses(said("no numeric column", "'name'", "'town'"), table)
    with pytest.raises(ValueError, match=said("no numeric", "'name'")):
        KMeans(1).fit(xr.Dataset({"name": ("row", np.array(["a", "b"]))}))


def test_names_that_are_not_all_strings():
    table = pd.DataFrame(X, columns=["a", 1, "c"])
    refuses(said("string names", "int", "str"), table, error=TypeError)


# Weights


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("weight", "word"), [(-1.0, "negative"), (np.nan, "not finite"), (np.inf, "not finite")]
)
def test_bad_weights(weight, word, lazy):
    weights = np.ones(60)
    weights[[17, 40]] = weight
    data = X
    if lazy:
        data, weights = da.from_array(X, chunks=(9, 3)), da.from_array(weights, chunks=9)
    refuses(said("sample_weight", word, "row 17"), data, weights=weights)


def test_weights_all_zero():
    refuses(said("sample_weight", "zero"), weights=np.zeros(60))
    lazy = da.from_array(X, chunks=(9, 3))
    refuses(said("sample_weight", "zero"), lazy, weights=da.zeros(60, chunks=9))


def test_weights_of_another_length():
    refuses(said("sample_weight.shape == (59,)", "(60,)"), weights=np.ones(59))
    lazy = da.from_array(X, chunks=(9, 3))
    refuses(said("(59,)", "(60,)"), lazy, weights=da.ones(59, chunks=9))
    refuses(said("(59,)", "(60,)"), lazy, weights=np.ones(59))


def test_weights_of_another_shape():
    refuses(said("Sample weights must be 1D", "(60, 3)"), weights=np.ones((60, 3)))


def test_weights_of_other_chunks_count_the_same():
    weights = np.random.default_rng(0).random(60)
    expected = KMeans(3, random_state=0).fit(X, sample_weight=weights)
    lazy = da.from_array(X, chunks=(9, 3))
    model = KMeans(3, random_state=0).fit(lazy, sample_weight=da.from_array(weights, chunks=25))
    assert model.inertia_ == expected.inertia_


def test_weights_of_other_chunks_of_unknown_size():
    lazy = da.from_array(X, chunks=(9, 3))
    unknown = lazy[lazy[:, 0] > -1e9]
    weights = da.ones(60, chunks=7)
    refuses(said("chunk", "compute_chunk_sizes()"), unknown, weights=weights[weights > 0])


def test_weights_that_are_not_numbers():
    refuses(said("number"), weights=["heavy"] * 60, error=TypeError)


# Starts


def test_init_of_another_shape():
    refuses(said("initial centers (2, 3)", "number of clusters 3", "(3, 3)"), init=X[:2])
    refuses(said("initial centers (3, 2)", "number of features of the data 3"), init=X[:3, :2])
    refuses(said("initial centers (3,)", "(3, 3)"), init=X[:3, 0])


def test_init_of_another_shape_from_a_callable():
    refuses(said("initial centers (2, 3)"), init=lambda X, k, random_state: np.zeros((k - 1, 3)))


def test_init_that_is_not_finite():
    bad = X[:3].copy()
    bad[1, 2] = np.nan
    refuses(said("init", "NaN", "cluster 1, feature 2"), init=bad)
    refuses(
        said("init", "infinity", "cluster 1, feature 2"), init=np.where(np.isnan(bad), np.inf, bad)
    )


def test_init_from_a_model_of_other_data():
    other = KMeans(3, random_state=0).fit(X[:, :2])
    refuses(said("initial centers (3, 2)", "features of the data 3"), init=other)


def test_init_from_a_model_that_is_not_fitted():
    refuses(said("not fitted"), init=KMeans(3))


# At predict


METHODS = ["predict", "transform", "score"]


@pytest.mark.parametrize("method", METHODS)
def test_not_fitted(method):
    with pytest.raises(NotFittedError, match=said("KMeans", "not fitted yet", "fit")):
        getattr(KMeans(), method)(X)


def test_not_fitted_cannot_be_saved(tmp_path):
    with pytest.raises(NotFittedError):
        KMeans().save(str(tmp_path / "model"))
    with pytest.raises(NotFittedError):
        KMeans().to_sklearn()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", [np.array, lambda x: da.from_array(x, chunks=(20, 2))])
def test_another_number_of_features(method, make):
    model = KMeans(3, random_state=0).fit(X)
    with pytest.raises(ValueError, match=said("X has 2 features", "expecting 3")):
        getattr(model, method)(make(X[:, :2]))


@pytest.mark.parametrize("method", METHODS)
def test_other_feature_names(method):
    model = KMeans(3, random_state=0).fit(FRAME)
    with pytest.raises(
        ValueError, match=said("unseen at fit time", "length", "now missing", "height")
    ):
        getattr(model, method)(FRAME.rename(columns={"height": "length"}))
    with pytest.raises(ValueError, match=said("same order", "X[list(model.feature_names_in_)]")):
        getattr(model, method)(FRAME[["width", "height", "depth"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        getattr(model, method)(X)


# Files


@pytest.mark.parametrize(
    "name", ["gone.parquet", "gone.zarr", "gone.csv", "gone.npy", "gone/*.parquet", "gone"]
)
def test_a_missing_path(name, tmp_path):
    refuses(said(name.split("/")[0]), str(tmp_path / name), error=FileNotFoundError)
    assert not list(tmp_path.iterdir())


def test_an_empty_parquet_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    refuses(said("empty", "no Parquet file"), str(tmp_path / "empty"), error=FileNotFoundError)
    refuses(said("empty"), str(tmp_path / "empty" / "*.parquet"), error=FileNotFoundError)


def test_parquet_files_that_disagree(tmp_path):
    FRAME[:30].to_parquet(tmp_path / "a.parquet")
    FRAME[30:].rename(columns={"depth": "length"}).to_parquet(tmp_path / "b.parquet")
    refuses(said("disagree in schema", "a.parquet", "b.parquet", "depth"), str(tmp_path))
    FRAME[30:].astype({"depth": str}).to_parquet(tmp_path / "b.parquet")
    refuses(said("disagree in schema", "depth"), str(tmp_path))


def test_a_zarr_group_where_an_array_is_meant(tmp_path):
    group = zarr.open_group(str(tmp_path / "store.zarr"), mode="w")
    group.create_array("points", data=X, chunks=(20, 3))
    group.create_array("years", data=np.arange(5))
    source = str(tmp_path / "store.zarr")
    refuses(said("Zarr group", "points (60, 3)", "years (5,)", "store.zarr/points"), source)
    refuses(said("Zarr group"), group)


def test_an_empty_zarr_group(tmp_path):
    zarr.open_group(str(tmp_path / "store.zarr"), mode="w")
    refuses(said("Zarr group", "without any array"), str(tmp_path / "store.zarr"))


def test_a_zarr_array_of_one_dimension(tmp_path):
    array = zarr.create_array(str(tmp_path / "a.zarr"), data=X[:, 0], chunks=(20,))
    refuses(said("2D", "(60,)"), array)


def test_files_that_are_not_what_their_name_says(tmp_path):
    for name in ("a.parquet", "a.npy"):
        (tmp_path / name).write_bytes(b"This is no such file, whatever its name says.")
        refuses(said(name), str(tmp_path / name))
    (tmp_path / "notes.txt").write_text("hello")
    refuses(said("notes.txt", "Parquet", "Zarr", "CSV"), str(tmp_path / "notes.txt"))


def test_a_npy_file_of_objects_is_not_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}, 1]], dtype=object), allow_pickle=True)
    refuses(said("a.npy"), str(tmp_path / "a.npy"), error=(ValueError, TypeError))


def test_a_csv_without_header(tmp_path):
    np.savetxt(tmp_path / "a.csv", X, delimiter=",")
    refuses(said("a.csv", "names"), str(tmp_path / "a.csv"))


def test_an_unknown_scheme():
    refuses(said("nosuch://bucket/x.parquet", "nosuch://"), "nosuch://bucket/x.parquet")


def test_a_missing_driver(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "gcsfs", None)
    refuses(said("gs://", "pip install gcsfs"), "gs://bucket/x.parquet", error=ImportError)


# Outputs


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_an_output_that_exists(tmp_path):
    model = KMeans(3, random_state=0).fit(X)
    path = tmp_path / "model.zarr"
    model.save(str(path))
    before = contents(tmp_path)
    with pytest.raises(
        FileExistsError, match=said("model.zarr", "exists already", "overwrite=True")
    ):
        model.save(str(path))
    assert contents(tmp_path) == before
    other = KMeans(2, random_state=0).fit(X)
    other.save(str(path), overwrite=True)
    np.testing.assert_array_equal(load_model(str(path)).cluster_centers_, other.cluster_centers_)


def test_a_model_that_is_none(tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match="gone"):
        load_model(str(tmp_path / "gone"))
    zarr.create_array(str(tmp_path / "array.zarr"), data=X)
    with pytest.raises(ValueError, match=said("array.zarr")):
        load_model(str(tmp_path / "array.zarr"))


def test_a_failed_fit_leaves_a_fitted_model_as_it_was():
    model = KMeans(3, random_state=0).fit(X)
    before = {name: copy.deepcopy(value) for name, value in vars(model).items()}
    with pytest.raises(ValueError, match="NaN"):
        model.fit(with_value(3, 1, np.nan))
    for name, value in before.items():
        np.testing.assert_equal(getattr(model, name), value)


def test_input_is_never_written_to():
    for make in (np.array, np.asfortranarray, lambda x: x.astype("float32")):
        data, weights = make(X), np.random.default_rng(0).random(60)
        kept = data.copy(), weights.copy()
        model = KMeans(3, random_state=0).fit(data, sample_weight=weights)
        model.predict(data), model.transform(data), model.score(data)
        np.testing.assert_array_equal(data, kept[0])
        np.testing.assert_array_equal(weights, kept[1])


def test_good_input_is_not_warned_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data in (
            X,
            FRAME,
            da.from_array(X, chunks=(9, 3)),
            xr.DataArray(X, dims=("row", "band")),
        ):
            model = KMeans(3, random_state=0).fit(data)
            model.predict(data)
