"""Pictures of labels that lie on a grid."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dask_kmeans import checks
from dask_kmeans.plot.canvas import axes, name_axes, patch, shades_of_labels

CELLS = 1500
"""Cells along each side at most: finer than the pixels of a screen none can be told apart."""

FEW = 14
"""Clusters that a legend names one by one; more get a bar of colors."""

EVEN = 2e-4
"""Share of an axis that coordinates may be off evenly spaced ones: a fraction of a pixel."""


def label_map(labels: Any, ax: Any = None) -> Any:
    """Labels of a raster as a map, with a legend.

    Parameters
    ----------
    labels : DataArray or array of shape (height, width)
        Labels, lazy or not; -1 and NaN are cells that were left out. A DataArray is drawn at its
        coordinates, a plain array from its first row down.
    ax : matplotlib Axes, default=None
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib Axes
        `ax`. Of large rasters every so many cells are drawn, which the title says.
    """
    checks.check_label_map(getattr(labels, "shape", ()), getattr(labels, "dims", None))
    step = max(1, -(-max(labels.shape) // CELLS))
    thinned = labels[::step, ::step]
    values = _whole(np.asarray(thinned))
    ax = axes(ax)
    n_clusters = int(values.max(initial=-1)) + 1
    _draw(ax, values, thinned, n_clusters, step)
    if step > 1:
        ax.set_title(f"one cell in {step} along each side")
    return ax


def _whole(values: np.ndarray) -> np.ndarray:
    """Labels as int64, what is missing as -1."""
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), -1.0, values)
    whole = values.astype(np.int64) if values.dtype.kind in "iuf" else None
    if whole is None or (whole != values).any() or whole.min(initial=0) < -1:
        raise checks.not_labels_error(values.dtype)
    return whole


def _draw(ax: Any, values: np.ndarray, labels: Any, n_clusters: int, step: int) -> None:
    """The picture and its legend."""
    colormap, norm = shades_of_labels(n_clusters)
    shown = {"cmap": colormap, "norm": norm}
    vertical, horizontal = (positions(labels, axis, step) for axis in (0, 1))
    image = draw_at(ax, values, vertical.places, horizontal.places, shown)
    if vertical.counted:
        ax.invert_yaxis()  # the first row of an image is at its top
    name_axes(ax, horizontal.name, vertical.name)
    if n_clusters > FEW:
        _color_bar(ax, image, n_clusters)
    else:
        _legend(ax, colormap.colors, np.unique(values))


class _Positions(NamedTuple):
    """Where cells lie along an axis."""

    places: np.ndarray
    """float64 (m,), the middles of the cells, up or down"""
    name: str
    counted: bool
    """Whether they are numbers of rows or columns, for want of coordinates that are numbers."""


def positions(labels: Any, axis: int, step: int) -> _Positions:
    """Where the cells that are drawn lie along an axis: every so many of the raster."""
    counted = step * np.arange(labels.shape[axis], dtype=float)
    dims = getattr(labels, "dims", None)
    if dims is None:
        return _Positions(counted, ("row", "column")[axis], True)
    name = str(dims[axis])
    if dims[axis] not in labels.coords:
        return _Positions(counted, name, True)
    found = np.asarray(labels.coords[dims[axis]])
    if found.dtype.kind not in "iuf":
        return _Positions(counted, f"{name} (number)", True)
    steps = np.diff(found.astype(float))
    if not ((steps > 0).all() or (steps < 0).all()):
        return _Positions(counted, f"{name} (number)", True)
    unit = labels.coords[dims[axis]].attrs.get("units")
    return _Positions(found.astype(float), f"{name} ({unit})" if unit else name, False)


def draw_at(
    ax: Any, values: np.ndarray, vertical: np.ndarray, horizontal: np.ndarray, shown: dict[str, Any]
) -> Any:
    """The picture, with its cells about these places."""
    upward, rightward = vertical[0] < vertical[-1], horizontal[0] < horizontal[-1]
    values = values[:: 1 if upward else -1, :: 1 if rightward else -1]
    vertical, horizontal = np.sort(vertical), np.sort(horizontal)
    if not (_evenly_spaced(vertical) and _evenly_spaced(horizontal)):
        return ax.pcolormesh(horizontal, vertical, values, shading="nearest", **shown)
    extent = [edge for middles in (horizontal, vertical) for edge in _ends(middles)]
    width, height = extent[1] - extent[0], extent[3] - extent[2]
    # Degrees beside degrees, metres beside metres: but hours beside metres would be a thread.
    aspect = "equal" if 0.2 < width / height < 5 else "auto"
    return ax.imshow(
        values, extent=extent, origin="lower", aspect=aspect, interpolation="nearest", **shown
    )


def _evenly_spaced(middles: np.ndarray) -> bool:
    even = np.linspace(middles[0], middles[-1], len(middles))
    return bool(np.abs(middles - even).max() <= EVEN * (middles[-1] - middles[0]))


def _ends(middles: np.ndarray) -> tuple[float, float]:
    half = (middles[-1] - middles[0]) / (len(middles) - 1) / 2 if len(middles) > 1 else 0.5
    return middles[0] - half, middles[-1] + half


def _legend(ax: Any, shades: list, present: np.ndarray) -> None:
    """A legend of the labels that are there, beside the map."""
    handles = [patch(shades[label + 1], str(label)) for label in present if label >= 0]
    if -1 in present:
        handles.append(patch(shades[0], "-1: left out"))
    ax.legend(
        handles=handles, title="cluster", fontsize="small", frameon=False, borderaxespad=0,
        loc="upper left", bbox_to_anchor=(1.02, 1.0),
    )  # fmt: skip


def _color_bar(ax: Any, image: Any, n_clusters: int) -> None:
    """A bar of the colors of all clusters, and of what was left out."""
    bar = ax.figure.colorbar(image, ax=ax, label="cluster (-1: left out)")
    bar.set_ticks([-1, *range(0, n_clusters, 1 + n_clusters // 15)])
    bar.ax.minorticks_off()
