"""Local Zarr chunks read from their files: the same rows as zarr reads, or zarr's own way."""

from __future__ import annotations

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from dask_kmeans.buffer_pool import ReadingBufferPool
from dask_kmeans.read import as_points, chunk_files
from dask_kmeans.read.chunk_files import ChunkFiles
from dask_kmeans.read.columns import Columns
from dask_kmeans.read.from_zarr import ZarrRows

ROWS, FEATURES = 103, 5
X = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype(np.float32)

OURS = {
    "zstd": {"compressors": [ZstdCodec(checksum=True)]},
    "blosc": {"compressors": [BloscCodec()]},
    "plain": {"compressors": None},
    "format 2": {"zarr_format": 2},
}
ZARRS = {
    "gzip": {"compressors": [GzipCodec()]},
    "two codecs": {"compressors": [ZstdCodec(), GzipCodec()]},
    "shards": {"shards": (40, FEATURES)},
    "columns apart": {"chunks": (20, 2)},
    "Fortran order": {"zarr_format": 2, "order": "F"},
}


def stored(path, values=X, **options):
    options = {"chunks": (20, values.shape[1]), **options}
    array = zarr.create_array(path, shape=values.shape, dtype=values.dtype, **options)
    array[:] = values
    return zarr.open_array(path, mode="r")


def rows_of(array, start=0, stop=ROWS, read_rows=40):
    columns = Columns.of_positions(array.shape[1], None, None, "it")
    pieces = list(
        ZarrRows(array, "it", start, stop, read_rows, columns, ReadingBufferPool()).pieces()
    )
    return np.concatenate([values for values, _ in pieces])


@pytest.fixture(params=[2**4, 2**9, 2**20], ids="reads of {} bytes".format)
def _reads(request, monkeypatch):
    """Less than a row, more than a chunk, more than all."""
    monkeypatch.setattr(chunk_files, "READ_BYTES", request.param)


@pytest.mark.usefixtures("_reads")
@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize(("start", "stop"), [(0, ROWS), (40, 80), (27, 33), (13, 101)])
def test_the_same_rows(tmp_path, monkeypatch, kind, start, stop):
    array = stored(tmp_path / "x", **OURS[kind])
    monkeypatch.setattr(ZarrRows, "_read", None)  # zarr is not asked
    assert rows_of(array, start, stop).tobytes() == X[start:stop].tobytes()


@pytest.mark.parametrize("dtype", ["u1", "i8", "f2", "f8", "?"])
def test_every_kind_of_number(tmp_path, dtype):
    values = (X > 0).astype(dtype)
    array = stored(tmp_path / "x", values, compressors=None)
    assert ChunkFiles.of(array) is not None
    assert rows_of(array).astype(dtype).tobytes() == values.tobytes()


@pytest.mark.parametrize("kind", ZARRS)
def test_what_is_left_to_zarr(tmp_path, kind):
    array = stored(tmp_path / "x", **ZARRS[kind])
    assert ChunkFiles.of(array) is None
    assert rows_of(array).tobytes() == X.tobytes()


def test_another_byte_order_and_another_store(tmp_path):
    array = stored(tmp_path / "x", X.astype(">f4"))
    np.testing.assert_array_equal(rows_of(array), X)
    array = stored(zarr.storage.MemoryStore())
    assert ChunkFiles.of(array) is None
    assert rows_of(array).tobytes() == X.tobytes()


@pytest.mark.usefixtures("_reads")
@pytest.mark.parametrize("kind", OURS)
def test_a_chunk_that_is_not_there_holds_the_fill_value(tmp_path, kind):
    array = stored(tmp_path / "x", **OURS[kind], fill_value=7)
    (tmp_path / "x" / array.metadata.encode_chunk_key((2, 0))).unlink()
    expected = X.copy()
    expected[40:60] = 7
    assert rows_of(array).tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", OURS)
def test_a_chunk_cut_short_is_an_error_that_names_it(tmp_path, kind):
    array = stored(tmp_path / "x", **OURS[kind])
    file = tmp_path / "x" / array.metadata.encode_chunk_key((2, 0))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(OSError, match=array.metadata.encode_chunk_key((2, 0))):
        rows_of(array)


@pytest.mark.parametrize("kind", OURS)
def test_a_chunk_of_fewer_rows_is_not_taken_for_a_whole_one(tmp_path, kind):
    array = stored(tmp_path / "x", **OURS[kind])
    other = stored(tmp_path / "y", X[:10], **{**OURS[kind], "chunks": (10, FEATURES)})
    content = (tmp_path / "y" / other.metadata.encode_chunk_key((0, 0))).read_bytes()
    (tmp_path / "x" / array.metadata.encode_chunk_key((2, 0))).write_bytes(content)
    with pytest.raises(OSError, match=array.metadata.encode_chunk_key((2, 0))):
        rows_of(array)


@pytest.mark.parametrize("rows", [1, 12, 13, 1000, 20_000])
def test_a_chunk_says_how_large_it_is(rows):
    """Headers of all widths."""
    values = np.zeros((rows, FEATURES), np.float32)
    for codec, size in chunk_files.DECODED_BYTES.items():
        assert size(numcodecs.get_codec({"id": codec}).encode(values)) == values.nbytes


def test_a_store_on_disk_is_read_this_way(tmp_path, monkeypatch):
    stored(tmp_path / "x")
    monkeypatch.setattr(ZarrRows, "_read", None)
    blocks = as_points(tmp_path / "x").blocks
    found = [values for block in blocks for values, _ in block.source.pieces()]
    assert np.concatenate(found).tobytes() == X.tobytes()
