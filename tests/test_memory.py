"""Plans: every row in one block, blocks of the size asked for, cut where the storage is cut."""

from __future__ import annotations

import gzip
import tracemalloc
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from hypothesis import example, given
from hypothesis import strategies as st

from dask_kmeans import memory, planning
from dask_kmeans.read import PresentFeatures, Standardization, from_parquet, open_source
from dask_kmeans.read.chunk_files import ChunkFiles
from dask_kmeans.read.pieces import Piece
from dask_kmeans.read.transforms import transformed

ROWS = st.integers(1, 10_000_000)
THREADS = st.integers(1, 64)


def covers(bounds, total):
    """Whether the bounds are consecutive, none empty, from 0 to total."""
    edges = [0, *(stop for _, stop in bounds)]
    return edges[-1] == total and all(
        start == edge < stop for (start, stop), edge in zip(bounds, edges, strict=False)
    )


@given(ROWS, st.integers(1, 2_000_000), st.integers(1, 10_000), THREADS)
@example(4_000_000, 250_000, 128, 2)
@example(1, 1, 1, 1)
def test_blocks_of_a_store_cover_it_at_chunks(n_rows, chunk_rows, row_bytes, threads):
    chunk_rows = max(chunk_rows, n_rows // 10_000)
    bounds, read_rows = planning.plan_blocks(n_rows, chunk_rows, row_bytes, threads)
    assert covers(bounds, n_rows)
    assert len(bounds) <= planning.BLOCKS_PER_THREAD * threads
    chunk_rows = min(chunk_rows, n_rows)
    assert all(start % chunk_rows == 0 for start, _ in bounds)
    assert read_rows % chunk_rows == 0
    assert read_rows * row_bytes <= max(planning.PIECE_BYTES, chunk_rows * row_bytes)


@given(ROWS, st.integers(1, 2_000_000), THREADS, st.integers(1, 100_000))
def test_blocks_have_no_more_rows_than_asked_for(n_rows, chunk_rows, threads, most):
    chunk_rows, most = max(chunk_rows, n_rows // 1000), max(most, n_rows // 1000)
    bounds, _ = planning.plan_blocks(n_rows, chunk_rows, 8, threads, max_block_rows=most)
    assert covers(bounds, n_rows)
    assert max(stop - start for start, stop in bounds) <= most
    # A block begins at a chunk or lies within one, so that none reads two chunks in part.
    for start, stop in bounds:
        assert start % chunk_rows == 0 or start // chunk_rows == (stop - 1) // chunk_rows


@given(st.integers(1, 64), st.integers(1, 2000))
def test_every_thread_gets_blocks_of_a_large_store(threads, n_chunks):
    chunk_rows = 100_000
    bounds, _ = planning.plan_blocks(n_chunks * chunk_rows, chunk_rows, 128, threads)
    assert len(bounds) >= min(n_chunks, threads)


def test_a_small_store_is_one_block():
    assert planning.plan_blocks(3000, 100, 16, threads=16).bounds == [(0, 3000)]


@given(st.integers(0, 10_000_000), st.integers(1, 1000), THREADS)
def test_blocks_in_memory(n_rows, n_features, threads):
    bounds = planning.plan_in_memory(n_rows, n_features, threads)
    assert len(bounds) <= planning.BLOCKS_PER_THREAD * threads
    if n_rows * n_features < planning.SMALL:
        assert bounds == [(0, n_rows)]
    else:
        assert covers(bounds, n_rows)
        assert all(start % planning.ROW_ALIGNMENT == 0 for start, _ in bounds)


SIZES = st.lists(st.integers(0, 100_000_000), min_size=1, max_size=200)


@given(SIZES, THREADS)
def test_groups_of_chunks_cover_them_within_the_limit(sizes, threads):
    groups = planning.group_chunks(sizes, threads)
    assert covers(groups, len(sizes))
    for a, b in groups:
        assert b - a == 1 or sum(sizes[a:b]) <= planning.PIECE_BYTES


@given(SIZES, THREADS, st.none() | st.integers(1, 10**9))
def test_groups_of_parts_cover_them_within_the_limit(sizes, threads, most):
    groups = planning.group_parts(sizes, threads, max_group=most)
    assert covers(groups, len(sizes))
    fair = max(sum(sizes) / (planning.BLOCKS_PER_THREAD * threads) + 1, planning.MIN_BLOCK_BYTES)
    for a, b in groups:
        assert b - a == 1 or sum(sizes[a:b]) <= min(fair, most or fair)
    # Any two neighbours together are more than the limit: no more tasks than twice what is needed.
    limit = min(fair - 1, most or fair)
    assert all(sum(sizes[a:d]) > limit - 1 for (a, _), (_, d) in pairwise(groups))


@given(st.integers(0, 1_000_000), st.integers(1, 1_000_000))
def test_pieces_are_small(n_rows, row_bytes):
    pieces = planning.pieces(n_rows, row_bytes)
    assert covers(pieces, n_rows)
    smallest = planning.TILE_ROWS * row_bytes
    assert all((b - a) * row_bytes <= max(planning.PIECE_BYTES, smallest) for a, b in pieces)


@pytest.mark.parametrize("grown", ["reading", "block_rows", "piece_rows", "n_features",
                                   "n_clusters", "n_runs"])  # fmt: skip
def test_a_task_with_more_of_anything_takes_more(grown):
    base = {"reading": 10**6, "block_rows": 10**5, "piece_rows": 10**4, "n_features": 8,
            "n_clusters": 16, "n_runs": 1}  # fmt: skip
    less, more = memory.task_bytes(**base), memory.task_bytes(**{**base, grown: 2 * base[grown]})
    assert less < more <= 2 * less


def test_margins_and_kept_rows_are_counted():
    base = {"reading": 10**6, "block_rows": 10**5, "piece_rows": 10**4, "n_features": 8,
            "n_clusters": 16}  # fmt: skip
    plain = memory.task_bytes(**base)
    assert memory.task_bytes(**base, bounded=True) - plain == memory.MARGIN_BYTES * 10**5
    assert memory.task_bytes(**base, kept=1000) - plain == 2000


def test_a_partial_result_has_the_size_of_its_arrays():
    k, d = 7, 5
    sums = [np.zeros((k, d), np.int64)] * 2 + [np.zeros(k, np.int64)] * 3
    assert memory.sums_bytes(k, d) == sum(array.nbytes for array in sums)


@pytest.mark.parametrize("by", ["files", "zarr"])
@pytest.mark.parametrize("compressors", ["auto", None])
@pytest.mark.parametrize("chunk_rows", [5_000, 40_000])
def test_reading_zarr_takes_no_more_than_stated(tmp_path, monkeypatch, compressors, chunk_rows, by):
    if by == "zarr":
        monkeypatch.setattr(ChunkFiles, "of", lambda array: None)
    X = np.random.default_rng(0).normal(size=(160_000, 32))
    zarr.create_array(tmp_path / "x.zarr", data=X, chunks=(chunk_rows, 32), compressors=compressors)
    del X
    source = open_source(tmp_path / "x.zarr").blocks(threads=1)[0].source
    stated = memory.reading_bytes(source.read_rows * 32 * 8)
    peak = peak_of(source)
    assert peak <= 1.05 * stated
    if by == "zarr":  # which takes the most
        assert 0.25 * stated < peak


@pytest.mark.parametrize("order", ["C", "F"])
def test_reading_npy_takes_no_more_than_stated(tmp_path, order):
    np.save(tmp_path / "x.npy", np.zeros((160_000, 32), order=order))
    source = open_source(tmp_path / "x.npy").blocks(threads=1)[0].source
    assert peak_of(source) <= memory.reading_bytes(source.read_rows * 32 * 8)


def test_reading_parquet_takes_no_more_than_stated(tmp_path):
    X = np.random.default_rng(0).normal(size=(32, 300_000)).astype(np.float32)
    pq.write_table(
        pa.table({f"c{n}": column for n, column in enumerate(X)}), tmp_path / "x.parquet"
    )
    del X
    (block,) = open_source(tmp_path / "x.parquet").blocks(threads=1)
    held = pa.total_allocated_bytes()
    stated = memory.reading_bytes(from_parquet.BATCH_BYTES, parquet_columns=32)
    assert peak_of(block.source, lambda: pa.total_allocated_bytes() - held) <= stated


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("width", [-1, 64])
def test_reading_vectors_takes_no_more_than_stated(tmp_path, width, dictionary):
    """Of one large row group, in batches that are far smaller."""
    values = pa.array(np.random.default_rng(0).normal(size=200_000 * 64).astype(np.float32))
    rows = pa.FixedSizeListArray.from_arrays(values, 64).cast(pa.list_(pa.float32(), width))
    pq.write_table(pa.table({"v": rows}), tmp_path / "x.parquet", use_dictionary=dictionary)
    del values, rows
    (block,) = open_source(tmp_path / "x.parquet").blocks(threads=1)
    held = pa.total_allocated_bytes()
    stated = memory.reading_bytes(from_parquet.VECTOR_BATCH_BYTES, parquet_columns=1)
    peak = peak_of(block.source, lambda: pa.total_allocated_bytes() - held)
    print(f"{peak / 2**20:.1f} of {stated / 2**20:.1f} MiB")
    assert peak <= stated


@pytest.mark.parametrize("n_features", [40, 30_000])
@pytest.mark.parametrize("left_out", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_transforms_hold_what_is_stated(n_features, left_out, scaled):
    """A strip at a time, be rows short or long."""
    X = np.ones((max(200, 4 * planning.strip_rows(n_features)), n_features), np.float32)
    present = np.arange(n_features) % 50 > 0
    kept = int(present.sum()) if left_out else n_features
    ways = [PresentFeatures(present)] * left_out
    ways += [Standardization(np.zeros(kept), np.ones(kept))] * scaled
    tracemalloc.start()
    try:
        for _piece in transformed(iter([Piece(X)]), ways):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    stated = memory.transform_bytes(n_features, 4, left_out, scaled)
    assert peak <= stated + 2**20
    assert peak >= 0.4 * stated


def test_a_compressed_csv_file_is_read_as_a_stream(tmp_path):
    line = b"1.25,2.5\n"
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a,b\n" + line * 8_000_000))
    (block,) = open_source(tmp_path / "x.csv.gz").blocks(threads=1)
    assert peak_of(block.source) < 50 * 2**20 < 8_000_000 * len(line)


def peak_of(source, elsewhere=lambda: 0):
    """Most bytes held while a block is read: of Python and NumPy, and what `elsewhere` counts."""
    for _ in source.pieces():
        break  # what is imported and cached the first time
    most = 0
    tracemalloc.start()
    try:
        for _values, _ in source.pieces():
            most = max(most, elsewhere())
        return tracemalloc.get_traced_memory()[1] + most
    finally:
        tracemalloc.stop()
