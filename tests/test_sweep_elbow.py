"""The elbow: found where clusters lie apart, and not where there are none."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from sklearn.datasets import make_blobs

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


def blobs(n, d, k, seed, std):
    return make_blobs(n, centers=k, n_features=d, cluster_std=std, random_state=seed)[0]


def share_of_blobs(seeds, d, std, n_clusters=KS):
    """How often blobs at random places are counted; some lie on top of each other in a plane."""
    right = [
        elbow(blobs(500, d, k, seed, std), seed, n_clusters) == k
        for k in range(2, 10)
        for seed in seeds
    ]
    return np.mean(right)


def customers(seed):
    """Orders, baskets and returns of four habits, standardized."""
    rng = np.random.default_rng(seed)
    habit = rng.choice(4, size=2000, p=[0.4, 0.3, 0.15, 0.15])
    orders = np.maximum(rng.poisson(12 * np.array([0.8, 4.0, 8.0, 1.5])[habit]), 1)
    basket = np.log10(np.array([20.0, 60.0, 40.0, 500.0])[habit])
    basket += rng.normal(size=2000) * 0.17 / np.sqrt(orders)
    returned = rng.binomial(orders, np.array([0.03, 0.03, 0.4, 0.03])[habit]) / orders
    rows = np.c_[np.log10(orders), basket, returned]
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


def test_blobs_side_by_side_are_counted():
    assert share_of_blobs([0], 3, 1.0) >= 0.9
    assert share_of_blobs([4], 2, 0.6) >= 0.7


def test_customers_of_four_habits():
    assert [elbow(customers(seed), seed, range(1, 9)) for seed in range(5)] == [4] * 5


def test_uniform_rows_have_none():
    assert share_none(range(5), 2) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 3, 5, 10])
@pytest.mark.parametrize("deviations", [6, 8, 12])
def test_clusters_that_lie_apart_are_counted_in_all_dimensions(d, deviations):
    assert share_right(range(10), d, deviations) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("d", "std", "share"),
    [(10, 1.0, 0.99), (5, 1.0, 0.99), (3, 0.6, 0.97), (3, 1.0, 0.95), (2, 0.6, 0.75),
     (2, 1.0, 0.65)],
)  # fmt: skip
def test_blobs_at_random_places_are_counted(d, std, share):
    """In a plane 20 and 31 of 100 have a pair nearer than 2 deviations, which has one summit."""
    assert share_of_blobs(range(10), d, std) >= share
    assert share_of_blobs(range(10), d, std, range(1, 13)) >= share


@pytest.mark.slow
@pytest.mark.parametrize("n_clusters", [range(2, 11), range(1, 16), range(1, 21)])
def test_whatever_numbers_are_tried(n_clusters):
    assert share_right(range(10), 3, 6, n_clusters) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 2, 3, 5, 10, 20])
def test_uniform_rows_have_none_in_all_dimensions(d):
    assert share_none(range(10), d) >= 0.8
    assert share_none(range(10), d, n=3000) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 5, 10, 20])
def test_uniform_rows_of_long_boxes_have_none(d):
    for n in (300, 3000):
        boxes = [np.random.default_rng(seed).random((n, d)) for seed in range(10)]
        assert np.mean([elbow(box * np.geomspace(5, 1, d), 0) is None for box in boxes]) >= 0.8


def of_compact(inertia, d=2):
    """The elbow of an inertia where all clusters are compact."""
    return find_elbow(inertia, dict.fromkeys(inertia, 0.7), d)


def test_a_power_of_the_number_is_straight():
    for d in (1, 2, 20):
        found = of_compact({k: 7.0 * k ** (-2 / d) for k in KS}, d)
        assert found.n_clusters is None
        assert found.strength == pytest.approx(1)


def test_a_bend_is_found_whatever_the_unit_and_the_steps():
    curve = {k: k**-2.0 if k <= 4 else 4**-2.0 * (k / 4) ** -0.5 for k in range(1, 40)}
    for ks in (range(1, 40), [1, 2, 4, 8, 16], [4, 8, 1]):
        for unit in (1e-200, 1.0, 1e200):
            found = of_compact({k: unit * curve[k] for k in ks})
            assert found.n_clusters == 4
            assert found.strength == pytest.approx(4)


def test_the_last_bend_counts_unless_it_is_small_beside_the_largest():
    """Two of seven clusters lie side by side, or do not."""
    curve = {1: 1.0, 2: 0.8, 3: 0.6, 4: 0.4, 5: 0.2, 6: 0.02}
    slope = math.log(20 / 12) / math.log(7 / 6)
    assert of_compact(curve | {7: 0.012, 8: 0.0118}) == (7, pytest.approx(slope / 0.3))
    assert of_compact(curve | {7: 0.012}).n_clusters == 6
    found = of_compact(curve | {7: 0.0185, 8: 0.0179}, d=20)
    assert found.n_clusters == 6
    assert found.strength > 20


def test_clusters_that_are_not_compact_count_less():
    curve = {k: k**-2.0 if k <= 4 else 4**-2.0 * (k / 4) ** -0.5 for k in KS}
    for silhouette, strength in ((0.6, 4), (0.5, 2), (0.2, 0), (math.nan, 0)):
        found = find_elbow(curve, dict.fromkeys(KS, 0.7) | {4: silhouette}, 2)
        assert found.n_clusters == (4 if strength else None)
        assert found.strength == pytest.approx(strength or 1)


def test_inertia_that_ends():
    """As many clusters as there are distinct rows leave nothing."""
    found = of_compact({1: 5.0, 2: 2.0, 3: 0.0, 4: 0.0})
    assert found.n_clusters == 3
    assert 100 < found.strength < math.inf


def test_a_worse_optimum_is_no_bend():
    good = {1: 16.0, 2: 8.0, 3: 16 / 3, 4: 4.0, 5: 3.2}
    for worse in (5.0, 5.3, 6.0):
        assert of_compact(good | {4: worse}).n_clusters is None
    assert of_compact({k: 1 / k for k in KS} | {6: 0.199}).strength < 1.2


@pytest.mark.parametrize("inertia", [{1: 1.0}, {1: 1.0, 2: 0.5}, {1: 0.0, 2: 0.0, 3: 0.0},
                                     {1: 1.0, 2: 1.0, 3: 1.0}])  # fmt: skip
def test_too_little_to_tell(inertia):
    found = of_compact(inertia)
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
