"""The report of a fit: one page that needs nothing else, for whoever asks what came of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.pages.svg import line_chart
from dask_kmeans.palette import PALETTE
from dask_kmeans.write.model_parameters import stored_parameters
from dask_kmeans.write.place import staged

MOST_CLUSTERS, MOST_FEATURES = 200, 40
"""Rows and columns of a table at most: the model has them all."""

MOST_ROWS = 20
"""Farthest rows at most."""

ROUNDING = 2.0**-40
"""Share of a feature's largest center below which centers count as equal."""

DEEPEST = 0.55
"""Opacity of the colors of centers at most: letters of either ink are readable on it."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --soft: #666; --rule: #ddd; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --paper: #161616; --soft: #a5a5a5; --rule: #3a3a3a; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin-top: 2rem; }
p.note, figcaption { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; vertical-align: bottom; }
table.facts th { white-space: nowrap; vertical-align: top; }
table.facts th, table.facts td { text-align: left; overflow-wrap: anywhere; }
table.sizes td:last-child { width: 60%; }
.bar { height: .9em; background: #0072B2; min-width: 1px; }
td.heat { font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { display: inline-block; margin: 0 1rem 1rem 0; } svg { max-width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 12px; } svg .rule { stroke: var(--rule); }
"""


def write_page(
    model: Any,
    url: str,
    clusters: Any = None,
    *,
    overwrite: bool,
    source: str | None = None,
    reason: str | None = None,
) -> None:
    """Write the report of a fitted model, whole or not at all.

    clusters : what `describe` found, where that is known
    source : what it was fitted to, where that is known
    reason : why the fit stopped, in other words than `stop_reason_`
    """
    page = report_page(model, source, reason, clusters)
    with staged(url, overwrite=overwrite) as path, open(path, "w", encoding="utf-8") as file:
        file.write(page)


def report_page(
    model: Any, source: str | None = None, reason: str | None = None, clusters: Any = None
) -> str:
    """The page: HTML without scripts and links, readable on dark and light paper.

    It depends on the model alone, so that it is the same when a job is run again.
    """
    k = len(model.cluster_centers_)
    title = f"k-means: {k:,} cluster{'s' * (k > 1)}" + (f" of {_url(source)}" if source else "")
    stopped = _url(reason or model.stop_reason_)
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(stopped[0].upper() + stopped[1:])}.</p>",
        "<h2>What was fitted</h2>",
        _facts(model, source),
        "<h2>Convergence</h2>",
        _convergence(model),
        "<h2>Sizes</h2>",
        _sizes(model),
        "<h2>Centers</h2>",
        _centers(model),
        *(() if clusters is None else _distances(clusters)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _url(text: str) -> str:
    return checks.shown_url(str(text))


def _table(kind: str, head: Iterable[str], rows: Iterable[str]) -> str:
    """HTML: a table of rows, which are HTML already, under a head of plain texts."""
    named = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    top = f"<thead><tr>{named}</tr></thead>" if named else ""
    return (
        f'<div class="wide"><table class="{kind}">{top}<tbody>\n'
        + "\n".join(f"<tr>{row}</tr>" for row in rows)
        + "\n</tbody></table></div>"
    )


def _facts(model: Any, source: str | None) -> str:
    """What the data was, what was asked for, and what it took."""
    k, d = model.cluster_centers_.shape
    facts = [("source", _url(source))] if source else []
    facts += [
        ("rows", f"{int(model.cluster_sizes_.sum()):,}"),
        ("features", f"{d:,}"),
        ("clusters", f"{k:,}"),
        ("inertia", repr(model.inertia_)),
        ("iterations", f"{model.n_iter_:,}"),
        ("passes over the data", f"{model.n_passes_:,}"),
        *_parameters(model),
    ]
    rows = (f'<th scope="row">{escape(name)}</th><td>{escape(value)}</td>' for name, value in facts)
    return _table("facts", (), rows)


def _parameters(model: Any) -> list[tuple[str, str]]:
    """The parameters that were given, but n_clusters."""
    usual = stored_parameters(type(model)(model.n_clusters).get_params(deep=False))
    own = stored_parameters(model.get_params(deep=False))
    if isinstance(own.get("init"), list):
        own["init"] = "given centers"  # which may be rows of the data
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in own.items()
        if name not in usual or value != usual[name]
    ]


def _convergence(model: Any) -> str:
    """The history of the fit as two charts."""
    history = model.history_
    counted = history[0].changed or 1  # the first iteration gives each row that counts its label
    changed = [max(record.changed / counted, 0.5 / counted) for record in history]
    charts = [
        ("Inertia, by iteration", line_chart([r.inertia for r in history], "inertia", PALETTE[0])),
        (
            "Share of the rows that changed their cluster"
            + (" (none at last)" if history[-1].changed == 0 else ""),
            line_chart(changed, "share of rows that changed", PALETTE[3], logarithmic=True),
        ),
    ]
    return "".join(
        f"<figure>{chart}<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, chart in charts
    )


def _sizes(model: Any) -> str:
    """The clusters with their rows, as a table of bars."""
    counts = model.cluster_sizes_
    most, total = max(int(counts.max()), 1), max(int(counts.sum()), 1)
    rows = (
        f'<th scope="row">{cluster}</th><td>{count:,}</td><td>{count / total:.1%}</td>'
        f'<td><div class="bar" style="width:{100 * count / most:.2f}%"></div></td>'
        for cluster, count in enumerate(counts[:MOST_CLUSTERS].tolist())
    )
    return _table("sizes", ("cluster", "rows", "share", ""), rows) + _shortened(model)


def _centers(model: Any) -> str:
    """The centers as a table, whose cells are colored by how far they are from the mean."""
    centers, names = model.cluster_centers_, feature_names(model)
    shades = heat(centers, model.cluster_sizes_)
    rows = (
        f'<th scope="row">{cluster}</th>'
        + "".join(
            f'<td class="heat" style="background:{shade}">{value:.6g}</td>'
            for value, shade in zip(center, colors, strict=True)
        )
        for cluster, (center, colors) in enumerate(
            zip(
                centers[:MOST_CLUSTERS, :MOST_FEATURES].tolist(),
                shades[:MOST_CLUSTERS],
                strict=True,
            )
        )
    )
    unit = "unit vectors" if model._fitted_metric == "cosine" else "in the unit of the data"
    note = (
        f'<p class="note">Centers are {unit}. Colors tell, for each feature, how far a center is '
        "from the mean of all rows: orange above it, blue below it, none near it.</p>"
    )
    table = _table("centers", ("cluster", *names[:MOST_FEATURES]), rows)
    return note + table + _shortened(model)


def _distances(clusters: Any) -> list[str]:
    """How far rows are from their centers, by cluster, and which are farthest of all."""
    table = clusters.table.head(MOST_CLUSTERS)
    columns = ["mean_distance", "q50_distance", "q95_distance", "max_distance"]
    by_cluster = (
        f'<th scope="row">{cluster}</th>'
        + "".join(f"<td>{_figure(value)}</td>" for value in figures)
        for cluster, *figures in table[columns].itertuples(name=None)
    )
    farthest = clusters.farthest.sort_values(["distance", "row"], ascending=[False, True])
    rows = (
        f'<th scope="row">{row:,}</th><td>{cluster}</td><td>{distance:.6g}</td>'
        for row, cluster, distance in farthest.head(MOST_ROWS)[
            ["row", "cluster", "distance"]
        ].itertuples(index=False, name=None)
    )
    return [
        "<h2>Distances to the centers</h2>",
        _table("distances", ("cluster", "mean", "median", "95 % within", "farthest"), by_cluster),
        "<h2>Farthest rows</h2>",
        '<p class="note">By their numbers among all rows, from 0.</p>',
        _table("farthest", ("row", "cluster", "distance"), rows),
    ]


def _figure(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def _shortened(model: Any) -> str:
    """What is left out of a table, if anything."""
    k, d = model.cluster_centers_.shape
    left_out = [
        f"the first {most} of {number:,} {what}"
        for number, most, what in ((k, MOST_CLUSTERS, "clusters"), (d, MOST_FEATURES, "features"))
        if number > most
    ]
    if not left_out:
        return ""
    return f'<p class="note">These are {" and ".join(left_out)}; the model has them all.</p>'


def feature_names(model: Any) -> list[str]:
    """Names of the features, or x0, x1 and so on."""
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return [str(name) for name in names]
    return [f"x{j}" for j in range(model.n_features_in_)]


def heat(centers: np.ndarray, sizes: np.ndarray) -> list[list[str]]:
    """Colors of (k, MOST_FEATURES) centers: orange above the mean of all rows, blue below it.

    Full colors are two standard deviations of the centers away; each feature has its own.
    """
    shown = centers[:, :MOST_FEATURES]
    weights = sizes / max(sizes.sum(), 1)
    with np.errstate(over="ignore", invalid="ignore"):
        apart = shown - weights @ shown
        spread = np.sqrt(weights @ apart**2)
        felt = spread > ROUNDING * np.abs(shown).max(axis=0)
        places = np.divide(apart, 2 * spread, out=np.zeros_like(apart), where=felt)
    places = np.clip(np.nan_to_num(places), -1, 1)
    return [[_shade(place) for place in row] for row in places.tolist()]


def _shade(place: float) -> str:
    """Clear at 0, orange at 1, blue at -1: letters stay readable on each, light and dark."""
    color = "230 159 0" if place > 0 else "0 114 178"
    return f"rgb({color} / {DEEPEST * abs(place):.2f})"
