"""Figures of a pass: records that share one read, exact whatever the chunks and the order."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import dask
import dask.array as da
import naive
import numpy as np
import pytest
from counting import CountingChunks
from hypothesis import given
from hypothesis import strategies as st
from inputs import blobs
from sklearn.metrics import calinski_harabasz_score
from strategies import chunks_of, seeds, weights_of

from dask_kmeans import KMeans
from dask_kmeans import fit as fits
from dask_kmeans.blockwise import Blockwise
from dask_kmeans.fit_parameters import fit_parameters
from dask_kmeans.kernels import ExactSum
from dask_kmeans.predict import LabelRows, statistics_of
from dask_kmeans.read import as_points
from dask_kmeans.statistics import (
    DrawnRows,
    FarthestRows,
    Inertia,
    MeanDistances,
    PairCounts,
    SimplifiedSilhouette,
    figures,
    learn,
    merge_known,
    nothing_known,
)

ALL = (
    Inertia(),
    MeanDistances(),
    SimplifiedSilhouette(),
    FarthestRows(7),
    DrawnRows(9, seed=3),
)


@dataclass(frozen=True)
class CalinskiHarabasz:
    """float: scatter between clusters over scatter within them, about centers that are means."""

    def zero(self, centers):
        return ExactSum(), np.zeros(len(centers), np.int64)

    def chunk(self, known, rows):
        counts = np.bincount(rows.labels, minlength=len(known[1]))
        return known[0].add(rows.distances), known[1] + counts

    def merge(self, a, b):
        return a[0].merge(b[0]), a[1] + b[1]

    def finish(self, known, centers):
        (within, sizes), k = known, len(centers)
        between = sizes @ ((centers - sizes @ centers / sizes.sum()) ** 2).sum(axis=1)
        return between / within.value() * (sizes.sum() - k) / (k - 1)


def fitted(X, k, statistics=()):
    """(model, result) of a fit whose last pass learns these statistics too."""
    model = KMeans(k, tol=0, random_state=0)
    points = as_points(X)
    (result,) = fits.fit(points, fit_parameters([model], X, points), statistics=statistics)
    return result


def test_a_new_figure_is_one_record_and_no_pass():
    X = blobs(3000, 4, 5, seed=1)
    with dask.config.set(scheduler="threads", num_workers=2):
        source, plain = CountingChunks(X, chunk=500), CountingChunks(X, chunk=500)
        result = fitted(source.array(), 5, (CalinskiHarabasz(), FarthestRows(3)))
        assert source.passes() == result.passes == fitted(plain.array(), 5).passes
    labels = naive.squared_distances(X, result.centers).argmin(axis=1)
    figure, farthest = result.statistics
    assert figure == pytest.approx(calinski_harabasz_score(X, labels), rel=1e-9)
    apart = naive.squared_distances(X, result.centers).min(axis=1)
    assert farthest.rows.tolist() == np.argsort(-apart, kind="stable")[:3].tolist()


def test_other_rows_in_one_pass():
    """What `score` does, with more to learn."""
    X, centers = blobs(2000, 3, 4, seed=2), blobs(4, 3, 4, seed=5)
    source = CountingChunks(X, chunk=300)
    points = as_points(source.array())
    blockwise = Blockwise(points.blocks, points.in_memory)
    function = LabelRows(centers, "raise", None)
    with dask.config.set(scheduler="threads", num_workers=2):
        inertia, figure = statistics_of(blockwise, function, (Inertia(), CalinskiHarabasz()))
    assert source.passes() == blockwise.passes == 1
    assert inertia == naive.inertia(X, centers)
    assert np.isfinite(figure)


def as_bytes(found):
    inertia, means, silhouette, farthest, (*drawn, n_rows) = found
    return (
        inertia.hex(),
        [field.tobytes() for field in farthest],
        [field.tobytes() for field in drawn],
        n_rows,
        means.tobytes(),
        silhouette.hex(),
    )


@given(seeds(), st.data())
def test_neither_chunks_nor_order_change_a_bit(seed, data):
    rng = np.random.default_rng(seed)
    n, centers = data.draw(st.integers(1, 60)), rng.normal(size=(3, 2)) * 10.0 ** rng.integers(9)
    X = rng.integers(-2, 3, (n, 2)).astype(float)  # many equally far rows
    X[rng.random(n) < 0.1] = np.nan
    weights = data.draw(weights_of(n))
    labels = np.where(
        np.isnan(X).any(axis=1), -1, naive.squared_distances(X, centers).argmin(axis=1)
    ).astype(np.int32)

    def known_of(first, stop):
        rows = slice(first, stop)
        return learn(
            ALL, nothing_known(ALL, centers), X[rows], None if weights is None else weights[rows],
            labels[rows], centers, first,
        )  # fmt: skip

    whole = as_bytes(figures(ALL, known_of(0, n), centers))
    ends = np.cumsum(data.draw(chunks_of(n))).tolist()
    parts = [known_of(first, end) for first, end in zip([0, *ends], ends, strict=False)]
    parts = [pickle.loads(pickle.dumps(part)) for part in data.draw(st.permutations(parts))]
    merged = nothing_known(ALL, centers)
    for part in parts:
        merged = merge_known(ALL, merged, part)
    assert as_bytes(figures(ALL, merged, centers)) == whole
    assert np.isin(np.frombuffer(whole[1][1], np.int64), np.flatnonzero(labels >= 0)).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_distances_to_the_own_and_the_second_center(weighted):
    """As brute force has them: all rows, all centers, the two least distances."""
    rng = np.random.default_rng(4)
    X = np.r_[blobs(900, 4, 5, seed=4), np.full((1, 4), np.nan)]
    centers = np.r_[X[[0, 200, 400, 600]], [[1e6] * 4], X[[0]]]  # one without rows, one twice
    weights = rng.integers(0, 4, len(X)) / 2 if weighted else None
    apart = np.sort(np.sqrt(naive.squared_distances(X[:-1], centers)), axis=1)
    labels = naive.nearest(X, centers)
    statistics = (MeanDistances(), SimplifiedSilhouette())
    known = nothing_known(statistics, centers)
    known = learn(statistics, known, X, weights, labels, centers, 0)
    means, silhouette = figures(statistics, known, centers)
    of_rows = np.ones(len(X)) if weights is None else weights
    counted, own = of_rows[:-1], labels[:-1]
    expected = [
        np.average(apart[own == j, 0], weights=counted[own == j]) if (own == j).any() else np.nan
        for j in range(6)
    ]
    np.testing.assert_allclose(means, expected, rtol=1e-12)
    assert np.isnan(means[4:]).all()
    s = np.zeros(len(apart))
    np.divide(apart[:, 1] - apart[:, 0], apart[:, 1], out=s, where=apart[:, 1] > 0)
    assert silhouette == pytest.approx(np.average(s, weights=counted), rel=1e-12)
    alone = figures(statistics, nothing_known(statistics, centers[:1]), centers[:1])
    assert np.isnan(alone[1])


def test_sizes_are_those_of_the_labels_where_rows_are_skipped():
    X = blobs(900, 3, 4, seed=3)
    X[::7, 1] = np.nan
    for rows in (X, da.from_array(X, chunks=(200, 3))):
        model = KMeans(4, nan="skip", random_state=0).fit(rows)
        labels = np.asarray(model.labels_)
        assert model.cluster_sizes_.tolist() == np.bincount(labels[labels >= 0]).tolist()


def test_drawn_rows_are_a_uniform_sample_by_number():
    """Each row as often as the others, over seeds; never one that is left out."""
    X = np.arange(400.0)[:, None]
    X[::4] = np.nan
    model = KMeans(3, nan="skip", random_state=0).fit(X)
    times = np.zeros(400, int)
    for seed in range(200):
        (drawn,) = model._figures(X, None, (DrawnRows(30, seed),), by_row=True)
        assert len(set(drawn.rows.tolist())) == 30
        assert drawn.n_rows == 300
        assert drawn.values[:, 0].tolist() == drawn.rows.tolist()
        assert drawn.labels.tolist() == model.labels_[drawn.rows].tolist()
        times[drawn.rows] += 1
    assert times[::4].sum() == 0
    counted = times[np.arange(400) % 4 > 0]  # each about binomial: 200 draws of probability 0.1
    assert counted.mean() == 20
    assert counted.var() == pytest.approx(200 * 0.1 * 0.9, rel=0.4)


@pytest.mark.parametrize("rows", [lambda X: X, lambda X: da.from_array(X, chunks=(97, 3))])
def test_fewer_rows_than_are_drawn(rows):
    X = blobs(500, 3, 4, seed=2)
    model = KMeans(4, random_state=0).fit(X)
    (drawn,) = model._figures(rows(X), None, (DrawnRows(800, 0),), by_row=True)
    assert sorted(drawn.rows.tolist()) == list(range(500))
    assert np.array_equal(drawn.values, X[drawn.rows])


def test_rows_of_unknown_number_are_counted_first():
    X = blobs(500, 3, 4, seed=2)
    model = KMeans(4, random_state=0).fit(X)
    array = da.from_array(X, chunks=(97, 3))
    unknown = array[da.from_array(np.ones(500, bool), chunks=97)]
    known, counted = (
        model._figures(rows, None, (DrawnRows(50, 0),), by_row=True)[0] for rows in (X, unknown)
    )
    assert known.rows.tolist() == counted.rows.tolist()


@given(seeds(), st.data())
def test_pairs_of_labels_are_counted_in_any_parts_and_order(seed, data):
    rng = np.random.default_rng(seed)
    shape = data.draw(st.sampled_from([(1, 2), (3, 5), (300, 400)]))  # in a table, or sorted
    n = data.draw(st.integers(0, 80))
    one, other = (rng.integers(k, size=n).astype(np.int16) for k in shape)
    one[rng.random(n) < 0.1] = other[rng.random(n) < 0.1] = -1
    known = (one >= 0) & (other >= 0)
    expected = np.zeros(shape, np.int64)
    np.add.at(expected, (one[known], other[known]), 1)
    ends = np.cumsum(data.draw(chunks_of(n))).tolist()
    rows = [slice(first, end) for first, end in zip([0, *ends], ends, strict=False)]
    parts = [PairCounts.of(one[part], other[part], shape) for part in rows]
    merged = PairCounts.of(one[:0], other[:0], shape)
    for part in data.draw(st.permutations(parts)):
        merged = merged.merge(pickle.loads(pickle.dumps(part)))
    assert merged.table().tolist() == expected.tolist()
    assert len(merged.pairs) == np.count_nonzero(expected)
