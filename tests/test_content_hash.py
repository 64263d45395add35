"""The hash of rows: of numbers and their order, whatever holds them and wherever they are cut."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from inputs import INPUTS

from dask_kmeans.blockwise import Blockwise
from dask_kmeans.kernels import content_hash, join_hashes
from dask_kmeans.read import as_points
from dask_kmeans.survey import survey

PRIME, PLACE = 2**61 - 1, 0x1B2E3A5D94C7F163
WORD = 2**64


def mixed(bits):
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) % WORD
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) % WORD
    return bits ^ (bits >> 31)


def by_hand(rows):
    """The definition, in Python's integers."""
    total = 0
    for row in rows:
        of_row = 0
        for column, value in enumerate(map(float, row), 1):
            value = 0.0 if value == 0 else value
            (bits,) = struct.unpack("<Q", struct.pack("<d", value))
            bits = 0x7FF8000000000000 if value != value else bits
            of_row += mixed((bits + column * 0x9E3779B97F4A7C15) % WORD)
        total = (total * PLACE + mixed(of_row % WORD)) % PRIME
    return total


TABLES = arrays(
    np.float64, st.tuples(st.integers(0, 20), st.integers(1, 5)), elements=st.floats(width=64)
)


@given(TABLES)
def test_it_is_what_its_definition_says(X):
    assert content_hash(X, None) == by_hand(X)


@given(TABLES)
def test_weights_are_one_more_column(X):
    weights = np.arange(len(X)) / 3
    assert content_hash(X, weights) == by_hand(np.column_stack([X, weights]))


@given(TABLES, st.integers(0, 20))
def test_hashes_of_parts_join(X, cut):
    a, b = X[:cut], X[cut:]
    whole = content_hash(X, None)
    assert content_hash(b, None, content_hash(a, None)) == whole
    assert join_hashes(content_hash(a, None), content_hash(b, None), len(b)) == whole


@pytest.mark.parametrize(
    "held",
    [
        lambda X: X.astype(np.float32),
        lambda X: X.astype(np.int64),
        lambda X: X.astype(np.uint8),
        lambda X: X.astype(np.float16),
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X[::-1].copy()[::-1],
        lambda X: np.where(X == 0, -0.0, X),
        lambda X: X.astype(">f8"),
    ],
)
def test_equal_numbers_are_hashed_alike(held):
    X = np.random.default_rng(0).integers(0, 200, (300, 7)).astype(float)
    assert content_hash(held(X), None) == content_hash(X, None)


def test_any_other_row_or_order_or_weight_is_another_hash():
    X = np.random.default_rng(0).random((200, 3))
    weights = np.ones(200)
    others = [X[::-1], X[:, ::-1], X[:-1], np.vstack([X, X[:1]]), np.vstack([X[:1] * 0, X])]
    for row in range(200):
        other = X.copy()
        other[row, row % 3] = np.nextafter(other[row, row % 3], 9)
        others.append(other)
        swapped = X.copy()
        swapped[[row, row - 1]] = X[[row - 1, row]]
        others.append(swapped)
    hashes = {content_hash(each, None) for each in [X, *others]}
    hashes |= {content_hash(X, weights), content_hash(X, weights * 2)}
    assert len(hashes) == len(others) + 3


@pytest.mark.parametrize("kind", INPUTS)
def test_the_survey_hashes_alike_whatever_the_blocks(kind, tmp_path):
    X = np.random.default_rng(1).random((3000, 3))
    points = as_points(INPUTS[kind](X, tmp_path))
    blockwise = Blockwise(points.blocks, points.in_memory)
    assert survey(points, blockwise, "raise", content=True).content == by_hand(X)
    blockwise.close()


def test_nothing_is_hashed_unasked(monkeypatch):
    from dask_kmeans import KMeans
    from dask_kmeans import survey as surveys

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(surveys, "content_hash", never)
    KMeans(2, random_state=0).fit(np.random.default_rng(0).random((20, 2)))
