"""Centers that are fields as maps, side by side."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.palette import LEFT_OUT
from dask_kmeans.plot.canvas import axes, ink, scale_of_colors
from dask_kmeans.plot.maps import CELLS, draw_at, positions

WIDTH = 0.9
"""Share of the picture's width that the maps have; the bar of colors has the rest."""

GAP = 0.04
"""Between two maps, as a share of the picture's width."""


def center_maps(model: Any, ax: Any = None) -> Any:
    """The center of each cluster as a map, where features are a grid: one scale of colors for all.

    Parameters
    ----------
    model : fitted KMeans or BisectingKMeans, or DataArray
        Fitted with `feature_dim` of two dimensions, such as ("lat", "lon"); or of its
        `labelled_centers_` what has three, `cluster` and those of a map.
    ax : matplotlib Axes, default=None
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib Axes
        `ax`, which is not shown itself: the maps are `ax.child_axes`, in the order of the clusters,
        and then the bar of colors. Features without values (land in a field of the sea) are
        gray. Where there are values of both signs, zero is in the middle of the colors. Of large
        grids every so many cells are drawn, which the bar says.
    """
    centers = getattr(model, "labelled_centers_", model)
    checks.check_center_maps(np.shape(centers), getattr(centers, "dims", None))
    sizes = getattr(model, "cluster_sizes_", None)
    n_columns, n_rows = _arrangement(centers)
    step = max(1, -(-max(centers.shape[1:]) * n_columns // CELLS))
    thinned = centers[:, ::step, ::step]
    ax = axes(ax)
    ax.set_axis_off()
    titles = [str(cluster) for cluster in range(len(centers))]
    if sizes is not None and sizes.sum():
        titles = [f"{n} ({size / sizes.sum():.0%})" for n, size in enumerate(sizes)]
    shown = scale_of_colors(np.asarray(thinned))
    height = 1 / n_rows
    gap = min(GAP, WIDTH / n_columns / 4)
    for number, (center, title) in enumerate(zip(thinned, titles, strict=True)):
        row, column = divmod(number, n_columns)
        place = (
            column * WIDTH / n_columns, 1 - (row + 1) * height,
            WIDTH / n_columns - gap, height * 0.86,
        )  # fmt: skip
        image = _panel(ax.inset_axes(place), center, title, step, shown)
    bar = ax.inset_axes((WIDTH + 0.01, 0.1, 0.02, 0.8))
    ax.figure.colorbar(image, cax=bar, label=_label(centers, step))
    return ax


def _arrangement(centers: Any) -> tuple[int, int]:
    """How many maps stand side by side, and above each other, in a picture of 8 to 5."""
    n_clusters, height, width = centers.shape
    across, up = (positions(centers[0], axis, 1).places for axis in (1, 0))
    ratio = float(np.ptp(across) / np.ptp(up)) if np.ptp(across) and np.ptp(up) else width / height
    ratio = ratio if 0.2 < ratio < 5 else 1.6
    n_columns = min(n_clusters, max(1, round(math.sqrt(n_clusters * 1.8 / ratio))))
    return n_columns, -(-n_clusters // n_columns)


def _panel(ax: Any, center: Any, title: str, step: int, shown: dict[str, Any]) -> Any:
    """One map; its axes have no numbers, which would be the same on all of them."""
    vertical, horizontal = (positions(center, axis, step) for axis in (0, 1))
    values = np.ma.masked_invalid(np.asarray(center))
    image = draw_at(ax, values, vertical.places, horizontal.places, shown)
    ax.set_facecolor(LEFT_OUT)
    if vertical.counted:
        ax.invert_yaxis()  # the first row of an image is at its top
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize="small", color=ink(), pad=3)
    return image


def _label(centers: Any, step: int) -> str:
    """What the values are, and how many cells there are for each that is drawn."""
    attributes = getattr(centers, "attrs", {})
    name = attributes.get("long_name") or getattr(centers, "name", None) or ""
    unit = attributes.get("units")
    thinned = f"one cell in {step} along each side" if step > 1 else ""
    named = f"{name} ({unit})" if unit else str(name)
    return "\n".join(part for part in (named, thinned) if part)
