"""Centers for other programs: what any reader finds, whole or not at all."""

from __future__ import annotations

import json

import fsspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from inputs import blobs
from sklearn.metrics import pairwise_distances_argmin

from dask_kmeans import KMeans, __version__, cli
from dask_kmeans.checks import for_shell

X = blobs(300, 3, 4, seed=2)
NAMES = ["a", "b, c", "µ"]


def fitted(**parameters):
    return KMeans(4, random_state=0, **parameters).fit(pd.DataFrame(X, columns=NAMES))


@pytest.fixture(params=["local", "remote"])
def folder(request, tmp_path):
    if request.param == "local":
        yield str(tmp_path)
    else:
        yield f"memory://{tmp_path.name}"
        fsspec.filesystem("memory").store.clear()


def test_an_array(folder):
    model = fitted()
    model.export(f"{folder}/c.npy")
    with fsspec.open(f"{folder}/c.npy") as file:
        found = np.load(file, allow_pickle=False)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, model.cluster_centers_)
    np.testing.assert_array_equal(pairwise_distances_argmin(X, found), model.labels_)


def test_a_table(folder):
    model = fitted(standardize=True)
    model.export(f"{folder}/c.parquet")
    with fsspec.open(f"{folder}/c.parquet") as file:
        found = pq.read_table(file)
    assert found.schema.names == ["cluster", "size", "vector"]
    assert found.schema.types == [pa.int32(), pa.int64(), pa.list_(pa.float64(), 3)]
    assert found["cluster"].to_pylist() == [0, 1, 2, 3]
    assert found["size"].to_pylist() == np.bincount(model.labels_).tolist()
    np.testing.assert_array_equal(found["vector"].to_pylist(), model.cluster_centers_)
    described = json.loads(found.schema.metadata[b"dask_kmeans"])
    assert described["feature_names"] == NAMES
    np.testing.assert_allclose(described["standardization"]["mean"], X.mean(axis=0))


def test_a_table_as_other_libraries_read_it(tmp_path):
    model = fitted()
    model.export(tmp_path / "c.parquet")
    for vectors in (
        pd.read_parquet(tmp_path / "c.parquet")["vector"],
        pl.read_parquet(tmp_path / "c.parquet")["vector"],
    ):
        np.testing.assert_array_equal(np.stack(vectors.to_numpy()), model.cluster_centers_)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [({}, True), ({"standardize": True}, True), ({"metric": "cosine"}, False)],
)
def test_json_has_all_that_a_nearest_center_takes(folder, parameters, named):
    rows = pd.DataFrame(X, columns=NAMES) if named else X
    model = KMeans(4, random_state=0, **parameters).fit(rows)
    model.export(f"{folder}/c.json")
    with fsspec.open(f"{folder}/c.json", "r") as file:
        found = json.load(file)
    assert list(found) == [
        "kind", "format_version", "version", "metric", "feature_names", "standardization",
        "cluster_sizes", "cluster_centers",
    ]  # fmt: skip
    assert (found["kind"], found["format_version"]) == ("dask_kmeans centers", 1)
    assert found["version"] == __version__
    assert found["feature_names"] == (NAMES if named else None)
    assert found["cluster_sizes"] == np.bincount(model.labels_).tolist()
    centers = np.array(found["cluster_centers"])
    np.testing.assert_array_equal(centers, model.cluster_centers_)
    compared = X
    if found["standardization"] is not None:
        mean, scale = (np.array(found["standardization"][key]) for key in ("mean", "scale"))
        compared, centers = (X - mean) / scale, (centers - mean) / scale
    if found["metric"] == "cosine":
        compared = X / np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_array_equal(pairwise_distances_argmin(compared, centers), model.labels_)


@pytest.mark.parametrize("ending", ["npy", "parquet", "json"])
def test_what_exists_is_replaced_only_when_asked(folder, ending):
    url = f"{folder}/c.{ending}"
    fitted().export(url)
    with fsspec.open(url, "rb") as file:
        before = file.read()
    other = KMeans(2, random_state=0).fit(X)
    with pytest.raises(FileExistsError, match="exists already"):
        other.export(url)
    with fsspec.open(url, "rb") as file:
        assert file.read() == before
    other.export(url, overwrite=True)
    with fsspec.open(url, "rb") as file:
        assert file.read() != before


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"centers go to a name that ends in \.npy, \.parquet, \."):
        fitted().export(tmp_path / "c.csv")
    assert list(tmp_path.iterdir()) == []


def test_what_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(np, "save", lambda file, values: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fitted().export(tmp_path / "c.npy")
    assert list(tmp_path.iterdir()) == []


def shell(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(list(map(str, arguments)))
    return end.value.code


@pytest.mark.parametrize("ending", ["npy", "parquet", "json"])
def test_from_the_shell(tmp_path, ending, capsys):
    model, one, two = tmp_path / "m.zarr", tmp_path / f"1.{ending}", tmp_path / f"2.{ending}"
    estimator = fitted()
    estimator.save(model)
    estimator.export(one)
    assert shell("export", model, two) == 0
    assert one.read_bytes() == two.read_bytes()
    assert shell("export", model, two) == 1
    assert "exists already" in capsys.readouterr().err
    assert shell("export", model, two, "--overwrite") == 0


def test_wrong_usage(tmp_path, capsys):
    assert shell("export", tmp_path / "m.zarr", "c.csv") == 2
    assert "'c.csv' must end in .npy, .parquet, .json" in capsys.readouterr().err
    assert shell("export", tmp_path / "m.zarr", tmp_path / "c.npy") == 1
    assert "m.zarr" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="ends in") as error:
        fitted().export("c")
    assert "Cannot tell in which format" in for_shell(error.value)
