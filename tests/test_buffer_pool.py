"""Memory that is used again is nobody's any more."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest
import zarr
from dask.tokenize import tokenize

from dask_kmeans.buffer_pool import LEAST_BYTES, BufferPool, ReadingBufferPool
from dask_kmeans.read import open_source


@pytest.fixture
def buffers():
    buffers = ReadingBufferPool()
    with buffers.reading():
        yield buffers


def address(array):
    return array.__array_interface__["data"][0]


def test_what_is_let_go_of_is_used_again(buffers):
    first = buffers.empty((10_000, 3), np.float32)
    where = address(first)
    assert (first.shape, first.dtype, first.flags.c_contiguous) == ((10_000, 3), np.float32, True)
    del first
    gc.collect()
    assert address(buffers.empty((5000, 6), np.float32)) == where


@pytest.mark.parametrize("view", [
    lambda a: a[5:], lambda a: a.T[1], lambda a: a.view(np.int32)[::2], lambda a: memoryview(a),
    lambda a: a.reshape(-1)[3:4],
])  # fmt: skip
def test_what_somebody_still_sees_is_not(buffers, view):
    held = buffers.empty((10_000, 3), np.float32)
    held[:] = 7
    seen = view(held)
    before = np.array(seen)
    del held
    gc.collect()
    others = [buffers.empty((10_000, 3), np.float32) for _ in range(3)]
    for other in others:
        other[:] = 8
    np.testing.assert_array_equal(np.array(seen), before)


def test_larger_arrays_take_memory_of_their_own(buffers):
    small = buffers.empty((10_000, 2), np.float64)
    del small
    large = buffers.empty((1_000_000, 2), np.float64)
    large[:] = 1
    assert large.sum() == 2_000_000
    assert buffers.empty((0, 5), np.float64).shape == (0, 5)


def test_zeros_are_zeros_wherever_they_come_from():
    buffers = BufferPool()
    for shape in ((2, 3), (LEAST_BYTES, 3), (LEAST_BYTES // 8,)):
        array = buffers.zeros(shape, np.int64)
        assert array.shape == shape
        assert array.dtype == np.int64
        assert not array.any()
        array.fill(-1)
        where = address(array)
        del array
        again = buffers.zeros(shape, np.int64)
        assert not again.any()
        if again.nbytes >= LEAST_BYTES:
            assert address(again) == where


def test_small_arrays_have_memory_of_their_own():
    buffers = BufferPool()
    array = buffers.empty((5, 2), np.float32)
    del array
    assert not buffers._free


def test_nothing_is_left_when_nobody_reads():
    buffers = ReadingBufferPool()
    with buffers.reading():
        with buffers.reading():
            array = buffers.empty((10_000, 3), np.float32)
            del array
        assert buffers._free
        late = buffers.empty((10_000, 3), np.float32)
    assert not buffers._free
    del late
    assert not buffers._free


def test_a_copy_is_empty_and_a_source_is_the_same_with_or_without(buffers):
    array = buffers.empty((10_000, 3), np.float32)
    del array
    assert not pickle.loads(pickle.dumps(buffers))._free
    assert tokenize(buffers) == tokenize(ReadingBufferPool())


def test_chunks_that_are_held_stay_as_they_are(tmp_path):
    """All pieces of a store, kept until the last one is read."""
    X = np.random.default_rng(0).normal(size=(5000, 4)).astype(np.float32)
    zarr.create_array(tmp_path / "x.zarr", data=X, chunks=(700, 4))
    (block,) = open_source(tmp_path / "x.zarr").blocks(threads=1)
    pieces = [values for values, _ in block.source.pieces()]
    np.testing.assert_array_equal(np.concatenate(pieces), X)
