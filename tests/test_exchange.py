"""Exchanges: two clusters become one and one becomes two, wherever that lowers the inertia."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from seeding import Data

from dask_kmeans import KMeans
from dask_kmeans.accelerate import MANY
from dask_kmeans.centers import MeanCenters, UnitCenters
from dask_kmeans.kernels import assignment, prepare
from dask_kmeans.step.exchange import exchanged, split_clusters
from dask_kmeans.step.measure import LabelledStep

RULES = {"euclidean": MeanCenters, "cosine": UnitCenters}


def rows(metric, n=900, d=4, seed=0):
    """Eight clumps of unequal spread; on the unit sphere for the cosine."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(8, d)) * 5
    X = centers[rng.integers(8, size=n)] + rng.normal(size=(n, d)) * rng.uniform(
        0.1, 1, size=(n, 1)
    )
    return X / np.linalg.norm(X, axis=1, keepdims=True) if metric == "cosine" else X


def exchange(data, rule, centers):
    """The centers that the rows of these have, those after exchanges, and how many these were."""
    prepared = prepare(centers)
    sums = rule.fixed_point.zero_sums(len(centers))
    for source in data.sources:
        labels = np.full(len(source.X), -1, np.int32)
        assignment(source.X, source.weights, rule.fixed_point, labels, sums).to(prepared)
    means = rule.update(sums, centers).centers
    split = split_clusters(data.blockwise, rule, prepared, LabelledStep(0, 0), means)
    return means, *exchanged(rule, sums, centers, split)


@pytest.mark.parametrize("metric", RULES)
def test_what_a_merger_costs(metric):
    X = rows(metric, 60)
    rule = RULES[metric](Data(X).rule.fixed_point)
    parts = X[:23], X[23:], X
    center, inertia, mass = [], [], []
    for part in parts:
        mean = part.mean(axis=0)
        mass.append(len(part) * (np.linalg.norm(mean) if metric == "cosine" else 1))
        center.append(mean / np.linalg.norm(mean) if metric == "cosine" else mean)
        inertia.append(((part - center[-1]) ** 2).sum())
    apart = ((center[0] - center[1]) ** 2).sum()
    cost = rule.merging_cost(np.array(mass[0]), np.array(mass[1]), np.array(apart))
    np.testing.assert_allclose(cost, inertia[2] - inertia[0] - inertia[1], rtol=1e-9)
    assert rule.merging_cost(np.zeros(1), np.zeros(1), np.ones(1)) == 0


@pytest.mark.parametrize("metric", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_every_exchange_lowers_the_inertia(metric, seed):
    X = rows(metric, seed=seed)
    data = Data(X)
    rule = RULES[metric](data.rule.fixed_point)
    # Far too many centers in one corner.
    start = X[np.argsort(X[:, 0])[:12]]
    means, centers, made = exchange(data, rule, start)
    assert made > 0
    assert naive.inertia(X, centers) < naive.inertia(X, means)
    if metric == "cosine":
        np.testing.assert_allclose(np.linalg.norm(centers, axis=1), 1)


@pytest.mark.parametrize("metric", RULES)
def test_chunks_do_not_matter(metric):
    X = np.concatenate([rows(metric), rows(metric)])  # equally far rows
    weights = np.random.default_rng(1).integers(0, 3, size=len(X)).astype(float)
    start = X[np.argsort(X[:, 0])[:12]]
    whole = Data(X, weights)
    rule = RULES[metric](whole.rule.fixed_point)
    expected = exchange(whole, rule, start)
    cut = Data(X, weights, chunks=(700, 13, 1087), piece=101)
    found = exchange(cut, rule, start)
    for mine, others in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, others)


def test_nothing_is_gained_where_all_is_well():
    corners = np.array([[0.0, 0], [0, 9], [9, 0], [9, 9]])
    X = np.repeat(corners, 50, axis=0) + np.random.default_rng(0).normal(size=(200, 2)) / 10
    data = Data(X)
    means, centers, made = exchange(data, data.rule, corners)
    assert made == 0
    np.testing.assert_array_equal(centers, means)


def test_clusters_of_equal_rows_and_empty_ones():
    X = np.repeat(np.array([[0.0, 0], [1, 0], [5, 5], [5, 6]]), 30, axis=0)
    start = np.array([[0.5, 0], [5, 5], [5, 6], [99, 99]])
    data = Data(X)
    _, centers, made = exchange(data, data.rule, start)
    assert made == 1
    assert naive.inertia(X, centers) == 0


@pytest.mark.slow
def test_fits_with_outliers_end_lower():
    """Far rows that become centers of their own cost clumps that had better be two."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 60)).astype(np.float32)
    X[::100] *= 1.6
    k = MANY
    found = KMeans(k, random_state=0, tol=1e-3).fit(X)
    plain = KMeans(k, random_state=0, tol=1e-3, algorithm="lloyd").fit(X)
    assert found.inertia_ < 0.999 * plain.inertia_
    assert found.n_passes_ < plain.n_passes_ / 2
