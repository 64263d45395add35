"""Mean and deviation of the features: right, and the same bits whatever the chunks."""

import dask.array as da
import numpy as np
import pytest
from inputs import Unchecked
from sklearn.preprocessing import StandardScaler

from dask_kmeans.read import as_points, open_source
from dask_kmeans.standardize import Standardization, StandardizedSource, standardization_of


def of(x, weights=None, **options):
    return standardization_of(as_points(x, weights), **options)


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
    np.testing.assert_allclose(found.mean, repeated.mean, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found.scale, repeated.scale, rtol=1e-13)


def test_any_chunks_give_the_same_bits():
    x = np.random.default_rng(0).normal(1e6, [1e-3, 1, 1e5], size=(1000, 3))
    expected = of(x)
    for row_chunks in ((1000,), (7,) * 142 + (6,), (1, 0, 998, 1)):
        found = of(da.from_array(x, chunks=(row_chunks, 3)))
        assert found.mean.tobytes() == expected.mean.tobytes()
        assert found.scale.tobytes() == expected.scale.tobytes()


def test_far_from_zero():
    """Metres of a projected map: the variance does not drown in the square of the mean."""
    x = 5e8 + np.random.default_rng(0).uniform(-1, 1, size=(10_000, 1))
    np.testing.assert_allclose(of(x).scale, np.std(x - 5e8, axis=0), rtol=1e-12)


def test_a_constant_feature_becomes_zero():
    x = np.column_stack([np.full(10, 0.1), np.arange(10.0)])
    found = of(x)
    assert found.scale[0] == 1
    assert (found(x)[:, 0] == 0).all()


def test_rows_with_nan_are_an_error_or_left_out():
    x = np.arange(20.0).reshape(10, 2)
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN: the first is at row 3, column 1"):
        of(x)
    kept = of(np.delete(x, 3, axis=0))
    found = of(x, nan="skip")
    np.testing.assert_allclose(found.mean, kept.mean, rtol=1e-15)
    np.testing.assert_allclose(found.scale, kept.scale, rtol=1e-15)


def test_a_feature_too_wide_for_its_square():
    with pytest.raises(ValueError, match="Feature 1 is too wide"):
        of(np.array([[1.0, -1e200], [2.0, 1e200]]))


def test_undo_and_json():
    x = np.random.default_rng(0).normal(5, 3, size=(100, 2))
    found = of(x)
    np.testing.assert_allclose(found.undo(found(x)), x, rtol=1e-14)
    again = Standardization.from_dict(found.as_dict())
    assert again(x).tobytes() == found(x).tobytes()


def test_a_source_is_read_standardized(tmp_path):
    x = np.random.default_rng(0).normal(5, 3, size=(1000, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    source = open_source(tmp_path / "x.npy")
    standardization = standardization_of(as_points(source))
    points = as_points(StandardizedSource(source, standardization))
    assert (points.n_rows, points.n_features, points.dtype) == (1000, 2, np.float64)
    rows = np.vstack([values for block in points.blocks for values, _ in block.source.pieces()])
    assert rows.tobytes() == standardization(x).tobytes()
    means = points.apply(Unchecked(_first_feature), np.float64).compute()
    assert means.tobytes() == standardization(x)[:, 0].tobytes()


def _first_feature(values):
    return values[:, 0]
