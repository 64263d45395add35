"""Labels between passes: few bytes a row, no more than there is room for, and the same fit."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from inputs import blobs

from dask_kmeans import KMeans, memory, planning
from dask_kmeans.blockwise import Block, OpenBlock, Reading, tasks
from dask_kmeans.blockwise.caches import Caches
from dask_kmeans.labels import Labels
from dask_kmeans.read import as_points

X = blobs(6000, 4, 6, seed=3)


def block(caches, index=0, rows=10, room=None):
    return OpenBlock(Block(index, 0, rows, None), None, caches, Reading(), room)


@pytest.fixture
def caches():
    return Caches("test")


@pytest.mark.parametrize(
    ("n_clusters", "size"),
    [(1, 1), (2, 1), (128, 1), (129, 2), (2**15, 2), (2**15 + 1, 4), (10**6, 4)],
)
def test_a_label_has_as_few_bytes_as_count_the_clusters(n_clusters, size, caches):
    labels, known = Labels.recall(block(caches, room=10**6), "slot", 0, n_clusters)
    assert not known
    assert labels.stored.itemsize == size == memory.label_bytes(n_clusters)
    given = labels.of(slice(2, 6))
    given[:] = [n_clusters - 1, 0, -1, n_clusters // 2]
    labels.put(slice(2, 6), given)
    expected = [-1, -1, n_clusters - 1, 0, -1, n_clusters // 2, *[-1] * 4]
    assert labels.of(slice(0, 10)).tolist() == expected
    assert labels.of(slice(0, 10)).dtype == np.int32


def test_labels_in_memory_are_what_is_handed_out(caches):
    """No copies to and fro: what is written to them is there."""
    labels, _ = Labels.recall(block(caches), "slot", 0, 5)
    labels.of(slice(2, 4))[:] = 3
    labels.leave(block(caches), "slot", 1)
    again, known = Labels.recall(block(caches), "slot", 1, 5)
    assert known
    assert again.stored.tolist() == [-1, -1, 3, 3, *[-1] * 6]


def test_labels_of_another_step_are_not_taken_for_those_of_this_one(caches):
    here = block(caches, room=10**6)
    Labels.recall(here, "slot", 0, 5)[0].leave(here, "slot", 1)
    labels, known = Labels.recall(here, "slot", 2, 5)
    assert not known
    assert (labels.stored == -1).all()
    assert here.cache == {}  # nor left to lie about


def test_labels_grow_with_the_number_of_clusters(caches):
    here = block(caches, room=10**6)
    labels, _ = Labels.recall(here, "slot", "", 100)
    own = labels.of(slice(0, 10))
    own[:] = range(10)
    labels.put(slice(0, 10), own)
    labels.leave(here, "slot", "a")
    labels, known = Labels.recall(here, "slot", "a", 1000)
    assert known
    assert labels.stored.dtype == np.int16
    np.testing.assert_array_equal(labels.of(slice(0, 10)), np.arange(10))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 60))), st.data())
def test_no_more_is_remembered_than_there_is_room_for(sizes, data):
    caches = Caches("test")
    room = data.draw(st.integers(0, 200))
    for index, slot, size in sizes:
        here = block(caches, index, room=room)
        here.cache.pop(slot, None)
        here.remember(slot, np.zeros(size, np.int8), size)
        held = sum(v.nbytes for cache in caches.blocks.values() for v in cache.values())
        assert held <= room
        # What had room goes in; what is forgotten gives its room back.
        assert (slot in here.cache) == (held + (0 if slot in here.cache else size) <= room)


def bits(model):
    return {
        "centers": model.cluster_centers_.tobytes(),
        "labels": np.asarray(model.labels_).tobytes(),
        "inertia": model.inertia_.hex(),
        "passes": model.n_passes_,
        "changed": [record.changed for record in model.history_],
    }


@pytest.mark.parametrize("init", ["k-means||", "k-means++", "random"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_a_fit_without_room_for_its_labels_is_the_same(share, init, monkeypatch):
    """They are found again from the centers: more work, and no more passes."""
    monkeypatch.setattr(tasks, "label_budget_here", lambda: int(share * len(X)))
    monkeypatch.setattr(planning, "MIN_BLOCK_BYTES", 1)
    parameters = {"n_clusters": 6, "random_state": 1, "tol": 0.0, "init": init, "n_init": 1}
    lazy = da.from_array(X, chunks=(500, 4))
    assert bits(KMeans(**parameters).fit(lazy)) == bits(KMeans(**parameters).fit(X))


def test_blocks_of_a_store_have_a_bounded_number_of_rows(tmp_path):
    """However many rows there are: a task has a label for each of its own."""
    zarr.create_array(tmp_path / "x.zarr", shape=(10**10, 2), chunks=(10**6, 2), dtype="f4")
    blocks = as_points(tmp_path / "x.zarr").blocks
    assert max(each.rows for each in blocks) <= planning.MAX_BLOCK_ROWS
    assert sum(each.rows for each in blocks) == 10**10
