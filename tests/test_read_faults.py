"""Stores that fail: tried again, then one error that names the file, the part and the rows."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
import zarr
from fsspec.implementations.local import LocalFileSystem

from dask_kmeans.checks import ReadError
from dask_kmeans.read import as_points, open_source, retry

X = np.random.default_rng(0).normal(size=(4000, 3))


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """No waiting; the list of pauses that there would have been."""
    slept = []
    monkeypatch.setattr(retry, "sleep", slept.append)
    return slept


def read_all(source):
    return np.concatenate(
        [
            np.array(values)
            for block in as_points(source).blocks
            for values, _ in block.source.pieces()
        ]
    )


def truncate(path, keep=0.5):
    os.truncate(path, int(os.path.getsize(path) * keep))


# Tries


def failing(times, error):
    """A function that raises so many times, and then gives 7."""
    left = [error] * times

    def read():
        if left:
            raise left.pop()
        return 7

    return read


def test_a_failure_that_passes_is_not_seen(pauses):
    assert retry.retried(failing(3, OSError("busy")), "store", retry.Part("chunk 0")) == 7
    assert pauses == list(retry.PAUSES)


def test_a_failure_that_stays_is_named(pauses):
    with pytest.raises(ReadError) as caught:
        retry.retried(
            failing(9, OSError("busy")), "s3://a/b.zarr", retry.Part("chunk c/0/1", 500, 1000)
        )
    assert str(caught.value) == (
        "Cannot read chunk c/0/1 (rows 500 to 999) of s3://a/b.zarr: OSError: busy. Run again "
        "once the store answers; if the data is damaged, restore it"
    )
    assert isinstance(caught.value.__cause__, OSError)
    assert len(pauses) == len(retry.PAUSES)


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), PermissionError("closed")])
def test_what_cannot_pass_is_not_tried_again(error, pauses):
    with pytest.raises(ReadError, match=r"gone|closed"):
        retry.retried(failing(1, error), "store", retry.Part("chunk 0"))
    assert pauses == []


def test_a_driver_that_has_waited_long_is_not_asked_again(pauses, monkeypatch):
    clock = iter([0, 21])
    monkeypatch.setattr(retry, "monotonic", lambda: next(clock))
    with pytest.raises(ReadError, match="timed out"):
        retry.retried(failing(1, TimeoutError("timed out")), "store", retry.Part("chunk 0"))
    assert pauses == []


def test_lack_of_memory_is_no_fault_of_the_store():
    with pytest.raises(MemoryError):
        retry.retried(failing(1, MemoryError()), "store", retry.Part("chunk 0"))


def test_the_error_travels():
    error = pickle.loads(pickle.dumps(ReadError("Cannot read chunk 3 of x")))
    assert isinstance(error, OSError)
    assert str(error) == "Cannot read chunk 3 of x"


# Zarr


@pytest.mark.parametrize("compressors", ["auto", None])
@pytest.mark.parametrize("shards", [None, (1000, 3)])
def test_a_truncated_zarr_chunk(tmp_path, compressors, shards):
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=X, chunks=(500, 3), shards=shards, compressors=compressors)
    chunk, rows = ("c/2/0", (2000, 2999)) if shards else ("c/5/0", (2500, 2999))
    truncate(path / chunk)
    match = rf"chunk {chunk} \(rows {rows[0]} to {rows[1]}\) of .*x\.zarr"
    with pytest.raises(ReadError, match=match):
        read_all(str(path))


def test_a_zarr_chunk_of_rubbish(tmp_path):
    zarr.create_array(tmp_path / "x.zarr", data=X, chunks=(500, 2), zarr_format=2)
    (tmp_path / "x.zarr" / "3.1").write_bytes(b"no codec can read this")
    with pytest.raises(ReadError, match=r"chunk 3\.1 \(rows 1500 to 1999\)"):
        read_all(str(tmp_path / "x.zarr"))


# Parquet


@pytest.fixture
def parquet(tmp_path):
    for number in range(2):
        part = pd.DataFrame(X[number * 2000 : (number + 1) * 2000], columns=list("abc"))
        part.to_parquet(tmp_path / f"{number}.parquet", row_group_size=500)
    return tmp_path


def test_a_parquet_file_deleted_after_the_start(parquet):
    source = open_source(parquet)
    (parquet / "1.parquet").unlink()
    match = r"row group 0 \(rows 2000 to 2499\) of .*1\.parquet: FileNotFoundError"
    with pytest.raises(ReadError, match=match):
        read_all(source)


def test_a_parquet_file_cut_after_the_start(parquet):
    source = open_source(parquet)
    truncate(parquet / "1.parquet")
    with pytest.raises(ReadError, match=r"row group 0 \(rows 2000 to 2499\) of .*1\.parquet"):
        read_all(source)


def test_a_parquet_page_of_rubbish(parquet):
    source = open_source(parquet)
    file = parquet / "1.parquet"
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xff" * 3000
    file.write_bytes(content)
    with pytest.raises(ReadError, match=r"row group \d \(rows \d+ to \d+\) of .*1\.parquet"):
        read_all(source)


def test_a_parquet_file_replaced_by_a_shorter_one(parquet):
    source = open_source(parquet)
    part = pd.DataFrame(X[:1900], columns=list("abc"))
    part.to_parquet(parquet / "1.parquet", row_group_size=475)
    with pytest.raises(ReadError, match=r"25 rows fewer than its footer said"):
        read_all(source)


# Others


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_npy_file_cut_after_the_start(tmp_path, order):
    np.save(tmp_path / "x.npy", np.asarray(X, order=order))
    source = open_source(tmp_path / "x.npy")
    truncate(tmp_path / "x.npy")
    with pytest.raises(ReadError, match=r"rows 0 to 3999\) of .*x\.npy: EOFError: .* too early"):
        read_all(source)


def test_a_csv_file_deleted_after_the_start(tmp_path):
    pd.DataFrame(X, columns=list("abc")).to_csv(tmp_path / "x.csv", index=False)
    source = open_source(tmp_path / "x.csv")
    (tmp_path / "x.csv").unlink()
    with pytest.raises(ReadError, match=r"bytes 6 to \d+ of .*x\.csv: FileNotFoundError"):
        read_all(source)


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_a_compressed_csv_file_cut_short(tmp_path, suffix):
    path = tmp_path / f"x.csv.{suffix}"
    pd.DataFrame(X, columns=list("abc")).to_csv(path, index=False)
    np.testing.assert_array_equal(read_all(path), X)
    source = open_source(path)
    truncate(path)
    with pytest.raises(ReadError, match=rf"a part of .*x\.csv\.{suffix}: "):
        read_all(source)


def test_a_csv_file_with_a_word_among_the_numbers(tmp_path):
    table = pd.DataFrame(X, columns=list("abc")).astype(object)
    path = tmp_path / "x.csv"
    text = table.to_csv(index=False)
    path.write_text(text)
    source = open_source(path)
    path.write_text(text.replace(text.splitlines()[3000], "1,none,3"))
    with pytest.raises(ValueError, match=r"Column 'b' of .*x\.csv .*'none' at row 2999"):
        read_all(source)


# A store that fails now and then


class FlakyFileSystem(LocalFileSystem):
    """Every other opening of a file fails."""

    protocol = "flaky"
    cachable = False
    opened = 0

    def _open(self, path, mode="rb", **options):
        type(self).opened += 1
        if self.opened % 2:
            raise OSError(5, "the network is down")
        return super()._open(path, mode, **options)


def test_a_store_that_fails_now_and_then(tmp_path, parquet):
    fsspec.register_implementation("flaky", FlakyFileSystem, clobber=True)
    np.save(tmp_path / "x.npy", X)
    pd.DataFrame(X, columns=list("abc")).to_csv(tmp_path / "x.csv", index=False)
    for name in ("x.npy", "x.csv", "*.parquet"):
        np.testing.assert_array_equal(read_all(f"flaky://{tmp_path}/{name}"), X)
    assert FlakyFileSystem.opened > 6


def test_a_parquet_read_that_breaks_in_the_middle_goes_on_from_there(parquet, monkeypatch):
    """Batches that were handed over are not handed over again."""
    from dask_kmeans.read import from_parquet

    monkeypatch.setattr(from_parquet, "BATCH_BYTES", 1)
    real, served = from_parquet._Batches._open, []

    def broken(self):
        for batch in real(self):
            served.append(1)
            if len(served) % 4 == 3:
                raise OSError("the connection was reset")
            yield batch

    monkeypatch.setattr(from_parquet._Batches, "_open", broken)
    np.testing.assert_array_equal(read_all(parquet), X)
    assert len(served) > 40


def test_nothing_is_left_open(parquet):
    before = len(list(Path("/proc/self/fd").iterdir()))
    read_all(parquet)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
