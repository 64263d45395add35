"""Many clusters: seeds on two levels, samples of few rows a cluster, leaps of few steps."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seeding import Data

from dask_kmeans import KMeans
from dask_kmeans.sample import LARGEST_SHARE, Sample, plan_sample
from dask_kmeans.seed import SeedParameters, make_sample_seeds
from dask_kmeans.seed.two_levels import MANY, divided, two_level_seeds

PARAMETERS = SeedParameters("k-means||", 1, None, None, 0)


def grid(n, d=3, seed=0):
    """Integers, among them equal rows: float64 (n, d)."""
    return np.random.default_rng(seed).integers(0, 40, size=(n, d)).astype(float)


def starts(data, k=100, n_init=1):
    return two_level_seeds(data.blockwise, data.rule, k, n_init, np.random.RandomState(0))


def test_centers_are_distinct_rows_and_spread():
    X = grid(6000)
    (centers,) = starts(Data(X))
    assert len(np.unique(centers, axis=0)) == 100
    assert (centers[:, None] == X[None]).all(axis=2).any(axis=1).all()
    chosen = X[np.random.default_rng(1).permutation(len(X))[:100]]
    assert naive.inertia(X, centers) < 0.9 * naive.inertia(X, chosen)


@pytest.mark.parametrize("piece", [10**9, 77])
def test_chunks_do_not_matter(piece):
    X, weights = grid(9000), np.random.default_rng(2).integers(0, 3, size=9000).astype(float)
    expected = starts(Data(X, weights), n_init=2)
    found = starts(Data(X, weights, chunks=(1234, 4321, 3445), piece=piece), n_init=2)
    np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(*found)


def test_rows_without_weight_or_with_nan_are_no_centers():
    X, weights = grid(6000), np.ones(6000)
    X[::3] += 1e6
    weights[::3] = 0
    X[1::6, 0] = np.nan
    (centers,) = starts(Data(X, weights, nan="skip"))
    assert np.nanmax(centers) < 1e3
    assert np.isfinite(centers).all()


def test_too_few_distinct_rows_are_left_to_others():
    X = np.repeat(grid(150), 50, axis=0)
    assert starts(Data(X)) is None
    data = Data(np.repeat(grid(MANY + 9, seed=3), 9, axis=0))
    (made,) = make_sample_seeds(data.blockwise, data.survey, data.rule, [MANY], PARAMETERS)
    assert made.rounds > 0
    assert len(np.unique(made.centers[0], axis=0)) == MANY


def test_few_clusters_and_counted_candidates_are_seeded_as_ever():
    data = Data(grid(4000))
    ks = [MANY, 9]
    many, few = make_sample_seeds(data.blockwise, data.survey, data.rule, ks, PARAMETERS)
    assert (many.rounds, few.rounds > 0) == (0, True)
    assert [len(made.centers[0]) for made in (many, few)] == ks
    counted = PARAMETERS._replace(oversampling_factor=2.0)
    (made,) = make_sample_seeds(data.blockwise, data.survey, data.rule, [MANY], counted)
    assert made.rounds > 0


@given(data=st.data())
def test_every_center_is_given_to_a_group_that_has_room(data):
    sizes = np.array(data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=9)))
    if sizes.sum() == 0:
        sizes[0] = 1
    amounts = st.floats(0, allow_infinity=True, allow_nan=False)
    cost = np.array(data.draw(st.lists(amounts, min_size=len(sizes), max_size=len(sizes))))
    k = data.draw(st.integers(np.count_nonzero(sizes), sizes.sum()))
    shares = divided(k, cost, sizes)
    assert shares.sum() == k
    assert (shares <= sizes).all()
    assert ((shares > 0) == (sizes > 0)).all()


def test_costly_groups_get_more():
    shares = divided(40, np.array([1.0, 4.0, 3.0]), np.array([1000, 1000, 1000]))
    np.testing.assert_array_equal(shares, [5, 20, 15])


def test_samples_are_planned_by_the_shape_of_the_work():
    assert plan_sample(0, 5, 3, 0) is None
    assert plan_sample(20_000, 16, 26, 0) is None  # passes of a few milliseconds
    share = {
        shape: plan_sample(*shape, 0).share
        for shape in [
            (400_000, 50, 1000), (40_000, 384, 1000), (400_000, 50, 10_000), (35_000, 784, 50),
            (10**7, 768, 1000),
        ]
    }  # fmt: skip
    assert share[400_000, 50, 1000] == 0.25
    assert 150 < share[35_000, 784, 50] * 35_000 / 50 < 256
    assert share[40_000, 384, 1000] == share[400_000, 50, 10_000] == LARGEST_SHARE
    assert 100 < share[10**7, 768, 1000] * 10**7 / 1000 < 256


def test_leaps_are_shorter_where_steps_are_dear():
    steps = [Sample(0, 0.25).affordable_steps(k) for k in (100, 1000, 10_000, 100_000)]
    assert steps == [160, 16, 1, 0]


def test_many_clusters_from_end_to_end():
    """A sample of few rows a cluster, believed as far as it should be."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(70_000, 16)).astype(np.float32)
    found = KMeans(300, random_state=0, max_iter=40).fit(X)
    plain = KMeans(300, random_state=0, max_iter=40, algorithm="lloyd").fit(X)
    assert found.n_passes_ == found.n_iter_ + 2
    assert found.inertia_ < 1.003 * plain.inertia_
    np.testing.assert_array_equal(
        found.labels_[:200], naive.nearest(X[:200], found.cluster_centers_)
    )
