"""Steps that a task takes by itself: the same as those that the driver asks for one by one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import kmeans_with

from dask_kmeans import KMeans, planning
from dask_kmeans.step import advance

ROWS, FEATURES = 400, 3


def rows(seed: int, dtype: type = np.float64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 5, (ROWS, 1)) * 2 + rng.normal(size=(ROWS, FEATURES))).astype(dtype)


def fitted(X, init, *, watched: bool, weights=None, kind=KMeans, **parameters) -> KMeans:
    """With somebody who wants to hear of every step, there is a pass for each."""
    model = kind(
        len(init) if isinstance(init, np.ndarray) else 5, init=init, random_state=0,
        callbacks=[lambda record: None] if watched else None, **parameters,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, sample_weight=weights)


def assert_same(fused: KMeans, watched: KMeans) -> None:
    np.testing.assert_array_equal(fused.cluster_centers_, watched.cluster_centers_)
    np.testing.assert_array_equal(fused.labels_, watched.labels_)
    assert (fused.inertia_, fused.n_passes_) == (watched.inertia_, watched.n_passes_)
    assert fused.stop_reason_ == watched.stop_reason_
    ours, theirs = (
        [record._replace(seconds=0.0) for record in model.history_] for model in (fused, watched)
    )
    assert ours == theirs


@pytest.fixture
def visits(monkeypatch):
    """Steps that each visit of a block took."""
    taken: list[int] = []
    visit = advance.assign_block

    def counted(*arguments):
        assigned = visit(*arguments)
        taken.append(
            max(
                1
                if outcome.more_steps is None
                else outcome.more_steps.state.iteration - request.step + 2
                for request, outcome in zip(arguments[1], assigned.outcomes, strict=True)
            )
        )
        return assigned

    monkeypatch.setattr(advance, "assign_block", counted)
    return taken


@pytest.mark.parametrize("init", [None, "random"])
@pytest.mark.parametrize("algorithm", ["auto", "lloyd"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_fused_or_watched_a_fit_is_the_same(visits, dtype, algorithm, init):
    X = rows(0, dtype)
    settings_ = {"tol": 0, "algorithm": algorithm, "n_init": 1 if init is None else 3}
    if init is None:  # distinct, lest a cluster be emptied, which the driver has to see to
        init = np.unique(X, axis=0)[:: len(X) // 20][:7].astype(np.float64)
    fused = fitted(X, init, watched=False, **settings_)
    # All steps of a single run; of several the first, which measures for all, then the others; and
    # the last look.
    assert len(visits) == (2 if isinstance(init, np.ndarray) else 3)
    assert max(visits) > 2
    assert sum(visits) - 1 >= fused.n_iter_
    visits.clear()
    watched = fitted(X, init, watched=True, **settings_)
    assert set(visits) == {1}
    assert_same(fused, watched)


def test_margins_are_kept_in_fused_steps_too(visits):
    kind = kmeans_with(margins_size=0, margins_work=0, most_picked=0.9)
    X = rows(1)
    fused = fitted(X, X[:9], watched=False, tol=0, kind=kind)
    assert max(visits) > 2
    assert min(record.examined for record in fused.history_) < ROWS
    assert_same(fused, fitted(X, X[:9], watched=True, tol=0, kind=kind))


def test_an_emptied_cluster_is_the_drivers():
    X = np.concatenate([rows(2), np.full((1, FEATURES), 1e3)])
    # All between two of the seeds: the third loses its rows after a few steps.
    init = np.array([[0.0] * FEATURES, [9.0] * FEATURES, [40.0] * FEATURES, [500.0] * FEATURES])
    fused = fitted(X, init, watched=False, tol=0)
    assert (fused.cluster_sizes_ > 0).all()
    assert_same(fused, fitted(X, init, watched=True, tol=0))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 12), st.booleans())
def test_whatever_the_rows_weights_and_limits(seed, k, max_iter, weighted):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(ROWS, FEATURES)) * 10.0 ** rng.integers(-30, 30, FEATURES)
    X[rng.integers(ROWS, size=ROWS // 4)] = X[0]
    weights = rng.integers(0, 3, ROWS).astype(float) if weighted else None
    if weighted:
        weights[: k + 1] = 1
    parameters = {"weights": weights, "max_iter": max_iter, "tol": [0, 0.01][seed % 2]}
    assert_same(
        fitted(X, X[:k].copy(), watched=False, **parameters),
        fitted(X, X[:k].copy(), watched=True, **parameters),
    )


def test_a_row_that_is_skipped_stays_out():
    X = rows(3)
    X[::50] = np.nan
    init = rows(4)[:4]
    fused = fitted(X, init, watched=False, nan="skip", tol=0)
    assert (fused.labels_[::50] == -1).all()
    assert_same(fused, fitted(X, init, watched=True, nan="skip", tol=0))


def test_ranges_near_the_smallest_number():
    X = rows(5) * [1e-312, 1.0, 1.0]
    fused = fitted(X, X[:4], watched=False, tol=0)
    assert len(fused.history_) > 2
    assert_same(fused, fitted(X, X[:4], watched=True, tol=0))


def test_small_work_is_one_block_and_large_work_is_not():
    threads = 4
    assert len(planning.plan_in_memory(20_000, 16, threads, 26)) == 1
    assert len(planning.plan_in_memory(20_000, 16, threads)) > 1
    assert len(planning.plan_in_memory(20_000, 16, threads, 2000)) > 1
    assert planning.plan_in_memory(0, 16, threads, 1) == [(0, 0)]
