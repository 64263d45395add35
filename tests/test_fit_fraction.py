"""`fit_fraction`: a fit to drawn rows alone, and figures of all of them."""

import warnings

import dask
import dask.array as da
import numpy as np
import pytest
from counting import CountingZarr
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import INPUTS, as_numpy, blobs
from naive import inertia, nearest

from dask_kmeans import KMeans, cli, load_model, sweep
from dask_kmeans.checks import ParameterError
from dask_kmeans.read import Share

UNITS = np.array([1.0, 1e-3, 50.0, 1e4, 7.0])


def fitted(X, fraction=0.3, k=4, sample_weight=None, **parameters):
    model = KMeans(k, fit_fraction=fraction, random_state=3, **parameters)
    return model.fit(X, sample_weight=sample_weight)


def drawn(n_rows, fraction=0.3, seed=3):
    return Share(seed, fraction).drawn(0, n_rows)


def same(a, b):
    """Whether two fits took the same way."""
    assert a.cluster_centers_.tobytes() == b.cluster_centers_.tobytes()
    records = [
        [record._replace(seconds=0.0, bytes_read=0) for record in model.history_]
        for model in (a, b)
    ]
    assert records[0] == records[1]


@pytest.mark.parametrize(
    "parameters",
    [{}, {"standardize": True}, {"metric": "cosine"}, {"algorithm": "lloyd"}, {"init": "random"}],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_a_fit_to_the_drawn_rows(parameters, weighted):
    X = blobs() * UNITS
    w = np.random.default_rng(0).integers(0, 4, len(X)) / 3 if weighted else None
    chosen = drawn(len(X))
    if parameters.get("init") == "random":
        parameters = {**parameters, "n_init": 1}
    model = fitted(X, sample_weight=w, **parameters)
    alone = fitted(X[chosen], 1.0, sample_weight=None if w is None else w[chosen], **parameters)
    same(model, alone)
    if model.standardization_ is not None:
        assert model.standardization_.mean.tobytes() == alone.standardization_.mean.tobytes()
    # All else is of all rows.
    np.testing.assert_array_equal(model.labels_, alone.predict(X))
    np.testing.assert_array_equal(model.cluster_sizes_, np.bincount(model.labels_, minlength=4))
    assert model.inertia_ == -model.score(X, sample_weight=w)
    if not parameters:
        assert model.inertia_ == inertia(X, model.cluster_centers_, weights=w)
        np.testing.assert_array_equal(model.labels_, nearest(X, model.cluster_centers_))


@pytest.mark.parametrize("kind", INPUTS)
def test_every_kind_of_data_has_the_same_share(kind, tmp_path):
    X = blobs()
    rows = INPUTS[kind](X, tmp_path)
    model = fitted(rows)
    same(model, fitted(X))
    assert model.inertia_ == fitted(X).inertia_
    np.testing.assert_array_equal(as_numpy(model.labels_), nearest(X, model.cluster_centers_))
    assert model.score(rows) == -model.inertia_


@settings(max_examples=10)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=8), st.sampled_from([0.02, 0.5, 0.97]))
def test_chunks_have_no_say(chunks, fraction):
    X = blobs(sum(chunks) + 200)
    lazy = da.from_array(X, chunks=((*chunks, 200), 5))
    a, b = fitted(lazy, fraction, k=1), fitted(X, fraction, k=1)
    same(a, b)
    assert a.inertia_ == b.inertia_


def test_the_share_is_drawn_by_the_seed():
    shares = [drawn(100_000, 0.3, seed) for seed in (0, 1)]
    for share in shares:
        assert share.mean() == pytest.approx(0.3, abs=0.01)
    both = (shares[0] & shares[1]).mean()
    assert both == pytest.approx(0.09, abs=0.01)
    assert Share(0, 0.3).count(7, 2_500_000) == drawn(2_500_007, 0.3, 0)[7:].sum()
    np.testing.assert_array_equal(Share(0, 0.3).drawn(500, 100), shares[0][500:600])


def test_restarts_are_judged_by_all_rows():
    X = blobs(3000, k=8)
    models = [
        KMeans(8, fit_fraction=0.02, init="random", n_init=n, random_state=0).fit(X) for n in (1, 6)
    ]
    assert models[1].inertia_ <= models[0].inertia_
    assert models[1].inertia_ == -models[1].score(X)


def test_rows_that_do_not_count():
    X = blobs()
    X[5], X[400, 2] = np.nan, np.nan
    with pytest.raises(ValueError, match="contains NaN: the first is at row 5"):
        fitted(X, 0.01, k=1)
    model = fitted(X, nan="skip")
    keep = ~np.isnan(X).any(axis=1)
    assert model.labels_[[5, 400]].tolist() == [-1, -1]
    assert model.cluster_sizes_.sum() == len(X) - 2
    assert model.inertia_ == -model.score(X)
    same(model, fitted(X[drawn(len(X))], 1.0, nan="skip"))
    np.testing.assert_array_equal(model.labels_[keep], nearest(X[keep], model.cluster_centers_))


@pytest.mark.parametrize("lazy", [False, True])
def test_rows_without_a_value(lazy):
    X = np.rint(blobs()).astype(np.int16)
    X[::7, 3] = -99
    model = fitted(da.from_array(X, chunks=(90, 5)) if lazy else X, nodata=-99)
    same(model, fitted(X[drawn(len(X))], 1.0, nodata=-99))
    labels = as_numpy(model.labels_)
    assert (labels[::7] == -1).all()
    assert model.cluster_sizes_.sum() == (labels >= 0).sum() == len(X) - len(X[::7])


def test_a_sweep_explains_all_rows():
    X = blobs()
    models = sweep(X, [1, 2, 4], fit_fraction=0.3, random_state=3)
    about_mean = ((X - X.mean(axis=0)) ** 2).sum()
    expected = [1 - models[k].inertia_ / about_mean for k in models]
    np.testing.assert_allclose(models.explained_variance, expected, rtol=1e-9, atol=1e-12)
    assert models.explained_variance[0] == pytest.approx(0, abs=0.02)
    assert models[4].cluster_centers_.tobytes() == fitted(X).cluster_centers_.tobytes()


def test_passes_are_counted():
    X = blobs(600, 5, 4)
    with dask.config.set(scheduler="threads", num_workers=2):
        source = CountingZarr(X)
        model = fitted(source.array(), init=X[:4], algorithm="lloyd", tol=0)
        assert source.passes() == model.n_passes_
        # One for all rows before, one for the share, and one for all of them at the end.
        assert model.n_passes_ <= 2 + model.n_iter_ + 1
        source = CountingZarr(X)
        kept = fitted(source.array(), init=X[:4], algorithm="lloyd", tol=0, memory_budget="1 MiB")
        same(model, kept)
        assert source.passes() == 3


def test_stored_and_shown(tmp_path):
    X = blobs()
    model = fitted(X)
    assert "fit_fraction=0.3" in repr(model)
    model.save(str(tmp_path / "m.zarr"))
    again = load_model(str(tmp_path / "m.zarr"))
    assert again.fit_fraction == 0.3
    assert again.score(X) == -model.inertia_


@pytest.mark.parametrize("seed", [3, None])
def test_a_checkpoint_goes_on_with_the_same_share(seed, tmp_path):
    X = blobs(3000, k=8)
    url, stops = str(tmp_path / "state"), []

    def stop(record):
        if record.iteration == 2 and not stops:
            stops.append(record)
            raise KeyboardInterrupt

    def model(checkpoint=url, **parameters):
        return KMeans(8, init="random", n_init=1, tol=0, fit_fraction=0.3, random_state=seed,
                      callbacks=[stop], checkpoint=checkpoint, **parameters)  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        model().fit(X)
    with pytest.raises(ValueError, match="fit_fraction"):
        model().set_params(fit_fraction=0.5).fit(X)
    went_on = model().fit(X)
    assert went_on.inertia_ == -went_on.score(X)
    if seed is not None:
        whole = model(None).fit(X)
        assert went_on.cluster_centers_.tobytes() == whole.cluster_centers_.tobytes()
        assert went_on.n_iter_ == whole.n_iter_


@pytest.mark.parametrize("fraction", [0, 0.0, 1.5, -0.1, "half", None, True, np.nan])
def test_what_is_no_share(fraction):
    with pytest.raises(ParameterError, match="'fit_fraction' parameter of KMeans must be a number"):
        fitted(blobs(), fraction)


def test_too_few_rows_are_drawn():
    X = blobs()
    with pytest.raises(ValueError, match=r"fit_fraction=0.001 leaves \d rows.*fit_fraction=1.0"):
        fitted(X, 0.001)
    with pytest.raises(ValueError, match="fit_fraction=1e-09 leaves 0 rows"):
        fitted(X, 1e-9)
    with pytest.raises(ValueError, match=r"n_samples=600 should be >= n_clusters=700"):
        fitted(X, 1.0, k=700)


@pytest.mark.slow
def test_on_a_cluster(client):
    X = blobs(5000)
    lazy = da.from_array(X, chunks=(311, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fitted(lazy)
    same(model, fitted(X))
    np.testing.assert_array_equal(model.labels_.compute(), fitted(X).labels_)


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(list(map(str, arguments)))
    return end.value.code


def test_in_the_shell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    X = blobs()
    np.save("x.npy", X)
    assert run("fit", "x.npy", "-k", 4, "--model", "m.zarr", "--fit-fraction", 0.3,
               "--random-state", 3, "--labels", "l.npy", "--report", "r.json") == 0  # fmt: skip
    assert "fitted to a share of 0.3 of the rows" in capsys.readouterr().out
    report = (tmp_path / "r.json").read_text()
    assert '"fit_fraction": 0.3' in report
    assert '"n_rows": 600' in report
    same(load_model("m.zarr"), fitted(X))
    np.testing.assert_array_equal(np.load("l.npy"), fitted(X).labels_)
    assert run("fit", "x.npy", "-k", 4, "--model", "n.zarr", "--fit-fraction", 0) == 2
    assert "--fit-fraction 0.9" in capsys.readouterr().err
