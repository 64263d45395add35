"""A job that is killed while it writes, and run again: the same output, and nothing beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from dying_job import JOB
from inputs import blobs

from dask_kmeans.write import load_fitted

pytestmark = pytest.mark.slow  # each test starts a job or two, and kills it


def run(moment, source, folder, *options, ending="zarr"):
    """The exit code of the job in `folder`, killed at that moment."""
    return subprocess.run(
        [sys.executable, "-c", JOB, moment, "fit", str(source), "-k", "6", "--tol", "0", "--quiet",
         "--random-state", "5", "--model", f"{folder}/m.zarr", "--labels", f"{folder}/l.{ending}",
         "--report", f"{folder}/r.json", *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "x.zarr"
    # Several blocks of more than MIN_BLOCK_BYTES each.
    zarr.create_array(path, data=blobs(140_000, 8, 6, seed=3), chunks=(20_000, 8))
    return path


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    """Folders of outputs, by ending of the labels."""
    made = {}

    def make(ending):
        if ending not in made:
            made[ending] = tmp_path_factory.mktemp(ending)
            assert run("", source, made[ending], ending=ending).returncode == 0
        return made[ending]

    return make


def content(path):
    """The bytes of a file, or of each file in a folder."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def same(folder, expected, ending):
    """Nothing but the outputs is in the folder, and they are those of the undisturbed job."""
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted([f"l.{ending}", "m.zarr", "r.json"])
    assert content(folder / f"l.{ending}") == content(expected / f"l.{ending}")
    one, other = load_fitted(folder / "m.zarr"), load_fitted(expected / "m.zarr")
    assert one.cluster_centers.tobytes() == other.cluster_centers.tobytes()
    assert one.cluster_sizes.tolist() == other.cluster_sizes.tolist()
    assert (one.inertia, one.n_iter, one.stop_reason) == (
        other.inertia, other.n_iter, other.stop_reason,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "ending"),
    [
        ("model, half written", "zarr"),
        ("model, written", "zarr"),
        ("model, moved", "zarr"),
        ("labels, half written", "zarr"),
        ("labels, half written", "parquet"),
        ("labels, half written", "csv"),
        ("labels, half written", "npy"),
        ("labels, written", "zarr"),
        ("labels, written", "parquet"),
        ("labels, written", "csv"),
        ("labels, moved", "parquet"),
        ("report, written", "zarr"),
        ("report, moved", "npy"),
    ],
)
def test_a_killed_job_that_may_overwrite_is_run_again(
    moment, ending, source, undisturbed, tmp_path
):
    killed = run(moment, source, tmp_path, "--overwrite", ending=ending)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = run("", source, tmp_path, "--overwrite", ending=ending)
    assert again.returncode == 0, again.stderr
    same(tmp_path, undisturbed(ending), ending)


@pytest.mark.parametrize(
    ("moment", "ending"),
    [
        ("model, written", "zarr"),
        ("model, half moved", "zarr"),
        ("labels, half written", "parquet"),
        ("labels, half moved", "parquet"),
    ],
)
def test_killed_while_it_replaces_what_is_there(moment, ending, source, undisturbed, tmp_path):
    """Between the two renames of a folder, too."""
    assert run("", source, tmp_path, ending=ending).returncode == 0
    killed = run(moment, source, tmp_path, "--overwrite", ending=ending)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = run("", source, tmp_path, "--overwrite", ending=ending)
    assert again.returncode == 0, again.stderr
    same(tmp_path, undisturbed(ending), ending)


@pytest.mark.parametrize(
    ("moment", "ending"),
    [
        ("model, moved", "zarr"),
        ("labels, half written", "zarr"),
        ("labels, moved", "zarr"),
        ("state, half written", "zarr"),
        ("state, about to go", "zarr"),
    ],
)
def test_a_killed_job_goes_on_and_replaces_what_it_wrote(
    moment, ending, source, undisturbed, tmp_path
):
    state = ("--checkpoint", f"{tmp_path}/state", "--resume")
    killed = run(moment, source, tmp_path, *state, ending=ending)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "state").exists()
    again = run("", source, tmp_path, *state, ending=ending)
    assert again.returncode == 0, again.stderr
    same(tmp_path, undisturbed(ending), ending)


def test_outputs_of_others_are_not_replaced_by_a_job_that_has_not_begun(source, tmp_path):
    """--resume replaces what its own run wrote: without a state there is none."""
    (tmp_path / "l.csv").write_text("mine")
    refused = run("", source, tmp_path, "--checkpoint", f"{tmp_path}/state", "--resume",
                  ending="csv")  # fmt: skip
    assert refused.returncode == 1
    assert b"exists already and is left as it is" in refused.stderr
    assert (tmp_path / "l.csv").read_text() == "mine"


def test_what_a_killed_upload_left_in_the_temporary_folder_is_removed(tmp_path, monkeypatch):
    import socket
    import tempfile

    from dask_kmeans.write import write_labels

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    prefix = f"dask-kmeans-{socket.gethostname()}-"
    for name in (f"{prefix}{2**22 + 1}.abc", f"{prefix}1.abc", f"{prefix}x", "other"):
        Path(tmp_path, name).mkdir()
    write_labels(np.zeros(5, np.int32), "memory://crash/l.npy")
    assert sorted(os.listdir(tmp_path)) == sorted([f"{prefix}1.abc", f"{prefix}x", "other"])
