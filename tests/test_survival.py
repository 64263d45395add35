"""Workers that die, join and fail, fits that share a cluster or lose it: the same bits, or one
clear line."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
from inputs import blobs

from dask_kmeans import KMeans
from dask_kmeans.checks import ClusterError, ReadError
from dask_kmeans.sample import plan_sample

pytestmark = pytest.mark.slow  # clusters that lose workers need seconds to find out

X = blobs(3200, 4, 5, seed=1)
CHUNKS = (400, 4)
PARAMETERS = {"n_clusters": 5, "random_state": 3, "tol": 0.0}

PATIENCE = 60
"""Seconds after which a test counts as hanging."""


@pytest.fixture(autouse=True)
def deadline():
    """A fit that hangs is a failure, not a wait."""

    def give_up(number, frame):
        raise AssertionError(f"no end within {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def many_blocks(monkeypatch):
    """As many tasks a pass as for data of a worthy size."""
    monkeypatch.setattr("dask_kmeans.planning.MIN_BLOCK_BYTES", 1)


def local_cluster(n_workers=2):
    """Processes of one thread each, whose nannies start dead ones again."""
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        worker_dashboard_address=None,
        silence_logs=50,
    )


@contextlib.contextmanager
def cluster_of(n_workers=2):
    """A cluster for one test alone, and its client."""
    from distributed import Client

    with local_cluster(n_workers) as cluster, Client(cluster) as client:
        yield cluster, client


@pytest.fixture(scope="module")
def cluster():
    with local_cluster() as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    from distributed import Client

    with Client(cluster) as client:
        client.wait_for_workers(2, timeout=30)
        yield client


def fit(data, **parameters):
    return KMeans(**{**PARAMETERS, **parameters}).fit(data)


def bits(model):
    return {
        "centers": model.cluster_centers_.tobytes(),
        "labels": np.asarray(model.labels_).tobytes(),
        "inertia": model.inertia_.hex(),
        "n_iter": model.n_iter_,
        "history": [
            (record.changed, record.inertia, record.center_shift) for record in model.history_
        ],
    }


def lazy():
    return da.from_array(X, chunks=CHUNKS)


@pytest.fixture(scope="module")
def undisturbed():
    expected = bits(fit(X))
    assert expected["n_iter"] >= 4
    return expected


# Undisturbed


def caches_alive():
    import gc

    from dask_kmeans.blockwise.caches import Caches

    gc.unfreeze()  # commands that other tests ran in this process have frozen what there was
    gc.collect()
    return len(Caches._alive)


def test_nothing_is_left_on_the_workers(client):
    fit(lazy())
    ends = time.monotonic() + 20
    while any(client.run(caches_alive).values()) or client.run_on_scheduler(_tasks_known):
        assert time.monotonic() < ends
        time.sleep(0.1)


def _tasks_known(dask_scheduler):
    return len(dask_scheduler.tasks)


# Lost workers


PASSES = {
    "survey": "dask_kmeans.survey",
    "seeding": "dask_kmeans.seed",
    "assignment": "dask_kmeans.step.assign",
    "last look": "dask_kmeans.step.assign",
    "sample": "dask_kmeans.sample",
}
"""What a pass is for -> the module of its task"""


def is_such(where, task, shared):
    """Whether a task belongs to a pass of this kind."""
    if not task.__module__.startswith(PASSES[where]):
        return False
    if where != "last look":
        return True
    from dask_kmeans.statistics import Inertia

    request = shared.open()[0][0][0]
    # Only the first step and the last look measure it.
    return Inertia() in request.statistics and request.previous is not None


def arm(where, folder, most):
    """Have this worker die, by SIGKILL, when it next gets to such a pass; `most` deaths in all."""
    from dask_kmeans.blockwise import graph, tasks

    name = "merge_all" if where == "merging" else "run_block"
    spared = getattr(tasks, name)

    def deadly(*args):
        wanted = where == "merging" or is_such(where, args[1], args[4])
        for number in range(most if wanted else 0):
            with contextlib.suppress(FileExistsError):  # another worker's, killed at the same time
                Path(folder, str(number)).touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        return spared(*args)

    setattr(tasks, name, deadly)  # where other processes look for it
    setattr(graph, name, deadly)  # where a fit inside a task of this worker does


@pytest.mark.parametrize(
    ("where", "most"),
    [
        ("survey", 1),
        ("seeding", 1),
        ("seeding", 2),
        ("assignment", 1),
        ("assignment", 2),
        ("last look", 1),
        ("merging", 1),
        ("merging", 2),
    ],
)
def test_killed_workers_change_nothing(where, most, client, undisturbed, tmp_path):
    """In every kind of pass, and in merging; once, or both workers in one fit."""
    client.run(arm, where, str(tmp_path), most)
    assert bits(fit(lazy())) == undisturbed
    assert len(os.listdir(tmp_path)) == most


def test_a_lost_sample_is_collected_again_and_that_is_counted(client, tmp_path):
    Y = blobs(6400, 4, 5, seed=1)
    assert plan_sample(*Y.shape, PARAMETERS["n_clusters"], PARAMETERS["random_state"]) is not None
    undisturbed = fit(Y, tol=1e-3)
    lazily = da.from_array(Y, chunks=(1600, 4))
    assert fit(lazily, tol=1e-3).n_passes_ == undisturbed.n_passes_
    client.run(arm, "sample", str(tmp_path), 2)
    disturbed = fit(lazily, tol=1e-3)
    assert len(os.listdir(tmp_path)) == 2
    assert bits(disturbed) == bits(undisturbed)
    assert disturbed.n_passes_ == undisturbed.n_passes_ + 1


def test_a_sample_is_fetched_where_it_is(client, tmp_path, monkeypatch):
    """Not collected again by an idle worker, for the one that has it is busy."""
    from dask_kmeans import sample

    Y = blobs(6400, 4, 5, seed=1)
    undisturbed = fit(Y, tol=1e-3)
    real = sample.gather

    def gather(*given):
        busy = next(iter(client.nthreads()))
        naps = client.map(time.sleep, [1.5] * 2, workers=[busy], pure=False)
        found = real(*given)
        client.gather(naps)
        return found

    monkeypatch.setattr(sample, "gather", gather)
    found = fit(da.from_array(Y, chunks=(100, 4)), tol=1e-3)
    assert bits(found) == bits(undisturbed)
    assert found.n_passes_ == undisturbed.n_passes_


def test_killed_at_two_different_places_of_one_fit(client, undisturbed, tmp_path):
    for where in ("seeding", "assignment"):
        (tmp_path / where).mkdir()
        client.run(arm, where, str(tmp_path / where), 1)
    assert bits(fit(lazy())) == undisturbed
    assert os.listdir(tmp_path / "seeding")
    assert os.listdir(tmp_path / "assignment")


def test_persisted_data_of_a_lost_worker_is_computed_again(client, undisturbed, tmp_path):
    data = lazy().map_blocks(np.copy).persist()
    client.run(arm, "assignment", str(tmp_path), 1)
    assert bits(fit(data)) == undisturbed
    assert os.listdir(tmp_path)


def _kill(values):
    if len(values):
        os.kill(os.getpid(), signal.SIGKILL)
    return values


def test_a_block_that_kills_every_worker_ends_in_one_clear_error():
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        cluster_of(1),
        pytest.raises(
            ClusterError,
            match=r"gave up after 2 workers died over the same task, .*want of memory.*memory_limit"
            r".*checkpoint=URL",
        ),
    ):
        fit(lazy().map_blocks(_kill, dtype=X.dtype, meta=X[:0]))


def _noted(values, folder):
    Path(folder, f"{os.getpid()}-{time.monotonic_ns()}").touch()
    time.sleep(0.005)
    return values


def test_a_worker_that_joins_late_gets_work(undisturbed, tmp_path):
    with cluster_of(2) as (cluster, client):
        first = {str(pid) for pid in client.run(os.getpid).values()}

        def scale(record):
            if record.iteration == 2:
                cluster.scale(3)
                client.wait_for_workers(3, timeout=30)
                late.update(map(str, client.run(os.getpid).values()))

        late = set()
        data = lazy().map_blocks(_noted, str(tmp_path), dtype=X.dtype, meta=X[:0])
        assert bits(fit(data, callbacks=[scale])) == undisturbed
    worked = {name.partition("-")[0] for name in os.listdir(tmp_path)}
    assert worked == first | late
    assert len(late) == 3


def test_a_worker_that_is_retired_in_between(undisturbed):
    with cluster_of(2) as (cluster, client):

        def scale(record):
            if record.iteration == 2:
                cluster.scale(1)

        assert bits(fit(lazy(), callbacks=[scale])) == undisturbed
        assert len(client.nthreads()) == 1


# Failing tasks


def _flaky(values, folder, times, block_info=None):
    """The chunk; of the first and the last one, the first few readings are errors."""
    where = block_info[0]["chunk-location"][0]
    if where not in (0, 7):
        return values
    for attempt in range(times):
        with contextlib.suppress(FileExistsError):
            os.close(os.open(f"{folder}/{where}-{attempt}", os.O_CREAT | os.O_EXCL))
            raise OSError(f"chunk {where} is not there, attempt {attempt}")
    return values


def test_a_task_that_fails_twice_is_tried_again(client, undisturbed, tmp_path):
    data = lazy().map_blocks(_flaky, str(tmp_path), 2, dtype=X.dtype, meta=X[:0])
    assert bits(fit(data)) == undisturbed
    assert sorted(os.listdir(tmp_path)) == ["0-0", "0-1", "7-0", "7-1"]


def test_a_task_that_always_fails_ends_in_its_own_error(client, tmp_path):
    data = lazy().map_blocks(_flaky, str(tmp_path), 100, dtype=X.dtype, meta=X[:0])
    with pytest.raises(OSError, match="is not there, attempt"):
        fit(data)


# Fits that share a cluster


def test_two_fits_on_one_client_at_once(client, undisturbed):
    other = bits(fit(X, n_clusters=4, random_state=9))
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(fit, lazy())
        two = pool.submit(fit, lazy(), n_clusters=4, random_state=9)
        assert bits(one.result(PATIENCE)) == undisturbed
        assert bits(two.result(PATIENCE)) == other


def bits_of_a_fit(data):
    return bits(fit(data))


@pytest.mark.parametrize("data", ["lazy", "in memory"])
def test_fits_inside_tasks(data, client, undisturbed):
    """As many as there are threads: they make room for the tasks that they wait for."""
    given = lazy() if data == "lazy" else X
    futures = [client.submit(bits_of_a_fit, given, pure=False) for _ in range(2)]
    for future in futures:
        assert future.result(timeout=PATIENCE) == undisturbed


def test_a_fit_inside_a_task_whose_worker_dies_starts_again(client, undisturbed, tmp_path):
    client.run(arm, "assignment", str(tmp_path), 1)
    assert client.submit(bits_of_a_fit, lazy(), pure=False).result(PATIENCE) == undisturbed
    assert os.listdir(tmp_path)


# Fits that lose their cluster


@pytest.mark.parametrize("when", ["between passes", "in a pass"])
def test_a_client_closed_meanwhile(when, cluster, undisturbed, tmp_path):
    from distributed import Client

    url = str(tmp_path / "state")
    client = Client(cluster)

    def close(record):
        if record.iteration == 2:
            if when == "between passes":
                client.close()
            else:
                threading.Timer(0.02, client.close).start()

    with pytest.raises(ClusterError, match=r"client was closed.*Keep it open.*checkpoint=URL"):
        fit(lazy(), callbacks=[close], checkpoint=url)
    with Client(cluster):
        resumed = fit(lazy(), checkpoint=url)
        assert bits(resumed) == undisturbed


def test_a_cluster_that_goes_away():
    with cluster_of(2) as (cluster, _):

        def close(record):
            if record.iteration == 2:
                threading.Timer(0.02, cluster.close).start()

        with pytest.raises(ClusterError, match="client was closed, or lost its scheduler"):
            fit(lazy(), callbacks=[close])


def test_tasks_cancelled_by_a_restart():
    with cluster_of(2) as (_, client):
        restarts = threading.Timer(0.02, client.restart)

        def restart(record):
            if record.iteration == 2:
                restarts.start()

        slow = lazy().map_blocks(_slowed, dtype=X.dtype, meta=X[:0])
        with pytest.raises(
            ClusterError, match=r"tasks were cancelled.*Client.restart.*checkpoint=URL"
        ):
            fit(slow, callbacks=[restart])
        restarts.join()


def _slowed(values):
    time.sleep(0.05)
    return values


@contextlib.contextmanager
def _at_the_end(call):
    try:
        yield
    finally:
        call()


def test_ctrl_c_leaves_a_cluster_that_is_idle_and_clean(client, undisturbed):
    ended = threading.Event()

    def press():
        # Again, should one come while Python cannot raise it (in a finalizer, say).
        wait = 0.05
        while not ended.wait(wait):
            os.kill(os.getpid(), signal.SIGINT)
            wait = 0.15

    def interrupt(record):
        if record.iteration == 2:
            threading.Thread(target=press, daemon=True).start()

    slowed = lazy().map_blocks(_slowed, dtype=X.dtype, meta=X[:0])
    with pytest.raises(KeyboardInterrupt), _at_the_end(ended.set):
        fit(slowed, callbacks=[interrupt])
    ends = time.monotonic() + 20
    while any(client.processing().values()) or any(client.run(caches_alive).values()):
        assert time.monotonic() < ends, (client.processing(), client.run(caches_alive))
        time.sleep(0.1)
    assert bits(fit(lazy())) == undisturbed


def test_ctrl_c_on_data_in_memory():
    def interrupt(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(X, callbacks=[interrupt])
    assert caches_alive() == 0


def test_a_cancelled_future_of_a_fit(client, undisturbed):
    future = client.submit(bits_of_a_fit, lazy().map_blocks(_slowed), pure=False)
    time.sleep(0.5)
    future.cancel()
    with pytest.raises(CancelledError):
        future.result(timeout=10)
    assert bits(fit(lazy())) == undisturbed


# Stores that fail


def test_a_part_that_cannot_be_read_is_named_by_a_worker_too(client, tmp_path):
    import zarr

    path = str(tmp_path / "points.zarr")
    zarr.create_array(path, data=X, chunks=CHUNKS)
    chunk = tmp_path / "points.zarr" / "c" / "3" / "0"
    chunk.write_bytes(chunk.read_bytes()[:50])
    with pytest.raises(ReadError, match=r"Cannot read chunk .*3.*\(rows 1200 to 1599\)"):
        fit(path)


def test_a_few_random_kills():
    """The benchmark that counts 40 of them, in small."""
    import subprocess
    import sys

    signal.alarm(240)
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, str(root / "benchmarks" / "survival.py"), "--workers", "2",
         "--drivers", "2"],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True, text=True, timeout=230, check=False,
    )  # fmt: skip
    assert done.stdout.endswith("4 of 4 end with the same bytes\n"), done.stdout + done.stderr
