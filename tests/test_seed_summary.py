"""k-means||: the rounds, the summary that they leave, and its clustering on the driver."""

from __future__ import annotations

import itertools

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import blobs
from seeding import Data
from strategies import KINDS, points, seeds, weights_of

from dask_kmeans.centers import MeanCenters
from dask_kmeans.kernels import FixedPoint
from dask_kmeans.seed import SeedParameters, make_parallel_seeds
from dask_kmeans.seed.k_means_parallel import candidates_per_round, summarize
from dask_kmeans.seed.local_search import LocalSearch
from dask_kmeans.seed.recluster import (
    FEW_STARTS,
    QUICK,
    STARTS,
    SWAP_ROUNDS,
    Effort,
    affordable_effort,
    greedy_seeds,
    lloyd,
    recluster,
)

K = 20


def mixture(standard_deviation, seed=0):
    """The paper's GaussMixture, smaller: 2000 rows about 20 centers in 15 dimensions."""
    rng = np.random.default_rng(seed)
    centers = standard_deviation * rng.normal(size=(K, 15))
    return centers[rng.integers(K, size=2000)] + rng.normal(size=(2000, 15))


def summary_of(data, n_clusters=5, per_round=25, rounds=None, seed=0):
    return summarize(
        data.blockwise,
        data.survey,
        data.rule,
        n_clusters=n_clusters,
        per_round=per_round,
        rounds=rounds,
        seed=seed,
        random=np.random.RandomState(0),
    )


ANY_RULE = MeanCenters(FixedPoint.from_range(np.zeros(1), np.ones(1), 1))
"""The recluster takes the rule to its own points."""


def weighted_points(seed, c=200, d=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(c, d)), rng.exponential(size=c)


# ------------------------------------------------------------------------------------- the rounds


@pytest.mark.parametrize("rounds", [1, 2, 3, 5])
def test_one_pass_a_round_and_one_more(rounds):
    data = Data(blobs(600, 4, 5, seed=0), chunks=(100, 200, 300))
    found = data.seeds(init_rounds=rounds, oversampling_factor=4)
    assert data.passes() == rounds + 1
    assert (found.rounds, found.n_candidates) == (rounds, 20 * rounds)


@pytest.mark.parametrize("standard_deviation", [1, 10, 100])
def test_two_rounds_will_usually_do(standard_deviation):
    rounds = []
    for seed in range(5):
        data = Data(mixture(standard_deviation, seed))
        rounds.append(data.seeds(n_clusters=K, random_state=seed).rounds)
        assert data.passes() == rounds[-1] + 1
    assert min(rounds) == 2
    assert max(rounds) <= 3


def test_more_rounds_where_the_first_ones_have_missed_clusters():
    """As few draws a round as there are clusters: none is likely to have found them all."""
    for seed in range(5):
        data = Data(mixture(1000, seed))
        found = data.seeds(n_clusters=K, oversampling_factor=1, random_state=seed)
        assert 2 < found.rounds <= 8
        exact = 15 * (2000 - K)
        assert naive.inertia(data.sources[0].X, found.centers[0]) < 1.1 * exact


def test_rounds_go_on_until_there_are_candidates_enough():
    data = Data(np.random.default_rng(0).normal(size=(300, 2)))
    found = data.seeds(n_clusters=20, oversampling_factor=0.1, init_rounds=1)
    assert found.n_candidates >= 20
    assert found.rounds > 1
    assert len(np.unique(found.centers[0], axis=0)) == 20


def test_candidates_per_round():
    assert candidates_per_round(50, 2) == 100
    assert candidates_per_round(3, 0.5) == 2
    wanted = [candidates_per_round(k, None) for k in range(1, 3000)]
    assert wanted[:200] == [5 * k for k in range(1, 201)]
    assert all(a <= b for a, b in itertools.pairwise(wanted))
    assert wanted[-1] == 2 * 2999


# ------------------------------------------------------------------------------------ the summary


# No denormal rows: their squared distances vanish, and with them what tells the rows apart.
@given(
    X=points(tuple(sorted(set(KINDS) - {"denormal"})), rows=(1, 100)), data=st.data(), seed=seeds()
)
def test_the_summary_is_a_partition_of_the_rows(X, data, seed):
    weights = data.draw(weights_of(len(X)))
    summary = summary_of(Data(X, weights), n_clusters=1, per_round=8, seed=seed)
    counts = np.ones(len(X)) if weights is None else weights
    np.testing.assert_allclose(summary.weights.sum(), counts.sum(), rtol=1e-12)
    error = np.abs(summary.weights @ summary.points - counts @ X)
    assert (error <= 1e-12 * np.abs(X).max(axis=0) * counts.sum()).all()
    rows = len(np.unique(X[counts > 0] + 0.0, axis=0))
    assert not summary.complete or len(summary.points) <= rows


def test_scatter_within_the_cells():
    """The inertia of clusters that keep cells whole, to the last part: within plus between."""
    data = Data(blobs(500, 3, 4, seed=1))
    X, found = data.sources[0].X, data.seeds(n_clusters=4)
    exact = naive.inertia(X, found.centers[0])
    assert exact <= found.cost <= 1.1 * exact


def test_a_complete_summary_has_the_rows_themselves():
    places = np.random.default_rng(0).normal(size=(7, 2))
    summary = summary_of(Data(np.repeat(places, 9, axis=0)), n_clusters=3)
    assert summary.complete
    assert summary.within == 0
    assert summary.weights.tolist() == [9] * 7
    assert {*map(tuple, summary.points)} == {*map(tuple, places)}


def test_one_summary_serves_every_number_of_clusters():
    data = Data(blobs(500, 3, 6, seed=2), chunks=(200, 300))
    sweep = SeedParameters("k-means||", 2, None, None, random_state=0)
    made = make_parallel_seeds(data.blockwise, data.survey, data.rule, [1, 4, 6], sweep)
    assert data.passes() == made[0].rounds + 1
    assert [seeds.centers[0].shape for seeds in made] == [(1, 3), (4, 3), (6, 3)]
    assert made[0].cost > made[1].cost > made[2].cost
    alone = make_parallel_seeds(data.blockwise, data.survey, data.rule, [6], sweep)
    np.testing.assert_array_equal(alone[0].centers, made[2].centers)


# ---------------------------------------------------------------------------- seeds as a quantity


@pytest.mark.parametrize("standard_deviation", [1, 10, 100])
def test_seeds_of_the_mixture(standard_deviation):
    """Median of 11 seedings, as in the paper: the seeds cost about what the true centers cost."""
    costs = {"k-means||": [], "k-means++": [], "random": []}
    for seed in range(11):
        data = Data(mixture(standard_deviation, seed))
        X = data.sources[0].X
        for init, values in costs.items():
            (centers,) = data.seeds(init, K, random_state=seed).centers
            values.append(naive.inertia(X, centers) / (15 * (len(X) - K)))
    parallel, plus_plus, random = (np.median(values) for values in costs.values())
    assert parallel < 1.06
    assert parallel < 0.8 * plus_plus
    assert plus_plus < random
    assert random > (1.2 if standard_deviation == 1 else 10)


def test_a_heavy_tail_needs_draws_by_distance():
    X = np.exp(3 * np.random.default_rng(0).normal(size=(3000, 3)))
    costs = {"k-means||": [], "random": []}
    for seed in range(5):
        for init, values in costs.items():
            values.append(naive.inertia(X, Data(X).seeds(init, 10, random_state=seed).centers[0]))
    assert np.median(costs["k-means||"]) < 0.1 * np.median(costs["random"])


# ------------------------------------------------------------------------------- on the driver


def test_greedy_seeds_are_points_and_never_those_without_weight():
    P, w = weighted_points(0)
    w[::2] = 0
    for starts in greedy_seeds(P, w, 10, Effort(5, 3, 0), np.random.RandomState(0)):
        rows = [np.flatnonzero((center == P).all(axis=1)).item() for center in starts]
        assert len(set(rows)) == 10
        assert all(row % 2 for row in rows)


def test_more_trials_choose_better():
    P, w = weighted_points(1, c=1000)

    def cost(trials):
        starts = greedy_seeds(P, w, 30, Effort(20, trials, 0), np.random.RandomState(0))
        return np.mean([naive.inertia(P, centers, weights=w) for centers in starts])

    assert cost(5) < 0.95 * cost(1)


def test_lloyd_on_weighted_points():
    P, w = weighted_points(2)
    start = P[:6]
    fixed_point = FixedPoint.from_range(P.min(axis=0), P.max(axis=0), len(P), w.max())
    found = lloyd(P, w, start, MeanCenters(fixed_point))
    expected = naive.lloyd(P, start, w)
    np.testing.assert_allclose(found.centers, expected.centers, rtol=1e-9, atol=1e-12)
    assert found.cost == pytest.approx(expected.inertia, rel=1e-12)


@given(seed=seeds(), k=st.integers(2, 12))
def test_swaps_lower_the_cost_and_the_books_are_kept(seed, k):
    P, w = weighted_points(seed, c=60, d=2)
    search = LocalSearch(P, w, P[:k])
    before = naive.inertia(P, P[:k], weights=w)
    swaps = search.swap(40, np.random.RandomState(0))
    after = naive.inertia(P, search.centers, weights=w)
    assert after < before if swaps else after == before
    apart = np.sort(naive.squared_distances(P, search.centers), axis=1)
    np.testing.assert_array_equal(search._apart.T, apart[:, :2])


def test_swaps_leave_a_trap_that_lloyd_stays_in():
    """Two far clusters that share a center, and one that has two."""
    rng = np.random.default_rng(0)
    places = np.array([[0.0, 0.0], [100.0, 0.0], [110.0, 0.0]])
    P = np.concatenate([place + rng.normal(size=(50, 2)) for place in places])
    w = np.ones(len(P))
    trap = np.array([[-1.0, 0.0], [1.0, 0.0], [105.0, 0.0]])
    rule = MeanCenters(FixedPoint.from_range(P.min(axis=0), P.max(axis=0), len(P), 1.0))
    stuck = lloyd(P, w, trap, rule)
    search = LocalSearch(P, w, trap)
    assert search.swap(10, np.random.RandomState(0)) > 0
    assert lloyd(P, w, search.centers, rule).cost < 0.2 * stuck.cost


def test_more_effort_pays():
    P, w = weighted_points(3, c=500)

    def cost(effort):
        found = recluster(P, w, 25, effort, np.random.RandomState(0), ANY_RULE)
        costs = [clustering.cost for clustering in found]
        assert costs == sorted(costs)
        return costs[0]

    quick, starts, swaps = (cost(e) for e in (QUICK, Effort(10, 5, 0), Effort(10, 5, 2)))
    assert swaps < starts < quick


def test_threads_do_not_matter():
    P, w = weighted_points(4)
    expected, found = (
        recluster(P, w, 8, Effort(6, 3, 2), np.random.RandomState(0), ANY_RULE, threads=threads)
        for threads in (1, 4)
    )
    assert [c.cost for c in found] == [c.cost for c in expected]
    np.testing.assert_array_equal(found[0].centers, expected[0].centers)


def test_affordable_effort():
    assert affordable_effort(500, 15, 50, 1, 1e6) == Effort(STARTS, 5, SWAP_ROUNDS)
    assert affordable_effort(500, 15, 50, 4, 1e6).starts == STARTS + 3
    assert affordable_effort(500, 15, 50, 1, 0) == Effort(FEW_STARTS, 5, SWAP_ROUNDS)
    assert affordable_effort(30, 2, 3, 1, 1e6).starts == 3
    assert affordable_effort(10**6, 100, 10**5, 1, 0) == QUICK
    assert affordable_effort(10**6, 100, 10**5, 7, 0).starts == 7
    for c, d, k in [(4000, 768, 1000), (5000, 128, 512), (1000, 58, 100)]:
        starts, trials, swap_rounds = affordable_effort(c, d, k, 1, 1e10)
        assert c * d * k * starts * (trials + 2 * swap_rounds) <= 1e10
