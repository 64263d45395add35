"""Pictures: what is drawn is what the data says; nobody counts pixels."""

from __future__ import annotations

import builtins

import dask.array as da
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from counting import CountingChunks
from inputs import INPUTS, blobs
from mpl_toolkits.mplot3d.art3d import Path3DCollection

from dask_kmeans import KMeans, checks, plot, sweep

mpl.use("Agg")
import matplotlib.pyplot as plt

X = blobs(600, 2, 4, seed=2)
WIDE = blobs(600, 5, 4, seed=3)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(params=["default", "dark_background"])
def _style(request):
    with plt.style.context(request.param):
        yield


@pytest.fixture(scope="module")
def model():
    return KMeans(4, random_state=0).fit(X)


@pytest.fixture(scope="module")
def wide():
    return KMeans(4, random_state=0).fit(WIDE)


def points_of(collection):
    if isinstance(collection, Path3DCollection):
        return np.stack([np.asarray(each) for each in collection._offsets3d], axis=1)
    return np.asarray(collection.get_offsets())


def drawn_of(ax):
    """(rows, centers) of a picture of clusters."""
    rows, centers = map(points_of, ax.collections)
    return rows, centers


FIELD = xr.DataArray(
    np.random.default_rng(0).normal(size=(40, 3, 5)), dims=("time", "lat", "lon"),
    coords={"lat": [50.0, 40, 30], "lon": np.arange(5.0)}, name="z", attrs={"units": "m"},
).where(lambda field: field.lon + field.lat != 40)  # fmt: skip
FIELDS = KMeans(4, feature_dim=("lat", "lon"), nan="skip", random_state=0).fit(FIELD)

SWEPT = sweep(X, range(1, 9), random_state=0)

DRAWN = {
    "center_maps": lambda model, ax=None: plot.center_maps(FIELDS, ax),
    "clustergram": lambda model, ax=None: plot.clustergram(SWEPT, ax),
    "elbow": lambda model, ax=None: plot.elbow(SWEPT, ax=ax),
    "clusters": lambda model, ax=None: plot.clusters(model, X, ax),
    "convergence": plot.convergence,
    "label_map": lambda model, ax=None: plot.label_map(model.labels_.reshape(20, 30), ax),
    "silhouette": lambda model, ax=None: plot.silhouette(model, X, ax),
    "sizes": plot.sizes,
}


def test_all_functions_are_tried():
    assert DRAWN.keys() == set(plot.__all__)


@pytest.mark.usefixtures("_style")
@pytest.mark.parametrize("name", DRAWN)
def test_the_axes_are_those_given_or_new_ones(name, model):
    figure, ax = plt.subplots()
    assert DRAWN[name](model, ax) is ax
    figure.canvas.draw()
    other = DRAWN[name](model)
    assert other.figure is not figure
    other.figure.canvas.draw()
    assert tuple(other.figure.get_size_inches()) == (6.4, 4.0)


def test_a_missing_matplotlib_is_named(model, monkeypatch):
    found = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.startswith("matplotlib"):
            raise ImportError(f"No module named {name!r}")
        return found(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"Type pip install 'dask-kmeans\[plot\]'") as caught:
        plot.sizes(model)
    assert isinstance(caught.value.args[0], checks.Text)


# --------------------------------------------------------------------------------------- clusters


def test_two_features_are_drawn_as_they_are(model):
    ax = plot.clusters(model, X, sample_size=600)
    rows, centers = drawn_of(ax)
    assert np.array_equal(np.unique(rows, axis=0), np.unique(X, axis=0))
    assert np.array_equal(centers, model.cluster_centers_)
    shades = ax.collections[1].get_facecolors()
    places = {tuple(row): label for row, label in zip(X, model.labels_, strict=True)}
    own = [places[tuple(row)] for row in rows]
    alike = ax.collections[0].get_facecolors()[:, :3] == shades[own, :3]
    assert alike.all()
    assert ax.get_title() == "all 600 rows in 4 clusters"
    assert [text.get_text().strip() for text in ax.texts] == ["0", "1", "2", "3"]


def test_a_sample_is_the_same_for_every_input_and_said_to_be_one(model, tmp_path):
    expected, _ = drawn_of(plot.clusters(model, X, sample_size=50))
    assert len(expected) == 50
    for name in ("dask", "dask, unknown chunks", "zarr.Array", ".npy"):
        (tmp_path / name).mkdir()
        ax = plot.clusters(model, INPUTS[name](X, tmp_path / name), sample_size=50)
        assert np.array_equal(drawn_of(ax)[0], expected), name
        assert ax.get_title().startswith("sample of 50 of 600 rows")
    other = KMeans(4, random_state=1, init=model.cluster_centers_).fit(X)
    assert not np.array_equal(drawn_of(plot.clusters(other, X, sample_size=50))[0], expected)


def test_lazy_rows_are_read_once(model):
    source = CountingChunks(X)
    plot.clusters(model, source.array())
    assert source.passes() == 1


def test_three_features_are_drawn_in_space():
    rows = blobs(300, 3, 3, seed=1)
    model = KMeans(3, random_state=0).fit(rows)
    ax = plot.clusters(model, rows)
    drawn, centers = drawn_of(ax)
    assert np.array_equal(np.unique(drawn, axis=0), np.unique(rows, axis=0))
    assert np.array_equal(centers, model.cluster_centers_)
    flat = plt.subplots()[1]
    plot.clusters(model, rows, flat)
    assert flat.get_xlabel().startswith("principal direction 1")


def test_many_features_are_projected_and_the_axes_say_so(wide):
    ax = plot.clusters(wide, WIDE)
    rows, centers = drawn_of(ax)
    apart = WIDE - WIDE.mean(axis=0)
    values, vectors = np.linalg.eigh(apart.T @ apart)  # another way to the same directions
    leading = vectors[:, ::-1][:, :2]
    expected = np.abs(apart @ leading)
    order, other = (np.lexsort(np.abs(each).round(6).T) for each in (rows, expected))
    np.testing.assert_allclose(np.abs(rows[order]), expected[other], atol=1e-8)
    to_centers = np.abs((wide.cluster_centers_ - WIDE.mean(axis=0)) @ leading)
    np.testing.assert_allclose(np.abs(centers), to_centers, atol=1e-8)
    share = values[-1] / values.sum()
    assert ax.get_xlabel() == f"principal direction 1 ({share:.0%} of the variance)"


def test_names_of_features_and_standardized_ones():
    frame = pd.DataFrame({"height (cm)": X[:, 0] * 1e6, "weight (kg)": X[:, 1]})
    model = KMeans(3, standardize=True, random_state=0).fit(frame)
    ax = plot.clusters(model, frame)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("height (cm)", "weight (kg)")
    rows, centers = drawn_of(ax)
    np.testing.assert_allclose(np.sort(rows[:, 0]), np.sort(frame["height (cm)"]), rtol=1e-9)
    assert np.array_equal(centers, model.cluster_centers_)


def test_one_feature_lies_in_strips():
    model = KMeans(3, random_state=0).fit(X[:, :1])
    rows, centers = drawn_of(plot.clusters(model, X[:, :1]))
    assert np.array_equal(np.unique(rows[:, 0]), np.unique(X[:, 0]))
    places = dict(zip(X[:, 0], model.labels_, strict=True))
    assert np.array_equal(rows[:, 1].round(), [places[value] for value in rows[:, 0]])
    assert centers[:, 1].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("k", "rows"),
    [
        (1, X),
        (40, X),
        (3, np.repeat([[0.0, 1.0, 2, 3], [5, 5, 5, 5]], 4, axis=0)),
        (1, np.ones((2, 7))),
    ],
    ids=["one cluster", "many", "an empty one", "rows all alike"],
)
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_odd_models_are_drawn(k, rows):
    model = KMeans(k, random_state=0).fit(rows)
    for ax in (plot.clusters(model, rows), plot.sizes(model), plot.convergence(model)):
        ax.figure.canvas.draw()
    assert len(drawn_of(plot.clusters(model, rows))[1]) == k
    if k > 1:
        plot.silhouette(model, rows).figure.canvas.draw()


def test_rows_that_are_left_out_are_not_drawn():
    rows = X.copy()
    rows[::3, 0] = np.nan
    model = KMeans(4, nan="skip", random_state=0).fit(rows)
    ax = plot.clusters(model, rows)
    assert ax.get_title() == "all 400 rows in 4 clusters"
    assert np.isfinite(drawn_of(ax)[0]).all()


def test_features_without_values_are_no_axes():
    rows = np.column_stack([X, np.full(600, np.nan)])
    model = KMeans(4, nan="skip", random_state=0).fit(rows)
    ax = plot.clusters(model, rows)
    drawn, centers = drawn_of(ax)
    assert np.array_equal(np.unique(drawn, axis=0), np.unique(X, axis=0))
    assert np.array_equal(centers, model.cluster_centers_[:, :2])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x0", "x1")


def test_refusals(model):
    solid = plt.figure().add_subplot(projection="3d")
    with pytest.raises(ValueError, match="axes have three dimensions and the data has 2 features"):
        plot.clusters(model, X, solid)
    for size in (0, 2.5, "all"):
        with pytest.raises(ValueError, match="sample_size is"):
            plot.clusters(model, X, sample_size=size)
    with pytest.raises(ValueError, match="needs a model of 2 clusters or more, not of 1"):
        plot.silhouette(KMeans(1).fit(X), X)
    with pytest.raises(ValueError, match="3 features"):
        plot.clusters(model, WIDE[:, :3])


# ---------------------------------------------------------------------------- silhouette and sizes


def test_the_silhouette_is_the_simplified_one(wide):
    ax = plot.silhouette(wide, da.from_array(WIDE, chunks=(100, 5)))
    apart = np.sort(np.linalg.norm(WIDE[:, None] - wide.cluster_centers_, axis=2), axis=1)
    expected = 1 - apart[:, 0] / apart[:, 1]
    assert ax.lines[0].get_xdata()[0] == pytest.approx(expected.mean())
    for cluster, blade in enumerate(ax.collections):
        own = expected[wide.labels_ == cluster]
        outline = blade.get_paths()[0].vertices
        assert outline[:, 0].max() == pytest.approx(own.max())
        assert np.ptp(outline[:, 1]) == len(own) - 1
    assert ax.get_title().startswith("all 600 rows, mean 0.")


def test_the_silhouette_by_cosine():
    model = KMeans(3, metric="cosine", random_state=0).fit(WIDE)
    units = WIDE / np.linalg.norm(WIDE, axis=1, keepdims=True)
    apart = np.sort(1 - units @ model.cluster_centers_.T, axis=1)
    mean = plot.silhouette(model, WIDE).lines[0].get_xdata()[0]
    assert mean == pytest.approx((1 - apart[:, 0] / apart[:, 1]).mean())


def test_sizes_are_bars(model):
    ax = plot.sizes(model)
    assert [bar.get_height() for bar in ax.patches] == model.cluster_sizes_.tolist()
    assert ax.get_title() == "600 rows in 4 clusters"


# ------------------------------------------------------------------------------------- convergence


def test_convergence_draws_the_history(tmp_path):
    rows = blobs(3000, 4, 6, seed=5)
    model = KMeans(12, init=rows[:12], tol=1e-3).fit(da.from_array(rows, chunks=(500, 4)))
    model.save(str(tmp_path / "m.zarr"))
    from dask_kmeans import load_model

    for each in (model, load_model(str(tmp_path / "m.zarr"))):
        ax = plot.convergence(each)
        (inertia,) = ax.lines
        assert inertia.get_xdata().tolist() == list(range(1, each.n_iter_ + 1))
        assert inertia.get_ydata().tolist() == [record.inertia for record in each.history_]
        (shares,) = (other for other in ax.figure.axes if other is not ax)
        lines = {line.get_label(): line for line in shares.lines}
        changed = [record.changed / 3000 for record in each.history_]
        assert lines["rows that changed"].get_ydata().tolist() == changed
        assert set(lines["tol"].get_ydata()) == {1e-3}
        low, high = shares.get_ylim()
        assert low == 0
        assert high > 1
        assert ax.get_title() == "converged"
    stopped = KMeans(12, init=rows[:12], max_iter=1).fit(rows)
    assert plot.convergence(stopped).get_title() == "stopped at max_iter, not converged"


def test_rows_that_are_not_examined_show():
    model = KMeans(6, init=X[:6], tol=0).fit(X)
    counts = range(600, 600 - model.n_iter_, -1)
    model.history_ = [
        record._replace(examined=count)
        for record, count in zip(model.history_, counts, strict=True)
    ]
    (shares,) = plot.convergence(model).figure.axes[1:]
    lines = {line.get_label(): line for line in shares.lines}
    assert lines["rows examined"].get_ydata().tolist() == [count / 600 for count in counts]
    assert lines.keys() == {"rows that changed", "rows examined"}


# ---------------------------------------------------------------------------------------- the map

LABELS = np.array([[0, 1, 1, 2], [0, 0, 2, 2], [-1, 0, 2, 3]])


def test_centers_that_are_fields():
    """Each at its coordinates, with north up; land is masked; all have one scale of colors."""
    *maps, bar = plot.center_maps(FIELDS).child_axes
    centers = FIELDS.labelled_centers_
    assert bar.get_ylabel() == "z (m)"
    for ax, center, size in zip(maps, centers, FIELDS.cluster_sizes_, strict=True):
        (image,) = ax.images
        drawn = image.get_array()
        assert drawn.mask.sum() == 1
        assert np.array_equal(drawn.filled(np.nan), center.values[::-1], equal_nan=True)
        assert image.origin == "lower"
        assert image.get_extent() == [-0.5, 4.5, 25.0, 55.0]
        low, high = image.get_clim()
        assert -low == high == np.nanmax(abs(centers))  # zero in the middle
        assert ax.get_title().endswith(f"({size / 40:.0%})")
    (image,) = plot.center_maps(centers + 100).child_axes[0].images
    assert image.get_clim() == (np.nanmin(centers) + 100, np.nanmax(centers) + 100)


@pytest.mark.parametrize("centers", [np.ones((2, 3)), np.ones((2, 3, 4, 5)), FIELD[0]])
def test_centers_that_are_no_fields(centers):
    with pytest.raises(ValueError, match="two dimensions of features"):
        plot.center_maps(centers)


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_map_of_an_array():
    ax = plot.label_map(LABELS)
    (image,) = ax.images
    assert np.array_equal(image.get_array(), LABELS)
    assert ax.get_ylim() == (2.5, -0.5)
    assert legend_of(ax) == ["0", "1", "2", "3", "-1: left out"]
    named = {
        text: patch.get_facecolor()
        for text, patch in zip(legend_of(ax), ax.get_legend().get_patches(), strict=True)
    }
    for value, name in [(0, "0"), (3, "3"), (-1, "-1: left out")]:
        assert np.allclose(image.cmap(image.norm(value)), named[name])


@pytest.mark.parametrize("upward", [True, False])
def test_a_map_at_its_coordinates(upward):
    latitude = np.array([10.0, 20, 30])[:: 1 if upward else -1]
    raster = xr.DataArray(
        LABELS, dims=("latitude", "longitude"), coords={"latitude": latitude, "longitude": range(4)}
    )
    raster.coords["latitude"].attrs["units"] = "degrees_north"
    ax = plot.label_map(raster.chunk(latitude=1))
    (image,) = ax.images
    assert image.get_extent() == [-0.5, 3.5, 5.0, 35.0]
    assert ax.get_ylim() == (5.0, 35.0)
    assert np.array_equal(image.get_array(), LABELS if upward else LABELS[::-1])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("longitude", "latitude (degrees_north)")


def test_a_map_at_uneven_or_other_coordinates():
    uneven = xr.DataArray(LABELS, dims=("y", "x"), coords={"y": [0.0, 1, 4], "x": range(4)})
    ax = plot.label_map(uneven)
    (mesh,) = ax.collections
    assert np.array_equal(mesh.get_array(), LABELS)
    dates = uneven.assign_coords(y=pd.date_range("2026", periods=3))
    assert plot.label_map(dates).get_ylabel() == "y (number)"


def test_a_large_map_is_thinned_and_says_so():
    raster = da.from_array(np.add.outer(np.arange(4000), np.arange(50)) // 500, chunks=(1000, 50))
    ax = plot.label_map(raster)
    assert ax.get_title() == "one cell in 3 along each side"
    assert np.array_equal(ax.images[0].get_array(), raster.compute()[::3, ::3])
    assert ax.get_ylim()[0] == pytest.approx(4000, abs=3)


def test_missing_labels_of_floats_and_many_clusters():
    values = np.arange(40.0).reshape(5, 8)
    values[0, 0] = np.nan
    ax = plot.label_map(values)
    assert ax.images[0].get_array()[0, 0] == -1
    assert ax.get_legend() is None
    bar = ax.figure.axes[1]
    assert bar.get_ylim() == (-1.5, 39.5)


def test_a_map_of_nothing_but_what_was_left_out():
    assert legend_of(plot.label_map(np.full((2, 3), -1))) == ["-1: left out"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(6, int), r"shape \(6,\). Those of an image .* labels.reshape"),
        (xr.DataArray(np.zeros((2, 3, 4))), r"Type labels.isel\(dim_0=0\)"),
        (np.zeros((0, 4), int), "two dimensions"),
        (np.full((2, 2), 0.5), "no labels .*float64"),
        (np.full((2, 2), -2), "no labels"),
        (np.full((2, 2), "a"), "no labels"),
    ],
)
def test_maps_that_are_none(labels, message):
    with pytest.raises(ValueError, match=message):
        plot.label_map(labels)


# ----------------------------------------------------------------------------------------- sweeps

APART = np.concatenate([center + 0.1 * np.random.default_rng(0).normal(size=(40, 2))
                        for center in ([0, 0], [9, 0], [0, 9])])  # fmt: skip


@pytest.mark.parametrize(
    "metric",
    ["inertia", "explained_variance", "calinski_harabasz", "davies_bouldin", "silhouette"],
)
def test_a_column_by_the_number_of_clusters(metric):
    fits = sweep(APART, [5, 1, 2, 3, 4], random_state=0)
    ax = fits.plot(metric)
    line, dashed = ax.lines
    assert line.get_xdata().tolist() == [1, 2, 3, 4, 5]
    expected = fits.table.loc[[1, 2, 3, 4, 5], metric]
    np.testing.assert_array_equal(line.get_ydata(), expected)
    assert set(dashed.get_xdata()) == {3} == {fits.elbow_}
    assert ax.get_title().startswith("elbow at 3 clusters")
    given = plt.subplots()[1]
    assert fits.plot(metric, given) is plot.elbow(fits, metric, given) is given


def test_without_an_elbow_there_is_no_line_and_the_title_says_so():
    rows = np.random.default_rng(1).random((500, 3))
    for fits in (sweep(rows, range(1, 6), random_state=0), sweep(rows, [4], random_state=0)):
        ax = fits.plot()
        assert len(ax.lines) == 1
        assert ax.get_title() == "no elbow in the inertia"
        assert len(fits.plot_clustergram().lines) == 0


def test_the_clustergram_draws_each_cluster_and_where_its_rows_go():
    fits = sweep(APART, [1, 3, 4], random_state=0)
    ax = fits.plot_clustergram()
    lines, points = ax.collections
    data = fits.clustergram.reset_index()
    assert np.array_equal(points.get_offsets(), data[["n_clusters", "position"]])
    areas = points.get_sizes()
    assert areas[0] == areas.max()  # all rows
    assert np.all(np.argsort(areas, kind="stable") == np.argsort(data["size"], kind="stable"))
    position = fits.clustergram["position"]
    expected = {
        (k, position[k, i], other, position[other, j]): counts[i, j]
        for (k, other), counts in fits.transitions.items()
        for i in range(k)
        for j in range(other)
        if counts[i, j]
    }
    found = {tuple(line.ravel()): w for line, w in zip(lines.get_segments(), lines.get_linewidths(),
                                                     strict=True)}  # fmt: skip
    assert found.keys() == expected.keys()
    assert all(found[line] == pytest.approx(14 * expected[line] / 120) for line in found)
    assert ax.get_title() == "clustergram of 120 rows"
    given = plt.subplots()[1]
    assert fits.plot_clustergram(given) is given


def test_what_is_no_sweep_or_no_column_is_refused(model):
    with pytest.raises(TypeError, match=r"not a KMeans.* Type sweep\(X, range\(1, 11\)\)"):
        plot.elbow(model)
    with pytest.raises(TypeError, match="clustergram draws"):
        plot.clustergram({1: model})
    with pytest.raises(ValueError, match="'sse': it needs to be one of 'inertia', 'explained_"):
        SWEPT.plot("sse")


def test_clusters_have_colors_of_their_own():
    from dask_kmeans.plot.canvas import colors

    assert len(np.unique(colors(30), axis=0)) == 30
    assert np.array_equal(colors(61)[30:60], colors(30))
    assert colors(0).shape == (0, 4)
