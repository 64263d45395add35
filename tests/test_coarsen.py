"""`coarsen`: clusters of clusters, whose labels agree with those of the finer model."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import INPUTS, as_numpy, blobs
from naive import labelled_distances, nearest, squared_distances
from sklearn.exceptions import NotFittedError
from stored import replace_array

from dask_kmeans import KMeans, cli, load_model

UNITS = np.array([1.0, 1e-3, 50.0, 1e4, 7.0])
PARAMETERS = [{}, {"standardize": True}, {"metric": "cosine"}]


def fitted(X, k=20, **parameters):
    return KMeans(k, random_state=0, **parameters).fit(X)


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_both_levels_agree(parameters):
    X = blobs() * UNITS
    fine = fitted(X, **parameters)
    coarse = fine.coarsen(4)
    assert coarse.n_clusters == len(coarse.cluster_centers_) == 4
    assert coarse.parent_.shape == (20,)
    labels = coarse.predict(X)
    np.testing.assert_array_equal(labels, coarse.parent_[fine.labels_])
    np.testing.assert_array_equal(coarse.cluster_sizes_, np.bincount(labels, minlength=4))
    assert not hasattr(fine, "parent_")
    assert not hasattr(coarse, "labels_")
    assert coarse.transform(X).shape == (600, 4)
    labels, distances = coarse.predict(X, return_distance=True)
    np.testing.assert_array_equal(distances, coarse.transform(X)[np.arange(600), labels])
    # New rows too.
    new = blobs(seed=3) * UNITS
    np.testing.assert_array_equal(coarse.predict(new), coarse.parent_[fine.predict(new)])


def test_it_is_weighted_k_means_of_the_centers():
    X = blobs()
    fine = fitted(X)
    coarse = fine.coarsen(4)
    centers, w = fine.cluster_centers_, fine.cluster_sizes_
    np.testing.assert_array_equal(coarse.parent_, nearest(centers, coarse.cluster_centers_))
    for j in range(4):
        own = coarse.parent_ == j
        np.testing.assert_allclose(
            coarse.cluster_centers_[j], np.average(centers[own], axis=0, weights=w[own])
        )
    own = labelled_distances(centers, coarse.cluster_centers_, coarse.parent_)
    assert coarse.inertia_ == pytest.approx((w * own).sum(), rel=1e-12)
    # What the score of rows is, where fine centers are the means of their rows.
    strict = KMeans(20, random_state=0, tol=0).fit(X)
    coarse = strict.coarsen(4)
    assert -coarse.score(X) == pytest.approx(strict.inertia_ + coarse.inertia_, rel=1e-9)
    direct = fitted(X, 4)
    assert direct.inertia_ <= -coarse.score(X) <= 1.2 * direct.inertia_


@settings(max_examples=8)
@given(st.integers(1, 20), st.integers(0, 2**32))
def test_any_number_of_clusters(k, seed):
    X = blobs()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        coarse = fitted(X).set_params(random_state=seed).coarsen(k)
    np.testing.assert_array_equal(coarse.predict(X), coarse.parent_[fitted(X).labels_])
    assert set(coarse.parent_) == set(range(k))
    if k == 20:
        assert coarse.inertia_ == 0


def test_levels_upon_levels(tmp_path):
    X = blobs()
    fine = fitted(X)
    middle = fine.coarsen(8)
    top = middle.coarsen(3)
    assert top.parent_.shape == (8,)
    np.testing.assert_array_equal(top.predict(X), top.parent_[middle.predict(X)])
    np.testing.assert_array_equal(top.predict(X), top.parent_[middle.parent_[fine.predict(X)]])
    top.save(str(tmp_path / "top.zarr"))
    again = load_model(str(tmp_path / "top.zarr"))
    np.testing.assert_array_equal(again.predict(X), top.predict(X))
    np.testing.assert_array_equal(again.parent_, top.parent_)


@pytest.mark.parametrize("kind", ["dask", "pandas", "xarray Dataset, dask", "Parquet, folder"])
def test_labels_come_in_kind(kind, tmp_path):
    X = blobs()
    rows = INPUTS[kind](X, tmp_path)
    fine = fitted(rows)
    coarse = fine.coarsen(4)
    labels = coarse.predict(rows)
    assert type(labels) is type(fine.labels_)
    np.testing.assert_array_equal(as_numpy(labels), coarse.parent_[as_numpy(fine.labels_)])
    if hasattr(fine, "feature_names_in_"):
        assert list(coarse.feature_names_in_) == list(fine.feature_names_in_)


def test_rows_that_are_left_out():
    X = blobs()
    X[3, 1] = np.nan
    coarse = fitted(X, nan="skip").coarsen(4)
    assert coarse.predict(X)[3] == -1
    assert coarse.cluster_sizes_.sum() == 599


def test_a_feature_without_any_value(tmp_path):
    X = blobs()
    X[:, 2] = np.nan
    fine = fitted(X, nan="skip")
    coarse = fine.coarsen(4)
    assert np.isnan(coarse.cluster_centers_[:, 2]).all()
    np.testing.assert_array_equal(coarse.predict(X), coarse.parent_[fine.labels_])
    coarse.save(str(tmp_path / "m.zarr"))
    again = load_model(str(tmp_path / "m.zarr"))
    np.testing.assert_array_equal(again.predict(X), coarse.predict(X))


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_saved_and_loaded(parameters, tmp_path):
    X = pd.DataFrame(blobs() * UNITS, columns=list("abcde"))
    coarse = fitted(X, **parameters).coarsen(4)
    url = str(tmp_path / "m.zarr")
    coarse.save(url)
    again = load_model(url)
    np.testing.assert_array_equal(again.predict(X), coarse.predict(X))
    np.testing.assert_array_equal(again.parent_, coarse.parent_)
    assert again.parent_.dtype == np.int32
    assert again.score(X) == coarse.score(X)
    assert again.get_params() == coarse.get_params()
    # A fit anew is one to rows.
    again.fit(X)
    assert not hasattr(again, "parent_")
    np.testing.assert_array_equal(again.labels_, again.predict(X))


BROKEN = {
    "a parent that is no cluster": {"parent": [0, 1, 2, 4]},
    "a finest parent that is no cluster": {"finest_parent": [-1] * 20},
    "finest centers of another width": {"finest_centers": np.zeros((20, 4))},
    "finest centers that are not finite": {"finest_centers": np.full((20, 5), np.inf)},
    "an array that is missing": {"finest_parent": None},
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_stored_is_checked(what, tmp_path):
    url = str(tmp_path / "m.zarr")
    fitted(blobs()).coarsen(4).save(url)
    ((name, values),) = BROKEN[what].items()
    replace_array(url, name, values)
    with pytest.raises(ValueError, match=name):
        load_model(url)


def test_a_fit_of_given_centers_is_a_start_no_more():
    X = blobs()
    fine = KMeans(20, init=X[:20], checkpoint=None, random_state=0).fit(X)
    coarse = fine.coarsen(4)
    assert coarse.init == "k-means||"
    coarse.fit(X)
    assert len(coarse.cluster_centers_) == 4


def test_refused():
    X = blobs()
    fine = fitted(X)
    for wrong in (0, 21, 2.0, "4", True):
        with pytest.raises(ValueError, match=r"takes an int from 1 to 20.*model.coarsen\(10\)"):
            fine.coarsen(wrong)
    with pytest.raises(NotFittedError):
        KMeans(3).coarsen(2)
    with pytest.raises(ValueError, match="made by coarsen: its labels are found by the 20 finer"):
        fine.coarsen(4).to_sklearn()
    theirs = fine.to_sklearn()
    del theirs.labels_
    with pytest.raises(ValueError, match="lacks"):
        KMeans.from_sklearn(theirs).coarsen(3)


def test_in_the_shell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    X = blobs()
    np.save("x.npy", X)
    coarse = fitted(X).coarsen(4)
    coarse.save("m.zarr")

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(list(arguments))
        assert end.value.code == 0
        return capsys.readouterr().out

    run("predict", "x.npy", "--model", "m.zarr", "--labels", "l.npy")
    np.testing.assert_array_equal(np.load("l.npy"), coarse.predict(X))
    assert "made of 20 finer ones" in run("inspect", "m.zarr")
    told = json.loads(run("inspect", "m.zarr", "--json"))
    assert told["coarsening"]["parent"] == coarse.parent_.tolist()


def test_the_nearest_coarse_center_need_not_be_the_label():
    X = blobs()
    coarse = fitted(X).coarsen(4)
    flat = np.argmin(squared_distances(X, coarse.cluster_centers_), axis=1)
    assert 0 < (flat != coarse.predict(X)).mean() < 0.2
