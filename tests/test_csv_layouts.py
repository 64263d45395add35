"""CSV files as they come: headers, separators, line ends, quotes, compression, late texts."""

from __future__ import annotations

import gzip
import re
import warnings

import numpy as np
import pytest
from reading import rows_of

from dask_kmeans import KMeans
from dask_kmeans.checks import InvalidFileError, ReadError
from dask_kmeans.read import as_points, from_csv, open_source

TABLE = [[1.0, 2.0], [3.0, 4.0]]


def said(*parts):
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)


@pytest.fixture
def csv(tmp_path):
    """A function that writes bytes to a file and gives its path."""

    def write(content):
        (tmp_path / "x.csv").write_bytes(content)
        return tmp_path / "x.csv"

    return write


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"\xef\xbb\xbfa,b\n1,2\n3,4\n", ("a", "b")),
        (b"\n\n  \na,b\n1,2\n\n3,4\n", ("a", "b")),
        (b"a,b\r1,2\r3,4\r", ("a", "b")),
        (b"a,b\r1,2\r3,4", ("a", "b")),
        (b"a,b\r\n1,2\r\n\r\n3,4", ("a", "b")),
        (b"a;b\n1;2\n3;4\n", ("a", "b")),
        (b"a\tb\n1\t2\n3\t4\n", ("a", "b")),
        (b"a|b\n1|2\n3|4\n", ("a", "b")),
        (b"size, m;b\n1;2\n3;4\n", ("size, m", "b")),
        (b'"a,b";c\n1;2\n3;4\n', ("a,b", "c")),
        (b'"a","b, c"\n1,2\n3,4\n', ("a", "b, c")),
        (b'"a ""x""",b\n1,2\n3,4\n', ('a "x"', "b")),
        (b'a"b,c\n1,2\n3,4\n', ('a"b', "c")),
        (b'"a\nz",b\n1,2\n3,4\n', ("a\nz", "b")),
        (b'"a\r\nz",b\r\n1,2\r\n3,4\r\n', ("a\r\nz", "b")),
        (b"'a','b'\n1,2\n3,4\n", ("'a'", "'b'")),
        (b"a, b\n 1, 2\n3 ,4\n", ("a", " b")),
        (gzip.compress(b"a,b\n1,2\n3,4\n", mtime=0), ("a", "b")),
        ("gr\xf6\xdfe,b\n1,2\n3,4\n".encode(), ("gr\xf6\xdfe", "b")),
    ],
)
def test_layouts(csv, content, names):
    points = as_points(csv(content))
    assert points.feature_names == names
    np.testing.assert_array_equal(rows_of(points)[0], TABLE)


@pytest.mark.parametrize(
    ("content", "left_out"),
    [
        (b'a,text,b\n1,"x\ny",2\n3,"z",4\n', "'text'"),
        (b'a,text,b\n1,5" pipe,2\n3,z,4\n', "'text'"),
        ("a,text,b\n1,\xf6,2\n3,x,4\n".encode("latin-1"), "'text'"),
        (b"a,day,b\n1,2020-01-01,2\n3,2020-01-02,4\n", "'day' (date"),
        (b'a,euro,b\n1,"1,5",2\n3,"2,5",4\n', "'euro'"),
        (b",a,b\n0,1,2\n1,3,4\n", "''"),
        (b"a,b,\n1,2,\n3,4,\n", "''"),
        (b"Unnamed: 0,a,b\n0,1,2\n1,3,4\n", "'Unnamed: 0'"),
    ],
)
def test_columns_that_are_left_out(csv, content, left_out):
    with pytest.warns(UserWarning, match=said("1 column(s)", left_out)):
        points = as_points(csv(content))
    assert points.feature_names == ("a", "b")
    np.testing.assert_array_equal(rows_of(points)[0], TABLE)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["empty", "header"]),
        (b"\n\n", ["empty", "header"]),
        (b'"a,b\n1,2\n3,4\n', ["quote", "no end"]),
        (b"a,b\n1,2\n3\n", ["Expected 2 columns, got 1"]),
        (b"a,b\n1,2\n3,4,5\n", ["Expected 2 columns, got 3"]),
        ("a,b\n1,2\n".encode("utf-16"), ["UTF-8"]),
        ("a,b\n1,2\n".encode("utf-16-le"), ["UTF-8"]),
        ("gr\xf6\xdfe,b\n1,2\n".encode("latin-1"), ["UTF-8"]),
        (b"PAR1\0\0", ["Parquet", "*.parquet"]),
        (bytes(range(128, 256)), ["UTF-8"]),
    ],
)
def test_what_is_no_csv(csv, content, parts):
    with pytest.raises(InvalidFileError, match=said("x.csv is not a CSV file", *parts)):
        open_source(csv(content))


def test_a_header_alone(csv):
    for content in (b"a,b\n", b"a,b"):
        with pytest.raises(ValueError, match=said("0 sample(s)", "(0, 2)")):
            KMeans(1).fit(csv(content))


def test_a_gzip_file_cut_short(csv):
    with pytest.raises(ReadError, match=said("x.csv", "EOFError")):
        open_source(csv(gzip.compress(b"a,b\n1,2\n" * 1000)[:30]))


def test_plain_text_that_is_named_gz(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(b"a,b\n1,2\n3,4\n")
    np.testing.assert_array_equal(rows_of(as_points(tmp_path / "x.csv.gz"))[0], TABLE)


def test_booleans(csv):
    points = as_points(csv(b"a,b\ntrue,2\n,3\nFalse,4\n"))
    np.testing.assert_array_equal(rows_of(points)[0], [[1, 2], [np.nan, 3], [0, 4]])


# What the first MiB does not show


@pytest.fixture
def short_head(monkeypatch):
    """Files of which 100 bytes are looked into, and 200 read at once."""
    from dask_kmeans.read import csv_format

    monkeypatch.setattr(csv_format, "HEAD_BYTES", 100)
    monkeypatch.setattr(from_csv, "HEAD_BYTES", 100)
    monkeypatch.setattr(from_csv, "BLOCK_BYTES", 200)


@pytest.mark.usefixtures("short_head")
def test_a_column_whose_values_come_late(csv):
    rows = [f"{n}," for n in range(500)] + [f"{n},{n}" for n in range(500, 600)]
    points = as_points(csv("\n".join(["x,y", *rows]).encode()))
    assert len(points.blocks) > 5
    found = rows_of(points)[0]
    assert points.feature_names == ("x", "y")
    np.testing.assert_array_equal(found[:, 0], np.arange(600))
    assert np.isnan(found[:500, 1]).all()
    np.testing.assert_array_equal(found[500:, 1], np.arange(500, 600))


@pytest.mark.usefixtures("short_head")
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("early", ["7", ""])
def test_a_text_that_comes_late(csv, compressed, early):
    rows = [f"{n},{early}" for n in range(600)]
    rows[321] = "321, see below"
    rows[500] = "x,1"
    content = "\n\n".join(["x,note", *rows]).encode()
    source = open_source(csv(gzip.compress(content) if compressed else content))
    with pytest.raises(
        InvalidFileError,
        match=said("'note'", "x.csv", "'see below'", "row 321", "exclude=['note']"),
    ):
        rows_of(as_points(source))


@pytest.mark.usefixtures("short_head")
def test_a_row_that_is_too_short_is_counted_from_the_beginning(csv):
    rows = [f"{n},1" for n in range(600)]
    rows[432] = "432"
    with pytest.raises(InvalidFileError, match=said("Row #433")):
        rows_of(as_points(csv("\n".join(["x,y", *rows]).encode())))


@pytest.mark.usefixtures("short_head")
@pytest.mark.parametrize("late", [0, 5, 250])
def test_line_ends_in_quotes(csv, late):
    """Right, or refused: never rows that begin in the middle of a text."""
    text = '"one, two\n7,8,9\nthree ""four"""'
    rows = [f"{n},{text if n >= late else 'x'},{n}" for n in range(400)]
    content = "\n".join(["x,t,y", *rows]).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = open_source(csv(content))
        if late > 10:
            with pytest.raises(InvalidFileError, match=said("quotes", "Parquet", "read_csv")):
                rows_of(as_points(source))
        else:
            found = rows_of(as_points(source))[0]
            np.testing.assert_array_equal(found, np.repeat(np.arange(400.0), 2).reshape(-1, 2))


@pytest.mark.usefixtures("short_head")
def test_quotes_in_the_middle_of_fields_mean_nothing(csv):
    rows = [f"{n},{n % 3 * 5}{'x' if n < 50 else chr(34)} pipe,{n}" for n in range(400)]
    with pytest.warns(UserWarning, match="'t'"):
        points = as_points(csv("\n".join(["x,t,y", *rows]).encode()))
    assert len(points.blocks) > 5
    np.testing.assert_array_equal(rows_of(points)[0][:, 1], np.arange(400))


def test_files_that_differ_in_types(tmp_path):
    (tmp_path / "1.csv").write_text("a,b,c\n1,,true\n")
    (tmp_path / "2.csv").write_text("a,b,c\n2,x,1\n")
    with pytest.warns(UserWarning, match=said("2 column(s)", "'b'", "'c'")):
        points = as_points(tmp_path)
    np.testing.assert_array_equal(rows_of(points)[0], [[1], [2]])
