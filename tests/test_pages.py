"""What is shown as HTML: whole, escaped, without a network, and without reading anything."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import dask
import numpy as np
import pytest
import sklearn
from inputs import INPUTS, blobs

from dask_kmeans import KMeans, load_model

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
