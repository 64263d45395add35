"""What a folder holds: which files are read, which are named, which tables are refused."""

from __future__ import annotations

import json
import re
import warnings

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from reading import rows_of

from dask_kmeans.checks import InvalidFileError
from dask_kmeans.read import as_points, open_source


def said(*parts):
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


def put(path, *values):
    """A Parquet file with one column, x."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"x": np.array(values, float)}), path)


def values_at(place):
    """The values of a table of one column, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return rows_of(as_points(str(place)))[0].ravel().tolist()


# Existence before globbing


@pytest.mark.parametrize("name", ["run[1]", "a*b", "what?", "x[!y]"])
def test_what_exists_is_no_glob(tmp_path, name):
    put(tmp_path / name / "a.parquet", 1, 2)
    put(tmp_path / "run1" / "a.parquet", 500)
    put(tmp_path / "axb" / "a.parquet", 500)
    assert values_at(tmp_path / name) == [1, 2]
    assert values_at(tmp_path / name / "a.parquet") == [1, 2]
    (tmp_path / name / "y.csv").write_text("x\n3\n")
    assert values_at(tmp_path / name / "y.csv") == [3]


def test_globs_of_files_and_folders(tmp_path):
    put(tmp_path / "run1" / "a.parquet", 1)
    put(tmp_path / "run10" / "b" / "a.parquet", 10)
    put(tmp_path / "run2" / "a.parquet", 2)
    assert values_at(tmp_path / "run*") == [1, 2, 10]
    assert values_at(tmp_path / "run[12]") == [1, 2]
    assert values_at(tmp_path / "run?" / "*.parquet") == [1, 2]
    with pytest.raises(FileNotFoundError, match="Nothing exists"):
        open_source(tmp_path / "run[34]")


# What is read


def test_markers_are_passed_over_in_silence(tmp_path):
    put(tmp_path / "part.0.parquet", 0)
    put(tmp_path / "part.10.parquet", 10)
    put(tmp_path / "part.2.parquet", 2)
    names = ("_SUCCESS", "_metadata", "_common_metadata", ".part.0.parquet.crc", "_committed_123")
    for name in (*names, ".hidden.parquet"):
        (tmp_path / name).write_bytes(b"x")
    put(tmp_path / ".ipynb_checkpoints" / "part.parquet", 500)
    assert values_at(tmp_path) == [0, 2, 10]


def test_parts_without_an_ending(tmp_path):
    """As Hadoop and Hive name them."""
    for number in range(3):
        put(tmp_path / f"part-0000{number}", number)
    put(tmp_path / "000000_0", 7)
    assert values_at(tmp_path) == [7, 0, 1, 2]
    assert values_at(tmp_path / "part-*") == [0, 1, 2]
    assert values_at(tmp_path / "part-00001") == [1]


def test_links_are_followed(tmp_path):
    put(tmp_path / "elsewhere" / "a.parquet", 1)
    put(tmp_path / "elsewhere" / "b" / "b.parquet", 2)
    table = tmp_path / "table"
    table.mkdir()
    (table / "1.parquet").symlink_to(tmp_path / "elsewhere" / "a.parquet")
    (table / "2").symlink_to(tmp_path / "elsewhere" / "b")
    (table / "3").symlink_to(table)  # a circle
    assert values_at(table) == [1, 2]
    (tmp_path / "link").symlink_to(table)
    assert values_at(tmp_path / "link") == [1, 2]
    assert values_at(tmp_path / "table" / "[12]*") == [1, 2]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_partitions_are_columns(tmp_path, suffix):
    """Numbers are features, as Arrow has it; texts are named."""
    for year, country in ((2021, "DE"), (2021, "FR"), (2020, "DE")):
        folder = tmp_path / f"year={year}" / f"country={country}"
        folder.mkdir(parents=True)
        frame = pd.DataFrame({"x": [year + 0.5]})
        if suffix == "csv":
            frame.to_csv(folder / "a.csv", index=False)
        else:
            frame.to_parquet(folder / "a.parquet")
    with pytest.warns(UserWarning, match=said("1 column(s)", "'country'")):
        points = as_points(tmp_path)
    assert points.feature_names == ("x", "year")
    expected = [[2020.5, 2020], [2021.5, 2021], [2021.5, 2021]]
    np.testing.assert_array_equal(rows_of(points)[0], expected)
    source = open_source(tmp_path, columns=["year"], weight_column="x")
    values, weights, _ = rows_of(as_points(source))
    np.testing.assert_array_equal(np.c_[weights, values], expected)
    with pytest.raises(TypeError, match=said("'country'", "not numbers")):
        open_source(tmp_path, columns=["country"])


def test_partitions_that_a_file_lacks(tmp_path):
    put(tmp_path / "day=1" / "a.parquet", 1)
    put(tmp_path / "day=__HIVE_DEFAULT_PARTITION__" / "a.parquet", 2)
    put(tmp_path / "day=1%2F2" / "deep" / "a.parquet", 3)
    with pytest.warns(UserWarning, match=said("'day'")):
        assert as_points(tmp_path).feature_names == ("x",)
    found = rows_of(as_points(tmp_path / "day=[1_]*" / "a.parquet"))[0]
    np.testing.assert_array_equal(found, [[1, 1], [2, np.nan]])


def test_a_column_of_the_file_goes_before_that_of_its_folder(tmp_path):
    put(tmp_path / "x=3" / "a.parquet", 1)
    assert values_at(tmp_path) == [1]


# What is named


def test_what_is_passed_over_is_named(tmp_path):
    put(tmp_path / "a.parquet", 1)
    put(tmp_path / "_temporary" / "0" / "b.parquet", 500)
    (tmp_path / "README.md").write_text("About this table")
    zarr.create_array(tmp_path / "old.zarr", data=np.zeros((50, 2)), chunks=(1, 1))
    with pytest.warns(UserWarning, match="passed over") as seen:
        assert as_points(tmp_path).n_rows == 1
    assert len(seen) == 1
    text = str(seen[0].message)
    assert said("3 file(s)", "README.md", "_temporary/0/b.parquet", "old.zarr").search(text), text


def test_many_that_are_passed_over(tmp_path):
    put(tmp_path / "a.parquet", 1)
    for number in range(12):
        (tmp_path / f"{number}.txt").write_text("x")
    with pytest.warns(UserWarning, match=said("12 file(s)", "'0.txt', '1.txt'", "12 in all")):
        open_source(tmp_path)


def test_a_folder_of_nothing_that_can_be_read(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(FileNotFoundError, match=said("no Parquet file", "'a.txt'")):
        open_source(tmp_path)
    with pytest.raises(FileNotFoundError, match=said("no Parquet file", "'a.txt'")):
        open_source(tmp_path / "*")


def test_a_folder_of_several_formats(tmp_path):
    put(tmp_path / "a.parquet", 1)
    (tmp_path / "b.csv").write_text("x\n2\n")
    with pytest.raises(ValueError, match=said("1 CSV file(s) and 1 Parquet", "*.parquet")) as error:
        open_source(tmp_path)
    globs = re.findall(r"\S+/\*\.\w+", str(error.value))
    assert [values_at(glob) for glob in globs] == [[1], [2]]


def test_empty_files(tmp_path):
    put(tmp_path / "a.parquet", 1)
    (tmp_path / "b.parquet").touch()
    with pytest.raises(InvalidFileError, match=said("b.parquet", "0 bytes")):
        open_source(tmp_path)


def test_a_file_under_a_wrong_name(tmp_path):
    (tmp_path / "a.parquet").write_text("x\n1\n")
    with pytest.raises(InvalidFileError, match=said("a.parquet is not a Parquet file")):
        open_source(tmp_path)


def test_columns_of_nothing_but_nulls_are_of_any_type(tmp_path):
    """As pandas and Dask write a part of a table in which a column has no value."""
    pq.write_table(pa.table({"x": [1, 2], "y": pa.nulls(2)}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"x": [3], "y": [7]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"x": [4], "y": pa.nulls(1)}), tmp_path / "2.parquet")
    found = rows_of(as_points(tmp_path))[0]
    np.testing.assert_array_equal(found, [[1, np.nan], [2, np.nan], [3, 7], [4, np.nan]])


# Tables whose own records say which files count


def _delta(table):
    put(table / "removed.parquet", 1000)
    put(table / "day=1" / "a.parquet", 1)
    (table / "_delta_log").mkdir()
    action = {"add": {"path": "day=1/a.parquet"}}
    (table / "_delta_log" / f"{0:020}.json").write_text(json.dumps(action))
    return table / "day=1"


def _hudi(table):
    put(table / "day=1" / "a.parquet", 1)
    (table / ".hoodie").mkdir()
    (table / ".hoodie" / "hoodie.properties").write_text("hoodie.table.name=t")
    return table / "day=1"


def _iceberg(table):
    put(table / "data" / "day=1" / "a.parquet", 1)
    (table / "metadata").mkdir()
    (table / "metadata" / "00000-1.metadata.json").write_text("{}")
    return table / "data" / "day=1"


@pytest.mark.parametrize(
    ("make", "kind", "line"),
    [
        (_delta, "Delta", "DeltaTable("),
        (_hudi, "Hudi", "Hudi"),
        (_iceberg, "Iceberg", "to_arrow()"),
    ],
)
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_table_formats(tmp_path, make, kind, line, scheme):
    """The table, what is above it, parts of it, and globs of its files."""
    part = make(tmp_path / "lake" / "table")
    table = tmp_path / "lake" / "table"
    for place in (table, tmp_path / "lake", part, f"{part}/*.parquet", f"{table}/*", f"{table}/"):
        with pytest.raises(ValueError, match=said(f"{kind} table {table}", line)):
            open_source(f"{scheme}{place}")


def test_the_same_elsewhere(tmp_path):
    """Through any file system of fsspec."""
    memory = fsspec.filesystem("memory")
    for name, path in (("_SUCCESS", "t"), ("part-00000", "t"), ("a.parquet", "t/year=7")):
        put(tmp_path / name, 1)
        memory.put_file(str(tmp_path / name), f"/{path}/{name}")
    memory.pipe_file("/d/_delta_log/0.json", b"{}")
    memory.put_file(str(tmp_path / "a.parquet"), "/d/a.parquet")
    np.testing.assert_array_equal(rows_of(as_points("memory://t"))[0], [[1, np.nan], [1, 7]])
    with pytest.raises(ValueError, match="Delta"):
        open_source("memory://d")
