"""Defects that other k-means programs have shown, one test each: none of them is to be ours."""

from __future__ import annotations

import ast
import math
import warnings
from pathlib import Path

import dask
import dask.array as da
import naive
import numpy as np
import pytest
from counting import CountingChunks
from inputs import blobs

import dask_kmeans
from dask_kmeans import KMeans
from dask_kmeans.blockwise import Blockwise
from dask_kmeans.centers import MeanCenters
from dask_kmeans.read import as_points
from dask_kmeans.seed import SeedParameters, make_seeds
from dask_kmeans.survey import survey


def fitted(X, k=5, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return KMeans(k, **{"random_state": 0, **parameters}).fit(X)


def seeds(X, k, random_state=0, **parameters):
    """What seeding alone makes of the data."""
    points = as_points(X)
    blockwise = Blockwise(points.blocks, points.in_memory)
    found = survey(points, blockwise, "raise")
    points = points.with_counts(found.counts)
    blockwise = blockwise.with_plan(blocks=points.blocks)
    arguments = {
        "init": "k-means||", "n_init": 1, "oversampling_factor": 4.0,
        "init_rounds": None, "random_state": random_state, **parameters,
    }  # fmt: skip
    rule = MeanCenters(found.fixed_point())
    out = make_seeds(points, blockwise, found, rule, k, SeedParameters(**arguments))
    blockwise.close()
    return out


# dask-ml


@pytest.mark.parametrize("stop", [{"tol": 0}, {"tol": 0.01}, {"max_iter": 2}])
def test_inertia_is_squared_however_the_fit_stops(stop):
    X = 10 * blobs()
    model = fitted(da.from_array(X, chunks=(70, 5)), **stop)
    assert model.inertia_ == pytest.approx(naive.inertia(X, model.cluster_centers_), rel=1e-12)


def test_an_emptied_cluster_is_not_left_at_the_origin():
    X = 100 + blobs(100)
    init = np.vstack([X[:4], np.full((1, 5), 1e4)])
    for max_iter in (1, 2, 300):
        centers = fitted(X, init=init, max_iter=max_iter).cluster_centers_
        assert (np.abs(centers) > 50).all()


def test_k_means_plus_plus_works_on_chunked_data():
    X = blobs()
    model = fitted(da.from_array(X, chunks=(70, 5)), init="k-means++")
    assert (
        model.cluster_centers_.tobytes() == fitted(X, init="k-means++").cluster_centers_.tobytes()
    )


@pytest.mark.parametrize("k", [10, 50])
def test_candidates_grow_with_the_number_of_clusters(k):
    """22 candidates for 50 clusters and for 200 leave most of the seeds to chance."""
    found = seeds(blobs(2000), k, init_rounds=2)
    assert 4 * k <= found.n_candidates <= 2 * 4 * k + k


def test_seeds_are_far_better_than_chance():
    # Fifty small clusters far apart: a start that misses one pays for it.
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(scale=100, size=(50, 8)), 40, axis=0) + rng.normal(size=(2000, 8))
    costs = [naive.inertia(X, seeds(X, 50, seed).centers[0]) for seed in range(3)]
    by_chance = naive.inertia(X, X[rng.choice(2000, 50, replace=False)])
    assert max(costs) < 2 * 2000 * 8
    assert min(costs) * 100 < by_chance


def test_the_first_row_is_no_seed_for_being_first():
    X = blobs(400)
    distances = [
        np.abs(seeds(X, 5, random_state, init=init).centers[0] - X[0]).sum(axis=1).min()
        for random_state in range(5)
        for init in ("k-means++", "random")
    ]
    assert sum(distance == 0 for distance in distances) <= 2


def test_candidates_weigh_what_their_cells_weigh():
    # Nearly all rows lie in two tight clusters; few are scattered widely. Unweighted, the many
    # candidates among the scattered rows would draw both seeds to them.
    rng = np.random.default_rng(1)
    tight = np.repeat([[0.0, 0.0], [10.0, 0.0]], 5000, axis=0) + rng.normal(
        scale=0.1, size=(10000, 2)
    )
    X = np.vstack([tight, rng.uniform(-15, 25, size=(40, 2))])
    for random_state in range(5):
        centers = seeds(X, 2, random_state).centers[0]
        centers = centers[np.argsort(centers[:, 0])]
        np.testing.assert_allclose(centers, [[0, 0], [10, 0]], atol=0.5)


def test_other_chunks_give_the_same_seeds():
    X = blobs(500)
    for chunks in (500, 77, (1, 250, 0, 249)):
        lazy = da.from_array(X, chunks=(chunks, 5))
        assert seeds(lazy, 6).centers[0].tobytes() == seeds(X, 6).centers[0].tobytes()


def test_no_more_than_one_pass_an_iteration():
    source = CountingChunks(blobs(600))
    model = fitted(source.array(), init_rounds=2, algorithm="lloyd")
    assert source.passes() <= 2 + 2 + model.n_iter_ + 1


def test_predict_reads_nothing_before_it_is_computed():
    source = CountingChunks(blobs(600))
    model = fitted(blobs(600))
    model.predict(source.array())
    model.transform(source.array())
    assert not source.reads


def test_more_clusters_than_rows_is_a_value_error():
    with pytest.raises(ValueError, match="n_samples=4 should be >= n_clusters=5"):
        KMeans(5).fit(da.from_array(blobs(4), chunks=2))


def test_max_iter_zero_is_a_value_error():
    with pytest.raises(ValueError, match="max_iter"):
        KMeans(5, max_iter=0).fit(da.from_array(blobs(), chunks=100))


# scikit-learn


def test_labels_agree_with_predict_after_a_relocation():
    """scikit-learn issue 34074: a relocation in the last step leaves labels of before it."""
    for seed in range(30):
        X = blobs(40, 2, 3, seed)
        init = np.vstack([X[:3], 1e3 + X[:2]])
        model = fitted(X, init=init, tol=0)
        np.testing.assert_array_equal(model.labels_, model.predict(X))
        np.testing.assert_array_equal(model.labels_, naive.nearest(X, model.cluster_centers_))


def test_a_step_that_relocated_has_not_converged():
    # Both far rows are one point: the second cluster that is moved there is left empty, and is
    # moved again in a step in which two labels of 22 change.
    X = np.repeat([0.0, 0.5, 5.0], [10, 10, 2])[:, None]
    init = np.array([[0.0], [100.0], [200.0]])
    model = fitted(X, 3, init=init, tol=0.1)
    assert model.inertia_ == 0
    assert sorted(model.cluster_centers_.ravel()) == [0, 0.5, 5]


@pytest.mark.parametrize("count", [2, 3, 8])
def test_threads_do_not_change_the_result(count):
    X = np.random.default_rng(0).normal(size=(60_000, 4)).astype("float32")
    with dask.config.set(num_workers=1):
        expected = fitted(X, 20, max_iter=10)
    with dask.config.set(num_workers=count):
        model = fitted(X, 20, max_iter=10)
    assert model.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
    assert model.inertia_ == expected.inertia_


# faiss, SuperKMeans


def test_nothing_is_subsampled_silently():
    """faiss takes 256 rows a cluster and reports their objective; SuperKMeans samples above 1e5."""
    X = np.random.default_rng(0).normal(size=(110_000, 2))
    model = fitted(X, 4, max_iter=5)
    assert model.cluster_sizes_.sum() == len(X)
    assert model.history_[0].examined == len(X)
    distances = naive.squared_distances(X, model.cluster_centers_)
    np.testing.assert_array_equal(model.labels_, distances.argmin(axis=1))
    assert model.inertia_ == pytest.approx(math.fsum(distances.min(axis=1)), rel=1e-14)


def test_the_mean_of_equal_rows_is_that_row():
    """faiss gave 1000000.125 for the mean of 128 copies of 1000001.0."""
    X = np.full((128, 3), 1000001.0, dtype="float32")
    model = fitted(X, 1)
    np.testing.assert_array_equal(model.cluster_centers_, [[1000001.0] * 3])
    assert model.inertia_ == 0


def test_distances_far_from_the_origin_are_exact():
    """|x|^2 - 2xc + |c|^2 has nothing left of them (scikit-learn-intelex issue 25)."""
    X = 1e8 + np.array([[0.0], [1.0], [10.0], [12.0]])
    model = fitted(X, 2)
    assert sorted(model.cluster_centers_.ravel() - 1e8) == [0.5, 11.0]
    assert model.inertia_ == 2.5
    assert sorted(model.transform(X).min(axis=1)) == [0.5, 0.5, 1, 1]


# vaex has this one right


def test_restarts_share_the_passes():
    source = CountingChunks(blobs(600))
    fitted(source.array(), n_init=10, init_rounds=2, max_iter=6, tol=0)
    assert source.passes() <= 2 + 2 + 6 + 1


def test_more_restarts_are_never_worse():
    X = blobs(300, k=9)
    inertias = [fitted(X, 9, init="random", n_init=n).inertia_ for n in (1, 2, 5, 10)]
    assert inertias == sorted(inertias, reverse=True)


# What must never happen


def test_missing_values_are_not_taken_for_numbers():
    X = blobs()
    X[7, 3] = np.nan
    for data in (X, da.from_array(X, chunks=50)):
        with pytest.raises(ValueError, match="row 7, column 3"):
            KMeans(3).fit(data)


CHANGES = {
    "n_clusters": 4,
    "init": "random",
    "n_init": 4,
    "max_iter": 2,
    "tol": 0.3,
    "oversampling_factor": 1.0,
    "init_rounds": 1,
    "metric": "cosine",
    "standardize": True,
    "random_state": 1,
}
"""Another value of each parameter that changes what is computed."""


@pytest.mark.parametrize("name", CHANGES)
def test_no_parameter_is_accepted_and_ignored(name):
    X = np.random.default_rng(0).normal(size=(3000, 5))
    base = {"n_clusters": 8, "random_state": 0, "max_iter": 20, "n_init": 1}
    plain, changed = fitted(X, **{"k": 8, **_without_k(base)}), fitted(X, **_with(base, name))
    assert plain.cluster_centers_.tobytes() != changed.cluster_centers_.tobytes()


def _without_k(parameters):
    return {name: value for name, value in parameters.items() if name != "n_clusters"}


def _with(parameters, name):
    changed = {**parameters, name: CHANGES[name]}
    return {"k": changed["n_clusters"], **_without_k(changed)}


def test_every_parameter_is_read_somewhere():
    """A name that only __init__ knows does nothing."""
    folder = Path(dask_kmeans.__file__).parent
    read = {
        node.attr
        for name in ("estimator.py", "fit_parameters.py")
        for node in ast.walk(ast.parse((folder / name).read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("self", "first", "model")
    }
    assert set(KMeans().get_params()) <= read


LIBRARIES = {
    "dask",
    "distributed",
    "sklearn",
    "numpy",
    "zarr",
    "xarray",
    "pandas",
    "pyarrow",
    "fsspec",
}


def test_no_private_names_of_libraries_are_used():
    """dask-ml broke with each release of what it reached into."""
    folder = Path(dask_kmeans.__file__).parent
    found = []
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text())
        modules = {
            alias.asname or alias.name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.name.split(".")[0] in LIBRARIES
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [part for alias in node.names for part in alias.name.split(".")
                         if alias.name.split(".")[0] in LIBRARIES]  # fmt: skip
            elif isinstance(node, ast.Attribute) and _root(node) in modules:
                names = [node.attr]
            else:
                continue
            found += [
                f"{path.name}:{node.lineno} {name}"
                for name in names
                if name.startswith("_") and not name.startswith("__")
            ]
    assert not found


def _root(node):
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def test_nothing_is_unpickled():
    """A model from a stranger is data; loading it must not run anything."""
    folder = Path(dask_kmeans.__file__).parent
    # What a driver tells the tasks of its own passes is pickled, as Dask pickles the tasks.
    for path in set(folder.rglob("*.py")) - {folder / "blockwise" / "tasks.py"}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported = {(node.module or "").split(".")[0]}
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
                continue
            else:
                continue
            assert not imported & {"pickle", "cloudpickle", "joblib", "dill", "marshal"}, path
