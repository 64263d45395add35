"""Centers are made in one place: another rule there, and every part of a fit goes by it."""

from __future__ import annotations

from dataclasses import dataclass

import dask.array as da
import numpy as np
import pytest
from inputs import blobs

from dask_kmeans import KMeans
from dask_kmeans.centers import MeanCenters, Update
from dask_kmeans.kernels import FixedPoint, accumulate
from dask_kmeans.metrics import EUCLIDEAN, METRICS


@dataclass(frozen=True)
class UnitCenters(MeanCenters):
    """The rule of spherical k-means: a mean of the rows, brought to length one."""

    def at(self, fixed_point):
        return UnitCenters(fixed_point)

    def update(self, sums, before=None):
        update = super().update(sums, before)
        centers = _unit(update.centers)
        if before is None:
            return update._replace(centers=centers)
        shift = float(np.linalg.norm(centers - before))
        return Update(centers, shift, shift > 0, update.moments, update.mass)

    def place(self, means, known, before):
        return _unit(super().place(means, known, before))


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def directions(n, seed=0):
    return _unit(blobs(n, 4, 7, seed=seed))


def assert_unit(model):
    np.testing.assert_allclose(np.linalg.norm(model.cluster_centers_, axis=1), 1.0, rtol=1e-12)
    cosine = directions(len(model.labels_)) @ model.cluster_centers_.T
    assert (np.argmax(cosine, axis=1) == np.asarray(model.labels_)).mean() > 0.999


@pytest.fixture
def _unit_centers(monkeypatch):
    monkeypatch.setitem(METRICS, "euclidean", EUCLIDEAN._replace(rule=UnitCenters))


@pytest.mark.usefixtures("_unit_centers")
@pytest.mark.parametrize("parameters", [
    {},
    {"init": "random_partition", "n_init": 2},  # the means of parts
    {"callbacks": [lambda record: None]},  # no fused steps
    {"init": np.concatenate([directions(5), -10.0 * np.eye(4)])},  # empty clusters
])  # fmt: skip
def test_another_rule_makes_other_centers(parameters):
    k = len(parameters["init"]) if isinstance(parameters.get("init"), np.ndarray) else 7
    X = directions(3000)
    assert_unit(KMeans(k, tol=0, random_state=0, **parameters).fit(X))
    assert_unit(KMeans(k, tol=0, random_state=0, **parameters).fit(da.from_array(X, chunks=1000)))


@pytest.mark.usefixtures("_unit_centers")
def test_the_sample_goes_by_it_too():
    """Warm-up and leaps: were they to aim elsewhere, more passes would follow, not fewer."""
    X = directions(40_000)
    leapt = KMeans(12, tol=0, random_state=0).fit(X)
    assert_unit(leapt)
    stepped = KMeans(12, tol=0, random_state=0, algorithm="lloyd").fit(X)
    assert leapt.n_iter_ < stepped.n_iter_


def test_means_are_those_of_the_rows_and_an_empty_cluster_stays():
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(50, 3)), rng.integers(0, 3, 50).astype(np.int32)
    rule = MeanCenters(FixedPoint.from_range(X.min(axis=0), X.max(axis=0), len(X)))
    sums = rule.fixed_point.zero_sums(4)
    accumulate(X, None, rule.fixed_point, np.full(50, -1, np.int32), labels, sums)
    before = rng.normal(size=(4, 3))
    update = rule.update(sums, before)
    expected = np.array([*(X[labels == j].mean(axis=0) for j in range(3)), before[3]])
    np.testing.assert_allclose(update.centers, expected, rtol=1e-12)
    assert update.center_shift == pytest.approx(np.linalg.norm(expected - before))
    assert update.empty.tolist() == [3]
    assert not update.complete
    # What one measured inertia makes known of any other.
    measured = ((X - before[labels]) ** 2).sum()
    offset = measured - update.scatter
    at_means = rule.update(sums, update.centers)
    assert not at_means.moved
    inertia = sum(((X[labels == j] - expected[j]) ** 2).sum() for j in range(3))
    assert at_means.inertia(offset) == pytest.approx(inertia)
