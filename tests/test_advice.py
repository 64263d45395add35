"""Whatever a message says to type is typed here, as the message spells it, and has to help.

A scenario is something that goes wrong. Its message is caught, what it says to type is taken out of
the text itself and done, and then the same thing is tried again: it has to go well.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import shlex
import subprocess
import warnings
from pathlib import Path

import dask
import dask.array as da
import dask.dataframe as dd
import h5py
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import xarray as xr
import zarr
from fsspec.registry import known_implementations

import dask_kmeans
from dask_kmeans import KMeans, checks, cli, open_source, plot, sweep
from dask_kmeans.cli.commands import command_line
from dask_kmeans.sweeps import Sweep

CHECKS = Path(dask_kmeans.__file__).parent / "checks"
TYPE = re.compile(r"\b[Tt]ype (?!error)")
FLAG = re.compile(r"(?<![\w-])--[a-z]")
PYTHON = re.compile(r"KMeans\(|\b(X|np|dask|sample_weight|model|labels)[.\[]")

ROWS = [[0.0, 0.0], [0.0, 1.0], [9.0, 8.0], [9.0, 9.0]]
SOME = np.random.default_rng(0).normal(size=(30, 2))


@functools.cache
def speaking_functions():
    """Functions of `checks` whose texts say what to type, however deep."""
    found = set()
    for path in CHECKS.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            docstring = ast.get_docstring(node, clean=False) if hasattr(node, "body") else None
            texts = [
                each.value
                for each in ast.walk(node)
                if isinstance(each, ast.Constant)
                and isinstance(each.value, str)
                and each.value != docstring
            ]
            if isinstance(node, ast.FunctionDef) and any(map(TYPE.search, texts)):
                found.add(node.name)
    return found


# ------------------------------------------------------------------------------------------ Python


def fitted(X=ROWS, **parameters):
    return KMeans(2, random_state=0, **parameters).fit(X)


def fit(names):
    names["model"].fit(names["X"], sample_weight=names.get("sample_weight"))


def predict(names):
    names["model"].predict(names["X"])


def array(**names):
    """What is fitted; a model of two clusters unless another is given."""
    return {"model": KMeans(2, random_state=0), **names}


def with_nan():
    X = np.array(ROWS)
    X[1, 1] = np.nan
    return X


def frame(*names):
    return pd.DataFrame(ROWS, columns=list(names))


def on_disk(folder, table):
    table.to_parquet(folder / "on_disk.parquet")
    return str(folder / "on_disk.parquet")


def of_unknown_chunks(values):
    return dd.from_pandas(pd.DataFrame(values), npartitions=2).to_dask_array()


def late_text(folder):
    """A CSV file with a text after its first MiB, among numbers."""
    lines = [f"{number % 7},{number % 11}.25,{number}.125\n" for number in range(100_000)]
    lines[-3] = "1,ten,3\n"
    (folder / "late.csv").write_text("a,b b,c\n" + "".join(lines))
    return "late.csv"


def badly_packed(folder):
    made = zarr.create_array(folder / "p.zarr", data=np.array(ROWS).astype("i2"))
    made.attrs["scale_factor"] = "x"
    return str(folder / "p.zarr")


def group(folder):
    made = zarr.create_group(folder / "g.zarr")
    made.create_array("inner/a", data=np.array(ROWS))
    return made


def datasets(folder):
    with h5py.File(folder / "two.h5", "w") as file:
        file["line"], file["in/rows"] = np.arange(4.0), np.array(ROWS)
    return str(folder / "two.h5")


def broken_checkpoint(folder):
    (folder / "state").write_text("no checkpoint")
    return str(folder / "state")


def checkpoint_of_other_data(folder):
    fitted([[5.0, 5.0], [6.0, 6.0], [7.0, 9.0]], checkpoint=str(folder / "state"))
    return str(folder / "state")


def save(names):
    names["model"].save(names["url"])


def saved_twice(folder):
    fitted().save(str(folder / "m.zarr"))
    return {"model": fitted(), "url": str(folder / "m.zarr")}


def fields():
    """Samples whose features lie on a small map."""
    coords = {"y": [10.0, 20.0], "x": [3, 4, 5]}
    return xr.DataArray(SOME.reshape(10, 2, 3), coords, ["t", "y", "x"])


def mixed_dataset():
    return xr.Dataset({"a": ("t", [0.0, 1.0, 9.0]), "b": ("u", [1.0]), "c": ("t", [2.0, 3.0, 4.0])})


IN_PYTHON = {
    "check_two_dimensional": [
        (lambda _: array(X=5.0, model=KMeans(1)), fit),
        (lambda _: array(X=np.arange(5.0), model=KMeans(1)), fit),
        (lambda _: array(X=np.zeros((2, 3, 4)), model=KMeans(1)), fit),
    ],
    "needs_feature_dim_error": [
        (lambda _: array(X=xr.DataArray(SOME.reshape(3, 5, 4), dims=["y", "x", "band"])), fit),
        (lambda _: array(X=xr.DataArray(ROWS), model=KMeans(2, feature_dim="band")), fit),
    ],
    "unused_feature_dim_error": [
        (lambda _: array(X=np.array(ROWS), model=KMeans(2, feature_dim="band")), fit),
    ],
    "feature_coordinate_error": [
        (lambda _: {"model": fitted(fields(), feature_dim=["y", "x"]), "X": fields()[:, ::-1]},
         predict)
    ],
    "variables_differ_error": [(lambda _: array(X=mixed_dataset()), fit)],
    "check_numeric": [(lambda _: array(X=np.array(ROWS) * 1j), fit)],
    "not_numbers_error": [
        (lambda _: array(X=np.array(ROWS).astype(str)), fit),
        (lambda _: array(X=da.from_array(np.array(ROWS).astype(str))), fit),
        (lambda _: array(X=np.array(ROWS), sample_weight=np.array(["1", "2", "3", "4"])), fit),
    ],
    "sparse_error": [
        (lambda _: array(X=scipy.sparse.csr_matrix(ROWS)), fit),
        (lambda _: array(X=da.from_array(np.array(ROWS)).map_blocks(scipy.sparse.csr_matrix)), fit),
    ],
    "unknown_collection_error": [
        (lambda _: array(X=dd.from_pandas(pd.Series([0.0, 1.0, 9.0]), npartitions=1)), fit)
    ],
    "matrix_error": [(lambda _: array(X=np.matrix(ROWS)), fit)],
    "masked_error": [
        (lambda _: array(X=np.ma.masked_equal(ROWS, 8.0), model=KMeans(2, nan="skip")), fit),
        (lambda _: array(X=list(np.ma.masked_equal(ROWS, 8.0)), model=KMeans(2, nan="skip")), fit),
        (lambda _: array(X=da.ma.masked_equal(da.from_array(np.array(ROWS)), 8.0),
                         model=KMeans(2, nan="skip")), fit),
        (lambda _: array(X=np.array(ROWS), sample_weight=np.ma.masked_equal([1, 2, 1, 1], 2)), fit),
    ],
    "packing_error": [(lambda folder: array(X=badly_packed(folder)), fit)],
    "weight_dims_error": [
        (lambda _: array(X=xr.DataArray(ROWS), sample_weight=xr.DataArray(np.ones((4, 3)),
                         dims=["dim_0", "other"])), fit)
    ],
    "weight_labels_error": [
        (lambda _: array(X=frame("a", "b"), sample_weight=pd.Series(1.0, index=[4, 5, 6, 7])), fit)
    ],
    "weight_coordinate_error": [
        (lambda _: array(X=xr.DataArray(ROWS, coords={"name": ("dim_0", list("abcd"))}),
                         sample_weight=xr.DataArray(np.ones(4), dims=["dim_0"],
                             coords={"name": ("dim_0", list("dcba"))})), fit)
    ],
    "unknown_columns_error": [
        (lambda _: array(X=(x := da.from_array(np.array(ROWS)))[:, x[0] > -1]), fit)
    ],
    "non_finite_error": [
        (lambda _: array(X=with_nan()), fit),
        (lambda _: {"model": fitted(), "X": with_nan()}, predict),
    ],
    "check_n_clusters_against_rows": [(lambda _: array(X=np.array(ROWS), model=KMeans(5)), fit)],
    "check_partial_fit": [
        (lambda _, name=name, value=value: array(X=SOME, model=KMeans(2, **{name: value})),
         lambda names: names["model"].partial_fit(names["X"]))
        for name, value in (("standardize", True), ("fit_fraction", 0.5), ("checkpoint", "c"))
    ],
    "check_coarsen": [(lambda _: {"model": fitted()}, lambda names: names["model"].coarsen(3))],
    "too_few_drawn_error": [
        (lambda _: array(X=SOME, model=KMeans(2, fit_fraction=1e-9, random_state=0)), fit)
    ],
    "warn_fewer_distinct_rows": [(lambda _: array(X=np.ones((5, 2))), fit)],
    "check_sweep": [
        (lambda _: {"X": SOME}, lambda names: sweep(names["X"], [])),
        (lambda _: {"X": np.array(ROWS)}, lambda names: sweep(names["X"], [1, 2], init=ROWS[:2])),
    ],
    "check_top": [
        (lambda _: {"model": fitted(), "X": SOME},
         lambda names: names["model"].describe(names["X"], top="all"))
    ],
    "warn_single_start": [
        (lambda _: array(X=np.array(ROWS), model=KMeans(2, init=ROWS[:2], n_init=3)), fit)
    ],
    "_names_differ": [
        (lambda folder: {"model": fitted(frame("b", "a")[["b"]]),
                         "X": open_source(on_disk(folder, frame("a", "b")))}, predict),
        (lambda _: {"model": fitted(frame("a", "b")), "X": frame("b", "a")}, predict),
        (lambda _: {"model": fitted(frame("a", "b")), "X": frame("a", "b").assign(c=1)}, predict),
    ],
    "warn_identifiers": [
        (lambda _: array(X=frame("a", "user_id")), fit),
        (lambda _: array(X=dd.from_pandas(frame("a", "user_id"), npartitions=1)), fit),
        (lambda _: array(X=pa.table(dict(frame("a", "user_id")))), fit),
        (lambda _: array(X=pl.DataFrame(ROWS, schema=["a", "user_id"], orient="row")), fit),
        (lambda folder: array(X=on_disk(folder, frame("a", "user_id"))), fit),
    ],
    "check_parameters": [
        (lambda _: array(X=np.array(ROWS), init=KMeans(2), model=KMeans(2, init=KMeans(2))), fit)
    ],
    "parameter_error": [
        (lambda _, name=name: array(X=SOME, model=KMeans(**{name: object()})), fit)
        for name in checks.RULES
    ],
    "check_feature_names": [
        (lambda _: array(X=pd.DataFrame(ROWS, columns=["a", 1])), fit)
    ],
    "zarr_group_error": [
        (lambda folder: array(X=group(folder)), fit),
        (lambda folder: group(folder) and array(X=str(folder / "g.zarr")), fit),
    ],
    "no_vector_error": [
        (lambda _: array(X=pd.DataFrame({"v": [[]] * 4, "a": [0.0, 1, 8, 9]}, dtype=object)), fit)
    ],
    "unused_one_hot_error": [
        (lambda _: array(X=np.array(ROWS), model=KMeans(2, one_hot=["a"], random_state=0)), fit)
    ],
    "opened_without_one_hot_error": [
        (lambda folder: array(
            X=open_source(on_disk(folder, frame("a", "b").assign(c=[1, 1, 2, 2]))),
            model=KMeans(2, one_hot="c", random_state=0)), fit)
    ],
    "dataset_error": [
        (lambda folder: array(X=datasets(folder)), fit),
        (lambda folder: array(X=f"{datasets(folder)}::other"), fit),
    ],
    "check_sweep_given": [
        (lambda _: {"X": SOME}, lambda names: plot.elbow(
            names["X"] if isinstance(names["X"], Sweep) else KMeans(2, random_state=0).fit(SOME)))
    ],
    "check_label_map": [
        (lambda _: {"labels": xr.DataArray(np.zeros((2, 3, 4), int), dims=["time", "y", "x"])},
         lambda names: plot.label_map(names["labels"]))
    ],
    "check_center_maps": [
        (lambda _: {"model": KMeans(2, feature_dim=("h", "y", "x"), random_state=0).fit(
            xr.DataArray(SOME.reshape(-1, 3, 2, 2), dims=["t", "h", "y", "x"]))},
         lambda names: plot.center_maps(names.get("X", names["model"])))
    ],
    "existing_output_error": [(saved_twice, save)],
    "missing_folder_error": [
        (lambda folder: {"model": fitted(), "url": str(folder / "new" / "m.zarr")}, save)
    ],
    "unreachable_checkpoint_error": [
        (lambda folder: array(X=ROWS, model=KMeans(2, checkpoint=str(folder / "no" / "s"))), fit)
    ],
    "invalid_checkpoint_error": [
        (lambda folder: array(X=ROWS, model=KMeans(2, checkpoint=broken_checkpoint(folder))), fit)
    ],
    "other_checkpoint_error": [
        (lambda folder: array(X=ROWS, model=KMeans(2, random_state=0,
                              checkpoint=checkpoint_of_other_data(folder))), fit)
    ],
    "text_among_numbers_error": [(lambda folder: array(X=late_text(folder)), fit)],
    "check_weight_shape": [
        (lambda _: array(X=np.array(ROWS), sample_weight=np.ones((4, 1))), fit)
    ],
    "weight_chunks_error": [
        (lambda _: array(X=of_unknown_chunks(ROWS), sample_weight=da.ones(4, chunks=1)), fit)
    ],
}  # fmt: skip
"""Function of `checks` -> (folder -> names, what is done with them) in which it speaks."""


def said(action, names):
    """The message of an error, or of a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Exception) as caught:
            action(names)
    message = caught.value.args[0]
    assert isinstance(message, checks.Text), message
    return message


def typed_in_python(message):
    """Each piece of code that the message says to type: to the first bracket that completes it."""
    for start in TYPE.finditer(message):
        rest = message[start.end() :]
        for end in re.finditer(r"[)\]]", rest):
            code, goes_on = rest[: end.end()], re.match(r"[\[(]|\.\w", rest[end.end() :])
            if not goes_on and _is_python(code):
                yield code
                break
        else:
            yield rest.strip()  # an attribute, or a path


def _is_python(code):
    try:
        return bool(ast.parse(code))
    except SyntaxError:
        return False


def do_in_python(code, names):
    """Type `code`; what it makes takes the place of that of `names` of which it is made."""
    if not _is_python(code):
        names["X"] = code
        return
    statement = ast.parse(code).body[0]
    known = {"KMeans": KMeans, "sweep": sweep, "np": np, "os": os, "dask": dask, **names}
    known["open_source"] = open_source
    if not isinstance(statement, ast.Expr):
        exec(code, known)
        return
    value, call = eval(code, known), statement.value
    if isinstance(value, KMeans):
        given = {each.arg for each in call.keywords}
        names["model"].set_params(**{name: value.get_params()[name] for name in given})
        return
    data = names.keys() - {"model"}
    roots = [node.id for node in ast.walk(call) if isinstance(node, ast.Name) and node.id in data]
    if value is not None:
        names[roots[0] if roots else "X"] = value


DONE_BY_WHAT_IS_TYPED = ("existing_output_error", "check_sweep", "check_top", "check_coarsen")


@pytest.mark.parametrize(
    ("function", "number"),
    [(name, n) for name, scenarios in IN_PYTHON.items() for n in range(len(scenarios))],
)
def test_what_is_typed_in_python_helps(function, number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, action = IN_PYTHON[function][number]
    names = make(tmp_path)
    message = said(action, names)
    assert not FLAG.search(message), message
    pieces = list(typed_in_python(message))
    assert pieces, message
    # Of alternatives ("if it has one feature") each helps by itself; others belong together.
    if " of a dask array type " in message:
        pieces = [pieces[int(any(map(dask.is_dask_collection, names.values())))]]
    alternatives = [pieces] if " and type " in message else [[code] for code in pieces]
    for again, codes in enumerate(alternatives):
        names = make(tmp_path) if again else names
        for code in codes:
            do_in_python(code, names)
        if function not in DONE_BY_WHAT_IS_TYPED:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                action(names)


# ------------------------------------------------------------------------------------- the shell


def table(folder, name="t.parquet", **columns):
    frame = pd.DataFrame({"a": [0.0, 1.0, 9.0, 10.0], "b": [0.0, 1.0, 2.0, 3.0], **columns})
    frame.to_parquet(folder / name)
    return name


ONES = [1.0] * 4


def fit_command(source, *more, k=2, model="m.zarr"):
    return ["fit", source, "--n-clusters", str(k), "--model", model, *more]


def many_rows(folder):
    np.save(folder / "x.npy", SOME)
    return "x.npy"


def null_in_new_file(folder):
    run(fit_command(table(folder)))
    return ["predict", table(folder, "u.parquet", b=[0.0, None, 2.0, 3.0]), "--model", "m.zarr",
            "--labels", "l.npy"]  # fmt: skip


def other_columns(folder, *columns):
    run(fit_command(table(folder)))
    return ["predict", "t.parquet", "--model", "m.zarr", "--labels", "l.npy", *columns]


def infinity(folder):
    return fit_command(table(folder, a=[0.0, np.nan, 9.0, 10.0]))


def kept_state(folder):
    fitted([[0.0, 0.0], [1.0, 1.0], [9.0, 2.0], [10.0, 3.0]], checkpoint="state")
    return fit_command(table(folder), "--checkpoint", "state")


def existing(folder):
    run(fit_command(table(folder)))
    return fit_command("t.parquet")


def broken_state(folder):
    return fit_command(table(folder), "--checkpoint", broken_checkpoint(folder), "--resume")


def state_of_other_data(folder):
    state = checkpoint_of_other_data(folder)
    return fit_command(table(folder), "--checkpoint", state, "--resume")


def unreachable_state(folder):
    (folder / "file").write_text("")
    return fit_command(table(folder), "--checkpoint", "no/state")


def zarr_group(folder):
    group(folder)
    return fit_command("g.zarr")


def saved(dataset, folder):
    dataset.to_zarr(folder / "d.zarr", consolidated=False)
    return "d.zarr"


def images():
    return xr.Dataset({"a": (("y", "x", "band"), SOME.reshape(3, 5, 4))})


def text_columns(folder):
    return fit_command(table(folder, **{"it's, [long]": list("abcd"), "day": list("abcd")}))


IN_SHELL = {
    "non_finite_error": [infinity, null_in_new_file],
    "too_few_drawn_error": [
        lambda folder: fit_command(table(folder), "--fit-fraction", "1e-9"),
    ],
    "check_n_clusters_against_rows": [lambda folder: fit_command(table(folder), k=5)],
    "warn_fewer_distinct_rows": [lambda folder: fit_command(table(folder, a=ONES, b=ONES))],
    "warn_dropped_columns": [text_columns],
    "warn_identifiers": [
        lambda folder: fit_command(table(folder, **{"order id": ONES, "id": ONES}))
    ],
    "text_among_numbers_error": [lambda folder: fit_command(late_text(folder))],
    "parameter_error": [
        lambda folder, name=name: fit_command(many_rows(folder), f"--{name}", "-7")
        for name in ("n-clusters", "tol", "max-iter", "n-init", "random-state", "nan")
    ],
    "zarr_group_error": [zarr_group],
    "needs_feature_dim_error": [
        lambda folder: fit_command(saved(images(), folder), "--feature-dim", "bands"),
    ],
    "variables_differ_error": [lambda folder: fit_command(saved(mixed_dataset(), folder))],
    "labels_no_table_error": [
        lambda folder: fit_command(saved(images(), folder), "--labels", "l.parquet"),
    ],
    "no_vector_error": [lambda folder: fit_command(table(folder, v=[[]] * 4))],
    "dataset_error": [lambda folder: datasets(folder) and fit_command("two.h5")],
    "existing_output_error": [existing],
    "missing_folder_error": [lambda folder: fit_command(table(folder), model="a b/m.zarr")],
    "kept_state_error": [kept_state],
    "invalid_checkpoint_error": [broken_state],
    "other_checkpoint_error": [state_of_other_data],
    "unreachable_checkpoint_error": [unreachable_state],
    "workers_lost_error": [],
}  # fmt: skip
"""Function of `checks` -> (folder -> command line) in which it speaks."""


def run(arguments):
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments, "--quiet"])
    return end.value.code


OPTIONS = {
    option: parameter
    for command in command_line.commands.values()
    for parameter in command.params
    for option in parameter.opts
}


def typed_in_shell(message):
    """Each (words) that a message says to type: options with their values, or what goes before."""
    for start in TYPE.finditer(message):
        lexer = shlex.shlex(message[start.end() :], posix=True, punctuation_chars=False)
        lexer.whitespace_split, lexer.commenters = True, ""
        words = []
        while (word := lexer.get_token()) is not None:
            word = word.rstrip(",;") if not words or words[-1].startswith("--") else word
            if words and not word.startswith("-") and not _takes_value(words[-1]):
                break
            words.append(word.removesuffix("."))
        yield words


def _takes_value(word):
    if word in ("mkdir", "-p", "pip", "install"):
        return True
    return word in OPTIONS and not OPTIONS[word].is_flag


def do_in_shell(words, arguments):
    """The command line again, as the words say; what is no option is a command, or a source."""
    if words[0] in ("mkdir", "pip"):
        subprocess.run(words, check=True)
        return arguments
    if not words[0].startswith("--"):
        return [arguments[0], words[0], *arguments[2:]]
    arguments = list(arguments)
    while words:
        flag, *words = words
        value = [words.pop(0)] if _takes_value(flag) else []
        if flag in arguments and not OPTIONS[flag].multiple:
            at = arguments.index(flag)
            del arguments[at : at + 1 + len(value)]
        arguments += [flag, *value]
    return arguments


@pytest.mark.parametrize(
    ("function", "number"),
    [(name, n) for name, scenarios in IN_SHELL.items() for n in range(len(scenarios))],
)
def test_what_is_typed_in_the_shell_helps(function, number, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = IN_SHELL[function][number](tmp_path)
    capsys.readouterr()
    run(arguments)
    message = capsys.readouterr().err
    assert not PYTHON.search(message), message
    pieces = list(typed_in_shell(message))
    assert pieces, message
    if function != "existing_output_error":  # what went before may have left a model
        arguments = [*arguments, "--overwrite"]
    for words in pieces:
        assert run(do_in_shell(words, arguments)) == 0
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("scheme", "package"),
    [("s3", "s3fs"), ("gs", "gcsfs"), ("abfs", "adlfs"), ("https", "aiohttp")],
)
def test_the_package_of_a_driver(scheme, package):
    """As fsspec itself has it."""
    message = checks.missing_driver_error(f"{scheme}://a", scheme, "").args[0]
    assert message.endswith(f"Type pip install {package}")
    assert package in known_implementations[scheme]["err"]


@pytest.mark.slow
def test_a_cluster_with_more_memory():
    from distributed import LocalCluster

    message = checks.workers_lost_error(3, "a task").args[0]
    (code,) = typed_in_python(message)
    with eval(code, {"LocalCluster": LocalCluster}) as cluster:
        assert {worker.nthreads for worker in cluster.workers.values()} == {1}


def test_what_is_typed_for_workers_are_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = checks.workers_lost_error(3, "a task").args[0].shell
    (words,) = typed_in_shell(message)
    assert run(do_in_shell(words, fit_command(table(tmp_path)))) == 0


OTHERWISE = {
    "missing_driver_error": "test_the_package_of_a_driver",
    "asynchronous_client_error": "tests/test_schedulers.py, where there is such a client",
    "forked_client_error": "tests/test_schedulers.py, in such a process",
    "not_sent_error": "test_computing_here_needs_no_cluster",
    "versions_error": "test_computing_here_needs_no_cluster, but for installing another version",
    "lazy_frame_error": "test_a_query_is_collected, which needs polars",
    "break_in_quotes_error": "test_a_file_that_pandas_can_read",
    "open_for_writing_error": "tests/test_shards.py, with such a file",
    "missing_matplotlib_error": "tests/test_plot.py, but for installing it",
    "missing_h5py_error": "tests/test_shards.py, but for installing it",
    "check_spread": "tests/test_saved_models.py, with what it refuses",
    "check_weight_scale": "tests/test_rows_that_do_not_count.py, with what it refuses",
    "data_changed_error": "tests/test_changed_data.py, where data changes",
    "too_little_memory_error": "tests/test_capacity.py, on workers of little memory",
    "unknown_fields_text": "tests/test_write_model.py, but for installing another version",
}
"""What is tried elsewhere, and where."""


@pytest.mark.parametrize(
    "error", [checks.not_sent_error(TypeError("a lock")), checks.versions_error("1", {"w": None})]
)
def test_computing_here_needs_no_cluster(error):
    code = next(code for code in typed_in_python(error.args[0]) if code.startswith("dask."))
    with eval(code, {"dask": dask}):
        assert fitted(da.from_array(np.array(ROWS))).n_iter_ >= 1
    assert not PYTHON.search(error.args[0].shell)


def test_a_query_is_collected():
    polars = pytest.importorskip("polars")
    names = array(X=polars.LazyFrame(ROWS, schema=["a", "b"], orient="row"))
    (code,) = typed_in_python(said(fit, names))
    do_in_python(code, names)
    fit(names)


def test_a_file_that_pandas_can_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text('a,t\n1,"x\ny"\n2,z\n')
    (code,) = typed_in_python(checks.break_in_quotes_error("t.csv", "byte 1").args[0])
    eval(code, {"pandas": pd})
    assert pd.read_parquet("table.parquet").a.tolist() == [1, 2]


def test_all_that_says_what_to_type_is_tried():
    assert speaking_functions() - IN_PYTHON.keys() - IN_SHELL.keys() - OTHERWISE.keys() == set()
