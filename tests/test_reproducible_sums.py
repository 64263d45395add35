"""Many sums at once: what is cut off, and that no order changes a bit."""

from __future__ import annotations

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import chunks_of, seeds

from dask_kmeans.kernels import ClusterMoments, ReproducibleSums

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SIMILAR = st.floats(-1e3, 1e3).map(lambda x: math.ldexp(round(x * 2**20), -20))


@given(st.lists(FINITE, min_size=1, max_size=40), st.integers(1, 6))
def test_what_is_cut_off_is_as_little_as_stated(numbers, n_digits):
    numbers = np.array(numbers)
    (whole, exponent), = ReproducibleSums(1, n_digits).add(
        np.zeros(len(numbers)), numbers
    ).exact()  # fmt: skip
    found = Fraction(whole) * Fraction(2) ** exponent
    exact = sum(map(Fraction, numbers.tolist()))
    largest = Fraction(float(np.abs(numbers).max()))
    assert abs(found - exact) <= len(numbers) * largest / 2 ** (26 * (n_digits - 1))


@given(st.lists(SIMILAR, min_size=1, max_size=60))
def test_similar_numbers_are_summed_exactly(numbers):
    (found,) = ReproducibleSums(1, 3).add(np.zeros(len(numbers)), np.array(numbers)).values()
    assert found == math.fsum(numbers)


@given(seeds(), st.integers(1, 5), st.data())
def test_no_order_changes_a_bit(seed, n_digits, data):
    rng = np.random.default_rng(seed)
    n = data.draw(st.integers(1, 60))
    numbers = rng.normal(size=n) * 2.0 ** rng.integers(-80, 80, n)
    numbers[rng.random(n) < 0.1] = rng.choice([0.0, 5e-324, 1.7e308, -1e-310])
    places = rng.integers(-1, 4, n)
    whole = ReproducibleSums(4, n_digits).add(places, numbers)
    order = rng.permutation(n)
    ends = np.cumsum(data.draw(chunks_of(n))).tolist()
    parts = [
        ReproducibleSums(4, n_digits).add(places[order[a:b]], numbers[order[a:b]])
        for a, b in zip([0, *ends], ends, strict=False)
    ]
    merged = ReproducibleSums(4, n_digits)
    for part in data.draw(st.permutations(parts)):
        merged.merge(pickle.loads(pickle.dumps(part)))
    assert merged.exact() == whole.exact()
    moved = whole.moved(9, np.array([7, 2, 0, 8]))
    assert np.array(moved.exact(), object)[[7, 2, 0, 8]].tolist() == list(map(list, whole.exact()))


def test_what_is_not_finite_stays_so_and_the_sums_beside_it_do_not():
    sums = ReproducibleSums(3, 2).add([0, 1, 0], np.array([math.inf, 2.0, 1.0]))
    other = ReproducibleSums(3, 2).add([2, 0], np.array([math.nan, 1.0]))
    np.testing.assert_array_equal(other.merge(sums).values(), [math.nan, 2.0, math.nan])


def expected_moments(X, weights, labels, k):
    """Means and deviations by exact fractions."""
    found = np.full((2, k, X.shape[1]), np.nan)
    for j in range(k):
        rows = (labels == j) & (weights > 0)
        w = [Fraction(x) for x in weights[rows].tolist()]
        total, squares = sum(w), sum(x * x for x in w)
        for c in range(X.shape[1]):
            x = [Fraction(value) for value in X[rows, c].tolist()]
            if x:
                mean = sum(a * b for a, b in zip(w, x, strict=True)) / total
                found[0, j, c] = mean
            if len(x) > 1:
                apart = sum(a * (b - mean) ** 2 for a, b in zip(w, x, strict=True))
                found[1, j, c] = math.sqrt(apart / (total - squares / total))
    return found


@pytest.mark.parametrize(
    ("far", "weighted", "rtol"),
    [(0.0, False, 1e-15), (1e6, False, 1e-15), (1e12, False, 1e-15), (0.0, True, 1e-15),
     (1e6, True, 1e-15), (1e9, True, 1e-12)],
)  # fmt: skip
def test_moments_are_those_of_exact_fractions(far, weighted, rtol):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)) * [1.0, 0.1, 1e3] + far
    labels = rng.integers(-1, 4, 300)
    labels[labels == 2] = 3  # nothing is in 2
    labels[0], labels[labels == 1] = 1, 0  # one row is in 1
    weights = rng.random(300) * 10.0 ** rng.integers(-4, 4, 300) if weighted else np.ones(300)
    weights[:20] *= np.arange(20) > 10
    weights[0] = 2.5
    found = ClusterMoments.zero(4, 3)
    for rows in np.array_split(rng.permutation(300), 7):
        part = ClusterMoments.zero(4, 3).add(X[rows], weights[rows], labels[rows])
        found = part.merge(found)
    expected = expected_moments(X, weights, labels, 4)
    np.testing.assert_allclose(found.means_and_deviations(), expected, rtol=rtol)
    assert np.isnan(expected[:, 2]).all()
    assert np.isnan(expected[1, 1]).all()
    assert np.isfinite(expected[:, [0, 3]]).all()


@pytest.mark.parametrize(("weight", "at_most"), [(1.0, 0.0), (1 / 3, 1e-16)])
def test_constant_features_have_no_deviation(weight, at_most):
    X = np.full((1000, 1), 0.1) * np.array([[1.0, 1e9]])
    moments = ClusterMoments.zero(1, 2).add(X, np.full(1000, weight), np.zeros(1000, np.int32))
    means, deviations = moments.means_and_deviations()
    np.testing.assert_array_equal(means, X[:1])
    assert (deviations / means).max() <= at_most


def test_squares_beyond_float64_leave_the_mean():
    X = np.array([[1e200], [3e200]])
    means, deviations = (
        ClusterMoments.zero(1, 1).add(X, np.ones(2), np.zeros(2)).means_and_deviations()
    )
    assert means.tolist() == [[2e200]]
    assert np.isnan(deviations).all()
