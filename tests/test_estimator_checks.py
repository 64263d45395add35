"""scikit-learn's conformance suite for estimators."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from inputs import blobs
from sklearn.base import clone
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from dask_kmeans import BisectingKMeans, KMeans

EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "seeds are drawn by row number, and repeated "
    "or removed rows number the others anew: other seeds, as in scikit-learn's KMeans, which is "
    "excused from this check too. From the same starting centers weights and repetitions agree: "
    "test_exactness.py, test_weights_repeat_rows",
}
"""Check -> why the estimator's own nature makes it fail."""


@parametrize_with_checks(
    [
        KMeans(n_clusters=3),
        KMeans(n_clusters=3, algorithm="lloyd", init="k-means++"),
        BisectingKMeans(n_clusters=3),
    ],
    expected_failed_checks=lambda estimator: (
        EXPECTED_FAILURES if isinstance(estimator, KMeans) else {}
    ),
    xfail_strict=True,
)
def test_sklearn_conformance(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "name", ["fit", "predict", "transform", "score", "fit_predict", "fit_transform"]
)
def test_every_public_method_is_documented(name):
    assert getattr(KMeans, name).__doc__


def test_in_a_pipeline():
    X = blobs()
    pipeline = make_pipeline(StandardScaler(), KMeans(4, random_state=0)).fit(X)
    alone = KMeans(4, random_state=0).fit(StandardScaler().fit_transform(X))
    np.testing.assert_array_equal(pipeline.predict(X), alone.labels_)
    assert pipeline.score(X) == -alone.inertia_


def test_output_as_a_frame_has_the_names_of_the_clusters():
    frame = KMeans(2, random_state=0).set_output(transform="pandas").fit_transform(blobs())
    assert frame.columns.tolist() == ["kmeans0", "kmeans1"]


def test_a_fitted_model_survives_pickling_and_a_clone_is_not_fitted():
    X = blobs()
    model = KMeans(4, random_state=0).fit(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.labels_)
    assert again.history_ == model.history_
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "cluster_centers_")


def test_to_sklearn_predicts_the_same():
    X = blobs()
    model = KMeans(4, random_state=0).fit(X)
    theirs = model.to_sklearn()
    assert isinstance(theirs, SklearnKMeans)
    np.testing.assert_array_equal(theirs.cluster_centers_, model.cluster_centers_)
    np.testing.assert_array_equal(theirs.predict(X), model.labels_)
    np.testing.assert_allclose(theirs.transform(X), model.transform(X))
    assert theirs.inertia_ == model.inertia_
    assert theirs.n_features_in_ == 5


@pytest.mark.parametrize("init", ["model", "sklearn model", "callable", "list"])
def test_every_form_of_given_centers_is_the_same_start(init):
    X = blobs()
    centers = X[:4].copy()
    fitted = KMeans(4, init=centers, max_iter=300, tol=0).fit(X)
    given = {
        "model": fitted,
        "sklearn model": fitted.to_sklearn(),
        "callable": lambda X, k, random_state: fitted.cluster_centers_[:k],
        "list": fitted.cluster_centers_.tolist(),
    }[init]
    again = KMeans(4, init=given, tol=0).fit(X)
    assert again.n_iter_ == 1
    np.testing.assert_array_equal(again.cluster_centers_, fitted.cluster_centers_)
    np.testing.assert_array_equal(again.labels_, fitted.labels_)
