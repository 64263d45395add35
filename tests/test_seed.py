"""Seeding: what every method promises, and what each of them does."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import blobs
from seeding import METHODS, Data, cuts_of
from sklearn.cluster import KMeans as Reference
from strategies import points, seeds, weights_of

FROM_ROWS = ("k-means++", "random")
"""Methods whose centers are rows."""


def is_row_of(centers, X):
    return (centers[:, None] == np.asarray(X)[None]).all(axis=2).any(axis=1)


def distinct(X):
    return len(np.unique(np.asarray(X) + 0.0, axis=0))


# --------------------------------------------------------------------------------- every method


@pytest.mark.parametrize("init", METHODS)
@given(X=points(rows=(8, 90)), data=st.data(), seed=seeds())
def test_chunks_and_pieces_do_not_matter(init, X, data, seed):
    weights = data.draw(weights_of(len(X)))
    if weights is not None:
        weights[:8] = 1.0
    wanted = {"init": init, "n_clusters": 4, "n_init": 2, "random_state": seed}
    expected = Data(X, weights).seeds(**wanted)
    chunks, piece = data.draw(cuts_of(len(X)))
    found = Data(X, weights, chunks, piece).seeds(**wanted)
    np.testing.assert_array_equal(found.centers, expected.centers)
    assert found[1:] == expected[1:]


@pytest.mark.parametrize("init", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float32"])
def test_dtype_and_layout_do_not_matter(init, dtype):
    X = np.clip(np.rint(blobs(300, 3, 4, seed=1) + 30), 0, 60)
    expected = Data(X).seeds(init).centers
    np.testing.assert_array_equal(Data(X.astype(dtype)).seeds(init).centers, expected)
    np.testing.assert_array_equal(Data(np.asfortranarray(X)).seeds(init).centers, expected)


@pytest.mark.parametrize("init", METHODS)
def test_a_lost_cache_does_not_matter(init):
    X = blobs(400, 4, 5, seed=2)
    expected = Data(X, chunks=(150, 250)).seeds(init, n_init=2).centers
    data = Data(X, chunks=(150, 250))
    run = data.blockwise.run

    def run_and_forget(task, *broadcast, **options):
        def forgetful(block, *broadcast):
            if block.index == 0:
                block.cache.clear()
            return task(block, *broadcast)

        return run(forgetful, *broadcast, **options)

    data.blockwise.run = run_and_forget
    np.testing.assert_array_equal(data.seeds(init, n_init=2).centers, expected)


@pytest.mark.parametrize("init", METHODS)
def test_another_seed_gives_other_centers_and_the_same_seed_the_same(init):
    X = np.random.default_rng(0).normal(size=(500, 3))
    first, again, other = (Data(X).seeds(init, random_state=s).centers[0] for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("init", METHODS)
def test_restarts_differ_and_share_the_passes(init):
    X = np.random.default_rng(0).normal(size=(500, 3))
    alone, together = Data(X), Data(X, chunks=(100, 400))
    alone.seeds(init)
    starts = together.seeds(init, n_init=4).centers
    assert together.passes() == alone.passes()
    assert len({start.tobytes() for start in starts}) == 4
    assert all(start.shape == (5, 3) and start.dtype == np.float64 for start in starts)


@pytest.mark.parametrize(
    ("init", "passes"),
    [("k-means++", 6), ("random", 1), ("random_partition", 1), ("random_pairs", 1),
     ("random_box", 0)],
)  # fmt: skip
def test_passes(init, passes):
    data = Data(blobs(300, 3, 5, seed=3), chunks=(100, 200))
    data.seeds(init)
    assert data.passes() == passes


@pytest.mark.parametrize("init", METHODS)
def test_rows_of_weight_zero_never_seed(init):
    X = blobs(200, 2, 3, seed=4)
    X[::3] += 1e6
    weights = np.ones(len(X))
    weights[::3] = 0
    for seed in range(5):
        (centers,) = Data(X, weights, chunks=(77, 123)).seeds(init, random_state=seed).centers
        assert np.abs(centers).max() < 1e3
        if init in FROM_ROWS:
            assert is_row_of(centers, X[weights > 0]).all()


@pytest.mark.parametrize("init", METHODS)
def test_rows_with_nan_never_seed(init):
    X = blobs(200, 2, 3, seed=5)
    X[::3, 0] = np.nan
    X[::3, 1] = 1e6
    for weights in (None, np.ones(len(X))):
        (centers,) = Data(X, weights, chunks=(77, 123), nan="skip").seeds(init).centers
        assert np.abs(centers).max() < 1e3


@pytest.mark.parametrize("init", [init for init in METHODS if init != "random_box"])
@given(data=st.data(), seed=seeds())
def test_centers_are_distinct_as_far_as_the_rows_are(init, data, seed):
    X = data.draw(points(kinds=("grid", "halves", "equal", "few distinct"), rows=(1, 60)))
    chunks, piece = data.draw(cuts_of(len(X)))
    k = data.draw(st.integers(1, min(len(X), 9)))
    found = Data(X, chunks=chunks, piece=piece).seeds(init, k, random_state=seed)
    (centers,) = found.centers
    assert centers.shape == (k, X.shape[1])
    if (rows := distinct(X)) < k:
        assert found.n_distinct == rows == distinct(centers)
        assert is_row_of(centers, X).all()
    else:
        assert found.n_distinct is None
        assert distinct(centers) == k


@pytest.mark.parametrize("init", METHODS)
def test_one_center(init):
    X = blobs(100, 3, 2, seed=6)
    (centers,) = Data(X).seeds(init, 1).centers
    assert centers.shape == (1, 3)
    if init in ("k-means||", "random_partition"):
        np.testing.assert_allclose(centers[0], X.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("init", METHODS)
@pytest.mark.parametrize("scale", [1e200, 1e-200, 5e-324])
@pytest.mark.filterwarnings("error")
def test_squares_that_overflow_or_vanish_are_no_obstacle(init, scale):
    X = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], size=(60, 2)) * scale
    (centers,) = Data(X).seeds(init, 3).centers
    assert np.isfinite(centers).all()
    assert np.abs(centers).max() <= scale


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_weights_count_like_repeated_rows(init):
    """Ten places on a line, drawn by weight or by repetition: the same frequencies."""
    places, repeats = np.arange(10.0)[:, None] ** 2, np.arange(1, 11)
    draws = 400
    counted = np.zeros((2, 10))
    for seed in range(draws):
        weighted = Data(places, repeats.astype(float)).seeds(init, 3, random_state=seed)
        repeated = Data(np.repeat(places, repeats, axis=0)).seeds(init, 3, random_state=seed)
        for row, found in enumerate((weighted, repeated)):
            counted[row] += np.isin(places[:, 0], found.centers[0][:, 0])
    # The difference of two binomial frequencies; five standard deviations.
    spread = 5 * np.sqrt(2 * draws * 0.25)
    assert np.abs(counted[0] - counted[1]).max() < spread
    assert counted[0].argmin() == counted[1].argmin() == 0 or init == "k-means++"


def test_unknown_method():
    with pytest.raises(ValueError, match="k-median"):
        Data(blobs(50, 2, 2, seed=7)).seeds("k-median")


# ------------------------------------------------------------------------- centers that are given


def test_given_centers():
    X = blobs(50, 2, 3, seed=7)
    data = Data(X)
    np.testing.assert_array_equal(data.seeds(X[:3], 3).centers, [X[:3]])
    assert data.passes() == 0


def test_a_function_is_asked_for_every_restart():
    X = blobs(50, 2, 3, seed=7)
    asked = []

    def init(n_clusters):
        asked.append(n_clusters)
        return X[len(asked) : len(asked) + n_clusters].tolist()

    found = Data(X).seeds(init, 3, n_init=2).centers
    np.testing.assert_array_equal(found, [X[1:4], X[2:5]])
    assert asked == [3, 3]


@pytest.mark.parametrize("wrong", [np.zeros((4, 2)), np.zeros((3, 5)), np.full((3, 2), np.nan)])
def test_given_centers_that_do_not_fit(wrong):
    with pytest.raises(ValueError, match="init"):
        Data(blobs(50, 2, 3, seed=7)).seeds(lambda n_clusters: wrong, 3)


# ------------------------------------------------------------------------------- the plain starts


def test_random_takes_every_row_equally_often():
    X = np.arange(20.0)[:, None]
    taken = np.zeros(20)
    for seed in range(500):
        taken[Data(X).seeds("random", 4, random_state=seed).centers[0].astype(int).ravel()] += 1
    assert np.abs(taken - 100).max() < 5 * np.sqrt(500 * 0.2 * 0.8)


def test_random_pairs_are_means_of_two_rows():
    X = np.random.default_rng(0).normal(size=(40, 3))
    means = (X[:, None] / 2 + X[None] / 2).reshape(-1, 3)
    (centers,) = Data(X).seeds("random_pairs", 10).centers
    assert is_row_of(centers, means).all()
    assert not is_row_of(centers, X).any()


def test_random_partition_is_a_partition():
    X = np.random.default_rng(0).normal(size=(1000, 2))
    weights = np.random.default_rng(1).exponential(size=1000)
    (centers,) = Data(X, weights).seeds("random_partition", 4).centers
    # Means of 250 rows each, whose weighted mean is that of all.
    assert np.abs(centers - np.average(X, axis=0, weights=weights)).max() < 0.4


def test_random_box_is_uniform_in_the_range_of_the_rows_that_count():
    X = np.random.default_rng(0).exponential(size=(300, 2))
    weights = (X < 1).all(axis=1).astype(float)
    data = Data(X, weights, chunks=(100, 200))
    (centers,) = data.seeds("random_box", 2000).centers
    lowest, highest = X[weights > 0].min(axis=0), X[weights > 0].max(axis=0)
    assert ((centers >= lowest) & (centers <= highest)).all()
    np.testing.assert_allclose(centers.mean(axis=0), (lowest + highest) / 2, atol=0.05)
    assert data.passes() == 0  # the survey knows their range


# ----------------------------------------------------------------------------- greedy k-means++


def test_k_means_plus_plus_finds_separated_clusters():
    X = blobs(400, 3, 6, seed=8)
    found = Data(X, chunks=(150, 250)).seeds("k-means++", 6, n_init=3)
    labels = {tuple(naive.nearest(start, start)) for start in found.centers}
    assert labels == {(0, 1, 2, 3, 4, 5)}
    costs = [naive.inertia(X, start) for start in found.centers]
    assert found.cost == min(costs)
    best = Reference(6, n_init=5, random_state=0).fit(X).inertia_
    assert max(costs) < 4 * best


def test_k_means_plus_plus_stops_when_every_row_is_a_center():
    data = Data(np.repeat(np.arange(3.0)[:, None], 50, axis=0), chunks=(70, 80))
    found = data.seeds("k-means++", 7)
    assert sorted(set(found.centers[0].ravel())) == [0, 1, 2]
    assert (found.n_distinct, found.cost, data.passes()) == (3, 0, 4)
