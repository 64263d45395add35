"""Features to mean 0 and deviation 1: right for every kind of data, the same bits everywhere."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import INPUTS, as_numpy, blobs
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from strategies import chunkings

from dask_kmeans import KMeans, load_model, sweep
from dask_kmeans.blockwise import Blockwise
from dask_kmeans.read import Standardization, as_points
from dask_kmeans.survey import survey

UNITS = np.array([1e-3, 1.0, 1e5, 40.0, 7.0])
"""Features of different units: without standardizing, the third is all that counts."""


def of(x, weights=None, nan="raise"):
    points = as_points(x, weights)
    return survey(
        points, Blockwise(points.blocks, points.in_memory), nan, moments=True
    ).standardization()


def fitted(x, k=4, weights=None, **parameters):
    parameters = {"standardize": True, "random_state": 0} | parameters
    return KMeans(k, **parameters).fit(x, sample_weight=weights)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int16", "uint8"])
def test_like_a_scaler(dtype):
    x = (np.random.default_rng(0).normal(60, 20, size=(5000, 3)) % 200).astype(dtype)
    scaler = StandardScaler().fit(x.astype(np.float64))
    found = of(x)
    np.testing.assert_allclose(found.mean, scaler.mean_, rtol=1e-13)
    np.testing.assert_allclose(found.scale, scaler.scale_, rtol=1e-13)


def test_weights_count():
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(1000, 3)), rng.integers(0, 4, size=1000).astype(float)
    repeated = of(np.repeat(x, weights.astype(int), axis=0))
    found = of(x, weights)
    assert found.mean.tobytes() == repeated.mean.tobytes()
    assert found.scale.tobytes() == repeated.scale.tobytes()


@given(st.data())
def test_any_chunks_give_the_same_bits(data):
    x = np.random.default_rng(0).normal(1e6, [1e-3, 1, 1e5], size=(200, 3))
    expected, found = of(x), of(da.from_array(x, chunks=data.draw(chunkings((200, 3)))))
    assert found.mean.tobytes() == expected.mean.tobytes()
    assert found.scale.tobytes() == expected.scale.tobytes()


def test_far_from_zero():
    """Metres of a projected map: the variance does not drown in the square of the mean."""
    x = 5e8 + np.random.default_rng(0).uniform(-1, 1, size=(10_000, 1))
    for weights in (None, np.full(10_000, 0.1)):
        np.testing.assert_allclose(of(x, weights).scale, np.std(x - 5e8, axis=0), rtol=1e-12)


def test_a_constant_feature_becomes_zero():
    x = np.column_stack([np.full(10, 0.1), np.arange(10.0)])
    found = of(x)
    assert found.scale[0] == 1
    assert (found.forward(x)[:, 0] == 0).all()


def test_rows_that_do_not_count_are_left_out():
    x = np.arange(20.0).reshape(10, 2)
    kept = of(np.delete(x, 3, axis=0))
    zero = np.ones(10)
    zero[3] = 0
    gone = x.copy()
    gone[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN: the first is at row 3, column 1"):
        of(gone)
    for found in (of(gone, nan="skip"), of(np.where(zero[:, None], x, 1e20), zero)):
        assert found.mean.tobytes() == kept.mean.tobytes()
        assert found.scale.tobytes() == kept.scale.tobytes()


def test_a_feature_too_wide_for_its_square():
    with pytest.raises(ValueError, match="Feature 1 is too wide"):
        fitted(np.array([[1.0, -1e200], [2.0, 1e200]]), 2)


def test_undo_and_json():
    x = np.random.default_rng(0).normal(5, 3, size=(100, 2))
    found = of(x)
    np.testing.assert_allclose(found.undo(found.forward(x)), x, rtol=1e-14)
    again = Standardization.from_dict(found.as_dict())
    assert again.forward(x).tobytes() == found.forward(x).tobytes()


@pytest.mark.parametrize("name", INPUTS)
def test_a_fit_is_that_of_the_scaled_rows(name, tmp_path):
    """From every kind of data, with no pass more; centers in the unit of the data."""
    x = blobs() * UNITS
    scaler = StandardScaler().fit(x)
    init = x[:4]
    plain = fitted(scaler.transform(x), standardize=False, init=scaler.transform(init), tol=0)
    model = fitted(INPUTS[name](x, tmp_path), init=init, tol=0)
    assert model.n_passes_ == plain.n_passes_
    np.testing.assert_array_equal(as_numpy(model.labels_), plain.labels_)
    np.testing.assert_allclose(
        model.cluster_centers_, scaler.inverse_transform(plain.cluster_centers_), rtol=1e-9
    )
    np.testing.assert_allclose(model.inertia_, plain.inertia_, rtol=1e-12)


@pytest.mark.parametrize("lazy", [False, True])
def test_labels_and_inertia_are_those_of_the_model(lazy):
    x, weights = blobs() * UNITS, np.random.default_rng(0).uniform(size=600)
    given = da.from_array(x, chunks=(70, 5)) if lazy else x
    model = fitted(given, weights=weights)
    np.testing.assert_array_equal(as_numpy(model.predict(given)), as_numpy(model.labels_))
    assert -model.score(given, sample_weight=weights) == model.inertia_
    rows, centers = (model.standardization_.forward(a) for a in (x, model.cluster_centers_))
    squares = ((rows[:, None] - centers) ** 2).sum(axis=2)
    np.testing.assert_array_equal(as_numpy(model.labels_), squares.argmin(axis=1))
    np.testing.assert_allclose(as_numpy(model.transform(given)), np.sqrt(squares), rtol=1e-12)


@pytest.mark.parametrize(
    "init", ["k-means||", "k-means++", "random", "random_partition", "random_pairs", "random_box"]
)
def test_every_start_is_in_the_same_space(init):
    """Without standardizing, seeds would follow the one feature with large numbers."""
    x = blobs(k=4) * UNITS
    model = fitted(x, init=init, n_init=10)
    rows = StandardScaler().fit_transform(x)
    assert model.inertia_ <= 1.1 * fitted(rows, standardize=False, n_init=10).inertia_


def test_a_model_or_a_function_gives_starts_in_the_unit_of_the_data():
    x = blobs() * UNITS
    first = fitted(x)
    for init in (first, lambda X, k, random_state: first.cluster_centers_):
        again = fitted(x, init=init, n_init=1)
        assert again.n_iter_ <= 2
        np.testing.assert_allclose(again.cluster_centers_, first.cluster_centers_, rtol=1e-12)


@pytest.mark.slow
def test_a_sample_is_standardized_like_all_rows():
    """Enough rows for a warm-up and leaps."""
    x = (blobs(200_000, 4, 5) * UNITS[:4]).astype(np.float32)
    lloyd = fitted(x, 5, algorithm="lloyd")
    model = fitted(x, 5)
    assert model.n_passes_ < lloyd.n_passes_
    assert model.inertia_ <= 1.02 * lloyd.inertia_
    chunked = fitted(da.from_array(x, chunks=(37_000, 4)), 5)
    assert chunked.cluster_centers_.tobytes() == model.cluster_centers_.tobytes()


def test_nothing_is_lost_on_the_way(tmp_path):
    """Saved, loaded, saved again, cloned, pickled by parameters: raw rows get the same labels."""
    x = blobs() * UNITS
    model = fitted(x)
    model.save(str(tmp_path / "a.zarr"))
    load_model(str(tmp_path / "a.zarr")).save(str(tmp_path / "b.zarr"))
    again = load_model(str(tmp_path / "b.zarr"))
    np.testing.assert_array_equal(again.predict(x), model.labels_)
    assert again.score(x) == -model.inertia_
    assert again.standardize
    assert clone(again).standardize
    assert clone(model).fit(x).cluster_centers_.tobytes() == model.cluster_centers_.tobytes()


def test_a_pipeline_of_scikit_learn():
    x = blobs() * UNITS
    model = fitted(x)
    pipeline = model.to_sklearn()
    np.testing.assert_array_equal(pipeline.predict(x), model.labels_)
    np.testing.assert_allclose(pipeline.transform(x), model.transform(x), rtol=1e-9)
    assert -pipeline.score(x) == pytest.approx(model.inertia_)


def test_a_sweep_shares_it():
    x = blobs() * UNITS
    models = sweep(x, [2, 3], standardize=True, random_state=0)
    assert models[3].standardization_.mean.tobytes() == models[2].standardization_.mean.tobytes()
    np.testing.assert_array_equal(models[3].predict(x), models[3].labels_)
    assert 0 < models.explained_variance[0] < models.explained_variance[1] < 1
