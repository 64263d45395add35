"""`dask-kmeans describe`, and the balance of clusters in other reports."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from dask_kmeans import load_model


@pytest.fixture
def fitted(run, tmp_path, xclara):
    """A table of two features among other columns, and a model of it."""
    frame = pd.DataFrame(xclara, columns=["V1", "V2"]).assign(name="x", w=2.0)
    frame.loc[10, "w"] = 0.0
    frame.to_csv(tmp_path / "t.csv", index=False)
    model = tmp_path / "m.zarr"
    code, out, _ = run("fit", tmp_path / "t.csv", "-k", 3, "--columns", "V1,V2", "--model", model,
                       "--report", tmp_path / "fit.json")  # fmt: skip
    assert code == 0
    assert "the largest cluster has 38.3% of the rows; 2.98 effective clusters" in out
    assert json.loads((tmp_path / "fit.json").read_text())["largest_share"] == 1149 / 3000
    return tmp_path / "t.csv", model


def test_the_report_has_what_python_tells(run, fitted, tmp_path, xclara):
    source, model = fitted
    code, out, err = run(
        "describe", source, "--model", model, "--top", 4, "--report", tmp_path / "d.json"
    )
    assert code == 0
    assert "describing the clusters of" in err
    expected = load_model(str(model)).describe(pd.DataFrame(xclara, columns=["V1", "V2"]), top=4)
    assert out == f"{expected!r}\n"
    report = json.loads((tmp_path / "d.json").read_text())
    told = expected.to_dict()
    assert {name: report[name] for name in told} == told
    assert (report["command"], report["source"]) == ("describe", str(source))
    assert len(report["nearest"]) == 12
    assert report["clusters"][0]["V1_mean"] == expected.table.loc[0, "V1_mean"]
    run("describe", source, "--model", model, "--report", "-", "--quiet")
    code, out, _ = run("describe", source, "--model", model, "--report", "-")
    assert len(json.loads(out)["farthest"]) == 30


def test_a_table_in_parquet_has_the_rows_as_lists(run, fitted, tmp_path):
    source, model = fitted
    code, out, _ = run("describe", source, "--model", model, "--top", 2, "--quiet",
                       "--report", tmp_path / "d.parquet")  # fmt: skip
    assert (code, out) == (0, "")
    expected = load_model(str(model)).describe(str(source), top=2)
    table = pd.read_parquet(tmp_path / "d.parquet")
    pd.testing.assert_frame_equal(table.set_index("cluster").iloc[:, :-4], expected.table)
    for name in ("nearest", "farthest"):
        rows = getattr(expected, name)
        assert np.concatenate(table[f"{name}_row"]).tolist() == rows["row"].tolist()
        assert np.concatenate(table[f"{name}_distance"]).tolist() == rows["distance"].tolist()


def test_weights_and_missing_values(run, fitted, tmp_path):
    source, model = fitted
    code, out, _ = run("describe", source, "--model", model, "--sample-weight", "w",
                       "--report", "-")  # fmt: skip
    assert code == 0
    clusters = pd.DataFrame(json.loads(out)["clusters"])
    assert (clusters["weight"].sum(), clusters["size"].sum()) == (2 * 2999, 3000)
    frame = pd.read_csv(source)
    frame.loc[5, "V2"] = np.nan
    frame.to_csv(tmp_path / "u.csv", index=False)
    code, _, err = run("describe", tmp_path / "u.csv", "--model", model)
    assert code == 1
    assert "contains NaN: the first is at row 5, column 1" in err
    code, out, _ = run("describe", tmp_path / "u.csv", "--model", model, "--nan", "skip")
    assert code == 0
    assert out.startswith("3 clusters of 3000 rows, 1 left out, inertia ")


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_kept_columns_stand_beside_the_rows_that_they_belong_to(run, tmp_path, format):
    """After parts that are empty, or come in another order than their names sort, in one read."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=900), "b": rng.normal(size=900)})
    frame["id"] = [f"row-{number}" for number in range(900)]
    frame["day"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 99, 900), unit="D")
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, (first, stop) in enumerate([(0, 300), (300, 300), (300, 777), (777, 900)]):
        name = folder / f"part-{[2, 10, 11, 100][number]}.{format}"
        part = frame[first:stop]
        part.to_parquet(name) if format == "parquet" else part.to_csv(name, index=False)
    assert run("fit", folder, "-k", 4, "--columns", "a,b", "--model", tmp_path / "m.zarr")[0] == 0
    command = ["describe", folder, "--model", tmp_path / "m.zarr", "--top", 6, "--keep", "id,day"]
    code, out, _ = run(*command, "--report", "-")
    assert code == 0
    found = json.loads(out)
    plain = json.loads(run(*command[:-2], "--report", "-")[1])
    for name in ("nearest", "farthest"):
        assert len(found[name]) == 24
        for row, same in zip(found[name], plain[name], strict=True):
            assert list(row) == ["cluster", "rank", "row", "distance", "id", "day"]
            assert row["id"] == f"row-{row['row']}"
            assert row["day"][:10] == str(frame["day"][row["row"]])[:10]
            assert {key: row[key] for key in same} == same
    assert run(*command, "--quiet", "--report", tmp_path / "d.parquet")[0] == 0
    table = pd.read_parquet(tmp_path / "d.parquet")
    assert np.concatenate(table["nearest_id"]).tolist() == [row["id"] for row in found["nearest"]]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--top", "-1"], "Invalid value for '--top'"),
        (["--keep", "id,row"], "--keep row: the table of rows has a column of this name."),
        (["--quiet"], "--quiet leaves nothing to tell: type --report FILE.json as well."),
        (["--report", "{model}"], "--model and --report are the same place"),
    ],
)
def test_wrong_usage(run, fitted, more, said):
    source, model = fitted
    code, out, err = run(
        "describe", source, "--model", model, *(each.format(model=model) for each in more)
    )
    assert (code, out) == (2, "")
    assert said in err


def test_a_report_that_exists_is_left_alone(run, fitted, tmp_path):
    source, model = fitted
    for name in ("d.json", "d.parquet"):
        (tmp_path / name).write_text("mine")
        command = "describe", source, "--model", model, "--report", tmp_path / name
        code, _, err = run(*command)
        assert code == 1
        assert "exists already and is left as it is" in err
        assert "reading" not in err
        assert (tmp_path / name).read_text() == "mine"
        assert run(*command, "--overwrite")[0] == 0
    assert json.loads((tmp_path / "d.json").read_text())["n_rows"] == 3000
