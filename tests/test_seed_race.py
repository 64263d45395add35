"""The exponential race: who wins, in what order of entering and merging whatsoever."""

from __future__ import annotations

import itertools

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import chunks_of, points, seeds

from dask_kmeans.kernels import exponential
from dask_kmeans.seed.race import Race, counting_mass, distinct_winners, first_of_equals


def raced(size, draws, mass, values, first_row=0):
    race = Race(size)
    race.enter(draws, mass, values, first_row)
    return race


def expected_rows(size, draws, mass, values):
    """The first `size` rows by key, equal rows counted once: the definition, spelled out."""
    keys = [e / m if m > 0 else np.inf for e, m in zip(draws, mass, strict=True)]
    running = sum(m > 0 for m in mass)
    winners, seen = [], set()
    for row in naive.race(keys, running):
        place = tuple(values[row] + 0.0)
        if place not in seen:
            seen.add(place)
            winners.append(row)
    return winners[:size]


@st.composite
def entries(draw, **data):
    """(draws, mass, values) of some rows; some do not run."""
    X = draw(points(**data))
    rng = np.random.default_rng(draw(seeds()))
    mass = rng.exponential(size=len(X)) * rng.integers(0, 3, size=len(X))
    return rng.exponential(size=len(X)), mass, X


@given(entry=entries(), size=st.integers(1, 20))
def test_winners(entry, size):
    draws, mass, values = entry
    race = raced(size, draws, mass, values, first_row=1000)
    rows = expected_rows(size, draws, mass, values)
    assert (race.rows - 1000).tolist() == rows
    np.testing.assert_array_equal(race.winners(), values[rows].reshape(race.winners().shape))


@given(entry=entries(), size=st.integers(1, 20), data=st.data())
def test_order_of_entering_and_merging_does_not_matter(entry, size, data):
    draws, mass, values = entry
    ends = list(itertools.accumulate(data.draw(chunks_of(len(values)))))
    slices = [slice(a, b) for a, b in itertools.pairwise([0, *ends])]
    parts = [raced(size, draws[s], mass[s], values[s], s.start) for s in slices]
    merged = Race(size)
    for at in data.draw(st.permutations(range(len(parts)))):
        merged = data.draw(st.sampled_from([merged.merge, lambda r, m=merged: r.merge(m)]))(
            parts[at]
        )
    one_after_another = Race(size)
    for s in slices:
        one_after_another.enter(draws[s], mass[s], values[s], s.start)
    rows = expected_rows(size, draws, mass, values)
    assert merged.rows.tolist() == one_after_another.rows.tolist() == rows


@pytest.mark.parametrize("distinct", [1, 3, 40])
def test_many_copies_of_few_rows(distinct):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(distinct, 2)).astype(np.float32)[rng.integers(distinct, size=5000)]
    draws = rng.exponential(size=5000)
    race = raced(50, draws, np.ones(5000), values)
    assert race.rows.tolist() == expected_rows(50, draws, np.ones(5000), values)
    assert len(race.rows) == distinct
    assert race.values.dtype == np.float32


def test_keys_that_overflow_come_last():
    values = np.arange(4.0)[:, None]
    race = raced(3, np.ones(4), np.array([5e-324, 1.0, 5e-324, 0.0]), values)
    assert race.rows.tolist() == [1, 0, 2]


def test_rows_win_in_proportion_to_their_mass():
    values, mass = np.arange(8.0)[:, None], np.arange(8.0)
    first, second = np.zeros(8), np.zeros(8)
    n = 4000
    for seed in range(n):
        rows = raced(2, exponential(seed, 0, 0, np.empty(8)), mass, values).rows
        first[rows[0]] += 1
        second[rows[1]] += 1
    share = mass / mass.sum()
    assert np.abs(first - n * share).max() < 5 * np.sqrt(n * 0.25)
    # Without replacement: the second in proportion to what the first one leaves.
    after = sum(
        share[i] * np.where(np.arange(8) == i, 0, mass) / (mass.sum() - mass[i]) for i in range(8)
    )
    assert np.abs(second - n * after).max() < 5 * np.sqrt(n * 0.25)


def test_equal_rows_are_found_whatever_the_sign_of_zero():
    values = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert first_of_equals(values).tolist() == [0, 2]
    a, b = (raced(4, np.arange(1.0, 5.0), np.ones(4), v) for v in (values, values[::-1]))
    np.testing.assert_array_equal(distinct_winners(a, b), [[0, 1], [1, 0]])


def test_counting_mass():
    values = np.array([[1.0, np.nan], [2.0, 3.0]])
    assert counting_mass(values, None).tolist() == [0, 1]
    assert counting_mass(values, np.array([2.0, 0.5])).tolist() == [0, 0.5]
    assert counting_mass(np.ones((2, 2), np.int16), None).tolist() == [1, 1]
