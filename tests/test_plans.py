"""What a pass is given: plans that never change, whatever other passes are planned beside them."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from counting import CountingChunks
from inputs import blobs

from dask_kmeans.blockwise import Blockwise
from dask_kmeans.read import as_points
from dask_kmeans.sample import Sample, SampledRows

X = blobs(4000, 3, 4, seed=0)
SAMPLE = Sample(seed=1, share=0.25)


def rows_of(block):
    return sum(len(values) for values, _ in block.pieces())


def add(a, b):
    return a + b


def passes_over(X, budget=0):
    points = as_points(X)
    return Blockwise(points.blocks, points.in_memory, budget)


@pytest.fixture
def source():
    return CountingChunks(X, chunk=500)


def test_a_plan_is_not_changed_by_another_one(source):
    blockwise = passes_over(source.array(), budget=10)
    before = blockwise.plan
    planned = blockwise.with_plan(collector=SAMPLE, choose_rows=True)
    assert blockwise.plan == before
    assert planned.plan == before._replace(collector=SAMPLE, choose_rows=True)
    # In whatever order they are made.
    other = blockwise.with_plan(choose_rows=True).with_plan(collector=SAMPLE)
    assert other.plan == planned.plan


def test_passes_by_all_plans_are_counted_together(source):
    blockwise = passes_over(source.array())
    planned = blockwise.with_plan(choose_rows=True)
    assert planned.run(rows_of, merge=add) == len(X)
    assert blockwise.run(rows_of, merge=add, count=lambda _: 0) == len(X)
    assert blockwise.passes == planned.passes == 1
    blockwise.run(rows_of, merge=add, count=lambda _: 3)
    assert blockwise.passes == planned.passes == 4
    assert source.passes() == 3


def test_a_sample_is_read_when_it_is_gathered_and_not_before(source):
    blockwise = passes_over(source.array())
    sampled = SampledRows(SAMPLE, blockwise, lambda values: values)
    collecting = sampled.collected_by(blockwise)
    assert not source.reads
    collecting.run(rows_of, merge=add)
    assert sampled.gathered().n_rows == pytest.approx(len(X) / 4, rel=0.1)
    assert sampled.gathered() is sampled.gathered()
    assert source.passes() == blockwise.passes == 1
    # Once it is here, no pass collects it again.
    assert sampled.collected_by(blockwise).plan.collector is None


def test_a_sample_that_no_pass_has_collected_costs_one(source):
    blockwise = passes_over(source.array())
    sampled = SampledRows(SAMPLE, blockwise, lambda values: values)
    alone = sampled.gathered()
    assert source.passes() == blockwise.passes == 1
    # The rows are those of a pass that collects them on its way, in any chunks.
    other = passes_over(da.from_array(X, chunks=(1300, 3)))
    on_the_way = SampledRows(SAMPLE, other, lambda values: values)
    on_the_way.collected_by(other).run(rows_of, merge=add)
    found = [
        np.concatenate(
            [values for block in each.plan.blocks for values, _ in block.source.pieces()]
        )
        for each in (alone, on_the_way.gathered())
    ]
    np.testing.assert_array_equal(*found)
