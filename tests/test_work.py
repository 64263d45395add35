"""How far passes are, as listeners hear of it: from threads, from a cluster, from labels on their
way to a file."""

from __future__ import annotations

import pickle
import threading
import time
from itertools import product

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from inputs import INPUTS, blobs

from dask_kmeans import KMeans
from dask_kmeans.blockwise import Size, Work, counted, listening, working
from dask_kmeans.blockwise.work import TOPIC, Messages
from dask_kmeans.read import open_source
from dask_kmeans.write.labels import write_labels, write_rows

N = 2100
X = blobs(N, 3, 4, seed=2)


def fit(data, **more):
    return KMeans(4, random_state=0, init_rounds=2, **more).fit(data)


def slow(rows, seconds=0.05):
    time.sleep(seconds)
    return rows


def slowly(seconds=0.05):
    """Lazy rows, of which a chunk takes so long."""
    return da.from_array(X, chunks=(100, 3)).map_blocks(slow, seconds, dtype=X.dtype)


class Watch:
    """A listener that remembers all work."""

    def __init__(self):
        self.works = []

    def __call__(self, work):
        self.works.append(work)

    def names(self):
        return [work.name for work in self.works]


@pytest.mark.parametrize("kind", INPUTS)
def test_each_pass_over_all_rows_is_heard_of(kind, tmp_path):
    watch = Watch()
    data = INPUTS[kind](X, tmp_path)
    with listening(watch):
        model = fit(data, callbacks=[print])  # each iteration by itself
    names = watch.names()
    passes = [name for name in names if name.split()[0] in ("survey", "seeding", "iteration")]
    assert passes == [
        "survey", "seeding round 1", "seeding round 2", "seeding round 3",
        *(f"iteration {number + 1}" for number in range(model.n_iter_)),
    ]  # fmt: skip
    assert "last pass" in names
    assert any(name.startswith("reclustering") for name in names)
    for work in watch.works:
        assert work.ended
        if work.name in (*passes, "last pass"):
            # Of rows that are not known before, their number shows as they are read.
            assert work.size.rows in (N, None)
            assert work.size.rows == N or work.name == "survey"
            assert work.done().rows == N
            assert work.done().parts == work.size.parts


def test_bytes_are_those_of_the_source():
    watch = Watch()
    with listening(watch):
        fit(da.from_array(X, chunks=(700, 3)), memory_budget="1 GiB")
    survey, *others = watch.works
    assert survey.done().bytes == survey.size.bytes == X.nbytes
    assert sum(work.done().bytes for work in others) == 0


def test_nobody_listens_nothing_is_counted(monkeypatch):
    def forbidden(*_):
        raise AssertionError

    monkeypatch.setattr(Work, "__init__", forbidden)
    fit(X)
    fit(da.from_array(X, chunks=(700, 3)))


def test_the_fit_does_not_depend_on_who_listens():
    array = da.from_array(X, chunks=(700, 3))
    with listening(Watch()):
        heard = fit(array)
    assert heard.inertia_ == fit(array).inertia_


@pytest.fixture(scope="module")
def model():
    return fit(X)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("dask_kmeans.planning.MIN_BLOCK_BYTES", 1)


def check_growth(model, data):
    """Look how far a pass is, at many times on its way."""
    over, works, seen = threading.Event(), [], []

    def look():
        while not over.wait(0.01):
            seen.extend(work.done().rows for work in works)

    thread = threading.Thread(target=look)
    thread.start()
    with listening(works.append):
        score = model.score(data)
    over.set()
    thread.join()
    assert score == -model.inertia_
    assert seen == sorted(seen)
    assert seen[-1] <= N
    assert len(set(seen)) > 3


def test_rows_show_while_a_pass_is_under_way(model, small_blocks):
    check_growth(model, slowly())


def test_rows_show_while_workers_are_at_a_pass(model, small_blocks, client):
    check_growth(model, slowly(0.15))


def test_workers_send_nothing_where_nobody_listens(model, small_blocks, client):
    before = len(client.get_events(TOPIC))
    model.score(slowly())
    assert len(client.get_events(TOPIC)) == before
    with listening(Watch()):
        model.score(slowly())
    assert len(client.get_events(TOPIC)) > before


def test_dashboards_show_what_tasks_are_for(client):
    fit(da.from_array(X, chunks=(700, 3)))

    def kinds(dask_scheduler):
        return list(dask_scheduler.task_prefixes)

    shown = client.run_on_scheduler(kinds)
    for kind in ("kmeans-survey", "kmeans-seeding-round", "kmeans-iteration", "kmeans-last-pass"):
        assert kind in shown


def test_the_same_part_counts_once():
    work = Work("a pass", Size(2, 10))
    for rows in (2, 4, 1, 5):  # the third: run again elsewhere
        work.advance(0, rows, 8 * rows)
    work.advance(1, 5, 40, whole=True)
    assert work.done() == (10, 80, 1)


def test_work_that_travels_comes_back_to_itself():
    work = Work("a pass", Size(1))
    packed = pickle.dumps(work)
    assert pickle.loads(packed) is work
    del work
    gone = pickle.loads(packed)
    assert isinstance(gone, Messages)
    gone.advance(0, 1, 1)  # here is no worker who would send it


def test_results_are_parts_of_work():
    watch = Watch()
    with listening(watch), working("counting", lambda: Size(3, unit="numbers")) as work:
        assert counted(iter("abc"), work) == ["a", "b", "c"]
    assert watch.works[0].done().parts == 3
    with working("nothing", lambda: Size(0)) as work:
        assert work is None
        assert counted(iter("abc"), work) == ["a", "b", "c"]


def unknown(labels):
    return labels[da.ones(N, chunks=labels.chunks) > 0]


LABELS = {
    "NumPy": lambda: np.arange(N, dtype=np.int32),
    "dask": lambda: da.arange(N, chunks=500, dtype="i4"),
    "dask, unknown chunks": lambda: unknown(da.arange(N, chunks=500, dtype="i4")),
    "Series": lambda: dd.from_pandas(
        pd.Series(np.arange(N, dtype=np.int32), name="label"), npartitions=4
    ),
}


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        each
        for each in product(LABELS, ["zarr", "parquet", "csv", "npy"])
        if each != ("dask, unknown chunks", "npy")  # which is refused
    ],
)
def test_labels_on_their_way(kind, ending, tmp_path):
    watch = Watch()
    with listening(watch):
        write_labels(LABELS[kind](), f"{tmp_path}/a.{ending}")
    write_labels(LABELS[kind](), f"{tmp_path}/b.{ending}")
    (work,) = watch.works
    assert work.name == "writing labels"
    if kind != "NumPy":
        assert work.done().rows == N
        assert work.done().parts == work.size.parts
    files = {
        name: sorted(
            (str(path.relative_to(tmp_path / name)), path.read_bytes())
            for path in [tmp_path / name, *(tmp_path / name).rglob("*")] if path.is_file()
        )
        for name in (f"a.{ending}", f"b.{ending}")
    }  # fmt: skip
    assert files[f"a.{ending}"] == files[f"b.{ending}"]


def test_labels_of_a_raster_on_their_way(tmp_path):
    labels = xr.DataArray(
        da.arange(N, chunks=N, dtype="i4").reshape(50, N // 50).rechunk((20, 10)), dims=("y", "x")
    )
    watch = Watch()
    with listening(watch):
        write_labels(labels, f"{tmp_path}/a.zarr")
    assert watch.works[0].done() == (N, 0, 15)
    np.testing.assert_array_equal(xr.open_zarr(tmp_path / "a.zarr").labels, labels)


@pytest.mark.parametrize("form", ["csv", "parquet", "partitions"])
def test_labels_as_a_table_on_their_way(form, tmp_path):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame.to_parquet(tmp_path / "x.parquet", row_group_size=500)
    fitted = KMeans(4, random_state=0).fit(frame)
    streams = fitted._labelled_streams(open_source(str(tmp_path / "x.parquet")))
    watch = Watch()
    url, more = f"{tmp_path}/a.{form}", {}
    if form == "partitions":
        url, more = f"{tmp_path}/a.parquet", {"partitions": 4}
    with listening(watch):
        write_rows(streams, url, with_distance=True, **more)
    (work,) = watch.works
    assert work.name == "writing labels"
    assert work.done().rows == work.size.rows == N
    assert work.done().parts == work.size.parts
