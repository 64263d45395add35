"""The command line: what it prints, writes and exits with."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import zarr

from dask_kmeans import KMeans, __version__, load_model
from dask_kmeans.write import load_fitted

STATED = [[9.4780459, 10.686052], [40.68362784, 59.71589274], [69.92418447, -10.11964119]]
INERTIA = 611605.8806933896


@pytest.fixture
def source(tmp_path, xclara):
    """xclara as a Parquet folder of three files with a column of text."""
    folder = tmp_path / "xclara.parquet"
    folder.mkdir()
    for number, rows in enumerate(np.split(xclara, 3)):
        frame = pd.DataFrame(rows, columns=["V1", "V2"]).assign(name="x", weight=1.0)
        frame.to_parquet(folder / f"part-{number}.parquet")
    return folder


def test_help_names_the_commands_and_exit_codes(run):
    ran = run("--help")
    assert ran.code == 0
    assert all(command in ran.out for command in ("fit", "predict", "describe", "inspect"))
    assert "Exit codes: 0 done; 1 the job failed" in ran.out


def test_version(run):
    assert run("--version").out == f"dask-kmeans, version {__version__}\n"


def test_fit_writes_model_labels_and_report(run, source, tmp_path):
    ran = run(
        "fit", source, "--n-clusters", 3, "--columns", "V1,V2", "--tol", 0,
        "--model", tmp_path / "m.zarr", "--labels", tmp_path / "l.npy",
        "--report", tmp_path / "r.json",
    )  # fmt: skip
    assert ran.code == 0
    assert ran.out.startswith("3 clusters, 3000 rows of 2 features\ninertia 611605.88")
    # Where kernels have not been compiled yet, that is said as well.
    lines = [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", "", line) for line in ran.lines]
    said = [line.split(":")[0] for line in lines if not line.startswith("compiling")]
    assert said[:4] == ["reading the data", "seeding", "iteration 1", "iteration 2"]

    model = load_model(str(tmp_path / "m.zarr"))
    order = np.argsort(model.cluster_centers_[:, 0])
    np.testing.assert_allclose(model.cluster_centers_[order], STATED, rtol=1e-6)
    assert model.inertia_ == pytest.approx(INERTIA, rel=1e-12)
    assert list(model.feature_names_in_) == ["V1", "V2"]

    labels = np.load(tmp_path / "l.npy")
    np.testing.assert_array_equal(np.bincount(labels), model.cluster_sizes_)

    report = json.loads((tmp_path / "r.json").read_text())
    assert report["command"] == "fit"
    assert (report["n_rows"], report["n_features"]) == (3000, 2)
    assert report["inertia"] == model.inertia_
    assert report["converged"] is True
    assert report["cluster_sizes"] == model.cluster_sizes_.tolist()
    assert [record["iteration"] for record in report["history"]] == [1, 2]
    assert report["peak_memory"]["this_process"] > 10**6
    assert report["peak_memory"]["workers"] == []


def test_predict_gives_the_labels_of_the_fit(run, source, tmp_path):
    model, fitted, predicted = (tmp_path / name for name in ("m.zarr", "f.npy", "p.npy"))
    run("fit", source, "-k", 3, "--columns", "V1,V2", "--model", model, "--labels", fitted)
    ran = run("predict", source, "--model", model, "--labels", predicted, "--report", "-")
    assert ran.code == 0
    assert fitted.read_bytes() == predicted.read_bytes()
    report = json.loads(ran.out)
    assert (report["command"], report["n_rows"], report["n_features"]) == ("predict", 3000, 2)


def test_the_columns_of_the_model_are_found_by_name(run, source, tmp_path):
    """A table with other columns beside them, in another order, is labelled all the same."""
    run("fit", source, "-k", 3, "--columns", "V1,V2", "--model", tmp_path / "m.zarr",
        "--labels", tmp_path / "f.npy")  # fmt: skip
    table = pd.read_parquet(source)
    table[["weight", "V2", "name", "V1"]].to_csv(tmp_path / "t.csv", index=False)
    ran = run("predict", tmp_path / "t.csv", "--model", tmp_path / "m.zarr",
              "--labels", tmp_path / "p.npy")  # fmt: skip
    assert ran.code == 0
    assert (tmp_path / "f.npy").read_bytes() == (tmp_path / "p.npy").read_bytes()


def test_weights_come_from_a_column(run, tmp_path):
    frame = pd.DataFrame({"x": [0.0, 1.0, 10.0, 11.0], "w": [3.0, 1.0, 1.0, 0.0]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    ran = run("fit", tmp_path / "t.csv", "-k", 2, "--sample-weight", "w",
              "--model", tmp_path / "m.zarr")  # fmt: skip
    assert ran.code == 0
    assert sorted(load_fitted(tmp_path / "m.zarr").cluster_centers[:, 0]) == [0.25, 10.0]


def test_a_member_of_a_zarr_group_and_columns_by_number(run, tmp_path, xclara):
    group = zarr.create_group(tmp_path / "store.zarr")
    columns = np.column_stack([np.full(3000, 7.0), xclara])
    group.create_array("features", data=columns, chunks=(400, 3))
    ran = run("fit", tmp_path / "store.zarr" / "features", "-k", 3, "--columns", "1,2",
              "--model", tmp_path / "m.zarr")  # fmt: skip
    assert ran.code == 0
    assert load_fitted(tmp_path / "m.zarr").inertia == pytest.approx(INERTIA, rel=1e-12)


def test_standardize_is_kept_and_applied(run, source, tmp_path, xclara):
    ran = run("fit", source, "-k", 3, "--columns", "V1,V2", "--standardize",
              "--model", tmp_path / "m.zarr", "--labels", tmp_path / "f.npy")  # fmt: skip
    assert ran.code == 0
    assert "3000 rows of 2 features, standardized" in ran.out
    stored = load_fitted(tmp_path / "m.zarr")
    np.testing.assert_allclose(stored.standardization["mean"], xclara.mean(axis=0))
    np.testing.assert_allclose(stored.standardization["scale"], xclara.std(axis=0))
    # Centers are stored, and shown, in the unit of the data.
    offsets = (xclara[:, None] - stored.cluster_centers) / xclara.std(axis=0)
    distances = (offsets**2).sum(axis=2)
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), distances.argmin(axis=1))

    run("predict", source, "--model", tmp_path / "m.zarr", "--labels", tmp_path / "p.npy")
    assert (tmp_path / "f.npy").read_bytes() == (tmp_path / "p.npy").read_bytes()
    assert "69.9" in run("inspect", tmp_path / "m.zarr").out


def test_rows_with_nan_are_an_error_or_left_out(run, tmp_path, xclara):
    rows = xclara.copy()
    rows[5, 1] = np.nan
    np.save(tmp_path / "x.npy", rows)
    fit = ("fit", tmp_path / "x.npy", "-k", 3, "--model", tmp_path / "m.zarr",
           "--labels", tmp_path / "l.npy")  # fmt: skip
    ran = run(*fit)
    assert ran.code == 1
    assert "the first is at row 5, column 1" in ran.err
    assert run(*fit, "--nan", "skip").code == 0
    assert np.flatnonzero(np.load(tmp_path / "l.npy") == -1).tolist() == [5]


def test_one_seed_gives_the_same_bytes(run, source, tmp_path):
    fit = ("fit", source, "-k", 7, "--columns", "V1,V2", "--random-state", 5, "--n-init", 2)
    for name, threads in (("a", 1), ("b", 3)):
        run(*fit, "--model", tmp_path / f"{name}.zarr", "--threads", threads)
    a, b = (load_fitted(tmp_path / f"{name}.zarr") for name in "ab")
    assert a.cluster_centers.tobytes() == b.cluster_centers.tobytes()
    assert a.inertia == b.inertia


def test_inspect_shows_the_model(run, source, tmp_path):
    run("fit", source, "-k", 3, "--columns", "V1,V2", "--model", tmp_path / "m.zarr")
    ran = run("inspect", tmp_path / "m.zarr")
    assert ran.code == 0
    header = next(line for line in ran.out.splitlines() if line.startswith("cluster"))
    assert header.split() == ["cluster", "rows", "V1", "V2"]
    everything = json.loads(run("inspect", tmp_path / "m.zarr", "--json").out)
    assert np.shape(everything["cluster_centers"]) == (3, 2)
    assert everything["parameters"]["n_clusters"] == 3


def test_inspect_cuts_long_tables(run, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(60, 12)))
    run("fit", tmp_path / "x.npy", "-k", 25, "--model", tmp_path / "m.zarr")
    lines = run("inspect", tmp_path / "m.zarr").out.splitlines()
    assert "... 25 clusters of 12 features" in lines
    assert max(map(len, lines[3:25])) < 120


# ------------------------------------------------------------------------------- progress and logs


def test_quiet_prints_nothing(run, source, tmp_path):
    ran = run("fit", source, "-k", 3, "--columns", "V1,V2", "--model", tmp_path / "m.zarr",
              "--quiet")  # fmt: skip
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_a_report_on_stdout_is_all_that_is_there(run, source, tmp_path):
    ran = run("fit", source, "-k", 3, "--columns", "V1,V2", "--model", tmp_path / "m.zarr",
              "--report", "-")  # fmt: skip
    assert json.loads(ran.out)["model"] == str(tmp_path / "m.zarr")


def test_warnings_are_one_line(run, source, tmp_path):
    ran = run("fit", source, "-k", 3, "--model", tmp_path / "m.zarr", "--quiet")
    assert ran.code == 0
    assert len(ran.lines) == 1
    assert ran.lines[0].startswith("dask-kmeans: warning: ")
    assert "'name'" in ran.lines[0]


def test_a_terminal_gets_a_bar(run, source, tmp_path, monkeypatch):
    from dask_kmeans.cli import log

    monkeypatch.setattr(log.sys.stderr, "isatty", lambda: True)
    ran = run("fit", source, "-k", 3, "--columns", "V1,V2", "--model", tmp_path / "m.zarr")
    assert "k-means:" in ran.err
    assert "100%" in ran.err
    assert "iterations" in ran.err


# ---------------------------------------------------------------------------- failures: exit code 1


def failed(ran, tmp_path, left=()):
    """One line of ours on stderr, exit code 1, and nothing new on disk."""
    assert ran.code == 1
    assert len(ran.lines) == 1, ran.err
    assert ran.lines[0].startswith("dask-kmeans: error: ")
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(left)
    return ran.lines[0]


def test_a_missing_source(run, tmp_path):
    ran = run("fit", tmp_path / "gone.parquet", "-k", 3, "--model", tmp_path / "m.zarr")
    assert "Nothing exists at" in failed(ran, tmp_path)


def test_an_unknown_scheme(run, tmp_path):
    ran = run("fit", "nosuch://bucket/x.parquet", "-k", 3, "--model", tmp_path / "m.zarr")
    assert "fsspec knows no 'nosuch://'" in failed(ran, tmp_path)


def test_a_driver_that_is_not_installed(run, tmp_path):
    ran = run("fit", "gs://bucket/x.parquet", "-k", 3, "--model", tmp_path / "m.zarr")
    assert "pip install gcsfs" in failed(ran, tmp_path)


def test_more_clusters_than_rows(run, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 2)))
    ran = run("fit", tmp_path / "x.npy", "-k", 5, "--model", tmp_path / "m.zarr", "--quiet")
    assert "n_samples=4 should be >= n_clusters=5" in failed(ran, tmp_path, ["x.npy"])


def test_an_unknown_column(run, source, tmp_path):
    ran = run("fit", source, "-k", 3, "--columns", "V1,V9", "--model", tmp_path / "m.zarr")
    assert "V9" in failed(ran, tmp_path, [source.name])


def test_a_zarr_group_lists_its_members(run, tmp_path):
    group = zarr.create_group(tmp_path / "store.zarr")
    group.create_array("a", shape=(3, 2), dtype="f4")
    ran = run("fit", tmp_path / "store.zarr", "-k", 3, "--model", tmp_path / "m.zarr")
    assert "It has a (3, 2)" in failed(ran, tmp_path, ["store.zarr"])


@pytest.mark.parametrize("option", ["--model", "--labels", "--report"])
def test_outputs_that_exist_are_found_before_anything_is_read(run, option, tmp_path):
    outputs = {
        "--model": tmp_path / "m.zarr", "--labels": tmp_path / "l.npy",
        "--report": tmp_path / "r.json",
    }  # fmt: skip
    outputs[option].write_text("precious")
    pairs = [word for pair in outputs.items() for word in pair]
    ran = run("fit", tmp_path / "gone.npy", "-k", 3, *pairs)
    line = failed(ran, tmp_path, [outputs[option].name])
    assert f"{outputs[option]} exists already" in line
    assert "--overwrite" in line
    assert outputs[option].read_text() == "precious"


def test_a_folder_to_write_to_that_is_missing(run, tmp_path):
    ran = run("fit", "x.npy", "-k", 3, "--model", tmp_path / "no" / "m.zarr")
    assert f"Type mkdir -p {tmp_path / 'no'}" in failed(ran, tmp_path)


def test_overwrite_replaces_all_outputs(run, source, tmp_path):
    fit = ("fit", source, "--columns", "V1,V2", "--model", tmp_path / "m.zarr",
           "--labels", tmp_path / "l.zarr", "--report", tmp_path / "r.json")  # fmt: skip
    assert run(*fit, "-k", 3).code == 0
    assert run(*fit, "-k", 4, "--overwrite").code == 0
    assert len(load_fitted(tmp_path / "m.zarr").cluster_centers) == 4
    assert zarr.open_array(tmp_path / "l.zarr", mode="r")[...].max() == 3
    assert json.loads((tmp_path / "r.json").read_text())["parameters"]["n_clusters"] == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "l.zarr", "m.zarr", "r.json", source.name,
    ]  # fmt: skip


def test_a_model_that_is_none(run, source, tmp_path):
    (tmp_path / "m.zarr").write_text("hello")
    ran = run("predict", source, "--model", tmp_path / "m.zarr", "--labels", tmp_path / "l.npy")
    assert "is not a valid model" in failed(ran, tmp_path, [source.name, "m.zarr"])
    assert run("inspect", tmp_path / "m.zarr").code == 1


def test_other_features_than_the_models(run, source, tmp_path):
    run("fit", source, "-k", 3, "--columns", "V1,V2", "--model", tmp_path / "m.zarr")
    np.save(tmp_path / "x.npy", np.zeros((4, 3)))
    ran = run("predict", tmp_path / "x.npy", "--model", tmp_path / "m.zarr",
              "--labels", tmp_path / "l.npy")  # fmt: skip
    assert ran.code == 1
    assert not (tmp_path / "l.npy").exists()


def test_no_scheduler_there(run, source, tmp_path, monkeypatch):
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        ran = run("fit", source, "-k", 3, "--model", tmp_path / "m.zarr",
                  "--scheduler", "tcp://127.0.0.1:9")  # fmt: skip
    assert "tcp://127.0.0.1:9" in failed(ran, tmp_path, [source.name])


def test_debug_adds_the_traceback(run, tmp_path):
    ran = run("fit", tmp_path / "gone", "-k", 3, "--model", tmp_path / "m.zarr", "--debug")
    assert ran.code == 1
    assert ran.err.startswith("Traceback (most recent call last):")
    assert ran.lines[-1].startswith("dask-kmeans: error: Nothing exists at")


# ------------------------------------------------------------------------- wrong usage: exit code 2

FIT = ("fit", "x.npy", "-k", "3", "--model", "m.zarr")
PREDICT = ("predict", "x.npy", "--model", "m.zarr")

WRONG = {
    "no command": ((), "Usage"),
    "unknown command": (("fitt",), "No such command 'fitt'"),
    "no source": (("fit",), "Missing argument 'SOURCE'"),
    "no model": (("fit", "x.npy", "-k", "3"), "Missing option '--model'"),
    "no clusters": (("fit", "x.npy", "--model", "m"), "Missing option '--n-clusters'"),
    "k < 1": (("fit", "x.npy", "-k", "0", "--model", "m"), "0 is not an int >= 1"),
    "k no number": (("fit", "x.npy", "-k", "many", "--model", "m"), "many is not an int >= 1"),
    "k no integer": (("fit", "x.npy", "-k", "2.5", "--model", "m"), "2.5 is not an int >= 1"),
    "max_iter=0": ((*FIT, "--max-iter", "0"), "0 is not an int >= 1. Type --max-iter 300"),
    "tol < 0": ((*FIT, "--tol", "-1"), "-1 is not a number >= 0"),
    "tol=nan": ((*FIT, "--tol", "nan"), "nan is not a number >= 0"),
    "n_init": ((*FIT, "--n-init", "0"), "0 is not auto or an int >= 1. Type --n-init auto"),
    "nan": ((*FIT, "--nan", "drop"), "drop is not raise or skip. Type --nan skip"),
    "random_state": ((*FIT, "--random-state", "-1"), "-1 is not an int from 0 to 2**64 - 1"),
    "random_state too large": ((*FIT, "--random-state", 2**64), "is not an int from 0"),
    "unknown option": ((*FIT, "--sharding"), "No such option"),
    "empty column": ((*FIT, "--columns", "a,,b"), "has an empty name"),
    "labels of no format": ((*FIT, "--labels", "l.txt"), "must end in .zarr, .parquet, .csv, .npy"),
    "no labels": (PREDICT, "Missing option '--labels'"),
    "resume from nothing": ((*FIT, "--resume"), "--resume needs the --checkpoint URL"),
    "two clusters": (
        (*FIT, "--scheduler", "tcp://a:1", "--workers", "2"),
        "--scheduler has its own workers",
    ),
    "two schedulers": (
        (*FIT, "--scheduler", "tcp://a:1", "--scheduler-file", "s.json"),
        "--scheduler and --scheduler-file name one each",
    ),
    "a scheduler's workers": (
        (*FIT, "--scheduler-file", "s.json", "--threads", "2"),
        "--scheduler-file has its own workers",
    ),
    "limit of nothing": ((*FIT, "--memory-limit", "1GB"), "type --workers N as well"),
    "limit no size": (
        (*FIT, "--workers", "1", "--memory-limit", "much"),
        "'much' is no size in bytes. Type --memory-limit 2GiB",
    ),
    "labels over the source": (
        ("predict", "x.npy", "--model", "m", "--labels", "./x.npy"),
        "SOURCE and --labels are the same place",
    ),
    "model over the source": (
        ("fit", "x.zarr/", "-k", "3", "--model", "x.zarr"),
        "SOURCE and --model are the same place",
    ),
    "two outputs in one": (
        (*FIT, "--labels", "a.npy", "--report", "a.npy"),
        "--labels and --report are the same place",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage(name, run, tmp_path, monkeypatch):
    arguments, text = WRONG[name]
    monkeypatch.chdir(tmp_path)
    ran = run(*arguments)
    assert ran.code == 2
    assert text in ran.out + ran.err
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------ convergence, checkpoints: exit code 3


def test_a_fit_that_must_converge_and_does_not(run, source, tmp_path):
    fit = ("fit", source, "-k", 20, "--columns", "V1,V2", "--tol", 0, "--max-iter", 1,
           "--model", tmp_path / "m.zarr", "--labels", tmp_path / "l.npy",
           "--report", tmp_path / "r.json")  # fmt: skip
    ran = run(*fit, "--require-convergence", "--quiet")
    assert ran.code == 3
    assert ran.lines[-1].startswith("dask-kmeans: not converged, so no model was written: ")
    assert "max_iter" in ran.lines[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.json", source.name]
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["converged"], report["model"], report["labels"]) == (False, None, None)

    assert run(*fit, "--overwrite").code == 0
    assert load_fitted(tmp_path / "m.zarr").converged is False


def test_a_checkpoint_goes_when_the_job_is_done(run, source, tmp_path):
    state = tmp_path / "state"
    ran = run("fit", source, "-k", 3, "--columns", "V1,V2", "--model", tmp_path / "m.zarr",
              "--checkpoint", state)  # fmt: skip
    assert ran.code == 0
    assert not state.exists()


def test_resume_goes_on_to_the_same_bits(run, source, tmp_path, monkeypatch):
    fit = ("fit", source, "-k", 20, "--columns", "V1,V2", "--tol", 0)
    run(*fit, "--model", tmp_path / "whole.zarr")

    from dask_kmeans import progress

    state = tmp_path / "state"
    interrupted = (*fit, "--model", tmp_path / "m.zarr", "--checkpoint", state)
    with monkeypatch.context() as patch:
        patch.setattr(progress.ProgressLog, "__call__", _fail_in_the_second_iteration)
        assert run(*interrupted).code == 1
    assert state.is_file()
    assert not (tmp_path / "m.zarr").exists()

    ran = run(*interrupted)
    assert ran.code == 1
    assert "Type --resume to go on" in ran.lines[-1]

    assert run(*interrupted, "--resume").code == 0
    whole, resumed = (load_fitted(tmp_path / name) for name in ("whole.zarr", "m.zarr"))
    assert whole.cluster_centers.tobytes() == resumed.cluster_centers.tobytes()
    assert (whole.n_iter, whole.inertia) == (resumed.n_iter, resumed.inertia)
    assert not state.exists()


def _fail_in_the_second_iteration(_, record):
    if record.iteration == 2:
        raise RuntimeError("the power went")


def test_resume_without_a_state_starts(run, source, tmp_path):
    """So that a scheduler can always type --resume."""
    ran = run("fit", source, "-k", 3, "--columns", "V1,V2", "--model", tmp_path / "m.zarr",
              "--checkpoint", tmp_path / "state", "--resume")  # fmt: skip
    assert ran.code == 0


def test_a_fit_that_stopped_early_is_told_of_even_when_quiet(run, source, tmp_path):
    ran = run("fit", source, "-k", 20, "--columns", "V1,V2", "--tol", 0, "--max-iter", 1,
              "--model", tmp_path / "m.zarr", "--report", tmp_path / "r.json",
              "--quiet")  # fmt: skip
    assert (ran.code, ran.out) == (0, "")
    (line,) = ran.lines
    assert line.startswith("dask-kmeans: warning: stopped at max_iter")
    assert "raise --max-iter, or --tol" in line
    # Both spellings, each where it belongs.
    assert "--max-iter" in json.loads((tmp_path / "r.json").read_text())["stop_reason"]
    assert "raise max_iter, or tol" in load_model(tmp_path / "m.zarr").stop_reason_
    assert "--max-iter" in run("inspect", tmp_path / "m.zarr").out


# ------------------------------------------------------------------------- what predict can be told


@pytest.fixture
def with_null(run, tmp_path):
    """A model, and a table with a null in it."""
    pd.DataFrame({"a": [0.0, 1.0, 10.0, 11.0]}).to_parquet(tmp_path / "t.parquet")
    pd.DataFrame({"a": [0.0, None, 10.0, 11.0]}).to_parquet(tmp_path / "u.parquet")

    def fitted(*options):
        run("fit", tmp_path / "t.parquet", "-k", 2, "--model", tmp_path / "m.zarr", "--overwrite",
            *options)  # fmt: skip
        return ("predict", tmp_path / "u.parquet", "--model", tmp_path / "m.zarr",
                "--labels", tmp_path / "p.csv", "--overwrite", "--report", "-")  # fmt: skip

    return fitted


def test_predict_skips_rows_with_nan_when_told_to(run, with_null, tmp_path):
    predict = with_null()
    ran = run(*predict)
    assert ran.code == 1
    assert "row 1, column 0 ('a'). To leave rows with NaN out (label -1) type --nan skip" in ran.err
    ran = run(*predict, "--nan", "skip")
    assert ran.code == 0
    assert pd.read_csv(tmp_path / "p.csv").label.tolist()[1] == -1
    report = json.loads(ran.out)
    assert (report["n_rows"], report["rows_left_out"]) == (4, 1)
    assert sorted(report["cluster_sizes"]) == [1, 2]


def test_predict_treats_nan_as_the_fit_did(run, with_null):
    predict = with_null("--nan", "skip")
    assert run(*predict).code == 0
    assert run(*predict, "--nan", "raise").code == 1


@pytest.mark.parametrize("standardize", [(), ("--standardize",)])
@pytest.mark.parametrize("ending", ["npy", "csv", "parquet", "zarr"])
def test_the_report_of_predict_is_of_the_read_that_labels(
    ending, standardize, run, tmp_path, xclara, monkeypatch
):
    """Sizes and inertia to watch, to the bit those of the fit, without another pass."""
    from dask_kmeans.read.from_npy import NpyRows

    np.save(tmp_path / "x.npy", xclara)
    run("fit", tmp_path / "x.npy", "-k", 3, "--model", tmp_path / "m.zarr", *standardize)
    read, pieces = [], NpyRows.pieces

    def counted(self):
        for piece in pieces(self):
            read.append(len(piece.values))
            yield piece

    monkeypatch.setattr(NpyRows, "pieces", counted)
    ran = run("predict", tmp_path / "x.npy", "--model", tmp_path / "m.zarr",
              "--labels", tmp_path / f"l.{ending}", "--report", "-")  # fmt: skip
    assert ran.code == 0, ran.err
    assert sum(read) == len(xclara)
    report, model = json.loads(ran.out), load_fitted(tmp_path / "m.zarr")
    assert report["inertia"] == model.inertia
    assert report["cluster_sizes"] == model.cluster_sizes.tolist()
    assert report["rows_left_out"] == 0


def test_a_cluster_that_no_row_is_in_has_size_0(run, tmp_path):
    np.save(tmp_path / "x.npy", np.array([[0.0], [1.0], [50.0], [99.0], [100.0]]))
    run("fit", tmp_path / "x.npy", "-k", 3, "--model", tmp_path / "m.zarr")
    np.save(tmp_path / "y.npy", np.array([[0.0], [1.0]]))
    ran = run("predict", tmp_path / "y.npy", "--model", tmp_path / "m.zarr",
              "--labels", tmp_path / "l.npy", "--report", "-")  # fmt: skip
    assert sorted(json.loads(ran.out)["cluster_sizes"]) == [0, 0, 2]


# ---------------------------------------------------------------------------- the choice of columns

ODD = ["a, b", "c [m/s]", "größe", "--d", "e=f"]


@pytest.fixture
def odd(tmp_path):
    """A table whose columns have odd names; the last holds text."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 5)), columns=ODD)
    frame.assign(text="x").to_parquet(tmp_path / "odd.parquet")
    frame.assign(text="x").to_csv(tmp_path / "odd.csv", index=False)
    return tmp_path


@pytest.mark.parametrize("source", ["odd.parquet", "odd.csv"])
@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--column", "a, b", "--column=--d"], ["a, b", "--d"]),
        (["--columns", "größe,e=f", "--column", "c [m/s]"], ["größe", "e=f", "c [m/s]"]),
        (["--exclude", "text"], ODD),
        (["--exclude", "text", "--exclude", "a, b", "--exclude=--d"], ["c [m/s]", "größe", "e=f"]),
        (["--columns", "größe,e=f", "--exclude", "e=f"], ["größe"]),
        (["--sample-weight", "e=f", "--exclude", "text", "--nan", "skip"], None),
    ],
)
def test_columns_of_any_name(run, odd, source, options, names):
    ran = run("fit", odd / source, "-k", 2, "--model", odd / "m.zarr", "--quiet", *options)
    if names is None:  # weights are negative there
        assert "sample weight is negative" in ran.err
        return
    assert (ran.code, ran.err) == (0, "")
    assert list(load_fitted(odd / "m.zarr").feature_names) == names
    predict = ("predict", odd / source, "--model", odd / "m.zarr", "--labels", odd / "l.npy")
    assert run(*predict).code == 0
    assert run(*predict, "--overwrite", "--quiet", *options).code == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--exclude", "gone"], "has no column 'gone'"),
        (["--columns", "größe", "--exclude", "a, b"], "has no column 'a, b'"),
        (["--column", "a"], "has no column 'a'"),
    ],
)
def test_a_column_that_is_not_there(run, odd, options, text):
    ran = run("fit", odd / "odd.parquet", "-k", 2, "--model", odd / "m.zarr", *options)
    assert ran.code == 1
    assert text in ran.err


def test_columns_by_number_are_left_out(run, tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 4))
    np.save(tmp_path / "x.npy", X)
    fit = ("fit", tmp_path / "x.npy", "-k", 2, "--overwrite", "--quiet")
    for number, options in enumerate([("--exclude", "1", "--exclude", "3"), ("--columns", "0,2")]):
        assert run(*fit, "--model", tmp_path / f"{number}.zarr", *options).code == 0
    first, second = (load_fitted(tmp_path / f"{number}.zarr") for number in (0, 1))
    assert first.cluster_centers.tobytes() == second.cluster_centers.tobytes()
    assert run(*fit, "--model", tmp_path / "m.zarr", "--exclude", "4").code == 1


# -------------------------------------------------------------------------- parameters, by one rule


@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**32, 5_000_000_000, 2**64 - 1])
def test_both_entrances_take_the_same_seeds(run, tmp_path, seed):
    X = np.random.default_rng(0).normal(size=(100, 2))
    np.save(tmp_path / "x.npy", X)
    assert run("fit", tmp_path / "x.npy", "-k", 2, "--model", tmp_path / "m.zarr",
               "--random-state", seed, "--quiet").code == 0  # fmt: skip
    model = load_model(tmp_path / "m.zarr")
    assert model.random_state == seed
    assert KMeans(2, random_state=seed).fit(X).inertia_ == model.inertia_


def test_what_nobody_saw_coming_is_an_internal_error(run, tmp_path, monkeypatch):
    from dask_kmeans.cli import fit

    def fail(*_, **__):
        return {}["lost"]

    monkeypatch.setattr(fit, "open_source", fail)
    ran = run("fit", "x.npy", "-k", 2, "--model", tmp_path / "m.zarr")
    assert ran.code == 1
    assert ran.lines == ["dask-kmeans: internal error: KeyError: 'lost' (see --debug)"]
