"""Columns of categories as features: what pandas makes of them, from every container."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import as_numpy

from dask_kmeans import BisectingKMeans, KMeans, load_model, open_source, sweep
from dask_kmeans.checks import CategoryError
from dask_kmeans.cli import main
from dask_kmeans.read import as_points, one_hot

COLUMNS = ["color", "size", "open"]


def _written(frame, folder, rows=7):
    frame.to_parquet(folder / "t.parquet", row_group_size=rows)
    return folder / "t.parquet"


def _files(frame, folder):
    (folder / "parts").mkdir(exist_ok=True)
    for part, first in enumerate(range(0, len(frame), 9)):
        frame[first : first + 9].to_parquet(folder / "parts" / f"{part}.parquet")
    return str(folder / "parts")


def _csv(frame, folder):
    frame.to_csv(folder / "t.csv", index=False)
    return str(folder / "t.csv")


def _unknown_categories(frame, folder):
    lazy = dd.from_pandas(frame.astype({"color": "category"}), npartitions=3, sort=False)
    return lazy.assign(color=lazy.color.cat.as_unknown())


CONTAINERS = {
    "pandas": lambda frame, folder: frame,
    "pandas, objects": lambda frame, folder: frame.astype({"color": object}),
    "pandas, categorical": lambda frame, folder: frame.astype({"color": "category"}),
    "pandas, Arrow": lambda frame, folder: frame.convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda frame, folder: pl.from_pandas(frame),
    "polars, categorical": lambda frame, folder: pl.from_pandas(frame).with_columns(
        pl.col("color").cast(pl.Categorical)
    ),
    "polars, Enum": lambda frame, folder: pl.from_pandas(frame).with_columns(
        pl.col("color").cast(pl.Enum(frame.color.dropna().unique().tolist()))
    ),
    "pyarrow": lambda frame, folder: pa.Table.from_pandas(frame),
    "pyarrow, dictionary": lambda frame, folder: pa.Table.from_pandas(
        frame.astype({"color": "category"})
    ),
    "dask DataFrame": lambda frame, folder: dd.from_pandas(frame, npartitions=3, sort=False),
    "dask DataFrame, categorical": lambda frame, folder: dd.from_pandas(
        frame.astype({"color": "category"}), npartitions=3, sort=False
    ),
    "dask DataFrame, unknown categories": _unknown_categories,
    "Parquet": _written,
    "Parquet, categorical": lambda frame, folder: _written(
        frame.astype({"color": "category"}), folder
    ),
    "Parquet, files": _files,
    "CSV": _csv,
}


@st.composite
def tables(draw):
    """A frame with columns of categories between numbers; some colors may be missing."""
    n, seed = draw(st.integers(8, 40)), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    colors = np.array(draw(st.permutations(["blue", "dark red", "Grün", "a,b", '"q"', "ß=1"])))
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "color": colors[rng.integers(0, draw(st.integers(1, 6)), n)],
            "y": rng.integers(0, 9, n),
            "size": rng.integers(-3, 12, n),
            "open": rng.random(n) > 0.5,
        }
    )
    for row in draw(st.sets(st.integers(1, n - 1), max_size=2)):
        frame.loc[row, "color"] = None
    return frame


def dummies(frame):
    """What pandas makes of the columns, in the order of their places, missing values as NaN."""
    parts = []
    for name in frame.columns:
        if name in COLUMNS:
            made = pd.get_dummies(frame[name], prefix=name, prefix_sep="=", dtype=float)
            made[frame[name].isna()] = np.nan
            parts.append(made)
        else:
            parts.append(frame[[name]])
    return pd.concat(parts, axis=1)


@settings(max_examples=60)
@given(container=st.sampled_from(list(CONTAINERS)), frame=tables())
def test_features_are_those_of_pandas(container, frame):
    """In every container, with the categories in order; numbers are in the order of numbers."""
    with tempfile.TemporaryDirectory() as folder:
        X = CONTAINERS[container](frame, Path(folder))
        points = as_points(X, one_hot=COLUMNS)
        pieces = [piece for block in points.blocks for piece in block.source.pieces()]
        wanted = dummies(frame)
        assert points.feature_names == tuple(wanted.columns)
        values = np.concatenate([np.asarray(piece.values, float) for piece in pieces])
        np.testing.assert_array_equal(values, wanted.to_numpy(float))


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": rng.normal(size=60),
            "color": rng.choice(["red", "blue", "green"], 60),
            "y": rng.normal(size=60),
            "size": rng.integers(1, 12, 60),
            "open": rng.random(60) > 0.5,
        }
    )


@pytest.mark.parametrize("options", [{"standardize": True}, {"metric": "cosine"}])
def test_a_fit_is_that_of_the_features(frame, options, tmp_path):
    wanted = KMeans(3, random_state=0, **options).fit(dummies(frame).astype(float))
    for container, make in CONTAINERS.items():
        model = KMeans(3, one_hot=COLUMNS, random_state=0, **options).fit(make(frame, tmp_path))
        np.testing.assert_array_equal(model.cluster_centers_, wanted.cluster_centers_, container)
        np.testing.assert_array_equal(as_numpy(model.labels_), wanted.labels_)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_model_knows_its_categories(frame, tmp_path):
    """Saved and loaded, it labels rows of which not all categories are there."""
    model = KMeans(3, one_hot=COLUMNS, random_state=0).fit(frame)
    model.save(str(tmp_path / "m.zarr"))
    loaded = load_model(str(tmp_path / "m.zarr"))
    few = frame[frame.color == "red"][:5].assign(other="text")
    few = few[["open", *frame.columns[:4], "other"]]
    for container in ("Parquet", "CSV"):  # by name, whatever else is there
        labels = loaded.predict(CONTAINERS[container](few, tmp_path))
        np.testing.assert_array_equal(as_numpy(labels), as_numpy(model.labels_)[few.index])
    for container, make in CONTAINERS.items():
        labels = as_numpy(loaded.predict(make(frame[:20], tmp_path)))
        np.testing.assert_array_equal(labels, as_numpy(model.labels_)[:20], container)
    assert "color=red_mean" in loaded.describe(frame).table
    assert list(loaded.labelled_centers_) == list(dummies(frame))
    assert loaded.coarsen(2).predict(frame[:9]).shape == (9,)
    # Features that were made by hand are as good.
    np.testing.assert_array_equal(loaded.predict(dummies(frame).to_numpy(float)), model.labels_)


@pytest.mark.parametrize("container", [name for name in CONTAINERS if "Enum" not in name])
def test_a_category_that_the_fit_did_not_have(frame, container, tmp_path):
    model = KMeans(3, one_hot=COLUMNS, random_state=0).fit(frame)
    frame.loc[7, "color"] = "pink"
    said = re.escape("Column 'color' has the category 'pink' at row 7")
    with pytest.raises(CategoryError, match=said + ".*'blue', 'green', 'red'"):
        dask.compute(model.predict(CONTAINERS[container](frame, tmp_path)))


def test_categories_of_the_type_are_features_though_no_row_has_them():
    kinds = pd.CategoricalDtype(["small", "large", "huge"], ordered=True)
    frame = pd.DataFrame({"a": [0.0, 1, 5, 6], "b": pd.Series([*"abba"]).map(
        {"a": "small", "b": "large"}).astype(kinds)})  # fmt: skip
    names = ("a", "b=huge", "b=large", "b=small")
    for X in (frame, dd.from_pandas(frame, npartitions=2), pa.Table.from_pandas(frame)):
        assert as_points(X, one_hot="b").feature_names == names
    assert as_points(frame, one_hot={"b": ["small", "large"]}).feature_names == (
        "a", "b=small", "b=large",
    )  # fmt: skip


def test_every_estimator_and_batches(frame):
    one = {"one_hot": ["color"], "random_state": 0}
    X = frame[["x", "color"]]
    assert "color=red" in BisectingKMeans(2, **one).fit(X).feature_names_in_
    assert sweep(X, range(1, 3), **one)[2].predict(X[:3]).shape == (3,)
    model = KMeans(2, **one)
    for first in range(0, 60, 20):
        model.partial_fit(X[first : first + 20])
    assert model.predict(X).shape == (60,)


def test_folders_are_columns_of_categories(frame, tmp_path):
    for color, rows in frame.groupby("color"):
        folder = tmp_path / "t" / f"color={color}"
        folder.mkdir(parents=True)
        rows[["x", "y"]].to_parquet(folder / "0.parquet")
    X = str(tmp_path / "t")
    model = KMeans(3, one_hot="color", random_state=0).fit(X)
    assert list(model.feature_names_in_) == ["x", "y", "color=blue", "color=green", "color=red"]
    by_hand = frame.sort_values("color", kind="stable")[["x", "y", "color"]]
    np.testing.assert_array_equal(as_numpy(model.labels_), model.predict(by_hand))


def test_columns_are_chosen_beside_them(frame, tmp_path):
    path = _written(frame, tmp_path)
    source = open_source(path, columns="y", one_hot="color")
    assert source.feature_names == ("y", "color=blue", "color=green", "color=red")
    assert open_source(path, ["color", "x"], one_hot="color").feature_names[-2:] == (
        "color=red", "x",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (lambda X: KMeans(2, one_hot="x").fit(X), TypeError, "holds double.*one_hot"),
        (lambda X: KMeans(2, one_hot="z").fit(X), ValueError, "no column 'z'"),
        (lambda X: KMeans(2, one_hot=3).fit(X), ValueError, "'one_hot' parameter"),
        (lambda X: KMeans(2, one_hot=["x", "x"]).fit(X), ValueError, "'one_hot' parameter"),
        (lambda X: KMeans(2, one_hot={"x": []}).fit(X), ValueError, "'one_hot' parameter"),
        (lambda X: KMeans(2, one_hot="a").fit(X.to_numpy()[:, :1]), ValueError, "is no table"),
        (lambda X: KMeans(2, one_hot="n").fit(X.assign(n=None)), ValueError, "no category in any"),
        (lambda X: KMeans(2, one_hot="m").fit(X.assign(m=[1, "a"] * 30)), TypeError, "of several"),
        (lambda X: KMeans(2, one_hot="color").fit(X.assign(**{"color=red": 1})), ValueError,
         "several columns of one name"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*without numbers left out")
def test_refusals(frame, wrong, error, said):
    with pytest.raises(error, match=said):
        wrong(frame)


@pytest.mark.filterwarnings("ignore:.*without numbers left out")
def test_refusals_of_files(frame, tmp_path, monkeypatch):
    path = _written(frame, tmp_path)
    with pytest.raises(TypeError, match="'x' holds double"):
        open_source(path, one_hot="x")
    with pytest.raises(ValueError, match="cannot be one-hot and no feature"):
        open_source(path, exclude="color", one_hot="color")
    with pytest.raises(ValueError, match="cannot be one-hot and no feature"):
        open_source(path, weight_column="size", one_hot="size")
    zarr.create_array(str(tmp_path / "a.zarr"), data=np.ones((4, 2)))
    with pytest.raises(ValueError, match="is no table"):
        open_source(tmp_path / "a.zarr", one_hot="a")
    monkeypatch.setattr(one_hot, "MAX_CATEGORIES", 2)
    for X in (frame, path, _csv(frame, tmp_path), CONTAINERS["dask DataFrame"](frame, tmp_path)):
        with pytest.raises(CategoryError, match="'color' has more than 2 categories"):
            KMeans(2, one_hot="color").fit(X)


def test_a_stored_category_has_to_be_a_feature(frame, tmp_path):
    url = tmp_path / "m.zarr"
    KMeans(3, one_hot="color", random_state=0).fit(frame[["x", "color"]]).save(str(url))
    metadata = json.loads((url / "zarr.json").read_text())
    metadata["attributes"]["categories"]["color"].append("pink")
    (url / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match="'color=pink' is a category and no feature"):
        load_model(str(url))


@pytest.mark.parametrize("container", ["Parquet", "CSV"])
def test_from_the_shell(frame, container, tmp_path, capsys):
    source, model = str(CONTAINERS[container](frame, tmp_path)), str(tmp_path / "m.zarr")
    labels, report = str(tmp_path / "l.parquet"), str(tmp_path / "r.json")
    one_hots = ["--one-hot", ",".join(COLUMNS)]
    with pytest.raises(SystemExit) as end:
        main(["fit", source, "-k", "3", *one_hots, "--model", model, "--report", report,
              "--labels", labels, "--keep", "color,size", "--quiet"])  # fmt: skip
    assert end.value.code == 0, capsys.readouterr().err
    expected = KMeans(3, one_hot=COLUMNS, random_state=0).fit(frame)
    kept = pd.read_parquet(labels)
    np.testing.assert_array_equal(kept["label"], expected.labels_)
    assert kept["color"].tolist() == frame.color.tolist()
    assert kept["size"].astype(int).tolist() == frame["size"].tolist()
    assert json.loads(Path(report).read_text())["categories"]["color"] == ["blue", "green", "red"]
    for command in (["predict", "--labels", labels, "--overwrite"], ["describe", "--top", "1"]):
        with pytest.raises(SystemExit) as end:
            main([command[0], source, "--model", model, *command[1:]])
        assert end.value.code == 0, capsys.readouterr().err
    np.testing.assert_array_equal(pd.read_parquet(labels)["label"], expected.labels_)
