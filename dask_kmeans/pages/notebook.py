"""What notebooks show beside scikit-learn's diagram: a fit in a few lines.

Nothing lazy is computed for it, and no row of the data appears in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

import dask
import numpy as np

from dask_kmeans import checks
from dask_kmeans.pages.svg import sparkline
from dask_kmeans.palette import PALETTE

if TYPE_CHECKING:
    import pandas as pd

STYLE = (
    "border-collapse:collapse;margin:0.4em 0;font-size:0.9em;color:inherit;background:transparent"
)
CELL = "text-align:left;padding:0.15em 0.8em;vertical-align:middle;white-space:normal"
"""Of each element, since notebooks may strip style sheets; colors are those around it."""


def fitted_table(model: Any) -> str:
    """HTML: what a fitted model found, and how it settled."""
    history = model.history_
    counted = history[0].changed or 1  # the first iteration gives each row that counts its label
    inertia = sparkline(
        [record.inertia for record in history], f"inertia in {len(history)} iterations"
    )
    changed = sparkline(
        [
            math.log(max(record.changed, 0.5)) for record in history
        ],  # none at all: below a single one
        f"rows that changed in {len(history)} iterations, on a logarithmic scale",
        PALETTE[3],
    )
    k, d = model.cluster_centers_.shape
    return table(
        [
            ("clusters", f"{k:,}, of {int(model.cluster_sizes_.sum()):,} rows with {d:,} features"),
            ("inertia", f"{model.inertia_:.8g} {inertia}"),
            ("rows that changed", f"{history[-1].changed / counted:.3%} at last {changed}"),
            ("iterations", f"{model.n_iter_:,}, in {model.n_passes_:,} passes over the data"),
            ("stopped", escape(checks.shown_url(model.stop_reason_))),
            *_labels(model),
        ]
    )


def sweep_table(sweep: Any) -> str:
    """HTML: the table of a sweep, and where its elbow is."""
    at, strength = sweep._elbow
    bends = "no elbow in the inertia" if at is None else f"elbow at {at}, strength {strength:.3g}"
    inertia = sweep.table["inertia"].sort_index()
    falls = sparkline(inertia.tolist(), "inertia by the number of clusters")
    return frame_table(sweep.table) + table([("inertia", f"{escape(bends)} {falls}")])


def clusters_table(clusters: Any) -> str:
    """HTML: how many rows were described, and the first of the table of clusters."""
    heading, frame, shortened = clusters._shown()
    return (
        "".join(f"<p style='margin:0.2em 0'>{escape(line)}</p>" for line in heading)
        + frame_table(frame)
        + (f"<p style='margin:0.2em 0'>{escape(shortened)}</p>" if shortened else "")
    )


def frame_table(frame: pd.DataFrame) -> str:
    """HTML: the numbers of a DataFrame of one index."""
    right = f"{CELL};text-align:right"
    names = [frame.index.name or "", *frame.columns]
    head = "".join(f'<th scope="col" style="{right}">{escape(str(name))}</th>' for name in names)
    lines = "".join(
        f'<tr><th scope="row" style="{right}">{escape(str(label))}</th>'
        + "".join(f'<td style="{right}">{_number(value)}</td>' for value in values)
        + "</tr>"
        for label, *values in frame.itertuples(name=None)
    )
    return (
        f'<table class="dask-kmeans" style="{STYLE}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )


def _number(value: Any) -> str:
    """A number of a table; nothing for one that is not known."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return "" if math.isnan(value) else f"{value:.6g}"


def table(rows: Iterable[tuple[str, str]]) -> str:
    """HTML: names and what they are, which is HTML already."""
    lines = "".join(
        f'<tr><th scope="row" style="{CELL};white-space:nowrap">{escape(name)}</th>'
        f'<td style="{CELL}">{shown}</td></tr>'
        for name, shown in rows
    )
    return f'<table class="dask-kmeans" style="{STYLE}"><tbody>{lines}</tbody></table>'


def _labels(model: Any) -> list[tuple[str, str]]:
    """Of what kind the labels are; a model that was loaded has none."""
    labels = getattr(model, "labels_", None)
    if labels is None:
        return []
    kind = f"{type(labels).__module__.partition('.')[0]} {type(labels).__name__}"
    lazy = ", lazy: computed when asked for" if dask.is_dask_collection(labels) else ""
    return [("labels_", escape(f"{kind} of {_shape(labels)} int32{lazy}"))]


def _shape(labels: Any) -> str:
    """Sizes of what holds labels, as far as they are known without computing anything."""
    sizes = labels.shape if hasattr(labels, "shape") else (len(labels),)
    return " x ".join(
        f"{size:,}" if isinstance(size, int | np.integer) else "an unknown number" for size in sizes
    )
