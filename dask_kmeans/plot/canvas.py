"""What all pictures share of matplotlib: axes, colors, numbers beside centers.

Whatever is not data has the colors of the style in use, so that pictures suit dark ones too.
"""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.palette import LEFT_OUT, PALETTE

SIZE = (6.4, 4.0)
"""Inches of a picture of its own: the width of a notebook's cell."""

LIGHTER, DARKER = 0.5, 0.6
"""The palette a second time, this far on the way to white, and a third time, with this share of its
light. Under each dichromacy these 30 colors differ more than 30 of any color map."""

WIDTH = 46
"""Letters in a line beside an axis."""


def pyplot() -> Any:
    """matplotlib.pyplot, which the extra `plot` brings."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise checks.missing_matplotlib_error(error) from error
    return plt


def axes(ax: Any, *, solid: bool = False) -> Any:
    """`ax`, or for None the axes of a new figure: 3-D ones if `solid`."""
    plt = pyplot()
    if ax is not None:
        return ax
    kind = {"projection": "3d"} if solid else {}
    return plt.subplots(figsize=SIZE, layout="constrained", subplot_kw=kind)[1]


def off_screen() -> Any:
    """The axes of a figure that is no window and that nothing but its axes holds."""
    from matplotlib.figure import Figure

    return Figure(figsize=SIZE, layout="constrained").add_subplot()


def is_solid(ax: Any) -> bool:
    """Whether axes are 3-D."""
    return hasattr(ax, "get_zlim")


def colors(n_clusters: int) -> np.ndarray:
    """A color for each cluster: (n_clusters, 4) RGBA; from 30 clusters on they come again."""
    from matplotlib.colors import to_rgba_array

    plain = to_rgba_array(PALETTE)
    lighter, darker = plain + LIGHTER * (1 - plain), plain * [DARKER, DARKER, DARKER, 1.0]
    return np.resize([plain, lighter, darker], (n_clusters, 4))


def shades_of_labels(n_clusters: int) -> tuple[Any, Any]:
    """The color map of labels from -1 on, and its norm."""
    from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgba

    shades = [to_rgba(LEFT_OUT), *colors(n_clusters)]
    edges = np.arange(-1.5, n_clusters + 0.5)
    return ListedColormap(shades), BoundaryNorm(edges, len(shades))


def scale_of_colors(values: np.ndarray) -> dict[str, Any]:
    """How values are drawn on one scale: those of both signs with zero in its middle, NaN gray."""
    from matplotlib import colormaps

    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    name = "viridis"
    if low < 0 < high:
        high = max(-low, high)
        name, low = "RdBu_r", -high
    return {"cmap": colormaps[name].with_extremes(bad=LEFT_OUT), "vmin": low, "vmax": high}


def patch(color: Any, label: str) -> Any:
    """An entry of a legend."""
    from matplotlib.patches import Patch

    return Patch(color=color, label=label)


def ink() -> str:
    """Color of text in the style in use."""
    return pyplot().rcParams["text.color"]


def number(ax: Any, place: np.ndarray, text: str) -> None:
    """Write at a place (2,) or (3,) of the data, readable on whatever lies there."""
    from matplotlib.patheffects import withStroke

    shown = ax.text(*place, text, color=ink(), fontsize="small", ha="left", va="bottom", zorder=6)
    shown.set_path_effects([withStroke(linewidth=2.5, foreground=ax.get_facecolor())])


def name_axes(ax: Any, *names: str) -> None:
    """Label the axes, in order; long names take several lines."""
    for which, name in zip("xyz", names, strict=False):
        ax.set(**{f"{which}label": textwrap.fill(name, WIDTH, max_lines=3)})


def segments(ax: Any, lines: list, widths: list[float], color: str) -> None:
    """Straight lines from place to place, of widths in points."""
    from matplotlib.collections import LineCollection

    ax.add_collection(LineCollection(lines, linewidths=widths, colors=color, alpha=0.55))


def whole_numbers(axis: Any) -> None:
    """Ticks of an axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def share_axis(ax: Any, smallest: float) -> Any:
    """A second vertical axis for shares: decades from 100 % to `smallest`, and 0 below them."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    other = ax.twinx()
    other.set_yscale("symlog", linthresh=smallest, linscale=0.5)
    decades = [10.0**-power for power in range(16) if 10.0**-power >= smallest]
    other.set_yticks([0.0, *decades[:: 1 + len(decades) // 6]])
    other.yaxis.set_minor_locator(NullLocator())
    other.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    other.set_ylim(0, 1.5)
    return other
