"""`BisectingKMeans`: the leaves of a tree, against plain walks down it and scikit-learn's."""

import json
import warnings

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import sklearn.cluster
from counting import CountingChunks
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import INPUTS, as_numpy, blobs
from naive import labelled_distances, mean, nearest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from stored import replace_array
from strategies import chunks_of

from dask_kmeans import BisectingKMeans, KMeans, cli, load_model
from dask_kmeans.blockwise import tasks

UNITS = np.array([1.0, 1e-3, 50.0, 1e4, 7.0])
PARAMETERS = [{}, {"standardize": True}, {"metric": "cosine"}]


def fitted(X, k=9, sample_weight=None, **parameters):
    return BisectingKMeans(k, random_state=0, **parameters).fit(X, sample_weight=sample_weight)


def compared(X, model):
    """Rows or centers as they are compared."""
    if model.metric == "cosine":
        return X / np.sqrt((X**2).sum(axis=1))[:, None]
    own = model.standardization_
    return X if own is None else (X - own.mean) / own.scale


def walk(X, model):
    """The rows of each node of the tree, and the cluster of each row: a plain walk, row by row."""
    tree = model.tree_
    parent, centers = tree.node_parent, compared(tree.node_centers, model)
    X = compared(X, model)
    rows = {0: np.arange(len(X))}
    for node in range(1, len(parent), 2):
        own = rows[parent[node]]
        which = nearest(X[own], centers[node : node + 2])
        rows[node], rows[node + 1] = own[which == 0], own[which == 1]
    leaves = [node for node in range(len(parent)) if node not in set(parent)]
    labels = np.full(len(X), -1)
    for cluster, leaf in enumerate(leaves):
        labels[rows[leaf]] = cluster
    np.testing.assert_array_equal(leaves, tree.leaves)
    return rows, labels


def same(one, other):
    """Assert that two models are the same to the bit."""
    for name in ("node_parent", "node_centers", "node_sizes", "node_inertia"):
        np.testing.assert_array_equal(getattr(one.tree_, name), getattr(other.tree_, name))
    np.testing.assert_array_equal(as_numpy(one.labels_), as_numpy(other.labels_))
    np.testing.assert_array_equal(one.cluster_centers_, other.cluster_centers_)
    assert one.inertia_ == other.inertia_
    assert one.n_iter_ == other.n_iter_


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_labels_are_a_walk_down_the_tree(parameters, weighted):
    X = blobs() * UNITS
    w = np.random.default_rng(1).uniform(0, 3, len(X)).round() if weighted else None
    model = fitted(X, sample_weight=w, tol=0, **parameters)
    rows, labels = walk(X, model)
    np.testing.assert_array_equal(model.labels_, labels)
    np.testing.assert_array_equal(model.predict(X), labels)
    assert model.labels_.dtype == np.int32
    assert model.inertia_ == -model.score(X, sample_weight=w)
    np.testing.assert_array_equal(model.cluster_sizes_, np.bincount(labels, minlength=9))
    tree, own, weights = model.tree_, compared(X, model), np.ones(len(X)) if w is None else w
    np.testing.assert_array_equal(tree.node_centers[tree.leaves], model.cluster_centers_)
    half = 0.5 if model.metric == "cosine" else 1.0
    for node, these in rows.items():
        assert tree.node_sizes[node] == len(these)
        # Every split has converged: a center is the mean of the rows that come to it.
        center = mean(own[these], weights[these])
        if model.metric == "cosine":
            center = center / np.sqrt((center**2).sum())
        at = compared(tree.node_centers[node : node + 1], model)
        np.testing.assert_allclose(at[0], center, rtol=1e-9, atol=1e-12)
        squares = labelled_distances(own[these], at, np.zeros(len(these), int))
        assert tree.node_inertia[node] == pytest.approx(half * (weights[these] @ squares))
    assert model.inertia_ == pytest.approx(tree.node_inertia[tree.leaves].sum())
    assert model.converged_
    new = blobs(seed=3) * UNITS
    np.testing.assert_array_equal(model.predict(new), walk(new, model)[1])


@pytest.mark.parametrize("k", [2, 5, 16, 30])
def test_which_clusters_are_split(k):
    tree = fitted(blobs(), k).tree_
    parents, inertia, leaves = list(tree.node_parent[1::2]), tree.node_inertia, [0]
    n_nodes = 1
    while len(leaves) < k:
        ranked = sorted(leaves, key=lambda node: (-inertia[node], node))
        level, total = [], 0.0
        for node in ranked:
            total += inertia[node]
            if total > (k - len(leaves)) * inertia[node]:
                break
            level.append(node)
        assert ranked[0] in level
        assert parents[: len(level)] == sorted(level)
        parents = parents[len(level) :]
        leaves = [node for node in leaves if node not in level]
        leaves += range(n_nodes, n_nodes + 2 * len(level))
        n_nodes += 2 * len(level)
    assert parents == []


DATA = {"iris": load_iris, "wine": load_wine, "digits": load_digits}


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA)
def test_inertia_beside_that_of_scikit_learn(name):
    X = DATA[name]().data
    theirs = [
        sklearn.cluster.BisectingKMeans(12, random_state=seed).fit(X).inertia_ for seed in range(3)
    ]
    assert fitted(X, 12).inertia_ <= 1.005 * np.median(theirs)


@settings(max_examples=4)
@given(st.data())
def test_the_same_bits_for_any_chunks(data):
    X = blobs()
    chunks = data.draw(chunks_of(len(X)))
    lazy = fitted(da.from_array(X, chunks=(chunks, 5)))
    same(lazy, fitted(X))


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_nodes_that_are_not_remembered_are_found_again(share, monkeypatch):
    X = blobs()
    monkeypatch.setattr(tasks, "label_budget_here", lambda: int(share * len(X)))
    same(fitted(da.from_array(X, chunks=(50, 5))), fitted(X))


@pytest.mark.slow
def test_the_same_bits_on_a_cluster(client):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40_000, 6)) + rng.integers(0, 9, (40_000, 1))
    same(fitted(da.from_array(X, chunks=(3000, 6)), 20), fitted(X, 20))


@pytest.mark.slow
def test_the_drawn_rows_of_large_clusters_are_a_start():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200_000, 8)) + 6 * rng.normal(size=(40, 8))[rng.integers(0, 40, 200_000)]
    theirs = sklearn.cluster.BisectingKMeans(40, random_state=0).fit(X).inertia_
    assert fitted(X, 40).inertia_ <= theirs


@pytest.mark.parametrize("k", [1, 2, 9])
def test_passes_are_counted(k):
    chunks = CountingChunks(blobs())
    model = fitted(chunks.array(), k)
    assert chunks.passes() == model.n_passes_
    tree = model.tree_
    assert len(tree.node_parent) == 2 * k - 1
    # The survey and a look at the root; each level takes one more than its iterations.
    levels = model.n_passes_ - 2 - model.n_iter_
    assert (k > 1) <= levels <= k - 1
    assert len(model.history_) == model.n_iter_
    assert model.history_[0].changed == 600


def test_a_row_that_is_rare_and_far_away():
    X = np.zeros((20_000, 2))
    X[13_579] = [5.0, 0.0]
    model = fitted(X, 2)
    assert sorted(model.cluster_sizes_) == [1, 19_999]
    assert model.inertia_ == 0
    # With 2048 rows drawn, and all others equal.
    X[77] = [0.0, 1e-9]
    assert sorted(fitted(X, 3).cluster_sizes_) == [1, 1, 19_998]


def test_fewer_distinct_rows_than_clusters():
    X = np.repeat([[0.1, 0.0], [1.0, 5.0], [9.0, 0.3]], 7, axis=0)
    with pytest.warns(ConvergenceWarning, match=r"\(3\) found smaller than n_clusters \(6\)"):
        model = fitted(X, 6)
    assert model.cluster_centers_.shape == (6, 2)
    assert sorted(model.cluster_sizes_) == [0, 0, 0, 7, 7, 7]
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_array_equal(walk(X, model)[1], model.labels_)


def test_rows_that_are_left_out(tmp_path):
    X = blobs()
    X[3, 1], X[:, 2] = np.nan, np.nan
    model = fitted(X, nan="skip")
    assert model.labels_[3] == -1
    assert model.cluster_sizes_.sum() == 599
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert np.isnan(model.tree_.node_centers[:, 2]).all()
    model.save(str(tmp_path / "m.zarr"))
    np.testing.assert_array_equal(load_model(str(tmp_path / "m.zarr")).predict(X), model.labels_)


@pytest.mark.parametrize("kind", ["dask", "pandas", "xarray Dataset, dask", "Parquet, folder"])
def test_any_kind_of_input(kind, tmp_path):
    X = blobs()
    rows = INPUTS[kind](X, tmp_path)
    model = fitted(rows)
    same(model, fitted(X))
    assert type(model.labels_) is type(KMeans(3, random_state=0).fit(rows).labels_)
    np.testing.assert_array_equal(as_numpy(model.predict(rows)), as_numpy(model.labels_))


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_saved_and_loaded(parameters, tmp_path):
    X = pd.DataFrame(blobs() * UNITS, columns=list("abcde"))
    model = fitted(X, **parameters)
    url = str(tmp_path / "m.zarr")
    model.save(url)
    again = load_model(url)
    assert type(again) is BisectingKMeans
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(again.predict(X), model.labels_)
    np.testing.assert_array_equal(again.tree_.node_parent, model.tree_.node_parent)
    assert again.score(X) == model.score(X)
    assert again.history_ == model.history_
    same(again.fit(X), model)


BROKEN = {
    "a parent that comes later": {"node_parent": [-1, 0, 0, 5, 5, 1, 1]},
    "a node that is split twice": {"node_parent": [-1, 0, 0, 1, 1, 1, 1]},
    "no pairs": {"node_parent": [-1, 0, 1, 1, 0, 2, 2]},
    "no root": {"node_parent": [0, 0, 0, 1, 1, 2, 2]},
    "too few nodes": {"node_centers": np.zeros((5, 5))},
    "centers of another width": {"node_centers": np.zeros((7, 4))},
    "centers that are not finite": {"node_centers": np.full((7, 5), np.inf)},
    "sizes below 0": {"node_sizes": [-1] * 7},
    "an inertia that is none": {"node_inertia": [np.nan] * 7},
    "an array that is missing": {"node_inertia": None},
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_stored_is_checked(what, tmp_path):
    url = str(tmp_path / "m.zarr")
    fitted(blobs(), 4).save(url)
    ((name, values),) = BROKEN[what].items()
    replace_array(url, name, values)
    with pytest.raises(ValueError, match=name):
        load_model(url)


def test_what_scikit_learn_and_the_other_methods_expect():
    X = blobs()
    model = BisectingKMeans(4, random_state=0)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        model.tree_  # noqa: B018
    seen = []
    model.set_params(callbacks=[seen.append])
    assert model.fit(X) is model
    assert seen == model.history_
    np.testing.assert_array_equal(BisectingKMeans(4, random_state=0).fit_predict(X), model.labels_)
    labels, distances = model.predict(X, return_distance=True)
    np.testing.assert_array_equal(distances, model.transform(X)[np.arange(600), labels])
    table = model.describe(X).table
    np.testing.assert_array_equal(table["size"], model.cluster_sizes_)
    np.testing.assert_allclose(table["inertia"], model.tree_.node_inertia[model.tree_.leaves])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stopped = fitted(X, 4, max_iter=1, n_init=1)
    assert not stopped.converged_


def test_refused(tmp_path):
    X = blobs()
    with pytest.raises(ValueError, match="'n_clusters' parameter of BisectingKMeans must be"):
        BisectingKMeans(0).fit(X)
    with pytest.raises(ValueError, match="601"):
        BisectingKMeans(601).fit(X)
    with pytest.raises(TypeError, match="fit_fraction"):
        BisectingKMeans(3, fit_fraction=0.5)
    with pytest.raises(ValueError, match="down its tree_"):
        fitted(X, 3).to_sklearn()


def test_in_the_shell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    X = blobs()
    np.save("x.npy", X)
    model = fitted(X)
    model.save("m.zarr")

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(list(arguments))
        assert end.value.code == 0
        return capsys.readouterr().out

    run("predict", "x.npy", "--model", "m.zarr", "--labels", "l.npy")
    np.testing.assert_array_equal(np.load("l.npy"), model.labels_)
    assert "leaves of a tree" in run("inspect", "m.zarr")
    told = json.loads(run("inspect", "m.zarr", "--json"))
    assert told["tree"]["node_parent"] == model.tree_.node_parent.tolist()
