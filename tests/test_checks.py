"""Every complaint says what was given, what is needed and what to type."""

from __future__ import annotations

import contextlib
import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from dask_kmeans import checks


def said(*parts):
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


# Shapes and values


@pytest.mark.parametrize(
    ("shape", "parts"),
    [
        ((), ["Expected 2D array, got scalar array", "np.reshape(X, (1, 1))"]),
        ((7,), ["Expected 2D array, got 1D array", "(7,)", "Reshape your data", "reshape(-1, 1)"]),
        ((2, 3, 4), ["dim 3", "(2, 3, 4)", "expected <= 2", "X.reshape(-1, X.shape[-1])"]),
    ],
)
def test_dimensions(shape, parts):
    with pytest.raises(ValueError, match=said(*parts)):
        checks.check_two_dimensional(shape)


def test_two_dimensions_pass():
    checks.check_two_dimensional((0, 3))


def test_no_rows_and_no_features():
    with pytest.raises(ValueError, match=said("Found array with 0 sample(s) (shape=(0, 3))")):
        checks.check_not_empty(0, 3)
    with pytest.raises(ValueError, match=said("Found array with 0 feature(s) (shape=(3, 0))")):
        checks.check_not_empty(3, 0)
    checks.check_not_empty(1, 1)


@pytest.mark.parametrize("dtype", ["bool", "u1", "i8", "f2", "f4", "f8", "g", ">f4"])
def test_numbers_pass(dtype):
    checks.check_numeric(np.dtype(dtype))


@pytest.mark.parametrize("dtype", ["U3", "S3", "O", "M8[s]", "m8[s]", [("a", "f4")]])
def test_what_is_no_number(dtype):
    with pytest.raises(TypeError, match=said("points has dtype", "string", "number", "astype(")):
        checks.check_numeric(np.dtype(dtype), "points")


def test_complex_numbers():
    with pytest.raises(ValueError, match=said("Complex data not supported", "X.real")):
        checks.check_numeric(np.dtype(complex))


def test_values_that_are_not_finite():
    error = checks.non_finite_error(12, 3, np.nan, None)
    assert isinstance(error, ValueError)
    assert said("NaN", "row 12, column 3.", 'nan="skip"').search(str(error).replace(" To", ". To"))
    error = checks.non_finite_error(12, 1, np.inf, ("a", "width"))
    assert said("infinity", "inf", "row 12, column 1 ('width')").search(str(error))


# Weights


def test_weights_pass():
    checks.check_weight_shape((5,), 5)
    checks.check_weight_shape((5,), None)
    checks.check_weight_shape((float("nan"),), None)


def test_weights_of_a_wrong_shape():
    with pytest.raises(ValueError, match=said("Sample weights must be 1D", "(5, 1)", "ravel()")):
        checks.check_weight_shape((5, 1), 5)
    with pytest.raises(ValueError, match=said("sample_weight.shape == (4,), expected (5,)")):
        checks.check_weight_shape((4,), 5)


def test_bad_weights():
    assert said("negative", "row 3", "-1.0", ">= 0").search(str(checks.bad_weight_error(3, -1.0)))
    assert said("not finite", "row 3", "nan").search(str(checks.bad_weight_error(3, np.nan)))
    assert said("not finite", "inf").search(str(checks.bad_weight_error(3, np.inf)))


def test_nothing_counts():
    assert said("Every one of the 9 rows", "NaN").search(
        str(checks.nothing_counts_error(9, 9, True))
    )
    error = checks.nothing_counts_error(9, 2, True)
    assert said("sample_weight is zero", "2 rows contain NaN", "above 0").search(str(error))


# Clusters and starts


def test_more_clusters_than_rows():
    checks.check_n_clusters_against_rows(5, 5)
    match = said("n_samples=1 should be >= n_clusters=8", "n_clusters=1")
    with pytest.raises(ValueError, match=match):
        checks.check_n_clusters_against_rows(8, 1)


def test_fewer_distinct_rows_than_clusters():
    with pytest.warns(ConvergenceWarning, match=said("(3)", "n_clusters (4)", "n_clusters=3")) as w:
        checks.warn_fewer_distinct_rows(4, 3)
    assert w[0].filename == __file__


def test_init():
    given = [[1, 2], [3, 4]]
    found = checks.check_init(given, 2, 2)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, given)
    array = np.ones((2, 2))
    assert not np.shares_memory(checks.check_init(array, 2, 2), array)


@pytest.mark.parametrize(
    ("init", "error", "parts"),
    [
        (np.ones((3, 2)), ValueError, ["(3, 2)", "number of clusters 2", "needs shape (2, 2)"]),
        (np.ones(2), ValueError, ["(2,)", "needs shape (2, 2)"]),
        (np.ones((2, 3)), ValueError, ["(2, 3)", "features of the data 2", "needs shape (2, 2)"]),
        ([[0, 1], [np.nan, 2]], ValueError, ["NaN", "cluster 1, feature 0"]),
        ([[0, 1], [2, np.inf]], ValueError, ["infinity", "cluster 1, feature 1"]),
        ([["a", "b"], ["c", "d"]], TypeError, ["init", "number"]),
        ([[1j, 0], [0, 0]], ValueError, ["Complex", "init"]),
        ([[1, 2], [3]], ValueError, ["init is no array", "needs shape (2, 2)"]),
    ],
)
def test_bad_init(init, error, parts):
    with pytest.raises(error, match=said(*parts)):
        checks.check_init(init, 2, 2)


# Features at predict


def test_the_same_features_pass():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks.check_same_features(("a", "b"), 2, ("a", "b"), 2)
        checks.check_same_features(None, 2, None, 2)


def test_another_number_of_features():
    match = said("X has 3 features, but KMeans is expecting 2 features as input.")
    with pytest.raises(ValueError, match=match):
        checks.check_same_features(None, 2, None, 3)


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("a", "c"), ["unseen at fit time:\n- c", "now missing:\n- b"]),
        (("b", "a"), ["same order", "X[list(model.feature_names_in_)]"]),
        (("a", "b", "c"), ["unseen at fit time:\n- c"]),
    ],
)
def test_other_feature_names(names, parts):
    with pytest.raises(ValueError, match=said("feature names should match", *parts)):
        checks.check_same_features(("a", "b"), 2, names, len(names))


def test_long_lists_of_names_are_cut():
    names = tuple(f"f{n}" for n in range(20))
    with pytest.raises(ValueError, match=re.escape("- f11\n- f12\n- ...\n")):
        checks.check_same_features(("a",), 1, names, 20)


def test_names_on_one_side_only():
    with pytest.warns(UserWarning, match="X has feature names, but KMeans was fitted without"):
        checks.check_same_features(None, 1, ("a",), 1)
    with pytest.warns(UserWarning, match="X does not have valid feature names, but KMeans was"):
        checks.check_same_features(("a",), 1, None, 1)


def test_feature_names():
    assert checks.check_feature_names(["a", np.str_("b")]) == ("a", "b")
    assert checks.check_feature_names([0, 1]) is None
    assert checks.check_feature_names([]) is None
    with pytest.raises(TypeError, match=said("string names", "['int', 'str']", "astype(str)")):
        checks.check_feature_names(["a", 1])


# Parameters


class Estimator(BaseEstimator):
    """All parameters, none used."""

    def __init__(self, n_clusters=8, init="k-means||", n_init="auto", max_iter=300, tol=1e-4,
                 oversampling_factor=5, init_rounds="auto", algorithm="auto", metric="euclidean",
                 standardize=False, nan="raise", nodata=None, fit_fraction=1.0, random_state=None,
                 verbose=0, callbacks=None, checkpoint=None, one_hot=None, feature_weight=None,
                 memory_budget=None):  # fmt: skip
        for name, value in dict(locals()).items():
            if name != "self":
                setattr(self, name, value)


class Fitted:
    cluster_centers_ = np.ones((8, 2))

    def fit(self, X):
        raise NotImplementedError


GOOD = {
    "n_clusters": [1, 8, np.int64(3)],
    "init": [*checks.INIT_NAMES, np.ones((8, 2)), [[1, 2]], Fitted(), lambda X, k, random_state: X],
    "n_init": ["auto", 1, 10],
    "max_iter": [1, 300],
    "tol": [0, 0.0, 1e-100, 1, np.float32(0.1)],
    "oversampling_factor": ["auto", 0.5, 5, np.float64(2)],
    "init_rounds": ["auto", 1, 5],
    "algorithm": ["auto", "lloyd"],
    "metric": ["euclidean", "cosine"],
    "standardize": [True, np.False_],
    "nan": ["raise", "skip"],
    "nodata": [None, False, np.False_, -9999, 1e20, np.int16(0), np.float32(-1)],
    "fit_fraction": [1, 0.5, np.float32(0.1)],
    "random_state": [
        None,
        0,
        2**32,
        2**64 - 1,
        np.uint64(2**64 - 1),
        np.random,
        np.random.RandomState(0),
        np.random.default_rng(0),
    ],
    "verbose": [0, 1, 2, True, False],
    "callbacks": [None, [], [print], (print, len)],
    "checkpoint": [None, "fit.zarr", "s3://bucket/fit"],
    "feature_weight": [None, [1, 2], np.ones(3), {"a": 2}],
    "one_hot": [None, "a", [], ["a", "b"], ("a",), {"a": ["x", "y"], "b": None}],
    "memory_budget": [None, 0, 10**9, "2 GiB", "500MB"],
}

BAD = {
    "n_clusters": [0, -1, 2.0, 2.5, "8", None, True, [8]],
    "init": ["kmeans", 3, None, 1.5, True],
    "n_init": [0, -1, 1.5, "many", None, True],
    "max_iter": [0, -1, 1.5, None, "300"],
    "tol": [-1e-9, np.nan, np.inf, None, "0", True, 1j],
    "oversampling_factor": [0, -1, np.nan, None, "two"],
    "init_rounds": [0, 1.5, None, "few"],
    "algorithm": ["elkan", None, 1, ["auto"]],
    "metric": ["cosines", "manhattan", None],
    "standardize": [1, "yes", None],
    "nan": ["ignore", True, None],
    "fit_fraction": [0, -0.5, 1.5, np.nan, None, "all", True],
    "nodata": [True, np.nan, np.inf, "-9999", [1], 1j],
    "random_state": [-1, 2**64, 1.5, "0", True, np.random.SeedSequence(0)],
    "verbose": [-1, "yes", None, 1.5],
    "callbacks": [print, 3, "progress", [1]],
    "checkpoint": [3, True, ["a"]],
    "feature_weight": [1, 2.5, "ab", True],
    "one_hot": [1, True, [1], ["a", "a"], {"a": "xy"}, {"a": []}, {1: ["x"]}],
    "memory_budget": [-1, "2 parsecs", "-5 GB", 1.5, True],
}


def cases(table):
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), cases(GOOD))
def test_parameters_that_pass(name, value):
    checks.check_parameters(Estimator(**{name: value}))


@pytest.mark.parametrize(("name", "value"), cases(BAD))
def test_parameters_that_do_not(name, value):
    match = said(
        f"The {name!r} parameter of Estimator must be", "instead. Type", f"Estimator({name}="
    )
    with pytest.raises(checks.ParameterError, match=match) as caught:
        checks.check_parameters(Estimator(**{name: value}))
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TypeError)


def test_every_rule_has_a_parameter_here():
    assert set(checks.RULES) == set(GOOD) == set(BAD) == set(Estimator().get_params())


@pytest.mark.parametrize("name", [n for n in checks.RULES if n not in ("callbacks", "checkpoint")])
def test_what_the_message_says_to_type_is_right(name):
    assert checks.RULES[name].holds(eval(checks.RULES[name].example))


def test_an_unfitted_start():
    with pytest.raises(ValueError, match=said("'init'", "Estimator", "not fitted", "fit(X)")):
        checks.check_parameters(Estimator(init=type("Estimator", (), {"fit": None})()))


@given(
    st.sampled_from(sorted(checks.RULES)),
    st.none() | st.integers() | st.floats() | st.text() | st.booleans() | st.lists(st.integers())
    | st.complex_numbers() | st.binary() | st.dictionaries(st.text(), st.integers()),
)  # fmt: skip
def test_nothing_but_our_own_error(name, value):
    with contextlib.suppress(checks.ParameterError):
        checks.check_parameters(Estimator(**{name: value}))


# Warnings and errors in general


def test_dropped_columns():
    with pytest.warns(UserWarning, match=said("2 column(s)", "'day' (date)", "'name' (str)")) as w:
        checks.warn_dropped_columns({"day": "date", "name": "str"})
    assert w[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks.warn_dropped_columns({})


def test_errors_can_be_sent_to_another_process():
    for kind in (checks.ReadError, checks.InvalidFileError, checks.ParameterError):
        again = pickle.loads(pickle.dumps(kind("what happened")))
        assert type(again) is kind
        assert str(again) == "what happened"


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (checks.needs_feature_dim_error({"y": 2, "x": 3, "band": 4}, "band"),
         ["3 dimensions", "y (2), x (3), band (4)", "feature_dim='band'"]),
        (checks.needs_feature_dim_error({"y": 2, "x": 3}, "x", "b"), ["dim='b'", "y (2), x (3)"]),
        (checks.unused_feature_dim_error("b", "ndarray"),
         ["'b'", "ndarray", "KMeans(feature_dim=None)"]),
        (checks.sparse_error(pd.Series()), ["Sparse", "Series", "X.toarray()"]),
        (checks.matrix_error(), ["np.matrix", "np.asarray(X)"]),
        (checks.masked_error(), ["masked", "np.ma.array(X, float).filled(np.nan)", 'nan="skip"']),
        (checks.masked_error("init"), ["masked", "init", "all its values"]),
        (checks.weight_sizes_error("y", 3, 4), ["size 3", "'y'", "X has 4"]),
        (checks.weight_labels_error("the index", pd.Index([1, 2]), pd.Index([2, 3])),
         ["along the index", "1 labels of X have no weight (3)", "not in X (1)", ".values"]),
        (checks.weight_coordinate_error("station", "s"),
         ["'station'", "dimension 's'", "sample_weight.drop_vars('station')"]),
        (checks.packing_error("a.zarr", {"scale_factor": "x"}, "no number"),
         ["a.zarr", "{'scale_factor': 'x'}", "no number", "dask.array.from_zarr('a.zarr')"]),
        (checks.no_numeric_column_error({"a": "str"}), ["no numeric column", "'a' (str)"]),
        (checks.unknown_column_error(["z"], "ab", "t.csv"), ["t.csv", "'z'", "'a', 'b'"]),
        (checks.missing_path_error("/a/b"), ["Nothing exists at /a/b"]),
        (checks.empty_folder_error("/a/b"), ["/a/b", "no Parquet file"]),
        (checks.unknown_format_error("/a/b.txt"), ["/a/b.txt", "*.parquet", "Zarr", "*.csv"]),
        (checks.unknown_scheme_error("xy://b", "xy"), ["xy://b", "'xy://'", "s3://"]),
        (checks.missing_driver_error("s3://b", "s3", "no s3fs"), ["s3://b", "pip install s3fs"]),
        (checks.missing_driver_error("hdfs://b", "hdfs", "get it"), ["hdfs://b", "get it"]),
        (checks.zarr_group_error("g.zarr", {}), ["g.zarr", "without any array"]),
        (checks.zarr_group_error("g.zarr/", {"t": (5,), "a/X": (5, 2)}),
         ["Zarr group", "t (5,), a/X (5, 2)", "Type g.zarr/a/X"]),
        (checks.zarr_group_error("g", {"t": (5,), "in": None}), ["in (a Dataset)", "Type g/in"]),
        (checks.schemas_differ_error("a.pq", "b.pq", {"c": ("int64", None)}),
         ["disagree in schema", "a.pq", "b.pq", "'c' is int64 there and missing here"]),
        (checks.existing_output_error("/o"), ["/o exists already", "overwrite=True"]),
        (checks.weight_chunks_error([7] * 9, [9] * 7), ["7, 7, 7, 7, ...; 9 in all", "compute_"]),
    ],
)  # fmt: skip
def test_texts(error, parts):
    assert isinstance(error, Exception)
    assert said(*parts).search(str(error)), str(error)
