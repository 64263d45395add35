"""Many files as one array: shards of `.npy`, paths in a list; and HDF5 files."""

from __future__ import annotations

import builtins
import itertools
import pickle
import re
from pathlib import Path

import fsspec
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from inputs import as_numpy
from reading import check

from dask_kmeans import KMeans, checks, memory
from dask_kmeans.checks import ReadError
from dask_kmeans.cli import main
from dask_kmeans.read import as_points, open_source

ROOT = Path(__file__).parent.parent
X = np.random.default_rng(0).normal(size=(1000, 4))
EDGES = [0, 1, 300, 301, 1000]


def said(*parts):
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


def npy(path, rows):
    path.parent.mkdir(exist_ok=True)
    np.save(path, rows)
    return path


@pytest.fixture
def shards(tmp_path):
    """Shards 1 to 11, of which 3 is empty; names are in natural order only."""
    edges = np.linspace(0, 1000, 11).astype(int).tolist()
    edges.insert(3, edges[2])
    for number, (first, last) in enumerate(itertools.pairwise(edges), start=1):
        npy(tmp_path / "x" / f"emb_{number}.npy", X[first:last])
    return tmp_path / "x"


def test_shards_in_natural_order(shards):
    for place in (shards, f"{shards}/emb_*.npy"):
        check(as_points(place), X)
    check(as_points(open_source(shards, columns=[3, 0], weight_column=1)), X[:, [3, 0]], X[:, 1])
    check(as_points(f"{shards}/emb_1?.npy"), X[800:])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("most", [None, 1, 130])
def test_blocks_cover_every_row(shards, threads, most, monkeypatch):
    monkeypatch.setattr("dask_kmeans.planning.PIECE_BYTES", 4 * 8 * 77)
    monkeypatch.setattr("dask_kmeans.planning.MIN_BLOCK_BYTES", 1000)
    blocks = open_source(shards).blocks(threads, most)
    found = [np.concatenate([v for v, _ in b.source.pieces()]) for b in blocks]
    assert [len(rows) for rows in found] == [block.rows for block in blocks]
    np.testing.assert_array_equal(np.concatenate(found), X)
    assert max(len(pickle.dumps(block.source)) for block in blocks) < 10_000


def test_shards_of_several_dtypes(tmp_path):
    whole = X.round()
    for number, dtype in enumerate(("f2", "i4", "f4", ">f4")):
        npy(tmp_path / f"{number}.npy", whole[EDGES[number] : EDGES[number + 1]].astype(dtype))
    points = as_points(tmp_path)
    assert points.dtype == np.float64
    values = [v for b in points.blocks for v, _ in b.source.pieces()]
    assert [v.dtype for v in values] == ["f2", "i4", "f4", "f4"]
    np.testing.assert_array_equal(np.concatenate(values), whole)


def test_shards_that_do_not_fit_together(shards):
    npy(shards / "emb_12.npy", X[:, :3])
    with pytest.raises(ValueError, match=said("emb_1.npy", "(100, 4)", "emb_12.npy", "(1000, 3)")):
        as_points(shards)
    npy(shards / "emb_12.npy", X[0])
    with pytest.raises(ValueError, match=said("Expected 2D array", "emb_12.npy")):
        as_points(shards)
    npy(shards / "emb_12.npy", np.array([["a", "b", "c", "d"]]))
    with pytest.raises(TypeError, match=said("emb_12.npy", "dtype <U1")):
        as_points(shards)


def test_a_shard_that_is_cut_short(shards, monkeypatch):
    monkeypatch.setattr("dask_kmeans.read.retry.PAUSES", ())
    path = shards / "emb_5.npy"
    path.write_bytes(path.read_bytes()[:-100])
    (block,) = open_source(shards).blocks(1)
    with pytest.raises(ReadError, match=said("(rows 300 to 399)", "emb_5.npy", "100 bytes too")):
        list(block.source.pieces())


def test_bfloat16_as_readme_has_it():
    code = re.search(r"Type\n`(.*)` first", (ROOT / "README.md").read_text())[1]
    x = (X.astype("f4").view("u4") >> 16).astype("u2")
    np.testing.assert_allclose(eval(code, {"x": x}), X, rtol=2**-7)


# Paths in a list


def write(kind, rows, path):
    frame = pd.DataFrame(rows, columns=list("abcd"))
    if kind == "npy":
        np.save(path, rows)
    elif kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["npy", "csv", "parquet"])
def test_paths_follow_each_other_as_they_are_listed(tmp_path, kind):
    paths = [
        write(kind, X[first:last], tmp_path / f"{9 - n}.{kind}")
        for n, (first, last) in enumerate(itertools.pairwise(EDGES))
    ]
    check(as_points(paths), X)
    check(as_points(tuple(map(str, paths))), X)
    model = KMeans(3, random_state=0).fit(paths)
    labels = as_numpy(model.labels_)
    np.testing.assert_array_equal(as_numpy(model.predict(paths)), labels)
    np.testing.assert_array_equal(as_numpy(model.predict(paths[2:])), labels[EDGES[2] :])
    chosen = "bd" if kind != "npy" else (1, 3)
    source = open_source(paths, columns=list(chosen))
    model = KMeans(3, random_state=0).fit(source)
    np.testing.assert_array_equal(as_numpy(model.predict(paths)), as_numpy(model.labels_))


def test_folders_and_globs_in_a_list(tmp_path):
    for number in range(4):
        npy(tmp_path / f"f{number}" / "x.npy", X[EDGES[number] : EDGES[number + 1]])
    places = [tmp_path / "f0", str(tmp_path / "f[12]"), tmp_path / "f3" / "x.npy"]
    check(as_points(places), X)
    check(as_points([tmp_path / "f3"]), X[EDGES[3] :])


def test_paths_of_several_kinds(tmp_path):
    paths = [write(kind, X, tmp_path / f"x.{kind}") for kind in ("npy", "csv", "csv")]
    with pytest.raises(ValueError, match=said("x.npy and 2 more", "2 of CSV", "1 of NumPy")):
        as_points(paths)
    with fsspec.open("memory://shards/x.npy", "wb") as file:
        np.save(file, X)
    with pytest.raises(ValueError, match=said("1 of NumPy files and 1 of remote NumPy files")):
        as_points([paths[0], "memory://shards/x.npy"])
    zarr.create_array(tmp_path / "x.zarr", data=X)
    with pytest.raises((ValueError, FileNotFoundError), match=said("x.zarr")):
        as_points([tmp_path / "x.zarr", tmp_path / "x.npy"])


# HDF5


@pytest.fixture
def hdf5(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("plain", data=X)
        file.create_dataset("in/chunks", data=X.astype("f2"), chunks=(70, 3), compression="lzf")
        file.create_dataset("line", data=X[:, 0])
        file.create_dataset("bool", data=X > 0)
    return tmp_path / "x.h5"


@pytest.mark.parametrize("name", ["plain", "in/chunks", "/in/chunks", "in", "bool"])
def test_a_dataset_of_a_file(hdf5, name):
    whole = {"plain": X, "bool": (X > 0).astype("u1")}.get(name, X.astype("f2"))
    url = f"{hdf5}::{name}"
    check(as_points(url), whole)
    source = open_source(url, columns=["2", 0], weight_column=1)
    check(as_points(source), whole[:, [2, 0]], whole[:, 1])
    with h5py.File(hdf5) as file:
        check(as_points(file[name]), whole)


def test_the_only_dataset(tmp_path):
    with h5py.File(tmp_path / "one.hdf5", "w") as file:
        file.create_dataset("a/b", data=X)
    check(as_points(tmp_path / "one.hdf5"), X)
    model = KMeans(3, random_state=0).fit(str(tmp_path / "one.hdf5"))
    np.testing.assert_array_equal(
        as_numpy(model.predict(f"{tmp_path}/one.hdf5::a/b")), as_numpy(model.labels_)
    )


def test_blocks_open_the_file_for_themselves(hdf5):
    with h5py.File(hdf5) as file:
        blocks = as_points(file["plain"]).blocks
    sources = [pickle.loads(pickle.dumps(block.source)) for block in blocks]
    values = [v for source in sources for v, _ in source.pieces()]
    np.testing.assert_array_equal(np.concatenate(values), X)


def test_a_file_far_away(hdf5):
    fsspec.filesystem("memory").pipe_file("/far/x.h5", hdf5.read_bytes())
    check(as_points("memory://far/x.h5::plain"), X)


def test_datasets_that_are_not_meant(hdf5, tmp_path):
    for url in (hdf5, f"{hdf5}::other"):
        with pytest.raises(ValueError, match=said("x.h5", "in/chunks (1000, 4)", "line (1000,)")):
            as_points(url)
    with pytest.raises(ValueError, match=said("Expected 2D array", "x.h5::line")):
        as_points(f"{hdf5}::line")
    with pytest.raises(FileNotFoundError, match="Nothing exists"):
        as_points(tmp_path / "y.h5")
    h5py.File(tmp_path / "empty.h5", "w").close()
    with pytest.raises(ValueError, match="without any dataset"):
        as_points(tmp_path / "empty.h5")


def test_a_file_that_is_open_for_writing(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        made = file.create_dataset("x", data=X)
        with pytest.raises(ValueError, match=said("open for writing")) as caught:
            as_points(made)
    again = re.search(r"type (h5py\.File\(.*\))", str(caught.value))[1]
    check(as_points(eval(again, {"h5py": h5py})["x"]), X)


def test_hdf5_without_h5py(hdf5, monkeypatch):
    there = builtins.__import__

    def without(name, *arguments):
        if name == "h5py":
            raise ImportError("No module named 'h5py'")
        return there(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=said("x.h5", "Type pip install 'dask-kmeans[hdf5]'")):
        as_points(hdf5)


@pytest.mark.parametrize("chunks", [None, (5_000, 8)])
def test_hdf5_is_read_in_parts(tmp_path, chunks):
    from test_memory import peak_of

    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (160_000, 32), "f8", chunks=chunks, fillvalue=1.0)
    source = open_source(tmp_path / "x.h5").blocks(threads=1)[0].source
    assert peak_of(source) <= memory.reading_bytes(source.read_rows * 32 * 8)


def test_the_command_line(hdf5, shards, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as done:
            main([*arguments, "--quiet"])
        assert done.value.code == 0, capsys.readouterr().err

    run("fit", "x.h5::plain", "-k", "3", "--model", "m.zarr", "--labels", "h.npy")
    run("predict", "x", "--model", "m.zarr", "--labels", "s.npy")
    np.testing.assert_array_equal(np.load("s.npy"), np.load("h.npy"))
    assert checks.shown_url("x.h5::plain") == "x.h5::plain"
