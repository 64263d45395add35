"""Rows of weight 0, and rows with a NaN under nan="skip", have no influence: not on a single bit.

Not by their values either, be they next to the largest float64.
"""

from __future__ import annotations

import warnings

import dask.array as da
import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import blobs

from dask_kmeans import KMeans

GARBAGE = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e20, -1e20, 1e200, 1.7e308, -1.7e308, 5e-324, 0.0]),
)
SCALES = st.sampled_from([1.0, 1e-3, 1e30, 1e-200, 5e-310])
"""Of the rows that count: the last ones are so small that features are lifted."""


def fitted(X, weights=None, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        return KMeans(nan="skip", random_state=0, **parameters).fit(X, sample_weight=weights)


@st.composite
def with_garbage(draw):
    """Rows that count, and their weights or None; the same among garbage; where they are then."""
    d = draw(st.integers(1, 3))
    n = draw(st.integers(8, 60))
    X = blobs(n, d, 3, seed=draw(st.integers(0, 99))) * draw(SCALES)
    weighted = draw(st.booleans())
    weights = 2.0 ** np.arange(n) % 7 if weighted else None
    m = draw(st.integers(1, 12))
    bad = np.array(draw(st.lists(GARBAGE, min_size=m * d, max_size=m * d))).reshape(m, d)
    dead = np.zeros(m)
    nan = np.ones(m, bool) if not weighted else np.arange(m) % 2 == 0
    bad[nan, 0] = np.nan
    dead[nan] = 1e290
    places = np.sort(draw(st.lists(st.integers(0, n), min_size=m, max_size=m)))
    all_rows = np.insert(X, places, bad, axis=0)
    all_weights = np.insert(weights, places, dead) if weighted else None
    counted = np.insert(np.ones(n, bool), places, False)
    return X, weights, all_rows, all_weights, counted


@given(with_garbage(), st.sampled_from([0.0, 1e-4, 0.2]), st.booleans())
def test_they_change_no_bit_of_a_fit(data, tol, standardize):
    X, weights, all_rows, all_weights, counted = data
    parameters = {
        "n_clusters": 3, "init": X[:3], "tol": tol,
        "standardize": standardize and np.ptp(X, axis=0).min() > 1e-100,
    }  # fmt: skip
    alone = fitted(X, weights, **parameters)
    model = fitted(all_rows, all_weights, **parameters)
    assert model.cluster_centers_.tobytes() == alone.cluster_centers_.tobytes()
    assert model.inertia_ == alone.inertia_
    assert model.n_iter_ == alone.n_iter_
    np.testing.assert_array_equal(model.labels_[counted], alone.labels_)
    if not parameters["standardize"]:  # standardized, garbage may be beyond float64: refused
        np.testing.assert_array_equal(model.labels_, model.predict(all_rows))


@given(with_garbage())
def test_their_labels_are_those_of_a_brute_force(data):
    X, _, all_rows, all_weights, _ = data
    model = fitted(all_rows, all_weights, n_clusters=3, init=X[:3])
    np.testing.assert_array_equal(model.labels_, naive.nearest(all_rows, model.cluster_centers_))


@pytest.mark.parametrize("fill", [1e20, 1.7e308, -1e200])
@pytest.mark.parametrize("algorithm", ["auto", "lloyd"])
@pytest.mark.parametrize("lazy", [False, True])
def test_fill_values_of_weight_zero(fill, algorithm, lazy):
    """Whatever the seeding: two clusters stay two."""
    rng = np.random.default_rng(0)
    counted = np.concatenate([rng.normal(280, 1, 500), rng.normal(300, 1, 500)])[:, None]
    rows = np.concatenate([counted, np.full((50, 1), fill)])
    weights = np.concatenate([np.ones(1000), np.zeros(50)])
    expected = np.sort([counted[:500].mean(), counted[500:].mean()])
    for init in ("k-means||", "k-means++", "random", "random_partition", "random_pairs",
                 "random_box"):  # fmt: skip
        X, w = rows, weights
        if lazy:
            X, w = da.from_array(rows, chunks=(300, 1)), da.from_array(weights, chunks=300)
        model = fitted(X, w, n_clusters=2, init=init, algorithm=algorithm)
        np.testing.assert_allclose(np.sort(model.cluster_centers_.ravel()), expected, rtol=1e-12)
        assert -model.score(X, sample_weight=w) == model.inertia_
        assert model.transform(rows).shape == (1050, 2)


def test_a_row_that_does_not_count_has_no_say_in_when_a_fit_has_settled():
    """Many rows of weight 0 whose labels never change would make any share of changes small."""
    X = blobs(300, 2, 5, seed=2)
    more = np.concatenate([X, np.full((100_000, 2), 50.0)])
    weights = np.concatenate([np.ones(300), np.zeros(100_000)])
    alone = fitted(X, np.ones(300), n_clusters=5, init=X[:5], tol=1e-3)
    model = fitted(more, weights, n_clusters=5, init=X[:5], tol=1e-3)
    assert alone.n_iter_ > 2
    assert model.cluster_centers_.tobytes() == alone.cluster_centers_.tobytes()
    assert [r.changed for r in model.history_] == [r.changed for r in alone.history_]


def test_an_infinity_is_refused_even_of_weight_zero():
    X = np.array([[0.0], [1.0], [np.inf]])
    with pytest.raises(ValueError, match="contains infinity: the first inf is at row 2"):
        fitted(X, [1.0, 1.0, 0.0], n_clusters=2)


@given(
    st.integers(-498, 498), st.integers(0, 99), st.sampled_from([0.0, 1e-4]),
    st.sampled_from(["array", "k-means||", "k-means++", "random"]),
)  # fmt: skip
def test_weights_times_a_power_of_two_change_no_bit_of_the_centers(power, seed, tol, init):
    X = blobs(80, 2, 4, seed=seed)
    weights = np.random.default_rng(seed).random(80)
    parameters = {"n_clusters": 4, "tol": tol, "init": X[:4] if init == "array" else init}
    one = fitted(X, weights, **parameters)
    model = fitted(X, np.ldexp(weights, power), **parameters)
    assert model.cluster_centers_.tobytes() == one.cluster_centers_.tobytes()
    assert model.labels_.tobytes() == one.labels_.tobytes()
    assert model.inertia_ == np.ldexp(one.inertia_, power)


@pytest.mark.parametrize("factor", [1e-300, 5e-324, 1e300, 1e308])
def test_weights_beyond_that_are_refused_with_what_to_type(factor):
    X = blobs(50, 2, 2, seed=0)
    sample_weight = np.ones(50) * factor
    with pytest.raises(ValueError, match=r"largest sample weight is .*: type ") as caught:
        fitted(X, sample_weight, n_clusters=2)
    typed = str(caught.value).partition("type ")[2]
    again = fitted(X, eval(typed, {"sample_weight": sample_weight}), n_clusters=2)
    plain = fitted(X, np.ones(50), n_clusters=2)
    assert again.cluster_centers_.tobytes() == plain.cluster_centers_.tobytes()
