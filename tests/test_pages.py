"""What is shown as HTML: whole, escaped, without a network, and without reading anything."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import dask
import numpy as np
import pandas as pd
import pytest
import sklearn
from inputs import INPUTS, blobs

from dask_kmeans import KMeans, cli, load_model, sweep
from dask_kmeans.pages.report import report_page
from dask_kmeans.pages.svg import line_chart

X = blobs(600, 3, 4, seed=2)
VOID = {"meta", "br", "input", "link", "hr", "img"}


class Reader(HTMLParser):
    """Checks that elements close in order; keeps the texts, the elements and their attributes."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.texts, self.elements = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(filter(None, self.texts)))

    def all_of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def own_part(shown):
    """What stands after scikit-learn's diagram."""
    return shown[shown.index('<table class="dask-kmeans"') :]


def read_nothing(*_):
    raise AssertionError("something lazy was computed")


@pytest.mark.parametrize(
    "kind", ["NumPy", "dask", "dask, unknown chunks", "pandas", "pyarrow", "dask DataFrame",
             "xarray Dataset, dask", "CSV"]
)  # fmt: skip
def test_a_fitted_model_in_a_notebook(kind, tmp_path):
    model = KMeans(3, random_state=0).fit(INPUTS[kind](X, tmp_path))
    with dask.config.set(scheduler=read_nothing):
        shown = model._repr_mimebundle_()["text/html"]
        assert own_part(model._repr_html_()) == own_part(shown)
    page = Reader(own_part(shown))
    assert "3, of 600 rows with 3 features" in page.text
    assert f"{model.inertia_:.8g}" in page.text
    assert f"{model.n_iter_}, in {model.n_passes_} passes over the data" in page.text
    assert f"stopped {model.stop_reason_}" in page.text
    lazy = kind in ("dask", "dask, unknown chunks", "dask DataFrame", "xarray Dataset, dask", "CSV")
    assert ("lazy: computed when asked for" in page.text) == lazy
    if "unknown" in kind or kind == "dask DataFrame":
        assert "of an unknown number int32" in page.text
    for value in X[:20].ravel():
        assert f"{value:.3f}" not in shown


def test_history_is_a_line_with_a_point_for_each_iteration():
    model = KMeans(5, init=X[:5], tol=0).fit(X)
    page = Reader(own_part(model._repr_html_()))
    inertia, changed = (
        [float(place.split(",")[1]) for place in line["points"].split()]
        for line in page.all_of("polyline")
    )
    assert len(inertia) == len(changed) == model.n_iter_
    assert inertia == sorted(inertia)  # down the page
    order = np.argsort([-record.changed for record in model.history_], kind="stable")
    assert np.all(np.diff(np.array(changed)[order]) >= 0)
    assert f"inertia in {model.n_iter_} iterations" in page.text


def test_before_a_fit_and_where_text_is_asked_for():
    assert "dask-kmeans" not in KMeans()._repr_html_()
    with sklearn.config_context(display="text"):
        model = KMeans(2, random_state=0).fit(X)
        assert model._repr_mimebundle_().keys() == {"text/plain"}
        assert not hasattr(model, "_repr_html_")


def test_a_loaded_model_and_one_of_a_single_iteration(tmp_path):
    KMeans(4, max_iter=1, init=X[:4]).fit(X).save(str(tmp_path / "m.zarr"))
    page = Reader(own_part(load_model(str(tmp_path / "m.zarr"))._repr_html_()))
    assert "stopped at max_iter before the labels settled: raise max_iter" in page.text
    assert "labels_" not in page.text
    assert len(page.all_of("circle")) == 2


def test_texts_are_escaped_and_secrets_are_not_shown():
    model = KMeans(2, random_state=0, checkpoint="memory://state?sig=SECRET").fit(X)
    model.stop_reason_ = "<script>alert(1)</script> & https://u:SECRET@h/x?sig=SECRET"
    for shown in (model._repr_html_(), model._repr_mimebundle_()["text/html"]):
        assert "SECRET" not in shown
        assert "alert(1)</script>" not in shown
    own = own_part(model._repr_html_())
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; https://h/x?..." in own


def test_an_inertia_that_stays_is_a_level_line():
    """Nothing is divided by zero."""
    page = Reader(own_part(KMeans(1).fit(np.ones((5, 2)))._repr_html_()))
    assert all("nan" not in line["points"] for line in page.all_of("polyline"))


def test_a_sweep_in_a_notebook():
    fits = sweep(X, [1, 2, 4], random_state=0)
    page = Reader(fits._repr_html_())
    for k, row in fits.table.iterrows():
        assert f" {k} {row.inertia:.6g} " in page.text
    assert "nan" not in page.text
    (line,) = page.all_of("polyline")
    assert len(line["points"].split()) == 3
    assert "inertia no elbow in the inertia" in page.text


def test_described_clusters_in_a_notebook():
    frame = pd.DataFrame(X, columns=["<i>", "b", "c"])
    found = KMeans(4, random_state=0).fit(frame).describe(frame)
    shown = found._repr_html_()
    page = Reader(shown)
    assert "<i>" not in shown
    for cluster, row in found.table.iterrows():
        assert f" {cluster} {int(row['size']):,} {row.inertia:.6g} " in page.text
    assert f"4 clusters of 600 rows, inertia {found.inertia!r}" in page.text
    wide = np.tile(X, 3)
    cut = Reader(KMeans(2, random_state=0).fit(wide).describe(wide)._repr_html_())
    assert "... 2 clusters of 9 features" in cut.text


# -------------------------------------------------------------------------------------- the report


def report_of(model, folder, name="report.html"):
    model.report(str(folder / name), overwrite=True)
    return (folder / name).read_text(encoding="utf-8")


def cells(page, kind):
    """Texts of the rows of a table."""
    (found,) = re.findall(rf'<table class="{kind}">(.*?)</table>', page, flags=re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", found, flags=re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL) for row in rows]


def test_the_report_tells_what_the_model_knows(tmp_path):
    model = KMeans(4, tol=0, random_state=5, standardize=True).fit(X)
    page = report_of(model, tmp_path)
    read = Reader(page)
    facts = dict(map(tuple, cells(page, "facts")))
    assert facts["rows"] == "600"
    assert facts["features"] == "3"
    assert facts["inertia"] == repr(model.inertia_)
    assert (facts["random_state"], facts["standardize"], facts["tol"]) == ("5", "true", "0")
    assert "max_iter" not in facts
    assert "Converged: no row changes its cluster any more." in read.text
    sizes = cells(page, "sizes")[1:]
    assert [int(row[1]) for row in sizes] == model.cluster_sizes_.tolist()
    _, *centers = cells(page, "centers")
    found = np.array([[float(text) for text in row[1:]] for row in centers])
    np.testing.assert_allclose(found, model.cluster_centers_, rtol=1e-5)
    points = [len(line["points"].split()) for line in read.all_of("polyline")]
    assert points == [model.n_iter_, model.n_iter_]
    marks = [float(text.split(": ")[1]) for text in re.findall(r"<title>(\d+: .*?)</title>", page)]
    history = [record.inertia for record in model.history_]
    np.testing.assert_allclose(marks[: model.n_iter_], history, rtol=1e-9)


def test_the_report_of_described_clusters(tmp_path):
    model = KMeans(4, random_state=5).fit(X)
    found = model.describe(X, top=30)
    model.report(str(tmp_path / "d.html"), found)
    page = (tmp_path / "d.html").read_text()
    Reader(page)
    apart = np.linalg.norm(X[:, None] - model.cluster_centers_, axis=2).min(axis=1)
    order = np.argsort(-apart, kind="stable")[:20]
    _, *rows = cells(page, "farthest")
    assert [int(row[0]) for row in rows] == order.tolist()
    assert [int(row[1]) for row in rows] == model.labels_[order].tolist()
    np.testing.assert_allclose([float(row[2]) for row in rows], apart[order], rtol=1e-5)
    _, *distances = cells(page, "distances")
    for cluster, row in enumerate(distances):
        own = apart[model.labels_ == cluster]
        mean, farthest = float(row[1]), float(row[4])
        assert (mean, farthest) == pytest.approx((own.mean(), own.max()), rel=1e-5)


def test_the_report_needs_nothing_else(tmp_path):
    read = Reader(report_of(KMeans(2, random_state=0).fit(X), tmp_path))
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in read.elements}
    assert not any({"src", "href"} & attributes.keys() for _, attributes in read.elements)
    assert "http" not in read.text


def test_a_report_of_a_loaded_model_is_the_same(tmp_path):
    model = KMeans(3, random_state=0).fit(X)
    model.save(str(tmp_path / "m.zarr"))
    loaded = load_model(str(tmp_path / "m.zarr"))
    assert report_of(model, tmp_path, "a.html") == report_of(loaded, tmp_path, "b.html")


def test_names_and_rows_in_a_report(tmp_path):
    frame = pd.DataFrame(X, columns=["<b>bold</b>", "a & b", "c"])
    model = KMeans(3, init=X[:3], max_iter=1).fit(frame)
    page = report_of(model, tmp_path)
    assert "<b>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert dict(map(tuple, cells(page, "facts")))["init"] == "given centers"
    assert not any(f"{value:.4f}" in page for value in X[:3].ravel())


def test_large_models_are_shortened_and_say_so(tmp_path):
    page = report_of(KMeans(210, max_iter=1, init=X[:210]).fit(X), tmp_path)
    assert len(cells(page, "sizes")) == len(cells(page, "centers")) == 1 + 200
    assert "the first 200 of 210 clusters; the model has them all" in Reader(page).text
    wide = np.tile(X, 15)
    page = report_of(KMeans(2, random_state=0).fit(wide), tmp_path)
    assert {len(row) for row in cells(page, "centers")} == {1 + 40}
    assert "the first 40 of 45 features; the model has them all" in Reader(page).text


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_odd_models_have_a_report(tmp_path):
    for model, rows in [
        (KMeans(1), np.ones((3, 2))),
        (KMeans(3), np.repeat([[0.0, 1], [5, 5]], 3, axis=0)),
        (KMeans(2), np.array([[0.0, 1e150], [1, -1e150], [2, 1e150]])),
        (KMeans(2, metric="cosine", random_state=np.random.default_rng(0)), X),
    ]:
        page = report_of(model.fit(rows), tmp_path)
        Reader(page)
        assert not re.search(r"\bnan\b|\binf\b", page)


def test_colors_of_centers_compare_them_with_the_mean(tmp_path):
    rows = np.array([[0.0, 7.0], [0.0, 7.0], [10.0, 7.0], [10.0, 7.0]])
    page = report_of(KMeans(2, init=rows[[0, 2]]).fit(rows), tmp_path)
    shades = re.findall(r'class="heat" style="background:(.*?)"', page)
    below, same, above, as_well = shades
    assert below.startswith("rgb(0 114 178 / 0.2")
    assert above.startswith("rgb(230 159 0 / 0.2")
    assert same.endswith("/ 0.00)")
    assert as_well.endswith("/ 0.00)")


def test_a_report_is_replaced_only_when_asked(tmp_path):
    model = KMeans(2, random_state=0).fit(X)
    (tmp_path / "r.html").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.report(str(tmp_path / "r.html"))
    assert (tmp_path / "r.html").read_text() == "mine"
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.report(str(tmp_path / "none" / "r.html"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html"]


@pytest.mark.parametrize("values", [[5.0], [1.0, 1.0], [1e9 + 3, 1e9 + 2], [3e-300, 1e-301, 0.0]])
def test_axes_reach_around_the_values(values):
    chart = line_chart(values, "inertia", "#000000")
    ticks = [float(text) for text in re.findall(r'text-anchor="end">(.*?)<', chart)]
    assert min(ticks) <= min(values)
    assert max(values) <= max(ticks)
    assert len(set(ticks)) == len(ticks) <= 8
    heights = [float(place.split(",")[1]) for place in
               re.findall(r'points="(.*?)"', chart)[0].split()]  # fmt: skip
    assert all(0 <= height <= 220 for height in heights)


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(map(str, arguments)))
    return ended.value.code


def test_the_shell_writes_the_report(tmp_path, capsys):
    np.save(tmp_path / "x.npy", X)
    page = tmp_path / "fit.html"
    fit = ("fit", tmp_path / "x.npy", "-k", 3, "--model", tmp_path / "m.zarr", "--html", page)
    assert run(*fit, "--max-iter", 1, "--report", "-") == 0
    read = Reader(page.read_text())
    assert f"k-means: 3 clusters of {tmp_path}/x.npy" in read.text
    assert "raise --max-iter, or --tol if the last changes" in read.text
    assert json.loads(capsys.readouterr().out)["html"] == str(page)
    before = page.read_text()
    assert run(*fit) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert page.read_text() == before
    assert run(*fit, "--overwrite", "--quiet") == 0
    assert page.read_text() != before
    assert run(*fit[:-1], tmp_path / "m.zarr") == 2


def test_the_report_hides_secrets_of_the_source():
    model = KMeans(2, random_state=0).fit(X)
    page = report_page(model, "https://u:SECRET@h/x.npy?sig=SECRET")
    assert "SECRET" not in page
    assert "https://h/x.npy?..." in page
