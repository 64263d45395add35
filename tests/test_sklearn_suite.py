"""scikit-learn's own tests of its KMeans, run with ours in its place.

Their module is executed anew with `sklearn.cluster.KMeans` replaced for that moment, so that the
parametrizations in it hold our class as well, and its tests are collected here. What does not
apply is named below with its reason. Nothing can rest in these lists that does not belong there:
names are looked up, dropped parameters must occur, and a test under DIFFERENT must fail (xfail,
strict).
"""

from __future__ import annotations

import importlib.util
from unittest import mock

import numpy as np
import pytest
import scipy.sparse
import sklearn.cluster

import dask_kmeans

NOT_ABOUT_OUR_CLASS = {
    "tests of private helpers": {
        "test_relocate_empty_clusters",
        "test_euclidean_distance",
        "test_inertia",
        "test_is_same_clustering",
    },
    "tests of functions beside the class: k_means, kmeans_plusplus": {
        "test_k_means_function",
        "test_kmeans_plusplus_wrong_params",
        "test_kmeans_plusplus_output",
        "test_kmeans_plusplus_norms",
        "test_kmeans_plusplus_dataorder",
    },
    "tests of MiniBatchKMeans": {
        "test_minibatch_update_consistency",
        "test_minibatch_kmeans_partial_fit_init",
        "test_minibatch_kmeans_verbose",
        "test_minibatch_kmeans_warning_init_size",
        "test_minibatch_sensible_reassign",
        "test_minibatch_reassign",
        "test_minibatch_with_many_reassignments",
        "test_minibatch_kmeans_init_size",
        "test_minibatch_declared_convergence",
        "test_minibatch_iter_steps",
    },
    'tests of algorithm="elkan", which keeps k bounds a row and has no place here': {
        "test_kmeans_elkan_results",
        "test_kmeans_elkan_iter_attribute",
        "test_warning_elkan_1_cluster",
    },
    "tests of sparse input, which is not taken (an error says so)": {
        "test_dense_sparse",
        "test_predict_dense_sparse",
    },
}
"""Reason -> tests that are not collected."""

DIFFERENT = {
    "test_kmeans_init_auto_with_initial_centroids": "reads the private attribute _n_init",
    "test_n_init_auto": "reads the private attribute _n_init",
    "test_sample_weight_init": "calls the private method _init_centroids",
    "test_sample_weight_zero": "calls the private method _init_centroids",
    "test_kmeans_verbose": "looks for the wording of scikit-learn's progress messages",
    "test_float_precision": "wants float32 centers for float32 data; ours are float64 for any, "
    "since the same values in another dtype are to give the same bits",
    "test_kmeans_copyx": "sets copy_x; here input is never written to, copied or not",
}
"""Tests that are run and have to fail -> why."""


def _is_sparse(value):
    return scipy.sparse.issparse(value) or (
        isinstance(value, type)
        and issubclass(value, (scipy.sparse.csr_matrix, scipy.sparse.csr_array))
    )


DROPPED_PARAMETERS = {
    "MiniBatchKMeans": lambda value: value is sklearn.cluster.MiniBatchKMeans,
    'algorithm="elkan"': lambda value: isinstance(value, str) and value == "elkan",
    "sparse input": _is_sparse,
}
"""What is dropped from parametrizations -> how it is told."""


def _their_module():
    """A fresh copy of scikit-learn's test module that has our KMeans for theirs."""
    spec = importlib.util.find_spec("sklearn.cluster.tests.test_k_means")
    module = importlib.util.module_from_spec(spec)
    with mock.patch.object(sklearn.cluster, "KMeans", dask_kmeans.KMeans):
        spec.loader.exec_module(module)
    return module


def _restrict(test, dropped):
    """Drop what does not apply from the parametrizations of a test; note what was dropped."""
    kept_marks = []
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names, values, *rest = mark.args
            ids = mark.kwargs.get("ids")
            kept = []
            for at, value in enumerate(values):
                parts = value if isinstance(value, tuple) else (value,)
                reasons = {
                    reason
                    for reason, applies in DROPPED_PARAMETERS.items()
                    if any(applies(part) for part in parts)
                }
                dropped |= reasons
                if not reasons:
                    kept.append(at)
            kwargs = dict(mark.kwargs)
            if isinstance(ids, list):
                kwargs["ids"] = [ids[at] for at in kept]
            mark = pytest.mark.parametrize(names, [values[at] for at in kept], *rest, **kwargs).mark
        kept_marks.append(mark)
    test.pytestmark = kept_marks


_theirs = {name: value for name, value in vars(_their_module()).items() if name.startswith("test_")}
_not_collected = set().union(*NOT_ABOUT_OUR_CLASS.values())
_dropped: set[str] = set()
for _name in sorted(_theirs.keys() - _not_collected):  # the same order in every process
    _restrict(_theirs[_name], _dropped)
    if _name in DIFFERENT:
        _theirs[_name] = pytest.mark.xfail(reason=DIFFERENT[_name], strict=True)(_theirs[_name])
    globals()[_name] = _theirs[_name]


@pytest.fixture(params=[0, 42])
def global_random_seed(request):
    """scikit-learn's fixture of this name."""
    return request.param


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def global_dtype(request):
    """scikit-learn's fixture of this name."""
    return request.param


def test_the_lists_name_tests_that_exist():
    assert _theirs.keys() >= _not_collected | DIFFERENT.keys()
    assert not _not_collected & DIFFERENT.keys()
    assert sum(map(len, NOT_ABOUT_OUR_CLASS.values())) == len(_not_collected)


def test_what_is_dropped_occurs():
    assert _dropped == DROPPED_PARAMETERS.keys()


def test_no_uncollected_test_has_to_do_with_our_class():
    """A test of their KMeans alone, on dense data with Lloyd, cannot hide among the uncollected."""
    import inspect

    touches_other = (
        "MiniBatchKMeans",
        "_mini_batch_step",
        "elkan",
        "csr",
        "kmeans_plusplus",
        "k_means(",
    )
    for name in _not_collected - NOT_ABOUT_OUR_CLASS["tests of private helpers"]:
        source = inspect.getsource(_theirs[name])
        assert any(word in source for word in touches_other), name
    for name in NOT_ABOUT_OUR_CLASS["tests of private helpers"]:
        assert "KMeans" not in inspect.getsource(_theirs[name]), name
