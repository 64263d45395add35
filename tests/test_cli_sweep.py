"""`dask-kmeans sweep`: what it prints, writes, refuses and exits with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageChops

from dask_kmeans import load_model, sweep
from dask_kmeans.plot.files import write_picture
from dask_kmeans.write import models as writing


@pytest.fixture
def folder(tmp_path, monkeypatch, xclara):
    """A folder with a table, as the current one."""
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(xclara, columns=["V1", "V2"]).assign(w=1 + np.arange(3000) % 3)
    frame.to_parquet("x.parquet")
    return tmp_path


def test_table_report_and_models_are_those_of_python(run, folder):
    code, out, err = run(
        "sweep", "x.parquet", "--min-clusters", 2, "--max-clusters", 5, "--standardize",
        "--sample-weight", "w", "--models", "models", "--report", "r.json",
    )  # fmt: skip
    assert code == 0, err
    frame = pd.read_parquet("x.parquet")
    expected = sweep(
        frame[["V1", "V2"]], range(2, 6), sample_weight=frame["w"], standardize=True, random_state=0
    )
    first, header, *rows, last = out.splitlines()
    assert first.startswith("2 to 5 clusters, 3000 rows of 2 features, ")
    assert header.split() == ["n_clusters", *expected.table.columns]
    assert [int(row.split()[0]) for row in rows] == [2, 3, 4, 5]
    assert last.startswith("elbow: 3 (strength ")

    report = json.loads((folder / "r.json").read_text())
    assert (report["command"], report["models"]) == ("sweep", "models")
    assert report["n_passes"] >= 3
    told = pd.DataFrame(report["table"]).set_index("n_clusters")
    assert told.pop("stop_reason").str.startswith("converged").all()
    pd.testing.assert_frame_equal(told, expected.table, check_exact=True)
    assert (report["elbow"], report["elbow_strength"]) == (3, expected.elbow_strength_)
    assert report["parameters"]["n_clusters"] == [2, 3, 4, 5]
    for entry in report["transitions"]:
        pair = entry["n_clusters"], entry["next_n_clusters"]
        assert entry["counts"] == expected.transitions[pair].tolist()
    gram = pd.DataFrame(report["clustergram"]).set_index(["n_clusters", "cluster"])
    pd.testing.assert_frame_equal(gram, expected.clustergram, check_exact=True)

    for k, model in expected.items():
        saved = load_model(str(folder / "models" / f"{k}.zarr"))
        assert saved.cluster_centers_.tobytes() == model.cluster_centers_.tobytes()
        assert saved.n_clusters == k
    assert run("predict", "x.parquet", "--model", "models/4.zarr", "--labels", "l.npy")[0] == 0


def test_one_cluster_has_no_indices(run, folder):
    code, out, _ = run("sweep", "x.parquet", "--max-clusters", 1, "--report", "-")
    (row,) = json.loads(out)["table"]
    assert code == 0
    assert row["silhouette"] is row["davies_bouldin"] is row["calinski_harabasz"] is None


def test_data_without_clusters_has_no_elbow(run, folder):
    np.save("u.npy", np.random.default_rng(0).random((300, 2)))
    code, out, err = run("sweep", "u.npy", "--max-clusters", 6, "--quiet")
    assert (code, out) == (0, "")
    assert err.startswith("dask-kmeans: warning: The inertia of 1 to 6 clusters has no elbow")
    assert "elbow: none (strength " in run("sweep", "u.npy", "--max-clusters", 6)[1]


@pytest.mark.parametrize(
    ("option", "place"), [("--models", "out"), ("--report", "out"), ("--plot", "out.png")]
)
def test_outputs_that_exist_are_found_before_anything_is_read(run, folder, option, place):
    (folder / place).mkdir()
    (folder / place / "precious").write_text("")
    command = ("sweep", "gone.npy", "--max-clusters", 3, option, place)
    code, out, err = run(*command)
    assert (code, out) == (1, "")
    assert f"{place} exists already" in err
    assert "--overwrite" in err
    code, _, err = run(*command, "--overwrite")
    assert code == 1
    assert "a folder that dask_kmeans did not write" in err
    assert (folder / place / "precious").exists()


@pytest.mark.parametrize(
    ("name", "start"), [("e.png", b"\x89PNG"), ("e.SVG", b"<?xml"), ("e.pdf", b"%PDF")]
)
def test_the_elbow_is_drawn(run, folder, name, start):
    command = ("sweep", "x.parquet", "--max-clusters", 4, "--quiet", "--plot", name)
    code, out, err = run(*command, "--report", "r.json")
    assert (code, out, err) == (0, "", "")
    assert (folder / name).read_bytes().startswith(start)
    assert json.loads((folder / "r.json").read_text())["plot"] == name
    assert "exists already" in run(*command)[2]
    (folder / name).write_text("old")
    assert run(*command, "--overwrite")[0] == 0
    assert (folder / name).read_bytes().startswith(start)
    assert sorted(path.name for path in folder.iterdir()) == [name, "r.json", "x.parquet"]


def test_the_drawn_elbow_is_that_of_python(run, folder, xclara):
    run("sweep", "x.parquet", "--columns", "V1,V2", "--max-clusters", 4, "--plot", "shell.png")
    ax = Figure(figsize=(6.4, 4), layout="constrained").add_subplot()
    sweep(xclara, range(1, 5), random_state=0).plot(ax=ax).figure.savefig("python.png", dpi=150)
    shell, python = (Image.open(f"{name}.png").convert("RGB") for name in ("shell", "python"))
    assert ImageChops.difference(shell, python).getbbox() is None
    assert len(shell.getcolors(1 << 20)) > 10


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_picture_is_the_same_bytes(folder, ending):
    def draw(ax):
        ax.plot([1, 2], [1, 2])

    for name in "ab":
        write_picture(draw, f"{name}.{ending}", overwrite=False)
    assert (folder / f"a.{ending}").read_bytes() == (folder / f"b.{ending}").read_bytes()


def test_a_picture_is_written_whole_or_not_at_all(run, folder, monkeypatch):
    def fails(self, path, **options):
        Path(path).write_bytes(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(Figure, "savefig", fails)
    code, _, err = run("sweep", "x.parquet", "--max-clusters", 2, "--plot", "e.png", "--quiet")
    assert code == 1
    assert "the disk is full" in err
    assert [path.name for path in folder.iterdir()] == ["x.parquet"]


def test_a_missing_matplotlib_is_named_before_anything_is_read(run, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    code, _, err = run("sweep", "gone.npy", "--max-clusters", 2, "--plot", "e.png")
    assert code == 1
    assert "pip install 'dask-kmeans[plot]'" in err


def test_overwriting_leaves_nothing_of_the_old_models(run, folder):
    command = ("sweep", "x.parquet", "--models", "m", "--report", "r.json", "--quiet")
    assert run(*command, "--max-clusters", 3)[0] == 0
    assert run(*command, "--min-clusters", 2, "--max-clusters", 2, "--overwrite")[0] == 0
    assert sorted(path.name for path in (folder / "m").iterdir()) == ["2.zarr", "_SUCCESS"]
    assert sorted(path.name for path in folder.iterdir()) == ["m", "r.json", "x.parquet"]


def test_models_are_written_whole_or_not_at_all(run, folder, monkeypatch):
    def fails(model, url):
        if url.endswith("2.zarr"):
            raise OSError("the disk is full")
        save(model, url)

    save = writing.save_model
    monkeypatch.setattr(writing, "save_model", fails)
    code, out, err = run("sweep", "x.parquet", "--max-clusters", 3, "--models", "m",
                         "--report", "r.json", "--quiet")  # fmt: skip
    assert (code, out) == (1, "")
    assert "the disk is full" in err
    assert [path.name for path in folder.iterdir()] == ["x.parquet"]


def test_fits_that_do_not_settle(run, folder):
    command = ("sweep", "x.parquet", "--max-clusters", 7, "--max-iter", 2, "--tol", 0, "--quiet")
    code, _, err = run(*command, "--models", "m", "--report", "r.json", "--require-convergence")
    assert code == 3
    assert "no models were written: with " in err
    assert "--max-iter" in err
    assert not (folder / "m").exists()
    assert json.loads((folder / "r.json").read_text())["models"] is None
    code, _, err = run(*command, "--models", "m")
    assert code == 0
    assert "warning: with " in err
    assert (folder / "m" / "7.zarr").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--min-clusters", 4, "--max-clusters", 3], "--min-clusters 4 is more than"),
        (["--min-clusters", 0, "--max-clusters", 3], "--min-clusters"),
        ([], "--max-clusters"),
        (["--max-clusters", 3, "--models", "x.parquet"], "the same place"),
        (["--max-clusters", 3, "--plot", "e.txt"], "'e.txt' must end in .png, .svg, .pdf"),
        (["--max-clusters", 3, "--plot", "e.svg", "--report", "e.svg"], "the same place"),
        (["--max-clusters", 3, "--metric", "cosine", "--standardize"], "leave out one"),
        (["--max-clusters", 3, "--checkpoint", "c"], "No such option"),
        (["--max-clusters", 3, "--labels", "l.npy"], "No such option"),
    ],
)
def test_wrong_usage(run, folder, options, said):
    code, out, err = run("sweep", "x.parquet", *options)
    assert (code, out) == (2, "")
    assert said in err


def test_options_from_a_file(run, folder):
    (folder / "job.toml").write_text('[sweep]\nsource = "x.parquet"\nmax-clusters = 3\n')
    code, out, _ = run("sweep", "--config", "job.toml", "--min-clusters", 3, "--columns", "V1")
    assert code == 0
    assert out.startswith("3 to 3 clusters, 3000 rows of 1 features")
    assert "max-clusters = 3" in run("sweep", "--config", "job.toml", "--show-config")[1]
