"""Pictures of a sweep: of many numbers of clusters, from what their fits have learnt."""

from __future__ import annotations

from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.palette import PALETTE
from dask_kmeans.plot.canvas import axes, ink, segments, whole_numbers

METRICS = {
    "inertia": "inertia",
    "explained_variance": "explained variance",
    "calinski_harabasz": "Calinski-Harabasz index (the higher the better)",
    "davies_bouldin": "Davies-Bouldin index (the lower the better)",
    "silhouette": "simplified silhouette (the higher the better)",
}
"""Columns of the table that are drawn, and their names."""

WIDEST, NARROWEST = 14.0, 0.4
"""Points: width of a line that stands for all rows, and of one that stands for a few."""

LARGEST, SMALLEST = 420.0, 12.0
"""Points squared: areas of the markers of a cluster of all rows, and of an empty one."""


def elbow(sweep: Any, metric: str = "inertia", ax: Any = None) -> Any:
    """A figure of each fit by its number of clusters, with a dashed line at the elbow.

    Parameters
    ----------
    sweep : Sweep
        What `dask_kmeans.sweep` returns.
    metric : {"inertia", "explained_variance", "calinski_harabasz", "davies_bouldin", \
            "silhouette"}, default="inertia"
        A column of `sweep.table`.
    ax : matplotlib Axes, default=None
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib Axes
        `ax`. The elbow is that of the inertia, whatever is drawn; where there is none, the title
        says so.
    """
    checks.check_sweep_given(sweep, "elbow")
    if metric not in METRICS:
        raise checks.metric_drawn_error(metric, METRICS)
    values = sweep.table[metric].sort_index()
    ax = axes(ax)
    ax.plot(values.index, values, color=PALETTE[0], marker="o", markersize=5)
    at, strength = sweep._elbow
    if at is None:
        ax.set_title("no elbow in the inertia")
    else:
        ax.axvline(at, color=ink(), ls="--", lw=1, label=f"elbow of the inertia at {at}")
        ax.set_title(f"elbow at {at} clusters, strength {strength:.1f}")
        ax.legend(fontsize="small")
    ax.set(xlabel="number of clusters", ylabel=METRICS[metric])
    whole_numbers(ax.xaxis)
    return ax


def clustergram(sweep: Any, ax: Any = None) -> Any:
    """How clusters split as there are more of them.

    Each cluster of each fit is a point, at the position of its center along the first principal
    direction of the centers; the area of its marker goes with its rows. Lines lead to the clusters
    that its rows belong to with the next number of clusters, as wide as rows take that way. It is
    drawn from centers and counts, so the number of rows is of no matter [1]_.

    Parameters
    ----------
    sweep : Sweep
        What `dask_kmeans.sweep` returns.
    ax : matplotlib Axes, default=None
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib Axes
        `ax`.

    References
    ----------
    .. [1] Schonlau, "The clustergram: a graph for visualizing hierarchical and nonhierarchical
       cluster analyses", Stata Journal 2(4), 2002.
    """
    checks.check_sweep_given(sweep, "clustergram")
    points = sweep.clustergram
    total = max(points["size"].groupby(level="n_clusters").sum().max(), 1)
    ax = axes(ax)
    lines, widths = [], []
    for (k, next_k), counts in sweep.transitions.items():
        before, after = (points["position"].loc[each].to_numpy() for each in (k, next_k))
        for i, j in np.argwhere(counts > 0):
            lines.append([(k, before[i]), (next_k, after[j])])
            widths.append(max(WIDEST * counts[i, j] / total, NARROWEST))
    segments(ax, lines, widths, PALETTE[4])
    ks = points.index.get_level_values("n_clusters")
    areas = SMALLEST + (LARGEST - SMALLEST) * points["size"] / total
    ax.scatter(
        ks, points["position"], s=areas, color=PALETTE[0], edgecolors=ax.get_facecolor(),
        linewidths=0.8, zorder=3,
    )  # fmt: skip
    at, _ = sweep._elbow
    if at is not None:
        ax.axvline(at, color=ink(), ls="--", lw=1, zorder=1, label=f"elbow of the inertia at {at}")
        ax.legend(fontsize="small", loc="upper left")
    ax.set(xlabel="number of clusters", ylabel="position along the first principal direction")
    ax.set_title(f"clustergram of {total:,} rows")
    ax.margins(y=0.1)
    whole_numbers(ax.xaxis)
    return ax
