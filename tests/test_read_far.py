"""Stores that are far away: S3 (a server on loopback), and slow ones that are read ahead."""

from __future__ import annotations

import time

import fsspec
import numpy as np
import pandas as pd
import pytest
import zarr
from reading import check, rows_of

from dask_kmeans.checks import ReadError
from dask_kmeans.read import as_points, retry
from dask_kmeans.read.ahead import Ahead

X = np.random.default_rng(0).normal(size=(6000, 5))


@pytest.fixture(scope="module")
def bucket():
    """URL of a bucket with X in every format; endpoint and keys come from the environment."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        # Other tests' servers are gone, and so should be the connections to them.
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        fs = fsspec.filesystem("s3", skip_instance_cache=True)
        fs.mkdir("points")
        frame = pd.DataFrame(X, columns=list("abcde"))
        for number in range(2):
            part = frame.iloc[number * 3000 : (number + 1) * 3000]
            with fs.open(f"points/parts/{number}.parquet", "wb") as file:
                part.to_parquet(file, row_group_size=700)
        fs.pipe("points/x.csv", frame.to_csv(index=False).encode())
        with fs.open("points/x.npy", "wb") as file:
            np.save(file, X)
        zarr.create_array("s3://points/x.zarr", data=X, chunks=(1000, 5))
        yield "s3://points"
        fsspec.get_filesystem_class("s3").clear_instance_cache()
    server.stop()


@pytest.mark.parametrize(
    "name", ["parts", "parts/*.parquet", "parts/0.parquet", "x.csv", "x.npy", "x.zarr"]
)
def test_s3(bucket, name):
    check(as_points(f"{bucket}/{name}"), X[:3000] if name.endswith("0.parquet") else X)


@pytest.mark.parametrize("name", ["gone.zarr", "gone/*.parquet", "gone"])
def test_s3_without_the_object(bucket, name):
    with pytest.raises(FileNotFoundError, match="Nothing exists at s3://points/gone"):
        as_points(f"{bucket}/{name}")


def test_a_broken_chunk_on_s3(bucket, monkeypatch):
    monkeypatch.setattr(retry, "PAUSES", (0,))
    zarr.create_array("s3://points/broken.zarr", data=X, chunks=(1000, 5))
    fsspec.filesystem("s3").pipe("points/broken.zarr/c/3/0", b"rubbish")
    match = r"chunk c/3/0 \(rows 3000 to 3999\) of s3://points/broken\.zarr"
    with pytest.raises(ReadError, match=match):
        rows_of(as_points(f"{bucket}/broken.zarr"))


class Slow:
    """Pieces that take a while to come; notes when each was asked for and when it was there."""

    def __init__(self, seconds, n_pieces):
        self.seconds, self.n_pieces = seconds, n_pieces
        self.there = []

    def pieces(self):
        for number in range(self.n_pieces):
            time.sleep(self.seconds)
            self.there.append(number)
            yield np.full((1, 1), number), None


def test_the_next_piece_comes_while_one_is_worked_on():
    slow = Slow(0.01, 5)
    seen = []
    for values, _ in Ahead(slow).pieces():
        seen.append(values[0, 0])
        time.sleep(0.05)
        assert slow.there == list(range(min(len(seen) + 1, 5)))  # one ahead, not more
    assert seen == [0, 1, 2, 3, 4]


def test_an_error_ahead_comes_through():
    class Broken:
        def pieces(self):
            yield np.ones((1, 1)), None
            raise ReadError("chunk 1")

    pieces = Ahead(Broken()).pieces()
    next(pieces)
    with pytest.raises(ReadError, match="chunk 1"):
        next(pieces)


def test_reading_ahead_ends_with_its_reader():
    slow = Slow(0.01, 100)
    pieces = Ahead(slow).pieces()
    next(pieces)
    pieces.close()
    after = len(slow.there)
    time.sleep(0.05)
    assert len(slow.there) == after <= 3
