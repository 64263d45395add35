"""Bad inputs by the thousand: each is refused by a message of ours, and leaves nothing behind.

The quick profile draws some of them; with `-m slow` 2000 go to the API and 300 to the command line.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import traceback
import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import blobs
from sklearn.exceptions import NotFittedError

from dask_kmeans import KMeans, cli, load_model

X = blobs(40, 3, 3)
PATIENCE = 30
"""Seconds after which an input counts as one that makes it hang."""


@contextlib.contextmanager
def no_hang():
    def give_up(number, frame):
        raise AssertionError(f"no end within {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def is_ours(error):
    """Raised by this package's own code; its text has a few words in it."""
    kinds = (ValueError, TypeError, OSError, ImportError, NotFittedError)
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    return isinstance(error, kinds) and "dask_kmeans" in last and len(str(error).split()) >= 5


# What can be wrong with a parameter


def not_a_number():
    return st.one_of(
        st.text(max_size=5),
        st.sampled_from([float("nan"), float("inf"), -float("inf"), None, [], {}, (), object()]),
        st.binary(max_size=3),
        st.complex_numbers(),
        st.dates(),
    )


def below_one():
    return st.one_of(
        st.integers(max_value=0),
        st.floats(),
        st.booleans(),
        not_a_number().filter(lambda v: v != "auto"),
    )


def negative():
    return st.one_of(
        st.floats(max_value=-1e-300), st.integers(max_value=-1), not_a_number(), st.booleans()
    )


def other_names(*good):
    return st.one_of(st.text(max_size=12).filter(lambda v: v not in good), st.integers(), st.none())


INITS = ("k-means||", "k-means++", "random", "random_partition", "random_pairs", "random_box")

PARAMETERS = {
    "n_clusters": st.one_of(below_one(), st.integers(min_value=41)),
    "n_init": below_one(),
    "max_iter": below_one(),
    "tol": negative(),
    "oversampling_factor": st.one_of(negative(), st.just(0)),
    "init_rounds": below_one(),
    "algorithm": other_names("auto", "lloyd"),
    "metric": other_names("euclidean", "cosine"),
    "nan": other_names("raise", "skip"),
    "init": st.one_of(
        other_names(*INITS).filter(lambda v: not callable(v)),
        st.tuples(st.integers(0, 5), st.integers(0, 5))
        .filter(lambda shape: shape != (3, 3))
        .map(np.zeros),
        st.sampled_from(
            [
                np.full((3, 3), np.nan),
                np.full((3, 3), np.inf),
                np.full((3, 3), "x"),
                [[1, 2, 3]],
                [["a"] * 3] * 3,
            ]
        ),
    ),
    "random_state": st.one_of(
        st.integers(max_value=-1), st.floats(), st.text(), st.integers(2**64)
    ),
    "verbose": st.one_of(st.integers(max_value=-1), st.text(), st.none()),
    "memory_budget": st.one_of(
        st.integers(max_value=-1), st.sampled_from(["much", "-3 GiB", "1e400", 1.5])
    ),
    "checkpoint": st.sampled_from(["/no/such/folder/state", "nosuch://place/state", "/"]),
}


@st.composite
def bad_parameters(draw):
    name = draw(st.sampled_from(sorted(PARAMETERS)))
    return {name: draw(PARAMETERS[name])}


# What can be wrong with the data


def spoilt(value):
    def spoil(at):
        out = X.copy()
        out[at] = value
        return out

    return st.tuples(st.integers(0, 39), st.integers(0, 2)).map(spoil)


def bad_array():
    shapes = st.one_of(
        st.just(()),
        st.tuples(st.integers(0, 5)),
        st.tuples(st.just(0), st.integers(0, 3)),
        st.tuples(st.integers(3, 5), st.just(0)),
        st.tuples(*[st.integers(1, 3)] * 3),
        st.tuples(st.integers(1, 2), st.integers(1, 3)),
    )
    return st.one_of(
        shapes.map(np.zeros),
        spoilt(np.nan),
        spoilt(np.inf),
        spoilt(-np.inf),
        st.sampled_from(["U3", "S3", "c16", "M8[s]", "m8[s]", "V4"]).map(
            lambda kind: np.zeros((40, 3), kind)
        ),
        st.just(np.full((40, 3), None)),
    )


KINDS = {
    "NumPy": lambda X: X,
    "dask": lambda X: (
        da.from_array(X, chunks=max(1, (len(X) if X.ndim else 0) // 2)) if X.ndim else X
    ),
    "pandas": lambda X: pd.DataFrame(X) if X.ndim == 2 else X,
    "xarray": lambda X: xr.DataArray(X, dims=[f"dim{i}" for i in range(X.ndim)]),
    "list": lambda X: X.tolist(),
}


@st.composite
def bad_data(draw):
    other = st.one_of(
        st.none(),
        st.integers(),
        st.text(max_size=8),
        st.binary(max_size=4),
        st.just({}),
        st.just([]),
        st.just({"a": [1, 2]}),
        st.just([[1, 2], [3]]),
        st.just([["a", "b"]]),
        st.just(object()),
        st.sampled_from(
            ["/no/such/file.npy", "nosuch://bucket/x.zarr", "x.parquet", "*.csv", "s3://"]
        ),
    )
    made = st.builds(lambda kind, X: KINDS[kind](X), st.sampled_from(sorted(KINDS)), bad_array())
    return draw(st.one_of(made, made, other))


def bad_weights():
    return st.one_of(
        st.integers(0, 60).filter(lambda n: n not in (40,)).map(np.ones),
        st.sampled_from([-1.0, np.nan, np.inf, 0.0]).map(lambda v: np.full(40, v)),
        st.just(np.ones((40, 2))),
        st.just(["x"] * 40),
        st.just(np.full(40, 1j)),
        st.text(max_size=4).filter(lambda v: v != ""),
    )


CASES = st.one_of(
    st.tuples(st.just(X), st.none(), bad_parameters()),
    st.tuples(bad_data(), st.none(), st.just({})),
    st.tuples(st.just(X), bad_weights(), st.just({})),
    st.tuples(bad_data(), bad_weights(), bad_parameters()),
)


def refused(case):
    data, weights, parameters = case
    model = KMeans(**{"n_clusters": 3, "random_state": 0, **parameters})
    with warnings.catch_warnings(), no_hang():
        warnings.simplefilter("ignore")
        try:
            model.fit(data, sample_weight=weights)
        except Exception as error:
            assert is_ours(error), "".join(traceback.format_exception(error))[-1500:]  # noqa: PT017
        else:
            raise AssertionError(f"accepted: {parameters or weights!r}")
    assert not hasattr(model, "cluster_centers_")


@contextlib.contextmanager
def nothing_left():
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield Path(folder)
        assert os.listdir(folder) == []


@settings(max_examples=150)
@given(CASES)
def test_the_api_refuses(case):
    with nothing_left():
        refused(case)


@pytest.mark.slow
@settings(max_examples=2000)
@given(CASES)
def test_the_api_refuses_2000(case):
    with nothing_left():
        refused(case)


@settings(max_examples=40)
@given(bad_data())
def test_a_fitted_model_refuses(data):
    model = KMeans(3, random_state=0).fit(X)
    if isinstance(data, np.ndarray) and data.shape in [(1, 3), (2, 3)]:
        return  # too few rows to fit, enough to label
    for method in (model.predict, model.transform, model.score):
        with warnings.catch_warnings(), no_hang():
            warnings.simplefilter("ignore")
            try:
                found = method(data)
                np.asarray(found)  # lazy data speaks when it is read
            except Exception as error:
                assert isinstance(error, ValueError | TypeError | OSError | ImportError)  # noqa: PT017


# The command line


WORDS = st.one_of(
    st.sampled_from(
        [
            "fit",
            "predict",
            "inspect",
            "sweep",
            "--n-clusters",
            "-k",
            "--model",
            "--labels",
            "--tol",
            "--max-iter",
            "--columns",
            "--workers",
            "--report",
            "--checkpoint",
            "--resume",
            "--nan",
            "--quiet",
            "--random-state",
            "--sample-weight",
            "--nosuch",
            "0",
            "-1",
            "3",
            "1e999",
            "nan",
            "a,b",
            ",",
            "x.npy",
            "m.zarr",
            "l.csv",
            "bad.npy",
            "cut.npy",
            "bad.parquet",
            "bad.csv",
            "empty.csv",
            "words.csv",
            "/no/such/x.npy",
            "nosuch://x",
            "s3://",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
)

SOURCES = [
    "bad.npy",
    "cut.npy",
    "bad.parquet",
    "bad.csv",
    "empty.csv",
    "words.csv",
    "nan.npy",
    "none.npy",
    "/no/such/x.npy",
    "nosuch://x",
    "folder",
    "folder/*.csv",
]

LINES = st.one_of(
    st.lists(WORDS, max_size=7),
    st.tuples(st.sampled_from(SOURCES), st.integers(1, 5)).map(
        lambda t: ["fit", t[0], "-k", str(t[1]), "--model", "out.zarr"]
    ),
    st.tuples(st.sampled_from(SOURCES), st.sampled_from(SOURCES)).map(
        lambda t: ["predict", t[0], "--model", t[1], "--labels", "out.csv"]
    ),
    st.tuples(
        st.sampled_from(
            [
                "--n-clusters",
                "--tol",
                "--max-iter",
                "--random-state",
                "--columns",
                "--nan",
                "--n-init",
                "--threads",
                "--memory-limit",
                "--sample-weight",
            ]
        ),
        st.sampled_from(["", "0x", "-1", "nope", "1e400", "--", "41"]),
    ).map(lambda t: ["fit", "x.npy", "-k", "3", "--model", "out.zarr", *t]),
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with files of which only x.npy is good."""
    folder = tmp_path_factory.mktemp("desk")
    np.save(folder / "x.npy", X)
    np.save(folder / "nan.npy", np.full((9, 2), np.nan))
    np.save(folder / "none.npy", np.zeros((0, 3)))
    (folder / "cut.npy").write_bytes((folder / "x.npy").read_bytes()[:200])
    for name in ("bad.npy", "bad.parquet", "bad.csv"):
        (folder / name).write_bytes(bytes(range(256)) * 3)
    (folder / "empty.csv").touch()
    (folder / "words.csv").write_text("a,b\nx,y\nz,w\n")
    (folder / "folder").mkdir()
    return folder


def command_refuses(words, desk, capfd):
    before = sorted(os.listdir(desk))
    with contextlib.chdir(desk), no_hang():
        try:
            with pytest.raises(SystemExit) as ended:
                cli.main([*map(str, words)])
        finally:
            after = sorted(os.listdir(desk))
    _, err = capfd.readouterr()
    code = ended.value.code
    if code in (0, None):  # a good line, by chance: help, or a model of x.npy that has to go
        for name in set(after) - set(before):
            import shutil

            shutil.rmtree(desk / name, ignore_errors=True)
        return
    assert code in (1, 2, 3), (words, err)
    assert "Traceback" not in err
    assert "(see --debug)" not in err, (words, err)
    if code == 1:
        lines = [line for line in err.splitlines() if "warning: " not in line]
        assert len(lines) == 1, (words, err)
        assert lines[0].startswith("dask-kmeans: error: ")
    assert after == before


@settings(max_examples=30)
@given(words=LINES)
def test_the_command_line_refuses(words, desk, capfd):
    command_refuses(words, desk, capfd)


@pytest.mark.slow
@settings(max_examples=300)
@given(words=LINES)
def test_the_command_line_refuses_300(words, desk, capfd):
    command_refuses(words, desk, capfd)


@settings(max_examples=30)
@given(st.binary(max_size=200))
def test_rubbish_is_no_model(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.zarr")
        path.mkdir()
        (path / "zarr.json").write_bytes(content)
        with pytest.raises((ValueError, OSError)) as caught:
            load_model(str(path))
        assert is_ours(caught.value)
