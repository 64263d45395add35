"""Small pictures in HTML: SVG that takes the color of the text around it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from dask_kmeans.palette import PALETTE

WIDTH, HEIGHT, MARGIN = 220, 36, 3
"""Pixels of a sparkline, and around its line."""


def sparkline(values: Sequence[float], title: str, color: str = PALETTE[0]) -> str:
    """A line through values in order, from the lowest to the highest of them, with its end marked.

    title : what it shows, in words; also for those who do not see it.
    """
    y = np.asarray(values, float)
    y = y[np.isfinite(y)]
    if len(y) == 0:
        return ""
    low, high = float(y.min()), float(y.max())
    heights = np.full(len(y), 0.5) if high == low else (y - low) / (high - low)
    across = np.linspace(MARGIN, WIDTH - MARGIN, len(y)) if len(y) > 1 else [WIDTH / 2]
    down = HEIGHT - MARGIN - heights * (HEIGHT - 2 * MARGIN)
    places = [f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True)]
    end = places[-1].split(",")
    return (
        f'<svg role="img" style="vertical-align:middle" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"<title>{escape(title)}</title>"
        f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{" ".join(places)}"/>'
        f'<circle cx="{end[0]}" cy="{end[1]}" r="2.5" fill="{color}"/></svg>'
    )
