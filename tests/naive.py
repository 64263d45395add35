"""k-means as a textbook writes it: the oracle that the rest is measured against.

Slow, short and obvious. Imports NumPy and the standard library alone, shares no code with the
package, and every float that decides something is a float64 in a fixed order. A few hundred to a
few thousand rows are what it is for.

Axes: n rows, k clusters, d features.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np


class Fit(NamedTuple):
    """What a Lloyd fit ends with."""

    centers: np.ndarray  # float64 (k, d)
    labels: np.ndarray  # int32 (n,), nearest center, -1 for a row with a NaN
    inertia: float
    n_iter: int
    converged: bool
    relocations: int  # clusters that were found empty and moved to a far row


def squared_distances(X, centers):
    """float64 (n, k): for each pair the sum over features, left to right, of (x - c) * (x - c).

    The outer loops run over centers and features and NumPy's elementwise operations over rows, so
    each distance is the sequential sum that a scalar loop would make, without fused operations.
    """
    X, centers = np.asarray(X, np.float64), np.asarray(centers, np.float64)
    n, d = X.shape
    k = centers.shape[0]
    out = np.zeros((n, k))
    with np.errstate(over="ignore"):
        for j in range(k):
            for feature in range(d):
                difference = X[:, feature] - centers[j, feature]
                out[:, j] += difference * difference
    return out


def nearest(X, centers):
    """int32 (n,): index of the nearest center, ties to the lowest, -1 for a row with a NaN.

    A feature that is NaN in a center has been left out of the fit.
    """
    present = ~np.isnan(np.asarray(centers)).any(axis=0)
    distances = squared_distances(np.asarray(X)[:, present], np.asarray(centers)[:, present])
    labels = np.empty(len(distances), np.int32)
    for row, candidates in enumerate(distances):
        best = 0
        for j in range(1, len(candidates)):
            if candidates[j] < candidates[best]:
                best = j
        labels[row] = -1 if np.isnan(candidates[0]) else best
    return labels


def labelled_distances(X, centers, labels):
    """float64 (n,): squared distance of each row to its own center, NaN where the label is -1."""
    own = squared_distances(X, centers)[np.arange(len(labels)), labels]
    return np.where(np.asarray(labels) < 0, np.nan, own)


def inertia(X, centers, labels=None, weights=None):
    """Sum of weighted squared distances to the labelled (or the nearest) centers, rounded once."""
    labels = nearest(X, centers) if labels is None else np.asarray(labels)
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    distances = labelled_distances(X, centers, labels)
    return math.fsum(
        w * d for w, d, label in zip(weights, distances, labels, strict=True) if label >= 0
    )


def mean(rows, weights=None):
    """float64 (d,): mean of the rows, from exact sums."""
    rows = np.asarray(rows, np.float64)
    if weights is None:
        return np.array([math.fsum(column) / len(rows) for column in rows.T])
    # w * x would be rounded; rationals are not.
    w = [Fraction(float(weight)) for weight in weights]
    total = sum(w)
    return np.array(
        [
            float(sum(a * Fraction(float(x)) for a, x in zip(w, column, strict=True)) / total)
            for column in rows.T
        ]
    )


def relocate(X, centers, labels, weights):
    """Give each empty cluster the row that lies farthest from its own center, as scikit-learn does.

    Empty clusters in ascending order take the farthest rows first; equal distances go to the
    lowest row number. A row of weight zero or at distance zero is never taken, nor is the last
    weighted row of a cluster: taking it would only move the hole.

    Returns
    -------
    membership : int32 (n,)
        `labels` with the taken rows handed to the empty clusters.
    relocated : int
        How many clusters got a row.
    """
    membership = np.array(labels)
    alive = (membership >= 0) & (weights > 0)
    members = np.bincount(membership[alive], minlength=len(centers))
    distances = labelled_distances(X, centers, labels)
    candidates = [row for row in range(len(X)) if alive[row] and distances[row] > 0]
    candidates.sort(key=lambda row: (-distances[row], row))
    relocated = 0
    for j in np.flatnonzero(members == 0):
        while candidates and members[membership[candidates[0]]] < 2:
            candidates.pop(0)
        if not candidates:
            break
        row = candidates.pop(0)
        members[membership[row]] -= 1
        members[j] += 1
        membership[row] = j
        relocated += 1
    return membership, relocated


def lloyd_step(X, centers, weights=None):
    """One Lloyd step: nearest centers, relocation, means.

    Returns
    -------
    new_centers : float64 (k, d)
        A cluster that is still without weight after the relocation keeps its center.
    labels : int32 (n,)
        Against `centers`, before the relocation.
    relocated : int
    """
    X, centers = np.asarray(X, np.float64), np.asarray(centers, np.float64)
    w = np.ones(len(X)) if weights is None else np.asarray(weights, np.float64)
    labels = nearest(X, centers)
    membership, relocated = relocate(X, centers, labels, w)
    new_centers = centers.copy()
    for j in range(len(centers)):
        rows = np.flatnonzero((membership == j) & (w > 0))
        if len(rows):
            new_centers[j] = mean(X[rows], None if weights is None else w[rows])
    return new_centers, labels, relocated


def lloyd(X, centers, weights=None, max_iter=300, tol=0.0):
    """Lloyd's iterations from the given centers.

    Stops when at most `tol` of the rows that count changed their label in a step that relocated no
    cluster, or when no center moved. The labels and the inertia that it returns belong to the
    centers that it returns.
    """
    X, centers = np.asarray(X, np.float64), np.array(centers, np.float64)
    valid = ~np.isnan(X).any(axis=1)
    if weights is not None:
        valid &= np.asarray(weights) > 0
    previous = np.full(len(X), -1, np.int32)
    relocations, converged, n_iter = 0, False, 0
    while n_iter < max_iter and not converged:
        n_iter += 1
        moved, labels, relocated = lloyd_step(X, centers, weights)
        relocations += relocated
        changed = int((labels != previous)[valid].sum())
        settled = np.array_equal(moved, centers)
        centers, previous = moved, labels
        converged = settled or (relocated == 0 and changed <= tol * valid.sum())
    labels = nearest(X, centers)
    return Fit(
        centers, labels, inertia(X, centers, labels, weights), n_iter, converged, relocations
    )


def race(keys, size):
    """Row numbers of the `size` smallest keys, ties to the lowest row: one round of the race."""
    return sorted(range(len(keys)), key=lambda row: (keys[row], row))[:size]


def cells(X, candidates, weights=None):
    """Weight (k,) and mean (k, d) of the rows nearest to each candidate; NaN where none are."""
    X = np.asarray(X, np.float64)
    w = np.ones(len(X)) if weights is None else np.asarray(weights, np.float64)
    labels = nearest(X, candidates)
    masses = np.zeros(len(candidates))
    means = np.full(np.shape(candidates), np.nan)
    for j in range(len(candidates)):
        rows = np.flatnonzero((labels == j) & (w > 0))
        masses[j] = math.fsum(w[rows])
        if len(rows):
            means[j] = mean(X[rows], None if weights is None else w[rows])
    return masses, means
