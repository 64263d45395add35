"""The elbow: the number of clusters from which on more of them take away much less inertia.

Rows without clusters that fill d dimensions evenly have an inertia in proportion to k ** (-2 / d):
a straight line on double logarithmic scales, though on plain ones a curve that looks as if it had
an elbow. So bends are looked for on logarithmic scales: at each k, how many times as steeply the
curve falls on the way there as on the next step. Two things keep flaws of the curve from it:

* The inertia of the best fits falls by ever less. A fit that stopped in a worse optimum lies above
  the line between its neighbors, and is lowered onto it: the greatest convex curve counts.
* The next step counts as at least `OF_EVEN` of 2 / d. Compact clusters that split one by one fall
  like that themselves, and less is noise on a curve that is nearly flat.

Chance makes bends, too: most of all for few rows of many features, and four cells are so good a
division of a square that its curve bends there. The simplified silhouette, which the same pass
learns, tells them apart, as it says how compact the clusters are: an even square has 0.53 at most,
and even rows of more dimensions less. So a bend at loose clusters counts half, and one where there
is hardly any cluster not at all. An even line has silhouettes of 0.6 to 0.7, but hardly a bend.

Of the bends that count the last is the elbow, unless it is small beside the largest: clusters that
lie side by side part only after those that lie far from each other, and bend the curve less.

What is known of it, and of its limits (`tests/test_sweep_elbow.py`): normal clusters are counted
right in 99 of 100 draws where the nearest centers are 2.5 deviations or more apart; a pair nearer
than 2 has one summit, and counts as one cluster. So in a plane, where of many centers at random two
often lie that near, no rule is right in 90 of 100 draws. Loose clusters of many dimensions may be
missed. Some dozen rows for each cluster are needed: of 300 rows on a line, tried with 1 to 20
clusters, chance bends the curve by more than twice in one of three draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

LEAST_STRENGTH = 2.0
"""Of an elbow. Rows without clusters stay below it in nine of ten draws and more."""

BESIDE_LARGEST = 0.3
"""Share of the strength of the largest bend that the elbow has at least."""

OF_EVEN = 0.3
"""Share of the slope of even rows. Normal clusters that split one by one begin with 0.32."""

COMPACT, LOOSE = 0.58, 0.3
"""Least silhouettes of clusters whose bend counts in full, and of those whose bend counts half."""

NO_INERTIA = 2.0**-100
"""Share of the largest inertia that stands for none, which has no logarithm."""


class Elbow(NamedTuple):
    """Where an inertia bends last as it does where clusters come to an end, and how much."""

    n_clusters: int | None
    """None where it bends nowhere like that."""
    strength: float
    """How many times as steeply the logarithm of the inertia falls against that of k on the way
    there as beyond, less where clusters are not compact; of the largest bend where there is no
    elbow. NaN for fewer than three points."""


def find_elbow(
    inertia: Mapping[int, float], silhouette: Mapping[int, float], n_features: int
) -> Elbow:
    """The elbow of inertias and simplified silhouettes by their number of clusters."""
    ks = sorted(inertia)
    if len(ks) < 3 or not inertia[ks[0]] > 0:
        return Elbow(None, math.nan)
    x = [math.log(k / ks[0]) for k in ks]
    y = [math.log(max(NO_INERTIA, share)) for share in _of_best_fits(ks, inertia)]
    if y[-1] == 0:
        return Elbow(None, math.nan)
    slopes = [(b - d) / (c - a) for (a, b), (c, d) in pairwise(zip(x, y, strict=True))]
    strengths = {}
    for i in range(1, len(ks) - 1):
        beyond = max(slopes[i], OF_EVEN * 2 / n_features)
        strengths[ks[i]] = slopes[i - 1] / beyond * _weight(silhouette[ks[i]])
    largest = max(strengths.values())
    if largest < LEAST_STRENGTH:
        return Elbow(None, largest)
    least = max(LEAST_STRENGTH, BESIDE_LARGEST * largest)
    last = max(k for k, strength in strengths.items() if strength >= least)
    return Elbow(last, strengths[last])


def _of_best_fits(ks: list[int], inertia: Mapping[int, float]) -> list[float]:
    """Shares of the first inertia, lowered to the greatest convex curve that falls."""
    lowest, corners = math.inf, list[tuple[int, float]]()
    for k in ks:
        lowest = min(lowest, inertia[k] / inertia[ks[0]])
        while len(corners) > 1 and _above(corners[-1], corners[-2], (k, lowest)):
            corners.pop()
        corners.append((k, lowest))
    at, shares = zip(*corners, strict=True)
    return np.interp(ks, at, shares).tolist()


def _above(point: tuple[int, float], left: tuple[int, float], right: tuple[int, float]) -> bool:
    """Whether a point lies above the line between two others."""
    (k, share), (k_left, share_left), (k_right, share_right) = point, left, right
    return (share - share_left) * (k_right - k_left) > (share_right - share_left) * (k - k_left)


def _weight(silhouette: float) -> float:
    """How much a bend counts at clusters of this silhouette."""
    return 1.0 if silhouette >= COMPACT else 0.5 if silhouette >= LOOSE else 0.0
