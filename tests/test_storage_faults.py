"""Stores that fail in the middle of a fit: the same bits, or one error that names the place; on
threads and on a cluster."""

from __future__ import annotations

import os
import re

import faulty
import numpy as np
import pandas as pd
import pytest
import zarr
from inputs import blobs

from dask_kmeans import KMeans
from dask_kmeans.checks import ReadError
from dask_kmeans.read import open_source, retry

X = blobs(4000, 4, 5, seed=1)
PARAMETERS = {"n_clusters": 5, "random_state": 3, "tol": 0.0, "algorithm": "lloyd"}
CHUNK = 250


@pytest.fixture(params=["threads", "cluster"])
def client(request):
    """A client of two processes, or None; stores are well before and after."""
    found = None if request.param == "threads" else request.getfixturevalue("worker_client")
    pauses = retry.PAUSES
    faulty.arrange(found)
    yield found
    faulty.arrange(found)
    retry.PAUSES = pauses


@pytest.fixture
def worker_client(processes):
    from distributed import Client

    with Client(processes) as client:
        yield client


@pytest.fixture(autouse=True)
def many_blocks(monkeypatch):
    monkeypatch.setattr("dask_kmeans.planning.MIN_BLOCK_BYTES", 1)


def fit(source, **parameters):
    return KMeans(**{**PARAMETERS, **parameters}).fit(str(source))


def bits(model):
    return {
        "centers": model.cluster_centers_.tobytes(),
        "labels": np.asarray(model.labels_).tobytes(),
        "inertia": model.inertia_.hex(),
        "n_iter": model.n_iter_,
        "n_passes": model.n_passes_,
    }


@pytest.fixture(scope="module")
def undisturbed():
    found = bits(KMeans(**PARAMETERS).fit(X))
    assert found["n_iter"] >= 5
    return found


@pytest.fixture
def zarr_path(tmp_path):
    zarr.create_array(tmp_path / "x.zarr", data=X, chunks=(CHUNK, 4))
    return tmp_path / "x.zarr"


@pytest.fixture
def parquet_path(tmp_path):
    (tmp_path / "x").mkdir()
    for number in range(4):
        part = pd.DataFrame(X[number * 1000 : (number + 1) * 1000], columns=list("abcd"))
        part.to_parquet(tmp_path / "x" / f"{number}.parquet", row_group_size=500)
    return tmp_path / "x"


def at_iteration(number, action):
    """A callback that does it after that iteration."""

    def act(record):
        if record.iteration == number:
            action()

    return [act]


# Damaged in the middle of a fit


def test_a_zarr_chunk_cut_in_the_middle_of_a_fit(client, zarr_path):
    chunk = zarr_path / "c" / "7" / "0"

    def cut():
        os.truncate(chunk, chunk.stat().st_size // 2)

    match = (
        rf"^Cannot read chunk c/7/0 \(rows 1750 to 1999\) of {re.escape(str(zarr_path))}: "
        r"\w+: .+\. Run again once the store answers; if the data is damaged, restore it$"
    )
    with pytest.raises(ReadError, match=match):
        fit(zarr_path, callbacks=at_iteration(2, cut))


def test_a_zarr_chunk_of_rubbish_in_the_middle_of_a_fit(client, zarr_path):
    chunk = zarr_path / "c" / "15" / "0"
    match = (
        rf"^Cannot read chunk c/15/0 \(rows 3750 to 3999\) of {re.escape(str(zarr_path))}: "
        r"\w+: .+\. Run again once the store answers; if the data is damaged, restore it$"
    )
    with pytest.raises(ReadError, match=match):
        fit(zarr_path, callbacks=at_iteration(2, lambda: chunk.write_bytes(b"no codec reads this")))


def test_a_parquet_file_deleted_in_the_middle_of_a_fit(client, parquet_path):
    file = parquet_path / "2.parquet"
    match = (
        rf"^Cannot read row group [01] \(rows (2000 to 2499|2500 to 2999)\) of "
        rf"{re.escape(str(file))}: FileNotFoundError: .+\. Put it back and run again$"
    )
    with pytest.raises(ReadError, match=match):
        fit(parquet_path, callbacks=at_iteration(2, file.unlink))


def test_a_parquet_file_cut_in_the_middle_of_a_fit(client, parquet_path):
    file = parquet_path / "1.parquet"

    def cut():
        os.truncate(file, file.stat().st_size // 2)

    match = (
        rf"^Cannot read row group [01] \(rows (1000 to 1499|1500 to 1999)\) of "
        rf"{re.escape(str(file))}: \w+: .+\. Run again once the store answers; if the data is "
        "damaged, restore it$"
    )
    with pytest.raises(ReadError, match=match):
        fit(parquet_path, callbacks=at_iteration(2, cut))


def test_what_was_learnt_before_the_damage_is_kept(client, zarr_path, undisturbed, tmp_path):
    """Restored, the same fit goes on from the iteration before."""
    chunk, state = zarr_path / "c" / "3" / "0", str(tmp_path / "state")
    whole = chunk.read_bytes()
    with pytest.raises(ReadError, match=r"chunk c/3/0 \(rows 750 to 999\)"):
        fit(zarr_path, checkpoint=state,
            callbacks=at_iteration(3, lambda: chunk.write_bytes(whole[:9])))  # fmt: skip
    chunk.write_bytes(whole)
    heard = []
    resumed = bits(fit(zarr_path, checkpoint=state, callbacks=[heard.append]))
    assert heard[0].iteration == 4
    assert resumed.pop("n_passes") == undisturbed["n_passes"] + 1  # surveyed once more
    assert resumed == {name: value for name, value in undisturbed.items() if name != "n_passes"}


# Slow, and failing now and then


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zarr", "parquet"])
def test_a_slow_store_changes_nothing(kind, client, request, undisturbed):
    path = request.getfixturevalue(f"{kind}_path")
    faulty.arrange(client, latency=0.005)
    assert bits(fit(f"faulty://{path}")) == undisturbed
    assert faulty.reads(client) > 100


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zarr", "parquet"])
def test_failures_that_pass_change_nothing(kind, client, request, undisturbed):
    """In each process the first tries of every file fail, as often as is allowed."""
    path = request.getfixturevalue(f"{kind}_path")
    faulty.arrange(client, failures=len(retry.PAUSES))
    assert bits(fit(f"faulty://{path}")) == undisturbed


@pytest.mark.parametrize(
    ("kind", "broken", "part"),
    [
        ("zarr", "c/9/0", r"chunk c/9/0 \(rows 2250 to 2499\) of faulty://{path}"),
        (
            "parquet",
            "3.parquet",
            r"row group [01] \(rows (3000 to 3499|3500 to 3999)\) of faulty://{path}/3\.parquet",
        ),
    ],
)
def test_a_store_that_fails_for_good_in_the_middle_of_a_fit(kind, broken, part, client, request):
    path = request.getfixturevalue(f"{kind}_path")
    match = (
        rf"^Cannot read {part.format(path=re.escape(str(path)))}: OSError: \[Errno 5\] the network "
        r"is down\. Run again once the store answers; if the data is damaged, restore it$"
    )

    def fail():
        faulty.arrange(client, failures=10**9, only=broken)

    with pytest.raises(ReadError, match=match):
        fit(f"faulty://{path}", callbacks=at_iteration(2, fail))


# Many chunks in one read


@pytest.fixture
def one_read(zarr_path, monkeypatch):
    """The rows of a far store of sixteen chunks, in one read; pauses are short."""
    monkeypatch.setattr("dask_kmeans.planning.MIN_BLOCK_BYTES", 2**30)
    pauses = retry.PAUSES
    faulty.arrange()
    source = open_source(f"faulty://{zarr_path}").blocks(threads=1)[0].source
    assert source.read_rows == len(X)

    def read(**faults):
        faulty.arrange(**faults)
        return np.concatenate([values for values, _ in source.pieces()])

    yield read
    faulty.arrange()
    retry.PAUSES = pauses


def test_each_chunk_of_a_read_has_tries_of_its_own(one_read):
    """Each fails as often as one may: whole reads would fail for as long as one is left."""
    np.testing.assert_array_equal(one_read(failures=len(retry.PAUSES)), X)
    assert sum("/c/" in name for name in faulty.FaultyFileSystem.asked) == 16


def test_what_came_well_is_not_read_over_and_over(one_read):
    np.testing.assert_array_equal(one_read(failures=len(retry.PAUSES), only="c/5/0"), X)
    asked = {name[-5:]: n for name, n in faulty.FaultyFileSystem.asked.items() if "/c/" in name}
    assert asked.pop("c/5/0") == len(retry.PAUSES) + 1
    assert max(asked.values()) <= 2  # with all others, then by itself


def test_a_chunk_that_fails_for_good_is_named(one_read):
    with pytest.raises(ReadError, match=r"^Cannot read chunk c/5/0 \(rows 1250 to 1499\) of fault"):
        one_read(failures=10**9, only="c/5/0")


def test_weights_in_a_store_are_read_with_as_much_care(client, zarr_path, undisturbed, tmp_path):
    zarr.create_array(tmp_path / "w.zarr", data=np.ones(len(X)), chunks=(500,))
    weights = zarr.open_array(tmp_path / "w.zarr", mode="r")
    model = KMeans(**PARAMETERS).fit(str(zarr_path), sample_weight=weights)
    assert model.cluster_centers_.tobytes() == undisturbed["centers"]
    chunk = tmp_path / "w.zarr" / "c" / "6"
    chunk.write_bytes(chunk.read_bytes()[:20])
    match = r"^Cannot read chunk c/6 \(rows 3000 to 3499\) of file://.*/w\.zarr: "
    with pytest.raises(ReadError, match=match):
        KMeans(**PARAMETERS).fit(str(zarr_path), sample_weight=weights)
