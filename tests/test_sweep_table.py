"""What a sweep says of each number of clusters: indices, transitions and the clustergram."""

from __future__ import annotations

import functools
import math

import dask
import dask.array as da
import naive
import numpy as np
import pandas as pd
import pytest
from counting import CountingChunks
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import blobs
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score
from sklearn.preprocessing import StandardScaler, normalize
from strategies import chunks_of

from dask_kmeans import sweep

X = blobs(600, 5, 4, seed=2)
KS = range(1, 8)
COLUMNS = [
    "inertia", "explained_variance", "calinski_harabasz", "davies_bouldin", "silhouette",
    "n_iter", "converged", "smallest", "largest",
]  # fmt: skip
WEIGHTS = np.random.default_rng(5).integers(0, 4, len(X))
UNIT = normalize(X)


def simplified_silhouette(rows, centers, weights=None):
    """By its definition: the two nearest of all centers."""
    apart = np.sort(np.sqrt(naive.squared_distances(rows, centers)), axis=1)
    a, b = apart[:, 0], apart[:, 1]
    s = np.zeros(len(rows))
    np.divide(b - a, b, out=s, where=b > 0)
    return np.average(s, weights=weights)


def close(value):
    return pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_the_table_is_that_of_sklearn(weights):
    models = sweep(X, KS, sample_weight=weights, tol=0, random_state=0)
    table = models.table
    assert table.columns.tolist() == COLUMNS
    assert table.index.name == "n_clusters"
    assert table.index.tolist() == list(KS)
    # A weight counts as so many equal rows.
    times = np.ones(len(X), int) if weights is None else weights
    rows = np.repeat(X, times, axis=0)
    for k, model in models.items():
        row, labels = table.loc[k], np.repeat(model.labels_, times)
        assert row.inertia == model.inertia_
        assert (row.n_iter, row.converged) == (model.n_iter_, model.converged_)
        sizes = np.bincount(model.labels_)
        assert (row.smallest, row.largest) == (sizes.min(), sizes.max())
        if k == 1:
            assert np.isnan([row.calinski_harabasz, row.davies_bouldin, row.silhouette]).all()
            continue
        assert row.calinski_harabasz == close(calinski_harabasz_score(rows, labels))
        assert row.davies_bouldin == close(davies_bouldin_score(rows, labels))
        assert row.silhouette == close(simplified_silhouette(rows, model.cluster_centers_))
    assert models.explained_variance.tolist() == table.explained_variance.tolist()


def test_where_a_fit_stops_early_scatter_is_still_that_of_the_labels():
    models = sweep(X, [3, 5], max_iter=2, tol=0, random_state=0, init="random", n_init=2)
    for k, model in models.items():
        assert not model.converged_
        expected = calinski_harabasz_score(X, model.labels_)
        assert models.table.calinski_harabasz[k] == close(expected)
        labels, centers = model.labels_, model.cluster_centers_
        spread = [
            np.sqrt(naive.squared_distances(X[labels == j], centers[[j]])).mean() for j in range(k)
        ]
        apart = np.sqrt(naive.squared_distances(centers, centers)) + np.diag([np.inf] * k)
        most = (np.add.outer(spread, spread) / apart).max(axis=1).mean()
        assert models.table.davies_bouldin[k] == close(most)


@pytest.mark.parametrize(
    ("parameters", "rows"),
    [({"standardize": True}, StandardScaler().fit_transform(X)), ({"metric": "cosine"}, UNIT)],
    ids=["standardized", "cosine"],
)
def test_indices_are_of_what_is_compared(parameters, rows):
    models = sweep(X, [2, 3, 5], tol=0, random_state=0, **parameters)
    for k, model in models.items():
        row, labels = models.table.loc[k], model.labels_
        centers = np.array([rows[labels == j].mean(axis=0) for j in range(k)])
        assert row.calinski_harabasz == close(calinski_harabasz_score(rows, labels))
        if "metric" in parameters:
            centers = normalize(centers)
        else:
            assert row.davies_bouldin == close(davies_bouldin_score(rows, labels))
        assert row.silhouette == close(simplified_silhouette(rows, centers))


def test_rows_that_are_left_out_count_nowhere():
    holes = X.copy()
    holes[::9, 2] = np.nan
    left = holes[~np.isnan(holes).any(axis=1)]
    models = sweep(holes, [3, 4], nan="skip", tol=0, random_state=0)
    for k, model in models.items():
        labels = model.labels_[model.labels_ >= 0]
        row = models.table.loc[k]
        assert row.calinski_harabasz == close(calinski_harabasz_score(left, labels))
        assert row.davies_bouldin == close(davies_bouldin_score(left, labels))
        assert row.silhouette == close(simplified_silhouette(left, model.cluster_centers_))
    assert models.transitions[3, 4].sum() == len(left)


def test_a_fit_to_a_share_of_the_rows_is_told_of_all_of_them():
    models = sweep(X, [2, 3, 5], fit_fraction=0.5, random_state=0)
    for k, model in models.items():
        row = models.table.loc[k]
        assert row.calinski_harabasz == close(calinski_harabasz_score(X, model.labels_))
        assert row.silhouette == close(simplified_silhouette(X, model.cluster_centers_))
        assert models.clustergram["size"][k].sum() == len(X)
    assert models.transitions[3, 5].sum() == len(X)


@pytest.mark.parametrize("parameters", [{}, {"init": "random", "n_init": 3}])
def test_transitions_are_counts_of_pairs_of_labels(parameters):
    for rows in (X, da.from_array(X, chunks=(130, 5))):
        models = sweep(rows, [6, 2, 3], random_state=0, **parameters)
        assert list(models.transitions) == [(2, 3), (3, 6)]
        for (k, following), counts in models.transitions.items():
            labels = [np.asarray(models[each].labels_) for each in (k, following)]
            expected = np.zeros((k, following), np.int64)
            np.add.at(expected, tuple(labels), 1)
            assert counts.dtype == np.int64
            assert counts.tolist() == expected.tolist()
            assert counts.sum(axis=1).tolist() == models[k].cluster_sizes_.tolist()


def told(models):
    """All that a sweep says, as bits."""
    return (
        models.table.to_numpy(float).tobytes(),
        [(pair, counts.tobytes()) for pair, counts in models.transitions.items()],
        models.clustergram.to_numpy(float).tobytes(),
        models.elbow_strength_.hex(),
    )


@functools.cache
def whole(weighted):
    return sweep(X, [1, 3, 4], sample_weight=WEIGHTS if weighted else None, random_state=0)


@settings(max_examples=8, deadline=None)
@given(chunks_of(len(X)), st.booleans(), st.sampled_from([1, 2, 5]))
def test_neither_chunks_nor_workers_change_a_bit(chunks, weighted, workers):
    with dask.config.set(scheduler="threads", num_workers=workers):
        chunked = sweep(
            da.from_array(X, chunks=(chunks, 5)), [1, 3, 4], random_state=0,
            sample_weight=da.from_array(WEIGHTS, chunks=(chunks,)) if weighted else None,
        )  # fmt: skip
    assert told(chunked) == told(whole(weighted))


def test_nothing_is_read_for_it():
    """Rows are read as often as the fit needs, and none of it needs them again."""
    source, ks = CountingChunks(X), range(1, 6)
    models = sweep(source.array(), ks, random_state=0, init_rounds=2, algorithm="lloyd")
    told(models)
    slowest = max(model.n_iter_ for model in models.values())
    assert source.passes() == models.n_passes <= 2 + 2 + slowest + 1


def test_the_clustergram_lies_along_the_first_principal_direction():
    models = sweep(X, [4, 1, 7], tol=0, random_state=0)
    gram = models.clustergram
    assert gram.index.names == ["n_clusters", "cluster"]
    assert gram.columns.tolist() == ["position", "size"]
    most, middle = models[7], X.mean(axis=0)
    scatter = (most.cluster_centers_ - middle) * np.sqrt(most.cluster_sizes_)[:, None]
    direction = np.linalg.svd(scatter)[2][0]
    direction *= np.sign(direction[np.abs(direction).argmax()])
    for k, model in models.items():
        positions = (model.cluster_centers_ - middle) @ direction
        np.testing.assert_allclose(gram.position[k], positions, atol=1e-9 * np.ptp(X))
        assert gram["size"][k].tolist() == model.cluster_sizes_.tolist()
    assert gram.position[1].abs().max() < 1e-12


def test_more_features_than_clusters_and_fewer():
    rng = np.random.default_rng(0)
    for shape, unit in (((3, 40), 1e140), ((40, 3), 1e-140), ((2, 1), 1.0), ((5, 5), 1e-20)):
        rows = rng.normal(size=shape) * unit
        positions = sweep(rows, [2], random_state=0).clustergram.position / unit
        assert np.isfinite(positions).all()
        assert np.ptp(positions) > 0.1


def test_rows_that_are_all_alike():
    with pytest.warns(UserWarning, match="distinct"):
        models = sweep(np.ones((20, 3)), [1, 2], random_state=0)
    table = models.table
    assert table.inertia.tolist() == [0, 0]
    assert table.smallest.tolist() == [20, 0]
    assert table[["calinski_harabasz", "davies_bouldin"]].isna().all(axis=None)
    assert (models.clustergram.position == 0).all()
    assert math.isnan(models.elbow_strength_)
    with pytest.warns(UserWarning, match="no elbow"):
        assert models.elbow_ is None


def test_the_table_is_a_frame_like_others(tmp_path):
    table = sweep(X, [2, 3], random_state=0).table
    table.to_csv(tmp_path / "table.csv")
    again = pd.read_csv(tmp_path / "table.csv", index_col="n_clusters")
    pd.testing.assert_frame_equal(again, table)
