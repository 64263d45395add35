"""Quantiles of the distances in each cluster, from counts alone.

Distances are counted in bins: the first bits of a float64 are the number of a bin, 128 of them from
one power of two to the next. Counts merge in any order. Only stretches of bins that hold something
take memory: 32 bins, a quarter of the way to the next power of two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dask_kmeans.kernels import ReproducibleSums
from dask_kmeans.statistics.record import LabelledRows

FRACTION_BITS = 7
"""Of the significand in the number of a bin: its middle is at most 1 / 256 of a distance away."""

STRETCH_BITS = 5
"""Bins of a stretch, as a power of two."""

STRETCH = 2**STRETCH_BITS

DIGITS = 2
"""Of the weight of a bin: at least 27 bits from the largest weight in it on."""


class Histogram(NamedTuple):
    """Weights by cluster and distance."""

    stretches: np.ndarray
    """int64 (s,), ascending: cluster * 2**13 + the first bits of the distances in a stretch."""
    weights: ReproducibleSums
    """(s * 32,): of the bins of each stretch, side by side."""

    def with_stretches(self, stretches: np.ndarray) -> Histogram:
        """The same with all these (ascending, distinct), those that there are among them."""
        if len(stretches) == len(self.stretches):
            return self
        places = np.searchsorted(stretches, self.stretches)
        bins = places[:, None] * STRETCH + np.arange(STRETCH)
        return Histogram(stretches, self.weights.moved(len(stretches) * STRETCH, bins.ravel()))


_UNIT = np.int64(1) << (52 - FRACTION_BITS)
"""Of the number of a bin in the bits of a float64."""

_CLUSTER_BITS = 11 + FRACTION_BITS - STRETCH_BITS


@dataclass(frozen=True)
class DistanceQuantiles:
    """float64 (k, q): quantiles of the distances in each cluster; NaN for one without rows.

    The quantile q is the least distance to which at least the share q of the weight lies, as
    `numpy.quantile` has it with `method="inverted_cdf"`, to 1 / 256 of itself. Distances below
    2**-1000 count as 0.
    """

    distance: Callable[[np.ndarray], np.ndarray]
    """Distances of squared Euclidean distances (m,)."""
    quantiles: tuple[float, ...]
    """From 0 to 1."""

    def zero(self, centers: np.ndarray) -> Histogram:
        """See `Statistic`."""
        return Histogram(np.empty(0, np.int64), ReproducibleSums(0, DIGITS))

    def chunk(self, known: Histogram, rows: LabelledRows) -> Histogram:
        """See `Statistic`."""
        counted = rows.counted_labels()
        own = counted >= 0
        distances = self.distance(rows.distances)[own]
        bins = np.where(distances < 2.0**-1000, 0.0, distances).view(np.int64) // _UNIT
        stretches = (counted[own].astype(np.int64) << _CLUSTER_BITS) + (bins >> STRETCH_BITS)
        places = np.searchsorted(known.stretches, stretches)
        there = len(known.stretches) > 0
        if not there or (known.stretches.take(places, mode="clip") != stretches).any():
            known = known.with_stretches(np.union1d(known.stretches, stretches))
            places = np.searchsorted(known.stretches, stretches)
        known.weights.add((places << STRETCH_BITS) + bins % STRETCH, rows.all_weights()[own])
        return known

    def merge(self, a: Histogram, b: Histogram) -> Histogram:
        """See `Statistic`."""
        stretches = np.union1d(a.stretches, b.stretches)
        a, b = a.with_stretches(stretches), b.with_stretches(stretches)
        return Histogram(stretches, a.weights.merge(b.weights))

    def finish(self, known: Histogram, centers: np.ndarray) -> np.ndarray:
        """See `Statistic`."""
        found = np.full((len(centers), len(self.quantiles)), np.nan)
        weights = known.weights.values()
        bins = known.stretches % 2**_CLUSTER_BITS * STRETCH
        bins = (bins[:, None] + np.arange(STRETCH)).ravel()
        middles = (bins * _UNIT + _UNIT // 2).view(np.float64)
        middles[bins == 0] = 0.0
        edges = np.searchsorted(known.stretches, np.arange(len(centers) + 1) << _CLUSTER_BITS)
        for cluster, (first, stop) in enumerate(zip(edges, edges[1:] * STRETCH, strict=False)):
            own = slice(first * STRETCH, stop)
            if first * STRETCH < stop:
                cumulated = np.cumsum(weights[own])
                needed = np.array(self.quantiles) * cumulated[-1]
                at = np.searchsorted(cumulated, np.maximum(needed, np.nextafter(0, 1)))
                found[cluster] = middles[own][at]
        return found
