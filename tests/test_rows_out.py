"""Labels as a table: distances, kept columns, where rows lie, a folder for each cluster."""

from __future__ import annotations

import itertools
import json

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import blobs

from dask_kmeans import KMeans
from dask_kmeans.read import from_csv, from_parquet, open_source
from dask_kmeans.write import partitions, row_table, write_rows

K = 5
ROWS = 360
X = blobs(ROWS, 3, K, seed=4)
FEATURES = ["a", "b", "c"]
NAMES = "a,b,c"


def shuffled_table(rows=X):
    """Features and keys in no order: what is kept tells which row it was."""
    ids = np.random.default_rng(0).permutation(len(rows))
    when = pd.Timestamp("2026-01-01") + pd.to_timedelta(ids, unit="h")
    return pa.table(
        {
            "id": ids,
            "url": [f'http://x/"{n}", {n % 7}' for n in ids],
            **{name: rows[:, n] for n, name in enumerate(FEATURES)},
            "when": pa.array(when),
            "sort": pa.array(
                [None if n % 5 == 0 else f"s{n % 3}" for n in ids]
            ).dictionary_encode(),
            "tags": [[int(n), int(n) + 1] for n in ids],
        }
    )


def write_parts(table, folder, ending, edges=(0, 100, 100, 101, 240, ROWS), groups=32):
    """Files in natural order, which is not that of their names; one is empty."""
    folder.mkdir(parents=True)
    for number, (first, last) in enumerate(itertools.pairwise(edges), 8):
        rows, path = table.slice(first, last - first), folder / f"part-{number}{ending}"
        if ending == ".parquet":
            pq.write_table(rows, path, row_group_size=groups)
        else:
            pacsv.write_csv(rows, path, pacsv.WriteOptions(quoting_style="needed"))
    return folder


def flat(table):
    """Without what is no text."""
    return table.drop_columns(["tags", "when", "sort"])


SOURCES = {
    "Parquet": lambda folder: write_parts(shuffled_table(), folder / "p", ".parquet"),
    "Parquet, one file": lambda folder: (
        write_parts(shuffled_table(), folder / "p", ".parquet", (0, ROWS)) / "part-8.parquet"
    ),
    "CSV": lambda folder: write_parts(flat(shuffled_table()), folder / "c", ".csv"),
    "CSV, one file": lambda folder: (
        write_parts(flat(shuffled_table()), folder / "c", ".csv", (0, ROWS)) / "part-8.csv"
    ),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of the rows, and where it lies."""
    fitted = KMeans(K, random_state=0).fit(pd.DataFrame(X, columns=FEATURES))
    fitted.save(str(tmp_path_factory.mktemp("model") / "m.zarr"))
    fitted.url = str(tmp_path_factory.getbasetemp() / "model0" / "m.zarr")
    return fitted


def expected(model, rows=X):
    """Label and distance of each row, by brute force."""
    away = np.sqrt(((rows[:, None] - model.cluster_centers_) ** 2).sum(axis=2))
    return away.argmin(axis=1), away.min(axis=1)


def by_id(model):
    """id -> label and distance."""
    labels, distances = expected(model)
    frame = pd.DataFrame({"id": shuffled_table()["id"].to_numpy(), "label": labels})
    return frame.assign(distance=distances).set_index("id")


@pytest.fixture(params=["local", "remote"])
def out(request, tmp_path):
    """Where outputs may go: a local folder, and a store that cannot move things."""
    if request.param == "local":
        yield str(tmp_path)
    else:
        yield f"memory://{tmp_path.name}"
        fsspec.filesystem("memory").store.clear()


@pytest.fixture(params=["as they are", "small"])
def cuts(request, monkeypatch):
    """Blocks, batches, runs and files as large as they usually are, and a few rows each."""
    if request.param == "small":
        monkeypatch.setattr(from_parquet, "CARRIED_ROWS", 10)
        monkeypatch.setattr(from_csv, "BLOCK_BYTES", 900)
        monkeypatch.setattr(from_csv, "PARSED_BYTES", 400)
        monkeypatch.setattr(row_table, "GROUP_ROWS", 23)
        monkeypatch.setattr(partitions, "RUN_BYTES", 900)
        monkeypatch.setattr(partitions, "BATCH_ROWS", 4)
        monkeypatch.setattr(partitions, "FILE_ROWS", 29)
    return request.param


def read_labels(url):
    if url.endswith(".csv"):
        return pd.read_csv(url)
    return pd.read_parquet(url)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("kind", SOURCES)
def test_kept_keys_tell_which_row_a_label_is_of(run, model, kind, ending, tmp_path, out, cuts):
    url = f"{out}/labels.{ending}"
    ran = run("predict", SOURCES[kind](tmp_path), "--model", model.url, "--labels", url,
              "--keep", "url,id", "--with", "distance")  # fmt: skip
    assert (ran.code, ran.err.count("error")) == (0, 0)
    found = read_labels(url)
    assert list(found.columns) == ["url", "id", "label", "distance"]
    assert found["id"].tolist() == shuffled_table()["id"].to_pylist()  # the order of the rows
    assert found["url"].tolist() == shuffled_table()["url"].to_pylist()
    assert found["label"].dtype == (np.int32 if ending == "parquet" else np.int64)
    wanted = by_id(model).loc[found["id"]].reset_index()
    pd.testing.assert_frame_equal(found[["id", "label", "distance"]], wanted, check_dtype=False)


@pytest.mark.parametrize("kind", SOURCES)
def test_labels_of_several_files_say_where_their_rows_lie(run, model, kind, tmp_path, cuts):
    source, url = SOURCES[kind](tmp_path), str(tmp_path / "labels.parquet")
    assert run("predict", source, "--model", model.url, "--labels", url).code == 0
    found = pd.read_parquet(url)
    np.testing.assert_array_equal(found["label"], expected(model)[0])
    if source.is_file():
        assert list(found.columns) == ["label"]
        return
    assert list(found.columns) == ["file", "row", "label"]
    assert isinstance(found["file"].dtype, pd.CategoricalDtype)
    read = pd.read_parquet if "Parquet" in kind else pd.read_csv
    joined = pd.concat(
        [
            read(source / name).iloc[own["row"]].assign(label=own["label"].to_numpy())
            for name, own in found.groupby("file", observed=True)
        ]
    ).set_index("id")
    assert len(joined) == ROWS
    pd.testing.assert_series_equal(
        joined["label"], by_id(model)["label"].loc[joined.index], check_dtype=False
    )


def test_a_csv_of_labels_of_several_files(run, model, tmp_path, cuts):
    source = SOURCES["CSV"](tmp_path)
    run("predict", source, "--model", model.url, "--labels", tmp_path / "labels.csv")
    found = pd.read_csv(tmp_path / "labels.csv")
    assert found.columns.tolist() == ["file", "row", "label"]
    counts = [100, 1, 139, 120]
    assert found["row"].tolist() == [row for count in counts for row in range(count)]
    assert found["file"].drop_duplicates().tolist() == [f"part-{n}.csv" for n in (8, 10, 11, 12)]


def test_folders_of_a_partitioned_source_can_be_kept(run, model, tmp_path):
    table = shuffled_table()
    edges = {"day=3/city=Ulm": (0, 50), "day=12/city=A%20b": (50, ROWS)}
    for folder, (first, last) in edges.items():
        write_parts(table.slice(first, last - first), tmp_path / "t" / folder, ".parquet",
                    (0, last - first))  # fmt: skip
    url = str(tmp_path / "labels.parquet")
    assert run("predict", tmp_path / "t", "--model", model.url, "--labels", url,
               "--keep", "city,id,day").code == 0  # fmt: skip
    found = pd.read_parquet(url)
    assert found["day"].dtype == np.int64
    assert found[["day", "city"]].drop_duplicates().to_numpy().tolist() == [[3, "Ulm"], [12, "A b"]]
    assert found["label"].tolist() == by_id(model)["label"].loc[found["id"]].tolist()


def test_columns_of_any_type_are_kept_as_they_are(run, model, tmp_path, cuts):
    source = SOURCES["Parquet"](tmp_path)
    url = str(tmp_path / "labels.parquet")
    keep = ["when", "sort", "tags", "a"]
    run("predict", source, "--model", model.url, "--labels", url, "--keep", ",".join(keep))
    found = pads.dataset(url).to_table()
    wanted = pads.dataset([*sorted(source.iterdir(), key=lambda f: int(f.stem[5:]))]).to_table(keep)
    assert found.column_names == [*keep, "label"]
    assert found.schema.types[:4] == wanted.schema.types
    assert found.select(keep).to_pylist() == wanted.to_pylist()


def test_texts_of_a_csv_are_kept_as_they_stand_there(run, tmp_path):
    """Whole numbers are numbers where that loses nothing."""
    lines = ["x,key,n,m,none", "0,007,1,NA,", "1,012,2,b,", "9,100,-3,,"]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    ran = run("fit", tmp_path / "t.csv", "-k", 2, "--columns", "x", "--keep", "key,n,m,none",
              "--model", tmp_path / "m.zarr", "--labels", tmp_path / "l.parquet")  # fmt: skip
    assert ran.code == 0
    found = pads.dataset(tmp_path / "l.parquet").to_table()
    assert found["key"].to_pylist() == ["007", "012", "100"]
    assert found["n"].to_pylist() == [1, 2, -3]
    assert found["m"].to_pylist() == ["NA", "b", ""]
    assert found["none"].to_pylist() == ["", "", ""]


def test_shards_of_an_array_say_where_rows_lie_in_a_table(run, tmp_path, model):
    (tmp_path / "s").mkdir()
    for number, rows in ((2, X[:200]), (10, X[200:])):
        np.save(tmp_path / "s" / f"x-{number}.npy", rows)
    KMeans(K, random_state=0).fit(X).save(str(tmp_path / "m.zarr"))
    for name, columns in (("l.parquet", ["file", "row", "label"]), ("l.npy", None)):
        assert run("predict", tmp_path / "s", "--model", tmp_path / "m.zarr",
                   "--labels", tmp_path / name).code == 0  # fmt: skip
        if columns is not None:
            found = pd.read_parquet(tmp_path / name)
            assert list(found.columns) == columns
            assert found["row"].tolist() == [*range(200), *range(160)]
            assert found["file"].tolist() == ["x-2.npy"] * 200 + ["x-10.npy"] * 160
    np.testing.assert_array_equal(np.load(tmp_path / "l.npy"), found["label"])


def files_of(url):
    fs, path = fsspec.core.url_to_fs(url)
    root = path.rstrip("/") + "/"
    return sorted(file.removeprefix(root) for file in fs.find(path))


@pytest.mark.parametrize("kind", SOURCES)
def test_a_folder_for_each_cluster(run, model, kind, tmp_path, out, cuts):
    url = f"{out}/labels.parquet"
    ran = run("predict", SOURCES[kind](tmp_path), "--model", model.url, "--labels", url,
              "--partition-by", "cluster", "--keep", "id", "--with", "distance")  # fmt: skip
    assert (ran.code, ran.err.count("error")) == (0, 0)
    labels, _ = expected(model)
    most = partitions.FILE_ROWS
    assert files_of(url) == sorted(
        ["_SUCCESS"]
        + [
            f"cluster={label}/part-{part:05}.parquet"
            for label, size in enumerate(np.bincount(labels))
            for part in range(-(-int(size) // most))
        ]
    )
    found = pd.read_parquet(url)
    assert list(found.columns) == ["id", "label", "distance", "cluster"]
    assert (found["cluster"].astype(int) == found["label"]).all()
    wanted = by_id(model).loc[found["id"]].reset_index()
    pd.testing.assert_frame_equal(found[["id", "label", "distance"]], wanted, check_dtype=False)
    ids = shuffled_table()["id"].to_numpy()
    for label, own in found.groupby("label"):
        assert own["id"].tolist() == ids[labels == label].tolist()  # in the order of the rows


def test_a_dictionary_and_places_in_folders_of_clusters(run, model, tmp_path, cuts):
    source, url = SOURCES["Parquet"](tmp_path), tmp_path / "labels.parquet"
    assert run("predict", source, "--model", model.url, "--labels", url,
               "--partition-by", "cluster").code == 0  # fmt: skip
    found = pads.dataset(url, partitioning="hive").to_table().to_pandas()
    labels, _ = expected(model)
    starts = {8: 0, 10: 100, 11: 101, 12: 240}
    place = found["file"].astype(str).str[5:-8].astype(int).map(starts) + found["row"]
    np.testing.assert_array_equal(labels[place], found["label"])
    assert sorted(place) == list(range(ROWS))


def test_rows_that_are_skipped_have_a_folder(run, tmp_path):
    rows = X.copy()
    rows[[5, 90], 1] = np.nan
    pq.write_table(shuffled_table(rows), tmp_path / "t.parquet")
    ran = run("fit", tmp_path / "t.parquet", "-k", K, "--columns", NAMES, "--nan", "skip",
              "--model", tmp_path / "m.zarr", "--labels", tmp_path / "l.parquet",
              "--partition-by", "cluster", "--with", "distance", "--keep", "id")  # fmt: skip
    assert ran.code == 0
    skipped = pd.read_parquet(tmp_path / "l.parquet" / "cluster=-1")
    assert skipped["id"].tolist() == shuffled_table()["id"].to_numpy()[[5, 90]].tolist()
    assert skipped["distance"].isna().all()
    assert (skipped["label"] == -1).all()


@given(
    st.lists(st.lists(st.integers(-1, 4), max_size=30), min_size=1, max_size=5),
    st.integers(1, 40), st.integers(1, 12), st.integers(1, 400),
)  # fmt: skip
def test_any_labels_in_any_blocks_come_to_their_folders(blocks, file_rows, batch_rows, run_bytes):
    folder = fsspec.filesystem("memory")
    folder.store.clear()
    schema = pa.schema({"id": pa.int64(), "label": pa.int32()})
    numbers = itertools.count()
    made = [pa.table([[next(numbers) for _ in own], own], schema=schema) for own in blocks]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitions, "BATCH_ROWS", batch_rows)
        patch.setattr(partitions, "FILE_ROWS", file_rows)
        runs = [
            partitions._write_run([table], f"memory://t/_runs/{number}", 5)
            for number, table in enumerate(made)
            if table.num_rows
        ]
        patch.setattr(partitions, "RUN_BYTES", run_bytes)
        for first, stop in partitions._groups(runs):
            own = [(run.url, run.edges[first : stop + 1]) for run in runs]
            partitions._write_clusters(own, schema, first - 1, "memory://t")
    whole = pa.concat_tables(made).to_pylist()
    for label in range(-1, 5):
        wanted = [row for row in whole if row["label"] == label]
        parts = sorted(folder.glob(f"/t/cluster={label}/*"))
        tables = [pq.read_table(folder.open(part)) for part in parts]
        assert [row for table in tables for row in table.to_pylist()] == wanted
        assert all(table.num_rows == file_rows for table in tables[:-1])


@pytest.mark.parametrize("form", [[], ["--partition-by", "cluster"]])
def test_rows_are_read_once(run, model, tmp_path, monkeypatch, form):
    rows, split = [], from_parquet.ParquetRows.split

    def counted(self, start, done, n_rows, part, column):
        rows.append(n_rows)
        return split(self, start, done, n_rows, part, column)

    monkeypatch.setattr(from_parquet.ParquetRows, "split", counted)
    run("predict", SOURCES["Parquet"](tmp_path), "--model", model.url, "--keep", "id,url",
        "--labels", tmp_path / "l.parquet", "--with", "distance", *form)  # fmt: skip
    assert sum(rows) == ROWS


def test_a_fit_reads_what_is_kept_only_to_write_it(run, tmp_path, monkeypatch):
    rows, split = {None: 0, ("url",): 0}, from_parquet.ParquetRows.split

    def counted(self, start, done, n_rows, part, column):
        rows[None if part.carry is None else tuple(part.carry.schema.names)] += n_rows
        return split(self, start, done, n_rows, part, column)

    monkeypatch.setattr(from_parquet.ParquetRows, "split", counted)
    ran = run("fit", SOURCES["Parquet"](tmp_path), "-k", K, "--columns", NAMES, "--keep", "url",
              "--model", tmp_path / "m.zarr", "--labels", tmp_path / "l.parquet",
              "--report", tmp_path / "r.json")  # fmt: skip
    assert ran.code == 0
    assert rows[("url",)] == ROWS
    assert rows[None] >= 3 * ROWS
    model = KMeans(K, random_state=0).fit(open_source(tmp_path / "p", columns=FEATURES))
    assert json.loads((tmp_path / "r.json").read_text())["inertia"] == model.inertia_
    np.testing.assert_array_equal(
        pd.read_parquet(tmp_path / "l.parquet")["label"], model.labels_.compute()
    )


@pytest.mark.parametrize(
    ("labels", "form"),
    [
        ("l.csv", ["--keep", "id"]),
        ("l.parquet", ["--keep", "id"]),
        ("l.parquet", ["--keep", "id", "--partition-by", "cluster"]),
    ],
)
def test_what_fails_leaves_nothing(run, model, tmp_path, out, labels, form):
    rows = X.copy()
    rows[300, 2] = np.nan  # under nan="raise"
    source = write_parts(shuffled_table(rows), tmp_path / "p", ".parquet")
    before = files_of(out)
    ran = run("predict", source, "--model", model.url, "--labels", f"{out}/{labels}", *form)
    assert ran.code == 1
    assert "NaN" in ran.err
    assert files_of(out) == before


def test_labels_are_replaced_only_when_asked(run, model, tmp_path):
    source, url = SOURCES["Parquet"](tmp_path), tmp_path / "l.parquet"
    command = ["predict", source, "--model", model.url, "--labels", url, "--keep", "id"]
    assert run(*command, "--partition-by", "cluster").code == 0
    assert "exists already" in run(*command).err
    assert run(*command, "--overwrite").code == 0
    assert not any("cluster=" in file for file in files_of(str(url)))


REFUSED = {
    "no labels": (["--with", "distance"], None, 2, "type --labels URL"),
    "distances in .npy": (["--with", "distance"], "l.npy", 2, "needs a table of labels"),
    "keys in .zarr": (["--keep", "id"], "l.zarr", 2, "--labels NAME.parquet or NAME.csv"),
    "folders of CSV": (["--partition-by", "cluster"], "l.csv", 2, "type --labels NAME.parquet"),
    "by something else": (["--partition-by", "id"], "l.parquet", 2, "'id' is not 'cluster'"),
    "something else": (["--with", "inertia"], "l.parquet", 2, "'inertia' is not 'distance'"),
    "the labels' own name": (["--keep", "id,label"], "l.csv", 2, "labels have a column of this"),
    "an empty name": (["--keep", "id,,url"], "l.csv", 2, "has an empty name. Type --keep"),
    "a column that is not there": (["--keep", "id,uri"], "l.csv", 1, "has no column 'uri'; it has"),
    "twice the same": (["--keep", "id,id"], "l.csv", 1, "'id'"),
    "lists in a CSV": (["--keep", "tags"], "l.csv", 1, "'tags' holds list<element: int64>"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_before_anything_is_read(run, case, tmp_path, monkeypatch):
    form, labels, code, text = REFUSED[case]
    source = SOURCES["Parquet"](tmp_path)
    monkeypatch.setattr(from_parquet.ParquetRows, "batches", None)
    to = [] if labels is None else ["--labels", tmp_path / labels]
    ran = run(
        "fit", source, "-k", 2, "--columns", NAMES, "--model", tmp_path / "m.zarr", *to, *form
    )
    assert ran.code == code
    assert text in ran.err
    assert ran.err.strip().count("\n") <= (3 if code == 2 else 0)
    assert files_of(str(tmp_path)) == [f"p/{name}" for name in files_of(str(source))]


def test_an_array_has_no_columns_to_keep(run, tmp_path):
    np.save(tmp_path / "x.npy", X)
    ran = run("fit", tmp_path / "x.npy", "-k", 2, "--model", tmp_path / "m.zarr",
              "--labels", tmp_path / "l.parquet", "--keep", "id")  # fmt: skip
    assert ran.code == 1
    assert ran.err.endswith(
        "x.npy is no table: it has no columns beside its features to keep, and "
        "rows of its labels stand in its order. Leave out --keep\n"
    )


def test_types_that_differ_between_files_are_refused(run, tmp_path):
    table = shuffled_table()
    write_parts(table, tmp_path / "p", ".parquet", (0, 180))
    other = table.slice(180).set_column(0, "id", table.slice(180)["id"].cast(pa.string()))
    pq.write_table(other, tmp_path / "p" / "part-9.parquet")
    ran = run("fit", tmp_path / "p", "-k", 2, "--columns", NAMES, "--model", tmp_path / "m.zarr",
              "--labels", tmp_path / "l.parquet", "--keep", "id")  # fmt: skip
    assert ran.code == 1
    assert "'id'" in ran.err


def test_a_column_of_nothing_in_one_file_has_the_type_of_the_others(tmp_path, model):
    table = shuffled_table()
    write_parts(table.slice(100), tmp_path / "p", ".parquet", (0, ROWS - 100))
    nothing = table.slice(0, 100).set_column(0, "id", pa.nulls(100))
    pq.write_table(nothing, tmp_path / "p" / "part-1.parquet")
    source = open_source(tmp_path / "p", columns=FEATURES).carrying(["id"])
    write_rows(model._labelled_streams(source), tmp_path / "l.parquet")
    found = pads.dataset(tmp_path / "l.parquet").to_table()
    assert found["id"].to_pylist() == [None] * 100 + table["id"].to_pylist()[100:]
    np.testing.assert_array_equal(found["label"].to_numpy(), expected(model)[0])
