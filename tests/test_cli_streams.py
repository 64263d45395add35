"""Nothing that is printed can fail a job: readers that go, closed streams, narrow encodings."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from dask_kmeans.cli import streams
from dask_kmeans.write import load_fitted

COMMAND = f"{sys.executable} -m dask_kmeans"


@pytest.fixture
def shell(tmp_path):
    """Run a line of `sh` in a folder with data; `dask-kmeans` is this interpreter's."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(100, 2)))
    names = ["größe", "b, [c]", "名"]
    pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=names).to_parquet(tmp_path / "t.parquet")

    def run(line, **environment):
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", line.replace("dask-kmeans", COMMAND)],
            cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True,
            encoding="utf-8", errors="replace", timeout=300,
        )  # fmt: skip

    return run


ELSEWHERE = ["| true", "2>&-", "<&- >&- 2>&-", "> /dev/full 2> /dev/full"]


@pytest.mark.slow
@pytest.mark.parametrize("where", ELSEWHERE)
def test_the_job_is_done_wherever_its_words_go(shell, tmp_path, where):
    ran = shell(f"dask-kmeans fit x.npy -k 2 --model m.zarr --labels l.csv --report r.json {where}")
    assert ran.returncode == 0, ran.stderr
    assert load_fitted(tmp_path / "m.zarr").cluster_sizes.sum() == 100
    assert len((tmp_path / "l.csv").read_text().splitlines()) == 101
    assert json.loads((tmp_path / "r.json").read_text())["n_rows"] == 100
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("what", ["--help", "inspect m.zarr --json"])
def test_a_reader_that_has_gone_is_no_failure(shell, what):
    assert shell("dask-kmeans fit x.npy -k 2 --model m.zarr --quiet").returncode == 0
    ran = shell(f"dask-kmeans {what} | true")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("where", [">&- 2>&-", "> /dev/full 2>&1"])
def test_exit_codes_are_those_of_the_job(shell, where):
    assert shell(f"dask-kmeans fit gone.npy -k 2 --model m.zarr {where}").returncode == 1
    assert shell(f"dask-kmeans fit x.npy -k 0 --model m.zarr {where}").returncode == 2
    line = "dask-kmeans fit x.npy -k 9 --max-iter 1 --tol 0 --require-convergence --model m.zarr"
    assert shell(f"{line} {where}").returncode == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "latin-1"},
     {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)  # fmt: skip
def test_letters_that_the_encoding_lacks(shell, tmp_path, environment):
    ran = shell("dask-kmeans fit t.parquet -k 2 --model m.zarr", **environment)
    assert ran.returncode == 0, ran.stderr
    assert "b, [c]" in ran.stdout
    assert shell("dask-kmeans inspect m.zarr", **environment).returncode == 0
    ran = shell("dask-kmeans fit t.parquet -k 2 --model n.zarr --column 寸", **environment)
    assert ran.returncode == 1
    assert "has no column" in ran.stderr
    assert load_fitted(tmp_path / "m.zarr").feature_names == ("größe", "b, [c]", "名")


@pytest.mark.slow
def test_a_report_that_does_not_get_there_is_a_failure(shell):
    """It was asked for; only a reader that has gone wants no more."""
    fit = "dask-kmeans fit x.npy -k 2 --model m.zarr --quiet --overwrite --report -"
    assert shell(f"{fit} | true").returncode == 0
    ran = shell(f"{fit} > /dev/full")
    assert ran.returncode == 1
    assert "error: Cannot write to stdout" in ran.stderr


@pytest.mark.slow
def test_nothing_is_printed_into_an_output(shell, tmp_path):
    """A file that is opened while stderr is closed does not take its place."""
    assert shell("dask-kmeans fit x.npy -k 2 --model m.zarr >&- 2>&-").returncode == 0
    for name, where in (("l.csv", ">&- 2>&-"), ("k.csv", "")):
        line = f"dask-kmeans predict x.npy --model m.zarr --labels {name} {where}"
        assert shell(line).returncode == 0
    assert (tmp_path / "l.csv").read_bytes() == (tmp_path / "k.csv").read_bytes()


def test_a_stream_takes_what_it_can():
    class Narrow:
        encoding = "ascii"

        def __init__(self):
            self.taken = ""

        def write(self, text):
            if len(self.taken) > 10:
                raise BrokenPipeError
            self.taken += text.encode("ascii").decode()

        def flush(self):
            pass

    narrow = Narrow()
    stream = streams.ForgivingStream(narrow)
    stream.write("größe\n")
    assert stream.failure is None
    for _ in range(3):
        stream.write("more")
        stream.flush()
    assert narrow.taken == "gr\\xf6\\xdfe\n"
    assert isinstance(stream.failure, BrokenPipeError)
