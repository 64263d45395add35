"""The schedulers that Dask can be told to use: what they are sent, hold and lack."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from inputs import blobs

from dask_kmeans import KMeans, __version__, sweep
from dask_kmeans.checks import ClusterError
from dask_kmeans.write.labels import write_labels

ROOT = str(Path(__file__).parent.parent)

X = blobs(300, 2, 3, seed=5)
FRAME = pd.DataFrame(X, columns=["a", "b"])
WEIGHTS = np.arange(1.0, 301.0)


def array():
    return da.from_array(X, chunks=(50, 2))


def table():
    return dd.from_pandas(FRAME, npartitions=3)


def fit(data, **more):
    return KMeans(3, random_state=0).fit(data, **more)


@pytest.fixture(scope="module")
def expected():
    return fit(X)


def check(data, expected):
    """Every use of lazy data, against the same rows in memory."""
    model = fit(data)
    assert model.inertia_ == expected.inertia_ == -expected.score(data)
    for labels in (model.labels_, expected.predict(data)):
        np.testing.assert_array_equal(np.asarray(dask.compute(labels)[0]), expected.labels_)
    assert sweep(data, [2, 3], random_state=0)[3].inertia_ == expected.inertia_


# What is sent


def closures():
    """Lazy data whose graphs hold functions that no other process can import."""
    shift = np.zeros(2)
    lazily = dask.delayed(lambda: X + shift)()
    return {
        "map_blocks": array().map_blocks(lambda rows: rows + shift),
        "map_overlap": array().map_overlap(lambda rows: rows + shift, depth=0),
        "map_partitions": table().map_partitions(lambda rows: rows + shift),
        "from_map": dd.from_map(lambda n: FRAME[n * 100 : n * 100 + 100] + shift, range(3)),
        "array from_delayed": da.from_delayed(lazily, X.shape, float),
        "frame from_delayed": dd.from_delayed([dask.delayed(lambda: FRAME + shift)()], meta=FRAME),
        "apply_ufunc": xr.apply_ufunc(
            lambda rows: rows + shift,
            xr.DataArray(array(), dims=("row", "feature")),
            dask="parallelized", output_dtypes=[float],
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", closures())
def test_functions_that_no_other_process_can_import(kind, client, expected):
    check(closures()[kind], expected)


@pytest.mark.parametrize("scheduler", ["threads", "synchronous", dask.get])
def test_schedulers_of_this_process(scheduler, expected):
    with dask.config.set(scheduler=scheduler):
        for data in closures().values():
            check(data, expected)


def test_an_executor_as_the_scheduler(expected):
    with ThreadPoolExecutor(2) as pool, dask.config.set(scheduler=pool):
        check(array(), expected)


def test_a_client_as_the_scheduler(client, expected):
    with dask.config.set(scheduler=client):
        check(array(), expected)


@pytest.mark.slow
def test_processes_live_as_long_as_the_fit(expected, tmp_path):
    def noted(rows):
        (tmp_path / str(os.getpid())).touch()
        return rows

    with dask.config.set(scheduler="processes", num_workers=2):
        model = fit(array().map_blocks(noted, dtype=float, meta=X[:0]))
    assert model.inertia_ == expected.inertia_
    assert 1 <= len(os.listdir(tmp_path)) <= 2
    assert str(os.getpid()) not in os.listdir(tmp_path)


class Handle:
    """Nothing that can be pickled; distributed is told how to send it."""

    def __init__(self, shift):
        self.shift, self._lock = shift, threading.Lock()

    def __call__(self, rows):
        return rows + self.shift


def to_header(handle):
    return {"shift": handle.shift}, []


def from_header(header, frames):
    return Handle(header["shift"])


def register_handles():
    from distributed.protocol import register_serialization

    register_serialization(Handle, to_header, from_header)


def test_what_distributed_alone_can_send(client, expected):
    register_handles()
    client.run(register_handles)
    check(array().map_blocks(Handle(0.0), dtype=float, meta=X[:0], name="handled"), expected)


def unsendable():
    """Lazy data that holds a lock: chunks that make a graph each, and chunks that share one."""
    lock = threading.Lock()

    def locked(rows):
        with lock:
            return rows

    chunks = array().map_blocks(locked, dtype=float, meta=X[:0])
    return {"apart": chunks, "together": chunks - chunks.mean(axis=0)}


@pytest.mark.parametrize("kind", unsendable())
def test_what_cannot_be_sent_is_one_error(kind, client, caplog):
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(ClusterError, match=r"picklable \(TypeError: cannot pickle '_thread.lock'"),
    ):
        fit(unsendable()[kind])
    assert not caplog.records
    with dask.config.set(scheduler="threads"):  # as the message says
        fit(unsendable()[kind])


# What is held


def persisted():
    a, f = array().persist(), table().persist()
    unlike = table().assign(c="text").persist()
    return {
        "array": a,
        "of an array": a + 0,
        "part of an array": da.concatenate([a[:150], array()[150:]]),
        "array of unknown length": a[a[:, 0] > -np.inf],
        "frame": f,
        "columns": unlike[["a", "b"]],
        "of a frame": f.assign(a=f.a + 0),
        "part of a frame": dd.concat([f.partitions[:1], table().partitions[1:]]),
        "array of a frame": f.to_dask_array(lengths=True),
        "frame of a series": f.a.to_frame().assign(b=f.b),
        "DataArray": xr.DataArray(array(), dims=("row", "feature")).persist(),
        "Dataset": xr.Dataset({"a": ("row", a[:, 0]), "b": ("row", a[:, 1])}),
        "delayed": da.from_delayed(dask.delayed(np.copy)(X).persist(), X.shape, float),
    }


PERSISTED = list(persisted())


@pytest.mark.slow
@pytest.mark.parametrize("kind", PERSISTED)
def test_persisted_data_on_a_cluster(kind, client, expected):
    data = persisted()[kind]
    check(data, expected)


def test_persisted_data_without_a_cluster(expected):
    for data in persisted().values():
        check(data, expected)


@pytest.mark.slow
def test_futures_as_data(client, expected):
    rows, part = client.scatter(X), client.submit(FRAME.copy)
    check(da.from_delayed(rows, X.shape, float), expected)
    check(dd.from_delayed([part], meta=FRAME), expected)
    with_rows = array().map_blocks(
        lambda block, all_rows: block + 0 * all_rows[0], rows, dtype=float, meta=X[:0]
    )
    check(with_rows, expected)


@pytest.mark.slow
@pytest.mark.parametrize("persist", ["both", "data", "weights"])
def test_persisted_weights(persist, client):
    expected = fit(X, sample_weight=WEIGHTS)
    weights = da.from_array(WEIGHTS, chunks=50)
    series = dd.from_pandas(pd.Series(WEIGHTS), npartitions=3)
    for data, each in ((array(), weights), (table(), series)):
        data = data if persist == "weights" else data.persist()
        each = each if persist == "data" else each.persist()
        assert fit(data, sample_weight=each).inertia_ == expected.inertia_
        assert expected.score(data, sample_weight=each) == -expected.inertia_


# Workers that lack the package


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "{package}":
            raise ModuleNotFoundError("No module named '{package}'", name="{package}")
sys.meta_path.insert(0, Blocker())
"""


@contextlib.contextmanager
def worker(address, folder):
    """A worker process that finds what lies in `folder` before anything else."""
    process = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1",
         "--no-dashboard"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), ROOT])},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def lacking(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BLOCKED.format(package="dask_kmeans"))
    return tmp_path


@pytest.fixture
def lone_scheduler():
    """The client of a cluster without workers."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=0, dashboard_address=None, silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.mark.slow
def test_workers_without_the_package(lacking, lone_scheduler, expected):
    with worker(lone_scheduler.scheduler.address, lacking):
        lone_scheduler.wait_for_workers(1, timeout=60)
        (name,) = lone_scheduler.nthreads()
        for use in (fit, expected.predict, expected.score, lambda data: sweep(data, [2, 3])):
            with pytest.raises(ClusterError, match=f"{name} has no dask_kmeans.*pip install"):
                use(array())
        with dask.config.set(scheduler="threads"):  # as the message says
            check(array(), expected)


@pytest.mark.slow
def test_workers_of_another_version(tmp_path, lone_scheduler):
    (tmp_path / "dask_kmeans").mkdir()
    (tmp_path / "dask_kmeans" / "__init__.py").write_text("__version__ = '0.0.9'")
    with worker(lone_scheduler.scheduler.address, tmp_path):
        lone_scheduler.wait_for_workers(1, timeout=60)
        with pytest.raises(ClusterError, match=f"{__version__}, .* has version 0.0.9"):
            fit(array())


@pytest.mark.slow
def test_workers_that_lack_what_the_package_needs(tmp_path, lone_scheduler):
    (tmp_path / "sitecustomize.py").write_text(BLOCKED.format(package="numba"))
    with worker(lone_scheduler.scheduler.address, tmp_path):
        lone_scheduler.wait_for_workers(1, timeout=60)
        with pytest.raises(ClusterError, match=r"cannot import it .*No module named 'numba'"):
            fit(array())


@pytest.mark.slow
@pytest.mark.parametrize("when", ["between passes", "in a pass"])
def test_a_worker_without_the_package_that_joins_late(when, lacking, lone_scheduler):
    """In a pass, the only worker makes room for it, so that it is sent the tasks."""
    address = lone_scheduler.scheduler.address
    inside = when == "in a pass"
    with contextlib.ExitStack() as stack:
        stack.enter_context(worker(address, Path(__file__).parent))
        lone_scheduler.wait_for_workers(1, timeout=60)

        def join(record):
            if record.iteration == 1:
                stack.enter_context(worker(address, lacking))
                if not inside:
                    lone_scheduler.wait_for_workers(2, timeout=60)

        def slow(rows):
            import time

            time.sleep(1.0 if inside else 0)
            return rows

        data = array().map_blocks(slow, dtype=float, meta=X[:0])
        with pytest.raises(ClusterError, match="has no dask_kmeans"):
            KMeans(3, init=X[:3], tol=0, max_iter=50, callbacks=[join]).fit(data)


def test_a_worker_is_asked_once(client, expected, monkeypatch):
    asked = []
    real = client.run
    monkeypatch.setattr(client, "run", lambda *args, **more: asked.append(1) or real(*args, **more))
    fit(array())
    first = len(asked)
    assert first
    check(array(), expected)
    assert len(asked) == first


# Asynchronous clients


def test_an_asynchronous_client(processes, expected, tmp_path):
    from distributed import Client

    async def use():
        async with Client(processes.scheduler_address, asynchronous=True) as client:
            labels = expected.predict(array())  # lazy: nothing is asked of the client
            for call in (
                lambda: fit(array()),
                lambda: expected.score(array()),
                lambda: sweep(array(), [2, 3]),
                lambda: write_labels(labels, str(tmp_path / "labels.npy")),
                lambda: write_labels(labels, str(tmp_path / "labels.zarr")),
                lambda: write_labels(labels, str(tmp_path / "labels.parquet")),
            ):
                with pytest.raises(ClusterError, match=r"asynchronous.*await asyncio.to_thread"):
                    call()
            assert not os.listdir(tmp_path)
            assert fit(X).inertia_ == expected.inertia_  # in memory, without the client
            np.testing.assert_array_equal(await client.compute(labels), expected.labels_)
            model = await asyncio.to_thread(fit, array())  # as the message says
            assert model.inertia_ == expected.inertia_

    asyncio.run(asyncio.wait_for(use(), 60))


def test_a_client_in_a_coroutine(client, expected):
    async def use():
        check(array(), expected)

    asyncio.run(asyncio.wait_for(use(), 60))


def inertia_in_a_task(data, own_client):
    from distributed import worker_client

    with worker_client() if own_client else contextlib.nullcontext():
        return fit(data).inertia_


@pytest.mark.parametrize("own_client", [True, False])
def test_a_fit_in_a_task(own_client, client, expected):
    data = array().map_blocks(lambda rows: rows + 0)
    assert client.submit(inertia_in_a_task, data, own_client).result(60) == expected.inertia_


# Forked processes


FORKED = """
import multiprocessing, os, sys
from concurrent.futures import ThreadPoolExecutor
import dask, dask.array as da, numpy as np
from dask_kmeans import KMeans

X = np.random.default_rng(0).normal(size=(2000, 4))

def use():
    lazy = da.from_array(X, chunks=(200, 4))
    model = KMeans(3, random_state=0).fit(lazy)
    assert KMeans(3, random_state=0).fit(X).inertia_ == model.inertia_ == -model.score(lazy)
    from dask_kmeans.write.labels import write_labels
    write_labels(model.labels_, os.path.join(sys.argv[1], str(os.getpid()) + ".npy"))
    return model.inertia_

def below():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply_async(use).get(60)

if __name__ == "__main__":
    {before}
    with dask.config.set({settings}):
        expected = use()
        assert below() == expected
        child = multiprocessing.get_context("fork").Process(target=below)
        child.start()
        child.join(60)
        assert child.exitcode == 0
        print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "settings"),
    [
        ("", "{}"),
        ("da.ones(4, chunks=1).sum().compute()", "scheduler='threads'"),
        ("", "pool=ThreadPoolExecutor(2)"),
        ("", "scheduler=ThreadPoolExecutor(2)"),
        ("", "scheduler='synchronous'"),
    ],
)
def test_fits_in_a_forked_process(before, settings, tmp_path):
    """Also after Dask, or we, used threads before the fork, and in what such a process forks."""
    script = tmp_path / "forks.py"
    script.write_text(FORKED.replace("{before}", before).replace("{settings}", settings))
    labels = tmp_path / "labels"
    labels.mkdir()
    done = subprocess.run(
        [sys.executable, str(script), str(labels)],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.stdout == "done\n", done.stderr


def test_a_client_is_not_waited_for_in_a_forked_process(client, expected):
    import multiprocessing

    context = multiprocessing.get_context("fork")
    ends, other = context.Pipe()

    def use():
        try:
            fit(array())
        except ClusterError as error:
            other.send(str(error))
        with dask.config.set(scheduler="threads"):  # as the message says
            other.send(fit(array()).inertia_)

    child = context.Process(target=use)
    child.start()
    try:
        assert ends.poll(60)
        assert "before this process was forked" in ends.recv()
        assert ends.poll(60)
        assert ends.recv() == expected.inertia_
    finally:
        child.kill()
        child.join()
