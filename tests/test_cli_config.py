"""Options from a file and from the environment: which one counts, what is refused."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pytest

from dask_kmeans.write import load_fitted

JOB = """
threads = 1
quiet = true

[fit]
source = "x.npy"
n-clusters = 3
model = "m.zarr"
tol = 0.5
max_iter = 7
columns = [1, 0]

[predict]
source = "x.npy"
model = "m.zarr"
labels = "l.npy"
"""


@pytest.fixture
def job(tmp_path, monkeypatch, xclara):
    """A folder with data and a job.toml, as the current one."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", xclara)
    (tmp_path / "job.toml").write_text(JOB)
    return tmp_path


def test_a_job_of_two_commands(run, job):
    assert run("fit", "--config", "job.toml") == (0, "", "")
    fitted = load_fitted("m.zarr")
    assert fitted.columns == (1, 0)
    assert fitted.parameters["tol"] == 0.5
    assert run("predict", "--config", "job.toml") == (0, "", "")
    assert np.bincount(np.load("l.npy")).tolist() == fitted.cluster_sizes.tolist()


def in_force(run, *arguments):
    code, out, err = run("fit", *arguments, "--show-config")
    assert (code, err) == (0, "")
    return tomllib.loads(out)["fit"], out


def test_what_is_typed_wins_over_the_environment_over_the_file(run, job, monkeypatch):
    monkeypatch.setenv("DASK_KMEANS_TOL", "0.25")
    monkeypatch.setenv("DASK_KMEANS_MAX_ITER", "8")
    monkeypatch.setenv("DASK_KMEANS_STANDARDIZE", "true")
    shown, out = in_force(run, "--config", "job.toml", "--max-iter", 9)
    expected = {
        "source": "x.npy", "n-clusters": 3, "model": "m.zarr", "columns": ["1", "0"], "tol": 0.25,
        "max-iter": 9, "standardize": True, "metric": "euclidean", "nan": "raise",
        "random-state": 0, "n-init": "auto", "threads": 1, "quiet": True, "overwrite": False,
        "require-convergence": False, "resume": False,
    }  # fmt: skip
    assert {key: shown[key] for key in expected} == expected
    assert "tol = 0.25  # DASK_KMEANS_TOL\n" in out
    assert "max-iter = 9  # typed\n" in out
    assert 'model = "m.zarr"  # --config\n' in out
    assert 'nan = "raise"  # default\n' in out


def test_the_environment_alone(run, job, monkeypatch):
    for name, value in {"SOURCE": "x.npy", "N_CLUSTERS": "4", "MODEL": "e.zarr", "COLUMNS": "1",
                        "QUIET": "1"}.items():  # fmt: skip
        monkeypatch.setenv(f"DASK_KMEANS_{name}", value)
    assert run("fit") == (0, "", "")
    assert load_fitted("e.zarr").cluster_centers.shape == (4, 1)
    monkeypatch.setenv("DASK_KMEANS_CONFIG", "job.toml")
    assert in_force(run)[0]["tol"] == 0.5


def test_what_is_shown_can_be_given(run, job):
    arguments = ("x.npy", "-k", 3, "--model", 'a "b"\\c.zarr', "--column", "0", "--memory-limit",
                 "1 GiB", "--workers", 2, "--labels", "größe.csv")  # fmt: skip
    shown, out = in_force(run, *arguments)
    assert run("predict", "x.npy", "--model", "m.zarr", "--labels", "l.parquet", "--with",
               "distance", "--show-config")[1].count('with = "distance"  # typed') == 1  # fmt: skip
    (job / "again.toml").write_text(out, encoding="utf-8")
    assert in_force(run, "--config", "again.toml")[0] == shown
    assert shown["memory-limit"] == 2**30
    assert shown["column"] == ["0"]


def test_nothing_is_read_to_show_and_nothing_written(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = "s3://user:secret@bucket/x.npy"
    shown, _ = in_force(run, url, "-k", 3, "--model", "no/such/folder/m.zarr")
    assert shown["source"] == "s3://bucket/x.npy"
    assert list(tmp_path.iterdir()) == []
    code, out, err = run("fit", "--show-config")
    assert (code, out) == (2, "")
    assert "Missing argument 'SOURCE'" in err
    code, out, err = run("fit", "x", "-k", 3, "--model", "x", "--show-config")
    assert (code, out) == (2, "")
    assert "SOURCE and --model are the same place" in err


WRONG = {
    "no key": ("[fit]\nn-cluster = 3", "n-cluster is no option of fit; did you mean n-clusters?"),
    "no key, other table": (
        "[predict]\nlables = 'l'", "lables is no option of predict; did you mean labels?"
    ),
    "no key on top": ("zzz = 3", "zzz is no option of fit."),
    "key of another": (
        "labels = 'l.npy'\nn-initt = 1\n[fit]\nmodel = 'm'",
        "n-initt is no option of fit; did you mean n-init?",
    ),
    "no table": ("[fitt]\nk = 3", "[fitt] is no command; did you mean fit?"),
    "no option of a file": ("show-config = true", "show-config is no option"),
    "nested": ("config = 'c.toml'", "config is no option"),
    "twice": ("max-iter = 3\nmax_iter = 4", "it has max-iter twice"),
    "no TOML": ("max-iter 3", "it is no TOML: "),
    "no text": (b"a = '\xff'", "it is no TOML: "),
    "a date": ("model = 2020-01-01", "model is datetime.date(2020, 1, 1), not a text or a number"),
    "a bool": ("model = true", "model is True, not a text or a number"),
    "several": ("model = ['a', 'b']", "model is ['a', 'b'], not a text or a number"),
    "mixed": ("columns = ['a', ['b']]", "columns is ['a', ['b']], not a text or a number"),
    "no flag": ("overwrite = 1", "overwrite is 1, not true or false"),
    "no integer": ("max-iter = 2.5", "2.5 is not an int >= 1"),
    "no integer of click": ("workers = 2.5", "'2.5' is not a valid integer"),
    "no name": ("columns = ['a', '']", "has an empty name"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_in_a_file(name, run, job):
    content, text = WRONG[name]
    content = content if isinstance(content, bytes) else content.encode()
    (job / "wrong.toml").write_bytes(content)
    before = sorted(job.iterdir())
    code, _, err = run("fit", "x.npy", "-k", 3, "--model", "m", "--config", "wrong.toml")
    assert code == 2
    assert text in " ".join(err.split())
    assert sorted(job.iterdir()) == before


def test_an_option_of_another_command_on_top(run, job):
    (job / "wrong.toml").write_text("n-clusters = 3")
    code, _, err = run("predict", "x.npy", "--config", "wrong.toml")
    assert code == 2
    assert "n-clusters is no option of predict: write it under [fit]" in " ".join(err.split())
    assert run("fit", "--config", "gone.toml")[0] == 2


def test_a_second_run_is_refused_or_leaves_the_same_bytes(run, job):
    """What `--overwrite` writes anew is what was there, but for the time that it took."""

    def files():
        """Content of every file; the history of a model has seconds in it."""
        found = {path: path.read_bytes() for path in job.rglob("*") if path.is_file()}
        return {path: re.sub(rb'"seconds": [^,}]*', b"", each) for path, each in found.items()}

    assert run("fit", "--config", "job.toml", "--labels", "f.parquet")[0] == 0
    assert run("predict", "--config", "job.toml")[0] == 0
    before = files()
    for command in ("fit", "predict"):
        code, _, err = run(command, "--config", "job.toml")
        assert code == 1
        assert "exists already" in err
        assert files() == before
    assert run("fit", "--config", "job.toml", "--labels", "f.parquet", "--overwrite")[0] == 0
    assert run("predict", "--config", "job.toml", "--overwrite")[0] == 0
    after = files()
    assert after == before


@pytest.mark.slow
def test_a_scheduler_by_its_file(run, job, processes):
    """What `dask scheduler --scheduler-file` leaves, of which only the address counts."""
    (job / "s.json").write_text(f'{{"address": "{processes.scheduler_address}", "id": "s"}}')
    assert run("fit", "--config", "job.toml", "--model", "here.zarr") == (0, "", "")
    (job / "far.toml").write_text(JOB.replace("threads = 1", 'scheduler-file = "s.json"'))
    assert run("fit", "--config", "far.toml") == (0, "", "")
    np.testing.assert_array_equal(
        load_fitted("m.zarr").cluster_centers, load_fitted("here.zarr").cluster_centers
    )


@pytest.mark.parametrize("content", [None, "", "[]", '{"id": 1}'])
def test_a_file_of_no_scheduler(run, tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.eye(4))
    if content is not None:
        (tmp_path / "s.json").write_text(content)
    before = list(tmp_path.iterdir())
    code, _, err = run("fit", "x.npy", "-k", 2, "--model", "m", "--scheduler-file", "s.json")
    assert code == 1
    assert err.startswith("dask-kmeans: error: s.json does not say where a scheduler is (")
    assert list(tmp_path.iterdir()) == before
