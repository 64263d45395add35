"""Spherical k-means: rows count as unit vectors, centers are unit vectors, 1 - cos is told."""

from __future__ import annotations

import json
import pickle
import warnings

import dask.array as da
import naive
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import INPUTS, as_numpy, blobs
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from dask_kmeans import KMeans, cli, load_model, sweep

INITS = ("k-means||", "k-means++", "random", "random_partition", "random_pairs", "random_box")


def unit(rows):
    """Rows by their lengths, summed from the first feature to the last, in float64."""
    rows = np.asarray(rows, np.float64)
    squares = np.zeros(len(rows))
    for feature in rows.T:
        squares += feature * feature
    return rows / np.sqrt(squares)[:, None]


def directions(n=600, d=5, k=4, seed=0):
    """Rows of any length, in both senses of every feature."""
    return blobs(n, d, k, seed=seed) * np.random.default_rng(seed).uniform(0.1, 30, (n, 1))


def fitted(X, k=4, weights=None, **parameters):
    given = {"metric": "cosine", "random_state": 0, "tol": 0} | parameters
    return KMeans(k, **given).fit(X, sample_weight=weights)


def check(model, X, weights=None):
    """Labels, centers and inertia are those of a brute force on unit rows."""
    rows, centers = unit(X), model.cluster_centers_
    labels = as_numpy(model.labels_)
    np.testing.assert_array_equal(labels, naive.nearest(rows, centers))
    np.testing.assert_allclose(np.linalg.norm(centers, axis=1), 1, rtol=1e-15)
    weights = np.ones(len(rows)) if weights is None else weights
    cosines = (rows * centers[labels]).sum(axis=1)
    np.testing.assert_allclose(model.inertia_, weights @ (1 - cosines), rtol=1e-9, atol=1e-12)
    if model.converged_:
        sums = np.zeros_like(centers)
        np.add.at(sums, labels, weights[:, None] * rows)
        filled = np.linalg.norm(sums, axis=1) > 1e-9
        np.testing.assert_allclose(centers[filled], unit(sums[filled]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i2", "u1"])
def test_labels_are_those_of_a_brute_force_on_unit_rows(dtype):
    X = (np.abs(directions()) if dtype == "u1" else directions()).astype(dtype)
    check(fitted(X), X)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("weighted", [False, True])
def test_every_start_ends_in_unit_centers(init, weighted):
    X = directions()
    weights = np.random.default_rng(1).integers(0, 3, len(X)) / 4 if weighted else None
    check(fitted(X, 6, weights, init=init, max_iter=1), X, weights)
    check(fitted(X, 6, weights, init=init), X, weights)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 4), st.integers(1, 5))
def test_labels_of_few_rows_with_many_ties(seed, n, d, k):
    X = np.random.default_rng(seed).integers(-2, 3, (n, d))
    X = X[(X != 0).any(axis=1)]
    if len(X) >= k:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters
            check(fitted(X, k), X)


@pytest.mark.parametrize("factor", [1e-310, 1e-170, 1e-30, 1e30, 1e170, 1e300])
def test_the_length_of_a_row_has_no_say(factor):
    X = np.random.default_rng(0).integers(-9, 10, (300, 3)) + 0.5
    exact = 2.0 ** np.round(np.log2(factor))
    model, scaled = fitted(X), fitted(X * exact)
    if factor > 1e-308:  # else bits are lost in the rows themselves
        assert scaled.cluster_centers_.tobytes() == model.cluster_centers_.tobytes()
    np.testing.assert_array_equal(scaled.labels_, model.labels_)


@pytest.mark.parametrize("name", INPUTS)
def test_from_every_kind_of_data(name, tmp_path):
    x = directions()
    X = INPUTS[name](x, tmp_path)
    model, plain = fitted(X), fitted(x)
    assert model.cluster_centers_.tobytes() == plain.cluster_centers_.tobytes()
    assert model.n_passes_ == plain.n_passes_
    np.testing.assert_array_equal(as_numpy(model.predict(X)), plain.labels_)
    assert model.score(X) == -plain.inertia_


def test_distances_are_one_minus_the_cosine():
    X = directions()
    model = fitted(X)
    cosines = unit(X) @ model.cluster_centers_.T
    np.testing.assert_allclose(model.transform(X), 1 - cosines, atol=1e-15)
    lazy = model.transform(da.from_array(X, chunks=(70, 5)))
    assert lazy.compute().tobytes() == model.transform(X).tobytes()


def test_records_tell_the_same_inertia():
    X, told = directions(), []
    model = fitted(X, callbacks=[told.append])
    assert [record.inertia for record in told] == [record.inertia for record in model.history_]
    assert told[-1].inertia == pytest.approx(model.inertia_)
    inertias = [record.inertia for record in told]
    assert inertias == sorted(inertias, reverse=True)


# ------------------------------------------------------------------------- rows without direction


ROWS = np.array([[1.0, 0], [0, 2], [3, 3], [-0.0, 0], [-1, 0]])


@pytest.mark.parametrize("kind", ["NumPy", "dask", "unknown chunks", "pandas", "Parquet"])
def test_a_row_of_zeros_is_named_by_its_number(kind, tmp_path):
    model, X = fitted(ROWS[:3], 2), ROWS
    if kind == "dask":
        X = da.from_array(X, chunks=(2, 2))
    elif kind == "unknown chunks":
        X = da.from_array(X, chunks=(2, 2))[da.from_array(np.ones(5, bool), chunks=2)]
    elif kind == "pandas":
        X = pd.DataFrame(X, columns=["a", "b"])
    elif kind == "Parquet":
        pd.DataFrame(X, columns=["a", "b"]).to_parquet(tmp_path / "x.parquet", row_group_size=2)
        X = str(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="Row 3 of X is a row of zeros"):
        fitted(X, 2)
    if kind not in ("pandas", "Parquet"):  # whose names the model does not know
        with pytest.raises(ValueError, match=r"Row (3|1 of .*) of X is a row of zeros"):
            as_numpy(model.predict(X))
        with pytest.raises(ValueError, match="Row 3 of X is a row of zeros"):
            model.score(X)


@pytest.mark.parametrize("lazy", [False, True])
def test_rows_without_direction_are_left_out(lazy):
    X = directions()
    bad = X.copy()
    bad[[0, 5, 77]] = 0
    bad[[9, 80], [1, 2]] = np.nan
    here = np.delete(np.arange(len(X)), [0, 5, 77, 9, 80])
    model = fitted(da.from_array(bad, chunks=(50, 5)) if lazy else bad, nan="skip", init=X[1:5])
    labels = as_numpy(model.labels_)
    assert (labels[[0, 5, 77, 9, 80]] == -1).all()
    alone = fitted(bad[here], init=X[1:5])
    assert model.cluster_centers_.tobytes() == alone.cluster_centers_.tobytes()
    np.testing.assert_array_equal(labels[here], alone.labels_)
    assert model.inertia_ == alone.inertia_
    assert model.score(bad) == -model.inertia_
    np.testing.assert_array_equal(model.predict(bad), labels)
    assert np.isnan(model.transform(bad)[[0, 9]]).all()


def test_what_is_not_finite_is_told_as_ever():
    X = directions()
    X[20, 3] = np.nan
    with pytest.raises(ValueError, match="NaN: the first is at row 20, column 3"):
        fitted(X)
    X[20, 3] = np.inf
    for nan in ("raise", "skip"):
        with pytest.raises(ValueError, match="infinity: the first inf is at row 20, column 3"):
            fitted(X, nan=nan)


def test_rows_that_cancel_out_leave_their_center_where_it_was():
    X = np.array([[1.0, 0, 0], [-2, 0, 0], [0, 0, 7], [0, 0, 1]])
    start = np.array([[0.0, 3, 0], [0, 1, 1]])
    model = fitted(X, 2, init=start)
    np.testing.assert_array_equal(model.cluster_centers_, [[0, 1, 0], [0, 0, 1]])
    assert model.labels_.tolist() == [0, 0, 1, 1]
    assert model.inertia_ == 2
    assert model.converged_


@pytest.mark.parametrize("init", INITS)
def test_opposite_rows_in_one_cluster(init):
    """Every unit vector is as near to them as any other."""
    X = np.concatenate([directions(50), -directions(50)])
    model = fitted(X, 1, init=init)
    assert model.inertia_ == pytest.approx(len(X))
    assert np.linalg.norm(model.cluster_centers_) == pytest.approx(1)
    assert sweep(X, [1], metric="cosine", init=init).explained_variance[0] == pytest.approx(0)


def test_starting_centers_may_have_any_length_but_none():
    X = directions()
    start = X[:4]
    lengths = np.array([[1e-3], [1.0], [2.0**40], [1e200]])
    assert fitted(X, init=start).n_iter_ > 1
    np.testing.assert_array_equal(fitted(X, init=start * lengths).labels_,
                                  fitted(X, init=start).labels_)  # fmt: skip
    start = start.copy()
    start[2] = 0
    with pytest.raises(ValueError, match="init has zeros throughout at cluster 2"):
        fitted(X, init=start)
    with pytest.raises(ValueError, match="init has zeros throughout at cluster 2"):
        fitted(X, init=lambda X, k, random_state: start)


def test_empty_clusters_are_moved():
    X = directions(3000)
    model = fitted(X, 9, init=np.concatenate([X[:4], -np.eye(5) * 1e3 - X.mean(axis=0)]))
    check(model, X)
    assert model.cluster_sizes_.min() > 0


# --------------------------------------------------------------------------- ways to the same fit


@pytest.mark.parametrize("budget", [0, 3000, 10**9])
def test_what_is_saved_changes_nothing(budget):
    """Margins, kept rows, lazy blocks: as Lloyd, who looks at every row."""
    X = directions(3000, 16, 12).astype(np.float32)
    lazy = da.from_array(X, chunks=(500, 16))
    lloyd = fitted(X, 12, init=X[:12], algorithm="lloyd")
    model = fitted(lazy, 12, init=X[:12], memory_budget=budget)
    assert model.cluster_centers_.tobytes() == lloyd.cluster_centers_.tobytes()
    assert model.inertia_ == lloyd.inertia_
    check(model, X)


def test_a_sample_is_of_directions_too():
    """Enough rows for a warm-up and leaps: fewer passes, and as good an end."""
    X = directions(40_000, 4, 7).astype(np.float32)
    lloyd, model = fitted(X, 12, algorithm="lloyd"), fitted(X, 12)
    assert model.n_passes_ < lloyd.n_passes_
    assert model.inertia_ < 1.05 * lloyd.inertia_
    check(model, X)


def test_interrupted_and_resumed(tmp_path):
    X = directions(2000)
    state = str(tmp_path / "state")

    def stop(record):
        if record.iteration == 3:
            raise KeyboardInterrupt

    start = {"init": X[:4], "checkpoint": state}
    with pytest.raises(KeyboardInterrupt):
        fitted(X, callbacks=[stop], **start)
    with pytest.raises(ValueError, match="metric"):
        fitted(X, metric="euclidean", **start)
    model = fitted(X, **start)
    assert model.cluster_centers_.tobytes() == fitted(X, init=X[:4]).cluster_centers_.tobytes()
    assert model.history_[-1].inertia == fitted(X, init=X[:4]).history_[-1].inertia


def test_a_sweep():
    X = directions()
    models = sweep(X, [1, 2, 4], metric="cosine", random_state=0)
    for model in models.values():
        check(model, X)
    assert models.explained_variance[0] == pytest.approx(0, abs=1e-12)
    assert (np.diff(models.explained_variance) > 0).all()


# ------------------------------------------------------------------------------------- the model


def test_nothing_is_lost_on_the_way(tmp_path):
    X = directions()
    model = fitted(X)
    model.save(str(tmp_path / "a.zarr"))
    load_model(str(tmp_path / "a.zarr")).save(str(tmp_path / "b.zarr"))
    for again in (load_model(str(tmp_path / "b.zarr")), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict(X), model.labels_)
        assert again.score(X) == -model.inertia_
        assert again.transform(X).tobytes() == model.transform(X).tobytes()
        assert again.metric == clone(again).metric == "cosine"
    assert clone(model).fit(X).cluster_centers_.tobytes() == model.cluster_centers_.tobytes()


def test_a_model_stays_what_it_was_fitted_as():
    X = directions()
    model = fitted(X)
    before = model.predict(X)
    model.set_params(metric="euclidean")
    np.testing.assert_array_equal(model.predict(X), before)
    model.fit(X)
    assert model.score(X) == -model.inertia_


def edit(path, change):
    stored = json.loads((path / "zarr.json").read_text())
    change(stored["attributes"])
    (path / "zarr.json").write_text(json.dumps(stored))


def test_models_of_before_there_was_a_choice(tmp_path):
    """Of whichever format, they are Euclidean."""
    X = directions()
    for version in (1, 2):
        path = tmp_path / f"{version}.zarr"
        plain = KMeans(3, random_state=0).fit(X)
        plain.save(str(path))
        edit(path, lambda attributes: attributes.pop("metric"))
        edit(path, lambda attributes, v=version: attributes.update(format_version=v))
        np.testing.assert_array_equal(load_model(str(path)).predict(X), plain.labels_)


@pytest.mark.parametrize("metric", ["dot", None, 1])
def test_models_by_a_metric_that_is_not_known(metric, tmp_path):
    path = tmp_path / "m.zarr"
    fitted(directions()).save(str(path))
    edit(path, lambda attributes: attributes.update(metric=metric))
    with pytest.raises(ValueError, match="metric is not a metric known here"):
        load_model(str(path))


def test_a_pipeline_of_scikit_learn():
    X = directions()
    model = fitted(pd.DataFrame(X, columns=list("abcde")))
    pipeline = model.to_sklearn()
    frame = pd.DataFrame(X, columns=list("abcde"))
    np.testing.assert_array_equal(pipeline.predict(frame), model.labels_)
    np.testing.assert_allclose(pipeline.transform(frame), np.sqrt(2 * model.transform(frame)),
                               atol=1e-7)  # fmt: skip
    assert -pipeline.score(frame) == pytest.approx(2 * model.inertia_)
    assert pipeline[-1].inertia_ == 2 * model.inertia_


def test_not_together_with_standardize():
    with pytest.raises(ValueError, match="standardize=True would move that"):
        fitted(directions(), standardize=True)


# ------------------------------------------------------------------------------------- the shell


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(list(map(str, arguments)))
    return end.value.code


def test_in_the_shell(tmp_path, capsys):
    X = directions()
    np.save(tmp_path / "x.npy", X)
    model, labels = tmp_path / "m.zarr", tmp_path / "labels.npy"
    fit = ("fit", tmp_path / "x.npy", "-k", 4, "--metric", "cosine", "--tol", 0, "--model", model)
    assert run(*fit, "--report", tmp_path / "fit.json") == 0
    assert "4 clusters, 600 rows of 5 features, by cosine" in capsys.readouterr().out
    expected = fitted(X)
    report = json.loads((tmp_path / "fit.json").read_text())
    assert (report["metric"], report["inertia"]) == ("cosine", expected.inertia_)
    told = tmp_path / "predict.json"
    assert run("predict", tmp_path / "x.npy", "--model", model, "--labels", labels,
               "--report", told) == 0  # fmt: skip
    np.testing.assert_array_equal(np.load(labels), expected.labels_)
    assert json.loads(told.read_text())["inertia"] == expected.inertia_


def test_what_the_shell_refuses(tmp_path, capsys):
    np.save(tmp_path / "x.npy", ROWS)
    fit = ("fit", tmp_path / "x.npy", "-k", 2, "--model", tmp_path / "m.zarr", "--metric")
    assert run(*fit, "cosine", "--standardize") == 2
    assert "leave out one of them" in capsys.readouterr().err
    assert run(*fit, "dot") == 2
    assert "dot is not euclidean or cosine. Type --metric cosine" in capsys.readouterr().err
    assert run(*fit, "cosine") == 1
    assert "Row 3 of X is a row of zeros" in capsys.readouterr().err
    assert run(*fit, "cosine", "--nan", "skip") == 0
