"""scikit-learn's conformance suite for estimators."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from dask_kmeans import KMeans

EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "seeds are drawn by row number, and repeated "
    "or removed rows number the others anew: other seeds, as in scikit-learn's KMeans, which is "
    "excused from this check too. From the same starting centers weights and repetitions agree: "
    "test_exactness.py, test_weights_repeat_rows",
}
"""Check -> why the estimator's own nature makes it fail."""


@parametrize_with_checks(
    [KMeans(n_clusters=3), KMeans(n_clusters=3, algorithm="lloyd", init="k-means++")],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
    xfail_strict=True,
)
def test_sklearn_conformance(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "name", ["fit", "predict", "transform", "score", "fit_predict", "fit_transform"]
)
def test_every_public_method_is_documented(name):
    assert getattr(KMeans, name).__doc__
