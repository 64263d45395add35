"""Pictures of rows: of a sample that is drawn by row number, in one pass over the data.

Tasks hold the sample and nothing else, however many rows there are, and the same rows are drawn
whatever the chunks.
"""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import numpy as np

from dask_kmeans import checks
from dask_kmeans.kernels import distances
from dask_kmeans.plot.canvas import axes, colors, ink, is_solid, name_axes, number
from dask_kmeans.read.transforms import inward, undo
from dask_kmeans.statistics import Drawn, DrawnRows

MOST_NUMBERED = 60
"""Clusters whose centers are numbered: more numbers would hide the rows."""

STRIP = 2**21
"""Distances that are computed at a time."""


def clusters(model: Any, X: Any, ax: Any = None, *, sample_size: int = 2000) -> Any:
    """Rows in the colors of their clusters, with the centers as stars.

    One, two or three features are drawn as they are, in the unit of the data; of more, the leading
    principal directions of the sample as rows are compared (standardized, or as unit vectors, if
    the model does that), and the labels of the axes say so.

    Parameters
    ----------
    model : KMeans
        Fitted.
    X : as in `KMeans.predict`
        Read once, lazily and in parts.
    ax : matplotlib Axes, default=None
        Where to draw; on 3-D axes three directions are drawn. None makes a figure, 3-D for three
        features.
    sample_size : int, default=2000
        Rows drawn at most, uniformly by their numbers and the model's `random_state` (0 where that
        is no int). The title says how many they are of how many.

    Returns
    -------
    matplotlib Axes
        `ax`.
    """
    drawn = _drawn(model, X, sample_size)
    n_features = int(_with_values(model).sum())
    solid = is_solid(ax) if ax is not None else n_features == 3
    if solid and n_features < 3:
        raise checks.flat_data_error(n_features)
    view = _seen(model, drawn, 3 if solid else 2)
    ax = axes(ax, solid=solid)
    shades, k = colors(len(view.centers)), len(view.centers)
    plain = {}
    if solid:
        plain["depthshade"] = False  # what lies farther back keeps its color
        ax.computed_zorder = False  # stars are drawn over the rows
    ax.scatter(*view.rows.T, s=9, c=shades[drawn.labels], alpha=0.65, linewidths=0, **plain)
    ax.scatter(
        *view.centers.T, s=190 if k <= 12 else 110, c=shades, marker="*", edgecolors=ink(),
        linewidths=0.9, zorder=5, **plain,
    )  # fmt: skip
    if k <= MOST_NUMBERED and k > 1:
        for cluster, place in enumerate(view.centers):
            number(ax, place, f" {cluster}")
    name_axes(ax, *view.names)
    if view.strips:
        ax.set_yticks(range(0, k, 1 + k // 12))
    ax.set_title(f"{_of_all(drawn)} in {k} cluster{'s' * (k > 1)}")
    return ax


def silhouette(model: Any, X: Any, ax: Any = None, *, sample_size: int = 10_000) -> Any:
    """How much nearer rows are to their own center than to the second nearest one, by cluster.

    The simplified silhouette of a row is (b - a) / max(a, b), where a is its distance to its own
    center and b that to the nearest other one: from 0, on the border of two clusters, to 1.

    Parameters
    ----------
    model : KMeans
        Fitted, of two clusters at least.
    X : as in `KMeans.predict`
        Read once, lazily and in parts.
    ax : matplotlib Axes, default=None
        Where to draw; None makes a figure.
    sample_size : int, default=10000
        Rows drawn at most, as in `clusters`.

    Returns
    -------
    matplotlib Axes
        `ax`, with a blade for each cluster, its rows from the best to the worst, and the mean over
        all drawn rows as a dashed line.
    """
    checks.check_several_clusters(len(model.cluster_centers_))
    drawn = _drawn(model, X, sample_size)
    values = simplified_silhouette(model, drawn)
    ax = axes(ax)
    shades, k, start = colors(len(model.cluster_centers_)), len(model.cluster_centers_), 0
    gap = max(1, len(values) // (20 * k))
    middles = []
    for cluster in range(k):
        own = np.sort(values[drawn.labels == cluster])[::-1]
        heights = np.arange(start, start + len(own))
        ax.fill_betweenx(heights, 0, own, color=shades[cluster], step="mid", linewidth=0.5)
        middles.append(start + len(own) / 2)
        start += len(own) + gap
    mean = float(values.mean()) if len(values) else 0.0
    ax.axvline(mean, color=ink(), ls="--", lw=1)
    every = 1 + k // 20
    ax.set_yticks(middles[::every], [str(cluster) for cluster in range(0, k, every)])
    ax.set_ylim(start, -gap)
    ax.set_xlim(0, 1)
    ax.set(xlabel="simplified silhouette", ylabel="cluster")
    ax.set_title(f"{_of_all(drawn)}, mean {mean:.3f}")
    return ax


def simplified_silhouette(model: Any, drawn: Drawn) -> np.ndarray:
    """(m,) float64, from 0 to 1, of drawn rows; 0 for a row on its own and on another center."""
    centers = inward(model.cluster_centers_, model._transforms)
    found = np.empty(len(drawn.values))
    step = max(1, STRIP // len(centers))
    for first in range(0, len(found), step):
        rows = drawn.values[first : first + step]
        apart = distances(rows, centers, np.empty((len(rows), len(centers))))
        own, second = np.partition(model._metric.distances(apart), 1, axis=1)[:, :2].T
        found[first : first + step] = np.divide(
            second - own, second, out=np.zeros(len(rows)), where=second > 0
        )
    return found


class _View(NamedTuple):
    """Rows and centers where they are drawn."""

    rows: np.ndarray
    """(m, 2) or (m, 3)"""
    centers: np.ndarray
    """(k, 2) or (k, 3)"""
    names: list[str]
    """Of the axes."""
    strips: bool = False
    """Whether the second axis is the number of the cluster."""


def _drawn(model: Any, X: Any, sample_size: int) -> Drawn:
    """A sample of the rows of X with their labels."""
    checks.check_sample_size(sample_size)
    own = model.random_state
    seed = int(own) if isinstance(own, numbers.Integral) else 0
    (drawn,) = model._figures(X, None, (DrawnRows(int(sample_size), seed),), by_row=True)
    return drawn


def _of_all(drawn: Drawn) -> str:
    """How many rows are drawn, of how many."""
    if len(drawn.rows) == drawn.n_rows:
        return f"all {drawn.n_rows:,} rows"
    return f"sample of {len(drawn.rows):,} of {drawn.n_rows:,} rows"


def _with_values(model: Any) -> np.ndarray:
    """Which features have values at all, bool (d,): the others are left out with `nan="skip"`."""
    return ~np.isnan(model.cluster_centers_).any(axis=0)


def _seen(model: Any, drawn: Drawn, n_axes: int) -> _View:
    """Rows and centers on so many axes."""
    known = _with_values(model)
    if known.sum() > n_axes:
        return _projected(model, drawn, n_axes)
    rows = undo(drawn.values, model._transforms)[:, known]
    centers = model.cluster_centers_[:, known]
    names = [name for name, there in zip(feature_names(model), known, strict=True) if there]
    if len(names) > 1:
        return _View(rows, centers, names)
    # One feature: a strip for each cluster, in which rows lie side by side.
    beside = np.random.default_rng(0).uniform(-0.3, 0.3, len(rows))
    strips = np.arange(len(centers))[:, None]
    return _View(
        np.column_stack([rows, drawn.labels + beside]),
        np.column_stack([centers, strips]),
        [*names, "cluster"],
        strips=True,
    )


def _projected(model: Any, drawn: Drawn, n_axes: int) -> _View:
    """Rows and centers along the leading principal directions of the drawn rows."""
    middle = drawn.values.mean(axis=0) if len(drawn.values) else 0.0
    apart = drawn.values - middle
    _, lengths, directions = np.linalg.svd(apart, full_matrices=False)
    shares = lengths**2 / max(float((lengths**2).sum()), np.finfo(float).tiny)
    # Fewer rows than axes leave directions over.
    leading = np.zeros((n_axes, apart.shape[1]))
    leading[: min(n_axes, len(directions))] = directions[:n_axes]
    # The sign of a direction means nothing: its largest part is made positive.
    largest = leading[np.arange(n_axes), np.abs(leading).argmax(axis=1)]
    leading *= np.where(largest < 0, -1.0, 1.0)[:, None]
    centers = inward(model.cluster_centers_, model._transforms)
    names = [
        f"principal direction {axis + 1} ({share:.0%} of the variance)"
        for axis, share in enumerate([*shares, *np.zeros(n_axes)][:n_axes])
    ]
    return _View(apart @ leading.T, (centers - middle) @ leading.T, names)


def feature_names(model: Any) -> list[str]:
    """Names of the features, or x0, x1 and so on."""
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return [str(name) for name in names]
    return [f"x{j}" for j in range(model.n_features_in_)]
