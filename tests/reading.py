"""What blocks hand over, and whether it is what it should be."""

from __future__ import annotations

import dask
import numpy as np
from inputs import Unchecked


def rows_of(points):
    """Rows and weights that the blocks hand over, and rows of each block."""
    values, weights, counts = [], [], []
    for block in points.blocks:
        source = block.source
        if dask.is_dask_collection(source):
            source = source.compute(scheduler="synchronous")
        counts.append(0)
        for piece, of_piece in source.pieces():
            assert piece.dtype.isnative
            assert piece.flags.aligned
            values.append(np.array(piece))
            weights.append(of_piece)
            counts[-1] += len(piece)
    weights = np.concatenate(weights) if points.weighted else None
    return np.concatenate(values), weights, counts


def first_two(values):
    return values[:, :2]


def row_sum(values):
    return values.sum(axis=1)


def numbers(result):
    return np.asarray(result.compute() if hasattr(result, "compute") else result)


def check(points, X, weights=None):
    """The rows are those of X, in order, and so are results."""
    values, found, counts = rows_of(points)
    np.testing.assert_array_equal(values, X)
    if weights is None:
        assert found is None
    else:
        np.testing.assert_array_equal(found, weights)
        assert found.dtype == np.float64
    assert points.n_features == X.shape[1]
    assert points.dtype == values.dtype
    counted = points.with_counts(counts)
    assert counted.n_rows == len(X)
    assert points.n_rows in (None, len(X))
    assert [b.start for b in counted.blocks] == np.cumsum([0, *counts[:-1]]).tolist()
    for block, again in zip(points.blocks, counted.blocks, strict=True):
        assert block.start in (None, again.start)
        assert block.rows in (None, again.rows)
    size = X.shape[1] * points.dtype.itemsize + 8 * points.weighted
    assert counted.bytes == len(X) * size

    one = numbers(counted.apply(Unchecked(row_sum), np.float32))
    assert one.dtype == np.float32
    np.testing.assert_allclose(one.ravel(), X.sum(axis=1), rtol=1e-5, atol=1e-5)
    two = numbers(points.apply(Unchecked(first_two), np.float64, 2))
    np.testing.assert_array_equal(two.reshape(-1, 2), X[:, :2])
