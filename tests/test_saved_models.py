"""What `KMeans.save` stores, `load_model` gives back; or it is an error before it is written."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inputs import blobs

from dask_kmeans import KMeans, load_model, sweep

X = blobs(60, 2, 3, seed=0)

PARAMETERS = {
    "n_clusters": st.sampled_from([3, np.int64(3), np.uint8(3), np.int32(3)]),
    "init": st.sampled_from([
        "random", "k-means++", X[:3], X[:3].tolist(), tuple(map(tuple, X[:3])),
        X[:3].astype(np.float32), pd.DataFrame(X[:3]), KMeans(3, random_state=0).fit(X),
        lambda data, k, random_state: data[:k],
    ]),
    "n_init": st.sampled_from(["auto", 1, np.int64(1)]),
    "max_iter": st.sampled_from([2, np.int16(5), np.uint64(300)]),
    "tol": st.sampled_from([0, 0.0, 1e-300, np.float32(0.1), np.float64(0.1), np.float16(0.5)]),
    "oversampling_factor": st.sampled_from(["auto", 2, np.float32(1.5)]),
    "init_rounds": st.sampled_from(["auto", np.int64(2)]),
    "standardize": st.sampled_from([False, True, np.bool_(True)]),
    "nan": st.sampled_from(["raise", "skip"]),
    "nodata": st.sampled_from([None, False, 77, -0.5, np.int16(-99), np.float32(1e20)]),
    "random_state": st.sampled_from([None, 0, np.int64(7), np.uint32(2**32 - 1),
                                     np.random.RandomState(0)]),
    "verbose": st.sampled_from([0, False, np.bool_(False), np.int8(0)]),
    "callbacks": st.sampled_from([None, (), [], [repr], (repr,)]),
    "memory_budget": st.sampled_from([None, 0, "1 MiB", np.int64(1024)]),
    "feature_dim": st.sampled_from([None, "a", 3, ("a", "b"), ("a", ("b", 1))]),
}  # fmt: skip


def left_out(value):
    return isinstance(value, np.random.RandomState) or (callable(value) and not value_of(value))


def value_of(value):
    return hasattr(value, "cluster_centers_")


def as_data(value):
    """The parameter as plain data, so that it can be compared."""
    if value_of(value):
        value = value.cluster_centers_
    if isinstance(value, pd.DataFrame | np.ndarray):
        return np.asarray(value, float).tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [as_data(item) for item in value]
    return value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({}, optional=PARAMETERS))
def test_parameters_survive(tmp_path, parameters):
    defaults = KMeans().get_params(deep=False)
    parameters = {"n_clusters": 3, **parameters}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = KMeans(**{**parameters, "feature_dim": None}).fit(X)
    model.set_params(feature_dim=parameters.get("feature_dim"))
    model.save(str(tmp_path / "m.zarr"), overwrite=True)
    loaded = load_model(str(tmp_path / "m.zarr"))
    for name, value in loaded.get_params(deep=False).items():
        given_value = parameters.get(name, defaults[name])
        if left_out(given_value) or (name == "callbacks" and given_value):
            assert value == defaults[name]
        else:
            assert as_data(value) == as_data(given_value), name
            assert type(value) in (type(None), bool, int, float, str, list, tuple, np.ndarray)
    for name in vars(model):
        if name.endswith("_") and name != "labels_":
            kept = [getattr(each, name) for each in (loaded, model)]
            if name == "standardization_" and parameters.get("standardize"):
                kept = [each.as_dict() for each in kept]
            np.testing.assert_equal(*kept, err_msg=name)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_a_path_as_checkpoint_survives(tmp_path):
    model = KMeans(3, random_state=0, checkpoint=Path(tmp_path / "state")).fit(X)
    model.save(str(tmp_path / "m.zarr"))
    assert load_model(str(tmp_path / "m.zarr")).checkpoint == str(tmp_path / "state")


@pytest.mark.parametrize(
    "changed",
    [{"n_clusters": 0}, {"tol": float("nan")}, {"nan": "drop"}, {"feature_dim": object()},
     {"init": object()}],
)  # fmt: skip
def test_parameters_that_could_not_be_loaded_are_refused_before_writing(changed, tmp_path):
    model = KMeans(3, random_state=0).fit(X).set_params(**changed)
    with pytest.raises((ValueError, TypeError)):
        model.save(str(tmp_path / "m.zarr"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [["a", "Höhe, m"], [" ", "a b"], ["x" * 500, "y"]])
def test_feature_names_survive(names, tmp_path):
    frame = pd.DataFrame(X, columns=names)
    model = KMeans(3, random_state=0).fit(frame)
    model.save(str(tmp_path / "m.zarr"))
    loaded = load_model(str(tmp_path / "m.zarr"))
    assert loaded.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))


@pytest.mark.parametrize("coordinate", [[1, 2], [1.5, 2.5], ["u", "v"], [True, False]])
def test_features_named_by_coordinates_survive(coordinate, tmp_path):
    grid = xr.DataArray(X, dims=("sample", "band"), coords={"band": coordinate})
    model = KMeans(3, random_state=0, feature_dim="band").fit(grid)
    model.save(str(tmp_path / "m.zarr"))
    loaded = load_model(str(tmp_path / "m.zarr"))
    np.testing.assert_array_equal(loaded.predict(grid), model.predict(grid))


def edit(path, **parameters):
    stored = json.loads((path / "zarr.json").read_text())
    stored["attributes"]["parameters"].update(parameters)
    (path / "zarr.json").write_text(json.dumps(stored))


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"magic": -1, "gpu": True}, "parameters that this dask_kmeans does not know: 'gpu', "),
        ({"metric": "dot"}, "'metric' parameter of KMeans must be 'euclidean' or 'cosine'"),
        ({"nan": "drop"}, "'nan' parameter of KMeans must be"),
        ({"n_clusters": None}, "'n_clusters' parameter"),
        ({"init": [[1], [1, 2]]}, "is not a valid model"),
    ],
)
def test_parameters_of_another_version_are_refused(parameters, text, tmp_path):
    path = tmp_path / "m.zarr"
    KMeans(3, random_state=0).fit(X).save(str(path))
    edit(path, **parameters)
    with pytest.raises(ValueError, match=r"m\.zarr is not a valid model: ") as caught:
        load_model(str(path))
    assert text in str(caught.value)


def test_parameters_that_an_older_version_did_not_have_are_the_defaults(tmp_path):
    path = tmp_path / "m.zarr"
    KMeans(3, random_state=0).fit(X).save(str(path))
    stored = json.loads((path / "zarr.json").read_text())
    del stored["attributes"]["parameters"]["init_rounds"]
    (path / "zarr.json").write_text(json.dumps(stored))
    assert load_model(str(path)).init_rounds == "auto"


# Overflow


WIDE = [
    [[1e200], [1.1e200], [-1e200], [-1.1e200]],
    [[1e200, 0], [1e200, 1], [0, 2]],
    [[1.7e308], [-1.7e308], [0]],
    [[1e153] * 300, [-1e153] * 300, [0] * 300],
]


@pytest.mark.parametrize("init", ["k-means||", "k-means++", "random", "random_box", "array"])
@pytest.mark.parametrize("rows", WIDE)
def test_what_would_overflow_is_refused_before_the_fit_with_what_to_type(rows, init):
    X = np.array(rows)
    heard = []
    start = X[:2] if init == "array" else init
    with pytest.raises(ValueError, match=r"Feature \d+ of the data .* has values .*: type ") as e:
        KMeans(2, init=start, random_state=0, callbacks=[heard.append]).fit(X)
    assert heard == []
    typed = str(e.value).partition("type ")[2]
    assert np.isfinite(KMeans(2, random_state=0).fit(eval(typed, {"X": X})).inertia_)


@pytest.mark.parametrize("far", [1e160, 1e200, -1.7e308])
def test_a_start_so_far_that_squares_overflow_is_refused(far):
    with pytest.raises(ValueError, match=r"\(or of init\) has values from"):
        KMeans(2, init=[[0.0, 0.0], [far, 0.0]]).fit(X)


@given(
    st.floats(-300, 160), st.integers(0, 9), st.sampled_from(["auto", "lloyd"]),
    st.sampled_from(["k-means||", "random", "array"]), st.floats(-160, 160), st.booleans(),
)  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_scale_all_is_finite_and_loads_or_is_refused(
    tmp_path, power, seed, algorithm, init, weight_power, weighted
):
    data = blobs(60, 2, 3, seed) * 10**power
    weights = np.full(60, 10.0**weight_power) if weighted else None
    start = data[:3] if init == "array" else init
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        try:
            model = KMeans(3, init=start, algorithm=algorithm, random_state=0).fit(
                data, sample_weight=weights
            )
        except ValueError as error:
            assert "float64" in str(error)  # noqa: PT017
            return
    model.save(str(tmp_path / "m.zarr"), overwrite=True)
    loaded = load_model(str(tmp_path / "m.zarr"))
    assert loaded.history_ == model.history_
    assert np.isfinite(model.transform(data)).all()
    assert -model.score(data, sample_weight=weights) == model.inertia_


def test_the_score_of_rows_beyond_float64_is_an_error():
    model = KMeans(3, random_state=0).fit(X)
    with pytest.raises(ValueError, match="The inertia is inf: squared distances"):
        model.score(X * 1e200)


def test_models_of_a_sweep_survive(tmp_path):
    for k, model in sweep(X, n_clusters=np.arange(1, 4), random_state=0).items():
        model.save(str(tmp_path / f"{k}.zarr"))
        assert load_model(str(tmp_path / f"{k}.zarr")).n_clusters == k
