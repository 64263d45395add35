"""Small pictures in HTML: SVG that takes the color of the text around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from dask_kmeans.palette import PALETTE

WIDTH, HEIGHT, MARGIN = 220, 36, 3
"""Pixels of a sparkline, and around its line."""

CHART_WIDTH, CHART_HEIGHT = 460, 220
LEFT, RIGHT, TOP, BOTTOM = 78, 14, 12, 30
"""Pixels of a chart, and around its lines, for the numbers."""

MOST_MARKED = 60
"""Points of a chart that are marked one by one."""


def sparkline(values: Sequence[float], title: str, color: str = PALETTE[0]) -> str:
    """A line through values in order, from the lowest to the highest of them, with its end marked.

    title : what it shows, in words; also for those who do not see it.
    """
    y = np.asarray(values, float)
    across = np.linspace(MARGIN, WIDTH - MARGIN, len(y)) if len(y) > 1 else np.array([WIDTH / 2])
    down = _down(y, float(y.min()), float(y.max()), MARGIN, HEIGHT - MARGIN)
    return (
        f'<svg role="img" style="vertical-align:middle" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}"><title>{escape(title)}</title>'
        f"{_line(across, down, color)}{_mark(across[-1], down[-1], color)}</svg>"
    )


def line_chart(
    values: Sequence[float], title: str, color: str, *, logarithmic: bool = False
) -> str:
    """Values by their number, from 1, with axes.

    logarithmic : whether decades are equally far apart; values above 0 then.
    """
    y = np.asarray(values, float)
    ticks = _decades(y) if logarithmic else _round_numbers(float(y.min()), float(y.max()))
    digits = 6 if logarithmic else _digits(ticks)
    scale = np.log10 if logarithmic else np.asarray
    low, high = (float(scale(end(ticks))) for end in (min, max))
    numbers = np.arange(1, len(y) + 1)
    right, bottom = CHART_WIDTH - RIGHT, CHART_HEIGHT - BOTTOM
    span = max(len(y) - 1, 1)
    across = LEFT + (numbers - 1) / span * (right - LEFT)
    down = _down(scale(y), low, high, TOP, bottom)
    rules = "".join(
        f'<line class="rule" x1="{LEFT}" x2="{right}" y1="{place:.1f}" y2="{place:.1f}"/>'
        f'<text x="{LEFT - 8}" y="{place + 4:.1f}" text-anchor="end">{tick:.{digits}g}</text>'
        for tick, place in zip(ticks, _down(scale(ticks), low, high, TOP, bottom), strict=True)
    )
    every = max(1, math.ceil(len(y) / 10))
    below = "".join(
        f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{number}</text>'
        for x, number in zip(across[::every], numbers[::every], strict=True)
    )
    marks = ""
    if len(y) <= MOST_MARKED:
        marks = "".join(
            _mark(place, height, color, f"{number}: {value:.10g}")
            for place, height, number, value in zip(across, down, numbers, y, strict=True)
        )
    return (
        f'<svg role="img" width="{CHART_WIDTH}" height="{CHART_HEIGHT}" '
        f'viewBox="0 0 {CHART_WIDTH} {CHART_HEIGHT}"><title>{escape(title)}</title>'
        f"{rules}{below}{_line(across, down, color)}{marks}</svg>"
    )


def _down(y: np.ndarray, low: float, high: float, top: float, bottom: float) -> np.ndarray:
    """Pixels from the top for values from `low`, at the bottom, to `high`; the middle for all of
    one value."""
    heights = np.full(len(y), 0.5) if high == low else (np.asarray(y) - low) / (high - low)
    return bottom - heights * (bottom - top)


def _line(across: np.ndarray, down: np.ndarray, color: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))
    return f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{places}"/>'


def _mark(x: float, y: float, color: str, title: str = "") -> str:
    said = f"<title>{escape(title)}</title>" if title else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{color}">{said}</circle>'


def _round_numbers(low: float, high: float) -> list[float]:
    """A few round numbers that reach from below `low` to above `high`."""
    if high == low:
        return [low]
    rough = max((high - low) / 4, 1e-300)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * share for share in (1, 2, 2.5, 5, 10) if power * share >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * number for number in range(first, last + 1)]


def _digits(ticks: list[float]) -> int:
    """Significant digits that tell ticks apart."""
    if len(ticks) < 2:
        return 6
    return max(4, 2 + math.floor(math.log10(abs(ticks[-1]) / (ticks[1] - ticks[0]))))


def _decades(y: np.ndarray) -> list[float]:
    """Powers of ten from below the lowest to above the highest value; not more than a few."""
    first, last = math.floor(math.log10(y.min())), math.ceil(math.log10(y.max()))
    every = max(1, math.ceil((last - first) / 5))
    return [10.0**power for power in range(last, first - every, -every)]
