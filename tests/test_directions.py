"""Few directions before all of them: labels stay those of the definition, to the bit."""

import pickle

import numpy as np
import pytest

from dask_kmeans import kernels
from dask_kmeans.kernels.assign import WORTH_TRIAL
from dask_kmeans.kernels.directions import along

N, D, K = 1100, 80, 130


def flat(rng):
    """Rows that differ in few directions, but for some noise."""
    X = rng.standard_normal((N, 6)) @ rng.standard_normal((6, D)) * 5
    return X + rng.standard_normal((N, D))


def with_outliers(rng):
    X = flat(rng)
    X[::500] *= 1e6
    return X


def with_duplicates(rng):
    X = flat(rng)
    X[1::2] = X[::2]
    return X


def with_constants(rng):
    X = flat(rng)
    X[:, 10:] = 3.0
    return X


def with_nan(rng):
    X = flat(rng)
    X[::100, 3] = np.nan
    X[5, 3], X[6, 4] = np.inf, 1e38
    return X


DATA = {
    "flat": flat,
    "without directions": lambda rng: rng.standard_normal((N, D)),
    "outliers": with_outliers,
    "duplicates": with_duplicates,
    "constant features": with_constants,
    "NaN and infinity": with_nan,
    "far from the origin": lambda rng: flat(rng) + 1e6,
    "tiny": lambda rng: flat(rng) * 1e-30,
    "huge": lambda rng: flat(rng) * 1e17,
    "ties": lambda rng: rng.integers(0, 2, (N, D)),
    "one row": lambda rng: np.repeat(flat(rng)[:1], N, axis=0),
}


def centers_of(X, rng):
    """Rows, and what is half way between two; some of them twice."""
    finite = X[np.isfinite(X).all(axis=1)]
    centers, others = (finite[rng.choice(len(finite), K)].astype(float) for _ in range(2))
    centers[::3] = (centers[::3] + others[::3]) / 2
    centers[[7, 90]] = centers[[40, 8]]
    return centers


def brute_force(X, centers):
    """float64 sums over features in order, ties to the lowest, NaN -> -1."""
    X, total = X.astype(np.float64), np.zeros((len(X), len(centers)))
    with np.errstate(all="ignore"):
        for x, c in zip(X.T, centers.T, strict=True):
            total += (x[:, None] - c) ** 2
    return np.where(np.isnan(X).any(axis=1), -1, total.argmin(axis=1))


def prepared_with(centers, p):
    """Centers that are compared along p directions, whether that pays or not; 0 = none."""
    prepared = kernels.prepare(centers)
    if p:
        found = prepared.few.find(prepared.single.centers[: len(centers)], (p,))
        assert found == (p,)
        assert prepared.along(p) is not None
    prepared.few.best = {True: p, False: p}
    return prepared


def assigned(X, prepared, before, weights=None):
    """What `assign` makes of labels and sums."""
    low, high = np.full(X.shape[1], -8e3), np.full(X.shape[1], 8e3)
    fixed_point = kernels.FixedPoint.from_range(low, high, len(X), weights and weights.max())
    labels, sums = before.copy(), fixed_point.zero_sums(len(prepared.centers))
    tally = kernels.assign(X, weights, prepared, fixed_point, labels, sums)
    return tally, labels, sums


CASES = [(data, "f4") for data in DATA] + [
    pytest.param(data, dtype, marks=pytest.mark.slow)  # each dtype takes long to compile
    for data in ("flat", "outliers", "ties")
    for dtype in ("f8", "f2", "u1")
]


@pytest.mark.parametrize(("data", "dtype"), CASES)
def test_labels_are_those_of_the_definition(data, dtype):
    rng = np.random.default_rng(3)
    X = DATA[data](rng)
    if dtype == "u1":
        X = np.nan_to_num(X).clip(-128, 127) + 128
    if dtype == "f2":
        X = X.clip(-6e4, 6e4)
    X = X.astype(dtype)
    centers = centers_of(X, rng)
    expected, labels = brute_force(X, centers), np.empty(N, np.int32)
    for p in (0, 16):
        kernels.nearest(X, prepared_with(centers, p), labels)
        np.testing.assert_array_equal(labels, expected)
    for known in (expected, rng.integers(-1, K, N)):  # a guess, good or bad
        _, labels, _ = assigned(X.clip(-8, 8), prepared_with(centers, 16), known.astype(np.int32))
        np.testing.assert_array_equal(labels, brute_force(X.clip(-8, 8), centers))


@pytest.mark.parametrize("order", ["C", "F", "every second row", "backwards"])
def test_any_order_in_memory_gives_the_same_labels_and_sums(order):
    rng = np.random.default_rng(4)
    X = flat(rng).clip(-8, 8).astype(np.float32)
    centers, before = centers_of(X, rng), rng.integers(-1, K, N).astype(np.int32)
    laid = {
        "C": X,
        "F": np.asfortranarray(X),
        "every second row": np.repeat(X, 2, axis=0)[::2],
        "backwards": X[::-1].copy()[::-1],
    }[order]
    (_, labels, sums), (tally, along_few, moved) = (
        assigned(laid, prepared_with(centers, p), before) for p in (0, 16)
    )
    np.testing.assert_array_equal(along_few, labels)
    for a, b in zip(moved, sums, strict=True):
        np.testing.assert_array_equal(a, b)
    assert tally.changed == np.count_nonzero(labels != before)
    assert tally.candidates < N * K / 4  # few are left here


def test_picked_rows_alone_are_looked_at():
    rng = np.random.default_rng(5)
    X = flat(rng).astype(np.float32)
    centers, labels = centers_of(X, rng), np.full(N, 3, np.int32)
    picks = np.flatnonzero(rng.random(N) < 0.95)
    kernels.nearest(X, prepared_with(centers, 16), labels, picks)
    expected = np.full(N, 3)
    expected[picks] = brute_force(X, centers)[picks]
    np.testing.assert_array_equal(labels, expected)


def test_a_trial_tells_whether_directions_pay():
    rng = np.random.default_rng(6)
    d, k = 400, 800
    n = WORTH_TRIAL // (d * k) + 1
    for rank, pays in ((5, True), (d, False)):
        X = (rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))).astype(np.float32)
        centers, before, expected = X[:k] + 0.1, np.empty(n, np.int32), np.empty(n, np.int32)
        kernels.nearest(X, prepared_with(X[:k].astype(float), 0), before)
        kernels.nearest(X, prepared_with(centers.astype(float), 0), expected)
        prepared = kernels.prepare(centers)
        _, labels, _ = assigned(X, prepared, before)
        np.testing.assert_array_equal(labels, expected)
        assert bool(prepared.few.best[True]) == pays
        assert pickle.loads(pickle.dumps(prepared)).few.best == prepared.few.best
        assert prepared.at(prepared.centers + 1).few is prepared.few  # once for a whole fit


def test_bounds_are_below_scores():
    rng = np.random.default_rng(7)
    X = flat(rng)
    prepared = prepared_with(centers_of(X, rng), 16)
    single, found = prepared.single, prepared.along(16)
    centers, basis = single.centers[:K].astype(np.float64), found.basis.astype(np.float64)
    for scale in (1e-6, 1.0, 1e6):
        rows = ((X * scale - prepared.shift) * float(single.scale)).astype(np.float32)
        wide, placed = rows.astype(np.float64), rows @ found.basis.T
        rest = (wide**2).sum(axis=1) * (1 + found.wide) - (placed.astype(float) ** 2).sum(axis=1)
        lines = np.column_stack([placed, np.sqrt(np.maximum(rest, 0))]).astype(np.float64)
        assert (wide @ centers.T <= lines @ found.along[:K].T.astype(np.float64)).all()
    assert along(basis.astype(np.float32) * 1.01, single.centers, single.half, single.bound) is None
