"""What has to hold of every fitted model, by the oracle."""

from __future__ import annotations

import naive
import numpy as np
import pytest


def assert_certified(model, X, weights=None):
    """Labels, sizes and inertia belong to the model's own centers."""
    labels = naive.nearest(X, model.cluster_centers_)
    np.testing.assert_array_equal(model.labels_, labels)
    np.testing.assert_array_equal(model.predict(X), labels)
    assert model.inertia_ == -model.score(X, sample_weight=weights)
    expected = naive.inertia(X, model.cluster_centers_, labels, weights)
    assert model.inertia_ == pytest.approx(expected, rel=1e-12, abs=0)
    sizes = np.bincount(labels[labels >= 0], minlength=len(model.cluster_centers_))
    np.testing.assert_array_equal(model.cluster_sizes_, sizes)


def assert_same_centers(actual, expected, X):
    """Within 2^-50 of each feature's range, and the one rounding of a value of that size."""
    X = np.asarray(X, np.float64)
    extent = np.nanmax(X, axis=0) - np.nanmin(X, axis=0)
    allowed = extent * 2.0**-50 + np.spacing(np.abs(expected))
    assert actual.shape == expected.shape
    assert (np.abs(actual - expected) <= allowed).all(), np.abs(actual - expected) / allowed
