"""The elbow: the number of clusters from which on more of them take away much less inertia.

Rows without clusters that fill d dimensions evenly have an inertia in proportion to k ** (-2 / d):
a straight line on double logarithmic scales, though on plain ones a curve that looks as if it had
an elbow. So the knee is looked for on logarithmic scales, by the definition of Kneedle [1]_: with
both scales brought to 0 ... 1, where the curve lies farthest below the line from its first to its
last point. It counts as an elbow only where the curve falls at least `LEAST_STRENGTH` times as
steeply up to it as beyond it.

.. [1] Satopaa, Albrecht, Irwin, Raghavan, "Finding a 'Kneedle' in a haystack: detecting knee points
   in system behavior", ICDCSW 2011. Deviations: (1) logarithmic scales; (2) no smoothing, since the
   points are exact; (3) the highest of the knees alone; (4) how much the slope changes decides, in
   place of a sensitivity, which every convex curve of some points passes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

LEAST_STRENGTH = 2.0
"""Blobs that are 6 deviations or more apart have 3.4 and more, in 2 to 10 dimensions; uniform and
normal rows in 1 to 20 dimensions less than 1.4 in nine of ten draws, and less than 2 in 97 of 100.
See `tests/test_sweep_elbow.py`."""

NO_INERTIA = 2.0**-100
"""Share of the largest inertia that stands for none, which has no logarithm."""


class Elbow(NamedTuple):
    """Where an inertia bends most, and how much."""

    n_clusters: int | None
    """None where it bends nowhere as it does where clusters come to an end."""
    strength: float
    """How many times as steeply the logarithm of the inertia falls against that of k up to there as
    beyond; NaN for fewer than three points."""


def find_elbow(inertia: Mapping[int, float]) -> Elbow:
    """The elbow of inertias by their number of clusters."""
    ks = sorted(inertia)
    if len(ks) < 3 or not inertia[ks[0]] > 0:
        return Elbow(None, math.nan)
    x = [math.log(k / ks[0]) for k in ks]
    y, lowest = [], 1.0
    for k in ks:  # a worse optimum than that of fewer clusters tells nothing of the data
        lowest = max(NO_INERTIA, min(lowest, inertia[k] / inertia[ks[0]]))
        y.append(math.log(lowest))
    if y[-1] == 0:
        return Elbow(None, math.nan)
    below = [1 - (b - y[-1]) / (y[0] - y[-1]) - a / x[-1] for a, b in zip(x, y, strict=True)]
    at = max(range(1, len(ks) - 1), key=lambda i: below[i])  # the first of equally high ones
    before, beyond = -y[at] / x[at], (y[at] - y[-1]) / (x[-1] - x[at])
    strength = before / beyond if beyond > 0 else math.inf
    return Elbow(ks[at] if strength >= LEAST_STRENGTH else None, strength)
