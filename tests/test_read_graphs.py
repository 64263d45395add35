"""Dask collections as blocks: few tasks for many chunks, nothing computed twice."""

from __future__ import annotations

import pickle
from itertools import pairwise

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st
from inputs import Unchecked
from reading import row_sum, rows_of

from dask_kmeans import planning
from dask_kmeans.blockwise import parallelism
from dask_kmeans.read import as_points, from_xarray

MOST = planning.BLOCKS_PER_THREAD * parallelism(in_memory=False)


def tasks(points):
    """Tasks of one pass over the blocks."""
    return sum(
        len(dict(block.source.__dask_graph__())) if dask.is_dask_collection(block.source) else 1
        for block in points.blocks
    )


@pytest.fixture
def stored(tmp_path):
    X = np.random.default_rng(0).normal(size=(4000, 300))
    zarr.create_array(tmp_path / "x.zarr", data=X, chunks=(10, 300))
    return X, tmp_path / "x.zarr"


def test_many_chunks_make_few_tasks(stored):
    X, path = stored
    for lazy in (
        da.from_zarr(path),
        da.from_zarr(path) * 2 - X[0],
        da.from_array(X, chunks=(9, 70)),
    ):
        points = as_points(lazy)
        assert 1 < tasks(points) <= 2 * MOST
        np.testing.assert_array_equal(rows_of(points)[0], lazy.compute())


def test_many_chunks_of_unknown_size_make_few_tasks(stored):
    X, path = stored
    lazy = da.from_zarr(path)
    points = as_points(lazy[lazy[:, 0] > 0])
    assert tasks(points) == min(400, MOST)
    np.testing.assert_array_equal(rows_of(points)[0], X[X[:, 0] > 0])


def test_a_raster_in_tiles_makes_few_tasks():
    X = np.random.default_rng(0).normal(size=(60, 50, 3))
    raster = xr.DataArray(da.from_array(X, chunks=(2, 7, 2)), dims=("y", "x", "band"))
    points = as_points(raster, feature_dim="band")
    assert tasks(points) <= 2 * MOST
    np.testing.assert_array_equal(rows_of(points)[0], X.reshape(-1, 3))


def test_a_raster_chunked_along_its_last_dimension_is_cut_along_the_first(monkeypatch):
    monkeypatch.setattr(from_xarray, "STRIPE_BYTES", 10_000)
    X = np.random.default_rng(0).normal(size=(60, 50, 3))
    lazy = da.from_array(X, chunks=(60, 5, 3)) + 0  # tasks, of which the stripes share some
    raster = xr.DataArray(lazy, dims=("y", "x", "band"))
    points = as_points(raster, feature_dim="band")
    assert max(points.apply(Unchecked(row_sum), float).chunks[1]) == 5
    assert all(dask.is_dask_collection(block.source) for block in points.blocks)
    found = dask.compute(*(block.source for block in points.blocks), scheduler="synchronous")
    values = np.concatenate([piece for source in found for piece, _ in source.pieces()])
    np.testing.assert_array_equal(values, X.reshape(-1, 3))


def test_many_partitions_make_few_tasks():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 2)), columns=["a", "b"])
    table = dd.from_pandas(frame, npartitions=100)
    points = as_points(table, table["a"].abs())
    assert tasks(points) == min(100, MOST)
    values, weights, _ = rows_of(points)
    np.testing.assert_array_equal(values, frame)
    np.testing.assert_array_equal(weights, frame["a"].abs())


def test_columns_without_numbers_are_not_read(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "name": ["x", "y"], "b": [3, 4]})
    frame.to_parquet(tmp_path / "t.parquet")
    for table in (dd.read_parquet(tmp_path / "t.parquet"), dd.from_pandas(frame, npartitions=1)):
        with pytest.warns(UserWarning, match="'name'"):
            points = as_points(table)
        (block,) = points.blocks
        ((part,),) = block.source.chunks
        assert list(part.columns) == ["a", "b"]
        np.testing.assert_array_equal(rows_of(points)[0], [[1, 3], [2, 4]])


def test_a_block_holds_one_chunk_at_a_time(tmp_path, stored):
    computed = []

    def note(chunk):
        computed.append(len(chunk))
        return chunk

    _, path = stored
    lazy = da.from_zarr(path).map_blocks(note, meta=np.empty((0, 0)))
    pieces = as_points(lazy).blocks[0].source.pieces()
    assert computed == []
    for number in range(1, 4):
        next(pieces)
        assert computed == [10] * number


def test_what_chunks_share_is_computed_once(stored):
    X, path = stored
    calls = []

    def expensive():
        calls.append(1)
        return X[0]

    shared = da.from_delayed(dask.delayed(expensive)(), (300,), float)
    points = as_points(da.from_zarr(path) - shared)
    assert all(dask.is_dask_collection(block.source) for block in points.blocks)
    sources = dask.compute(*(block.source for block in points.blocks), scheduler="synchronous")
    assert calls == [1]
    values = np.concatenate([piece for source in sources for piece, _ in source.pieces()])
    np.testing.assert_array_equal(values, X - X[0])


def test_large_data_that_chunks_share_is_not_sent_with_each_block(stored):
    X, path = stored
    table = da.from_array(np.zeros((2000, 300)), chunks=-1)
    points = as_points(da.from_zarr(path) + table.sum(axis=0))
    assert all(
        len(pickle.dumps(block)) < 3 * X.nbytes / len(points.blocks) for block in points.blocks
    )


def test_what_the_user_said_about_tasks_is_kept(stored):
    _, path = stored
    with dask.annotate(resources={"GPU": 1}):
        lazy = da.from_zarr(path)
    points = as_points(lazy)
    assert all(dask.is_dask_collection(block.source) for block in points.blocks)


@pytest.mark.slow
def test_data_on_the_cluster_stays_there(client, stored):
    X, path = stored
    lazy = da.from_zarr(path).persist()
    for data in (lazy, lazy * 2):
        points = as_points(data)
        assert all(dask.is_dask_collection(block.source) for block in points.blocks)
        held = client.gather(client.compute([block.source for block in points.blocks]))
        values = np.concatenate([piece for source in held for piece, _ in source.pieces()])
        np.testing.assert_array_equal(values, X * (2 if data is not lazy else 1))


@pytest.mark.slow
def test_blocks_travel_to_the_workers(client, stored):
    X, path = stored
    for data in (da.from_zarr(path), str(path)):
        points = as_points(data)
        done = client.gather([client.submit(total, block.source) for block in points.blocks])
        assert np.isclose(sum(done), X.sum())
        assert np.allclose(points.apply(Unchecked(row_sum), float).compute(), X.sum(axis=1))


def test_futures_stay_on_the_cluster(client):
    chunks = [dask.delayed(np.array)(client.submit(np.full, (10, 3), n)) for n in range(4)]
    lazy = da.concatenate([da.from_delayed(chunk, (10, 3), float) for chunk in chunks])
    points = as_points(lazy)
    assert all(dask.is_dask_collection(block.source) for block in points.blocks)
    held = client.gather(client.compute([block.source for block in points.blocks]))
    values = np.concatenate([piece for source in held for piece, _ in source.pieces()])
    np.testing.assert_array_equal(values[:, 0], np.repeat(np.arange(4), 10))


def total(source):
    return sum(piece.sum() for piece, _ in source.pieces())


@st.composite
def chunkings(draw, length):
    """Chunk sizes, empty ones among them, that add up to `length`."""
    cuts = draw(st.lists(st.integers(0, length), max_size=8))
    edges = [0, *sorted(cuts), length]
    return tuple(b - a for a, b in pairwise(edges))


SMALL = np.random.default_rng(0).normal(size=(23, 5))


@given(chunkings(23), chunkings(5).filter(all), chunkings(23), st.booleans())
def test_any_chunking(rows, columns, of_weights, known):
    lazy = da.from_array(SMALL, chunks=(rows, columns))
    weights = da.arange(23, chunks=(of_weights,))
    if not known:
        both = da.concatenate([lazy, weights[:, None]], axis=1).rechunk((rows, (5, 1)))
        both = both[both[:, 0] > -np.inf]
        lazy, weights = both[:, :5], both[:, 5]
    points = as_points(lazy, weights)
    values, found, _ = rows_of(points)
    np.testing.assert_array_equal(values, SMALL)
    np.testing.assert_array_equal(found, np.arange(23))
    result = points.apply(Unchecked(row_sum), float)
    assert len(result.chunks[0]) == len(rows)
    np.testing.assert_array_equal(result.compute(scheduler="synchronous"), SMALL.sum(axis=1))
