"""The kernels against a float64 brute force that shares no code with them."""

import math
import pickle
import sys
from fractions import Fraction

import numpy as np
import pytest

from dask_kmeans import kernels
from dask_kmeans.kernels.emitter import INTEGER_DOT


@pytest.fixture(autouse=True, scope="module")
def _every_filter():
    """The float64 filter for few rows too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["dask_kmeans.kernels.assign"], "LITTLE", 0)
        yield


DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">f4", "?"]
COMMON = ["u1", "i4", "f2", "f4", "f8", ">f4"]
"""Kernels are compiled for each of the others for some seconds."""


def brute_force(X, centers):
    """(squared distances, labels): sums over features in order, ties to the lowest, NaN -> -1."""
    X, total = X.astype(np.float64), np.zeros((len(X), len(centers)))
    with np.errstate(all="ignore"):
        for x, c in zip(X.T, centers.T, strict=True):
            difference = x[:, None] - c
            total += difference * difference
    return total, np.where(np.isnan(X).any(axis=1), -1, total.argmin(axis=1))


def adversarial(n=391, d=19, k=13):
    """name -> (X, centers): data on which a rounding bound, a tie rule or a scale could fail."""
    rng = np.random.default_rng(7)

    def normal(*shape):
        return rng.standard_normal(shape)

    X = normal(n, d)
    cases = {"random": (X, normal(k, d)), "rows as centers": (X, X[:k])}
    quantized = rng.integers(0, 3, (n, 4)).astype(float)
    cases["exact ties"] = quantized, rng.integers(0, 3, (k, 4)) + 0.5
    cases["duplicate centers"] = X, np.tile(normal(3, d), (5, 1))
    cases["midpoints"] = (
        (X[:k][rng.integers(k, size=n)] + X[:k][rng.integers(k, size=n)]) / 2,
        X[:k],
    )
    cases["all rows equal"] = np.full((n, d), 0.1), np.full((k, d), 0.1)
    cases["offset 1e6"] = X + 1e6, X[:k] + 1e6
    cases["offset 1e6, close"] = X * 1e-9 + 1e6, X[:k] * 1e-9 + 1e6
    scales = 10.0 ** np.linspace(-20, 20, d)
    cases["scaled features"] = X * scales, X[:k] * scales
    for power in (-320, -310, -170, -30, 30, 150, 160, 300):
        with np.errstate(all="ignore"):
            cases[f"scale 1e{power}"] = (
                X * 10.0 ** np.float64(power),
                X[:k] * 10.0 ** np.float64(power),
            )
    outlier = X.copy()
    outlier[5, 3] = 1e9
    cases["outlier"] = outlier, X[:k]
    cases["outlier is a center"] = outlier, outlier[:k]
    cases["float32 denormals"] = X * 1e-41, X[:k] * 1e-41
    cases["far center"] = X, np.vstack([X[:k], np.full((1, d), 1e30), np.full((1, d), -1e200)])
    cases["k = 1"] = X, X[:1]
    cases["k = n"] = X[:97], X[:97]
    for width in (1, 2, 3, 5, 8, 16, 17, 31, 64, 200):
        cases[f"d = {width}"] = normal(n, width), normal(k, width)
    for rows in (1, 2, 63, 64, 65, 129):
        cases[f"n = {rows}"] = normal(rows, 7), normal(5, 7)
    missing = X.copy()
    missing[[0, 77, n - 1], [0, 5, d - 1]] = np.nan
    cases["missing"] = missing, X[1 : 1 + k]
    infinite = X.copy()
    infinite[3, 3], infinite[9, 0] = np.inf, -np.inf
    cases["infinite"] = infinite, X[10 : 10 + k]
    return cases


CASES = adversarial()
MANY = adversarial(n=300, d=97, k=90)
"""The same with so many centers and features that they are rounded to integers first."""
CASES |= {f"{name}, many centers": case for name, case in MANY.items()}


def layouts(X):
    """The same matrix in every memory order."""
    wide = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)
    read_only = X.copy()
    read_only.setflags(write=False)
    return {
        "C": np.ascontiguousarray(X),
        "F": np.asfortranarray(X),
        "strided": wide[::2, ::3],
        "negative": np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
        "reversed rows": np.ascontiguousarray(X[::-1])[::-1],
        "column-sliced F": np.asfortranarray(wide)[::2, ::3],
        "read-only": read_only,
    }


def check_assign(X, centers, start=None, weights=None):
    """Check labels, tally and sums of one `assign`; return its labels."""
    n = len(X)
    k = len(centers)
    expected = brute_force(X, np.asarray(centers, np.float64))[1]
    finite = np.where(np.isfinite(X.astype(np.float64)), X.astype(np.float64), 0)
    range_ = finite.min(axis=0), finite.max(axis=0)
    fixed_point = kernels.FixedPoint.from_range(
        *range_, n, None if weights is None else weights.max()
    )
    labels = np.full(n, -1, np.int32) if start is None else start.astype(np.int32)
    before = labels.copy()
    sums = fixed_point.zero_sums(k)
    prepared = kernels.prepare(centers)
    ordinary = np.isfinite(X.astype(np.float64)).all()
    if not ordinary:
        tally = kernels.nearest(X, prepared, labels)
    else:
        kernels.accumulate(X, weights, fixed_point, np.full(n, -1, np.int32), before, sums)
        tally = kernels.assign(X, weights, prepared, fixed_point, labels, sums)
    np.testing.assert_array_equal(labels, expected)
    counts = True if weights is None else weights > 0
    assert tally.changed == np.count_nonzero((before != expected) & counts)
    assert tally.tied <= tally.undecided <= n
    if ordinary:
        full = fixed_point.zero_sums(k)
        kernels.accumulate(X, weights, fixed_point, np.full(n, -1, np.int32), labels, full)
        for a, b in zip(sums, full, strict=True):
            np.testing.assert_array_equal(a, b)
        check_means(X, weights, labels, fixed_point, sums)
    return labels


def check_means(X, weights, labels, fixed_point, sums):
    """Means within 2**-50 of each feature's range (and their own rounding) of math.fsum's.

    With weights, within that of the range times the largest weight over the cluster's mean weight.
    """
    means, totals = fixed_point.means(sums)
    X = X.astype(np.float64)
    range_ = X.max(axis=0) / 2 - X.min(axis=0) / 2
    w = np.ones(len(X)) if weights is None else weights
    for j in range(len(means)):
        mine = labels == j
        if not mine.any():
            assert np.isnan(means[j]).all()
            assert totals[j] == 0
            continue
        total = math.fsum(w[mine])
        heaviest = w.max() * mine.sum() / total if weights is not None else 1.0
        assert abs(totals[j] - total) <= 2**-50 * total * heaviest
        for feature, mean in enumerate(means[j]):
            exact = math.fsum(w[mine] * (X[mine, feature] / 2)) / total
            assert abs(mean / 2 - exact) <= 2**-50 * range_[feature] * heaviest + 2 * np.spacing(
                abs(exact)
            ), (j, feature)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", CASES)
def test_labels_and_sums_on_adversarial_data(name, dtype):
    X, centers = CASES[name]
    with np.errstate(all="ignore"):
        X = X.astype(dtype)
    check_assign(X, centers)
    if np.isfinite(X).all():
        check_assign(X, centers, start=np.arange(len(X)) % (len(centers) + 1) - 1)


@pytest.mark.parametrize(
    "dtype",
    [each if each in COMMON else pytest.param(each, marks=pytest.mark.slow) for each in DTYPES],
)
def test_every_dtype_in_every_memory_order(dtype):
    rng = np.random.default_rng(3)
    values = rng.integers(0, 2 if dtype == "?" else 100, (150, 11))
    if dtype in ("i8", "u8"):
        values += 2**60
    X = values.astype(dtype)
    centers = X[::17].astype(np.float64) + (0.25 if dtype != "?" else 0)
    for name, laid_out in layouts(X).items():
        labels = check_assign(laid_out, centers)
        d2, expected = brute_force(X, centers)
        out = kernels.labelled_distances(laid_out, centers, labels, np.empty(len(X)))
        np.testing.assert_array_equal(out, d2[np.arange(len(X)), expected], err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_distances_are_the_definition_to_the_bit(name):
    X, centers = CASES[name]
    d2, labels = brute_force(X, centers)
    np.testing.assert_array_equal(kernels.distances(X, centers, np.empty(d2.shape)), d2)
    rows, own = np.arange(len(X)), labels.astype(np.int32)
    out = kernels.labelled_distances(X, centers, own, np.empty(len(X)))
    np.testing.assert_array_equal(out, np.where(labels < 0, np.nan, d2[rows, labels]))
    out = kernels.second_distances(X, centers, own, np.empty(len(X)))
    d2[rows[labels >= 0], labels[labels >= 0]] = np.inf
    np.testing.assert_array_equal(out[labels >= 0], d2.min(axis=1)[labels >= 0])


@pytest.mark.parametrize("name", ["random", "outlier", "offset 1e6", "scaled features"])
def test_weighted_sums(name):
    X, centers = CASES[name]
    weights = 10.0 ** np.random.default_rng(0).uniform(-6, 6, len(X))
    weights[::50] = 0
    check_assign(X, centers, weights=weights)
    check_assign(X, centers, start=np.arange(len(X)) % len(centers), weights=weights)


@pytest.mark.parametrize("shift", [0.0, 1e6, -1e30, 1e300])
def test_no_shift_can_change_a_label(shift):
    X, centers = CASES["random"]
    labels = np.empty(len(X), np.int32)
    kernels.nearest(X, kernels.prepare(centers, np.full(X.shape[1], shift)), labels)
    np.testing.assert_array_equal(labels, brute_force(X, centers)[1])


def test_prepared_centers_travel_as_their_centers():
    centers = CASES["scaled features"][1]
    prepared = kernels.prepare(centers)
    pickled = pickle.dumps(prepared)
    assert len(pickled) < centers.nbytes + 1000
    there = pickle.loads(pickled)
    for a, b in ((prepared.centers, there.centers), (prepared.padded, there.padded)):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(prepared.single + prepared.double, there.single + there.double, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", MANY)
def test_rounding_to_few_bits_costs_no_label(name, bits):
    """Each number of bits alone, where the machine multiplies small integers at all."""
    X, centers = MANY[name]
    prepared = kernels.prepare(centers)
    chosen = [one for one in prepared.quantized_by_bits if one.centers.itemsize * 8 == bits]
    assert len(chosen) == len(prepared.quantized_by_bits) / 2
    prepared.quantized_by_bits = tuple(chosen)
    labels, expected = np.empty(len(X), np.int32), brute_force(X, centers)[1]
    with np.errstate(all="ignore"):
        single = X.astype(np.float32)
    for values, truth in ((X, expected), (single, brute_force(single, centers)[1])):
        for laid_out in (values, np.asfortranarray(values), values[::-1, ::-1][::-1, ::-1]):
            kernels.nearest(laid_out, prepared, labels)
            np.testing.assert_array_equal(labels, truth)


@pytest.mark.skipif(not INTEGER_DOT, reason="this machine has no integer dot products")
def test_few_candidates_are_left_of_ordinary_rows():
    rng = np.random.default_rng(0)
    X, centers = rng.standard_normal((5000, 96)), rng.standard_normal((300, 96))
    labels = np.empty(len(X), np.int32)
    tally = kernels.nearest(X.astype(np.float32), kernels.prepare(centers), labels)
    assert tally.candidates < 10 * len(X)
    assert tally.coarse == 0


def test_the_filters_decide_ordinary_rows():
    rng = np.random.default_rng(0)
    X, labels = rng.standard_normal((20_000, 16)), np.empty(20_000, np.int32)
    tally = kernels.nearest(X, kernels.prepare(X[:8]), labels)
    assert tally.undecided < 20
    assert tally.tied == 0
    tally = kernels.nearest(X + 1e6, kernels.prepare(X[:8] + 1e6), labels)
    assert tally.undecided < 20
    assert tally.tied == 0


@pytest.mark.parametrize("labels", [np.empty(8, np.int64), np.empty(16, np.int32)[::2]])
def test_labels_that_the_kernels_cannot_write_are_refused(labels):
    with pytest.raises(ValueError, match="int32 labels side by side"):
        kernels.nearest(np.zeros((8, 2)), kernels.prepare(np.zeros((1, 2))), labels)


def test_sums_are_a_group():
    X, centers = CASES["random"]
    fixed_point = kernels.FixedPoint.from_range(X.min(axis=0), X.max(axis=0), len(X))
    nothing, labels = np.full(len(X), -1, np.int32), brute_force(X, centers)[1].astype(np.int32)

    def sums_of(part, old=nothing, new=labels):
        sums = fixed_point.zero_sums(len(centers))
        kernels.accumulate(X[part], None, fixed_point, old[part], new[part], sums)
        return sums

    whole, parts = sums_of(slice(None)), [sums_of(slice(a, a + 100)) for a in (300, 100, 0, 200)]
    merged = parts[0]
    for part in parts[1:]:
        merged = kernels.merge_sums(merged, pickle.loads(pickle.dumps(part)))
    undone = kernels.merge_sums(merged, sums_of(slice(None), labels, nothing))
    for a, b in zip(undone, whole, strict=True):
        assert not a.any()
        assert a.shape == b.shape


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_more_rows_than_a_limb_could_count(weighted):
    """A block of 2**24 rows, 2**20 times: without carrying, low limbs would overflow."""
    rng, doublings = np.random.default_rng(2), 20
    values = rng.random((64, 3)) * [1.0, 1e-9, 1e9]
    weights = rng.random(64) if weighted else None
    fixed_point = kernels.FixedPoint.from_range(
        values.min(axis=0), values.max(axis=0), 64 << (18 + doublings), 1.0 if weighted else None
    )
    block = fixed_point.zero_sums(1)
    nothing, all_here = np.full(64, -1, np.int32), np.zeros(64, np.int32)
    kernels.accumulate(values, weights, fixed_point, nothing, all_here, block)
    one = fixed_point.means(block)
    # As large as the low limbs of a block can be, all of the same sign.
    block = kernels.Sums(*(part << 18 for part in block))
    total, not_equal = block, kernels.Sums(*(part.copy() for part in block))
    for _ in range(doublings):
        total = kernels.merge_sums(total, kernels.Sums(*(part.copy() for part in total)))
    means, totals = fixed_point.means(total)
    np.testing.assert_allclose(means, one[0], rtol=0, atol=0)
    assert totals[0] == one[1][0] * 2.0 ** (18 + doublings)
    assert total.counts[0] == 64 << (18 + doublings)
    # The same sums, whatever has been carried over, stand for the same means.
    carried = kernels.merge_sums(not_equal, fixed_point.zero_sums(1))
    assert not np.array_equal(carried.low, block.low)
    np.testing.assert_array_equal(fixed_point.means(carried)[0], fixed_point.means(block)[0])


def test_exact_sum_of_more_numbers_than_a_part_could_count():
    values = np.random.default_rng(3).random(1000) * np.repeat([1e-300, 1.0, 1e280, 1e300], 250)
    total = kernels.ExactSum().add(values)
    for _ in range(40):
        total.merge(pickle.loads(pickle.dumps(total)))
        assert total.value() == math.inf or total.value() >= 0
    exact = sum(map(Fraction, values.tolist())) * 2**40
    small = kernels.ExactSum().add(values[:500])
    for _ in range(60):
        small.merge(pickle.loads(pickle.dumps(small)))
    assert total.value() == (float(exact) if exact < Fraction(2) ** 1024 else math.inf)
    assert small.value() == float(sum(map(Fraction, values[:500].tolist())) * 2**60)


def test_exact_sum_is_fsum():
    rng = np.random.default_rng(1)
    values = rng.standard_normal(5000) * 10.0 ** rng.integers(-320, 300, 5000)
    values[::100] = np.nan
    values[::7] = -values[1::7][: len(values[::7])]
    finite = values[~np.isnan(values)]
    total = kernels.ExactSum()
    for part in np.array_split(rng.permutation(values), 7):
        total.merge(pickle.loads(pickle.dumps(kernels.ExactSum().add(part))))
    assert total.value() == math.fsum(finite)
    weights = rng.random(len(finite))
    assert kernels.ExactSum().add(finite, weights).value() == math.fsum(finite * weights)
    assert kernels.ExactSum().value() == 0.0
    assert kernels.ExactSum().add(np.array([1.0, np.inf])).value() == np.inf
    assert kernels.ExactSum().add(np.array([5e-324, 5e-324])).value() == 1e-323
    assert len(pickle.dumps(kernels.ExactSum().add(np.ones(10)))) < 1000


def test_exact_sums_are_fsums_by_label():
    rng = np.random.default_rng(2)
    values = rng.standard_normal(4000) * 10.0 ** rng.integers(-320, 300, 4000)
    values[::100] = np.nan
    labels, weights = rng.integers(-1, 4, 4000).astype(np.int32), rng.random(4000)
    total = kernels.ExactSums(5)
    for part in np.array_split(rng.permutation(4000), 6):
        some = kernels.ExactSums(5).add(values[part], labels[part], weights[part])
        total.merge(pickle.loads(pickle.dumps(some)))
    by_label = [(values * weights)[(labels == j) & ~np.isnan(values)] for j in range(5)]
    assert total.values().tolist() == [math.fsum(each) for each in by_label]
    values = values[:400] * 1e-30
    doubled = kernels.ExactSums(1).add(values, np.zeros(400, np.int32))
    exact = sum(map(Fraction, values[~np.isnan(values)].tolist()))
    for _ in range(50):
        doubled.merge(pickle.loads(pickle.dumps(doubled)))
    assert doubled.values()[0] == float(exact * 2**50)
    one = np.zeros(2, np.int32)
    assert kernels.ExactSums(1).add(np.array([1.0, np.inf]), one).values() == np.inf
    assert kernels.ExactSums(1).add(np.array([5e-324, 5e-324]), one).values() == 1e-323
    largest = np.full(2, np.finfo(float).max)
    assert kernels.ExactSums(1).add(largest, one).values() == np.inf
    assert kernels.ExactSums(1).add(largest * [1, -1], one).values() == 0
    assert len(pickle.dumps(kernels.ExactSums(1).add(np.ones(10), np.zeros(10, np.int32)))) < 1000


@pytest.mark.parametrize("shape", [(1, 1), (1000, 1), (1000, 2), (777, 5), (100, 300)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "f2"])
def test_extent(shape, dtype):
    X = (np.random.default_rng(0).standard_normal(shape) * 100).astype(dtype)
    for laid_out in layouts(X).values():
        low, high = np.full(shape[1], np.inf), np.full(shape[1], -np.inf)
        assert kernels.extent(laid_out, low, high) == (-1, -1, False, 0)
        np.testing.assert_array_equal(low, X.min(axis=0))
        np.testing.assert_array_equal(high, X.max(axis=0))
    if X.dtype.kind == "f" and len(X) > 100:
        X[60, -1], X[60, 0], X[50, -1], X[99, 0] = np.nan, np.nan, -np.inf, np.nan
        low, high = np.full(shape[1], np.inf), np.full(shape[1], -np.inf)
        assert kernels.extent(X, low, high) == (50, shape[1] - 1, False, 2)
        np.testing.assert_array_equal(low, np.nanmin(X, axis=0))
        X[40, 0] = np.nan
        assert kernels.extent(X, low, high) == (40, 0, True, 3)


def test_draws_depend_on_seed_purpose_and_row_alone():
    for draw in (kernels.uniform, kernels.exponential):
        whole = draw(2**64 - 1, 3, 10, np.empty(1000))
        np.testing.assert_array_equal(draw(2**64 - 1, 3, 510, np.empty(100)), whole[500:600])
        assert not np.isin(draw(2**64 - 1, 4, 10, np.empty(1000)), whole).any()
        assert not np.isin(draw(2**64 - 2, 3, 10, np.empty(1000)), whole).any()


def test_draws_have_their_distributions():
    u, e = kernels.uniform(1, 2, 0, np.empty(10**6)), kernels.exponential(1, 2, 0, np.empty(10**6))
    assert 0 <= u.min() < 1e-5
    assert 1 - 1e-5 < u.max() < 1
    assert e.min() > 0
    for sample, quantile in ((u, lambda p: p), (e, lambda p: -np.log1p(-p))):
        p = np.linspace(0.01, 0.99, 99)
        np.testing.assert_allclose(np.quantile(sample, p), quantile(p), atol=0.006, rtol=0.01)
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.005
