"""Models of scikit-learn as ours: the same labels, and what the other does not know."""

import numpy as np
import pandas as pd
import pytest
from inputs import blobs
from sklearn.cluster import BisectingKMeans, MiniBatchKMeans
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from dask_kmeans import KMeans, load_model

UNITS = np.array([1.0, 1e-3, 50.0, 1e4, 7.0])


def theirs(**parameters):
    return SklearnKMeans(4, n_init=1, random_state=0, **parameters)


@pytest.mark.parametrize(
    "model",
    [
        theirs(),
        MiniBatchKMeans(4, n_init=1, random_state=0),
        make_pipeline(StandardScaler(), theirs()),
        make_pipeline(StandardScaler(with_std=False), theirs()),
        make_pipeline(StandardScaler(with_mean=False), MiniBatchKMeans(4, n_init=1)),
        Pipeline([("none", "passthrough"), ("kmeans", theirs())]),
    ],
    ids=str,
)
def test_a_model_of_scikit_learn_gives_its_labels(model, tmp_path):
    X = blobs() * UNITS
    model.fit(X)
    kmeans = model[-1] if isinstance(model, Pipeline) else model
    own = KMeans.from_sklearn(model)
    np.testing.assert_array_equal(own.predict(X), model.predict(X))
    np.testing.assert_array_equal(own.labels_, kmeans.labels_)
    np.testing.assert_array_equal(own.cluster_sizes_, np.bincount(kmeans.labels_, minlength=4))
    assert own.inertia_ == kmeans.inertia_
    assert own.score(X) == pytest.approx(model.score(X))
    assert own.n_clusters == 4
    assert own.n_iter_ == kmeans.n_iter_
    assert (own.history_, own.n_passes_) == ([], 0)
    own.save(str(tmp_path / "m.zarr"))
    again = load_model(str(tmp_path / "m.zarr"))
    np.testing.assert_array_equal(again.predict(X), own.labels_)
    assert again.stop_reason_ == own.stop_reason_


@pytest.mark.parametrize("parameters", [{}, {"standardize": True}, {"metric": "cosine"}], ids=str)
@pytest.mark.parametrize("frame", [False, True])
def test_there_and_back(parameters, frame):
    X = blobs() * UNITS
    if frame:
        X = pd.DataFrame(X, columns=list("abcde"))
    model = KMeans(4, random_state=0, max_iter=50, **parameters).fit(X)
    again = KMeans.from_sklearn(model.to_sklearn())
    np.testing.assert_array_equal(again.predict(X), model.labels_)
    np.testing.assert_allclose(again.cluster_centers_, model.cluster_centers_, rtol=1e-12)
    assert again.inertia_ == model.inertia_
    assert again.score(X) == pytest.approx(model.score(X), rel=1e-12)
    assert again.get_params() == KMeans(4, max_iter=50, **parameters).get_params()
    assert again.converged_
    assert again.n_features_in_ == 5
    assert hasattr(again, "feature_names_in_") == frame
    # It is a fitted model in all respects.
    np.testing.assert_array_equal(again.to_sklearn().predict(X), model.labels_)
    np.testing.assert_array_equal(KMeans(4, init=again, **parameters).fit(X).labels_, model.labels_)


def test_float32_and_models_without_labels():
    X = blobs().astype(np.float32)
    model = theirs().fit(X)
    own = KMeans.from_sklearn(model)
    assert own.cluster_centers_.dtype == np.float64
    np.testing.assert_array_equal(own.predict(X), model.predict(X))
    del model.labels_
    own = KMeans.from_sklearn(model)
    assert not hasattr(own, "labels_")
    assert own.cluster_sizes_.tolist() == [0] * 4
    assert own.inertia_ == model.inertia_


def test_whether_it_converged():
    X = blobs()
    assert KMeans.from_sklearn(theirs().fit(X)).converged_
    assert not KMeans.from_sklearn(theirs(max_iter=2, tol=0, init=X[:4]).fit(X)).converged_
    batches = KMeans.from_sklearn(MiniBatchKMeans(4, n_init=1, random_state=0).partial_fit(X))
    assert not batches.converged_
    assert batches.stop_reason_.startswith("fitted by scikit-learn: its MiniBatchKMeans does not")


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (BisectingKMeans(4), TypeError, "takes a fitted KMeans or MiniBatchKMeans.*Got Bisecting"),
        (KMeans(4), TypeError, "Got KMeans"),
        (make_pipeline(PCA(2), theirs()), TypeError, "Got Pipeline of PCA, KMeans"),
        (make_pipeline(Normalizer("l1"), theirs()), TypeError, "Normalizer, KMeans"),
        (make_pipeline(StandardScaler(), Normalizer(), theirs()), TypeError, "Got Pipeline"),
        (make_pipeline(StandardScaler()), TypeError, "Got Pipeline of StandardScaler"),
        (make_pipeline(Normalizer(), theirs()), ValueError, "not of length one.*metric='cosine'"),
    ],
    ids=str,
)
def test_what_cannot_be_ours(model, error, message):
    model.fit(blobs())
    with pytest.raises(error, match=message):
        KMeans.from_sklearn(model)


def test_not_fitted():
    for model in (theirs(), make_pipeline(StandardScaler(), theirs())):
        with pytest.raises(NotFittedError):
            KMeans.from_sklearn(model)
