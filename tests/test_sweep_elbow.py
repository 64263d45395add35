"""The elbow: found where clusters lie apart, and not where there are none."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from dask_kmeans import sweep
from dask_kmeans.sweeps.elbow import find_elbow

KS = range(1, 11)


def apart(n, d, k, seed, deviations):
    """Normal clusters, whose centers lie at random, none nearer to another than that."""
    rng = np.random.default_rng(seed)
    box = 1.5 * deviations * k ** (1 / d)
    while True:
        centers = rng.uniform(-box / 2, box / 2, (k, d))
        between = np.linalg.norm(centers[:, None] - centers, axis=2)[np.triu_indices(k, 1)]
        if between.min() >= deviations:
            return centers[rng.integers(k, size=n)] + rng.normal(size=(n, d))


def elbow(X, seed, n_clusters=KS):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return sweep(X, n_clusters, random_state=seed).elbow_


def share_right(seeds, d, deviations, n_clusters=KS, n=400):
    right = [
        elbow(apart(n, d, k, seed, deviations), seed, n_clusters) == k
        for k in range(2, 10)
        for seed in seeds
    ]
    return np.mean(right)


def share_none(seeds, d, n=400):
    return np.mean(
        [elbow(np.random.default_rng(seed).random((n, d)), seed) is None for seed in seeds]
    )


def test_clusters_that_lie_apart_are_counted():
    assert share_right([0], 2, 6) >= 0.9


def test_uniform_rows_have_none():
    assert share_none(range(5), 2) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 3, 5, 10])
@pytest.mark.parametrize("deviations", [6, 8, 12])
def test_clusters_that_lie_apart_are_counted_in_all_dimensions(d, deviations):
    assert share_right(range(10), d, deviations) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("n_clusters", [range(2, 11), range(1, 16), range(1, 21)])
def test_whatever_numbers_are_tried(n_clusters):
    assert share_right(range(10), 3, 6, n_clusters) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 2, 3, 5, 10, 20])
def test_uniform_rows_have_none_in_all_dimensions(d):
    assert share_none(range(10), d) >= 0.8
    assert share_none(range(10), d, n=3000) >= 0.8


def test_a_power_of_the_number_is_straight():
    for power in (0.1, 1, 2):
        found = find_elbow({k: 7.0 * k**-power for k in KS})
        assert found.n_clusters is None
        assert found.strength == pytest.approx(1)


def test_a_bend_is_found_whatever_the_unit_and_the_steps():
    curve = {k: k**-2.0 if k <= 4 else 4**-2.0 * (k / 4) ** -0.5 for k in range(1, 40)}
    for ks in (range(1, 40), [1, 2, 4, 8, 16], [4, 8, 1]):
        for unit in (1e-200, 1.0, 1e200):
            found = find_elbow({k: unit * curve[k] for k in ks})
            assert found.n_clusters == 4
            assert found.strength == pytest.approx(4)


def test_inertia_that_ends():
    """As many clusters as there are distinct rows leave nothing."""
    assert find_elbow({1: 5.0, 2: 2.0, 3: 0.0, 4: 0.0}) == (3, math.inf)


def test_a_worse_optimum_is_no_bend():
    good = {1: 16.0, 2: 8.0, 3: 16 / 3, 4: 4.0, 5: 3.2}
    assert find_elbow(good | {4: 6.0}).n_clusters is None


@pytest.mark.parametrize("inertia", [{1: 1.0}, {1: 1.0, 2: 0.5}, {1: 0.0, 2: 0.0, 3: 0.0},
                                     {1: 1.0, 2: 1.0, 3: 1.0}])  # fmt: skip
def test_too_little_to_tell(inertia):
    found = find_elbow(inertia)
    assert found.n_clusters is None
    assert math.isnan(found.strength)


def test_the_first_number_that_was_tried_may_be_it():
    """One cluster's inertia is known without a fit."""
    rows = np.r_[np.zeros((50, 1)), np.full((50, 1), 9.0)] + np.linspace(0, 0.1, 100)[:, None]
    assert sweep(rows, range(2, 6), random_state=0).elbow_ == 2


def test_who_asks_in_vain_is_warned():
    models = sweep(np.random.default_rng(0).random((200, 2)), [1, 2, 3, 4], random_state=0)
    with pytest.warns(UserWarning, match=r"1 to 4 clusters has no elbow \(strength 0\.") as caught:
        assert models.elbow_ is None
    assert caught[0].filename == __file__
    assert 0 < models.elbow_strength_ < 2
