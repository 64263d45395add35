"""A model finds its features again: by name in tables, by position in arrays."""

from __future__ import annotations

import pickle
import re

import naive
import numpy as np
import pandas as pd
import pytest
import zarr
from inputs import as_numpy
from sklearn.base import clone

from dask_kmeans import KMeans, load_model
from dask_kmeans.cli import main
from dask_kmeans.read import open_source

N = 300
RNG = np.random.default_rng(0)
X = np.c_[RNG.normal(size=N), np.repeat([0.0, 50.0, 100.0], 100) + RNG.normal(size=N),
          RNG.normal(size=N) * 9]  # fmt: skip


def save(kind, values, path):
    if kind == "npy":
        np.save(path, values)
    else:
        zarr.create_array(path, data=values, chunks=(100, 2))
    return path


@pytest.mark.parametrize("kind", ["npy", "zarr"])
@pytest.mark.parametrize("positions", [(1, 0), (2, 1, 0), (1,), (0, 2)])
def test_positions_are_remembered(tmp_path, kind, positions):
    path = save(kind, X, tmp_path / f"x.{kind}")
    model = KMeans(3, random_state=0).fit(open_source(path, columns=positions))
    expected = naive.nearest(X[:, positions], model.cluster_centers_)
    model.save(tmp_path / "m.zarr")
    for each in (model, load_model(tmp_path / "m.zarr"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(as_numpy(each.predict(path)), expected)
        np.testing.assert_array_equal(as_numpy(each.predict(str(path))), expected)
        assert each.score(path) == pytest.approx(-model.inertia_, rel=0, abs=0)
        # What lies in memory is taken as it is given.
        np.testing.assert_array_equal(each.predict(X[:, positions]), expected)


@pytest.mark.parametrize("kind", ["npy", "zarr"])
def test_a_column_of_weights_is_no_feature_later_on(tmp_path, kind):
    path = save(kind, np.abs(X), tmp_path / f"x.{kind}")
    model = KMeans(3, random_state=0).fit(open_source(path, weight_column=1))
    expected = naive.nearest(np.abs(X)[:, [0, 2]], model.cluster_centers_)
    np.testing.assert_array_equal(as_numpy(model.predict(path)), expected)


def test_a_fit_of_all_columns_remembers_none(tmp_path):
    path = save("npy", X, tmp_path / "x.npy")
    model = KMeans(3, random_state=0).fit(open_source(path, columns=[1, 0]))
    model.fit(path)
    np.testing.assert_array_equal(as_numpy(model.predict(path)), as_numpy(model.labels_))
    assert not hasattr(clone(model), "cluster_centers_")


@pytest.mark.parametrize("kind", ["npy", "zarr"])
@pytest.mark.parametrize("choice", ["1,0", "2,1", "1"])
def test_the_command_line_remembers_them(tmp_path, capsys, monkeypatch, kind, choice):
    monkeypatch.chdir(tmp_path)
    save(kind, X, tmp_path / f"x.{kind}")

    def run(*arguments):
        with pytest.raises(SystemExit) as done:
            main([*arguments, "--quiet"])
        assert done.value.code == 0, capsys.readouterr().err

    run(
        "fit", f"x.{kind}", "-k", "3", "--columns", choice, "--model", "m.zarr", "--labels", "f.npy"
    )
    run("predict", f"x.{kind}", "--model", "m.zarr", "--labels", "p.npy")
    np.testing.assert_array_equal(np.load("p.npy"), np.load("f.npy"))
    labels = as_numpy(load_model("m.zarr").predict(f"x.{kind}"))
    np.testing.assert_array_equal(labels, np.load("f.npy"))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_names_are_found_whatever_else_a_table_holds(tmp_path, suffix):
    def write(frame, name):
        path = tmp_path / f"{name}.{suffix}"
        frame.to_parquet(path) if suffix == "parquet" else frame.to_csv(path, index=False)
        return path

    frame = pd.DataFrame(X[:, :2], columns=["a", "b"])
    model = KMeans(3, random_state=0).fit(write(frame, "fit"))
    other = pd.DataFrame({"more": X[:, 2], "b": X[:, 1], "text": "x", "a": X[:, 0]})
    found = as_numpy(model.predict(write(other, "other")))
    np.testing.assert_array_equal(found, as_numpy(model.labels_))
    with pytest.raises(ValueError, match="no column 'a'; it has"):
        model.predict(write(other.drop(columns="a"), "less"))


def test_models_from_before_columns_were_kept(tmp_path):
    path = save("npy", X, tmp_path / "x.npy")
    model = KMeans(3, random_state=0).fit(path)
    model.save(tmp_path / "m.zarr")
    group = zarr.open_group(tmp_path / "m.zarr")
    attributes = dict(group.attrs)
    assert attributes.pop("columns") is None
    group.attrs.clear()
    group.attrs.update(attributes)
    labels = as_numpy(load_model(tmp_path / "m.zarr").predict(path))
    np.testing.assert_array_equal(labels, as_numpy(model.labels_))


@pytest.mark.parametrize("wrong", [[0], [0, -1], "01", [0, 1.5], [True, False]])
def test_stored_positions_that_are_none(tmp_path, wrong):
    path = save("npy", X, tmp_path / "x.npy")
    KMeans(3, random_state=0).fit(open_source(path, columns=[0, 1])).save(tmp_path / "m.zarr")
    group = zarr.open_group(tmp_path / "m.zarr")
    group.attrs["columns"] = wrong
    with pytest.raises(ValueError, match=re.compile("not a valid model.*columns", re.DOTALL)):
        load_model(tmp_path / "m.zarr")
