"""What a command says for programs: a JSON object a line on stderr, a schema of the report."""

from __future__ import annotations

import datetime
import json

import jsonschema
import numpy as np
import pytest
from reports import SCHEMA, checked, undescribed

from dask_kmeans import cli
from dask_kmeans.write import load_fitted


@pytest.fixture
def run(capsys, tmp_path, monkeypatch, xclara):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", xclara)

    def call(*arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        return end.value.code, *capsys.readouterr()

    return call


FIT = ("fit", "x.npy", "-k", 3, "--model", "m.zarr")
JSON = ("--log-format", "json")


def lines(err):
    found = [json.loads(line) for line in err.splitlines()]
    for line in found:
        assert list(line)[:3] == ["time", "level", "message"]
        assert datetime.datetime.fromisoformat(line["time"]).tzinfo is not None
    return found


def test_a_fit_says_each_iteration_as_an_object(run, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    code, out, err = run(*FIT, *JSON)
    assert code == 0
    assert out.startswith("3 clusters")
    said = lines(err)
    assert {line["level"] for line in said} == {"info"}
    iterations = [
        {key: line[key] for key in list(line)[3:]} for line in said if "iteration" in line
    ]
    assert iterations == load_fitted("m.zarr").history


def test_what_goes_wrong_is_an_object(run):
    run(*FIT)
    code, out, err = run(*FIT, *JSON, "--report", "-")
    assert (code, out) == (1, "")
    (line,) = lines(err)
    assert line["level"] == "error"
    assert line["message"].startswith("m.zarr exists already")
    code, _, err = run(*FIT, *JSON, "--max-iter", "0")
    assert code == 2
    (line,) = lines(err)
    assert "0 is not an int >= 1" in line["message"]
    assert line["level"] == "error"
    # --quiet leaves warnings.
    code, out, err = run(*FIT, *JSON, "--overwrite", "--quiet", "--max-iter", 1, "--tol", 0)
    (line,) = lines(err)
    assert (code, out, line["level"]) == (0, "", "warning")
    code, _, err = run("predict", "s3x://a:secret@b/c", "--model", "m.zarr", "--labels", "l.npy",
                       *JSON, "--debug")  # fmt: skip
    assert code == 1
    traceback, line = lines(err)
    assert traceback["message"].startswith("Traceback")
    assert "secret" not in err
    assert line["level"] == "error"


def test_an_error_that_nobody_saw_coming(run, monkeypatch):
    monkeypatch.setattr("dask_kmeans.cli.fit.check_output", lambda *_, **__: 1 / 0)
    code, _, err = run(*FIT, *JSON)
    (line,) = lines(err)
    assert code == 1
    assert line["message"] == "internal error: ZeroDivisionError: division by zero (see --debug)"


def test_the_format_may_be_set_for_all_jobs(run, tmp_path):
    (tmp_path / "job.toml").write_text("log-format = 'json'\n")
    assert lines(run(*FIT, "--config", "job.toml")[2])
    text = ("--overwrite", "--config", "job.toml", "--log-format", "text")
    assert not run(*FIT, *text)[2].startswith("{")
    assert lines(run(*FIT, "--overwrite", DASK_KMEANS_LOG_FORMAT="json")[2])
    assert 'log-format = "json"  # DASK_KMEANS_LOG_FORMAT\n' in run(*FIT, "--show-config")[1]


# ------------------------------------------------------------------------------------- the schema


def test_the_schema_is_one_and_is_printed(run):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    code, out, err = run("schema")
    assert (code, err) == (0, "")
    assert json.loads(out) == SCHEMA
    for kind in (each["$ref"].rpartition("/")[2] for each in SCHEMA["oneOf"]):
        fields = SCHEMA["$defs"][kind]
        assert set(fields["required"]) <= fields["properties"].keys()


def test_reports_are_as_the_schema_says(run):
    options = ("--standardize", "--labels", "f.npy", "--report", "-", "--quiet", "--columns", "1,0")
    code, out, _ = run(*FIT, *options)
    assert code == 0
    report = checked(out)
    assert report["columns"] == [1, 0]
    assert undescribed(report) == set()
    _, out, _ = run("predict", "x.npy", "--model", "m.zarr", "--labels", "l.npy", "--report", "-")
    assert undescribed(checked(out)) == set()
    assert json.loads(out)["cluster_sizes"] == report["cluster_sizes"]
    for wrong in ({"inertia": -1}, {"command": "predict"}, {"labels": 3}, {"cluster_sizes": []}):
        with pytest.raises(jsonschema.ValidationError):
            checked(json.dumps(report | wrong))


@pytest.mark.parametrize("missing", ["command", "inertia", "seconds"])
def test_a_report_without_a_field_is_refused(run, missing):
    report = json.loads(run(*FIT, "--report", "-", "--quiet")[1])
    del report[missing]
    with pytest.raises(jsonschema.ValidationError):
        checked(json.dumps(report))
