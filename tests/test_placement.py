"""Where blocks go, and in which turns what they leave is fetched."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dask_kmeans.blockwise.placement import turns

WORKERS = {"a": 1, "b": 2, "c": 4}


@given(st.lists(st.sampled_from(["a", "b", "c", None])))
def test_turns_take_every_block_once_and_of_each_worker_as_many_as_it_has_threads(places):
    where = {10 * number: at for number, at in enumerate(places) if at is not None}
    blocks = [10 * number for number in range(len(places))]
    found = turns(where, WORKERS, blocks)
    assert sorted(index for turn in found for index in turn) == blocks
    for turn in found:
        for address, count in Counter(where.get(index) for index in turn).items():
            assert count <= WORKERS.get(address, sum(WORKERS.values()))
    # As few turns as that allows.
    most = max((-(-places.count(at) // WORKERS.get(at, 7)) for at in set(places)), default=0)
    assert len(found) == most
