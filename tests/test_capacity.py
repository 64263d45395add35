"""Fits that cannot fit into memory are refused before they read; all others are not."""

from __future__ import annotations

import re

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster
from hypothesis import given
from hypothesis import strategies as st
from inputs import blobs

from dask_kmeans import KMeans, capacity, memory, sweep
from dask_kmeans.blockwise import Process
from dask_kmeans.kernels.cluster_moments import ClusterMoments
from dask_kmeans.read import as_points

LIMIT = 2 * 10**9


@pytest.fixture(scope="module")
def client():
    """Two workers of two threads each, of little memory."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, processes=True, memory_limit=LIMIT,
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        yield client


def unreadable(shape, chunks):
    """A lazy array that fails the test when it is read."""

    def read(block_info=None):
        raise AssertionError("it was read")

    return da.map_blocks(read, chunks=da.core.normalize_chunks(chunks, shape), dtype=float)


REFUSED = {
    "centers": ((40_000, 2000), (1000, 2000), {"n_clusters": 100_000}),
    "restarts": ((40_000, 2000), (1000, 2000), {"n_clusters": 500, "n_init": 200}),
    "features": ((40, 20_000_000), (1, 20_000_000), {"n_clusters": 3}),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_fit_a_worker_is_refused_with_the_numbers(client, what):
    shape, chunks, parameters = REFUSED[what]
    with pytest.raises(ValueError, match=r"the worker .* has 1\.86 GiB of memory") as caught:
        KMeans(random_state=0, **parameters).fit(unreadable(shape, chunks))
    text = str(caught.value)
    assert "Nothing was read yet" in text
    assert "in 2 tasks at once" in text
    assert re.search(r"or type KMeans\(n_clusters=\d+\) or fewer$", text)


def test_the_number_of_clusters_that_it_names_is_not_refused(client):
    X = unreadable((40_000, 2000), (1000, 2000))
    for n_init in (1, 4):
        with pytest.raises(ValueError, match="Nothing was read yet") as caught:
            KMeans(100_000, n_init=n_init, random_state=0).fit(X)
        most = int(re.search(r"type KMeans\(n_clusters=(\d+)\)", str(caught.value)).group(1))
        with pytest.raises(ValueError, match="Nothing was read yet"):
            KMeans(most + most // 10, n_init=n_init, random_state=0).fit(X)
        capacity.check_capacity(as_points(X), most * n_init, n_init)


def test_a_sweep_is_refused_by_all_its_numbers_of_clusters(client):
    X = unreadable((40_000, 2000), (1000, 2000))
    with pytest.raises(ValueError, match="Nothing was read yet"):
        sweep(X, n_clusters=range(100, 1000, 100), n_init=20, random_state=0)


def test_what_fits_is_fitted(client):
    X = blobs(20_000, 20, 5, seed=0)
    model = KMeans(5, random_state=0, n_init=3).fit(da.from_array(X, chunks=(2000, 20)))
    here = KMeans(5, random_state=0, n_init=3).fit(X)  # of this process, not of the workers
    assert model.cluster_centers_.tobytes() == here.cluster_centers_.tobytes()


def test_data_in_memory_is_for_this_process_whose_memory_is_the_machine_s(monkeypatch):
    X = blobs(1000, 10, 5, seed=0)
    small = [Process("this process", 2, 1000)]
    monkeypatch.setattr(capacity, "processes", lambda in_memory: small)
    monkeypatch.setattr(capacity, "ALWAYS_THERE", 0)
    with pytest.raises(ValueError, match=r"this process has 0\.98 kiB of memory"):
        KMeans(5, random_state=0).fit(X)
    small[0] = Process("this process", 2, 0)  # no limit is known
    KMeans(5, random_state=0).fit(X)


def test_what_cannot_be_described_is_refused_before_it_is_read(monkeypatch):
    """And what is described has memory enough for what it really takes."""
    model = KMeans(3, random_state=0).fit(np.random.default_rng(0).normal(size=(10, 2000)))
    moments = ClusterMoments.zero(3, 2000)
    held = sum(array.nbytes for sums in moments for array in vars(sums).values())
    assert memory.least_bytes_to_describe(3, 2000, 1, 0) <= held + 8 * 3 * 2000
    monkeypatch.setattr(capacity, "ALWAYS_THERE", 0)
    for limit, refused in ((held, True), (10 * held, False)):
        small = [Process("the worker w", 1, limit)]
        monkeypatch.setattr(capacity, "processes", lambda in_memory, small=small: small)
        if refused:
            with pytest.raises(ValueError, match="describing 3 clusters by 2000 features needs at"):
                model.describe(unreadable((10, 2000), (5, 2000)))
        else:
            assert model.describe(np.ones((4, 2000))).table["size"].sum() == 4


@given(
    st.integers(1, 10**4), st.integers(1, 10**4), st.integers(1, 64), st.integers(0, 10**8),
)  # fmt: skip
def test_the_least_is_less_than_what_is_stated(k, d, threads, read):
    reading = memory.reading_bytes(read)
    task = memory.task_bytes(reading, 1000, 64, d, k)
    stated = memory.worker_bytes(task, threads, memory.sums_bytes(k, d), 0, 10**9)
    assert memory.least_bytes(k, d, threads, read) < stated


@pytest.mark.slow
def test_files_are_refused_too(client, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3000, 2000), np.float32))
    with pytest.raises(ValueError, match="Nothing was read yet"):
        KMeans(3000, n_init=30, init="random").fit(str(tmp_path / "x.npy"))
